#!/bin/bash
# A denial ends a request for good, and a rule may deny by itself.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up denial
ok "asked" request alice operator 20s
ok "the approver denies" at carol "jitctl deny $id --yes -m 'call me first'"
soon "the request is over" 5 not is_state "$id" pending
gives "the requester reads why" 'call me first' at alice "jitctl show $id"
quietly approve dave "$id"
refused "nobody can approve it afterwards" is_state "$id" active
ok "nothing was given" nothing_left
refused "ssh stays refused" can_ssh alice
ok "a new request is a new one" request alice operator 20s
ok "which can be approved" approve dave "$id"
soon "and is active" 5 is_state "$id" active

set_policy "$(policy | sed '/^\[\[roles.operator.rules\]\]/,/^approvals/c\[[roles.operator.rules]]\nthen = "deny"\nmessage = "Call the duty manager."')"
soon "the grant ends when its rule denies" 10 is_state "$id" ended
status "asking is refused with exit status 5" 5 at alice "jitctl request operator 20s --no-wait -m why"
gives "and with the rule's message" 'Call the duty manager' at alice "jitctl request operator 20s --no-wait -m why"
ok "nothing is left" nothing_left
