#!/bin/bash
# A revocation ends what is active at once, by id, by user and all; a lock refuses what comes (P2, P7).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up revoke
grant alice operator 30m
ok "sudo works" at_sudo alice
refused "a user cannot revoke" at bob "jitctl revoke $id --yes -m no"
ok "one approver revokes it" at dave "jitctl revoke $id -m 'wrong host'"
soon "it is over within a second" 1 is_state "$id" ended
refused "sudo is refused" at_sudo alice
refused "ssh is refused" can_ssh alice
ok "nothing is left" nothing_left
gives "the user reads why" 'wrong host' at alice "jitctl show $id"
first=$id

grant alice operator 30m
grant bob operator 30m
ok "by user" at carol "jitctl revoke --user alice -m 'left the team'"
soon "hers is over" 2 not member alice ops
ok "his is not" member bob ops
ok "his sudo works" at_sudo bob
ok "all" at carol "jitctl revoke --all -m drill"
soon "nothing is left" 2 nothing_left

ok "what was revoked comes back neither by a restart" restart_jitd
sleep 1
ok "of the daemon" nothing_left
ok "the first stays over" is_state "$first" ended

grant alice operator 30m
ok "a lock" at dave "jitctl lock alice -m 'account under investigation'"
quietly sleep 1
status "refuses what comes" 5 at alice "jitctl request operator 20s --no-wait -m why"
