#!/bin/bash
# A sudo that is on its way when a grant ends (P2): sudo matches its rules once, before it asks for the password. At its
# prompt, with a helper that asks, stopped, between its PAM phases; with and without jitd; every sudo that is installed.
# What a standing rule runs, and sudo of others, goes on.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up onitsway
if [[ $JIT_SUITE != bookworm ]]; then
  quietly lab apt "$host" install -y --no-install-recommends sudo-rs || stop_here "sudo-rs installs"
fi
waiter() {   # a role that asks for the password, and one that gives everything
  policy
  cat <<'END'

[roles.waiter]
eligible = ["alice", "bob", "rescue"]
opens = ["login", "sudo"]
dangerous = true
[[roles.waiter.sudo]]
as = "root"
commands = ["/usr/bin/sleep ...", "/usr/bin/id"]
password = true
[[roles.waiter.rules]]
then = "approve"

[roles.all]
eligible = ["alice"]
opens = ["login", "sudo"]
dangerous = true
[[roles.all.sudo]]
as = "root"
commands = ["ALL"]
password = false
[[roles.all.rules]]
then = "approve"
END
}
# rescue has a rule of their own; the helper that asks for a password never answers.
root sh -c 'echo "rescue ALL=(root) PASSWD: /usr/bin/sleep" >/etc/sudoers.d/rescue; chmod 440 /etc/sudoers.d/rescue
  printf "#!/bin/sh\nexec sleep 7990\n" >/usr/local/bin/asks; chmod 755 /usr/local/bin/asks'
set_policy "$(waiter)"
sleep 1
running() { root pgrep -fx "$1" >/dev/null; }
gone() { ! running "$1"; }
# waits USER SUDO ARGS...: a sudo at its prompt, on a fifo that nobody writes to.
waits() {
  local who=$1; shift
  at "$who" "rm -f ~/tty; mkfifo ~/tty; (sleep 600 >~/tty & echo \$! >~/holder; exec $* <~/tty >/dev/null 2>&1) & sleep 0.5" &
}
let_go() { root sh -c 'pkill -fx "sleep 600"; pkill -fx "sleep 7990"; true' ; wait; }
# How long after its end the last of it was gone: printed, in ms.
lag() {
  root bash -c 'end=$(date -d "$1" +%s%3N); while pgrep -fx "$2" >/dev/null; do sleep 0.01; done; echo "$(($(date +%s%3N) - end))"' lag "$1" "$2"
}
not_after() { at alice "jitctl --json show $1" | sed -n 's/.*"not_after": *\([0-9]*\).*/@\1/p'; }

# --- at its prompt ------------------------------------------------------------------------------------------------------

grant alice waiter 12s
waits alice "sudo -S -p '' sleep 7101"
waits bob "sudo -S -p '' sleep 7102"
at alice 'SUDO_ASKPASS=/usr/local/bin/asks sudo -A sleep 7103 >/dev/null 2>&1' &
at alice 'rm -f ~/tty2; mkfifo ~/tty2; sleep 600 >~/tty2 & sudo -S -p "" sleep 7104 <~/tty2 >/dev/null 2>&1' &
soon "sudo waits for a password" 5 running "sudo -S -p  sleep 7101"
soon "another's too" 5 running "sudo -S -p  sleep 7102"
soon "one with a helper" 5 running "sudo -A sleep 7103"
soon "and one that" 5 running "sudo -S -p  sleep 7104"
ok "its user stops" at alice 'pkill -STOP -fx "sudo -S -p  sleep 7104"'
at alice "echo word-of-alice | sudo -S -v -p ''" >/dev/null 2>&1
end=$(not_after "$id")
say "a sudo at its prompt was gone $(lag "$end" 'sudo -S -p  sleep 7101') ms after the end"
soon "the grant ends" 15 is_state "$id" ended
ok "the sudo at its prompt is gone" gone "sudo -S -p  sleep 7101"
ok "the one with a helper too" gone "sudo -A sleep 7103"
ok "and the stopped one" gone "sudo -S -p  sleep 7104"
ok "another user's waits on" running "sudo -S -p  sleep 7102"
gives "show counts them" '3 processes ended with it' at alice jitctl show "$id"
refused "the ticket of the password is worth nothing" at alice "sudo -n sleep 7105"
refused "sudo -v neither" at alice "sudo -n -v"
let_go

# --- a standing rule ----------------------------------------------------------------------------------------------------

# rescue is exempt from the gate, so that the rule alone decides.
at rescue "echo word-of-rescue | sudo -S -p '' sleep 7111 >/dev/null 2>&1" &
soon "somebody's own rule runs a command" 5 running 'sleep 7111'
grant rescue waiter 8s
soon "a grant of theirs ends" 12 is_state "$id" ended rescue
ok "what their own rule ran before runs on" running 'sleep 7111'
root pkill -fx 'sleep 7111'
wait

