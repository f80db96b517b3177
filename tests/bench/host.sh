#!/bin/bash
# Figures of a whole host, on a booted one: how long a right outlives its end, what drop-ins cost sudo, how long jitd takes
# to start with many grants, what it weighs, and how often it wakes when nothing happens. Prints tables; asserts nothing.
#
#   tests/bench/host.sh [ENDS] [GRANTS] [IDLE_SECONDS]       default 20 10000 60
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/../host/lib.sh"
ends=${1:-20} grants=${2:-10000} idle=${3:-60}
fill=$top/build/bench/tests/bench/bench_fill
up bench

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

# --- many grants ---------------------------------------------------------------------------------------------------------

rss() { root sh -c "awk '/VmRSS/ { print \$2 / 1024 }' /proc/\$(systemctl show -p MainPID --value jitd.service)/status"; }
start_time() {
  root perl -e 'use Time::HiRes qw(time usleep); use IO::Socket::UNIX; my $t = time; system("systemctl", "start", "jitd.service");
    printf "%.0f", (time - $t) * 1000'
}
for n in 0 100 "$grants"; do
  root systemctl stop jitd.service
  if [[ -x $fill ]]; then
    lab push "$host" "$fill" /root/bench_fill
    quietly root /root/bench_fill "$n" || { say "$last_output"; break; }
  elif [[ $n -gt 0 ]]; then table "start with $n grants" "not measured: build tests/bench first"; continue; fi
  table "systemctl start until READY with $n grants" "$(start_time) ms"
  table "resident memory with $n grants" "$(rss) MiB"
done

# --- idle ----------------------------------------------------------------------------------------------------------------

root systemctl stop jitd.service
[[ ! -x $fill ]] || root /root/bench_fill 0 >/dev/null
root systemctl start jitd.service
wakes() { root sh -c "cat /proc/\$(systemctl show -p MainPID --value jitd.service)/task/*/status" | awk '/^voluntary_ctxt/ { n += $2 } END { print n }'; }
sleep 5
before=$(wakes); sleep "$idle"; after=$(wakes)
table "wake-ups of jitd while idle" "$((after - before)) in $idle s"
