#!/bin/bash
# The mailbox in real etcd: users, permissions, certificates and leases with one member, then three members that are killed, cut off,
# restarted, lose their lead and their history while documents flow: none is lost, none is seen twice. Nothing of ours runs on the
# hosts; the mailbox (tests/host/mailbox_tool.cpp) and jitctl reach them over the lab's network.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"

# --- members ------------------------------------------------------------------------------------------------------------

work=$(mktemp -d /tmp/jit-etcd-XXXXXX)
# What of ours still runs has that path among its words, and nobody else.
clean_up() { pgrep -f -- "$work/" | xargs -r kill 2>/dev/null; rm -rf "$work"; }
trap 'code=$?; clean_up; (exit $code); finish' EXIT

quietly program mailbox-tool || stop_here "the tool is built"
tool=$last_output
quietly program jitctl || stop_here "jitctl is built"
jitctl=$last_output
quietly server_base etcd etcd etcd-server etcd-client nftables || stop_here "a base with etcd"
number=$((RANDOM % 900 + 100))
members=() addresses=()
for i in 1 2 3; do
  member=etcd$number-$i
  hosts+=("$member"); members+=("$member")
  quietly lab up "$member" "$server_base" || stop_here "host $member boots"
  addresses+=("$(lab addr "$member")")
done
on() { local i=$1; shift; lab run "${members[i - 1]}" "$@"; }

# --- certificates -------------------------------------------------------------------------------------------------------

certificates() {
  cd "$work" || return 1
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=test -keyout ca.key -out ca.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign || return 1
  signed() {   # NAME SUBJECT USES [SAN]
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr" || return 1
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -out "$1.pem" \
      -extfile <(echo "extendedKeyUsage=$3"; [[ -z ${4:-} ]] || echo "subjectAltName=$4")
  }
  # The gateway calls its own server with the server's certificate, so that it is a client's, too.
  signed member /O=member serverAuth,clientAuth "IP:127.0.0.1,$(printf 'IP:%s\n' "${addresses[@]}" | paste -sd,)" &&
    signed nameless /O=db1 clientAuth && signed named /CN=db1 clientAuth
}
quietly certificates || stop_here "certificates are made"
for i in 1 2 3; do
  on "$i" install -d -m 755 /etc/etcd
  for file in ca.pem member.pem member.key; do lab push "${members[i - 1]}" "$work/$file" "/etc/etcd/$file"; done
  on "$i" sh -c 'chown etcd: /etc/etcd/member.key'
done

# begin ENV MEMBER...: a new cluster of these members, with this in their environment besides.
begin() {
  local extra=$1 i cluster=; shift
  for i in "$@"; do cluster+=,e$i=https://${addresses[i - 1]}:2380; done
  for i in 1 2 3; do on "$i" systemctl stop etcd; on "$i" sh -c 'rm -rf /var/lib/etcd/*'; done
  for i in "$@"; do
    on "$i" tee /etc/default/etcd >/dev/null <<END
ETCD_NAME=e$i
ETCD_DATA_DIR=/var/lib/etcd/default
ETCD_INITIAL_CLUSTER=${cluster#,}
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_LISTEN_PEER_URLS=https://${addresses[i - 1]}:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://${addresses[i - 1]}:2380
ETCD_LISTEN_CLIENT_URLS=https://${addresses[i - 1]}:2379,https://127.0.0.1:2379
ETCD_ADVERTISE_CLIENT_URLS=https://${addresses[i - 1]}:2379
ETCD_CERT_FILE=/etc/etcd/member.pem
ETCD_KEY_FILE=/etc/etcd/member.key
ETCD_PEER_CERT_FILE=/etc/etcd/member.pem
ETCD_PEER_KEY_FILE=/etc/etcd/member.key
ETCD_PEER_TRUSTED_CA_FILE=/etc/etcd/ca.pem
ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_BCRYPT_COST=4
$extra
END
    # Each waits for most of the others before it says that it is up.
    on "$i" systemctl start --no-block etcd
  done
  for i in "$@"; do within_time 30 on "$i" systemctl -q is-active etcd || stop_here "member $i is up"; done
}
url() { local all; all=$(printf "%s:2379\n" "$@" | paste -sd,); echo "etcd+https://$all/jit"; }

# --- people -------------------------------------------------------------------------------------------------------------

certificate=()   # for clients, where a cluster asks for one
cluster=
init() { lab net "$jitctl" source init "$cluster" --ca "$work/ca.pem" "${certificate[@]}" --admin-password-file "$work/root.password" "$@"; }
# mail WHO VERB ...: the mailbox as that user; nobody: without one.
mail() {
  local who=$1 user=(); shift
  case $who in
    db*) user=(--user "jit/host/$who") ;;
    carol) user=(--user jit/approver/carol) ;;
    ci) user=(--user jit/asker/ci) ;;
  esac
  [[ $who == nobody ]] || user+=(--password-file "$work/$who.password")
  lab net timeout "${limit:-60}" "$tool" --ca "$work/ca.pem" "${certificate[@]}" "${user[@]}" "$cluster" "$@"
}
document() { printf 'document %s\n' "$1" >"$work/$1"; echo "$work/$1"; }
etcdctl() { local i=$1; shift; on "$i" env ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/ca.pem --cert /etc/etcd/member.pem --key /etc/etcd/member.key "$@"; }
as_root_of_etcd() { local i=$1; shift; etcdctl "$i" --user "root:$(cat "$work/root.password")" "$@"; }

