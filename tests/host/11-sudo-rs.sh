#!/bin/bash
# The same with sudo-rs beside sudo, and with sudo-rs alone, where the release has it (Debian 13).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
if [[ $JIT_SUITE == bookworm ]]; then
  echo "# sudo-rs is not in Debian 12"
  exit 0
fi
up sudors
quietly lab apt "$host" install -y --no-install-recommends sudo-rs || stop_here "sudo-rs installs"
rs() { as "$1" "sudo-rs -n id" | grep -q '^uid=0'; }

refused "sudo-rs is refused without a grant" at alice "sudo-rs -n id"
grant alice operator 20s
ok "ssh works" can_ssh alice
ok "sudo-rs works" rs alice
ok "sudo works beside it" can_sudo alice
refused "for that command alone" as alice "sudo-rs -n /usr/bin/true"
gives "no NOTAFTER, which sudo-rs cannot read" '^0$' root sh -c 'cat /run/jit/sudoers.d/* | grep -c NOTAFTER'
soon "it ends by itself" 25 is_state "$id" ended
refused "sudo-rs is refused again" rs alice
refused "sudo too" at_sudo alice
ok "nothing is left" nothing_left
