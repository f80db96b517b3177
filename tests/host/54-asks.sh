#!/bin/bash
# Asked from elsewhere: signed with ssh-keygen alone, handed in by anybody, approved from what lies in the outbox, and told there to its end
# in events that stock OpenSSH verifies. Copies, others' asks and a cloned host get nothing.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up asks
outbox=/var/lib/jit/outbox
share=/var/tmp   # where anybody leaves what anybody may read; it stays over a reboot
# As the package that carries it away makes it; jitd runs already.
root groupadd --system _jit-sync
root install -d -m 2750 -o root -g _jit-sync "$outbox"
for who in alice bob; do at "$who" "ssh-keygen -q -t ed25519 -N '' -f laptop"; done
may_ask() {
  local who; for who in "$@"; do
    root sh -c "echo \"$who namespaces=\\\"jit-ask\\\" \$(cut -d' ' -f1,2 /home/$who/laptop.pub)\""
  done | put /etc/jit/trust/requesters
}
may_ask alice bob

# ask FILE USER ROLE [SIGNER [HOST [EXPIRES]]]: as jit-documents(5) shows it, without jitctl. In $share, for anybody.
ask() {
  local file=$1 user=$2 role=$3 signer=${4:-$2} where=${5:-$host} expires=${6:-8hours}
  at "$signer" "rm -f a a.sig; cat >a <<END
jit = 1
kind = \"ask\"
hosts = [\"$where\"]
user = \"$user\"
role = \"$role\"
duration = \"10m\"
reason = \"asked as $file\"
created = \$(date -u -d '-2 seconds' +%Y-%m-%dT%H:%M:%SZ)
expires = \$(date -u -d '$expires' +%Y-%m-%dT%H:%M:%SZ)
nonce = \"\$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')\"
END
ssh-keygen -q -Y sign -f laptop -n jit-ask a && cat a a.sig >$share/$file && chmod 644 $share/$file"
}
import() { at bob "jitctl --json import $share/$1"; }
payload() { sed '/^-----BEGIN SSH SIGNATURE-----$/,$d'; }
digest_of() { echo "sha256:$(root cat "$1" | payload | sha256sum | cut -d' ' -f1)"; }
# told KEY VALUE...: there is an event with all of these, written last.
told() {
  local pattern=; while [[ $# -gt 0 ]]; do pattern+=" && grep -qxF '$1 = \"$2\"' \$f"; shift 2; done
  root sh -c "for f in \$(ls -r $outbox/e-*.jit); do true $pattern && exit 0; done; exit 1"
}
requests_waiting() { root sh -c "ls $outbox/r-*.jit 2>/dev/null | grep -c ."; }
numbers() { root ls "$outbox" | sed -n 's/^e-0*\([0-9]*\)\.jit$/\1/p'; }
last_number() { numbers | tail -1; }
without_gaps() { [[ $(numbers) == "$(seq "$(numbers | head -1)" "$(numbers | tail -1)")" ]]; }
# Every event verifies with ssh-keygen alone, under the key that the host has now.
verified() {
  root sh -c "cd /root && echo \"$host namespaces=\\\"jit-event\\\" \$(cut -d' ' -f1,2 /var/lib/jit/host_key.pub)\" >signers
  for f in $outbox/e-*.jit $outbox/alive.jit; do
    sed '/^-----BEGIN SSH SIGNATURE-----\$/,\$d' \$f >payload; sed -n '/^-----BEGIN/,/^-----END/p' \$f >signature
    ssh-keygen -Y verify -f signers -I $host -n jit-event -s signature <payload || exit 1
  done"
}

soon "the outbox is taken up while jitd runs" 5 root test -s "$outbox/alive.jit"
gives "it says whose it is" "^host $host\$" root cat "$outbox/host"
gives "by which key" "^key SHA256:" root cat "$outbox/host"
gives "readable for who carries it" '^640 root _jit-sync$' root stat -c '%a %U %G' "$outbox/alive.jit"

refused "alice cannot come in" can_ssh alice
ok "she asks from elsewhere" ask asked.jit alice operator
status "anybody may carry it in" 0 import asked.jit
soon "and it is a request of this host" 5 told what filed document "$(digest_of $share/asked.jit)" user alice
id=$(root ls "$outbox" | sed -n 's/^r-\(.*\)\.jit$/\1/p')
gives "that says where it came from" '^origin = "ask"$' root cat "$outbox/r-$id.jit"
gives "and of which document" "^ask = \"$(digest_of $share/asked.jit)\"\$" root cat "$outbox/r-$id.jit"
gives "a copy is the same request" "$id" import asked.jit
gives "and makes no second" '^1$' requests_waiting

# What is no ask of alice's to this host now.
ask other.jit alice operator alice db9
refused "an ask for another host is refused" import other.jit
soon "and that is told" 5 told what refused document "$(digest_of $share/other.jit)"
ask forged.jit alice operator bob
refused "nobody asks for somebody else" import forged.jit
ask late.jit alice operator alice "$host" '-1 second'
refused "an expired ask is refused" import late.jit
ask nobody.jit bob pair
gives "a role that is not bob's" 'there is no role' import nobody.jit
ask nothing.jit bob nosuch
gives "is refused like one that is not there" 'there is no role' import nothing.jit
gives "none of them waits" '^1$' requests_waiting

# Approved from the file that the host signed.
root cat "$outbox/r-$id.jit" | put $share/request.jit
ok "carol approves it" at carol "jitctl approve $share/request.jit --yes -o review.jit && cp review.jit $share/review.jit && chmod 644 $share/review.jit"
status "her review comes in" 0 import review.jit
soon "the grant is active" 5 is_state "$id" active
ok "alice comes in" can_ssh alice
ok "and sudo works" at_sudo alice
soon "her review has its answer" 5 told what reviewed document "$(digest_of $share/review.jit)" by carol
soon "the ask's request is told as active" 5 told what active ask "$(digest_of $share/asked.jit)" user alice role operator
soon "and waits no longer" 5 root test ! -e "$outbox/r-$id.jit"
gives "a copy of the ask is answered by it" '"state": *"active"' import asked.jit
ok "given back" at alice "jitctl release $id"
soon "that is told too" 5 told what ended ask "$(digest_of $share/asked.jit)"
quietly import asked.jit
gives "a copy makes no second grant" '^0$' requests_waiting
ok "not even then" not is_state "$id" active
ok "every event verifies with ssh-keygen" verified
ok "and none is missing" without_gaps

# A rule that approves by itself; jitd down in the middle; the inbox.
root systemctl stop jitd.service
ask quick.jit alice quick
root cp "$share/quick.jit" /var/lib/jit/inbox/x
quietly lab reboot "$host"
soon "what lay in the inbox is judged at the next start" 20 told what active user alice role quick
soon "and given" 5 member alice db
ok "the file is gone" root sh -c 'test -z "$(ls -A /var/lib/jit/inbox)"'
gives "a copy after the reboot is the same" '"state": *"ended"' import asked.jit
soon "the start is told" 5 told what started
ok "numbers go on" without_gaps

# The same disk on another machine. What is in force there was given elsewhere.
ask waits.jit alice operator
ok "one more waits" import waits.jit
soon "in the outbox" 5 told what filed document "$(digest_of $share/waits.jit)"
before=$(last_number)
root sh -c 'systemd-id128 new >/etc/machine-id'
quietly lab reboot "$host"
says_so() { root jitctl doctor 2>&1 | grep -q 'another /etc/machine-id'; }
soon "a host on another machine says so" 20 says_so
gives "to everybody" 'another /etc/machine-id' at alice "jitctl status 2>&1"
soon "what was in force is over" 5 not member alice db
ok "nothing is left" nothing_left
gives "a wish is refused, with what to do" 'jitctl enrol' at alice "jitctl request quick 1m --no-wait -m x 2>&1"
ask cloned.jit alice quick
refused "an ask is not taken" import cloned.jit
id=$(root ls "$outbox" | sed -n 's/^r-\(.*\)\.jit$/\1/p')
root cat "$outbox/r-$id.jit" | put $share/request.jit
at carol "rm -f review.jit; jitctl approve $share/request.jit --yes -o review.jit && cp review.jit $share/second.jit && chmod 644 $share/second.jit" >/dev/null 2>&1
refused "nor a review" import second.jit
ok "it does not speak in the host's name" root test ! -e "$outbox/host"
gives "and changes nothing of what was said" "^$before\$" last_number
root cp "$share/second.jit" /var/lib/jit/inbox/second
quietly root sleep 1
ok "what came meanwhile is kept" root test -e /var/lib/jit/inbox/second
ok "what takes away works" at carol "jitctl lock bob -m clone"

# As `jitctl enrol` says it to jitd.
enrol() {
  root perl -e 'use Socket; my $what = shift; socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die;
    connect($s, pack_sockaddr_un("/run/jit/control.sock")) or die; my $f = pack("vv", 50, length $what) . $what;
    send($s, pack("VvvVV", 0x3154494a, 1, 48, length $f, 7) . $f, 0); recv($s, my $r, 65536, 0);
    my ($tag, $len, $status) = unpack("vvV", substr $r, 16); print "status $status\n"; print $r =~ /([ -~]{20,})/ ? "$1\n" : ""; exit $status' "$1"
}
ok "root says that it is the same host, moved" enrol keep
soon "it speaks again" 5 root test -e "$outbox/host"
ok "with the key that it had" root grep -qxF "key $(root ssh-keygen -l -f /var/lib/jit/host_key.pub | cut -d' ' -f2)" "$outbox/host"
soon "and takes what came meanwhile" 40 is_state "$id" active
ok "every event still verifies" verified
ok "none is missing" without_gaps
key_before=$(root cat /var/lib/jit/host_key.pub)

root sh -c 'systemd-id128 new >/etc/machine-id'
quietly lab reboot "$host"
soon "copied once more" 20 says_so
ok "root says that it is a copy" enrol new
ok "it has another key" not test "$key_before" = "$(root cat /var/lib/jit/host_key.pub)"
soon "under which it speaks" 5 verified
gives "what waited is over" '^0$' requests_waiting
ok "the old review counts for nothing" not import second.jit
ok "it works as a host of its own" at alice "jitctl request quick 1m --no-wait -m x"
ok "the audit chain holds" root jitctl audit verify