# --- one member: who may what -------------------------------------------------------------------------------------------

begin '' 1
cluster=$(url "${addresses[0]}")
gives "a cluster without users takes anybody" '^$' mail nobody list to/db1
gives "source init turns authentication on" 'turned on authentication' init --enable-auth
gives "root's password is in a file of its own" '^600$' stat -c %a "$work/root.password"
refused "and is not shown" grep -qF -- "$(cat "$work/root.password")" <<<"$last_output"
gives "again is no change" '^as it was: authentication is on$' init --enable-auth
gives "without a user nobody is let in any more" 'refused: .*user and password_file' mail nobody list to/db1
gives "a host gets what it must have" 'gave: read what begins with jit/to/segment/pci/' init --host db1 --segment pci -o "$work/db1.password"
refused "its password is not shown" grep -qF -- "$(cat "$work/db1.password")" <<<"$last_output"
gives "and is in a file that others cannot read" '^600$' stat -c %a "$work/db1.password"
ok "another host" init --host db2 -o "$work/db2.password"
ok "an approver" init --approver carol -o "$work/carol.password"
ok "an asker" init --asker ci --on db1 -o "$work/ci.password"
init --host db1 --segment pci >"$work/again" 2>&1
refused "the same said again changes nothing" grep -qv '^as it was: ' "$work/again"
status "a file that is there is not overwritten" 1 init --host db1 --new-password -o "$work/db2.password"
status "nobody is made without a place for the password" 1 init --host db9
gives "a role gets exactly what is said" 'took away: read what begins with jit/to/segment/pci/' init --host db1
ok "and back" init --host db1 --segment pci

ok "an approver posts to a host" mail carol put to/db1 "$(document a.jit)"
ok "and to a segment" mail carol put to/segment/pci "$(document b.jit)"
gives "the host lists it" ' a\.jit$' mail db1 list to/db1
gives "and fetches it" '^document b\.jit$' mail db1 get to/segment/pci b.jit
ok "a host posts what it says" mail db1 put from/db1 "$(document c.jit)"
gives "which the approver reads" '^document c\.jit$' mail carol get from/db1 c.jit
ok "the host takes it away" mail db1 remove from/db1 c.jit
gives "and it is gone" '^$' mail carol list from/db1
ok "who asks posts to the host named" mail ci put to/db1 "$(document d.jit)"
gives "and reads what it says" '^$' mail ci list from/db1
for box in to/db2 from/db2 to/segment/other; do
  gives "a host cannot list $box" "refused: .*read jit/$box/ for user \"jit/host/db1\"" mail db1 list "$box"
  limit=20 gives "nor watch it" "refused: .*read jit/$box/" mail db1 follow 5 "$work/none" "$box"
done
for box in to/db1 to/db2 to/segment/pci from/db2; do gives "a host cannot write to $box" "refused: .*write jit/$box/a.jit" mail db1 put "$box" "$work/a.jit"; done
gives "nor take away what is for it" 'refused: .*remove' mail db1 remove to/db1 a.jit
gives "who asks cannot write to another host" 'refused: ' mail ci put to/db2 "$work/a.jit"
gives "nor read what it is told" 'refused: ' mail ci list to/db2
gives "an approver cannot write what a host says" 'refused: ' mail carol put from/db1 "$work/a.jit"
refused "by etcd's own client a host reads no more" etcdctl 1 --user "jit/host/db1:$(cat "$work/db1.password")" get --prefix jit/
(umask 077; echo wrong >"$work/wrong.password")
gives "a wrong password is one" 'refused: .*no user "jit/host/db1" with the password in ' lab net "$tool" --ca "$work/ca.pem" --user jit/host/db1 --password-file "$work/wrong.password" "$cluster" list to/db1
gives "another server is refused" 'refused: .*certificate' lab net "$tool" --ca /etc/ssl/certs/ca-certificates.crt "$cluster" list to/db1

