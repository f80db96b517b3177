#!/bin/bash
# Figures of a whole host, on a booted one: how long a right outlives its end, what drop-ins cost sudo, how long jitd takes
# to start with many grants, what it weighs, and how often it wakes when nothing happens. Prints tables; asserts nothing.
#
#   tests/bench/host.sh [ENDS] [GRANTS] [IDLE_SECONDS]       default 20 10000 60; 0 leaves a part out
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/../host/lib.sh"
ends=${1:-20} grants=${2:-10000} idle=${3:-60}
fill=$top/build/bench/tests/bench/bench_fill
up bench
quietly lab apt "$host" install -y --no-install-recommends perl pamtester || stop_here "perl and pamtester"

table() { printf '%-52s %s\n' "$1" "$2"; }
# Middle and 99th of a hundred of the numbers on standard input.
spread() { sort -n | awk '{ v[NR] = $1 } END { if (NR == 0) { print "nothing measured"; exit }
  p = int((NR * 99 + 99) / 100); printf "p50 %.1f ms   p99 %.1f ms   (%d)", v[int((NR + 1) / 2)], v[p], NR }'; }

# --- from not_after to the group gone, the drop-in gone, sudo refusing ---------------------------------------------------

watcher() {   # in the host: prints "GROUP_MS DROPIN_MS SUDO_MS" after the end
  cat <<'END'
use strict; use Time::HiRes qw(time usleep);
my ($id, $not_after) = @ARGV;
my ($group, $dropin, $sudo);
usleep(1000) while time < $not_after - 0.05;
while (!defined $group || !defined $dropin) {
  my $now = time;
  if (!defined $dropin && !-e "/run/jit/sudoers.d/jit-$id") { $dropin = $now }
  if (!defined $group) { open my $f, '<', '/etc/group'; $group = $now unless grep { /^ops:.*\balice\b/ } <$f> }
  die "still there 5 s after its end\n" if $now > $not_after + 5;
  usleep(500);
}
my $rc = system('/usr/sbin/runuser', '-u', 'alice', '--', '/usr/bin/sudo', '-n', '/usr/bin/id');
$sudo = $rc == 0 ? 'allowed' : sprintf('%.1f', (time - $not_after) * 1000);
printf "%.1f %.1f %s\n", ($group - $not_after) * 1000, ($dropin - $not_after) * 1000, $sudo;
END
}
if [[ $ends -gt 0 ]]; then
watcher | put /root/watch.pl
lags=$(mktemp)
for _ in $(seq "$ends"); do
  grant alice operator 5s
  not_after=$(at alice "jitctl --json show $id" | sed -n 's/.*"not_after": *\([0-9]*\).*/\1/p' | head -1)
  root perl /root/watch.pl "$id" "$not_after" 2>/dev/null | tail -1 >>"$lags"
done
table "end of a grant: not_after to group gone" "$(cut -d' ' -f1 "$lags" | spread)"
table "end of a grant: not_after to drop-in gone" "$(cut -d' ' -f2 "$lags" | spread)"
table "end of a grant: not_after to a sudo having been refused" "$(cut -d' ' -f3 "$lags" | grep -v allowed | spread)"
rm -f "$lags"

# --- sudo's own start ----------------------------------------------------------------------------------------------------

sudo_start() {
  root perl -e 'use Time::HiRes "time"; for (1 .. 60) { my $t = time;
    system("/usr/sbin/runuser", "-u", "bob", "--", "/usr/bin/sudo", "-n", "-l", "/usr/bin/id"); printf "%.2f\n", (time - $t) * 1000 }' 2>/dev/null | grep -v / | spread
}
root systemctl stop jitd.service
for n in 0 100 1000; do
  root sh -c "rm -f /run/jit/sudoers.d/*; i=0; while [ \$i -lt $n ]; do
    printf '#1001 ALL=(#0) NOTAFTER=20991231235959Z PASSWD: /usr/bin/id \"\"\\n' >/run/jit/sudoers.d/jit-bench\$i; i=\$((i + 1)); done"
  table "runuser + sudo -n -l with $n drop-ins" "$(sudo_start)"
