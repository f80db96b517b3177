#!/bin/bash
# jitd dead, stopped or hung: the exempt get in, holders are let in from the board, others are refused, all within the
# module's deadline (P5). A command by a grant waits for jitd, since nobody else could end it (P2).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up down
within_ms() { local limit=$1 from; from=$(date +%s%3N); shift; "$@"; local took=$(($(date +%s%3N) - from)); say "took $took ms"; [[ $took -le $limit ]]; }
check_all() {
  ok "$1: root gets in" as root true
  ok "$1: rescue gets in" can_ssh rescue
  ok "$1: the holder gets in by ssh" can_ssh alice
  refused "$1: a command by a grant is refused, since nobody could end it" can_sudo alice
  refused "$1: bob is refused by ssh" can_ssh bob
  refused "$1: bob is refused by sudo" at_sudo bob
  ok "$1: and gets his answer in time" within_ms 2500 not at bob "sudo -n id"
  status "$1: jitctl says that nobody answers" 4 at alice "timeout 20 jitctl status"
}
grant alice operator 10m
root systemctl stop jitd.service
check_all stopped
root systemctl start jitd.service
soon "it is active again after a start" 10 is_state "$id" active
ok "and works" can_sudo alice

root systemctl kill -s STOP jitd.service
ok "hung: root gets in" as root true
ok "hung: the holder gets in" can_ssh alice
refused "hung: bob is refused" can_ssh bob
ok "hung: in time" within_ms 2500 not at bob "sudo -n id"
root systemctl kill -s CONT jitd.service
soon "jitd answers again" 20 is_state "$id" active

root systemctl stop jitd.service
root rm -f /run/jit/board
refused "no jitd and no board: the holder is refused" can_ssh alice
refused "no jitd and no board: sudo too" at_sudo alice
ok "no jitd and no board: root gets in" as root true
ok "no jitd and no board: rescue does" at rescue true
gives "no jitd and no board: bob is told so" '.' as bob true
root sh -c 'head -c 4096 /dev/urandom >/run/jit/board'
refused "a torn board: the holder is refused" can_ssh alice
ok "a torn board: root gets in" as root true
quietly root /usr/libexec/jit/gate-lines observe sshd
ok "an observing line denies nobody, not even then" can_ssh bob
root systemctl start jitd.service
soon "and all is well when jitd is back" 15 is_state "$id" active
ok "the holder gets in" can_ssh alice

pid=$(root systemctl show -P MainPID jitd.service)
root kill -IO "$pid"
sleep 0.5
gives "somebody who writes what the inbox reads does not end the daemon" "^$pid\$" root systemctl show -P MainPID jitd.service
