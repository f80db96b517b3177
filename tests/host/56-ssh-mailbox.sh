#!/bin/bash
# The mailbox over ssh (jit-mailbox(8)): an approver and an operator, both kept out by the gate, use it with stock ssh and with
# the client; a requester sees their own; and nobody gets anything else out of it.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"

# --- the stage: db, whose login gate is for everybody, and a desk where people have their keys --------------------------------

quietly program mailbox-tool || stop_here "the client is built"
client=$last_output

for_everybody() { policy | sed 's/^except = .*"carol", "dave".*/except = ["root", "rescue"]/'; }

up db "$JIT_DIST"/{libpam-jit,jitctl,jitd,jitd-sync}_*.deb
db=$host
set_policy "$(for_everybody)"
boot desk
desk=$host
install_packages "$JIT_DIST"/jitctl_*.deb
push_program "$client"
for who in alice bob dave; do
  at "$who" "test -e .ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -C $who -f .ssh/id_ed25519"
done
at rescue "ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519"   # known to nobody
for who in alice bob carol dave rescue; do
  # A configuration as people have them: shared connections, forwarding, an escape to the background.
  lab run "$desk" runuser -l "$who" -c 'cat >.ssh/config' <<'END'
Host *
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ControlMaster auto
  ControlPath ~/.ssh/master-%C
  ControlPersist 20
  ForwardAgent yes
  LocalForward 4711 localhost:22
END
done
key_of() { lab run "$desk" cut -d' ' -f1,2 "/home/$1/.ssh/id_ed25519.pub"; }
host=$db
trust_people() {
  put /etc/jit/trust/approvers < <(for who in carol dave; do echo "$who@example.org namespaces=\"jit-review,jit-grant,jit-revocation,jit-lock\" $(key_of $who)"; done)
  put /etc/jit/trust/requesters < <(for who in alice bob; do echo "$who namespaces=\"jit-ask\" $(key_of $who)"; done)
}
trust_people
# The tests' own dave and carol have the same key on every host.

on_desk() { lab run "$desk" runuser -l "$1" -c "$2"; }                       # as somebody at the desk
# box WHO SCRIPT [SSH ARGS]: what the mailbox says to the lines of SCRIPT, by stock ssh.
box() { on_desk "$1" "printf '$2' | timeout 60 ssh -S none -o ClearAllForwardings=yes ${3:-} jit@$db 2>&1"; }
# client WHO list|wait|get|put ...: the same by our own client (tests/host/mailbox_tool.cpp).
client() {
  local who=$1 verb=$2 box=from; shift 2
  [[ $verb != put ]] || box=to
  on_desk "$who" "timeout 90 mailbox-tool ssh://$db $verb $box/$db $*"
}
# As it greets, and nothing of any shell.
greeted() { grep -qx "jit-mailbox 1 $db" <<<"$1" && ! grep -qE 'uid=|root:|SSH-2|PWNED|Linux' <<<"$1"; }
only_mailbox() { local what=$1 out; shift; out=$("$@" 2>&1); if greeted "$out"; then pass "$what"; else flunk "$what"; say "$*"; say "$out"; fi; }
# Nothing of the mailbox either: who asks for this gets no further.
nothing() { local what=$1 out; shift; out=$("$@" 2>&1 </dev/null); if grep -qE "jit-mailbox 1|uid=|root:|SSH-2|PWNED" <<<"$out"; then flunk "$what"; say "$*"; say "$out"; else pass "$what"; fi; }
sshd_reload() { quietly root sh -c 'sshd -t && systemctl reload ssh' || stop_here "sshd takes the test's configuration"; sleep 0.3; }
site() { put /etc/ssh/sshd_config.d/10-site.conf <<<"$1"; }
no_site() { root rm -f /etc/ssh/sshd_config.d/10-site.conf; }

# --- switched on, by an administrator alone ---------------------------------------------------------------------------------

