#!/bin/bash
# Two approvers: persons count, not keys, and one person is one (P1).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up pair
# A second key of carol's, in the trust file like her first.
at carol "ssh-keygen -q -t ed25519 -N '' -f .ssh/second"
root sh -c 'echo "carol@example.org namespaces=\"jit-review,jit-grant\" $(cut -d" " -f1,2 /home/carol/.ssh/second.pub)" >>/etc/jit/trust/approvers'
sleep 1

ok "asked" request alice pair 15s
ok "the first signs" approve carol "$id"
ok "one is not enough" is_state "$id" pending
ok "nothing is given" nothing_left
gives "who is waited for is said" 'leads' at alice "jitctl show $id"
quietly at carol "jitctl approve $id --yes --key .ssh/second"
ok "the same person's other key is the same person" is_state "$id" pending
ok "the second signs" approve dave "$id"
soon "now it is active" 5 is_state "$id" active
gives "both are named" 'dave' at alice "jitctl show $id"
ok "both groups are given" member alice db
ok "both" member alice ops
ok "ssh works" can_ssh alice
refused "sudo is not part of the role" at_sudo alice
soon "it ends by itself" 20 is_state "$id" ended
ok "nothing is left" nothing_left

# Both at the same time.
ok "asked again" request alice pair 15s
at carol "jitctl approve $id --yes" >/dev/null 2>&1 &
at dave "jitctl approve $id --yes" >/dev/null 2>&1 &
wait
soon "two signatures at once count both" 5 is_state "$id" active
