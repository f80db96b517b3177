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