refused "installing opens nothing" box carol 'list\nquit\n'
gives "status says that it is off" 'not open' root jitctl source ssh status
refused "nobody but root switches it on" at alice "jitctl source ssh on"
before=$(root sshd -T)
site "AllowUsers root rescue"
gives "AllowUsers that leaves jit out is named" "AllowUsers leaves jit out: add jit" root jitctl source ssh on
site "AllowGroups root rescue"
gives "AllowGroups, too" "AllowGroups leaves jit out" root jitctl source ssh on
site "DenyUsers ji?"
gives "DenyUsers, too" "DenyUsers names jit" root jitctl source ssh on
site $'Match User *\n  PermitTTY yes\n  ForceCommand none'
gives "a Match block before ours is named, setting by setting" 'has permittty "yes" and not "no"' root jitctl source ssh on
refused "and all is as it was" root test -e /etc/ssh/sshd_config.d/50-jit.conf
refused "in sshd's gate, too" root grep -q 'exempt=[^ ]*jit' /etc/pam.d/sshd
site "NoSuchKeyword yes"
gives "an sshd_config that is broken already is not made worse" 'mend that first' root jitctl source ssh on
no_site
ok "on" root jitctl source ssh on
ok "for others nothing has changed" [ "$before" = "$(root sshd -T)" ]
ok "jit passes the gate on sshd" root grep -q 'exempt=root,jit' /etc/pam.d/sshd
ok "in its account and its session line" [ "$(root grep -c 'exempt=root,jit' /etc/pam.d/sshd)" = 2 ]
ok "on again is on" root jitctl source ssh on
gives "status finds nothing wrong" 'is open to ssh' root jitctl source ssh status
refused "nor does doctor" root sh -c 'jitctl doctor | grep -i mailbox'
root sed -i 's/exempt=root,jit/exempt=root/' /etc/pam.d/sshd
gives "doctor says when the gate would ask jit" "gate asks jit" root jitctl doctor
ok "gate observe puts it back" root jitctl gate observe sshd
ok "as exempt" root grep -q 'exempt=root,jit' /etc/pam.d/sshd
quietly root /usr/libexec/jit/gate-lines enforce sshd
set_policy "$(for_everybody; printf '[roles.leak]\neligible = ["bob"]\ngroups = ["_jit-sync"]\nopens = ["login"]\n[[roles.leak.rules]]\nthen = "review"\napprovals = [ { by = "leads", count = 1 } ]\n')"
gives "doctor names a role that gives a group of jit's" 'role leak gives the group _jit-sync' root jitctl doctor
set_policy "$(for_everybody)"
within_time 10 active_policy || stop_here "jitd is back with the policy"

publish() {   # USER: their request of now, which jitd signed
  within_time 5 root test -e "/var/lib/jit/outbox/r-$id.jit" || stop_here "the request of $1 is in the outbox"
}

# --- people whom the gate keeps out -----------------------------------------------------------------------------------------