# --- between its PAM phases ---------------------------------------------------------------------------------------------

root sed -i '0,/^session/s//session optional pam_exec.so \/usr\/bin\/sleep 7990\nsession/' /etc/pam.d/sudo
grant alice waiter 8s
at alice "echo word-of-alice | sudo -S -p '' sleep 7121 >/dev/null 2>&1" &
soon "sudo has checked, and its session is not open yet" 5 running '/usr/bin/sleep 7990'
soon "the grant ends" 12 is_state "$id" ended
ok "that sudo is gone" gone "sudo -S -p  sleep 7121"
let_go
ok "and its command never ran" gone 'sleep 7121'
root sed -i '/pam_exec/d' /etc/pam.d/sudo
root sh -c 'echo "session optional pam_exec.so /usr/bin/sleep 7990" >>/etc/pam.d/sudo'
grant alice waiter 8s
at alice "echo word-of-alice | sudo -S -p '' sleep 7122 >/dev/null 2>&1" &
soon "sudo is on its way to exec, its session open" 5 running '/usr/bin/sleep 7990'
soon "the grant ends" 12 is_state "$id" ended
ok "that sudo is gone" gone "sudo -S -p  sleep 7122"
let_go
ok "and its command never ran" gone 'sleep 7122'
root sed -i '/pam_exec/d' /etc/pam.d/sudo

# --- shells and editors -------------------------------------------------------------------------------------------------

root sh -c 'printf "#!/bin/sh\nexec sleep 7131\n" >/usr/local/bin/edits; chmod 755 /usr/local/bin/edits'
grant alice all 12s
at alice 'SUDO_EDITOR=/usr/local/bin/edits sudo -n -e /etc/motd >/dev/null 2>&1' &
at alice 'SHELL=/bin/sh sudo -n -s sleep 7132 >/dev/null 2>&1' &
at alice 'sudo -n -i sleep 7133 >/dev/null 2>&1' &
at alice 'sudo -n -b sleep 7134 >/dev/null 2>&1' &
at alice 'script -qec "sudo -n sleep 7135" /dev/null >/dev/null 2>&1' &
at alice 'sudo -n sh -c "sudo -n sleep 7136" >/dev/null 2>&1' &
for n in 7131 7132 7133 7134 7135 7136; do soon "sleep $n runs" 5 running "sleep $n"; done
gives "sudo -l tells of the rule" 'ALL' at alice 'sudo -n -l'
soon "the grant ends" 15 is_state "$id" ended
for n in 7131 7132 7133 7134 7135 7136; do ok "sleep $n is gone" gone "sleep $n"; done
gives "the sudo of the editor too" '^$' root sh -c 'pgrep -x sudo'
refused "sudo -l tells of nothing" at alice 'sudo -n -l'
wait

# --- two grants: what the longer one does not give ends with the shorter ------------------------------------------------

grant alice operator 10m
long=$id
grant alice all 10s
at alice 'sudo -n sleep 7141 >/dev/null 2>&1' &
soon "a command of the shorter grant runs" 5 running 'sleep 7141'
soon "that one ends" 12 is_state "$id" ended
ok "its command too" gone 'sleep 7141'
ok "and the longer one is in force" at_sudo alice
ok "until it is given back" at alice "jitctl release $long"
wait

# --- without jitd -------------------------------------------------------------------------------------------------------

grant alice waiter 15s
waits alice "sudo -S -p '' sleep 7151"
soon "sudo waits for a password" 5 running "sudo -S -p  sleep 7151"
end=$(not_after "$id")
root systemctl stop jitd.service
say "without jitd it was gone $(lag "$end" 'sudo -S -p  sleep 7151') ms after the end"
ok "the dead-man ends it" gone "sudo -S -p  sleep 7151"
let_go
root systemctl start jitd.service
within_time 10 active_policy

# --- sudo-rs ------------------------------------------------------------------------------------------------------------

if [[ $JIT_SUITE != bookworm ]]; then
  grant alice waiter 10s
  waits alice "sudo-rs -S sleep 7161"
  at bob "echo word-of-bob | sudo-rs -S sleep 7162 >/dev/null 2>&1" &
  soon "sudo-rs waits for a password" 5 running "sudo-rs -S sleep 7161"
  soon "the grant ends" 12 is_state "$id" ended
  ok "sudo-rs is gone" gone "sudo-rs -S sleep 7161"
  let_go
fi
ok "nothing of ours is left" nothing_left
