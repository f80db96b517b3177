#!/bin/bash
# A fleet from elsewhere: who cannot log in asks at a desk, others approve there, over a folder, ssh, HTTPS and etcd; with the source
# down in the middle, a host down, clocks a minute apart, every document thrown at every host, and somebody who leaves.
# JIT_SOURCES: which kinds (default: folder etcd; tests/run --full takes "folder https etcd ssh").
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/host/faults.sh
source "$here/faults.sh"
# shellcheck source=tests/host/fleet.sh
source "$here/fleet.sh"

work=$(mktemp -d /tmp/jit-fleet-XXXXXX)
trap 'code=$?; rm -rf "$work"; (exit $code); finish' EXIT

quietly server_base mail "etcd nginx" etcd-server etcd-client nginx-light || stop_here "a base with nginx and etcd"
raise_desk
raise db1 db
db1=$host
raise db2 db
db2=$host
raise web1 web
web1=$host
raise_carrier
host=$db1

# --- what people do at the desk, and what is seen there -------------------------------------------------------------------

field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<<"$last_output" | head -1; }
# ask ROLE HOST: alice asks and does not wait; the id of her ask is in $asked.
ask() {
  local got=0
  quietly ctl alice "--json request $1 10m -m 'to mend $kind' --on $2 --no-wait $near" || got=$?
  asked=$(field id)
  return $got
}
# waits WHO ROLE HOST: that person sees a request for it; its id is in $id, all of it in $last_output.
waits() {
  wish=$(ctl "$1" "pending $near" 2>&1 | awk -v RS= -v host="vouched for by $3's host key SHA256:" -v role="role +$2 for" 'index($0, host) && $0 ~ role')
  id=$(sed -n '1s/^Request \([^,]*\),.*/\1/p' <<<"$wish")
  [[ -n $id ]]
}
# approves WHO OPTIONS: that request; the digest of the review is in $review.
approves() {
  local who=$1 got=0; shift
  ctl "$who" "--json approve $id --yes $* $near" || got=$?
  return $got
}
review_of() { review=$(field digest); }
# alice_reads HOST STATE: of what she asked for last.
alice_reads() { ctl alice "status $near" | grep -Eq "^$asked +ask +$1 .* $2"; }
# told WHAT KEY VALUE: how often the host has said so.
told() { root sh -c 'cd /var/lib/jit/outbox && grep -lxF "what = \"$1\"" e-*.jit | xargs -r grep -lxF "$2 = \"$3\"" | grep -c .' sh "$@"; }
was_told() { [[ $(told "$@") -ge 1 ]]; }
holds() { is_state "$1" active; }
# given ROLE HOST: asked, approved by carol and active, or the test ends.
given() {
  ask "$1" "$2"
  within_time 20 waits carol "$1" "$2" || stop_here "the ask for $1 is seen"
  quietly approves carol || stop_here "$1 is given"
}
heard_of_all() { [[ $(ctl carol "--json hosts $source" | grep -o '"seen"' | wc -l) -eq 3 ]]; }
nothing_anywhere() { on_each nothing_left; }
nobody_in() { ! can_ssh alice; }

# --- the journey ----------------------------------------------------------------------------------------------------------

asked_and_given() {
  refused "alice cannot log in" can_ssh alice
  status "she asks from the desk" 3 ask db-login "$db1"
  soon "and carol sees it there" 20 waits carol db-login "$db1"
  gives "who asks" "who +alice \(uid [0-9]+\) on $db1" cat <<<"$wish"
  gives "why" "why +to mend $kind" cat <<<"$wish"
  gives "that it was asked from elsewhere" 'origin ask' cat <<<"$wish"
  gives "and what the host would give" 'login' cat <<<"$wish"
  ok "she approves, and hears that it is given" approves carol
  login=$id
  ok "alice logs in" can_ssh alice
  refused "and nowhere else" ssh_on "$db2"
  soon "she reads that it is active" 20 alice_reads "$db1" active
  refused "sudo she has not" can_sudo alice
  status "she asks for that" 3 ask operator "$db1"
  soon "dave sees it" 20 waits dave operator "$db1"
  ok "and approves it for eight seconds" approves dave --for 8s
  ok "sudo works" can_sudo alice
  operator=$id
  soon "it ends by itself" 10 is_state "$operator" ended
  refused "and sudo with it" can_sudo alice
  soon "which alice reads at the desk" 20 alice_reads "$db1" ended
  at alice "jitctl release $login" >/dev/null
  refused "and when she gave the login back she is out" can_ssh alice
  soon "carol reads that" 20 reads_ended "$login"
}
ssh_on() { local before=$host got=0; host=$1; can_ssh alice || got=$?; host=$before; return $got; }
reads_ended() { ctl carol "show $1 $near" | grep -q "^$db1: ended"; }