# --- one member: what expires -------------------------------------------------------------------------------------------

# Leases end at whole hours by the clock of who puts: a minute and a second before one, here.
ok "a document that nobody needs after a minute" mail db1 put_before_hour from/db1 61 "$(document e.jit)"
gives "is there" ' e\.jit$' mail carol list from/db1
leases=$(as_root_of_etcd 1 lease list | grep -c '^[0-9a-f]*$')
for n in 1 2 3 4 5 6 7 8; do document "l$n.jit" >/dev/null; done
ok "eight documents of one hour" mail db1 put from/db1 "$work"/l[1-8].jit
gives "have one lease" "^$((leases + 1))\$" sh -c "echo '$(as_root_of_etcd 1 lease list)' | grep -c '^[0-9a-f]*\$'"

# --- one member: certificates without a name, and a user who goes ------------------------------------------------------------

on 1 sh -c 'printf "ETCD_CLIENT_CERT_AUTH=true\nETCD_TRUSTED_CA_FILE=/etc/etcd/ca.pem\n" >>/etc/default/etcd; systemctl restart etcd'
until=$((SECONDS + 61))   # a new leader counts leases anew
gives "a client without a certificate is refused where one is asked for" '(refused|unavailable): ' mail db1 list to/db1
certificate=(--certificate "$work/named.pem" --key "$work/named.key")
gives "one with a common name is refused, and told so" 'refused: .*common name \(CN\)' mail db1 list to/db1
certificate=(--certificate "$work/nameless.pem" --key "$work/nameless.key")
gives "one without is let in, with user and password" ' a\.jit$' mail db1 list to/db1
gives "a certificate alone names nobody" 'refused: .*user and password_file' mail nobody list to/db1

mail db2 put from/db2 "$work/a.jit" >/dev/null 2>&1
limit=120 mail db2 follow 100 "$work/seen.db2" to/db2 >/dev/null 2>"$work/follow.db2" &
within_time 20 sh -c "echo; [ -e '$work/seen.db2' ]" || say "the watch of db2 is not up"
ok "before it goes, a host hears of what is posted" mail carol put to/db2 "$(document f.jit)"
soon "in time" 5 grep -q f.jit "$work/seen.db2"
gives "a host that leaves is removed" 'removed the user jit/host/db2' init --host db2 --remove
gives "with a word about its open watches" 'open go on until its connection ends|open go on until their connections end' echo "$last_output"
gives "every question of its is refused" 'refused: ' mail db2 list to/db2
ok "what is posted to it now" mail carol put to/db2 "$(document g.jit)"
sleep 2
refused "it does not get" grep -q g.jit "$work/seen.db2"
wait_for=$((until - SECONDS + 5)); [[ $wait_for -le 0 ]] || sleep "$wait_for"
soon "what has expired is gone by itself" 30 sh -c "! '$here/lab' net '$tool' --ca '$work/ca.pem' ${certificate[*]} --user jit/approver/carol --password-file '$work/carol.password' '$cluster' list from/db1 | grep -q 'e\.jit'"
gives "and nothing else" ' l1\.jit$' mail carol list from/db1

# --- three members --------------------------------------------------------------------------------------------------------------

