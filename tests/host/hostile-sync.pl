#!/usr/bin/perl
# What somebody may try who has taken over jitd-sync: everything that its account and its sandbox leave, at the inbox, the
# outbox and the rest of the host. Each thing that should not have worked is a line "GOT ..." in the report.
#
#   hostile-sync.pl SECONDS DOCUMENTS REPORT     DOCUMENTS: a folder of old documents to replay
use strict;
use warnings;
use Fcntl;
use POSIX qw(mkfifo :sys_wait_h);
use Socket;

my ($seconds, $documents, $report) = @ARGV;
my $var = "/var/lib/jit";
my $inbox = "$var/inbox";
my $until = time + $seconds;
open my $out, ">>", $report or die "$report: $!";
$out->autoflush(1);
sub got { print $out "GOT @_\n"; }
sub did { print $out "did @_\n"; }

sub readable {
  my $path = shift;
  sysopen my $f, $path, O_RDONLY | O_NONBLOCK or return 0;
  return defined sysread $f, my $byte, 1;
}
sub listed {
  opendir my $d, shift or return 0;
  return grep { !/^\.\.?$/ } readdir $d;
}
sub file {
  my ($path, $text) = @_;
  sysopen my $f, $path, O_WRONLY | O_CREAT | O_EXCL, 0600 or return 0;
  syswrite $f, $text;
  return close $f;
}

# --- what it can reach --------------------------------------------------------------------------------------------------

for my $path ("/etc/shadow", "/etc/gshadow", "$var/host_key", "$var/jit.db", "$var/ends", "$var/held", "/run/jit/board", "/run/jit/effects.lock",
  "/home/alice/.bashrc", "/home/carol/.ssh/id_ed25519", "/root/.ssh/authorized_keys", "/dev/mem", "/dev/kmsg", "/proc/1/environ", "/proc/kcore",
  "/run/systemd/private") {
  got("to read $path") if readable($path);
}
for my $folder ($inbox, $var, "$var/signed", "$var/last-good", "/run/jit", "/run/jit/sudoers.d", "/root", "/home/alice", "/home/carol/.ssh", "/var/log/jit-io") {
  got("to list $folder") if listed($folder);
}
for my $path ("/run/jit/control.sock", "/run/jit/check.sock", "/run/dbus/system_bus_socket", "/run/systemd/private") {
  socket(my $s, AF_UNIX, $path =~ /jit/ ? 5 : SOCK_STREAM, 0) or next;    # 5: SOCK_SEQPACKET
  got("to connect to $path") if connect($s, pack_sockaddr_un($path));
}
for my $path ("$var/outbox/x", "$var/outbox/host", "$var/outbox/alive.jit", "$var/x", "$var/held", "$var/signed/x", "/etc/x", "/etc/jit/policy.d/x.toml",
  "/etc/jit/jitd.toml", "/etc/jit/trust/approvers", "/etc/sudoers.d/x", "/etc/cron.d/x", "/etc/pam.d/sshd", "/run/jit/x", "/run/jit/sudoers.d/x",
  "/var/spool/cron/x", "/usr/bin/x", "/root/x", "/home/x", "/run/systemd/system/x.service", "/sys/fs/cgroup/x", "/proc/sys/kernel/core_pattern") {
  got("to write $path") if sysopen my $f, $path, O_WRONLY | O_CREAT;
}
for my $path ("$var/outbox", "$var/outbox/host", $inbox, $var, "$var/host_key", "/etc/passwd") {
  got("to rename $path") if rename $path, "$path.away";
  got("to remove $path") if unlink $path or rmdir $path;
  got("to change the mode of $path") if chmod 0777, $path;
}
got("a link into the outbox") if symlink "/etc/shadow", "$var/outbox/e-000000000001.jit";
got("a folder beside the inbox") if mkdir "$var/elsewhere";
for my $path ("/etc/shadow", "/etc/passwd", "$var/host_key", "$var/host_key.pub", "$var/outbox/host", "/usr/bin/sudo", "/run/jit/board") {
  got("a hard link of $path in the inbox") if link $path, "$inbox/hard-" . ($path =~ tr{/}{-}r);
}
got("root") if system("sudo -n id >/dev/null 2>&1") == 0 or system("su root -c id </dev/null >/dev/null 2>&1") == 0;
$> = 0; got("uid 0") if $> == 0 and $! == 0;
file("/var/lib/jit-sync/setuid", "x") and do { got("a setuid file") if chmod 04755, "/var/lib/jit-sync/setuid"; unlink "/var/lib/jit-sync/setuid"; };
got("a namespace") if system("unshare -U true 2>/dev/null") == 0 or system("unshare -r true 2>/dev/null") == 0;
got("a mount") if system("mount -t tmpfs x /srv 2>/dev/null") == 0;
got("a device") if system("mknod $inbox/device c 1 5 2>/dev/null") == 0;
got("a netlink socket") if socket my $n, 16, SOCK_RAW, 0;
got("a packet socket") if socket my $k, 17, SOCK_RAW, 0;
for my $pid (grep { /^\d+$/ } map { s{.*/}{}r } glob "/proc/[0-9]*") {
  next unless open my $c, "<", "/proc/$pid/status";
  my ($uid) = map { /^Uid:\s+(\d+)/ } <$c>;
  got("to see process $pid of uid $uid") if defined $uid and $uid != $<;
  got("to signal process $pid of uid $uid") if defined $uid and $uid != $< and kill 0, $pid;
}
for my $pid (1 .. 400) { got("to signal process $pid") if $pid != $$ and kill 0, $pid and not -d "/proc/$pid"; }
{ # A file larger than anything that it needs.
  local $SIG{XFSZ} = "IGNORE";
  sysopen my $f, "/var/lib/jit-sync/large", O_WRONLY | O_CREAT;
  my $size = 0;
  while (my $n = syswrite $f, "x" x 65536) { $size += $n; last if $size > 64 << 20; }
  close $f;
  got("a file of $size bytes") if $size > 4 << 20;
  unlink "/var/lib/jit-sync/large";
}
{ # More processes than it needs.
  my @children;
  while (@children < 300) { my $pid = fork; last unless defined $pid; if (!$pid) { sleep 3; POSIX::_exit(0); } push @children, $pid; }
  did(scalar(@children) . " processes") if @children >= 300;
  kill KILL => @children; waitpid $_, 0 for @children;
}
did("looked round");

