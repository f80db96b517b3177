#!/bin/bash
# kill -9 of jitd at random moments while several people ask, overlap, release, are revoked and run out, on hosts side by side. A
# checker looks at the host fifty times a second and afterwards compares what was held with what should have been at each
# moment: nothing wrong for longer than a restart (P2, P3, P4). JIT_KILLS: how often in all (40); JIT_SOAK_HOSTS (2);
# JIT_SOAK_SLACK: what a restart may take here, in seconds (10: compilers may run beside it); JIT_SEED.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/host/faults.sh
source "$here/faults.sh"
kills=${JIT_KILLS:-40} many=${JIT_SOAK_HOSTS:-2} seed=${JIT_SEED:-$RANDOM}
say "seed $seed"

for ((n = 0; n < many; n++)); do
  up "soak$n"
  many_requests
  set_policy "$(broken_policy | sed '/^\[roles.quick\]/,/^$/s/eligible = .*/eligible = ["alice", "bob"]/')"
  root install -d /etc/systemd/system/jitd.service.d
  put /etc/systemd/system/jitd.service.d/50-soak.conf <<<$'[Service]\nRestartSec=1ms'
  root systemctl daemon-reload
  restart_jitd
  within_time 10 active_policy || stop_here "jitd comes up"

  # What was held from when on: "SECONDS ops=alice,bob db=... jit-ID jit-ID", a line for each change; times are of /proc/uptime.
  put /root/watch.pl <<'END'
use strict; $| = 1; my $last = '';
while (!-e '/root/enough') {
  open my $u, '<', '/proc/uptime'; my ($now) = split ' ', <$u>;
  open my $g, '<', '/etc/group'; my %in;
  while (<$g>) { $in{$1} = $2 if /^(ops|db):[^:]*:\d+:(.*)$/ }
  opendir my $d, '/run/jit/sudoers.d'; my @rules = sort grep { /^jit-/ } readdir $d;
  my $state = "ops=$in{ops} db=$in{db} @rules";
  print "$now $state\n" if $state ne $last;
  $last = $state;
  select undef, undef, undef, 0.02;
}
open my $u, '<', '/proc/uptime'; my ($now) = split ' ', <$u>; print "$now $last\n";
END
  # What people did: "SECONDS ask ID USER ROLE NOT_AFTER", "SECONDS over ID" when somebody had the answer that it is.
  put /root/live.sh <<'END'
#!/bin/bash
kills=$1 RANDOM=$2
now() { cut -d' ' -f1 /proc/uptime; }
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\}.*/\1/p" | head -1; }
ids=()
ask() {
  local user=$1 role=$2 seconds=$3 id='' out state='' end try
  for try in 1 2 3 4 5 6 7 8; do
    out=$(runuser -u "$user" -- jitctl --json request "$role" "${seconds}s" --no-wait -m x 2>/dev/null); id=$(field id <<<"$out")
    [ -z "$id" ] || break
    sleep 0.1
  done
  [ -n "$id" ] || return
  for try in $(seq 40); do
    out=$(jitctl --json show "$id" 2>/dev/null); state=$(field state <<<"$out"); end=$(field not_after <<<"$out")
    case $state in active | ended | refused) break ;; esac
    sleep 0.05
  done
  # Its end, on the clock of the watcher.
  [ "$state" != active ] || { echo "$(now) ask $id $user $role $(awk -v n="$(now)" -v e="$end" -v w="$(date +%s.%N)" 'BEGIN { print n + e - w }')"; ids+=("$id"); }
  [ "$state" = active ] || echo "$(now) maybe $id $user $role"
}
over() {   # HOW: somebody ends one, and asks until told that it is over
  local id try
  [ ${#ids[@]} -gt 0 ] || return
  id=${ids[RANDOM % ${#ids[@]}]}
  echo "$(now) ending $id"
  for try in $(seq 40); do
    case $1 in
      release) jitctl release "$id" >/dev/null 2>&1 ;;
      revoke) runuser -l carol -c "jitctl revoke $id -m soak" >/dev/null 2>&1 ;;
    esac
    case $(jitctl --json show "$id" 2>/dev/null | field state) in ended | refused) echo "$(now) over $id"; break ;; esac
    sleep 0.05
  done
  local left=() one; for one in "${ids[@]}"; do [ "$one" = "$id" ] || left+=("$one"); done; ids=("${left[@]}")
}
for ((n = 0; n < kills; n++)); do
  (sleep "0.$(printf %03d $((RANDOM % 700)))"; systemctl kill -s KILL jitd.service) &
  case $((RANDOM % 8)) in
    0 | 1) ask alice all $((3 + RANDOM % 12)) ;;
    2) ask bob all $((3 + RANDOM % 12)) ;;
    3) ask alice quick $((3 + RANDOM % 12)) ;;
    4) ask bob quick $((3 + RANDOM % 12)) ;;
    5 | 6) over release ;;
    7) over revoke ;;
  esac
  wait
done
sleep 18   # the last has run out
for try in 1 2 3 4 5 6 7 8 9; do jitctl --json list --all --ended >/root/known && break; sleep 1; done
echo "$(now) $(date +%s.%N)" >/root/clocks
touch /root/enough
END
  # Compares both. A role gives: all: ops, db and a rule; quick: db.
  put /root/judge.pl <<'END'
