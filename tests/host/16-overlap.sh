#!/bin/bash
# Only what we added is taken away: overlapping grants end independently, and a membership that was there stays (P3).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up overlap
root usermod -aG db alice
grant alice quick 6s
short=$id
grant alice operator 12s
long=$id
ok "asked for a third that shares a group" request alice pair 30s
third=$id
quietly approve carol "$third"
quietly approve dave "$third"
soon "three are active" 5 is_state "$third" active
ok "the groups are there" member alice ops
soon "the shortest ends" 10 is_state "$short" ended
ok "db stays: she had it before, and another grant gives it" member alice db
soon "the second ends" 12 is_state "$long" ended
ok "ops stays while the third gives it" member alice ops
refused "sudo is gone with the one that gave it" at_sudo alice
soon "no drop-in is left" 2 root sh -c 'test -z "$(ls -A /run/jit/sudoers.d)"'
ok "the third goes" at alice "jitctl release $third"
soon "ops is gone" 2 not member alice ops
ok "db, which was hers before, stays" member alice db
ok "the group files are sound" root grpck -r
# Two sudo roles at a time: what we gave is no standing rule.
set_policy "$(policy)

[roles.reader]
eligible = [\"alice\"]
opens = [\"sudo\"]
[[roles.reader.sudo]]
as = \"root\"
commands = [\"/usr/bin/uptime\"]
password = false
[[roles.reader.rules]]
then = \"approve\""
within_time 10 root sh -c 'jitctl --json roles | grep -q reader'
grant alice operator 60s
operator=$id
grant alice reader 60s
ok "a second sudo role of the same user is given" at alice "sudo -n uptime"
ok "beside the first" at_sudo alice
ok "released" at alice "jitctl release $operator"
soon "the first goes by itself" 3 not at_sudo alice
ok "the second stays" at alice "sudo -n uptime"
ok "released too" at alice "jitctl release $id"
soon "and goes" 3 not at alice "sudo -n uptime"
# A user or group that changes meanwhile.
grant alice operator 60s
root groupmod -g 4321 ops
soon "a renumbered group ends the grant" 10 is_state "$id" ended
soon "and our member is taken out of it" 2 not member alice ops
root groupmod -g 4322 ops
grant alice operator 60s
root groupmod -n operators ops
soon "a renamed group ends the grant" 10 is_state "$id" ended
soon "and our member is taken out of it too" 2 not member alice operators
