#!/bin/bash
# jitd is killed at each change that it makes to a file while it gives a grant, ends one and starts, each write is torn, each
# call fails once; the same for `jitd --expire`. A dead jitd leaves the old files or the new ones, and the next start makes it
# right (P4, P6). Every change counts: of group, gshadow, drop-ins, held, ends, the board, and SQLite's own.
# JIT_EVERY_WRITE=1: all of these (a quarter of an hour); without it the deaths, and a few of the rest.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/host/faults.sh
source "$here/faults.sh"
up write
many_requests
set_policy "$(broken_policy)"
faulty

# What lies there when jitd has died, before anything else runs; then what its unit does anyway.
put /usr/local/sbin/autopsy <<'END'
#!/bin/bash
exec >>/root/wrong 2>&1
for f in group gshadow; do cmp -s /etc/$f /root/$f.old || cmp -s /etc/$f /root/$f.new || echo "/etc/$f is neither the old nor the new one"; done
for f in /run/jit/sudoers.d/jit-*; do
  [ ! -e "$f" ] || { [ "$(stat -c '%a %u' "$f")" = '440 0' ] && [ "$(sed '1d; s/NOTAFTER=[0-9]*Z/END/' "$f")" = "$(cat /root/dropin.new)" ]; } || echo "$f is not whole"
done
[ "$(stat -c '%a %u %g' /etc/group)" = "$(stat -c '%a %u %g' /root/group.old)" ] || echo "/etc/group has another mode or owner"
[ "$(stat -c '%a %u %g' /etc/gshadow)" = "$(stat -c '%a %u %g' /root/gshadow.old)" ] || echo "/etc/gshadow has another mode or owner"
grep -a ' ended ' /var/lib/jit/ends | cut -d' ' -f2 >>/root/ended
exit 0
END
root chmod +x /usr/local/sbin/autopsy
put /etc/systemd/system/jitd.service.d/60-autopsy.conf <<<$'[Service]\nRestartSec=1ms\nExecStopPost=\nExecStopPost=+/usr/bin/env -u LD_PRELOAD /usr/local/sbin/autopsy\nExecStopPost=/usr/sbin/jitd --expire'
root systemctl daemon-reload
restart_jitd
within_time 10 active_policy

# In the host. points SCENARIO WHAT: does the scenario again and again, each time with the next change struck, until one runs
# through. Prints what was wrong, and last how many points there were.
put /root/points <<'END'
#!/bin/bash
scenario=$1 what=$2
case $what in kill | tear) dies=yes ;; *) dies= ;; esac
as_alice() { runuser -u alice -- jitctl --json "$@" 2>/dev/null </dev/null; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -1; }
state() { jitctl --json show "$id" 2>/dev/null | field state; }
nothing() { cmp -s /etc/group /root/group.old && cmp -s /etc/gshadow /root/gshadow.old && [ -z "$(ls -A /run/jit/sudoers.d)" ]; }
everything() { cmp -s /etc/group /root/group.new && cmp -s /etc/gshadow /root/gshadow.new && [ -e "/run/jit/sudoers.d/jit-$id" ]; }
wait_for() { local try; for ((try = 0; try < ${limit:-500}; try++)); do "$@" && return 0; sleep 0.02; done; return 1; }
up() { jitctl status >/dev/null 2>&1; }
wrong() { echo "$scenario $what point $n ($(fault struck)): $* [$id $(state), $(grep -E '^(ops|db):' /etc/group | tr '\n' ' '), $(ls -A /run/jit/sudoers.d | tr '\n' ' ')]"; }
struck() { [ -n "$(fault struck)" ]; }
is() { [ "$(state)" = "$1" ]; }
struck_or_active() { struck || is active; }
ask() { id=$(as_alice request all 1h --no-wait -m x | field id); }
# What jitd says and what the host has are the same, and what was seen to have ended stays so.
right() {
  case $(state) in
    active) everything && ! grep -qx "$id" /root/ended 2>/dev/null ;;
    ended | refused | pending | '') nothing ;;
    *) false ;;
  esac
}
clear_all() { fault off; wait_for up; jitctl release --all >/dev/null 2>&1; wait_for nothing || wrong "a release leaves something"; rm -f /root/ended; }

