# Host tests: booted hosts (tests/host/lab), people on them, and assertions in TAP. Sourced by the tests; run as root.
#
# A test is a bash script that sources this, calls `up` and then asserts; its hosts go down when it exits. Several tests may
# run side by side. Environment: JIT_SUITE (bookworm or trixie), JIT_DIST (folder with the .deb files), JIT_LOGS.
#
# People on every host: alice and bob ask; carol and dave approve, each with an ed25519 key; rescue is exempt from every gate;
# all log in by ssh with one key of the test's. bob has a sudo rule of his own. Groups: ops and db are what roles give.
# shellcheck shell=bash
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
export LAB=${LAB:-/var/cache/jit-lab} LAB_NET=${LAB_NET:-jitlab}
JIT_SUITE=${JIT_SUITE:-bookworm}
if [[ -z ${JIT_DIST:-} ]]; then
  JIT_DIST=$top/dist
  [[ $JIT_SUITE == $(. /etc/os-release && echo "$VERSION_CODENAME") ]] || JIT_DIST=$top/dist/$JIT_SUITE
fi
JIT_LOGS=${JIT_LOGS:-$top/build/test-logs}
test_name=$(basename "$0" .sh)
keys=$LAB/keys
lab() { "$here/lab" "$@"; }

# --- assertions ---------------------------------------------------------------------------------------------------------

count=0
failures=0
pass() { count=$((count + 1)); echo "ok $count - $*"; }
flunk() { count=$((count + 1)); failures=$((failures + 1)); echo "not ok $count - $*"; }
say() { head -20 <<<"$*" | while IFS= read -r line; do echo "# $line"; done; }

# Runs CMD in this shell, its output in $last_output.
last_output=
scratch=$(mktemp /tmp/jit-host-test-XXXXXX)
quietly() { local status=0; "$@" >"$scratch" 2>&1 || status=$?; last_output=$(tr -d '\0' <"$scratch"); return $status; }

# ok WHAT CMD...: CMD succeeds. refused WHAT CMD...: it fails. gives WHAT REGEX CMD...: its output matches, whatever its status.
ok() { local what=$1 got=0; shift; quietly "$@" || got=$?; if [[ $got -eq 0 ]]; then pass "$what"; else flunk "$what"; say "status $got of: $*"; say "$last_output"; fi; }
# refused WHAT CMD...: CMD fails, and not because nobody answered.
refused() {
  local what=$1; shift
  if quietly "$@"; then flunk "$what"; say "went through: $*"; say "$last_output"
  elif grep -qE 'Connection timed out|No route to host' <<<"$last_output"; then flunk "$what"; say "no answer to: $*"; say "$last_output"
  else pass "$what"; fi
}
gives() { local what=$1 regex=$2; shift 2; quietly "$@" || true; if grep -Eq -- "$regex" <<<"$last_output"; then pass "$what"; else flunk "$what"; say "no /$regex/ in what came of: $*"; say "$last_output"; fi; }
# status WHAT N CMD...: CMD exits with N.
status() { local what=$1 wanted=$2 got=0; shift 2; quietly "$@" || got=$?; if [[ $got -eq $wanted ]]; then pass "$what"; else flunk "$what"; say "status $got, not $wanted, of: $*"; say "$last_output"; fi; }
# soon WHAT SECONDS CMD...: CMD succeeds before so long (checked ten times a second).
within_time() { local until; until=$(($(date +%s%N) + $1 * 1000000000)); shift; while ! quietly "$@"; do [[ $(date +%s%N) -lt $until ]] || return 1; sleep 0.1; done; }
soon() { local what=$1 seconds=$2; shift 2; if within_time "$seconds" "$@"; then pass "$what"; else flunk "$what"; say "not within $seconds s: $*"; say "$last_output"; fi; }
not() { ! "$@"; }

# --- programs of ours besides the packages --------------------------------------------------------------------------------

# program NAME: the path of mailbox-tool or jitctl, as it was built with the packages, or built now.
program() {
  local name=$1 path=tests/host/$1 deb=$top/build/deb/pam-jit/debian/build
  [[ $name != jitctl ]] || path=jitctl/jitctl
  if [[ -x $deb/$path ]]; then echo "$deb/$path"; return; fi
  mkdir -p "$top/build" "$JIT_LOGS"
  (
    flock 8
    cd "$top" && CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1 cmake --preset release && cmake --build build/release --target "$name"
  ) 8>"$top/build/programs.lock" >"$JIT_LOGS/programs.log" 2>&1 || { tail -20 "$JIT_LOGS/programs.log"; return 1; }
  echo "$top/build/release/$path"
}
# push_program PATH: onto $host, with libfmt, of which its own release may have another.
push_program() {
  local library
  lab push "$host" "$1" "/usr/local/bin/$(basename "$1")"
  for library in $(ldd "$1" | sed -n 's/.* => \([^ ]*libfmt[^ ]*\).*/\1/p'); do
    lab push "$host" "$(readlink -f "$library")" "/usr/local/lib/$(basename "$library")"
  done
  lab run "$host" ldconfig
}