done
root sh -c 'rm -f /run/jit/sudoers.d/*'
fi

# --- many grants ---------------------------------------------------------------------------------------------------------

# Accounts bench0 ... and grants of theirs as activations would have left them: members of db, and for role runner a drop-in.
members() { root sh -c "sed -i 's/^\(db:[^:]*:[0-9]*:\).*/\1/' /etc/group /etc/gshadow; perl -pi -e 's/\$/join(\",\", map { \"bench\$_\" } 0 .. $1 - 1)/e if /^db:/' /etc/group"; }
fill() {   # GRANTS SECONDS ROLE: the effects must be what the host makes of the role, byte for byte, or the grants end
  local effects
  effects="group db gid $(root sh -c "grep '^db:' /etc/group | cut -d: -f3")"$'\n'
  case $3 in
  quick) effects+="opens login"$'\n' ;;
  runner) effects+="opens sudo"$'\n'"sudo as root uid 0: /usr/bin/id"$'\n' ;;
  esac
  members "$1"
  quietly root /root/bench_fill "$1" "$2" "$3" "$effects" || stop_here "bench_fill"
}
rss() { root sh -c "awk '/VmRSS/ { printf \"%.1f\", \$2 / 1024 }' /proc/\$(systemctl show -p MainPID --value jitd.service)/status"; }
if [[ $grants -eq 0 ]]; then
  table "many grants" "not asked for"
elif [[ -x $fill ]]; then
  lab push "$host" "$fill" /root/bench_fill
  # start.pl N [SERVICE]: starts jitd; the ms until READY, until a check is allowed by one of its N grants, until all are in force.
  put /root/start.pl <<'END'
use strict; use Time::HiRes qw(time usleep);
my ($n, $service) = @ARGV; my $t = time;
system('systemctl', 'start', 'jitd.service');
my $ready = time; my ($first, $all) = $service ? () : ($ready);
while ($n && !(defined $first && defined $all)) {
  if (time > $t + 200) { print 'not all in force after 200 s: ', `journalctl -q -u jitd -n 1 -o cat`; exit 1 }
  if (!defined $first && system("pamtester $service bench0 acct_mgmt >/dev/null 2>&1") == 0) { $first = time }
  if (!defined $all && `systemctl show -p StatusText jitd.service` =~ /=$n active/) { $all = time }
  usleep(20000);
}
printf 'READY %.0f ms', ($ready - $t) * 1000;
printf '   a check allowed %.0f ms', ($first - $t) * 1000 if $service;
printf '   all in force %.0f ms', ($all - $t) * 1000 if $n;
END
  # all.pl END_SECONDS: the ms after that until nothing of theirs is left.
  put /root/all.pl <<'END'
use strict; use Time::HiRes qw(time usleep);
my $end = $ARGV[0]; my $most = my $members = 0; my ($group, $dropins);
while (!defined $group || !defined $dropins) {
  my $now = time;
  if ($now > $end + 20) { print 'still there 20 s after the end'; exit 1 }
  my @files = glob '/run/jit/sudoers.d/jit-*'; $most = @files if @files > $most;
  open my $f, '<', '/etc/group'; my ($line) = grep { /^db:/ } <$f>;
  my $n = () = $line =~ /bench/g; $members = $n if $n > $members;
  $dropins //= $now if $now > $end && !@files; $group //= $now if $now > $end && !$n;
  usleep(2000);
}
printf 'the last of %d members after %.0f ms, of %d drop-ins after %.0f ms', $members, ($group - $end) * 1000, $most, ($dropins - $end) * 1000;
END
  root sh -c "perl -e 'printf qq(bench%d:x:%d:100::/nonexistent:/bin/sh\n), \$_, 20000 + \$_ for 0 .. $grants - 1' >>/etc/passwd
    perl -e 'printf qq(bench%d:*:19000:0:99999:7:::\n), \$_ for 0 .. $grants - 1' >>/etc/shadow"
  set_policy "$(policy | sed '/roles.quick/,/eligible/s/^eligible.*/eligible = ["alice", "@users"]/; /^leads/a revokers = ["carol"]')