# --- the inbox ----------------------------------------------------------------------------------------------------------

my @old;
for my $path (glob "$documents/*") { open my $f, "<", $path or next; local $/; push @old, scalar <$f>; }
my $count = 0;
sub name { return sprintf "%08x-%d-%d", rand(2 ** 32), $$, $count++; }

# Things that are no files, wherever they lead.
for my $target ("/etc/shadow", "$var/host_key", "$var/jit.db", "/dev/zero", "/dev/stdin", "..", ".", "loop", "/proc/self/mem", "$var/outbox/host", "/run/jit/control.sock") {
  symlink $target, "$inbox/link-" . name();
}
symlink "loop", "$inbox/loop";
mkfifo("$inbox/fifo-" . name(), 0666) for 1 .. 50;
socket my $sock, AF_UNIX, SOCK_STREAM, 0;
bind $sock, pack_sockaddr_un("$inbox/socket");
for (1 .. 20) { my $d = "$inbox/folder-" . name(); mkdir $d; if ($_ % 2) { mkdir "$d/deep"; file("$d/deep/x.jit", "x"); } }
for my $n ("-rf", "a\nb", "\e[31mred\e[0m", "\xff\xfe", "\$(reboot)", "x" x 255, "%s%n", " ", "..jit", ".hidden", "jit.db", "host_key") { file("$inbox/$n", "x"); }
did("links, FIFOs, sockets, folders and names");

# Children that go on until the end, each with one trick.
my @tricks = (
  sub { # a file that grows for ever, and is never closed
    local $SIG{XFSZ} = "IGNORE";
    sysopen my $f, "$inbox/" . name(), O_WRONLY | O_CREAT, 0600;
    while (time < $until) { syswrite $f, "a = \"b\"\n" x 4000 or do { truncate $f, 0; sysseek $f, 0, 0; }; select undef, undef, undef, 0.01; }
  },
  sub { # one that is another each time it is looked at: opened for writing between the looks
    my $n = "$inbox/" . name(); my $i = 0;
    while (time < $until) { sysopen my $f, $n, O_WRONLY | O_CREAT | O_TRUNC, 0600 or next; syswrite $f, $old[$i++ % @old] if @old; close $f; select undef, undef, undef, 0.002; }
  },
  sub { # names that change places under jitd's hands
    my ($a, $b) = ("$inbox/" . name(), "$inbox/" . name());
    while (time < $until) { file($a, $old[0] // "x"); symlink "/etc/shadow", $b; rename $b, $a; rename $a, $b; unlink $a, $b; }
  },
  sub { # a folder and a file by turns
    my $n = "$inbox/" . name();
    while (time < $until) { mkdir $n; rmdir $n; file($n, "x"); unlink $n; mkfifo($n, 0600); unlink $n; }
  },
  sub { # two names for one file, of which one goes
    my $i = 0;
    while (time < $until) { my $n = "$inbox/" . name(); file($n, $old[$i++ % (@old || 1)] // "x"); link $n, "$n.b"; unlink $n; select undef, undef, undef, 0.005; }
  },
  sub { # old documents, again and again
    my $i = 0;
    while (time < $until) { file("$inbox/" . name(), $old[$i++ % @old]) if @old; select undef, undef, undef, 0.001; }
  },
  sub { # old documents with one byte changed, cut, doubled, mixed with each other
    while (time < $until) {
      next unless @old;
      my $text = $old[rand @old];
      my $how = int rand 5;
      if ($how == 0) { substr($text, rand(length $text), 1) = chr rand 256; }
      elsif ($how == 1) { $text = substr $text, 0, rand length $text; }
      elsif ($how == 2) { $text .= $text; }
      elsif ($how == 3) { my $other = $old[rand @old]; my ($p) = split /^-----BEGIN/m, $text; my (undef, $s) = split /^-----BEGIN/m, $other, 2; $text = "$p-----BEGIN" . ($s // ""); }
      else { $text =~ s/"[a-z]+"/"root"/; }
      file("$inbox/" . name(), $text);
      select undef, undef, undef, 0.001;
    }
  },
  sub { # all descriptors, and the memory that it may have
    my (@files, $memory);
    while (sysopen my $f, "$inbox/" . name(), O_RDWR | O_CREAT, 0600) { push @files, $f; last if @files > 5000; }
    got(scalar(@files) . " open files") if @files > 5000;
    sleep 1 while time < $until;
  },
);
my @children;
for my $trick (@tricks) { my $pid = fork // next; if (!$pid) { srand($$); $trick->(); POSIX::_exit(0); } push @children, $pid; }

# 50,000 files as fast as they can be made.
my $made = 0;
for (1 .. 50000) { file("$inbox/" . name(), "flood $_\n") and $made++; last if time >= $until; }
did("$made files");
sleep 1 while time < $until;
waitpid $_, 0 for @children;
did("all");
