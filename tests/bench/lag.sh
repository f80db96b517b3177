#!/bin/bash
# How long a right outlives its end, over many ends: p50 and p99 for sudo, the group, a login, and a command that is deaf to
# SIGTERM; on a host with nothing to do, and on one where four processes take all the time there is. Prints tables; asserts
# nothing.
#
#   tests/bench/lag.sh [ENDS] [HOSTS] [idle|busy]       default 500 ends of each kind, on 4 hosts side by side; both
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/../host/lib.sh"
# shellcheck source=tests/host/faults.sh
source "$here/faults.sh"
# shellcheck source=tests/host/ways.sh
source "$here/ways.sh"
ends=${1:-500} many=${2:-4} loads=${3:-idle busy}
results=$(mktemp -d)

spread() {   # of a column of the results: who was still there after 5 s is counted, never left out
  awk -v c="$1" 'NF == 4 { print $c }' "$results"/lag.* | sed 's/still/99999/' | sort -n |
    awk '{ v[NR] = $1; if ($1 == 99999) still++ } END { if (NR == 0) { print "nothing measured"; exit } p = int((NR * 99 + 99) / 100)
      printf "p50 %d ms   p99 %d ms   most %d ms   (%d, %d still there)", v[int((NR + 1) / 2)], v[p], v[NR], NR, still }'
}
work() {   # HOST
  local n way=lag
  host=$1
  for ((n = 0; n < ends / many; n++)); do
    begin "$seconds" deaf
    if [[ ${login:-0} == 0 || ${command:-0} == 0 ]]; then echo unready; else measure; fi
    root sh -c 'pkill -KILL -fx "sleep 900[0-9]"; true'
    wait
  done
}

for ((n = 0; n < many; n++)); do up "lag$n"; ready_for_ways; done
for load in $loads; do
  seconds=5
  [[ $load == idle ]] || seconds=10   # the stage takes longer to set
  rm -f "$results"/lag.*
  [[ $load == idle ]] || lab run "${hosts[0]}" sh -c 'cp /bin/dd /tmp/busy; for i in 1 2 3 4; do /tmp/busy if=/dev/zero of=/dev/null 2>/dev/null & done'
  workers=()
  for ((n = 0; n < many; n++)); do work "${hosts[n]}" >"$results/lag.$n" 2>/dev/null & workers+=($!); done
  wait "${workers[@]}"
  grep -hv ' .* .* ' "$results"/lag.* | sort | uniq -c | sed 's/^/not measured:/'
  for column in "1 sudo" "2 the group" "3 a login" "4 a command deaf to SIGTERM"; do
    printf '%-60s %s\n' "end of a grant, host $load: not_after to ${column#* }" "$(spread "${column%% *}")"
  done
done
rm -rf "$results"
