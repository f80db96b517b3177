#!/bin/bash
# Gates as an admin works with them: observe denies nobody, enforce needs proofs and falls back, off takes the lines out.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
boot gates
before=$(root sh -c 'cd /etc/pam.d && sha256sum *')
install_packages
ok "installing touches no PAM file" [ "$before" = "$(root sh -c 'cd /etc/pam.d && sha256sum *')" ]
set_policy "$(policy)"
set_trust
within_time 10 active_policy
ok "everybody gets in" can_ssh bob

ok "observe" root jitctl gate observe sshd
ok "bob still gets in" can_ssh bob
gives "the line stands first in account" '^account +required +pam_jit.so services=sshd mode=observe' root sh -c 'grep -m1 -E "^(account|@include)" /etc/pam.d/sshd'
gives "and last in session" 'pam_jit.so' root tail -1 /etc/pam.d/sshd
soon "it is noted whom it would have denied" 20 root sh -c 'jitctl audit log | grep observe | grep -q bob'
root systemctl stop jitd.service
ok "with jitd stopped an observed gate lets in" can_ssh bob
root systemctl start jitd.service
within_time 10 active_policy

refused "enforce without anything to prove is refused" root sh -c 'cp /etc/jit/trust/approvers /root/kept; : >/etc/jit/trust/approvers; sleep 3; jitctl gate enforce sshd </dev/null'
root sh -c 'cp /root/kept /etc/jit/trust/approvers'
ok "the tool for emergencies writes enforce" root /usr/libexec/jit/gate-lines enforce sshd
refused "bob is refused" can_ssh bob
ok "gate off" root jitctl gate off sshd
ok "bob gets in" can_ssh bob
ok "all files are what they were" [ "$before" = "$(root sh -c 'cd /etc/pam.d && sha256sum *')" ]

# Enforced as an admin does it, and not confirmed: whatever breaks meanwhile, it falls back; at a reboot as well.
site=$(at alice "jitctl --json status" | json_field host)
at carol "echo 'jit test for $site' | ssh-keygen -q -Y sign -n jit-test -f ~/.ssh/id_ed25519 - 2>/dev/null" | put /root/proof.sig
enforce() { root jitctl gate enforce sshd --exempt root,rescue --proof /root/proof.sig --yes "$@"; }
timers() { root systemctl list-units --plain --no-legend 'jit-gate-confirm-sshd:*.timer' | grep -c .; }
ok "enforce with its proofs" enforce
refused "and bob is refused" can_ssh bob
root sh -c 'cp -a /etc/pam.d/sshd /root/sshd; echo "account [default=reset] pam_permit.so" >>/etc/pam.d/sshd'
refused "a second enforce whose proof fails" enforce
gives "leaves the way back of the first" '^1$' timers
root cp -a /root/sshd /etc/pam.d/sshd
ok "enforce again, for some seconds" enforce --confirm 5s
gives "has one way back" '^1$' timers
root sh -c 'echo "account required pam_jit.so services=x" >>/etc/pam.d/sshd; mv /etc/pam.d/sshd /etc/sshd.pam; ln -s ../sshd.pam /etc/pam.d/sshd'
soon "which a line by hand and a link do not stop" 20 root grep -q 'services=sshd mode=observe' /etc/sshd.pam
root sh -c 'rm /etc/sshd.pam /etc/pam.d/sshd; cp -a /root/sshd /etc/pam.d/sshd'
ok "enforce once more" enforce
quietly lab reboot "$host"
within_time 20 active_policy
refused "after a reboot no line enforces" root grep -q mode=enforce /etc/pam.d/sshd
ok "and bob gets in" can_ssh bob
ok "off again" root jitctl gate off sshd
ok "and no file is changed" [ "$before" = "$(root sh -c 'cd /etc/pam.d && sha256sum *')" ]

# A gate on sudo is one on sudo -i too.
ok "sudo" root /usr/libexec/jit/gate-lines enforce sudo
gives "and sudo -i" 'services=sudo-i mode=enforce' root cat /etc/pam.d/sudo-i
refused "bob's own rule is behind the gate" at_sudo bob
refused "also by sudo -i" at bob "sudo -n -i -u root id"
gives "root's sudo is exempt" '^uid=0' root sudo id
grant alice operator 5m
refused "off is refused while a sudo grant is active" root jitctl gate off sudo
ok "unless told to end them" root jitctl gate off sudo --end-grants
soon "which ends them" 5 nothing_left
ok "bob's rule works again" at_sudo bob

# su: the subject is who calls it.
ok "su" root /usr/libexec/jit/gate-lines observe su
gives "covers su -" 'services=su,su-l' root cat /etc/pam.d/su
ok "root's su is never asked" root su alice -c true
ok "a line by hand stops removal, before anything is open" root sh -c 'echo "account required pam_jit.so services=login" >>/etc/pam.d/login; ! /usr/libexec/jit/gate-lines off --all 2>/root/err && grep -q "/etc/pam.d/login:" /root/err && grep -q pam_jit /etc/pam.d/su'
root sed -i '/pam_jit.so services=login$/d' /etc/pam.d/login
ok "without it all lines go" root /usr/libexec/jit/gate-lines off --all
ok "and all files are what they were" [ "$before" = "$(root sh -c 'cd /etc/pam.d && sha256sum *')" ]