login_as() { on_desk "$1" "ssh -S none -o ClearAllForwardings=yes -o BatchMode=yes $1@$db id"; }
for who in alice carol; do root sh -c "cat >>/home/$who/.ssh/authorized_keys" < <(key_of "$who"); done
refused "the gate keeps the approver out" login_as carol
refused "and the operator" login_as alice
request bob operator 10m || stop_here "bob asks"
bobs=$id
publish bob
request alice operator 10m || stop_here "alice asks"
publish alice
gives "the approver reads the request with stock ssh" "^item [0-9]+ [0-9.]+ r-$id.jit" box carol 'list\nquit\n'
ok "whole, as the host signed it" eval "[ \"\$(box carol 'get r-$id.jit\nquit\n' | sed '1,2d;/^bye\$/d')\" = \"\$(root cat /var/lib/jit/outbox/r-$id.jit)\" ]"
gives "and with the client" " r-$id.jit$" client carol list
ok "under a configuration that shares connections" eval "client carol get r-$id.jit | cmp - <(root cat /var/lib/jit/outbox/r-$id.jit)"
client carol get "r-$id.jit" | lab run "$desk" runuser -l carol -c 'cat >r.jit'
lab run "$desk" sh -c 'install -d /etc/jit/trust; cat >/etc/jit/trust/hosts' <<<"$db namespaces=\"jit-request,jit-event\" $(root cut -d' ' -f1,2 /var/lib/jit/host_key.pub)"
ok "approved at the desk" on_desk carol "jitctl approve r.jit --yes -m fine -o a.jit"
gives "and brought with stock ssh" '^ok$' on_desk carol "{ echo put \$(stat -c %s a.jit); cat a.jit; echo quit; } | ssh -S none -o ClearAllForwardings=yes jit@$db"
soon "the grant is active" 5 is_state "$id" active
soon "and the operator is in" 5 login_as alice
ok "the same once more, with the client, is the same" client carol put a.jit
ok "the inbox is empty again" within_time 5 root sh -c 'test -z "$(ls -A /var/lib/jit/inbox)"'
gives "the journal says who brought what" 'took review .* from carol@example.org' root journalctl -t jit-mailbox
at alice "jitctl release $id" >/dev/null 2>&1
# The operator: also by what they signed themselves.
on_desk alice "cat >ask" <<END
jit = 1
kind = "ask"
hosts = ["$db"]
user = "alice"
role = "operator"
reason = "from my own desk"
created = $(date -u +%Y-%m-%dT%H:%M:%SZ)
expires = $(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)
nonce = "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
END
ok "the operator signs an ask at the desk" on_desk alice "ssh-keygen -q -Y sign -n jit-ask -f .ssh/id_ed25519 ask && cat ask ask.sig >ask.jit"
ok "and brings it with the client" client alice put ask.jit
(sleep 4; id=$bobs; quietly root touch /var/lib/jit/outbox/host; quietly root sh -c "cp -p /var/lib/jit/outbox/r-$bobs.jit /var/lib/jit/outbox/.n.tmp; mv /var/lib/jit/outbox/.n.tmp /var/lib/jit/outbox/n-news.jit") &
started=$(date +%s)
gives "news end a wait" 'n-news.jit' client carol wait 60
ok "as they come" test $(($(date +%s) - started)) -lt 25
wait
root rm -f /var/lib/jit/outbox/n-news.jit

# --- P8 -----------------------------------------------------------------------------------------------------------------------

gives "a requester sees their own" "r-$bobs.jit" box bob 'list\nquit\n'
# Events of their own are theirs to read, too.
others=
for name in $(box bob 'list\nquit\n' | sed -n 's/^item .* //p'); do root grep -q '^user = "bob"$' "/var/lib/jit/outbox/$name" || others+=" $name"; done
ok "and not those of others ($others )" test -z "$others"
refused "alice does not see bob's" eval "box alice 'list\nquit\n' | grep 'r-$bobs.jit'"
absent=$(box alice 'get r-0000000000000000.jit\nquit\n')
ok "what is not for her is, for her, not there" [ "$absent" = "$(box alice "get r-$bobs.jit\nquit\n")" ]
refused "the client gets it no more" client alice get "r-$bobs.jit"
root sh -c 'echo junk >/var/lib/jit/outbox/junk.jit; cp /etc/shadow /var/lib/jit/outbox/shadow.jit; ln -s /etc/passwd /var/lib/jit/outbox/link.jit; mkfifo /var/lib/jit/outbox/fifo.jit; chmod 644 /var/lib/jit/outbox/*.jit'
refused "what is no document is shown to nobody" eval "box carol 'list\nquit\n' | grep -E 'junk|shadow|link|fifo'"
for name in junk.jit shadow.jit link.jit fifo.jit host ../host_key ../../../../etc/passwd /etc/passwd . .. '*.jit' "r-$bobs.jit/../../host_key" '~root/.bashrc' '$(id).jit' '.n.tmp'; do
  gives "get '$name' gets nothing" 'error (not-found|invalid)' box carol "get $name\nquit\n"
done
gives "nor does a name with a NUL in it" 'error invalid' box carol 'get ../host_key\0.jit\nquit\n'
refused "no line of any of these was read" eval "box carol 'get ../../../../etc/passwd\nget link.jit\nquit\n' | grep root:"
root sh -c 'cd /var/lib/jit/outbox && rm -f junk.jit shadow.jit link.jit fifo.jit'

