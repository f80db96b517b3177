#!/bin/bash
# Installing changes no PAM file, an upgrade keeps gates and grants, and removing any package, alone or in any order, ends
# every grant and leaves logins working (P12).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/../host/lib.sh"

pam_sums() { root sh -c 'cd /etc/pam.d && sha256sum *'; }
units_gone() { root sh -c '! systemctl list-units --plain --no-legend --state=active --state=activating --state=failed "jit*" | grep .'; }
# An ordinary person's ssh and sudo, by bob's own rule.
people_get_in() {
  ok "$1: ssh works for people" can_ssh bob
  ok "$1: sudo works for people" at_sudo bob
  ok "$1: root gets in" can_ssh root
  ok "$1: nothing of ours is left in groups and sudoers" nothing_left
}
no_lines() { ok "$1: no line of ours is left" root sh -c '! grep -rq pam_jit /etc/pam.d'; }

# A higher version out of a package: the same files.
newer() {
  local deb=$1 to=$2 work
  work=$(mktemp -d)
  dpkg-deb -R "$deb" "$work/tree"
  sed -i 's/^Version: .*/Version: 99.0/; s/(= [^)]*)/(= 99.0)/g' "$work/tree/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$work/tree" "$to/$(basename "$deb" | sed 's/_[^_]*_/_99.0_/')" >/dev/null
  rm -rf "$work"
}

# --- install and upgrade ------------------------------------------------------------------------------------------------

