#!/bin/bash
# A folder as a source: a review that is carried by it becomes an active grant; hostile content, the folder going away and coming
# back, a stick that is put in and taken out, read-only.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up folder
carries_by /srv/mail

within_time 30 root test -e /var/lib/jit/outbox/host
# review USER ROLE DURATION FILE: asked, and carol's review of it in a file of the host.
review() {
  request "$1" "$2" "$3" || stop_here "$1 asks for $2"
  quietly root sh -c "jitctl export $id >/tmp/request.jit; rm -f /tmp/review.jit" || stop_here "the request is exported"
  quietly at carol "jitctl approve /tmp/request.jit --yes -o /tmp/review-$id.jit" || stop_here "carol signs"
  root mv "/tmp/review-$id.jit" "$4"
}
pid_of() { root systemctl show -P MainPID "$1"; }
unharmed() { [[ $(pid_of jitd.service) == "$jitd_pid" && $(pid_of jitd-sync.service) == "$sync_pid" ]]; }

# --- the package --------------------------------------------------------------------------------------------------------

ok "jitd-sync runs" root systemctl is-active jitd-sync.service
gives "as its own user" '^_jit-sync$' root sh -c 'ps -o user= -p "$(systemctl show -P MainPID jitd-sync.service)"'
gives "the way to inbox and outbox" '^710 root _jit-sync$' root stat -c '%a %U %G' /var/lib/jit
gives "the inbox may be written and not listed" '^730 root _jit-sync$' root stat -c '%a %U %G' /var/lib/jit/inbox
gives "the outbox may be read" '^2750 root _jit-sync$' root stat -c '%a %U %G' /var/lib/jit/outbox
soon "the source is read" 10 source_is good
jitd_pid=$(pid_of jitd.service)
sync_pid=$(pid_of jitd-sync.service)

# --- there and back -----------------------------------------------------------------------------------------------------

review alice operator 20m /tmp/a.jit
ok "carol's review goes into the host's box" sends /tmp/a.jit a.jit
soon "the grant is active" 10 is_state "$id" active
ok "and works" at_sudo alice
first=$id
ok "given back" at alice "jitctl release $id"
ok "the same review under another name" sends /tmp/a.jit again.jit
review alice operator 20m /tmp/b.jit
ok "one that is written where it is to lie" root cp /tmp/b.jit "$mail/to/$host/b.jit"
soon "becomes active, too" 10 is_state "$id" active
ok "and the one before makes no second grant" not is_state "$first" active
ok "given back" at alice "jitctl release $id"

ok "what jitd says is at the source" within_time 20 root test -s "$mail/from/$host/alive.jit"
review alice operator 20m /tmp/c.jit
ok "a request that waits is at the source" within_time 10 root test -s "$mail/from/$host/r-$id.jit"
sends /tmp/c.jit c.jit
soon "it is answered" 10 is_state "$id" active
ok "and then it waits no more" within_time 10 root test ! -e "$mail/from/$host/r-$id.jit"
ok "given back" at alice "jitctl release $id"
gives "the status is for people" '^taken [1-9]' at bob "cat /var/lib/jit-sync/mail.status"

# --- for others ---------------------------------------------------------------------------------------------------------

review alice operator 20m /tmp/d.jit
root install -d "$mail/to/elsewhere" "$mail/to/segment/pci-db"
root cp /tmp/d.jit "$mail/to/elsewhere/d.jit"
root cp /tmp/d.jit "$mail/to/segment/pci-db/d.jit"
sleep 2
ok "what lies in other hosts' boxes and other segments' is not taken" is_state "$id" pending
root sed -i '1i segments = ["pci-db"]' /etc/jit/jitd.toml
soon "in a segment that the host comes into it is" 15 is_state "$id" active
ok "given back" at alice "jitctl release $id"
sync_pid=$(pid_of jitd-sync.service)

# --- hostile content ----------------------------------------------------------------------------------------------------

junk=${JIT_JUNK:-15000}   # 100,000 take minutes to write and to remove
review alice operator 20m /tmp/e.jit
root perl -e '
  use POSIX;
  my $box = shift;
  symlink("/etc/shadow", "$box/shadow.jit"); symlink("/var/lib/jit/host_key", "$box/key.jit"); symlink("..", "$box/up.jit");
  symlink("loop.jit", "$box/loop.jit"); symlink("/dev/zero", "$box/zero-link.jit");
  mkfifo("$box/fifo.jit", 0666); mkdir "$box/x.jit"; mkdir "$box/x.jit/y.jit";
  system("mknod", "$box/zero.jit", "c", 1, 5); system("chmod", "666", "$box/zero.jit");
  sub file { my ($name, $text) = @_; open my $f, ">", "$box/$name" or return; print $f $text; close $f; }
  file("line\nbreak.jit", "x"); file("\e]0;title\a\e[31m.jit", "x"); file("\xff\xfe\x80.jit", "x"); file("-rf.jit", "x");
  file("\$(reboot).jit", "x"); file("a" x 251 . ".jit", "x"); file("%s%n.jit", "x"); file("empty.jit", "");
  file("secret.jit", "x"); chmod 0000, "$box/secret.jit";
  open my $f, ">", "$box/huge.jit"; truncate $f, 1 << 40; close $f;
  file("junk-$_.jit", "junk $_\n") for 1 .. $ARGV[0];