n=0 hit=0 id=
while :; do
  n=$((n + 1))
  case $scenario in
  give)
    fault arm $n "$what"
    ask
    limit=100 wait_for struck_or_active
    wait_for up
    # Who asked heard nothing when jitd died on the way: what it then knows of is what counts.
    [ -n "$id" ] || id=$(jitctl --json list | field id)
    ;;
  end)
    ask
    wait_for is active || { wrong "no grant to end"; exit 1; }
    fault arm $n "$what"
    jitctl release "$id" >/dev/null 2>&1
    wait_for up
    # An end does not wait for a file: whichever call fails, it comes, though something may have to be tried again.
    [ -n "$dies" ] || { wait_for is ended && wait_for nothing; } || wrong "something is left"
    ;;
  start)
    if [ -z "$id" ]; then ask; wait_for is active || { wrong "no grant"; exit 1; }; fi
    fault arm $n "$what"
    systemctl restart jitd.service 2>/dev/null
    limit=100 wait_for struck_or_active
    wait_for up ;;
  expire)
    if [ $n = 1 ]; then
      ask; wait_for is active || { wrong "no grant"; exit 1; }
      systemctl stop jitd.service
      rm -rf /root/saved; mkdir /root/saved
      cp -a /etc/group /etc/gshadow /var/lib/jit/held /var/lib/jit/ends /run/jit/board /run/jit/sudoers.d /root/saved
      rm -f /root/wrong
    fi
    cp -a /root/saved/group /root/saved/gshadow /etc
    cp -a /root/saved/held /root/saved/ends /var/lib/jit
    cp -a /root/saved/board /root/saved/sudoers.d /run/jit
    everything || wrong "not set up"
    fault arm $n "$what"
    { LD_PRELOAD=/usr/lib/jit-fault.so jitd --expire --all; } >/dev/null 2>&1
    [ -z "$dies" ] || autopsy ;;
  esac
  if struck; then again=yes; else again=; fi
  struck=$(fault struck)
  fault off
  case $scenario in
  expire)
    jitd --expire --all >/dev/null 2>&1
    nothing || wrong "the next run leaves something"
    rm -f /root/ended ;;
  start)
    # What could not be brought back for want of a disk is over; what a dead jitd had in force comes back.
    if [ -n "$dies" ]; then wait_for is active || wrong "it did not come back"; fi
    wait_for right || wrong "not right after it"
    is active || id= ;;
  *)
    wait_for right || wrong "not right after it"
    clear_all ;;
  esac
  if [ -s /root/wrong ]; then wrong "after $struck there was: $(tr '\n' ';' </root/wrong)"; rm -f /root/wrong; fi
  [ -n "$again" ] || break
  [ -z "${SHOW:-}" ] || echo "# $scenario $what $n $struck" >>/root/shown
  hit=$((hit + 1))
done
systemctl start jitd.service
clear_all
echo "points: $hit"
END
root chmod +x /root/points

# What is old and what is new.
root sh -c 'cp -a /etc/group /root/group.old; cp -a /etc/gshadow /root/gshadow.old'
grant alice all 1h
root sh -c 'cp -a /etc/group /root/group.new; cp -a /etc/gshadow /root/gshadow.new; sed "1d; s/NOTAFTER=[0-9]*Z/END/" /run/jit/sudoers.d/jit-* >/root/dropin.new'
quietly root jitctl release --all
within_time 5 nothing_left || stop_here "a grant can be given and taken"
root rm -f /root/wrong

all_points() {   # WHAT FEWEST SCENARIO HOW
  local out points
  out=$(root env SHOW="${JIT_SHOW:-}" /root/points "$3" "$4" 2>&1)
  points=$(sed -n 's/^points: //p' <<<"$out")
  last_output=$(grep -v '^points: ' <<<"$out")
  if [[ -z $last_output && ${points:-0} -ge $2 ]]; then pass "$1, at each of $points changes of a file"; else flunk "$1, at each of ${points:-0} changes of a file"; say "$last_output"; fi
}
all_points "killed while a grant is given" 40 give kill
all_points "killed while a grant is ended" 15 end kill
all_points "killed while it starts with a grant in force" 10 start kill
all_points "--expire killed" 8 expire kill
all_points "a torn write of --expire" 3 expire tear
all_points "no room, once, while a grant is ended" 15 end 28
if [[ -n ${JIT_EVERY_WRITE:-} ]]; then
  all_points "a torn write while a grant is given" 10 give tear
  all_points "a torn write while a grant is ended" 5 end tear
  all_points "a torn write while it starts" 3 start tear
  all_points "no room, once, while a grant is given" 40 give 28
  all_points "an error of the disk while a grant is given" 40 give 5
  all_points "an error of the disk while a grant is ended" 15 end 5
  all_points "an error of the disk while it starts" 10 start 5
  all_points "an error of the disk in --expire" 8 expire 5
  all_points "a read-only disk, once, while a grant is given" 40 give 30
  all_points "a read-only disk, once, while a grant is ended" 15 end 30
fi
ok "the audit chain holds" root jitctl audit verify
ok "the group files are sound" root grpck -r