# --- anything but the mailbox -------------------------------------------------------------------------------------------------

quiet='-S none -o ClearAllForwardings=yes'
only_mailbox "a command is the mailbox" box alice 'quit\n' '' "id"
only_mailbox "a command on the line" on_desk alice "echo quit | ssh $quiet jit@$db id"
only_mailbox "a shell on the line" on_desk alice "echo quit | ssh $quiet jit@$db bash -c id"
only_mailbox "a command of shell words" on_desk alice "echo quit | ssh $quiet jit@$db '; id; \$(id) | id && id #'"
only_mailbox "a shell without a word" on_desk alice "echo quit | ssh $quiet -T jit@$db"
gives "a terminal is refused" 'PTY allocation request failed' on_desk alice "echo quit | ssh $quiet -o LogLevel=INFO -tt jit@$db"
nothing "and with one insisted on there is nothing" on_desk alice "echo quit | ssh $quiet -tt jit@$db"
nothing "sftp" on_desk alice "echo 'get /etc/passwd /tmp/stolen' | timeout 30 sftp -q $quiet -b - jit@$db"
nothing "scp, as sftp" on_desk alice "timeout 30 scp -q -S none $quiet jit@$db:/etc/passwd /tmp/stolen"
nothing "scp, as it was" on_desk alice "timeout 30 scp -q -O $quiet jit@$db:/etc/passwd /tmp/stolen"
nothing "scp inwards" on_desk alice "timeout 30 scp -q -O $quiet .bashrc jit@$db:/tmp/pwned"
refused "nothing came over" on_desk alice "test -s /tmp/stolen"
refused "and nothing is there" root test -e /tmp/pwned
nothing "any subsystem" on_desk alice "echo quit | ssh $quiet -s jit@$db internal-sftp"
for line in 'GET / HTTP/1.1' 'SSH-2.0-x' 'bash -i' '\x01\x02\xff\xfe' '%%n%%n%%s' 'list; id' ' list' 'LIST' 'put' 'put -1' 'put 99999999999' 'exec id' '~C' '\r'; do
  gives "\"$line\" is no command, and the last one" 'error invalid' box alice "$line\nlist\n"
done
refused "nothing behind it was answered" eval "box alice 'junk\nlist\n' | grep '^end'"
gives "a line without an end has one" 'error invalid' on_desk alice "head -c 5000000 /dev/zero | tr '\0' x | timeout 60 ssh $quiet jit@$db"
ok "half a command is none" eval "greeted \"\$(box alice 'lis')\""
ok "a document that ends early is none" eval "greeted \"\$(box alice 'put 1000\nabc')\""

# --- forwarding -----------------------------------------------------------------------------------------------------------------

