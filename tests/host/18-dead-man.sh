#!/bin/bash
# A grant ends in time without jitd: hung, killed, kept from starting (P2).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up deadman
grant alice operator 10s
root systemctl kill -s STOP jitd.service
ok "with jitd hung the grant works" can_ssh alice
soon "and ends in time" 11 nothing_left
refused "sudo is refused" at_sudo alice
refused "ssh is refused" can_ssh alice
soon "jitd is killed or comes back, and answers" 40 is_state "$id" ended

grant alice operator 5s
root systemctl mask --runtime jitd.service >/dev/null 2>&1
root systemctl kill -s KILL jitd.service
soon "with jitd dead for good it ends in time" 8 nothing_left
refused "sudo is refused" at_sudo alice
refused "ssh is refused" can_ssh alice
root systemctl unmask --runtime jitd.service >/dev/null 2>&1
root systemctl start jitd.service
soon "jitd knows that it is over" 10 is_state "$id" ended

# sudo's own second lock, alone: no jitd, no dead-man, no gate.
if [[ $JIT_SUITE == bookworm ]]; then
  grant alice operator 20s
  until=$(($(date +%s) + 22))
  gives "the drop-in has an end, in UTC" 'NOTAFTER=[0-9]{14}Z' root sh -c 'cat /run/jit/sudoers.d/*'
  root /usr/libexec/jit/gate-lines off sudo >/dev/null
  root systemctl mask --runtime jitd.service jit-expire@.service >/dev/null 2>&1
  root sh -c 'systemctl stop "jit-*.timer"; systemctl kill -s KILL jitd.service' 2>/dev/null
  ok "it works before its end" at_sudo alice
  sleep $((until - $(date +%s)))
  ok "with nobody to end it the drop-in still stands" not nothing_left
  refused "but sudo refuses it" at_sudo alice
  refused "in any time zone" at alice "TZ=America/New_York sudo -n id"
  refused "whichever" at alice "TZ=XXX-14 sudo -n id"
  root systemctl unmask --runtime jitd.service jit-expire@.service >/dev/null 2>&1
  root systemctl start jitd.service
  soon "and the next start takes it away" 5 nothing_left
fi

[[ $JIT_SUITE != bookworm ]] || quietly root /usr/libexec/jit/gate-lines enforce sudo

# Without a dead-man nothing is given: with its unit masked, also while the timer of an earlier end runs.
refused_for_it() { [[ $(at alice "jitctl request quick 10m --no-wait -m x" 2>&1) == *"nothing would end this grant"*masked* ]]; }
root systemctl mask --runtime jit-expire@.service >/dev/null 2>&1
ok "with the dead-man masked a grant is refused, and why is said" refused_for_it
ok "nothing is left" nothing_left
gives "status tells it" 'nothing would end this grant' at alice jitctl status
gives "and doctor what to do" 'systemctl unmask jit-expire@.service' root jitctl doctor
root systemctl unmask --runtime jit-expire@.service >/dev/null 2>&1
grant alice operator 5m
root systemctl mask --runtime jit-expire@.service >/dev/null 2>&1
ok "masked while a grant is in force, a second is refused" refused_for_it
ok "and the first is there" at_sudo alice
root systemctl unmask --runtime jit-expire@.service >/dev/null 2>&1
grant alice quick 10m
ok "unmasked, all is given" member alice db
