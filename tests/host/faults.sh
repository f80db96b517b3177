# Hosts on which things break: jitd, and what its units run, with the library of fault.cpp. Sourced by tests after lib.sh.
# shellcheck shell=bash disable=SC2154

# Makes the library, once for all tests, and puts it onto the host.
fault_library() {
  local library
  library=$keys/fault-$(sha256sum "$here/fault.cpp" | cut -c1-10).so
  if [[ ! -e $library ]]; then
    quietly c++ -std=c++20 -O1 -Wall -Wextra -shared -fPIC -o "$library.$$" "$here/fault.cpp" || stop_here "the library of faults is built"
    mv "$library.$$" "$library"
  fi
  lab push "$host" "$library" /usr/lib/jit-fault.so
  lab push "$host" "$here/fault" /usr/local/sbin/fault
}

# Puts it under every unit of ours on the host; from here on `fault` works.
faulty() {
  local unit
  fault_library
  root fault make
  for unit in jitd.service jit-expire@.service jit-expire.service; do
    local starving=; [[ $unit != jitd.service ]] || starving=' JIT_FAULT_STARVES=1'
    root install -d "/etc/systemd/system/$unit.d"
    put "/etc/systemd/system/$unit.d/50-fault.conf" <<<$'[Service]\nEnvironment=LD_PRELOAD=/usr/lib/jit-fault.so'"${starving:-}"
  done
  root systemctl daemon-reload
  restart_jitd
  within_time 10 active_policy || stop_here "jitd comes up with the library of faults"
}
fault() { root fault "$@"; }

# The tests' policy, and a role that takes nobody else and gives all there is: groups, gates and commands.
broken_policy() {
  policy
  cat <<'END'

[roles.all]
eligible = ["alice", "bob"]
groups = ["ops", "db"]
opens = ["login", "sudo"]
dangerous = true
[[roles.all.sudo]]
as = "root"
commands = ["/usr/bin/id", "/usr/bin/sleep ...", "/usr/bin/setsid ...", "/usr/bin/sh ..."]
password = false
[[roles.all.rules]]
then = "approve"
END
}
many_requests() { put /etc/jit/jitd.toml <<<$'[quotas]\nrequests_per_minute = 10000\npending_per_user = 1000'; }

# small FOLDER: puts it on a file system of its own with a little room; large FOLDER: back on the disk, and nothing is left.
small() {
  root sh -c "mkdir -p /mnt/small && mount -t tmpfs -o mode=755,size=\$(( \$(du -sk $1 | cut -f1) * 2 + 2048 ))k,nr_inodes=\$(( \$(find $1 | wc -l) + 400 )) t /mnt/small &&
    cp -a $1/. /mnt/small/ 2>/dev/null; mount --bind /mnt/small $1 && umount /mnt/small && mountpoint -q $1" || return 1
  [[ $1 != /run/jit ]] || root fault make
  restart_jitd
  within_time 10 active_policy
}
large() { root sh -c "umount -l $1"; restart_jitd; within_time 10 active_policy; quietly root jitctl release --all; within_time 5 nothing_left; }
# Until it takes no more; never on the disk itself, which is this machine's.
no_bytes() { root sh -c "mountpoint -q $1 && { dd if=/dev/zero of=$1/.full bs=4k count=50000; dd if=/dev/zero of=$1/.full2 bs=1 count=4096; } 2>/dev/null; true"; }
no_inodes() { root sh -c "mountpoint -q $1 && mkdir -p $1/.many && i=0; while [ \$i -lt 20000 ] && : >$1/.many/\$i; do i=\$((i + 1)); done; true" >/dev/null 2>&1; }
# What jitd has open for writing keeps a whole file system from that; as after an error of a disk its writes fail then.
read_only() {
  root mountpoint -q "$1" || return 1
  root mount -o remount,ro "$1" 2>/dev/null || fault arm 1 30 1000000000 "$1/" || return 1   # EROFS
  root mount -o remount,bind,ro "$1"
}
room() { root sh -c "mount -o remount,rw $1; mount -o remount,bind,rw $1; fault off; rm -rf $1/.full $1/.full2 $1/.many"; }
