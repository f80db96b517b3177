#!/bin/bash
# What a user tries who wants to keep what a grant gave past its end (P2), one after the other; docs/ATTEMPTS.md tells
# what comes of each. 27-processes and 28-sudo-on-its-way try what runs, and sudo on its way.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up keepit
quietly lab apt "$host" install -y --no-install-recommends cron at libcap2-bin || stop_here "cron and at install"
roles() {
  policy
  cat <<'END'

[roles.member]
eligible = ["alice"]
groups = ["ops"]
opens = ["login"]
[[roles.member.rules]]
then = "approve"

[roles.base]
eligible = ["alice"]
opens = ["login", "sudo"]
dangerous = true
[[roles.base.sudo]]
as = "db"
commands = ["ALL"]
password = false
[[roles.base.rules]]
then = "approve"

[roles.root]
eligible = ["alice"]
opens = ["login", "sudo"]
dangerous = true
[[roles.root.sudo]]
as = "root"
commands = ["ALL"]
password = false
[[roles.root.rules]]
then = "approve"
END
}
root useradd -m -s /bin/bash db -g db
root systemctl enable --now cron.service atd.service
set_policy "$(roles)"
sleep 1
running() { root pgrep -fx "$1" >/dev/null; }
gone() { ! running "$1"; }
is_mode() { [[ $(root stat -c %a "$2") == "$1" ]]; }
residue_told() { at alice "jitctl show $id" | grep -q 'left in files'; }
ops=$(root sh -c 'getent group ops | cut -d: -f3')
holds_ops() { root sh -c "grep -Eq '^Groups:.*\\b$ops\\b' /proc/\$(pgrep -ofx '$1')/status"; }
ended() { soon "the grant ends" "$1" is_state "$id" ended; }

# --- programs that are left behind --------------------------------------------------------------------------------------

root sh -c 'cp /bin/true /home/alice/before; chown alice:ops /home/alice/before; chmod 2755 /home/alice/before'
sleep 1.1
grant alice member 15s
as alice 'cp /usr/bin/id ~/gid; chgrp ops ~/gid; chmod 2755 ~/gid; mkdir -p /var/tmp/x/y; cp ~/gid /var/tmp/x/y/gid
  chgrp ops /var/tmp/x/y/gid; chmod 2755 /var/tmp/x/y/gid; ln ~/gid ~/third; mkdir ~/shared; chgrp ops ~/shared; chmod 2775 ~/shared'
ok "a setgid copy, as long as it is allowed" is_mode 2755 /home/alice/gid
ended 20
soon "a setgid copy is disarmed" 10 is_mode 755 /home/alice/gid
soon "one deep in a temporary folder too" 10 is_mode 755 /var/tmp/x/y/gid
ok "what was there before is not" is_mode 2755 /home/alice/before
soon "show tells of it" 10 residue_told
gives "the chain too" 'was setgid of gid' root sh -c "jitctl audit log | grep residue"
gives "and the journal" 'left in files' root journalctl --no-pager -u jitd
ok "a folder of the group makes files of it" at alice 'cp /usr/bin/id ~/shared/id'
refused "but none that is setgid" at alice 'chmod 2755 ~/shared/id; test -g ~/shared/id'

grant alice base 12s
at alice 'sudo -n -u db sh -c "cp /bin/sh /tmp/dbsh; chmod 6755 /tmp/dbsh; cp /bin/sh ~db/dbsh; chmod 4755 ~db/dbsh"'
ok "a setuid shell of db" is_mode 6755 /tmp/dbsh
ended 15
soon "is disarmed in /tmp" 10 is_mode 755 /tmp/dbsh
soon "and in db's own home" 10 is_mode 755 /home/db/dbsh

grant alice root 12s
at alice 'sudo -n sh -c "cp /bin/sh /var/tmp/rootsh; chmod 4755 /var/tmp/rootsh; cp /bin/sh ~alice/capsh; setcap cap_setuid+ep ~alice/capsh
  ln /usr/bin/passwd ~alice/passwd"'
ok "a setuid shell of root" is_mode 4755 /var/tmp/rootsh
gives "a shell with capabilities" 'cap_setuid' root getcap /home/alice/capsh
ended 15
soon "is disarmed" 10 is_mode 755 /var/tmp/rootsh
no_capabilities() { [[ -z $(root getcap /home/alice/capsh) ]]; }
soon "its capabilities are gone" 10 no_capabilities
ok "the system's own program is let be" is_mode 4755 /usr/bin/passwd
link_told() { root sh -c 'jitctl audit log | grep residue' | grep -q 'further name of /usr/bin/passwd'; }
soon "and told of" 10 link_told

# Left before an extension took over.
grant alice base 12s
at alice 'sudo -n -u db sh -c "cp /bin/sh /tmp/dbsh2; chmod 4755 /tmp/dbsh2"'
sleep 2
last_output=$(at alice "jitctl --json extend $id 13s -m longer"); id=$(json_field id <<<"$last_output")
ok "an extension" is_state "$id" active
ended 18
soon "what was left before it is disarmed too" 10 is_mode 755 /tmp/dbsh2