[roles.runner]
eligible = [\"@users\"]
groups = [\"db\"]
opens = [\"sudo\"]
dangerous = true
[[roles.runner.sudo]]
as = \"root\"
commands = [\"/usr/bin/id\"]
[[roles.runner.rules]]
then = \"approve\""
  for n in 0 100 1000 "$grants"; do
    root systemctl stop jitd.service
    if [[ $n -eq 0 ]]; then root /root/bench_fill 0; else fill "$n" 3600 quick; fi
    table "systemctl start with $n grants" "$(root perl /root/start.pl "$n" "${n/#[1-9]*/sshd}")"
    table "  resident memory" "$(rss) MiB"
  done
  # All end in the same second, first without drop-ins, then with one each.
  for role in quick runner; do
    root systemctl stop jitd.service
    seconds=20
    [[ $role == quick ]] || seconds=240   # sudo is asked about each of them, and reads all the others
    fill 1000 $seconds $role
    table "systemctl start with 1000 grants of role $role" "$(root perl /root/start.pl 1000)"
    end=$(root sh -c "cut -d' ' -f4 /var/lib/jit/ends | head -1")
    table "  all of them end in one second" "$(root perl /root/all.pl "$end")"
  done
  # The panic button, root's and an approver's, each on 1000 grants without and with a drop-in each.
  put /root/panic.pl <<'END'
use strict; use Time::HiRes qw(time usleep);
my $t = time; my ($group, $dropins, $answer);
my $pid = open my $said, '-|', @ARGV or die; my $out = '';
while (!defined $group || !defined $dropins || !defined $answer) {
  my $now = time;
  if ($now > $t + 20) { print 'still there after 20 s'; exit 1 }
  my @files = glob '/run/jit/sudoers.d/jit-*';
  open my $f, '<', '/etc/group'; my ($line) = grep { /^db:/ } <$f>;
  $dropins //= time if !@files; $group //= time if $line !~ /bench/;
  if (!defined $answer) { my $r = ''; vec($r, fileno $said, 1) = 1;
    if (select $r, undef, undef, 0) { my $n = sysread $said, my $part, 65536; $out .= $part; $answer = time if !$n } }
  usleep(1000);
}
printf 'the last drop-in gone after %.0f ms, the last membership after %.0f ms, answered after %.0f ms',
  ($dropins - $t) * 1000, ($group - $t) * 1000, ($answer - $t) * 1000;
END
  for what in "quick jitctl release --all" "quick runuser -l carol -c 'jitctl revoke --all -m panic'" \
    "runner runuser -l carol -c 'jitctl revoke --all -m panic'"; do
    root systemctl stop jitd.service
    fill 1000 3600 "${what%% *}"
    table "systemctl start with 1000 grants of role ${what%% *}" "$(root perl /root/start.pl 1000)"
    table "  ${what#* }" "$(root perl /root/panic.pl sh -c "${what#* }")"
  done
  root systemctl stop jitd.service
  root /root/bench_fill 0
else
  table "many grants" "not measured: build tests/bench first"
fi

# --- idle ----------------------------------------------------------------------------------------------------------------

root systemctl stop jitd.service
root systemctl start jitd.service
wakes() { root sh -c "cat /proc/\$(systemctl show -p MainPID --value jitd.service)/task/*/status" | awk '/^voluntary_ctxt/ { n += $2 } END { print n }'; }
sleep 5
before=$(wakes); sleep "$idle"; after=$(wakes)
table "wake-ups of jitd while idle" "$((after - before)) in $idle s"
