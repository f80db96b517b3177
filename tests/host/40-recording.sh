#!/bin/bash
# What a role records comes to stand under its grant, also with two grants that give the same command; the user is told; what
# cannot be recorded is not run, and where that is known not given.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up recording
role() {   # NAME RUN-AS RECORD
  cat <<END

[roles.$1]
eligible = ["alice", "bob"]
opens = ["login", "sudo"]
dangerous = true
[[roles.$1.sudo]]
as = "$2"
commands = ["/usr/bin/echo ...", "/usr/bin/sh ..."]
password = false
record = $3
[[roles.$1.rules]]
then = "approve"
END
}
set_policy "$(policy; role recorded root true; role other daemon true; role best root '"best-effort"')"
within_time 10 eval 'at alice jitctl --json roles | grep -q best' || stop_here "jitd takes the policy"
recordings() { root sh -c "ls /var/log/jit-io/$1 2>/dev/null | grep -c '^[0-9]'"; }
has() { [[ $(recordings "$1") -eq $2 ]]; }

# --- under their grants -------------------------------------------------------------------------------------------------

grant alice recorded 5m; first=$id
gives "roles say that it is recorded" 'recorded' at alice "jitctl roles"
gives "show too" 'echo \.\.\. \[nopasswd record\]' at alice "jitctl show $first"
gives "sudo says so when it starts, with the grant" "recorded, under grant $first" as alice "sudo -n echo said-by-alice"
gives "what the command says is not mixed with it" '^said-by-alice$' as alice "sudo -n echo said-by-alice 2>/dev/null"
ok "both are under the grant" has "$first" 2
grant bob recorded 5m; second=$id
grant alice other 5m; third=$id
ok "bob runs the same command" as bob "sudo -n echo said-by-bob"
ok "alice runs it as somebody else" as alice "sudo -n -u daemon echo said-as-daemon"
ok "alice runs it as before" as alice "sudo -n echo again-by-alice"
ok "bob's is under bob's grant" has "$second" 1
ok "as daemon under the grant that gives that" has "$third" 1
ok "as root under the other" has "$first" 3
gives "the folder is root's alone" '^700 0:0$' root stat -c '%a %u:%g' /var/log/jit-io
refused "nobody else reads it" at alice "ls /var/log/jit-io/$first"
refused "nothing is left unclaimed" root sh -c 'ls -d /var/log/jit-io/unclaimed-*'

# --- replay -------------------------------------------------------------------------------------------------------------

gives "replay lists them" '^3 .*alice +root +/usr/bin/echo again-by-alice' root jitctl replay "$first"
gives "for programs" '"recording":1,.*"command":"/usr/bin/echo said-by-bob"' root jitctl --json replay "$second"
gives "and plays one" 'said-as-daemon' root jitctl replay "$third" 1
status "for root alone" 5 at alice "jitctl replay $first"
last_output=$(at bob "jitctl --json extend $second 10m -m longer"); longer=$(json_field id <<<"$last_output")
ok "an extension of it" is_state "$longer" active bob
ok "its commands come to stand with the first's" as bob "sudo -n echo said-later"
gives "and are listed for it" '^2 .*said-later' root jitctl replay "$longer"
gives "with what was before" '^1 .*said-by-bob' root jitctl replay "$longer" --list
refused "no other name leads anywhere" root jitctl replay ../log

# --- an end, and what outlives it ---------------------------------------------------------------------------------------

grant bob other 5s; short=$id
as bob "sudo -n -u daemon sh -c 'echo before-the-end; sleep 60'" &
soon "it ends" 10 is_state "$short" ended bob
wait
gives "what was shown before the end is there" 'before-the-end' root jitctl replay "$short" 1

# --- where it cannot be -------------------------------------------------------------------------------------------------

root mount -t tmpfs -o size=16k full /var/log/jit-io
root sh -c 'head -c 100k /dev/zero >/var/log/jit-io/fill' 2>/dev/null
refused "what cannot be written is not run" as alice "sudo -n echo unrecorded-1"
root umount /var/log/jit-io
ok "and is again" as alice "sudo -n echo recorded-4"
at alice "jitctl release --all" >/dev/null 2>&1; at bob "jitctl release --all" >/dev/null 2>&1

root sh -c 'echo "Defaults ignore_iolog_errors" >/etc/sudoers.d/errors; chmod 440 /etc/sudoers.d/errors'
request alice recorded 5m
refused "where sudoers has ignore_iolog_errors it is not given" is_state "$id" active
gives "and the user is told why" 'ignore_iolog_errors' echo "$last_output $(at alice "jitctl show $id" 2>&1)"
grant alice best 5m
gives "best effort is, and recorded" "recorded, under grant $id" as alice "sudo -n echo best"
at alice "jitctl release --all" >/dev/null 2>&1
root rm /etc/sudoers.d/errors
root sh -c 'echo "Defaults!/usr/bin/echo iolog_dir=/tmp/elsewhere" >/etc/sudoers.d/elsewhere; chmod 440 /etc/sudoers.d/elsewhere'
request alice recorded 5m
refused "where sudoers sends it elsewhere it is not given" is_state "$id" active
gives "and the user is told why" 'iolog_dir=/tmp/elsewhere' echo "$last_output $(at alice "jitctl show $id" 2>&1)"
root rm /etc/sudoers.d/elsewhere

if [[ $JIT_SUITE != bookworm ]]; then
  quietly lab apt "$host" install -y --no-install-recommends sudo-rs || stop_here "sudo-rs installs"
  grant alice recorded 5m
  gives "sudo records beside sudo-rs" "recorded, under grant $id" as alice "sudo -n echo beside"
  refused "which cannot run it" as alice "sudo-rs -n echo unrecorded-2"
  at alice "jitctl release --all" >/dev/null 2>&1
  grant alice best 5m
  ok "sudo-rs runs what is best effort" as alice "sudo-rs -n echo unrecorded-3"
  gives "which sudo records" "recorded, under grant $id" as alice "sudo -n echo recorded-5"
  at alice "jitctl release --all" >/dev/null 2>&1
fi
quietly root dpkg -P --force-depends jitd
refused "a purge takes the recordings too" root test -e /var/log/jit-io