# Without jitd.
grant alice member 12s
as alice 'cp /usr/bin/id ~/gid2; chgrp ops ~/gid2; chmod 2755 ~/gid2'
root systemctl stop jitd.service
soon "without jitd it is disarmed too" 30 is_mode 755 /home/alice/gid2
root systemctl start jitd.service
within_time 10 active_policy
soon "and told of when jitd is back" 10 residue_told

# --- work handed to somebody else ---------------------------------------------------------------------------------------

grant alice member 20s
as alice 'echo "exec sleep 7201" | at now 2>/dev/null; (crontab -l 2>/dev/null; echo "* * * * * exec sleep 7202") | crontab -
  systemd-run --user -q sleep 7203; loginctl enable-linger alice; setsid -f sleep 7204 >/dev/null 2>&1; sg ops "exec sleep 7205" >/dev/null 2>&1 & sleep 1'
soon "a job of at begins during the grant" 10 running 'sleep 7201'
ok "with the group" holds_ops 'sleep 7201'
soon "a process with the group for its own" 5 running 'sleep 7205'
ended 25
ok "the job of at is gone" gone 'sleep 7201'
ok "what left its session is gone" gone 'sleep 7204'
ok "what had the group for its own is gone" gone 'sleep 7205'
if running 'sleep 7203'; then refused "what the user's manager runs holds no group of ours" holds_ops 'sleep 7203'; else pass "what the user's manager ran is gone"; fi
soon "cron goes on as the user" 70 running 'sleep 7202'
refused "without the group" holds_ops 'sleep 7202'
root sh -c 'crontab -r -u alice; loginctl disable-linger alice; pkill -x sleep; true'
at alice 'echo "exec sleep 7211" | at now + 1 minute 2>/dev/null'
grant alice member 10m
at alice 'echo "exec sleep 7212" | at now + 1 minute 2>/dev/null'
ok "given back" at alice "jitctl release $id"
soon "a job that was filed during a grant and begins after it" 70 running 'sleep 7212'
refused "has no group of it" holds_ops 'sleep 7212'
root pkill -x sleep

grant alice base 20s
at alice 'sudo -n -u db sh -c "cd /; echo \"* * * * * exec sleep 7221\" | crontab -; echo \"exec sleep 7222\" | at now 2>/dev/null"'
soon "a job of at, as db" 10 running 'sleep 7222'
ended 25
soon "the files are looked at" 10 residue_told
gives "db's crontab stays, and is told of" 'crontabs/db was' at alice "jitctl show $id"
root sh -c 'crontab -r -u db; pkill -x sleep; true'

# --- a way in that stays open -------------------------------------------------------------------------------------------

# Let in from the board while jitd is down.
grant alice member 25s
root systemctl stop jitd.service
as alice 'setsid -f sleep 7231 >/dev/null 2>&1; exec sleep 7232' &
soon "a login while jitd is down" 10 running 'sleep 7232'
gives "is noted by the module" "^$id\." root ls /run/jit/logins
soon "and ends without jitd" 40 gone 'sleep 7232'
ok "with what it left behind" gone 'sleep 7231'
wait
root systemctl start jitd.service
within_time 10 active_policy
grant alice member 25s
root systemctl stop jitd.service
as alice 'exec sleep 7233' &
soon "a login while jitd is down" 10 running 'sleep 7233'
root systemctl start jitd.service
within_time 10 active_policy
soon "ends with jitd back" 30 gone 'sleep 7233'
wait
grant alice member 25s
root sh -c 'systemctl stop jitd.service; mount -t tmpfs -o ro none /run/jit/logins'
refused "a login that cannot be noted is refused" as alice 'true'
root sh -c 'umount /run/jit/logins; systemctl start jitd.service'
within_time 10 active_policy
given_back() { at alice "jitctl release $id" >/dev/null; is_state "$id" ended; }
soon "that grant is given back" 20 given_back

# A connection that sshd holds open for more sessions.
grant alice member 12s
lab net ssh -fNM -i "$keys/login" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlPath=/tmp/keepit-%C "alice@$(address)"
over_master() { lab net ssh -n -o ControlPath=/tmp/keepit-%C -o BatchMode=yes -o ControlMaster=no -o ProxyCommand=false "alice@$(address)" true; }
ok "a session over a connection that is there" over_master
ended 15
refused "that connection is gone" over_master
refused "and nobody comes in anew" can_ssh alice

# --- a user's own tricks with sudo --------------------------------------------------------------------------------------

grant alice root 8s
at alice 'TZ=America/New_York sudo -n id' >/dev/null
ended 12
refused "another time zone stretches nothing" at alice 'TZ=America/New_York sudo -n id'
refused "a chroot of the user's neither" at alice 'sudo -n -R /tmp id'
refused "a host name neither" at alice 'sudo -n -h elsewhere id'
refused "and no edit" at alice 'sudo -n -e /etc/sudoers'
ok "nothing of ours is left" nothing_left