begin $'ETCD_CLIENT_CERT_AUTH=true\nETCD_TRUSTED_CA_FILE=/etc/etcd/ca.pem' 1 2 3
cluster=$(url "${addresses[@]}")
rm -f "$work"/*.password
quietly init --enable-auth || stop_here "authentication is on"
quietly init --host db1 --segment pci -o "$work/db1.password" || stop_here "db1"
quietly init --approver carol -o "$work/carol.password" || stop_here "carol"

follow() { limit=600 mail db1 follow 600 "$work/seen" to/db1 to/segment/pci >/dev/null 2>>"$work/follow" & reader=$!; }
# Which member the reader watches: its connections, by the process that has them.
watched() {
  local pids i; pids=$(pgrep -f -- "follow 600 $work/seen" | paste -sd'|')
  for i in 1 2 3; do lab net ss -Htnp state established dst "${addresses[i - 1]}:2379" | grep -qE "pid=($pids)," && { echo "$i"; return; }; done
  return 1
}
leader() {
  local i
  for i in 1 2 3; do as_root_of_etcd "$i" endpoint status -w fields 2>/dev/null | awk -v i="$i" '/"MemberID"/ { me = $3 } /"Leader"/ { leader = $3 } END { exit !(me != "" && me == leader) }' && { echo "$i"; return; }; done
  return 1
}
documents=${JIT_ETCD_DOCUMENTS:-1200}
touch "$work/seen"
follow
within_time 20 watched >/dev/null || stop_here "db1 watches"
limit=600 mail carol post "$documents" 80 to/db1 to/segment/pci >"$work/posted" 2>>"$work/post" &
poster=$!
flowing() { local before; before=$(wc -l <"$work/seen"); within_time "${1:-20}" sh -c "[ \$(wc -l <'$work/seen') -gt $((before + 5)) ]"; }
ok "documents flow" flowing

on "$(watched || echo 1)" systemctl kill -s KILL etcd   # systemd starts it again
soon "the watched member is killed: they flow on" 20 flowing
lead=$(leader || echo 1)
on "$lead" systemctl stop etcd
soon "the leader is stopped: they flow on" 20 flowing
on "$lead" systemctl start etcd
for i in 1 2; do
  lead=$(leader || echo 1); next=$((lead % 3 + 1))
  id=$(as_root_of_etcd "$next" member list | awk -F', ' -v name="e$next" '$3 == name { print $1 }')
  ok "the lead is moved from $lead to $next" as_root_of_etcd "$lead" move-leader "$id"
done
soon "they flow on" 20 flowing
# Cut off from the others, it is still there for us.
cut=$(watched || echo 1)
on "$cut" nft -f - <<'END'
table inet cut {
  chain in { type filter hook input priority 0; tcp dport 2380 drop; tcp sport 2380 drop; }
  chain out { type filter hook output priority 0; tcp dport 2380 drop; tcp sport 2380 drop; }
}
END
soon "the watched member is cut off from the others: they flow on" 20 flowing
on "$cut" nft delete table inet cut
soon "it is back" 20 flowing
cut=$(watched || echo 1)
on "$cut" ip link set host0 down
soon "the watched member is cut off from everybody: they flow on" 25 flowing 20
on "$cut" ip link set host0 up
soon "it is back" 20 flowing
# A reader that sleeps while history is forgotten; then one that is killed, and goes on from what it has seen.
kill -STOP $(pgrep -f -- "follow 600 $work/seen"); sleep 3
revision=$(as_root_of_etcd "$(leader || echo 1)" endpoint status -w fields | awk '/"Revision"/ { print $3 }')
ok "the history is compacted" as_root_of_etcd "$(leader || echo 1)" compact "$revision"
kill -CONT $(pgrep -f -- "follow 600 $work/seen")
soon "they flow on" 20 flowing
kill -KILL $(pgrep -f -- "follow 600 $work/seen"); wait "$reader"
sleep 3
revision=$(as_root_of_etcd "$(leader || echo 1)" endpoint status -w fields | awk '/"Revision"/ { print $3 }')
ok "the history is compacted again" as_root_of_etcd "$(leader || echo 1)" compact "$revision"
follow
soon "the reader is killed, and goes on" 20 flowing
for i in 1 2 3; do on "$i" systemctl restart etcd; within_time 30 on "$i" systemctl -q is-active etcd; sleep 2; done
soon "each member is started anew, no token counts any more: they flow on" 20 flowing

wait "$poster"
ok "all documents were posted" test "$(grep -c . "$work/posted")" -eq "$documents"
seen_all() { [[ $(cut -d' ' -f2 "$work/seen" | sort -u | wc -l) -ge $documents ]]; }
soon "all of them came" 30 seen_all
kill $(pgrep -f -- "follow 600 $work/seen"); wait "$reader"
gives "none is lost" '^0$' sh -c "cut -d' ' -f2 '$work/posted' | sort >'$work/a'; cut -d' ' -f2 '$work/seen' | sort >'$work/b'; comm -23 '$work/a' '$work/b' | wc -l"
gives "none is seen twice" '^0$' sh -c "sort '$work/b' | uniq -d | wc -l"
gives "what came is what was posted" '^0$' sh -c "awk '\$2 != \$4' '$work/seen' | wc -l"
# From when it was to be posted: what its poster waited for is in it, too.
awk 'NR == FNR { posted[$2] = $1; next } { print int(($1 - posted[$2]) / 1000), $2 }' "$work/posted" "$work/seen" | sort -n >"$work/late"
say "milliseconds from posted to seen: median $(awk '{ all[NR] = $1 } END { print all[int(NR / 2) + 1] }' "$work/late"), most $(tail -1 "$work/late")"
gives "none came later than 25 seconds" '^ok$' awk '{ last = $1 } END { print (last <= 25000 ? "ok" : last) }' "$work/late"
say "$(sort "$work/follow" | uniq -c | sort -rn | head -8)"