# behind WHO ARGS: a connection that only forwards; CMD runs beside it at the desk.
behind() {
  local who=$1 args=$2 cmd=$3
  on_desk "$who" "timeout 12 ssh -S none -N $args jit@$db >/tmp/forward.$who 2>&1 & pid=\$!; sleep 3; $cmd; kill \$pid 2>/dev/null; wait \$pid 2>/dev/null; cat /tmp/forward.$who"
}
root sh -c 'nohup python3 -c "" 2>/dev/null; true'
nothing "-L to the host's own ports" behind alice "-L 5001:127.0.0.1:22" "timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/5001; head -c 20 <&3'"
gives "is forbidden, not out of reach" 'administratively prohibited|open failed' behind alice "-o LogLevel=INFO -L 5002:127.0.0.1:22" "timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/5002; head -c 20 <&3'"
nothing "-L to jitd's socket" behind alice "-L 5003:/run/jit/control.sock" "timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/5003; head -c 20 <&3'"
nothing "-L from a socket to the bus" behind alice "-L /tmp/bus.alice:/run/dbus/system_bus_socket" "timeout 3 bash -c 'echo AUTH | head -c 1; test -S /tmp/bus.alice'"
nothing "-D" behind alice "-D 5004" "timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/5004; printf \"\\x04\\x01\\x00\\x16\\x7f\\x00\\x00\\x01\\x00\" >&3; cat <&3 | tr -d \"\\0\" | head -c 30'"
nothing "-W" on_desk alice "timeout 20 ssh -S none -o ClearAllForwardings=no -W 127.0.0.1:22 jit@$db"
refused "-R" on_desk alice "timeout 20 ssh -S none -N -o ExitOnForwardFailure=yes -R 5005:127.0.0.1:22 jit@$db"
refused "-R of any port" on_desk alice "timeout 20 ssh -S none -N -o ExitOnForwardFailure=yes -R 0.0.0.0:0:127.0.0.1:22 jit@$db"
refused "-R, from a socket" on_desk alice "timeout 20 ssh -S none -N -o ExitOnForwardFailure=yes -R /tmp/pwned.sock:127.0.0.1:22 jit@$db"
refused "no such socket is there" root test -e /tmp/pwned.sock
behind alice "-o LogLevel=DEBUG -R 5006:127.0.0.1:22" true >/dev/null 2>&1
refused "nobody listens on the host for them" root sh -c 'ss -ltn | grep -E ":500[0-9]"'
refused "a tunnel" lab run "$desk" sh -c "timeout 20 ssh -F none -i /home/alice/.ssh/id_ed25519 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -N -o ExitOnForwardFailure=yes -w 5:5 jit@$db"
gives "the agent" '^none$' on_desk alice "eval \$(ssh-agent) >/dev/null; ssh-add -q .ssh/id_ed25519; { sleep 3; echo quit; } | ssh $quiet -A jit@$db >/tmp/a.alice & sleep 2; echo; wait; kill \$SSH_AGENT_PID; echo none"
(on_desk alice "eval \$(ssh-agent) >/dev/null; ssh-add -q .ssh/id_ed25519; { sleep 6; echo quit; } | ssh $quiet -A jit@$db; kill \$SSH_AGENT_PID" >/dev/null 2>&1) &
sleep 3
refused "no agent's socket of theirs is on the host" root sh -c 'find /tmp -user jit -type s | grep .'
wait
gives "X11" 'X11 forwarding request failed' on_desk alice "echo quit | DISPLAY=:0 timeout 30 ssh $quiet -o LogLevel=INFO -o XAuthLocation=/bin/true -Y jit@$db"

# --- whose key --------------------------------------------------------------------------------------------------------------------

nothing "a key that is in no trust file" box rescue 'list\n'
nothing "the key of root and of every account here" lab net ssh -n -i "$keys/login" -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlPath=none "jit@$(address)"
for who in root rescue bob; do
  nothing "a key of the mailbox opens $who no more than before" on_desk dave "timeout 20 ssh $quiet -o BatchMode=yes $who@$db id"
done
put /etc/jit/trust/requesters < <(echo "alice valid-before=\"20200101Z\" $(key_of alice)"; echo "bob $(key_of bob)")
nothing "a key whose time is over" box alice 'list\n'
put /etc/jit/trust/requesters < <(echo "alice valid-after=\"29990101Z\" $(key_of alice)"; echo "bob $(key_of bob)")
nothing "a key whose time is to come" box alice 'list\n'
put /etc/jit/trust/requesters < <(echo "alice namespaces=\"git\" $(key_of alice)"; echo "bob $(key_of bob)")
nothing "a key for something else" box alice 'list\n'
put /etc/jit/trust/requesters < <(echo "alice,bob $(key_of alice)"; echo "* $(key_of alice)"; echo "bob $(key_of bob)")
nothing "a line that is none" box alice 'list\n'
root chmod 666 /etc/jit/trust/requesters
nothing "a trust file that anybody may write lets nobody in" box bob 'list\n'
root chmod 644 /etc/jit/trust/requesters
trust_people
only_mailbox "and sound again, it does" box alice 'quit\n'
(on_desk alice "{ echo list; sleep 6; echo list; sleep 1; } | ssh $quiet jit@$db" >"$scratch.open" 2>&1) &
sleep 3
put /etc/jit/trust/requesters < <(echo "bob $(key_of bob)")
wait
gives "a key that is taken out is out of the connection it has" 'error refused your key stands in none' cat "$scratch.open"
ok "with its next command" [ "$(grep -c '^end' "$scratch.open")" = 1 ]
rm -f "$scratch.open"
trust_people
root sh -c 'echo jit:secret-of-jit | chpasswd'
on_desk alice 'printf "#!/bin/sh\necho secret-of-jit\n" >askpass; chmod +x askpass'
nothing "a password, though it is the right one" on_desk alice "SSH_ASKPASS=\$PWD/askpass SSH_ASKPASS_REQUIRE=force timeout 30 ssh $quiet -o PubkeyAuthentication=no -o PreferredAuthentications=password,keyboard-interactive jit@$db"
root usermod -L jit

