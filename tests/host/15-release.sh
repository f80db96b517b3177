#!/bin/bash
# Giving back before the time: by the holder and by local root, and by nobody else (P8).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up release
grant alice operator 30m
gives "absent and forbidden answer alike" 'no request or grant .* yours to see' at bob "jitctl show $id"
gives "whoever asks" 'no request or grant .* yours to see' at bob "jitctl show 0000000000000000"
refused "somebody else cannot release it" at bob "jitctl release $id"
ok "sudo still works" at_sudo alice
ok "the holder releases it" at alice "jitctl release $id"
soon "it is over within a second" 1 nothing_left
refused "sudo is refused" at_sudo alice
refused "ssh is refused" can_ssh alice
ok "a request can be withdrawn too" request alice operator 20s
ok "withdrawn" at alice "jitctl release $id"
quietly approve carol "$id"
refused "and not be approved any more" is_state "$id" active
grant alice operator 30m
ok "local root ends any grant" root jitctl release "$id"
soon "nothing is left" 1 nothing_left
ok "the audit chain holds" root jitctl audit verify