use strict; my ($slack) = @ARGV; my (%from, %to, %sure, %user, %role, %ending); my @seen; my $wrong = 0; my $grants = 0;
open my $l, '<', '/root/did'; while (<$l>) { my ($t, $what, $id, @rest) = split;
  if ($what eq 'ask') { $from{$id} //= $t; ($user{$id}, $role{$id}, $to{$id}) = @rest; $sure{$id} = 1; $grants++ }
  if ($what eq 'maybe') { $from{$id} //= $t; ($user{$id}, $role{$id}) = @rest; $to{$id} = $t }
  if ($what eq 'ending') { $ending{$id} = $t }
  if ($what eq 'over') { $to{$id} = $t if !defined $to{$id} || $t < $to{$id} } }
# Grants that a kill kept their asker from hearing of: from when to when jitd says, and no longer than was asked for.
open my $c, '<', '/root/clocks'; my ($up, $wall) = split ' ', <$c>; local $/; open my $k, '<', '/root/known'; my $unheard = 0;
for (<$k> =~ /\{[^{}]*\}/g) { my %row; $row{$1} = $2 while /"(\w+)": *"?([^",}]*)/g; my $id = $row{id};
  next if !$row{not_before} || $sure{$id}; $unheard++; $from{$id} = $row{not_before} - $wall + $up; ($user{$id}, $role{$id}) = @row{qw(user role)};
  my $end = $row{not_before} + $row{duration}; $end = $row{ended_at} + 1 if $row{ended_at} && $row{ended_at} + 1 < $end;
  my $to = $end - $wall + $up; $to{$id} = $to if !defined $to{$id} || $to > $to{$id} }
$/ = "\n";
open my $w, '<', '/root/seen'; while (<$w>) { chomp; my ($t, $ops, $db, @rules) = split ' ', $_; push @seen, [$t, $ops, $db, @rules] }
sub complain { print "@_\n" if $wrong++ < 10 }
my $worst = 0;
for my $i (0 .. $#seen - 1) { my ($t, $ops, $db, @rules) = @{$seen[$i]}; my $until = $seen[$i + 1][0];
  my %held; $held{"rule $_"} = 1 for map { s/^jit-//r } @rules;
  for ([$ops], [$db]) { my ($group, $names) = split /=/, $_->[0]; $held{"$group $_"} = 1 for split /,/, $names // '' }
  $seen[$i] = [$t, $until, \%held] }
pop @seen;
# Too much: held by nobody's grant. The time that counts is what lies behind the end.
for my $seen (@seen) { my ($t, $until, $held) = @$seen;
  for my $what (keys %$held) { my ($kind, $who) = split ' ', $what; my $best = -1;
    for my $id (keys %from) {
      next unless $kind eq 'rule' ? $id eq $who : $user{$id} eq $who && ($role{$id} eq 'all' || $kind eq 'db');
      $best = $to{$id} if $to{$id} > $best && $from{$id} - 5 <= $until }
    next if $best < 0 && $kind eq 'rule';   # asked for by somebody who never heard of it: it runs out by itself
    my $late = $best < 0 ? $until - $t : $until - $best; $worst = $late if $late > $worst;
    complain("$what is held $late s after its end (at $until)") if $late > $slack } }
my $missing = 0;
# Too little: in force, and not there for longer than a restart.
for my $id (grep { $sure{$_} } keys %from) { my $end = $to{$id}; $end = $ending{$id} if defined $ending{$id} && $ending{$id} < $end; my $gap;
  for my $seen (@seen) { my ($t, $until, $held) = @$seen; next if $until <= $from{$id} || $t >= $end;
    my $there = $held->{"db $user{$id}"} && ($role{$id} ne 'all' || ($held->{"ops $user{$id}"} && $held->{"rule $id"}));
    if ($there) { undef $gap; next }
    $gap //= $t > $from{$id} ? $t : $from{$id}; my $to = $until < $end ? $until : $end;
    $missing = $to - $gap if $to - $gap > $missing;
    if ($to - $gap > $slack) { complain("grant $id of $user{$id} ($role{$id}) is not there for ", $to - $gap, " s (from $gap)"); last } } }
printf "grants: %d, and %d that nobody heard of; states seen: %d, longest past an end: %.2f s, longest missing: %.2f s, wrong: %d\n", $grants, $unheard, scalar @seen, $worst, $missing, $wrong;
exit($wrong > 0);
END
done

soak() {
  host=$1
  lab run "$host" sh -c 'perl /root/watch.pl >/root/seen 2>/root/watch.err' </dev/null &
  lab run "$host" sh -c "bash /root/live.sh $((kills / many)) $2 >/root/did 2>/dev/null" </dev/null
  wait
}
workers=()
for ((n = 0; n < many; n++)); do soak "${hosts[n]}" $((seed + n)) & workers+=($!); done
wait "${workers[@]}"
for host in "${hosts[@]}"; do
  ok "$((kills / many)) kills: never wrong for longer than a restart" root perl /root/judge.pl "${JIT_SOAK_SLACK:-10}"
  say "$last_output"
  soon "and in the end nothing is left" 10 nothing_left
  ok "the audit chain holds" root jitctl audit verify
  ok "the group files are sound" root grpck -r
  ok "the database was never damaged" root sh -c '! ls /var/lib/jit/jit.db.damaged-* 2>/dev/null'
done