source_away() {
  ask db-login "$db1"
  soon "another ask is seen" 20 waits carol db-login "$db1"
  "apart_$kind"
  status "carol approves what cannot arrive" 3 approves carol --no-wait
  review_of
  "down_$kind"
  status "with the source gone nobody sees anything" 4 ctl carol "pending $near"
  if [[ $kind == ssh ]]; then
    root systemctl start jitd.service
    soon "what is in the inbox counts without the source" 10 holds "$id"
  else
    sleep 2
    refused "and nothing is given" holds "$id"
  fi
  "up_$kind"
  soon "with the source there it is" 60 holds "$id"
  soon "alice reads it" 40 alice_reads "$db1" active
  ok "and is in" can_ssh alice
  sleep 2
  gives "the review was taken once" '^1$' told reviewed document "$review"
  gives "and the grant given once" '^1$' told active grant "$(digest_of_grant)"
  at alice "jitctl release $id" >/dev/null
}
digest_of_grant() { ctl carol "--json show $id $near" | sed -n 's/.*"digest": *"\([^"]*\)".*/\1/p' | head -1; }

host_away() {
  local sent=3 seconds=8 cut
  [[ $kind != ssh ]] || sent=4 seconds=15   # the mailbox is the host
  ask db-login "$db1"
  soon "one more is seen" 20 waits carol db-login "$db1"
  lab cut "$db1" "$seconds" >/dev/null 2>&1 &
  cut=$!
  within_time 5 not lab run "$db1" true
  # Else the desk would still know where it was, and wait.
  desk_root ip neigh flush all
  status "carol approves while the host is down" "$sent" approves carol --no-wait
  local first=$id
  [[ $kind == ssh ]] || status "and alice asks for more" 3 ask operator "$db1"
  refused "the host is down still" lab run "$db1" true
  wait "$cut"
  quietly at_db1 "back_$kind"
  if [[ $kind == ssh ]]; then
    soon "the host is back, and the request with it" 20 waits carol db-login "$db1"
    ok "approved again" approves carol
    status "alice asks for more" 3 ask operator "$db1"
  fi
  soon "the login is given when it is back" 40 holds "$first"
  ok "alice is in" can_ssh alice
  soon "what she asked is there, too" 30 waits dave operator "$db1"
  ok "dave approves it" approves dave
  ok "and sudo works" can_sudo alice
  gives "nothing was asked twice" '^1$' told filed ask "$(digest_of_ask)"
  at alice "jitctl release --all" >/dev/null
  soon "all is given back" 5 nothing_left
}
digest_of_ask() { ctl alice "--json show $asked $near" | sed -n 's/.*"digest": *"\([^"]*\)".*/\1/p' | head -1; }

clocks_apart() {   # MS WORD HOW-TO-REVOKE
  desk_clock "$1"
  status "with the desk's clock a minute $2 alice asks" 3 ask db-login "$db1"
  soon "carol sees it" 20 waits carol db-login "$db1"
  ok "and approves" approves carol
  ok "alice is in" can_ssh alice
  soon "and reads that" 20 alice_reads "$db1" active
  ok "carol revokes it" ctl carol "revoke ${3:-$id} -m 'clocks' --on $db1 $near"
  soon "and she is out" 5 nobody_in
  desk_clock 0
}

# thrown NAME: that file of the desk's into every host's box.
thrown() {
  local h
  for h in $(fleet); do desk_root cat "/tmp/$1" | quietly "throw_$kind" "$h" "$1" || say "$1 is not thrown at $h: $last_output"; done
  digest=sha256:$(desk_root jitctl payload "/tmp/$1" | sha256sum | cut -d' ' -f1)
}
# made WHO NAME ARGS: a document in a file of that name.
made() {
  local who=$1 name=$2; shift 2
  ok "$who makes $name" ctl "$who" "$* -o $kind-$name && cp $kind-$name /tmp && chmod 644 /tmp/$kind-$name"
}
# only_for WHAT ROW...: each row a host and what it says of the document that was thrown last.
says() { local before=$host got=0; host=$1; was_told "$2" document "$digest" || got=$?; host=$before; return $got; }
has() { local before=$host got=0; host=$1; member alice "$2" || got=$?; host=$before; return $got; }