# A site that is generous to everybody else.
root sh -c 'mkdir -p /etc/ssh/keys; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ca'
root sh -c 'cat >/etc/ssh/keys/jit' < <(key_of rescue)
lab run "$db" cat /etc/ssh/ca | lab run "$desk" sh -c 'umask 077; cat >/root/ca'
lab run "$desk" sh -c 'ssh-keygen -q -s /root/ca -I mallory -n jit,root /home/rescue/.ssh/id_ed25519.pub && chown rescue /home/rescue/.ssh/id_ed25519-cert.pub && cp /home/alice/.ssh/id_ed25519.pub /tmp/alice.pub && ssh-keygen -q -s /root/ca -I alice -n jit /tmp/alice.pub'
site $'AcceptEnv *\nPermitUserEnvironment yes\nAllowAgentForwarding yes\nPermitTunnel yes\nGatewayPorts yes\nPermitTTY yes\nAuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys\nTrustedUserCAKeys /etc/ssh/ca.pub\nPermitEmptyPasswords yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication yes'
sshd_reload
gives "what a site gives everybody does not reach the mailbox" 'is open to ssh' root jitctl source ssh status
nothing "a file of keys that the site has for all" box rescue 'list\n'
lab run "$desk" rm -f /home/rescue/.ssh/id_ed25519-cert.pub
lab run "$desk" sh -c 'cp /tmp/alice-cert.pub /home/alice/.ssh/id_ed25519-cert.pub; chown alice /home/alice/.ssh/id_ed25519-cert.pub'
nothing "a certificate, of a key that is in trust" on_desk alice "timeout 30 ssh $quiet -o BatchMode=yes -o IdentitiesOnly=yes -o PubkeyAcceptedAlgorithms=ssh-ed25519-cert-v01@openssh.com jit@$db"
lab run "$desk" rm -f /home/alice/.ssh/id_ed25519-cert.pub
root sh -c 'printf "publickey %s\n" "$1" >/tmp/forged; chown jit /tmp/forged; chmod 600 /tmp/forged' sh "$(key_of carol)"
refused "an SSH_USER_AUTH of the visitor's own is not believed" eval "on_desk alice \"printf 'list\\nquit\\n' | SSH_USER_AUTH=/tmp/forged ssh $quiet -o SendEnv=SSH_USER_AUTH jit@$db\" | grep r-$bobs"
root sh -c 'printf "int x;" >/tmp/evil.so; chmod 755 /tmp/evil.so'
gives "nor is LD_PRELOAD" '^jit-mailbox' on_desk alice "echo quit | LD_PRELOAD_X=1 ssh $quiet -o SetEnv='LD_PRELOAD=/tmp/evil.so LD_AUDIT=/tmp/evil.so OPENSSL_CONF=/tmp/evil.cnf BASH_ENV=/tmp/evil PATH=/tmp' jit@$db 2>&1"
refused "which would have been heard of" eval "on_desk alice \"echo quit | ssh $quiet -o SetEnv='LD_PRELOAD=/tmp/evil.so' jit@$db 2>&1\" | grep -i preload"
(on_desk alice "{ timeout 60 sh -c 'until test -e /tmp/enough; do sleep 0.2; done'; echo quit; } | ssh $quiet -o SetEnv='LD_PRELOAD=/tmp/evil.so GREETING=hello' jit@$db" >/dev/null 2>&1) &
soon "one more is served" 20 root pgrep -u jit -x -r S mailbox   # and waits, so that it is no other's that is just going
refused "no variable of theirs is in the process" root sh -c 'for p in $(pgrep -u jit -x mailbox); do tr "\0" "\n" </proc/$p/environ; done | grep -E "GREETING|PRELOAD"'
gives "whose limits are its own" 'Max processes +0 +0' root sh -c 'for p in $(pgrep -u jit -x mailbox); do cat /proc/$p/limits; done'
gives "which gains no privileges" 'NoNewPrivs:.1' root sh -c 'for p in $(pgrep -u jit -x mailbox); do cat /proc/$p/status; done'
gives "and runs under a filter" 'Seccomp:.2' root sh -c 'for p in $(pgrep -u jit -x mailbox); do cat /proc/$p/status; done'
lab run "$desk" touch /tmp/enough
wait
gives "a file of variables would be root's, as its home is" '^root 755$' root sh -c 'stat -c "%U %a" "$(getent passwd jit | cut -d: -f6)"'
root rm -rf /tmp/forged /tmp/evil.so
no_site
sshd_reload
gives "by su it is nothing" 'error refused' root runuser -l jit -c id
gives "nor with a forged account of a login that is somebody else's" 'error (refused|system)' root sh -c 'printf "publickey x\n" >/tmp/f; chmod 600 /tmp/f; setpriv --reuid jit --regid jit --init-groups env SSH_USER_AUTH=/tmp/f /usr/libexec/jit/mailbox; rm /tmp/f'

