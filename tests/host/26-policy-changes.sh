#!/bin/bash
# Trust and policy as they stand decide, at every moment: a removed key, an edited role, a broken file.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up policy
grant alice operator 10m
root sed -i '/^carol@/d' /etc/jit/trust/approvers
soon "a removed approver's grants end" 10 is_state "$id" ended
ok "nothing is left" nothing_left
set_trust
sleep 1
grant alice operator 10m
set_policy "$(policy | sed 's/^groups = \["ops"\]/groups = ["db"]/')"
soon "an edited role ends its grants: they are not what was signed" 10 is_state "$id" ended
set_policy "$(policy)"
sleep 1
grant alice operator 10m
set_policy "$(policy | sed 's/^then = "review"/then = "reviev"/')"
sleep 2
ok "a broken policy changes nothing for grants" is_state "$id" active
gives "and is named by file and line" '10-test.toml:[0-9]+' root jitctl policy check
ok "also over a restart: the last good one is kept" restart_jitd
soon "still active" 10 is_state "$id" active
root systemctl stop jitd.service
ok "also over a reboot" lab reboot "$host"
soon "still active" 20 is_state "$id" active
set_policy "$(policy)"
ok "check is content" root jitctl policy check
ok "asked before an edit" request alice pair 10m
set_policy "$(policy | sed 's/^groups = \["db", "ops"\]/groups = ["db"]/')"
sleep 1
quietly approve carol "$id"
quietly approve dave "$id"
sleep 2
refused "what was signed is not what would be given now: refused" is_state "$id" active
set_policy "$(policy | sed 's/eligible = \["alice", "bob"\]/eligible = ["bob"]/')"
refused_alice() { local got=0; at alice "jitctl request operator 20s --no-wait -m why" || got=$?; [[ $got -eq 5 ]]; }
soon "who is no longer eligible is refused" 10 refused_alice
soon "and holds nothing" 10 nothing_left

# Whom a gate excepts is resolved by name from the local files, and follows them.
root groupadd --system breakglass
set_policy "$(policy | sed 's/^except = \["root", "rescue", "carol", "dave"\]/except = ["root", "rescue", "carol", "dave", "@breakglass"]/')"
sleep 1
refused "bob is not excepted" can_ssh bob
root usermod -aG breakglass bob
soon "a new member of an excepted group gets in" 5 can_ssh bob
root gpasswd -d bob breakglass
soon "and no longer when taken out of it" 5 not can_ssh bob
