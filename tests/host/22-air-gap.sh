#!/bin/bash
# By file alone: asked on one host, approved on another that has only jitctl and no daemon, carried back.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up gapped
site=$host
host_key=$(root cat /var/lib/jit/host_key.pub | cut -d' ' -f1,2)
boot desk
desk=$host
install_packages "$JIT_DIST"/jitctl_*.deb
refused "the approver's desk has no daemon" root test -e /usr/sbin/jitd
# The people there are the same, with the same keys.
root install -d -m 755 /etc/jit/trust
for who in carol dave; do root grep -q . "/home/$who/.ssh/id_ed25519"; done
put /etc/jit/trust/hosts <<<"$site namespaces=\"jit-request,jit-event\" $host_key"
carry() { lab run "$1" cat "$2" | { host=$3; put "$4"; }; lab run "$3" chmod 644 "$4"; }

host=$site
ok "asked, into a file" at alice "rm -f r.jit; jitctl request operator 30s -m restore -o r.jit; test -s r.jit"
id=$(at alice "jitctl --json status" | json_field id)
gives "which anybody can read" '^reason = "restore"' at alice "cat r.jit"
carry "$site" /home/alice/r.jit "$desk" /tmp/r.jit
host=$desk
ok "it verifies there" at carol "jitctl verify /tmp/r.jit"
gives "and says what the host would give" 'group ops' at carol "cat /tmp/r.jit"
ok "approved with jitctl and ssh-keygen alone" at carol "jitctl approve /tmp/r.jit --yes -o a.jit"
carry "$desk" /home/carol/a.jit "$site" /tmp/a.jit
host=$site
status "anybody may carry it in" 0 at bob "jitctl import /tmp/a.jit"
soon "the grant is active" 5 is_state "$id" active
ok "and works" at_sudo alice
ok "importing it again changes nothing" at bob "jitctl import /tmp/a.jit"
ok "given back" at alice "jitctl release $id"
quietly at bob "jitctl import /tmp/a.jit"
ok "and never makes a second grant" not is_state "$id" active
ok "nothing is left" nothing_left

# Two approvers, each with their own copy.
ok "a role that needs two" at alice "rm -f r.jit; jitctl request pair 30s -m both -o r.jit; test -s r.jit"
id=$(at alice "jitctl --json status" | json_field id)
carry "$site" /home/alice/r.jit "$desk" /tmp/p.jit
host=$desk
ok "the first" at carol "jitctl approve /tmp/p.jit --yes -o p1.jit"
ok "the second, at the same time" at dave "jitctl approve /tmp/p.jit --yes -o p2.jit"
carry "$desk" /home/carol/p1.jit "$site" /tmp/p1.jit
carry "$desk" /home/dave/p2.jit "$site" /tmp/p2.jit
host=$site
quietly at alice "jitctl import /tmp/p1.jit"
ok "one is not enough" is_state "$id" pending
quietly at alice "jitctl import /tmp/p2.jit"
soon "both are" 5 is_state "$id" active
ok "given back" at alice "jitctl release $id"

# Changed on the way.
ok "asked once more" at alice "rm -f r.jit; jitctl request operator 30s -m again -o r.jit; test -s r.jit"
id=$(at alice "jitctl --json status" | json_field id)
carry "$site" /home/alice/r.jit "$desk" /tmp/x.jit
host=$desk
ok "one changed byte" at carol "sed 's/operator/operatos/' /tmp/x.jit >x.jit"
refused "is refused at the desk" at carol "jitctl approve x.jit --yes -o xa.jit"
ok "other line endings" at carol "sed 's/\$/\r/' /tmp/x.jit >crlf.jit"
gives "are named as such" 'ine endings' at carol "jitctl approve crlf.jit --yes -o ya.jit"

# The script of a page, for approvers who have only ssh-keygen.
refused "jit-approve signs nothing without a yes" at carol "jit-approve -k .ssh/id_ed25519 /tmp/x.jit </dev/null >n.jit"
ok "with one it does" at carol "echo yes | jit-approve -k .ssh/id_ed25519 /tmp/x.jit >s.jit"
carry "$desk" /home/carol/s.jit "$site" /tmp/s.jit
host=$site
ok "and the host takes it" at bob "jitctl import /tmp/s.jit"
soon "the grant is active" 5 is_state "$id" active