# --- hosts --------------------------------------------------------------------------------------------------------------

hosts=()
host=      # the one that the functions below talk to
id=        # of the last request

finish() {
  local code=$? h
  trap - EXIT
  mkdir -p "$JIT_LOGS"
  for h in "${hosts[@]}"; do
    lab run "$h" journalctl --no-pager -o short-precise >"$JIT_LOGS/$test_name.$h.journal" 2>&1
    cp "$LAB/host-$h/console" "$JIT_LOGS/$test_name.$h.console" 2>/dev/null
    lab down "$h" >/dev/null 2>&1
  done
  if [[ $code -ne 0 && $failures -eq 0 ]]; then flunk "$test_name ran to its end"; fi
  echo "1..$count"
  rm -f "$scratch"
  [[ $failures -eq 0 && $code -eq 0 ]]
  exit
}
trap finish EXIT
trap 'exit 1' INT TERM

stop_here() { flunk "$*"; say "$last_output"; exit 1; }

# The base with everything that packages depend on and all people, so that a test's host only installs the packages.
base_name() { echo "jit-$JIT_SUITE-$( { for p in "$JIT_DIST"/*.deb; do dpkg-deb -f "$p" Package Depends; done; declare -f people prepare_base; } | sha256sum | cut -c1-10)"; }

people() {
  cat <<'END'
set -e
groupadd ops; groupadd db; groupadd staff-of-ours
for u in alice bob carol dave rescue; do
  useradd -m -s /bin/bash "$u"
  echo "$u:word-of-$u" | chpasswd
  install -d -m 700 -o "$u" -g "$u" "/home/$u/.ssh"
  install -m 600 -o "$u" -g "$u" /root/login.pub "/home/$u/.ssh/authorized_keys"
done
install -d -m 700 /root/.ssh
install -m 600 /root/login.pub /root/.ssh/authorized_keys
for u in carol dave; do runuser -u "$u" -- ssh-keygen -q -t ed25519 -N '' -C "$u" -f "/home/$u/.ssh/id_ed25519"; done
# Refusals are what is tested, many in a row and all from one address: an sshd that counts them (9.8 and later) would shut out.
if sshd -T 2>/dev/null | grep -qi '^persourcepenalties'; then echo 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/tests.conf; fi
echo 'bob ALL=(root) NOPASSWD: /usr/bin/id' >/etc/sudoers.d/bob
chmod 440 /etc/sudoers.d/bob
END
}

