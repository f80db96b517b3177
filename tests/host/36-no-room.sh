#!/bin/bash
# No byte, no inode, no writing on /etc, /var and /run, no descriptor, no memory, a group file cut short: what is denied is
# denied, what ends ends, nothing is torn, and journal and doctor say what is wrong (P5, P6).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/host/faults.sh
source "$here/faults.sh"
up room
set_policy "$(broken_policy)"
faulty

denied() { refused "$1: who has no grant is refused by sudo" at_sudo bob; refused "$1: and by ssh" can_ssh bob; ok "$1: root gets in" as root true; }
for place in /etc /var/lib/jit /run/jit; do
  small "$place" || stop_here "jitd comes up on a small $place"
  for way in no_bytes no_inodes read_only; do
    # A tmpfs has no errors that make it so.
    [[ $place$way != /run/jitread_only ]] || continue
    what="$place with ${way/_/ }"
    grant alice all 1h
    given=$id
    at alice 'sudo -n sleep 8101 >/dev/null 2>&1 &' >/dev/null 2>&1
    within_time 5 root pgrep -fx 'sleep 8101' >/dev/null
    from=$(date +%s)
    quietly "$way" "$place"
    denied "$what"
    ok "$what: the grant goes on" at_sudo alice
    gives "$what: doctor says so" "PROBLEM +$place (has no room|takes no more files|is read-only)" root jitctl doctor
    request bob quick 5m || request bob all 5m || true
    sleep 0.3
    gives "$what: a new grant is whole or not there" '^(0|1 1)' \
      root sh -c 'b=$(grep -cE "^ops:.*[:,]bob" /etc/group); [ $b = 0 ] && echo 0 || echo 1 $(ls /run/jit/sudoers.d | wc -l | sed s/2/1/)'
    # By name: what bob got or did not get is another matter.
    ok "$what: the grant is ended" root jitctl release "$given"
    soon "$what: its rule is gone" 2 root test ! -e "/run/jit/sudoers.d/jit-$given"
    refused "$what: sudo is refused" at_sudo alice
    soon "$what: its processes too" 2 not root pgrep -fx 'sleep 8101'
    if [[ $place$way != /etcread_only ]]; then soon "$what: its groups too" 2 not member alice ops; fi
    ok "$what: the group files are sound" root grpck -r
    case $way in
      no_*) ;;
      *) gives "$what: the journal says so" 'Read-only file system|readonly database|not take|could not|attempt to write' root journalctl -q --no-pager -u jitd -o cat --since="@$from" ;;
    esac
    room "$place"
    quietly root jitctl release --all
    soon "$what: with room again nothing is left" 10 nothing_left
    ok "$what: no temporary file is left" root sh -c '! ls -A /etc /run/jit /run/jit/sudoers.d | grep -E "\.tmp$"'
    grant alice quick 5m
    quietly root jitctl release --all
    within_time 5 nothing_left
  done
  ok "$place: back on the disk nothing is left" large "$place"
done

# --- a rule that cannot be taken away -----------------------------------------------------------------------------------

grant alice all 1h
fault arm 1 30 1000000000 /run/jit/sudoers.d/   # EROFS
ok "a rule that cannot be taken away: the grant is ended" root jitctl release "$id"
ok "the rule is still there" root test -e "/run/jit/sudoers.d/jit-$id"
refused "sudo is refused all the same" at_sudo alice
fault off
soon "and the rule goes when it can" 10 root test ! -e "/run/jit/sudoers.d/jit-$id"

# --- descriptors and memory ---------------------------------------------------------------------------------------------

grant alice all 12s
fault descriptors 1
denied "without a descriptor"
soon "without a descriptor the grant ends in time" 14 nothing_left
refused "and sudo is refused" at_sudo alice
fault descriptors 0
soon "with descriptors again jitd knows that it is over" 10 is_state "$id" ended

grant alice all 12s
fault memory 1
denied "without memory"
soon "without memory the grant ends in time" 14 nothing_left
refused "and sudo is refused" at_sudo alice
fault memory 0
soon "with memory again jitd is back" 15 active_policy
soon "and knows that it is over" 10 is_state "$id" ended

grant alice all 1h
root install -d /run/systemd/system/jitd.service.d
put /run/systemd/system/jitd.service.d/90-memory.conf <<<$'[Service]\nMemoryMax=4M\nMemorySwapMax=0'
root systemctl daemon-reload
root systemctl restart --no-block jitd.service
sleep 2
denied "with 4 MiB at most"
ok "with 4 MiB at most: --expire --all takes everything" root jitd --expire --all
ok "with 4 MiB at most: nothing is left" nothing_left
root sh -c 'rm -r /run/systemd/system/jitd.service.d; systemctl daemon-reload; systemctl restart jitd.service'
soon "with what it needs jitd is back" 15 active_policy
soon "and the grant is over" 10 is_state "$id" ended

# --- a group file cut short ---------------------------------------------------------------------------------------------

grant alice all 1h
root sh -c 'cp -a /etc/group /root/group.whole; head -c $(( $(stat -c %s /etc/group) / 2 - 3 )) /root/group.whole >/etc/group'
quietly root jitctl release "$id"
soon "a group file cut short: the grant is over, since it is not what was approved any more, or released" 3 not is_state "$id" active
soon "its rule is gone" 2 root test ! -e "/run/jit/sudoers.d/jit-$id"
refused "sudo is refused" at_sudo alice
denied "a group file cut short"
ok "and was not written over" root sh -c 'head -c $(stat -c %s /etc/group) /root/group.whole | cmp - /etc/group'
root sh -c ': >/etc/group'
refused "an empty group file gives nobody anything" at_sudo alice
quietly request alice quick 5m
ok "not even what approves itself" not is_state "$id" active
root sh -c 'cat /root/group.whole >/etc/group; chmod 644 /etc/group'
ok "the audit chain holds" root jitctl audit verify
