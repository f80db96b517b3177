#!/bin/bash
# The journey of one grant, as people live it: refused, asked, approved by somebody else with an SSH key, used by ssh and
# sudo, over by itself, refused again, nothing left (P1, P2, P3, P9).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up journey

refused "ssh is refused without a grant" can_ssh alice
gives "and the refusal says what to do" 'jitctl request operator' as alice true
refused "so is sudo" at_sudo alice
gives "root still gets in by ssh" '^uid=0' as root id
ok "and so does the rescue account" can_ssh rescue

status "asking gives exit status 3, pending" 3 at alice "jitctl request operator 5m --no-wait -m 'vacuum stuck'"
gives "and the same request again is the same request" '"state": *"pending"' at alice "jitctl --json request operator 20s --no-wait -m 'vacuum stuck'"
ok "asked" request alice operator 5m
refused "a pending request opens nothing" can_ssh alice
refused "the requester cannot approve it" at alice "jitctl approve $id --yes"
refused "nor can somebody who is no approver" at bob "jitctl approve $id --yes"
refused "still nothing" at_sudo alice
ok "nothing is on the host either" nothing_left

gives "the approver sees who and why" 'why operator' at carol "jitctl pending"
gives "and exactly what the host would give" 'group ops gid [0-9]+' at carol "jitctl show $id"
ok "the approver signs" approve carol "$id"
soon "the grant is active" 5 is_state "$id" active
ok "ssh works" can_ssh alice
gives "id shows the group in that login" '\(ops\)' as alice id
ok "sudo works in it" can_sudo alice
refused "for that command alone" as alice "sudo -n /usr/bin/true"
refused "and without other arguments" as alice "sudo -n cat /etc/gshadow"
ok "with exactly the argument given" as alice "sudo -n cat /etc/shadow"
ok "sudo works on the console too" at_sudo alice
ok "the membership is in /etc/group" member alice ops
gives "and in /etc/gshadow" '^ops:[^:]*:[^:]*:alice$' root cat /etc/gshadow
ok "the drop-in passes visudo" root sh -c 'for f in /run/jit/sudoers.d/*; do visudo -cqf "$f" || exit 1; done'
gives "it is root's alone, and read-only" '^440 0 0$' root sh -c 'stat -c "%a %u %g" /run/jit/sudoers.d/*'
status "asking for what is held gives exit status 0" 0 at alice "jitctl request operator 5m --no-wait -m more"

ok "given back" at alice "jitctl release $id"
grant alice operator 8s
ok "a short one works as well" at_sudo alice
soon "it ends by itself" 12 is_state "$id" ended
refused "ssh is refused again" can_ssh alice
refused "sudo is refused again" at_sudo alice
ok "nothing is left in /etc/group, gshadow or /run/jit/sudoers.d" nothing_left
ok "the group files are sound" root grpck -r
gives "the audit names requester and approver" 'carol' root jitctl audit log
ok "and its chain holds" root jitctl audit verify