everything_everywhere() {
  given db-login "$db1"
  login=$id

  made carol other-end.jit revoke --user alice -m elsewhere --on "$web1"
  thrown "$kind-other-end.jit"
  soon "the revocation for web1 is taken there" 20 says "$web1" revoked
  for h in $db1 $db2; do soon "refused by $h" 20 says "$h" refused; done
  ok "and ends nothing" holds "$login"

  made alice ask.jit request db-login 10m -m elsewhere --on "$db2"
  thrown "$kind-ask.jit"
  soon "the ask for db2 is filed there" 20 says "$db2" filed
  for h in $db1 $web1; do soon "refused by $h" 20 says "$h" refused; done

  near=$source soon "and seen at the desk" 20 waits carol db-login "$db2"
  made carol review.jit "approve $id --yes $source"
  thrown "$kind-review.jit"
  soon "the review of it counts at db2" 20 says "$db2" reviewed
  for h in $db1 $web1; do soon "refused by $h" 20 says "$h" refused; done
  soon "and alice is in there" 10 ssh_on "$db2"
  refused "and not at web1" ssh_on "$web1"

  made carol segment-db.jit grant --user alice --role reader --for 10m --segment db -m elsewhere
  thrown "$kind-segment-db.jit"
  for h in $db1 $db2; do soon "the grant for segment db is given on $h" 20 has "$h" db; done
  soon "refused by web1" 20 says "$web1" refused
  refused "and gives nothing there" has "$web1" db

  made carol segment-web.jit grant --user alice --role operator --for 10m --segment web -m elsewhere
  thrown "$kind-segment-web.jit"
  soon "that for segment web is given on web1" 20 has "$web1" ops
  for h in $db1 $db2; do
    soon "refused by $h" 20 says "$h" refused
    refused "and gives nothing there" has "$h" ops
  done
  soon "carol reads who refused it" 20 reads_refused "$digest" "$db1"
}
reads_refused() { ctl carol "show $1 $source" | grep -Eq "$2 +refused"; }

leaver() {
  number=$((number + 1))
  ok "a list of revocations goes to all" ctl carol "revoke --list --number $number -m 'of today' --on-all $source"
  ok "alice leaves: locked on all hosts" ctl carol "lock alice -m left --on-all $source"
  locked=$last_output
  for h in $(fleet); do gives "$h says so" "^$h +locked" cat <<<"$locked"; done
  gives "and that it ended something" 'ended [1-9]' cat <<<"$locked"
  gives "which are all" '3 of 3 hosts have answered' cat <<<"$locked"
  ok "nothing is left on any" nothing_anywhere
  for h in $(fleet); do refused "she is out of $h" ssh_on "$h"; done
  status "and asks in vain" 5 ctl alice "request db-login 10m -m again --on $db1 --wait 20s $source"
  gives "with the reason" 'locked' cat <<<"$last_output"

  soon "carol sees all hosts" 20 ctl carol "hosts $source"
  ctl carol "--json hosts $source" >"$work/hosts"
  on_each known_as_it_is
  ok "alice is back" ctl carol "unlock alice -m back --on-all $source"
}
# What the desk has last heard of this host, held against the host itself.
known_as_it_is() {
  local row
  row=$(tr -d ' ' <"$work/hosts" | sed 's/},{/}\n{/g' | grep "\"host\":\"$host\"")
  of() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" <<<"$row"; }
  ok "$host was heard of lately" test $(($(date +%s) - $(of seen))) -le 60
  gives "its view is the list of today" "^$number\$" of view
  gives "its policy is known" '^sha256:[0-9a-f]{64}$' of policy
  ok "and the head of its audit stands in its chain" root jitctl audit verify --head "$(of head)"
}

number=0
journey() {
  kind=$1
  host=$db1
  local from=$SECONDS
  quietly "open_$kind" || stop_here "the hosts go by $kind"
  within_time 60 heard_of_all || stop_here "by $kind all hosts are heard of"
  asked_and_given
  source_away
  host_away
  desk_clock 600000
  status "a desk ten minutes ahead is told that it is" 5 ctl alice "request db-login 10m -m clock --on $db1 --wait 20s $near"
  gives "and why" 'clock|future|ahead' cat <<<"$last_output"
  clocks_apart 60000 ahead
  clocks_apart -60000 behind '--user alice'
  everything_everywhere
  leaver
  echo "# $kind took $((SECONDS - from)) s"
}
for kind in ${JIT_SOURCES:-folder etcd}; do journey "$kind"; done
for host in $(fleet); do
  ok "the audit of $host holds" root jitctl audit verify
  gives "and nothing of ours failed there" '^0 ' root sh -c 'echo "$(systemctl --failed --plain --no-legend | grep -c jit) "'
done
