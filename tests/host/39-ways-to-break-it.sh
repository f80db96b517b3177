#!/bin/bash
# A table of ways to break what ends a grant, each with how long sudo, the group, a login and processes outlived it (P2). The
# aim: nothing for sudo, a second for the rest, in every row. JIT_WAYS: short (one of each kind; the default), all, or the names
# of some; JIT_WAYS_MS: what fails a row (3000: compilers may run beside it); JIT_WAY_HOSTS: how many hosts side by side (2). tests/bench/run ways prints the whole table.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/host/faults.sh
source "$here/faults.sh"
# shellcheck source=tests/host/ways.sh
source "$here/ways.sh"

# name|what is broken. A row with "*" is in the short table.
ways() {
  cat <<'END'
well_plain|*nothing; a command of sudo
well_forked|nothing; a command that forked twice, out of its session
well_deaf|*nothing; a command deaf to SIGTERM, SIGHUP, SIGINT
well_stopped|nothing; a stopped command
loaded|four processes that take all the time there is
stopped|jitd stopped by systemctl
killed|*jitd killed and kept from starting
killed_deaf|the same; a command deaf to signals
killed_at_end|jitd killed 60 ms before the end
crashing|jitd without memory, again and again
hung|jitd stopped by SIGSTOP
hung_stopped_command|the same; a stopped command
hung_with_locks|*jitd stopped in the middle of a rewrite of /etc/group, with both locks
hung_in_database|jitd stopped in the middle of a transaction
flooded|2,000 connections to its sockets
flooded_hung|the same, and jitd stopped by SIGSTOP
pwd_lock|/etc/.pwd.lock held by a user's stopped process
pwd_lock_dead|*the same, and jitd killed for good
database_locked|the database locked by another process
var_full|/var/lib/jit without a free byte
var_full_dead|the same, and jitd killed for good
etc_full|/etc without a free byte
etc_full_dead|*the same, and jitd killed for good
run_full_hung|/run/jit without a free byte, jitd stopped by SIGSTOP
clock_back|*the clock two hours back
clock_back_dead|the same, and jitd killed for good
clock_1970|the clock at 1970
clock_1970_hung|the same, and jitd stopped by SIGSTOP
clock_forward|*the clock an hour ahead: the end comes with it
clock_2106|the clock at 2106
suspend|an hour of sleep: both clocks ahead
steps|the clock to and fro, up to two minutes, as a bad time server does
upgraded|*the package upgraded
upgraded_at_end|the package upgraded while the end comes
downgraded|the package replaced by an older one
removed|the package removed: what is there when it is gone
cut|*power cut, the end while the host is down
cut_no_jitd|the same, and jitd does not come up after it
cut_boot_fails|the same, and the boot unit fails
cut_boot_fails_no_jitd|the same, and neither boot unit nor jitd comes up
cut_boot_hangs|the same, and the boot unit hangs
END
}
chosen() {
  local name
  case ${JIT_WAYS:-short} in
    all) ways | sed 's/|\*/|/' ;;
    short) ways | grep '|\*' | sed 's/|\*/|/' ;;
    *) for name in $JIT_WAYS; do ways | grep "^$name|" | sed 's/|\*/|/'; done ;;
  esac
}

many=${JIT_WAY_HOSTS:-2}
results=$(mktemp -d)
noise=$JIT_LOGS/$test_name.noise
: >"$noise"
for ((n = 0; n < many; n++)); do up "ways$n"; ready_for_ways; done
mapfile -t rows < <(chosen)
work() {   # HOST N: every N-th row, on that host
  local n way line stretch
  host=$1
  for ((n = $2; n < ${#rows[@]}; n += many)); do
    way=${rows[n]%%|*}
    root journalctl --quiet --vacuum-time=1s >/dev/null 2>&1
    echo "# $way" >>"$noise"
    for stretch in 1 2 4; do   # a busy machine sets no stage in six seconds
      line=$("way_$way" 2>>"$noise" | grep -E '^[0-9sl]' | tail -1)
      echo "# $way: $line" >>"$noise"
      [[ $line == late ]] || break
      mend >>"$noise" 2>&1
    done
    echo "${line:-failed}" >"$results/$way"
    mend >>"$noise" 2>&1 || echo "not fit for the next way" >>"$noise"
  done
}
workers=()
for ((n = 0; n < many; n++)); do work "${hosts[n]}" "$n" & workers+=($!); done
wait "${workers[@]}"
printf '# %-76s %6s %6s %6s %9s\n' "ms after the end" sudo group login processes
for row in "${rows[@]}"; do
  way=${row%%|*} what=${row#*|}
  read -r sudo group login processes < <(cat "$results/$way" 2>/dev/null || echo none)
  printf '# %-76s %6s %6s %6s %9s\n' "$what" "$sudo" "${group:--}" "${login:--}" "${processes:--}"
  good=yes
  [[ $sudo =~ ^[0-9]+$ && $sudo -le ${JIT_SUDO_MS:-0} ]] || good=
  for ms in "$group" "$login" "$processes"; do [[ $ms =~ ^[0-9]+$ && $ms -le ${JIT_WAYS_MS:-3000} ]] || good=; done
  if [[ $good ]]; then pass "$what: no sudo at all, nothing else for long"; else flunk "$what: $sudo ${group:-} ${login:-} ${processes:-} ms"; fi
done
rm -rf "$results"
