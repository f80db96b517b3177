# Hosts on which things break: jitd, and what its units run, with the library of fault.cpp. Sourced by tests after lib.sh.
# shellcheck shell=bash disable=SC2154

# Makes the library, once for all tests, and puts it under every unit of ours on the host; from here on `fault` works.
faulty() {
  local library unit
  library=$keys/fault-$(sha256sum "$here/fault.cpp" | cut -c1-10).so
  if [[ ! -e $library ]]; then
    quietly c++ -std=c++20 -O1 -Wall -Wextra -shared -fPIC -o "$library.$$" "$here/fault.cpp" || stop_here "the library of faults is built"
    mv "$library.$$" "$library"
  fi
  lab push "$host" "$library" /usr/lib/jit-fault.so
  lab push "$host" "$here/fault" /usr/local/sbin/fault
  root fault make
  for unit in jitd.service jit-expire@.service jit-expire.service; do
    root install -d "/etc/systemd/system/$unit.d"
    put "/etc/systemd/system/$unit.d/50-fault.conf" <<<$'[Service]\nEnvironment=LD_PRELOAD=/usr/lib/jit-fault.so'
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
