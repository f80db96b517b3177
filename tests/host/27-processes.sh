#!/bin/bash
# What runs under a grant ends with it (P2): commands in the background, out of their session, stopped and deaf to signals;
# shells; logins that a gate let in. 42-spared has what goes on.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up processes
set_policy "$(runner_policy)"
sleep 1
running() { root pgrep -fx "$1" >/dev/null; }
gone() { ! running "$1"; }
cgroup_of() { root sh -c "cat /proc/\$(pgrep -ofx '$1')/cgroup" | grep '^0::'; }

# --- elevated commands --------------------------------------------------------------------------------------------------

grant alice runner 12s
at alice 'sudo -n sleep 7001 >/dev/null 2>&1 & sudo -n nohup sleep 7002 >/dev/null 2>&1 & sudo -n setsid -f sleep 7003
  sudo -n sh -c "trap \"\" TERM HUP; (setsid sleep 7004 &) & sleep 7005" >/dev/null 2>&1 & sleep 1' &
soon "commands run" 5 running 'sleep 7005'
gives "in a scope of the grant" "jit.slice/jit-$id.slice/jit-$id-[0-9]+.scope" cgroup_of 'sleep 7001'
gives "also out of its session" "jit.slice/jit-$id.slice/" cgroup_of 'sleep 7003'
gives "also forked twice" "jit.slice/jit-$id.slice/" cgroup_of 'sleep 7004'
root pkill -STOP -fx 'sleep 7002'
soon "the grant ends" 15 is_state "$id" ended
for n in 7001 7002 7003 7004 7005; do ok "nothing is left of sleep $n" gone "sleep $n"; done
gives "show says how many there were" '[0-9]+ processes ended with it' at alice jitctl show "$id"
gives "the chain too" 'processes' root sh -c "jitctl audit log | grep '$id'"
soon "its slice goes away" 10 not root systemctl is-active -q "jit-$id.slice"
wait

grant alice runner 10m
at alice 'sudo -n sleep 7011 >/dev/null 2>&1 &' &
soon "it runs" 5 running 'sleep 7011'
ok "root ends it" root jitctl release "$id"
soon "and what runs with it, at once" 2 gone 'sleep 7011'
wait

grant alice stays 6s
at alice 'sudo -n sleep 7021 >/dev/null 2>&1 &' &
soon "it runs" 5 running 'sleep 7021'
soon "a grant that leaves what runs ends" 10 is_state "$id" ended
ok "it runs on" running 'sleep 7021'
gives "show lists it" 'goes on as policy says: .*[0-9]+ sleep' at alice "jitctl --json show $id"
root pkill -fx 'sleep 7021'
wait

# --- logins that commands open ------------------------------------------------------------------------------------------

# pam_systemd moves them out of the grant's scope; they stay in the audit session that sudo began.
open_logins() { at alice "sudo -n sh -c 'su -c \"setsid -f env --ignore-signal=TERM sleep 7041\"; su - carol -c \"setsid -f env --ignore-signal=TERM sleep 7042\"; runuser -l bob -c \"setsid -f env --ignore-signal=TERM sleep 7043\"; systemd-run -q --scope setsid -f env --ignore-signal=TERM sleep 7044' >/dev/null 2>&1"; }
none_open() { ! root pgrep -fx 'sleep 704[1234]' >/dev/null; }
grant alice runner 12s
open_logins
soon "what su, runuser and systemd-run run runs" 5 running 'sleep 7044'
for n in 7041 7042 7043; do gives "sleep $n, in a login session" 'user.slice/.*/session-.*scope' cgroup_of "sleep $n"; done
ok "another process of carol's" root runuser -u carol -- sh -c 'sleep 7049 >/dev/null 2>&1 &'
soon "the grant ends" 15 is_state "$id" ended
ok "and what runs in them" none_open
ok "carol's own runs on" running 'sleep 7049'
gives "show counts them" '[3-9] processes ended with it' at alice jitctl show "$id"
grant alice runner 15s
open_logins
soon "it runs" 5 running 'sleep 7043'
root systemctl stop jitd.service
soon "the dead-man ends it, without jitd" 40 none_open
root systemctl start jitd.service
within_time 10 active_policy
root pkill -fx 'sleep 7049'

# --- a restart, a crash, and jitd gone ----------------------------------------------------------------------------------

grant alice runner 25s
at alice 'sudo -n sleep 7031 >/dev/null 2>&1 &' &
soon "it runs" 5 running 'sleep 7031'
root systemctl restart jitd.service
soon "the grant is back" 10 is_state "$id" active
ok "what ran runs on" running 'sleep 7031'
root systemctl kill -s KILL jitd.service
soon "back after a crash" 10 is_state "$id" active
ok "what ran runs on" running 'sleep 7031'
root systemctl stop jitd.service
refused "without jitd a command by the grant is refused" at alice 'sudo -n sleep 7032'
gives "which the journal explains" 'nobody else could end this' root journalctl --no-pager -t sudo
soon "the dead-man ends what runs, without jitd" 40 gone 'sleep 7031'
root systemctl start jitd.service
within_time 10 active_policy
wait

# --- logins and groups --------------------------------------------------------------------------------------------------

grant alice runner 12s
as alice 'setsid -f sleep 7041; exec sleep 7042' &
soon "a login under it" 5 running 'sleep 7042'
gives "its processes hold the group" "$(root sh -c 'getent group ops | cut -d: -f3')" root sh -c 'grep Groups /proc/$(pgrep -ofx "sleep 7042")/status'
soon "the grant ends" 20 is_state "$id" ended
ok "the login is ended" gone 'sleep 7042'
ok "and what it left behind" gone 'sleep 7041'
wait
ok "nothing of ours is left" nothing_left
