#!/bin/bash
# At the end of a grant, what sudo lets its user run without it goes on, and nothing else does: for who is excepted from the gate,
# by rules of their own; for who has another grant, under that one.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up spared
with_runner() {   # [WHO is excepted from sudo's gate]
  policy | sed "/^name = \"sudo\"/,/^mode/s/^except = .*/except = [\"root\", \"rescue\"${1:+, \"$1\"}]/"
  local role
  for role in runner runner2; do
    cat <<END

[roles.$role]
eligible = ["alice"]
opens = ["login", "sudo"]
dangerous = true
[[roles.$role.sudo]]
as = "root"
commands = ["/usr/bin/sleep ...", "/usr/bin/setsid ..."]
password = false
[[roles.$role.rules]]
then = "approve"
END
  done
}
running() { root pgrep -fx "(/usr/bin/)?$1" >/dev/null; }
gone() { ! running "$1"; }
cgroup_of() { root sh -c "cat /proc/\$(pgrep -ofx '(/usr/bin/)?$1')/cgroup" | grep '^0::'; }
rules() { root sh -c 'cat >/etc/sudoers.d/alice && chmod 440 /etc/sudoers.d/alice && visudo -cqf /etc/sudoers.d/alice'; }
start() { local one; for one; do at alice "sudo -n $one >/dev/null 2>&1 & sleep 0.3" & done; }
# Once more, five times at most, where sudo did not answer within its half a second: on a busy machine what runs ends then.
where_sudo_answers() {
  local round
  for round in {1..6}; do
    "$@"
    sleep 1
    at alice "jitctl --json show $id" | grep -E 'in time' || return 0
    [[ $round -eq 6 ]] || root sh -c 'jitctl release --all; pkill -fx "(/usr/bin/)?sleep 7..."; true'
  done
}

# --- excepted from the gate, with rules of their own --------------------------------------------------------------------

set_policy "$(with_runner alice)"
rules <<<$'alice ALL=(root) NOPASSWD: /usr/bin/sleep 7101, /usr/bin/sleep 7102, /usr/bin/setsid -f sleep 7104'
sleep 1
ok "the gate excepts alice" at alice 'sudo -n sleep 7101 & sleep 0.3; sudo -n -l >/dev/null'
root pkill -fx 'sleep 7101'
own_and_not() {
  grant alice runner 12s
  start 'sleep 7101' '/usr/bin/sleep 7102' 'sleep 7103' '/usr/bin/setsid -f sleep 7104'
  soon "commands run" 5 running 'sleep 7103'
  soon "all of them" 5 running 'sleep 7104'
  gives "in scopes of the grant, also what a rule of alice's gives" "jit.slice/jit-$id.slice/" cgroup_of 'sleep 7101'
  soon "the grant ends" 20 is_state "$id" ended
  ok "what only the grant gave ends with it" gone 'sleep 7103'
}
where_sudo_answers own_and_not
for n in 7101 7102 7104; do
  soon "sleep $n goes on, out of the grant's slice" 2 eval "cgroup_of 'sleep $n' | grep -q 'jitleft.slice/jitleft-$id.slice/'"
  gives "and runs, not merely is" '^[SR]' root sh -c "ps -o stat= -p \$(pgrep -ofx '(/usr/bin/)?sleep $n')"
done
gives "show says so" 'sleep 7101 as root goes on: sudo lets its user run it without a grant' at alice "jitctl --json show $id"
gives "and the chain" 'spared' root sh -c "jitctl audit log | grep '$id'"
soon "the grant's slice goes away" 10 not root systemctl is-active -q "jit-$id.slice"
root sh -c 'pkill -fx "sleep 710."'

ended_by_root() {
  grant alice runner 10m
  start 'sleep 7101' 'sleep 7103'
  soon "commands run" 5 running 'sleep 7103'
  soon "both" 5 running 'sleep 7101'
  ok "root ends it" root jitctl release "$id"
  soon "what only the grant gave ends at once" 2 gone 'sleep 7103'
}
where_sudo_answers ended_by_root
ok "her own goes on" running 'sleep 7101'
root pkill -fx 'sleep 7101'

# A rule that gives the same command under other terms does not give what runs.
rules <<<$'alice ALL=(root) NOPASSWD: NOEXEC: /usr/bin/sleep 7105'
grant alice runner 10m
start 'sleep 7105' 'env true'
soon "it runs" 5 running 'sleep 7105'
ok "released" at alice "jitctl release $id"
soon "a rule with NOEXEC does not keep what runs without" 2 gone 'sleep 7105'

# Without jitd nobody asks.
rules <<<$'alice ALL=(root) NOPASSWD: /usr/bin/sleep 7101'
grant alice runner 8s
start 'sleep 7101'
soon "it runs" 5 running 'sleep 7101'
root systemctl stop jitd.service
soon "without jitd all of it ends" 15 gone 'sleep 7101'
root systemctl start jitd.service
within_time 10 active_policy

# --- behind the gate ----------------------------------------------------------------------------------------------------

set_policy "$(with_runner)"
sleep 1
grant alice runner 10m
start 'sleep 7101'
soon "it runs" 5 running 'sleep 7101'
ok "released" at alice "jitctl release $id"
soon "behind a shut gate a rule of one's own gives nothing" 2 gone 'sleep 7101'

under_two() {
  grant alice runner 10m
  first=$id
  grant alice runner2 20m
  second=$id
  start '/usr/bin/sleep 7201'
  soon "it runs" 5 running 'sleep 7201'
  gives "under the grant that ends last" "jit.slice/jit-$second.slice/" cgroup_of 'sleep 7201'
  ok "that is released" at alice "jitctl release $second"
  id=$second
}
where_sudo_answers under_two
soon "it goes on under the other" 2 eval "cgroup_of 'sleep 7201' | grep -q 'jit.slice/jit-$first.slice/'"
gives "as show says" "goes on: under grant $first" at alice "jitctl --json show $second"
ok "and that is released" at alice "jitctl release $first"
soon "now it ends" 2 gone 'sleep 7201'
ok "nothing of ours is left" nothing_left
