#!/bin/bash
# Commands by a grant on a host without systemd (P2): a container of its own process table and /run, in which jitd is started
# by hand. Once with a cgroup tree that it may write, where jitd makes cgroups itself; once with one that it may not, where it
# notes each sudo and looks for what descends from it. Then a systemd that is there and does not answer: sudo is refused.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up nosystemd

# --- the container ------------------------------------------------------------------------------------------------------

box=   # process number of its init; empty: not there
lab() {
  if [[ $1 != run || -z $box ]]; then "$here/lab" "$@"; return; fi
  local name=$2; shift 2
  "$here/lab" run "$name" sh -c 'echo 0 >"$1/box/cgroup.procs"; shift; exec nsenter -t "$0" -m -p -- "$@"' "$box" "$tree" "$@"
}
tree=$(root sh -c "grep -m1 ' - cgroup2 ' /proc/self/mountinfo" | cut -d' ' -f5)
[[ $tree == /* ]] || stop_here "the host has a cgroup2 tree"
# enter rw|ro: a container whose cgroup tree is so.
enter() {
  root mkdir -p "$tree/box"
  put /root/box.sh <<END
mount -t tmpfs -o mode=755 tmpfs /run
[[ $1 == rw ]] || mount -o remount,bind,ro $tree
while :; do sleep 1; done   # and bash reaps
END
  root sh -c "echo 0 >$tree/box/cgroup.procs; setsid unshare -m -p -f --propagation private --mount-proc bash /root/box.sh >/root/box.log 2>&1 &"
  within_time 5 root pgrep -fx 'bash /root/box.sh' || stop_here "a container starts"
  box=$(root pgrep -nfx 'bash /root/box.sh')
  within_time 5 root test ! -e /run/systemd || stop_here "it has a /run of its own"
}
leave() { local init=$box; box=; root kill -KILL "$init"; }
start_jitd() {
  root sh -c 'setsid /usr/sbin/jitd >>/root/jitd.log 2>&1 </dev/null & echo $! >/root/jitd.pid'
  within_time 10 active_policy || stop_here "jitd answers in the container"
}
kill_jitd() { root sh -c 'kill -KILL $(cat /root/jitd.pid)'; }

set_policy "$(runner_policy)"
root systemctl disable -q --now jitd.service

running() { root pgrep -fx "sleep $1" >/dev/null; }
none_running() { ! root pgrep -fx 'sleep 7[0-9][0-9][0-9]' >/dev/null; }
# Commands that try to be left alone: in the background, deaf, stopped, out of their session, forked twice.
run_all() {
  at alice 'sudo -n sleep 7001 >/dev/null 2>&1 & sudo -n nohup sleep 7002 >/dev/null 2>&1 & sudo -n setsid -f sleep 7003
    sudo -n sh -c "trap \"\" TERM HUP; (setsid sleep 7004 &) & setsid sh -c \"setsid sleep 7005 & exit\"; exit" >/dev/null 2>&1
    sudo -n sh -c "trap \"\" TERM HUP; sleep 7006" >/dev/null 2>&1 & sleep 1' &
  for n in 7001 7002 7003 7004 7005 7006; do within_time 5 running $n || stop_here "sleep $n runs"; done
  root pkill -STOP -fx 'sleep 7002'
  ok "another user's process is there" root sh -c 'setsid sleep 6999 >/dev/null 2>&1 </dev/null &'
}
# When the last of them was gone, in ms since 1970.
all_gone() { root sh -c 'i=0; while pgrep -fx "sleep 7[0-9][0-9][0-9]" >/dev/null && [ $i -lt 3000 ]; do i=$((i + 1)); sleep 0.01; done; date +%s%3N'; }
now_ms() { date +%s%3N; }
# lasted WHAT SINCE: none of them is left, and for how long they lasted after SINCE (ms since 1970).
lasted() {
  local what=$1 since=$2 gone
  gone=$(all_gone)
  if none_running && [[ $((gone - since)) -le ${JIT_WAYS_MS:-3000} ]]; then pass "$what: gone $((gone - since)) ms after"
  else flunk "$what: $((gone - since)) ms"; say "$(root ps -eo pid,ppid,sid,args)"; fi
  ok "$what: what is not the grant's runs on" running 6999
  root pkill -fx 'sleep 6999'
}
end_of() { echo "$(at alice jitctl --json show "$1" | sed -n 's/.*"not_after": *\([0-9]*\).*/\1/p' | head -1)000"; }

without_systemd() {
  local way=$1
  grant alice runner 12s
  run_all
  local end; end=$(end_of "$id")
  lasted "$way: at the end of the grant" "$end"
  soon "$way: the grant is over" 5 is_state "$id" ended
  gives "$way: show says how many there were" '[0-9]+ processes ended with it' at alice jitctl show "$id"

  grant alice runner 10m
  run_all
  local start; start=$(now_ms)
  quietly root jitctl release "$id" || flunk "$way: root ends it"
  lasted "$way: released" "$start"

  grant alice stays 6s
  at alice 'sudo -n sleep 7021 >/dev/null 2>&1 &' &
  soon "$way: it runs" 5 running 7021
  soon "$way: a grant that leaves what runs ends" 10 is_state "$id" ended
  ok "$way: it runs on" running 7021
  root pkill -fx 'sleep 7021'

  grant alice runner 15s
  run_all
  end=$(end_of "$id")
  kill_jitd
  refused "$way: without jitd a command by the grant is refused" at alice 'sudo -n sleep 7032'
  lasted "$way: jitd killed, its dead-man ends what runs" "$end"
  ok "$way: and takes the group" not member alice ops
  start_jitd

  grant alice runner 10m
  run_all
  kill_jitd
  start=$(now_ms)
  ok "$way: jitd --expire --all" root jitd --expire --all
  lasted "$way: by jitd --expire --all, jitd dead" "$start"
  start_jitd
  ok "$way: nothing of ours is left" nothing_left
}

# --- cgroups of jitd's own ----------------------------------------------------------------------------------------------

enter rw
start_jitd
gives "a second jitd says so and ends" 'another jitd runs on this host' root jitd
# One that was killed may hold its lock a moment longer: the next waits for it.
kill_jitd
root sh -c 'setsid perl -e "$1" </dev/null >/dev/null 2>&1 &' sh \
  'open(my $f, "+<", "/run/jit/jitd.lock") or die; my $l = pack("ssx4qqlx4", 1, 0, 0, 0, 0); fcntl($f, 6, $l) or die;
   select undef, undef, undef, .05 until -e "/run/leave"; select undef, undef, undef, .7'
within_time 5 root sh -c 'grep -q "POSIX.*WRITE.*:$(stat -c %i /run/jit/jitd.lock) " /proc/locks' || stop_here "its lock is held"
root touch /run/leave
start_jitd
gives "doctor says how commands are ended" 'cgroup that jitd makes' root jitctl doctor --all
gives "and who is the dead-man" "process of jitd's own" root jitctl doctor
grant alice runner 1m
at alice 'sudo -n sleep 7101 >/dev/null 2>&1 &' &
soon "a command runs" 5 running 7101
gives "in a cgroup of the grant" "jit.slice/jit-$id.slice/jit-$id-[0-9]+.scope" root sh -c 'cat /proc/$(pgrep -ofx "sleep 7101")/cgroup'
ok "its end is made" root jitctl release "$id"
soon "nothing runs" 2 none_running
ok "the cgroups go with it" root sh -c "! ls -d $tree/jit.slice/jit-$id.slice"
without_systemd "own cgroups"
# What starts jitd under a grant does not end it.
grant alice runner 1m
kill_jitd
start_jitd
id_of_long=$id
soon "the grant is back" 10 is_state "$id_of_long" active
at alice "sudo -n sh -c 'kill -KILL \$(cat /root/jitd.pid); sleep 0.5; setsid /usr/sbin/jitd >>/root/jitd.log 2>&1 </dev/null & echo \$! >/root/jitd.pid; sleep 1'"
within_time 10 is_state "$id_of_long" active || { say "$(root tail /root/jitd.log)"; stop_here "jitd answers, started under a grant"; }
ok "that grant is released" root jitctl release "$id_of_long"
sleep 1
ok "jitd that was started under it answers" active_policy
# A gate on trial: a process takes it back there.
site=$(at alice "jitctl --json status" | json_field host)
at carol "echo 'jit test for $site' | ssh-keygen -q -Y sign -n jit-test -f ~/.ssh/id_ed25519 - 2>/dev/null" | put /root/proof.sig
enforce() { root jitctl gate enforce sshd --exempt root,rescue --proof /root/proof.sig --yes --confirm "$1"; }
ok "a gate is enforced" enforce 3s
ok "it enforces" root grep -q 'services=sshd mode=enforce' /etc/pam.d/sshd
soon "not confirmed it falls back" 10 root grep -q 'services=sshd mode=observe' /etc/pam.d/sshd
ok "it is enforced again" enforce 4s
ok "and confirmed in a session that began after it" root setsid -w jitctl gate confirm sshd
sleep 5
ok "it stays so" root grep -q 'services=sshd mode=enforce' /etc/pam.d/sshd
kill_jitd
leave

# --- notes --------------------------------------------------------------------------------------------------------------

enter ro
refused "the cgroup tree is read-only now" root mkdir "$tree/other"
start_jitd
gives "doctor says that it is weaker" 'That is weaker' root jitctl doctor
without_systemd "notes"
# As after ssh: a login in an audit session, from before the grant, ends with nothing of this.
root sh -c 'echo 1001 >/proc/self/loginuid; exec runuser -l alice -c "sleep 7201 & until sudo -n setsid -f sleep 7202; do sleep 0.2; done
  sudo -n sh -c \"setsid sh -c \\\"setsid sleep 7203 & exit\\\"\"; sleep 7204" >/dev/null 2>&1' &
soon "a login" 5 running 7201
grant alice runner 8s
for n in 7201 7202 7203 7204; do soon "sleep $n runs" 5 running $n; done
soon "the grant ends" 12 is_state "$id" ended
for n in 7202 7203; do ok "sleep $n, by the grant, is gone" not running $n; done
ok "their own sleep goes on" running 7201
ok "and the login" running 7204
root pkill -fx 'sleep 720[14]'
kill_jitd
leave

# --- systemd is there, and does not answer ------------------------------------------------------------------------------

root systemctl enable -q --now jitd.service
within_time 10 active_policy || stop_here "jitd under systemd"
gives "doctor: scopes again" 'in a systemd scope' root jitctl doctor --all
grant alice runner 2m
ok "a command by the grant runs" at alice 'sudo -n sleep 0.1'
init=$(pgrep -P "$(cat "$LAB/host-$host/pid")" | head -1)
kill -STOP "$init"
refused "while systemd does not answer it is refused" root runuser -u alice -- sudo -n sleep 7301   # a login would wait for logind
ok "nothing of it runs" none_running
kill -CONT "$init"
gives "by jitd" 'could not be kept: systemd does not answer' root journalctl --no-pager -t jitd
refused "which does not hang with it" root sh -c "journalctl --no-pager -t sudo | grep 'jitd did not answer in time'"
soon "and runs again when it does" 10 root runuser -u alice -- sudo -n sleep 0.1
ok "the end" root jitctl release "$id"
ok "nothing of ours is left" nothing_left
