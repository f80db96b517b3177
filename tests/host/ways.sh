# Ways to break what ends a grant, each measured: for how many ms sudo, the group, a login and processes outlived it. Sourced by
# 39-ways-to-break-it.sh. A way is a function: it sets the stage, prints nothing, and leaves the host fit for the next one.
# shellcheck shell=bash disable=SC2154,SC2034

# The watcher, built once for all tests, and everything else that a way may need.
ready_for_ways() {
  local watcher
  watcher=$keys/outlive-$(sha256sum "$here/outlive.cpp" | cut -c1-10)
  if [[ ! -e $watcher ]]; then
    quietly c++ -std=c++20 -O1 -Wall -Wextra -static -o "$watcher.$$" "$here/outlive.cpp" -pthread || stop_here "the watcher is built"
    mv "$watcher.$$" "$watcher"
  fi
  lab push "$host" "$watcher" /usr/local/sbin/outlive
  many_requests
  set_policy "$(broken_policy)"
  faulty
}

# Pids in the host of what is called by these arguments.
pid_of() { root pgrep -ofx "$1" 2>/dev/null | head -1; }

# begin SECONDS KIND: a grant of alice's for so long, a login under it, and a command of that kind; $due is its end in ms.
begin() {
  local seconds=$(($1 * ${stretch:-1})) kind=$2
  login=0 command=0
  grant alice all "${seconds}s"
  due=$(at alice "jitctl --json show $id" | sed -n 's/.*"not_after": *\([0-9]*\).*/\1/p' | head -1)000
  as alice 'exec sleep 9001' >/dev/null 2>&1 &
  case $kind in
    plain) at alice 'sudo -n sleep 9002' >/dev/null 2>&1 & ;;
    forked) at alice 'sudo -n sh -c "(setsid sleep 9002 &) & sleep 9003"' >/dev/null 2>&1 & ;;
    deaf) at alice 'sudo -n sh -c "trap \"\" TERM HUP INT; sleep 9002"' >/dev/null 2>&1 & ;;
    stopped) at alice 'sudo -n sleep 9002' >/dev/null 2>&1 & ;;
  esac
  within_time 3 root pgrep -fx 'sleep 9002'
  within_time 3 root pgrep -fx 'sleep 9001'
  command=$(pid_of 'sleep 9002') login=$(pid_of 'sleep 9001')
  [[ $kind != stopped ]] || root kill -STOP "$command"
}
now_ms() { date +%s%3N; }

# measure: waits for the end at $due and prints what outlived it by how much; "late" when the stage was not set by then.
measure() { [[ $(now_ms) -lt $((due + ${grace:-0})) ]] || { echo late; return; }; root outlive alice ops "$due" "${login:-0}" "${command:-0}"; }

mend() {   # whatever was broken works again, and nothing is left
  root sh -c 'test -e /run/jit/.fault || { fault make; systemctl restart --no-block jitd.service; }; fault off'
  root sh -c 'pkill -KILL -fx "sleep 900[0-9]"; pkill -KILL -x busy; pkill -KILL -x perl; rm -f /run/held'
  root systemctl unmask --runtime jitd.service >/dev/null 2>&1
  root sh -c 'pkill -CONT -x jitd; systemctl reset-failed "jit*"; systemctl start jitd.service' >/dev/null 2>&1
  within_time 30 active_policy || { echo "# jitd is not back after: $way"; return 1; }
  quietly root jitctl doctor --accept-clock   # it has seen some
  quietly root jitctl release --all
  within_time 10 nothing_left || { echo "# something is left after: $way"; return 1; }
}

dead() { root systemctl mask --runtime jitd.service >/dev/null 2>&1; root systemctl kill -s KILL jitd.service; }
hang() { root systemctl kill -s STOP jitd.service; }

# --- the daemon ---------------------------------------------------------------------------------------------------------