# --- too much ---------------------------------------------------------------------------------------------------------------------

inbox_files() { root sh -c 'ls -A /var/lib/jit/inbox | wc -l'; }
gives "a document over 32 KiB is not begun" 'error invalid' on_desk alice "{ echo put 1000000; head -c 1000000 /dev/zero; } | timeout 60 ssh $quiet jit@$db"
gives "32 KiB of junk are junk" 'error invalid' on_desk alice "{ echo put 32768; head -c 32768 /dev/zero; echo quit; } | timeout 60 ssh $quiet jit@$db"
gives "what nobody known signed is refused" 'error refused' on_desk bob "cp ~alice/ask.jit . 2>/dev/null; sed 's/alice/bobby/' /home/alice/ask >ask 2>/dev/null || printf 'jit = 1\n' >ask; rm -f ask.sig; ssh-keygen -q -Y sign -n jit-review -f .ssh/id_ed25519 ask; cat ask ask.sig >x.jit; { echo put \$(stat -c %s x.jit); cat x.jit; echo quit; } | ssh $quiet jit@$db"
gives "and what only hosts sign" 'error refused' on_desk carol "{ echo put \$(stat -c %s r.jit); cat r.jit; echo quit; } | ssh $quiet jit@$db"
ok "none of it is in the inbox" [ "$(inbox_files)" = 0 ]
on_desk dave 'printf "jit = 1\nkind = \"lock\"\nhosts = [\"elsewhere\"]\ncreated = 2026-01-01T00:00:00Z\nreason = \"flood\"\nnonce = \"00000000000000000000000000000000\"\n[targets]\nusers = [\"nobody-at-all\"]\n" >lock; rm -f lock.sig; ssh-keygen -q -Y sign -n jit-lock -f .ssh/id_ed25519 lock; cat lock lock.sig >lock.jit'
began=$SECONDS
flood=$(on_desk dave "for i in \$(seq 2000); do echo put \$(stat -c %s lock.jit); cat lock.jit; done | timeout 120 ssh $quiet jit@$db 2>/dev/null")
taken=$(grep -c '^ok' <<<"$flood")
took=$((SECONDS - began + 1))
ok "of 2000 documents at once $taken are taken in $took s: 120, and two more each second" test "$taken" -ge 1 -a "$taken" -le $((120 + 2 * took))
gives "the others are told to wait" 'error busy your key has sent' tail -50 <<<"$flood"
ok "jitd has taken what there was" within_time 10 eval '[ "$(inbox_files)" = 0 ]'
only_mailbox "another key is let in meanwhile" box carol 'quit\n'
ok "and brings what it has" client carol put a.jit
sleep 20
root systemctl stop jitd.service
waiting=$(on_desk dave "for i in \$(seq 30); do echo put \$(stat -c %s lock.jit); cat lock.jit; done | timeout 60 ssh $quiet jit@$db 2>/dev/null")
ok "while jitd takes nothing, 16 wait" [ "$(grep -c '^ok' <<<"$waiting")" = 16 ]
gives "and no more" 'error busy jitd has not taken' cat <<<"$waiting"
ok "which is all that is there" [ "$(inbox_files)" = 16 ]
root systemctl start jitd.service
ok "jitd comes back to them" within_time 20 eval '[ "$(inbox_files)" = 0 ]'

