#!/bin/bash
# kill -9 of jitd at random moments over the journey: after each restart the host is in the old state or the new one, and
# right (P4). JIT_KILLS: how often (20).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up "${JIT_KILL_HOST:-kill}"
kills=${JIT_KILLS:-20}
seed=${JIT_SEED:-$RANDOM}
RANDOM=$seed
say "seed $seed"

# What the daemon says and what the host has are the same.
right() {
  local state
  state=$(grant_state "$id")
  case $state in
    active) member alice ops && [[ $(dropins) -eq 1 ]] && at_sudo alice ;;
    pending | ended | refused) nothing_left && ! at_sudo alice ;;
    *) last_output="state \"$state\""; return 1 ;;
  esac
}

for ((round = 1; round <= kills; round++)); do
  delay=$(printf '0.%03d' $((RANDOM % 900)))
  case $((RANDOM % 3)) in
    0) moment="while asking" ;;
    1) moment="while approving" ;;
    2) moment="around the end" ;;
  esac
  killer() { sleep "$delay"; root systemctl kill -s KILL jitd.service; }
  [[ $moment != "while asking" ]] || killer &
  until quietly request alice operator 4s; do sleep 0.1; done
  [[ $moment != "while approving" ]] || killer &
  for _ in $(seq 40); do
    quietly approve carol "$id"
    is_state "$id" pending || break
    sleep 0.1
  done
  if [[ $moment == "around the end" ]]; then sleep 3.3; killer & fi
  wait
  # A moment for the restart and the reconcile; then it must be right, and in the end over.
  soon "round $round, $moment +$delay s: the host is right" 10 right
  soon "round $round: and the grant is over in time" 9 nothing_left
  within_time 10 not is_state "$id" active || true
  quietly at alice "jitctl release --all"
done
ok "the audit chain holds" root jitctl audit verify
ok "the group files are sound" root grpck -r
