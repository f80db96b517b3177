#!/bin/bash
# Rules that were there before: ours is read last and wins, also where it must be recorded; a rule that sorts behind ours
# and would win is noticed; sudo's timestamps and cached tickets open nothing.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up standing
root sh -c 'echo "alice ALL=(root) PASSWD: /usr/bin/id" >/etc/sudoers.d/alice; chmod 440 /etc/sudoers.d/alice'
grant alice operator 20s
ok "a standing rule with a password does not win over ours without" at_sudo alice
soon "it ends" 25 is_state "$id" ended
refused "and the standing rule is as it was: behind the gate" at_sudo alice

# A rule that sorts behind zz-jit wins in sudo; then what was signed is not what would happen.
root sh -c 'echo "alice ALL=(root) PASSWD: /usr/bin/id" >/etc/sudoers.d/zzz-late; chmod 440 /etc/sudoers.d/zzz-late'
ok "asked" request alice operator 20s
quietly approve carol "$id"
sleep 2
refused "a drop-in whose readback differs is not given" is_state "$id" active
ok "nothing is left of it" nothing_left
gives "and the user reads why" '.' at alice "jitctl show $id"
root rm -f /etc/sudoers.d/zzz-late /etc/sudoers.d/alice

# A ticket that sudo cached during the grant is worth nothing after it.
set_policy "$(policy | sed 's/^password = false/password = true/')"
sleep 1
grant alice operator 12s
ok "with the password" at alice "echo word-of-alice | sudo -S -p '' id"
soon "it ends" 15 is_state "$id" ended
refused "the ticket is worth nothing" at_sudo alice
