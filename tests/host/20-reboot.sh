#!/bin/bash
# A reboot and a power cut in the middle of a grant: boot starts with nothing granted; what is still in force comes back
# for what remains, what ended meanwhile does not (P2, P4).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up reboot
end_of() { at alice "jitctl --json show $1" | sed -n 's/.*"not_after": *\([0-9]*\).*/\1/p' | head -1; }
grant alice operator 10m
long=$id
grant alice quick 6s
short=$id
until=$(end_of "$long")
quietly lab reboot "$host"
soon "after a reboot the grant is active again" 20 is_state "$long" active
ok "sudo works" at_sudo alice
ok "ssh works" can_ssh alice
soon "what ended meanwhile is over" 10 is_state "$short" ended
ok "and left no group" not member alice db
gives "the end did not move" "^$until\$" end_of "$long"

quietly lab cut "$host"
soon "after a power cut it is active again" 20 is_state "$long" active
ok "sudo works" at_sudo alice
gives "with the same end" "^$until\$" end_of "$long"
ok "it can be released" at alice "jitctl release $long"
soon "nothing is left" 2 nothing_left
quietly lab cut "$host"
soon "jitd is back" 20 active_policy
ok "what was released stays over" is_state "$long" ended
ok "and nothing is left" nothing_left

# jitd does not come up after the boot: nothing is granted, and people are refused, not let in.
grant alice operator 10m
root systemctl mask jitd.service >/dev/null 2>&1
quietly lab cut "$host"
ok "a boot without jitd starts with nothing granted" nothing_left
refused "sudo is refused" at_sudo alice
refused "ssh is refused" can_ssh alice
ok "root gets in" as root true
ok "the audit chain holds" root sh -c 'systemctl unmask jitd.service; systemctl start jitd.service; jitctl audit verify'