# 200 at once by one key, while somebody else logs in.
(on_desk alice "for i in \$(seq 200); do (sleep 25 | timeout 60 ssh $quiet -o ConnectTimeout=60 jit@$db >/tmp/many.\$i 2>/dev/null) & done; wait") >/dev/null 2>&1 &
sleep 8
soon "an exempt login answers beside 200 connections" 30 as rescue true
# One that is about to be refused is a process for a moment, too.
most=$(root sh -c 'for i in 1 2 3 4 5 6; do pgrep -c -u jit -x mailbox; sleep 0.3; done' | sort -n | head -1)
ok "of which $most are served" test "$most" -le 8
soon "another key finds the mailbox open" 30 eval "greeted \"\$(box carol 'quit\n')\""
wait
gives "those of one key are told that it has enough" 'error busy your key has 8 connections' on_desk alice 'cat /tmp/many.*'
soon "they leave nothing behind" 20 eval '[ "$(root pgrep -c -u jit -x mailbox)" = 0 ]'
only_mailbox "and the key is let in again" box alice 'quit\n'

# Who begins and does not end, and meanwhile who asks for nothing.
silent=$JIT_LOGS/56-silent
on_desk alice "timeout 100 ssh -S none -o ClearAllForwardings=yes -N jit@$db; test \$? -eq 124 || echo was let go" >"$silent" 2>&1 &
silent_pid=$!
started=$(date +%s)
gives "a document that is never finished is waited for a minute" 'error unavailable' on_desk alice "{ echo put 1000; sleep 90; } | timeout 85 ssh $quiet jit@$db"
took=$(($(date +%s) - started))
ok "and no longer ($took s)" test "$took" -ge 55 -a "$took" -le 120
wait "$silent_pid"
gives "a connection that asks for nothing is let go" 'was let go' cat "$silent"

# --- off, and gone ------------------------------------------------------------------------------------------------------------------

ok "off" root jitctl source ssh off
nothing "closed" box carol 'list\n'
refused "and the gate's list is as it was" root grep -q jit, /etc/pam.d/sshd
ok "off again is off" root jitctl source ssh off
ok "on once more" root jitctl source ssh on
only_mailbox "open" box carol 'quit\n'
ok "an upgrade leaves it open" root sh -c 'dpkg -i /root/debs/jitd-sync_*.deb && test -e /etc/ssh/sshd_config.d/50-jit.conf'
only_mailbox "and working" box carol 'quit\n'
ok "the package goes with the mailbox on" root dpkg -r jitd-sync
refused "sshd has no file of ours" root test -e /etc/ssh/sshd_config.d/50-jit.conf
ok "sshd is sound" root sshd -t
refused "jit is on no list of the gate" root grep -q 'exempt=[^ ]*jit' /etc/pam.d/sshd
nothing "the mailbox is gone" box carol 'list\n'
ok "and logins are what they were" as rescue true
ok "the rest can go, too" root dpkg -P jitd-sync jitd libpam-jit jitctl
ok "and logins go on" as carol true