' "$mail/to/$host" "$junk" 2>/dev/null
# One that grows for ever.
root sh -c "exec setsid nohup sh -c 'echo \$\$ >/tmp/grows.pid; while sleep 0.02; do head -c 40000 /dev/zero >>\"$mail/to/$host/grows.jit\"; done' >/dev/null 2>&1 &"
ok "among $junk files of junk a review" sends /tmp/e.jit e.jit
soon "becomes active" 180 is_state "$id" active
ok "given back" at alice "jitctl release $id"
soon "and the junk is done with" 180 root sh -c '[ "$(sed -n "s/^refused //p" /var/lib/jit-sync/mail.status)" -ge "$0" ]' "$junk"
ok "neither jitd nor jitd-sync was ended by it" unharmed
ok "and no process of jitd-sync" not root sh -c 'journalctl -u jitd-sync.service | grep -q "is started again"'
rss() { root sh -c 'for p in $(pgrep -u _jit-sync); do sed -n "s/^VmRSS: *\([0-9]*\) kB/\1/p" /proc/$p/status; done' | awk '{ all += $1 } END { print int(all / 1024) }'; }
gives "nor does it take much memory" '^([0-9]|[1-7][0-9])$' rss
gives "the inbox is empty" '^0$' root sh -c 'ls -A /var/lib/jit/inbox | wc -l'
ok "no line of the journal is the source's" root sh -c '! journalctl -u jitd-sync.service -o cat | grep -q "[[:cntrl:]]"'
ok "nothing that was linked has changed" root sh -c 'stat -c "%a %U" /etc/shadow | grep -q "^640 root$" && head -1 /var/lib/jit/host_key | grep -q BEGIN'
root sh -c 'kill "$(cat /tmp/grows.pid)"'
root sh -c "cd '$mail/to/$host' && find . -mindepth 1 -maxdepth 1 -name '*junk*' -delete; rm -rf x.jit grows.jit huge.jit"

# Where the boxes should be.
root sh -c "mv '$mail/to' '$mail/kept'; ln -s kept '$mail/to'"
soon "a link in a box's place makes the source bad" 10 source_is bad
gives "and says why" 'is a link, or no folder' source_state error
root sh -c "rm '$mail/to'; mv '$mail/kept' '$mail/to'"
soon "and good again" 10 source_is good

# --- away and back ------------------------------------------------------------------------------------------------------

review alice operator 20m /tmp/f.jit
root mv "$mail" /srv/away
soon "without the folder the source is bad" 10 source_is bad
ok "it is not made" root test ! -e "$mail"
root cp /tmp/f.jit "/srv/away/to/$host/f.jit"
root mv /srv/away "$mail"
soon "with it a review is carried" 15 is_state "$id" active
ok "given back" at alice "jitctl release $id"
gives "the journal has one line of each" '^1 ' root sh -c 'echo "$(journalctl -u jitd-sync.service -o cat | grep -c "there is no such folder now") "'

# A stick: mounted over the folder, taken out while it is watched, back again, then for reading alone.
stick() { root mount -t tmpfs -o "size=4m,mode=755" stick "$mail"; root install -d "$mail/to/$host"; root install -d -o _jit-sync "$mail/from/$host"; }
stick
soon "what jitd says comes onto a stick" 15 root test -s "$mail/from/$host/alive.jit"
review alice operator 20m /tmp/g.jit
sends /tmp/g.jit g.jit
soon "and a review comes off it" 10 is_state "$id" active
ok "given back" at alice "jitctl release $id"
ok "it can be taken out at any time" root umount "$mail"
review alice operator 20m /tmp/h.jit
stick
sends /tmp/h.jit h.jit
soon "another stick in its place is read, too" 15 is_state "$id" active
ok "given back" at alice "jitctl release $id"
soon "and is written to" 15 root test -s "$mail/from/$host/alive.jit"
review alice operator 20m /tmp/i.jit
root sh -c "cp /tmp/i.jit '$mail/to/$host/.i'; rm '$mail/from/$host/'*; mv '$mail/to/$host/.i' '$mail/to/$host/i.jit'; mount -o remount,ro '$mail'"
soon "a read-only stick is read all the same" 15 is_state "$id" active
ok "given back" at alice "jitctl release $id"
takes_nothing() { [[ $(source_state post_error) == *Read-only* ]]; }
soon "its status says that it takes nothing" 20 takes_nothing
ok "and it is good" source_is good
root umount "$mail"
soon "the folder beneath is back" 15 within_time 1 source_is good
ok "neither was ended by all this" unharmed

# --- configuration ------------------------------------------------------------------------------------------------------

root cp /etc/jit/jitd.toml /tmp/good.toml
root sed -i 's,^url = .*,url = "ftp://nowhere",' /etc/jit/jitd.toml
soon "a bad source is told of by file, line and key" 5 root sh -c 'journalctl -u jitd-sync.service -o cat | grep -q "/etc/jit/jitd.toml:[0-9]*: sources\[1\].url"'
ok "and to jitd, too" root sh -c '! jitd --check 2>/tmp/check && grep -q "sources\[1\].url" /tmp/check'
review alice operator 20m /tmp/j.jit
sends /tmp/j.jit j.jit
soon "what was right goes on" 10 is_state "$id" active
ok "given back" at alice "jitctl release $id"
root cp /tmp/good.toml /etc/jit/jitd.toml
soon "the status of a source that is none is gone" 15 root sh -c "sed -i '/sources/,\$d' /etc/jit/jitd.toml; test ! -e /var/lib/jit-sync/mail.status"
ok "jitd is up" unharmed
