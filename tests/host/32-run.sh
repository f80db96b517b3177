#!/bin/bash
# jitctl run: the least role for one command, asked for, used through the real sudo and given back (S5), with its exit
# status, its words, its terminal, and whatever becomes of it.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up run
runner() {
  policy
  cat <<'END'

[roles.exact]
eligible = ["alice"]
opens = ["sudo"]
[[roles.exact.sudo]]
as = "daemon"
commands = ["/usr/bin/printf [%s] one", "/usr/bin/test 1 -eq 2", "/usr/bin/id -un"]
password = false
[[roles.exact.rules]]
then = "approve"

[roles.open]
eligible = ["alice"]
opens = ["sudo"]
dangerous = true
[[roles.open.sudo]]
as = "root"
commands = ["/usr/bin/printf ...", "/usr/bin/sleep ...", "/usr/bin/sh ...", "/usr/bin/id ..."]
password = false
[[roles.open.rules]]
then = "approve"

[roles.asked]
eligible = ["alice"]
opens = ["sudo"]
[[roles.asked.sudo]]
as = "daemon"
commands = ["/usr/bin/whoami"]
password = false
[[roles.asked.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]
END
}
set_policy "$(runner)"
sleep 1
running() { root pgrep -fx "$1" >/dev/null; }
gone() { ! running "$1"; }
none_held() { at alice 'jitctl status' | grep -q 'You hold no role'; }

gives "the least role runs it" '^daemon$' at alice 'jitctl run -- id -un'
ok "and is given back" none_held
gives "the audit has the command as the reason" 'run /usr/bin/id -un' root jitctl audit log
gives "exact words go to the role that names them" '^\[one\]$' at alice "jitctl run -- printf '[%s]' one"
gives "and any others to the one that takes any, untouched" '^\[a b\]\[\]\[\[x,y\]\]\[--json\]$' at alice "jitctl run -- printf '[%s]' 'a b' '' '[x,y]' --json"
status "the exit status is the command's" 1 at alice 'jitctl run -- test 1 -eq 2'
status "whatever it is" 42 at alice 'jitctl run -- sh -c "exit 42"'
status "and 128 and the signal" 143 at alice 'jitctl run -- sh -c "kill -TERM \$\$"'
ok "given back each time" none_held
gives "standard input goes through" '^in$' at alice 'echo in | jitctl run -- sh -c cat'
ok "with nothing but its output on standard output" [ "$(at alice 'jitctl run -- id -un 2>/dev/null')" = daemon ]
status "a command that no role allows is refused" 5 at alice 'jitctl run -- cat /etc/gshadow'
status "nor with other words" 5 at alice 'jitctl run --role exact -- id -u'
status "nor what PATH says it is" 5 at alice 'mkdir -p bin; printf "#!/bin/sh\n" >bin/id; chmod +x bin/id; PATH=$HOME/bin:$PATH jitctl run -- ./bin/id'
gives "a name is looked for where sudo looks" '^daemon$' at alice 'PATH=$HOME/bin:$PATH jitctl run -- id -un'
status "a command that is not there" 1 at alice 'jitctl run -- no-such-command'
status "somebody without a role" 5 at bob 'jitctl run -- id -un'
status "wrong use" 2 at alice 'jitctl run id -un'

# --- waiting for somebody -------------------------------------------------------------------------------------------------

pending_id() { at alice 'jitctl --json list' | json_field id; }
waiting() { [[ -n $(pending_id) ]]; }
at alice 'jitctl run -m "why asked" -- whoami >out 2>err; echo "$?" >status' & run=$!
soon "it waits" 10 waiting
gives "and says for whom" 'waits for leads: 1 of carol, dave' at alice 'cat err'
ok "approved" approve carol "$(pending_id)"
ok "it goes on" wait $run
ok "as the role's user" [ "$(at alice 'cat out status')" = $'daemon\n0' ]
ok "and gives it back" none_held

at alice 'jitctl run -- whoami >out 2>err; echo "$?" >status' & run=$!
soon "it waits again" 10 waiting
ok "denied" at dave "jitctl deny $(pending_id) --yes -m 'not now'"
ok "it ends" wait $run
gives "refused" '^5$' at alice 'cat status'
gives "with the reason" 'not now' at alice 'cat err'

at alice 'jitctl run -- whoami 2>err & echo $! >pid; wait $!; echo "$?" >status' & run=$!
soon "it waits once more" 10 waiting
root sh -c 'kill -INT $(cat /home/alice/pid)'
ok "told to end, it ends" wait $run
ok "and withdraws the request" none_held
status "for a program it does not wait" 3 at alice 'jitctl --json run -- whoami'
ok "and leaves it filed" waiting
ok "withdrawn" at alice 'jitctl release --all'

# --- a terminal, and what goes wrong while it runs ------------------------------------------------------------------------

root sh -c 'command -v script >/dev/null' || quietly lab apt "$host" install -y --no-install-recommends bsdutils bsdextrautils
gives "the command has the terminal" '/dev/pts' at alice 'script -qec "jitctl run -- sh -c tty" /dev/null'
at alice 'script -qec "jitctl run -- sh -c \"sleep 7301; true\"" /dev/null >out 2>&1 </dev/null; echo "$?" >status' & run=$!
soon "it runs" 10 running 'sleep 7301'
ok "Ctrl-C ends it" root pkill -INT -fx 'sleep 7301'
ok "and the command goes on to its end" wait $run
soon "the role is given back" 5 none_held

at alice 'jitctl run -- sleep 7302 & echo $! >pid; wait $!; echo "$?" >status' & run=$!
soon "it runs" 10 running '/usr/bin/sleep 7302'
root sh -c 'kill -TERM $(cat /home/alice/pid)'
wait $run
gives "told to end, it says so" '^143$' at alice 'cat status'
soon "and what ran under the role is gone" 5 gone '/usr/bin/sleep 7302'
ok "the role too" none_held

# Several at once: the last gives it back, whoever asked for it.
uid=$(root id -u alice)
root install -d -m 700 -o alice -g alice "/run/user/$uid"
at alice 'jitctl run -- sleep 7304; echo "$?" >status' & first=$!
soon "one runs" 10 running '/usr/bin/sleep 7304'
at alice 'jitctl run -- sleep 7305; echo "$?" >status2' & second=$!
soon "and a second by the same grant" 10 running '/usr/bin/sleep 7305'
ok "which is one" [ "$(root jitctl --json list | grep -o '"id"' | wc -l)" = 1 ]
root pkill -fx '/usr/bin/sleep 7304'
wait $first
ok "the first is over, and the second goes on" running '/usr/bin/sleep 7305'
not_none_held() { ! none_held; }
ok "with the role" not_none_held
root pkill -fx '/usr/bin/sleep 7305'
wait $second
gives "it ended as it did" '^143$' at alice 'cat status2'
ok "and gave the role back" none_held

last_output=$(at alice 'jitctl --json request open 10m --no-wait -m held')
id=$(json_field id <<<"$last_output")
gives "what is held is used" '^root$' at alice 'jitctl run -- id -un'
ok "and stays" is_state "$id" active
at alice 'jitctl run -- sleep 7303; echo "$?" >status' & run=$!
soon "it runs" 10 running '/usr/bin/sleep 7303'
ok "the grant ends meanwhile" root jitctl release "$id"
wait $run
gives "which ends the command" '^(137|1)$' at alice 'cat status'
root systemctl stop jitd.service
status "without jitd: exit status 4" 4 at alice 'jitctl run -- id -un'
root systemctl start jitd.service
within_time 10 active_policy
ok "nothing is left" nothing_left