way_well_plain() { begin 6 plain; measure; }
way_well_forked() { begin 6 forked; measure; }
way_well_deaf() { begin 6 deaf; measure; }
way_well_stopped() { begin 6 stopped; measure; }
way_loaded() { root sh -c 'cp /bin/dd /tmp/busy; for i in 1 2 3 4; do /tmp/busy if=/dev/zero of=/dev/null 2>/dev/null & done'; begin 8 plain; measure; }
way_stopped() { begin 6 plain; root systemctl stop jitd.service; measure; }
way_killed() { begin 6 plain; dead; measure; }
way_killed_deaf() { begin 6 deaf; dead; measure; }
way_killed_at_end() { begin 6 plain; (sleep "$(awk -v d="$due" -v n="$(now_ms)" 'BEGIN { print (d - n - 60) / 1000 }')"; root systemctl kill -s KILL jitd.service) & measure; wait $!; }
way_hung() { begin 6 plain; hang; measure; }
way_hung_stopped_command() { begin 6 stopped; hang; measure; }
# Stopped while it holds the lock of effects and that of the account files: on its way to give bob something.
way_hung_with_locks() { begin 8 plain; fault arm 1 stop 0 .group.tmp; (at bob "timeout 5 jitctl request all 5m --no-wait -m x" >/dev/null 2>&1 &) ; measure; }
way_hung_in_database() { begin 8 plain; fault arm 2 stop 0 jit.db-wal; (at bob "timeout 5 jitctl request all 5m --no-wait -m x" >/dev/null 2>&1 &) ; measure; }
way_crashing() { begin 8 plain; fault memory 1; root systemctl kill -s KILL jitd.service; measure; }
flood() { lab run "$host" perl -e 'use Socket; my @s; for (1 .. 2000) { socket(my $s, AF_UNIX, SOCK_SEQPACKET | 2048, 0) or last; connect($s, pack_sockaddr_un($ARGV[0])) or next; push @s, $s } sleep 30' "/run/jit/$1" </dev/null >/dev/null 2>&1 & sleep 0.5; }
way_flooded() { begin 8 plain; flood control.sock; flood check.sock; measure; }
way_flooded_hung() { begin 8 plain; hang; flood control.sock; flood check.sock; measure; }

roomy() { room "$1"; mend; large "$1"; }

# --- locks and disks ----------------------------------------------------------------------------------------------------

hold() { lab run "$host" perl -e 'use Fcntl; open(F, "+>>", $ARGV[0]) or die; fcntl(F, F_SETLKW, pack("s s x4 q q i x4", F_WRLCK, 0, $ARGV[1], $ARGV[2], 0)) or die; open(M, ">", "/run/held"); close(M); if ($ARGV[3]) { $< = getpwnam("bob"); kill "STOP", $$ } sleep 1000' "$@" </dev/null >/dev/null 2>&1 & within_time 5 root test -e /run/held; }
way_pwd_lock() { begin 6 plain; hold /etc/.pwd.lock 0 0 stopped; measure; }
way_pwd_lock_dead() { begin 6 plain; hold /etc/.pwd.lock 0 0 stopped; dead; measure; }
way_database_locked() { begin 6 plain; hold /var/lib/jit/jit.db-shm 120 1 ''; measure; }
way_var_full() { small /var/lib/jit; begin 6 plain; no_bytes /var/lib/jit; measure; roomy /var/lib/jit; }
way_var_full_dead() { small /var/lib/jit; begin 6 plain; no_bytes /var/lib/jit; dead; measure; roomy /var/lib/jit; }
way_etc_full() { small /etc; begin 6 plain; no_bytes /etc; measure; roomy /etc; }
way_etc_full_dead() { small /etc; begin 6 plain; no_bytes /etc; dead; measure; roomy /etc; }
way_run_full_hung() { small /run/jit; begin 6 plain; no_bytes /run/jit; hang; measure; roomy /run/jit; }

# --- clocks: of jitd and of what its timers start; the end is when either clock says so --------------------------------------

hours() { echo $(($1 * 3600000)); }
way_clock_back() { begin 6 plain; fault clock "$(hours -2)" 0; measure; }
way_clock_back_dead() { begin 6 plain; fault clock "$(hours -2)" 0; dead; measure; }
way_clock_1970() { begin 6 plain; fault clock "-$(now_ms)" 0; measure; }
way_clock_1970_hung() { begin 6 plain; fault clock "-$(now_ms)" 0; hang; measure; }
# The end comes with the step: counted from when that is.
stepped() {
  local word at counted=()
  begin 60 plain
  due=$(now_ms)
  (sleep 0.7; root sh -c "fault clock $1 $2; date +%s%3N" >"$results/step.$way") &
  for word in $(grace=1000 measure); do counted+=("$word"); done
  wait $!
  at=$(($(cat "$results/step.$way") - due))
  for word in "${counted[@]}"; do if [[ $word == still ]]; then printf 'still '; else printf '%d ' $((word > at ? word - at : 0)); fi; done
  echo
}
way_clock_forward() { stepped "$(hours 1)" 0; }
way_clock_2106() { stepped "$((4294967295000 - $(now_ms)))" 0; }
way_suspend() { stepped "$(hours 1)" "$(hours 1)"; }
way_steps() { begin 8 plain; (for i in 400 -400 900 -900 120000 -120000 0; do fault clock "$i" 0; sleep 0.5; done) & measure; wait; }

