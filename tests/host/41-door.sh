#!/bin/bash
# Asking at the door: with a real sshd (a key, then keyboard-interactive), su and login, who is refused asks for the role there,
# waits, and is let in by the check that follows an approval, by nothing else.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up door
doors() {
  policy
  cat <<'END'

[roles.become]
eligible = ["alice"]
opens = ["su"]
[[roles.become.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]

[[gates]]
name = "su"
services = ["su", "su-l", "login"]
users = ["alice"]
mode = "enforce"
END
}
set_policy "$(doors)"
within_time 10 eval 'at alice jitctl --json roles | grep -q become' || stop_here "jitd takes the policy"
root sh -c '/usr/libexec/jit/gate-lines enforce su && /usr/libexec/jit/gate-lines enforce login' >/dev/null
root sed -i '/^account.*pam_jit.so/s/ # jit-gate/ request # jit-gate/' /etc/pam.d/sshd /etc/pam.d/su /etc/pam.d/login
root /usr/libexec/jit/gate-lines enforce sshd >/dev/null
gives "a line that is written anew keeps the word" 'pam_jit.so .*request' root cat /etc/pam.d/sshd

gives "doctor says that sshd has no conversation" 'sshd has no conversation' root jitctl doctor
root sed -i 's/^@include common-auth/auth required pam_permit.so/' /etc/pam.d/sshd
gives "and that nobody would prove anything" 'asks for no proof of who comes' root jitctl doctor
put /etc/ssh/sshd_config.d/door.conf <<'END'
Match User alice,bob
  KbdInteractiveAuthentication yes
  AuthenticationMethods publickey,keyboard-interactive:pam
END
root systemctl restart ssh.service
within_time 10 as root true || stop_here "sshd is back"

# ssh puts its questions to this program, which notes and answers them: WHY, then what it says to everything else.
askpass=$LAB/askpass.$host
said=$LAB/asked.$host
cat >"$askpass" <<END
#!/bin/sh
printf '%s\n' "\$1" >>$said
case \$1 in
  *Enter*) sleep "\${DOOR_PAUSE:-0}"; [ -z "\$DOOR_LEAVE" ] || exit 1; echo ;;
  *"Which of them"*) echo "\$DOOR_ROLE" ;;
  *) printf '%s\n' "\$DOOR_WHY" ;;
esac
END
chmod +x "$askpass"
by_door() {   # USER CMD...
  local who=$1; shift
  rm -f "$said"
  SSH_ASKPASS=$askpass SSH_ASKPASS_REQUIRE=force lab net ssh -n -i "$keys/login" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o ConnectTimeout=10 -o NumberOfPasswordPrompts=1 -o ControlPath=none "$who@$(address)" "$*" 2>&1
}
export DOOR_ROLE=operator DOOR_WHY='vacuum stuck'
filed() { at carol "jitctl --json pending" | json_field id; }
decide() {   # approve|deny: what comes in next
  within_time 30 eval '[[ -n $(filed) ]]' && at carol "jitctl $1 $(filed) --yes -m by-test" >/dev/null 2>&1
}

DOOR_ROLE='' refused "who asks for nothing is refused" by_door alice true
gives "having been asked" 'You may ask for: operator, pair, quick' cat "$said"
ok "and nothing is filed" test -z "$(filed)"
refused "a client without answers is refused" as alice true
ok "and nothing is filed" test -z "$(filed)"
DOOR_ROLE=root refused "a role that is not theirs is refused" by_door alice true
ok "and nothing is filed" test -z "$(filed)"
DOOR_WHY=$'a\tb' refused "a reason with control characters is refused" by_door alice true
ok "and nothing is filed" test -z "$(filed)"

decide approve &
gives "an approval while it waits lets in" '^in$' by_door alice echo in
wait
gives "it said whom it waits for" 'filed, waiting for leads: 1 of carol, dave' cat "$said"
gives "the request says where it was asked" 'vacuum stuck' at alice jitctl status
gives "the chain too" 'origin=pam' root jitctl audit log
gives "who holds a grant is asked nothing" '^again$' by_door alice echo again
refused "nothing was asked" test -e "$said"
at alice "jitctl release --all" >/dev/null 2>&1; sleep 1

decide deny &
gives "a denial is a refusal that says so" 'denied' by_door alice true
wait
DOOR_LEAVE=1 refused "who does not wait is refused" by_door alice true
ok "and it stays filed" test -n "$(filed)"
decide approve
ok "come back: it is approved" by_door alice true
at alice "jitctl release --all" >/dev/null 2>&1; sleep 1

# Nobody decides for bob: a minute, meanwhile su.
(by_door bob true >"$said.minute" 2>&1; date +%s >>"$said.minute") &
minute=$!
started=$(date +%s)

on_tty() { { for _ in $(seq "$1"); do echo "$2"; sleep 1; done; } | lab run "$host" runuser -l alice -c "script -qec '$3' /dev/null" 2>&1; }
root sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/su
(within_time 30 eval 'at carol "jitctl --json pending" | grep -q become'
  at carol "jitctl approve $(at carol 'jitctl --json pending' | grep -o '{[^}]*become[^}]*' | json_field id) --yes -m fine") >/dev/null 2>&1 &
approver=$!
gives "su asks on its terminal, and lets in" 'uid=.*\(bob\)' on_tty 15 because-of-su "su bob -c id"
wait "$approver"
gives "it was filed with what was typed" 'because-of-su' root jitctl audit log
at alice "jitctl release --all" >/dev/null 2>&1
gives "without a terminal nobody is asked" 'Permission denied|jitctl request' at alice "echo because-of-a-script | su bob -c id"
refused "nor is what a script feeds it taken" root sh -c 'jitctl audit log | grep because-of-a-script'
wait "$minute"
gives "who waited in vain is told to come back" 'is filed: come back' cat "$said.minute"
took=$(($(tail -1 "$said.minute") - started))
ok "after a minute ($took s)" test "$took" -ge 55 -a "$took" -le 80
ok "it stays filed" eval 'at carol "jitctl --json pending" | grep -q "\"user\": *\"bob\""'

# login: nobody has proved anything to it but root, who starts it for them.
(within_time 30 eval 'at carol "jitctl --json pending" | grep -q because-of-login'
  at carol "jitctl approve $(at carol 'jitctl --json pending' | grep -o '{[^}]*because-of-login[^}]*' | json_field id) --yes -m fine") >/dev/null 2>&1 &
approver=$!
on_console() { { for _ in $(seq 12); do echo because-of-login; sleep 1; done; echo 'echo shell-of-$(id -un)'; echo exit; sleep 1; } | lab run "$host" script -qec 'exec login -f alice' /dev/null 2>&1; }
gives "login asks, waits and lets in" 'shell-of-alice' on_console
wait "$approver"
rm -f "$askpass" "$said" "$said.minute"
