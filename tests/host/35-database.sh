#!/bin/bash
# A database that is cut short, scribbled over, empty, gone, older than it was or held by somebody else: jitd comes up with what it can prove,
# revives nothing that ended or was released, keeps its locks, and says what happened (P1, P2, P4, P7).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up database
put /etc/jit/jitd.toml <<<'clock_tolerance = "1s"'   # so long after a loss no direct grant counts
restart_jitd
within_time 10 active_policy
db=/var/lib/jit/jit.db
damage() {
  case $1 in
    "cut short") root truncate -s 9000 "$db" ;;
    "scribbled over") root perl -e 'open F, "+<", "/var/lib/jit/jit.db"; for (my $at = 100; $at < -s F; $at += 300) { seek F, $at, 0; print F "\xff\x00\x5a" }' ;;
    "another file") root cp /bin/ls "$db" ;;
    empty) root truncate -s 0 "$db" ;;
    gone) root sh -c "rm -f $db*" ;;
    "an old backup") root cp -a "$backup" "$db" ;;
  esac
}
locked() { at bob "jitctl request operator 5m --no-wait -m x" 2>&1 | grep -q locked; }
# Signed once, given, released: nobody may hand it in again.
replayed() { at carol "rm -f d.jit; jitctl grant --user alice --role operator --on $host --for 1h -m direct -o d.jit" && at carol "jitctl import d.jit"; }

ok "carol locks bob" at carol "jitctl lock bob -m 'on leave'"
ok "bob is locked" locked
backup=/root/backup.db
for how in "cut short" "scribbled over" "another file" empty gone "an old backup"; do
  soon "$how: a direct grant, signed long enough after the last loss" 10 replayed
  soon "$how: it is in force" 5 member alice ops
  quietly root jitctl release --all
  soon "$how: released" 5 nothing_left
  [[ $how != "an old backup" ]] || { root systemctl stop jitd.service; root cp -a "$db" $backup; root systemctl start jitd.service; within_time 10 active_policy; }
  grant alice operator 30m
  held=$id
  as alice 'exec sleep 8001' >/dev/null 2>&1 &
  within_time 5 root pgrep -fx 'sleep 8001' >/dev/null
  root systemctl stop jitd.service   # all of it is in the one file then
  damage "$how"
  root systemctl start jitd.service
  soon "$how: jitd is up" 15 active_policy
  ok "$how: nothing is in force" nothing_left
  ok "$how: what was is over" not is_state "$held" active
  soon "$how: the login under it is ended" 3 not root pgrep -fx 'sleep 8001'
  root pkill -fx 'sleep 8001'; wait
  refused "$how: sudo is refused" at_sudo alice
  ok "$how: bob is locked still" locked
  refused "$how: what was released does not come back" at carol "jitctl import d.jit"
  gives "$how: with the reason" 'lost its database' echo "$last_output"
  gives "$how: the journal says so" 'jit.db.*(kept as /var/lib/jit/jit.db.damaged|gone or empty)' root journalctl -q --no-pager -u jitd -o cat
  case $how in
    empty | gone) ;;
    *)
      ok "$how: the old one is kept" root sh -c "ls $db.damaged-*"
      gives "$how: doctor says where" 'database of this host was damaged and is kept as /var/lib/jit/jit.db.damaged-' root jitctl doctor
      root sh -c "rm -f $db.damaged-*" ;;
  esac
  grant alice operator 30m
  ok "$how: a new grant works" at_sudo alice
  ok "$how: the audit chain is whole" root jitctl audit verify
  gives "$how: and begins with the loss" 'lost' root jitctl audit log
  quietly root jitctl release --all
  within_time 5 nothing_left
done

# --- held by somebody else ----------------------------------------------------------------------------------------------

hold() {   # FILE FROM LENGTH: a classic lock, as SQLite's own are
  lab run "$host" perl -e 'use Fcntl; open(F, "+<", $ARGV[0]) or die; fcntl(F, F_SETLKW, pack("s s x4 q q i x4", F_WRLCK, 0, $ARGV[1], $ARGV[2], 0)) or die; open(M, ">", "/run/held"); sleep 1000' "$@" </dev/null >/dev/null 2>&1 &
  within_time 5 root test -e /run/held
}
let_go() { root sh -c "rm -f /run/held; pkill -x perl"; wait; }
grant alice operator 12s
hold "$db-shm" 120 1   # SQLite's lock for writers
ok "held by a writer: the grant works" at_sudo alice
gives "nothing new is given while no record of it can be made, and jitctl says so" 'database' at alice "jitctl request quick 5m --no-wait -m x"
soon "the end comes in time" 13 not member alice ops
refused "and sudo is refused" at_sudo alice
gives "doctor says that the database takes nothing" 'database takes nothing' root jitctl doctor
let_go
soon "let go, all goes on" 10 request alice quick 5m
soon "and is given" 5 member alice db
quietly root jitctl release --all
soon "and nothing is left" 5 nothing_left

grant alice operator 8s
root systemctl mask --runtime jitd.service >/dev/null 2>&1
root systemctl kill -s KILL jitd.service
hold "$db" 0 0
root systemctl unmask --runtime jitd.service >/dev/null 2>&1
root systemctl start --no-block jitd.service
soon "held altogether: what was given ends without jitd" 10 nothing_left
named_in_journal() { root journalctl -q --no-pager -u jitd -o cat | grep -E 'process [0-9]+ holds it'; }
soon "the journal names who holds it" 10 named_in_journal
refused "sudo is refused" at_sudo alice
let_go
soon "let go, jitd comes up" 15 active_policy
ok "nothing was set aside" root sh -c "! ls $db.damaged-* 2>/dev/null"
ok "bob is locked still" locked