# --- packages -----------------------------------------------------------------------------------------------------------

# A version of the jitd package as given: the same files.
as_version() {
  local work; work=$(mktemp -d)
  dpkg-deb -R "$JIT_DIST"/jitd_*.deb "$work/tree"
  sed -i "s/^Version: .*/Version: $1/; s/(= [^)]*)/(>= 0)/g" "$work/tree/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$work/tree" "$work/jitd.deb" >/dev/null
  lab push "$host" "$work/jitd.deb" "/root/jitd-$1.deb"
  rm -rf "$work"
}
install_version() { root dpkg --force-depends --force-downgrade -i "/root/jitd-$1.deb" >/dev/null 2>&1; }
way_upgraded() { as_version 99.0; begin 8 plain; install_version 99.0; measure; }
way_upgraded_at_end() { as_version 99.0; begin 6 plain; (sleep "$(awk -v d="$due" -v n="$(now_ms)" 'BEGIN { print (d - n - 900) / 1000 }')"; install_version 99.0) & measure; wait; }
way_downgraded() { as_version 0.0.1; begin 8 plain; install_version 0.0.1; measure; }
way_removed() {
  as_version 99.0
  begin 60 plain
  (root dpkg --force-depends -r jitd >/dev/null 2>&1) &
  wait $!
  due=$(now_ms)   # what is there when the package is gone has outlived it
  grace=1000 measure
  install_version 99.0
  root sh -c '/usr/libexec/jit/gate-lines enforce sshd && /usr/libexec/jit/gate-lines enforce sudo' >/dev/null
}

# --- boots: the end comes while the host is down; counted from the moment at which it takes logins ----------------------------

unit() { root install -d "/etc/systemd/system/$1.d"; put "/etc/systemd/system/$1.d/90-broken.conf" <<<"$2"; root systemctl daemon-reload; }
well() { root rm -f "/etc/systemd/system/$1.d/90-broken.conf"; root systemctl daemon-reload; }
# The watcher starts with the host, before anybody could log in.
cut_past_end() {
  local word from logins counted
  put /etc/systemd/system/outlive.service <<<$'[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\n[Service]\nExecStart=/bin/sh -c \'from=$$(date +%%s%%3N); echo $$from $$(/usr/local/sbin/outlive alice ops $$from 0 0) >/run/outlived\'\n[Install]\nWantedBy=sysinit.target'
  root systemctl enable outlive.service 2>/dev/null
  begin 4 plain
  # Down until the end has passed, however fast it boots.
  lab cut "$host" "$(awk -v d="$due" -v n="$(now_ms)" 'BEGIN { left = d - n; if (left < 0) left = 0; print left / 1000 }')" >/dev/null 2>&1
  within_time 15 root true
  wait
  within_time 10 root test -s /run/outlived
  logins=$(root sh -c 'awk -v at="$(systemctl show -P ActiveEnterTimestampMonotonic ssh.service)" -v now="$(date +%s%3N)" "{ printf \"%.0f\", now - \$1 * 1000 + at / 1000 }" /proc/uptime')
  read -r from counted < <(root cat /run/outlived)
  for word in $counted; do if [[ $word == still ]]; then printf 'still '; else printf '%d ' $((from + word > logins ? from + word - logins : 0)); fi; done
  echo
  root systemctl disable outlive.service 2>/dev/null
}
way_cut() { cut_past_end; }
way_cut_no_jitd() { root systemctl disable jitd.service 2>/dev/null; cut_past_end; root systemctl enable jitd.service 2>/dev/null; }
way_cut_boot_fails() { unit jit-boot.service $'[Service]\nExecStart=\nExecStart=/bin/false'; cut_past_end; well jit-boot.service; }
way_cut_boot_fails_no_jitd() { root systemctl disable jitd.service 2>/dev/null; way_cut_boot_fails; root systemctl enable jitd.service 2>/dev/null; }
way_cut_boot_hangs() { unit jit-boot.service $'[Service]\nExecStart=\nExecStart=/bin/sleep 100\nTimeoutStartSec=2s'; cut_past_end; well jit-boot.service; }