boot pkg
before=$(pam_sums)
install_packages
ok "installing touches no PAM file" [ "$before" = "$(pam_sums)" ]
ok "jitd runs" root systemctl is-active jitd.service
ok "with an empty policy and no approvers jitctl answers" at alice "jitctl status"
ok "the units at boot are enabled" root systemctl is-enabled jit-boot.service
gives "zz-jit is read-only and root's" '^440 0 0$' root stat -c '%a %u %g' /etc/sudoers.d/zz-jit
ok "sudoers are sound" root visudo -c
ok "jitd.toml and the trust files are there" root ls /etc/jit/jitd.toml /etc/jit/trust/approvers /etc/jit/trust/requesters /etc/jit/trust/hosts
refused "and are no conffiles, since jitctl writes them" root sh -c "dpkg-query -W -f '\${Conffiles}\n' jitd jitctl | grep -E 'jitd.toml|trust/'"
ok "bob's sudo is what it was" at_sudo bob
set_policy "$(policy)"
set_trust
within_time 10 active_policy
quietly root sh -c '/usr/libexec/jit/gate-lines enforce sshd && /usr/libexec/jit/gate-lines enforce sudo'
gated=$(pam_sums)
grant alice operator 30m
upgrade=$(mktemp -d)
for package in "$JIT_DIST"/{libpam-jit,jitctl,jitd}_*.deb; do newer "$package" "$upgrade"; done
install_packages "$upgrade"/*.deb
rm -rf "$upgrade"
ok "an upgrade touches no PAM file" [ "$gated" = "$(pam_sums)" ]
soon "the grant is active after it" 15 is_state "$id" active
ok "and works" can_sudo alice
refused "the gate stands" can_ssh bob
ok "the policy is the admin's" root grep -q operator /etc/jit/policy.d/10-test.toml

# --- removal ------------------------------------------------------------------------------------------------------------

ready() {   # everything installed, gates enforced, a grant active
  install_packages
  quietly root sh -c 'systemctl reset-failed "jit*"; /usr/libexec/jit/gate-lines enforce sshd && /usr/libexec/jit/gate-lines enforce sudo'
  within_time 15 active_policy || stop_here "jitd is back"
  quietly at alice "jitctl release --all"
  grant alice operator 30m
}
quietly root sh -c 'dpkg -r jitd jitctl libpam-jit' || stop_here "all three go at once"
no_lines "all at once"
people_get_in "all at once"
ok "all at once: no unit of ours runs" units_gone

for package in libpam-jit jitd; do
  ready
  ok "$package alone is removed" root dpkg --force-depends -r "$package"
  no_lines "without $package"
  people_get_in "without $package"
  refused "without $package alice has what she had before" at_sudo alice
done
ready
ok "jitctl alone is removed" root dpkg --force-depends -r jitctl
ok "without jitctl the grant lives on" can_sudo alice
ok "without jitctl root gets in" can_ssh root
refused "without jitctl the gate stands" can_ssh bob

for order in "libpam-jit jitd jitctl" "jitd jitctl libpam-jit" "jitctl libpam-jit jitd" "jitctl jitd libpam-jit"; do
  ready
  for package in $order; do
    quietly root dpkg --force-depends -r "$package" || { flunk "$package goes in the order $order"; say "$last_output"; }
  done
  no_lines "$order"
  people_get_in "$order"
done

# --- jitd-sync, which comes and goes ------------------------------------------------------------------------------------

folders() { root stat -c '%a %U:%G' /var/lib/jit /var/lib/jit/inbox | tr '\n' ' '; }
ready
gives "without jitd-sync the inbox is jitd's alone" '^700 root:root 700 root:root $' folders
install_packages "$JIT_DIST"/jitd-sync_*.deb
ok "jitd-sync runs, with no source yet" root systemctl is-active jitd-sync.service
gives "its user may put files into the inbox" '^710 root:_jit-sync 730 root:_jit-sync $' folders
ok "and read the outbox" root runuser -u _jit-sync -- ls /var/lib/jit/outbox
refused "but not the inbox" root runuser -u _jit-sync -- ls /var/lib/jit/inbox
refused "and change nothing in the outbox" root runuser -u _jit-sync -- touch /var/lib/jit/outbox/x
install_packages "$JIT_DIST"/jitd_*.deb
gives "an upgrade of jitd locks it out of nothing" '^710 root:_jit-sync 730 root:_jit-sync $' folders
quietly lab reboot "$host"
gives "nor does a boot" '^710 root:_jit-sync 730 root:_jit-sync $' folders
within_time 15 is_state "$id" active || true
ok "it is removed" root dpkg -r jitd-sync
ok "and jitd goes on" can_sudo alice
gives "with what is its own" '^700 root:root 700 root:root $' folders
ok "and nothing to be said" root test ! -e /var/lib/jit/outbox
ok "what it remembered is kept" root test -d /var/lib/jit-sync
ok "until it is purged" root sh -c 'dpkg -P jitd-sync && test ! -e /var/lib/jit-sync'

# --- what must fail, and what is left -----------------------------------------------------------------------------------

ready
root sh -c 'echo "account required pam_jit.so services=login" >>/etc/pam.d/login'
for package in libpam-jit jitd; do
  refused "$package is not removed while a line by hand names the module" root dpkg --force-depends -r "$package"
  gives "and the line is named" '/etc/pam.d/login:[0-9]+' echo "$last_output"
  gives "with what is still gated" '/etc/pam.d/sshd:.*mode=enforce' echo "$last_output"
  refused "for the gate stands as it stood" can_ssh bob
done
ok "the module is still there" root sh -c 'ls /usr/lib/*/security/pam_jit.so'
root sed -i '/pam_jit.so/d' /etc/pam.d/login

ready
root systemctl kill -s STOP jitd.service
ok "a hung jitd does not keep its package from going" root dpkg --force-depends -r jitd
people_get_in "hung"

install_packages
root rm /etc/sudoers.d/zz-jit
ok "an upgrade where an admin removed zz-jit" root sh -c 'dpkg -i /root/debs/jitd_*.deb'
ok "purge" root dpkg -P jitd jitctl libpam-jit
ok "leaves nothing of ours" root sh -c 'test ! -e /etc/jit && test ! -e /var/lib/jit && test ! -e /run/jit && test ! -e /etc/sudoers.d/zz-jit'
ok "and PAM files as they were" [ "$before" = "$(pam_sums)" ]
quietly lab reboot "$host"
people_get_in "after a reboot"
