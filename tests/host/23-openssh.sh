#!/bin/bash
# Stock OpenSSH beside us: what we sign verifies with ssh-keygen, and what ssh-keygen signs counts here.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up openssh
ok "asked, into a file" at alice "rm -f r.jit; jitctl request operator 30s -m restore -o r.jit; test -s r.jit"
split_file='awk "/^-----BEGIN SSH SIGNATURE-----\$/{s=1} {print > (s ? \"sig\" : \"payload\")}"'
ok "payload and signature come apart with awk" at alice "$split_file r.jit && test -s sig && test -s payload"
ok "jitctl payload gives the same bytes" at alice "jitctl payload r.jit | cmp - payload"
root sh -c 'echo "$(hostname) $(cat /var/lib/jit/host_key.pub)" >/tmp/hosts; chmod 644 /tmp/hosts'
gives "ssh-keygen verifies the host's signature" 'Good "jit-request" signature' at alice "ssh-keygen -Y verify -f /tmp/hosts -I $host -n jit-request -s sig <payload"
refused "in that namespace alone" at alice "ssh-keygen -Y verify -f /tmp/hosts -I $host -n jit-grant -s sig <payload"

# A direct grant, signed by hand with ssh-keygen.
ok "a direct grant, not yet handed in" at carol "jitctl grant --user alice --role operator --for 30s -m drill -o g.jit"
ok "carol's own signature verifies with ssh-keygen" at carol "$split_file g.jit && ssh-keygen -Y verify -f /etc/jit/trust/approvers -I carol@example.org -n jit-grant -s sig <payload"
ok "signed again by ssh-keygen alone" at carol "jitctl payload g.jit >p; rm -f p.sig; ssh-keygen -q -Y sign -f .ssh/id_ed25519 -n jit-grant p && cat p p.sig >by-hand.jit"
ok "counts here" at carol "jitctl import by-hand.jit"
soon "and is active" 5 at_sudo alice
refused "a signature of another namespace does not" at dave "cp /home/carol/p . 2>/dev/null; jitctl payload /tmp/none"
