#!/bin/bash
# A user who stops a `passwd` of theirs that holds the lock of the account files holds up no end of a grant (P2).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up lock
# What such a passwd looks like to us: the real uid is the user's, the lock a classic one, the process stopped.
hold='use Fcntl; open(F, "+>>", "/etc/.pwd.lock") or die; $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; $< = getpwnam("bob"); kill "STOP", $$; sleep 1000'
hold_lock() {
  lab run "$host" perl -e "$hold" </dev/null >/dev/null 2>&1 &
  within_time 5 root sh -c 'grep -q "POSIX.*WRITE" /proc/locks && pgrep -x perl >/dev/null && ps -o stat= -C perl | grep -q T'
}
grant alice operator 8s
hold_lock
ok "the lock is held by a stopped process" root sh -c 'ps -o stat= -C perl | grep -q T'
soon "the grant ends in time all the same" 11 nothing_left
refused "sudo is refused" at_sudo alice
ok "the group files are sound" root grpck -r
root sh -c 'pkill -KILL -x perl; true'

hold_lock
ok "asked" request alice operator 20s
quietly approve carol "$id"
sleep 8
if is_state "$id" active; then ok "a lock that could be had: active and right" member alice ops
else ok "an activation gives up and gives nothing" nothing_left; fi
root sh -c 'pkill -KILL -x perl; true'