# What the packages depend on, but for each other.
dependencies() {
  local p
  for p in "$JIT_DIST"/*.deb; do dpkg-deb -f "$p" Depends Pre-Depends; done | sed 's/^[A-Za-z-]*: //' | tr ',' '\n' |
    sed 's/|.*//; s/(.*//; s/ //g' | grep -vE '^(jitctl|libpam-jit|jitd|jitd-sync|)$' | sort -u
}

prepare_base() {
  local base=$1 h=jitbase$$ needed p
  [[ -e $LAB/base-$JIT_SUITE/etc/debian_version ]] || lab base "$JIT_SUITE" >/dev/null || return 1
  mkdir -p "$keys"
  [[ -e $keys/login ]] || ssh-keygen -q -t ed25519 -N '' -C login -f "$keys/login"
  lab up "$h" "$JIT_SUITE" || return 1
  {
    lab push "$h" "$keys/login.pub" /root/login.pub
    lab apt "$h" update
    lab apt "$h" install -y --no-install-recommends libpam-modules psmisc strace perl
    [[ $JIT_SUITE != trixie ]] || lab apt "$h" install -y --no-install-recommends --download-only sudo-rs
    lab run "$h" sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d'
    mapfile -t needed < <(dependencies)
    lab apt "$h" install -y --no-install-recommends "${needed[@]}"
    lab run "$h" rm -f /usr/sbin/policy-rc.d
    people | lab run "$h" bash
  } >"$JIT_LOGS/base.log" 2>&1 || { lab down "$h"; cat "$JIT_LOGS/base.log"; return 1; }
  lab keep "$h" "$base"
}

# once BASE FUNCTION: makes a base once, also when several tests start together.
once() {
  mkdir -p "$LAB" "$JIT_LOGS"
  (
    flock 8
    [[ -e $LAB/base-$1/over ]] || "$2" "$1" 8>&-
  ) 8>"$LAB/prepare.lock"
}
ensure_base() { once "$(base_name)" prepare_base; }

# server_base NAME UNITS PACKAGE...: a base with these packages and nothing of ours, whose UNITS do not start by themselves; its name
# is in $server_base.
server_base() {
  local name=$1; server_units=$2; shift 2
  server_packages=("$@")
  server_base=jit-$name-$JIT_SUITE-$(printf '%s ' "$@" | sha256sum | cut -c1-10)
  once "$server_base" prepare_server
}
prepare_server() {
  local base=$1 h=jitserver$$
  [[ -e $LAB/base-$JIT_SUITE/etc/debian_version ]] || lab base "$JIT_SUITE" >/dev/null || return 1
  lab up "$h" "$JIT_SUITE" || return 1
  {
    lab apt "$h" update
    lab run "$h" sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d'
    lab apt "$h" install -y --no-install-recommends "${server_packages[@]}"
    lab run "$h" rm -f /usr/sbin/policy-rc.d
    lab run "$h" sh -c "systemctl disable $server_units"
  } >"$JIT_LOGS/$base.log" 2>&1 || { lab down "$h"; cat "$JIT_LOGS/$base.log"; return 1; }
  lab keep "$h" "$base"
}

# boot NAME: a host with everybody on it and nothing of ours installed; becomes $host. Its name gets a number, so that the
# same test can run twice at a time.
boot() {
  host=$1$((RANDOM % 900 + 100))
  [[ -n $(ls "$JIT_DIST"/jitd_*.deb 2>/dev/null) ]] || stop_here "packages in $JIT_DIST (packaging/build deb)"
  quietly ensure_base || stop_here "a base for hosts"
  hosts+=("$host")
  quietly lab up "$host" "$(base_name)" || stop_here "host $host boots"
}

# Installs what is given, or the packages of this build.
install_packages() {
  local p packages=("$@")
  [[ $# -gt 0 ]] || packages=("$JIT_DIST"/{libpam-jit,jitctl,jitd}_*.deb)
  root install -d /root/debs
  root sh -c 'rm -f /root/debs/*'
  for p in "${packages[@]}"; do lab push "$host" "$p" /root/debs/; done
  quietly root sh -c 'dpkg -i /root/debs/*.deb' || stop_here "the packages install"
}

# carries_by FOLDER: jitd-sync on the host of now, with one source, that folder; boxes in it for the host, and in $mail its name.
carries_by() {
  mail=$1
  install_packages "$JIT_DIST"/jitd-sync_*.deb
  root install -d -m 755 "$mail" "$mail/to" "$mail/to/$host" "$mail/to/segment"
  root install -d -m 755 -o _jit-sync "$mail/from" "$mail/from/$host"
  root sh -c 'printf "\n[[sources]]\nname = \"mail\"\nurl = \"%s\"\n" "$1" >>/etc/jit/jitd.toml' sh "$mail"
}
# sends FILE NAME: puts a file of the host into the host's box, as a courier with manners does.
sends() { root sh -c 'cp "$1" "$2/.$3.new" && mv "$2/.$3.new" "$2/$3"' sh "$1" "$mail/to/$host" "$2"; }
source_state() { root sh -c "sed -n 's/^$1 //p' /var/lib/jit-sync/mail.status"; }
source_is() { [[ $(source_state state) == "$1" ]]; }

# up NAME [DEB...]: a host with the packages, the tests' policy and trust, and enforced gates on sshd and sudo.
up() {
  local name=$1; shift
  boot "$name"
  install_packages "$@"
  set_policy "$(policy)"
  set_trust
  quietly root sh -c '/usr/libexec/jit/gate-lines enforce sshd && /usr/libexec/jit/gate-lines enforce sudo' || stop_here "gate lines are written"
  within_time 10 active_policy || stop_here "jitd takes the policy"
}

root() { lab run "$host" "$@"; }                                             # as root, on the console
at() { local who=$1; shift; lab run "$host" runuser -l "$who" -c "$*"; }       # as somebody, on the console
address() { lab addr "$host"; }
# as USER CMD: as somebody, over a real ssh from outside.
as() {
  local who=$1; shift
  lab net ssh -n -i "$keys/login" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=30 \
    -o ControlPath=none "$who@$(address)" "$*" 2>&1 | grep -v '^Warning: Permanently added'
  return "${PIPESTATUS[0]}"
}
put() { lab run "$host" tee "$1" >/dev/null; }                                 # standard input into a file

policy() {
  cat <<'END'
[defaults]
max_duration = "1h"

[people.carol]
users = ["carol"]
principals = ["carol@example.org"]
[people.dave]
users = ["dave"]
principals = ["dave@example.org"]

[approvers]
leads = ["carol", "dave"]

[roles.operator]
description = "Operate the host"
eligible = ["alice", "bob"]
groups = ["ops"]
opens = ["login", "sudo"]
dangerous = true
[[roles.operator.sudo]]
as = "root"
commands = ["/usr/bin/id", "/usr/bin/cat /etc/shadow"]
password = false
[[roles.operator.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]

[roles.pair]
description = "Needs two"
eligible = ["alice"]
groups = ["db", "ops"]
opens = ["login"]
[[roles.pair.rules]]
then = "review"
approvals = [ { by = "leads", count = 2 } ]

[roles.quick]
description = "Approves by itself"
eligible = ["alice"]
groups = ["db"]
opens = ["login"]
[[roles.quick.rules]]
then = "approve"

[[gates]]
name = "login"
services = ["sshd"]
users = ["*"]
except = ["root", "rescue", "carol", "dave"]
mode = "enforce"
help = "Ask with: jitctl request operator -m why"

[[gates]]
name = "sudo"
services = ["sudo", "sudo-i"]
users = ["*"]
except = ["root", "rescue"]
mode = "enforce"
END
}

# The same with a role for commands that run on and on, and one whose commands are left alone at its end.
runner_policy() {
  policy
  cat <<'END'

[roles.runner]
eligible = ["alice"]
groups = ["ops"]
opens = ["login", "sudo"]
dangerous = true
[[roles.runner.sudo]]
as = "root"
commands = ["/usr/bin/sleep ...", "/usr/bin/setsid ...", "/usr/bin/nohup ...", "/usr/bin/sh ..."]
password = false
[[roles.runner.rules]]
then = "approve"

[roles.stays]
eligible = ["alice"]
opens = ["login", "sudo"]
dangerous = true
on_end = "leave"
[[roles.stays.sudo]]
as = "root"
commands = ["/usr/bin/sleep ..."]
password = false
[[roles.stays.rules]]
then = "approve"
END
}

set_policy() { put /etc/jit/policy.d/10-test.toml <<<"$1"; }
set_trust() {
  root sh -c 'for u in carol dave; do
    echo "$u@example.org namespaces=\"jit-review,jit-grant,jit-revocation,jit-lock\" $(cut -d" " -f1,2 /home/$u/.ssh/id_ed25519.pub)"
  done >/etc/jit/trust/approvers'
}
active_policy() { at alice jitctl --json roles | grep -q operator; }
restart_jitd() { root systemctl restart jitd.service; }

# --- grants -------------------------------------------------------------------------------------------------------------

json_field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -1; }

# request USER ROLE DURATION: files it and leaves its id in $id and its state in $state.
request() {
  local out
  out=$(at "$1" "jitctl --json request $2 $3 --no-wait -m 'why $2'" 2>&1)
  last_output=$out
  state=$(json_field state <<<"$out")
  id=$(json_field id <<<"$out")
  [[ -n $id ]]
}
approve() { at "$1" "jitctl approve $2 --yes -m fine"; }
grant_state() { at "${2:-alice}" "jitctl --json show $1" | json_field state; }
is_state() { [[ $(grant_state "$1" "${3:-alice}") == "$2" ]]; }

# grant USER ROLE DURATION: asked, approved by carol where somebody must, and active; ends the test when it is not.
grant() {
  request "$1" "$2" "$3" || stop_here "$1 asks for $2"
  [[ $state == active ]] || quietly approve carol "$id" || stop_here "carol approves $2 for $1"
  within_time 10 is_state "$id" active "$1" || stop_here "$2 of $1 becomes active"
}

member() { root grep -Eq "^$2:[^:]*:[0-9]*:([^:]*,)?$1(,|\$)" /etc/group; }
dropins() { root sh -c 'ls -A /run/jit/sudoers.d' | grep -c . ; }
# Nothing that a grant gave is left on the host: no member of ops or db, in either file, and no drop-in.
nothing_left() {
  root sh -c '! grep -E "^(ops|db):.*:[^:]+$" /etc/group /etc/gshadow && test -z "$(ls -A /run/jit/sudoers.d 2>/dev/null)"'
}
can_sudo() { as "$1" "sudo -n id" | grep -q '^uid=0'; }
can_ssh() { as "$1" true; }
at_sudo() { at "$1" "sudo -n id" | grep -q '^uid=0'; }
