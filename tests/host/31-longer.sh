#!/bin/bash
# Later, longer, once: a start that is approved ahead, an extension that nobody notices but its end (P2), a grant for one
# session, and everything ended at once.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up longer
runner() {
  policy
  cat <<'END'

[roles.runner]
eligible = ["alice"]
groups = ["ops"]
opens = ["login", "sudo"]
dangerous = true
[[roles.runner.sudo]]
as = "root"
commands = ["/usr/bin/sleep ...", "/usr/bin/id"]
password = false
[[roles.runner.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]

[roles.bounded]
eligible = ["bob"]
groups = ["db"]
[[roles.bounded.rules]]
then = "approve"
limits = { duration = "5s", total = "9s" }
END
}
set_policy "$(runner)"
sleep 1
running() { root pgrep -fx "$1" >/dev/null; }
gone() { ! running "$1"; }
json() { at alice "jitctl --json show $1" | sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" | head -1; }
in_time() { root date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ; }

# --- a start ------------------------------------------------------------------------------------------------------------

last_output=$(at alice "jitctl --json request runner 1m -m later --start $(in_time 25)")
id=$(json_field id <<<"$last_output")
ok "a request for later is approved now" approve carol "$id"
gives "and status says when it begins" 'approved; starts at' at alice jitctl status
refused "it opens nothing before" at_sudo alice
ok "a boot in between" lab reboot "$host"
within_time 20 active_policy
refused "nor after that" at_sudo alice
soon "then it is there" 40 is_state "$id" active
ok "and works" at_sudo alice
ok "given back" at alice "jitctl release $id"
status "a start that has passed is refused" 1 at alice "jitctl request runner 1m -m late --start 2020-01-01T00:00:00Z"
status "so is one further ahead than the ceiling" 5 at alice "jitctl request runner 1m -m far --start $(in_time 1300000)"

# --- an extension -------------------------------------------------------------------------------------------------------

grant alice runner 20s
first=$id
at alice 'sudo -n sleep 7101 >/dev/null 2>&1 & sudo -n sleep 7102 >/dev/null 2>&1 &' &
soon "a command runs" 5 running 'sleep 7102'
as alice 'exec sleep 7103' &
soon "and a login" 10 running 'sleep 7103'
extend() { last_output=$(at alice "jitctl --json extend $1 $2 -m 'not done'"); id=$(json_field id <<<"$last_output"); [[ -n $id ]]; }
ok "it is asked to be longer" extend "$first" 40s
gives "the approver sees what it extends" "extends +$first" at carol "jitctl approve $id </dev/null"
refused "bob extends nothing of alice's" at bob "jitctl extend $first 40s -m mine"
ok "approved" approve carol "$id"
gives "the first is extended" 'extended by' at alice jitctl show "$first"
ok "one drop-in stands for both" [ "$(dropins)" = 1 ]
ok "alice is in the group once" root sh -c 'grep -E "^ops:[^:]*:[0-9]*:alice$" /etc/group'
root systemctl restart jitd.service
soon "a restart finds it" 10 is_state "$id" active
sleep $(( $(json "$first" ended_at) + 22 - $(root date +%s) > 0 ? $(json "$first" ended_at) + 22 - $(root date +%s) : 0 ))
for n in 7101 7102 7103; do ok "past the end of the first sleep $n runs on" running "sleep $n"; done
ok "sudo works" at_sudo alice
root systemctl stop jitd.service
soon "and without jitd all of it ends with the extension" 60 gone 'sleep 7101'
soon "the login too" 5 gone 'sleep 7103'
ok "nothing is left" nothing_left
root systemctl start jitd.service
within_time 10 active_policy
status "what is over is not extended" 1 at alice "jitctl extend $id 40s -m more"
wait

# --- one session --------------------------------------------------------------------------------------------------------

once() {
  last_output=$(at carol "jitctl --json grant --user alice --role runner --for 5m --once -m once")
  id=$(json_field id <<<"$last_output"); within_time 5 is_state "$id" active
}
ok "a grant for one session" once
at alice 'sudo -n sleep 7201' & two=$!
at alice 'sudo -n sleep 7202' & one=$!
both() { root pgrep -fcx 'sleep 720[12]' | grep -qx 1; }
soon "two at the same instant: one runs" 5 both
sleep 1
ok "and only one" both
refused "a third is refused" at_sudo alice
refused "so is a login" can_ssh alice
root systemctl restart jitd.service
within_time 10 is_state "$id" active
refused "also after a restart" at_sudo alice
root pkill -fx 'sleep 720[12]'
soon "when the command is done, so is the grant" 5 is_state "$id" ended
gives "which says why" 'the one session that it was for is over' at alice jitctl show "$id"
ok "nothing is left" nothing_left
wait $one $two

ok "another" once
as alice 'sudo -n id; sudo -n id; exec sleep 7203' & one=$!
soon "a login with commands in it is one session" 10 running 'sleep 7203'
refused "a second login is refused" can_ssh alice
refused "and a command from elsewhere" at_sudo alice
root pkill -fx 'sleep 7203'
soon "it ends with the login" 5 is_state "$id" ended
wait $one

ok "with jitd dead nobody gets in by it" once
root systemctl kill -s STOP jitd.service
refused "by ssh" can_ssh alice
root systemctl kill -s CONT jitd.service
soon "with jitd back" 10 can_ssh alice
soon "and that was it" 5 is_state "$id" ended

# --- what a rule gives by itself, and the end of everything ---------------------------------------------------------------

ok "a rule gives by itself" at bob "jitctl request bounded 5s --no-wait -m one"
sleep 6
gives "up to its total" 'of which [0-9]s is left' at bob "jitctl request bounded 5s --no-wait -m two"
grant alice operator 5m
request bob operator 5m
ok "root ends everything" root jitctl release --all
ok "nothing is left" nothing_left
gives "pending requests are over too" 'Nothing to release' root jitctl release --all
