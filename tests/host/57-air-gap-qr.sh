#!/bin/bash
# By QR codes alone: asked on one host, approved on another that has only jitctl and no daemon, and typed in again. Nothing is
# carried but what a scanner reads off a screen (tests/scan) and types.
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
command -v zbarimg >/dev/null || stop_here "zbarimg to read codes with (package zbar-tools)"
up gapped
site=$host
host_key=$(root cat /var/lib/jit/host_key.pub | cut -d' ' -f1,2)
boot desk
desk=$host
install_packages "$JIT_DIST"/jitctl_*.deb
refused "the approver's desk has no daemon" root test -e /usr/sbin/jitd
root install -d -m 755 /etc/jit/trust
put /etc/jit/trust/hosts <<<"$site namespaces=\"jit-request,jit-event\" $host_key"

work=$(mktemp -d /tmp/jit-codes-XXXXXX)
trap 'code=$?; rm -rf "$work"; (exit "$code"); finish' EXIT
scan() { tr -d '\r' <"$work/$1" | "$top/tests/scan" >"$work/$2"; }   # SCREEN LINES
types() { put "$2" <"$work/$1"; root chmod 644 "$2"; }               # LINES FILE

# on_screen WHO FILE COMMAND: on a terminal of its own types FILE into COMMAND, and then the digits that a question shows.
on_screen() {
  lab run "$host" runuser -l "$1" -c "$(declare -f at_terminal); at_terminal $(printf %q "$2") $(printf %q "$3")"
}
at_terminal() {
  local seen='' key digits='For yes type ([0-9]{4}): $' status=0
  coproc terminal { exec script -qefc "stty cols ${COLUMNS:-200} rows ${LINES:-60}; $2" /dev/null; }
  # shellcheck disable=SC2154  # coproc sets it
  local pid=$terminal_PID in=${terminal[1]} out
  exec {out}<&"${terminal[0]}"
  cat "$1" >&"$in"
  while IFS= read -r -N1 -t 30 -u "$out" key; do
    printf %s "$key"
    seen+=$key
    [[ $key == ' ' && $seen =~ $digits ]] || continue
    printf '%s\n' "${BASH_REMATCH[1]}" >&"$in"
    seen=
  done
  wait "$pid" || status=$?
  return "$status"
}

host=$site
status "asked, and printed as codes" 3 at alice "jitctl request operator 30s -m restore --qr >screen 2>note"
id=$(at alice "jitctl --json status" | json_field id)
gives "and says how it goes on" "approve - --qr" at alice "cat note"
at alice "cat screen" >"$work/screen"
ok "the codes read" scan screen request
gives "several, for a small screen" '^JITP1 [A-Z2-7]{8} 2 [0-9]+ ' cat "$work/request"
at alice "LINES=60 COLUMNS=200 jitctl show $id --qr" >"$work/screen"
ok "those for a large screen read" scan screen large
ok "and are fewer" test "$(wc -l <"$work/large")" -lt "$(wc -l <"$work/request")"

host=$desk
types request /tmp/typed
ok "typed at the desk it is that request" at carol "jitctl verify - </tmp/typed"
gives "a keyboard of another country is told" 'Y and Z are exchanged' at carol "tr yzYZ zyZY </tmp/typed | jitctl verify -"
gives "and a code that was left out" 'piece 2 of [0-9]+ is missing' at carol "sed 2d /tmp/typed | jitctl verify -"
at carol "{ cat /tmp/typed; echo y; } >forged"
refused "a code that goes on with a yes approves nothing" on_screen carol forged "jitctl approve - -o forged.jit"
refused "and writes nothing" at carol "test -e forged.jit"
ok "approved at a terminal" on_screen carol /tmp/typed "jitctl approve - --qr"
printf '%s\n' "$last_output" >"$work/screen"
gives "which says how many are here" 'scan: 2 of' cat "$work/screen"
gives "and what it is about" 'group ops' cat "$work/screen"
ok "and prints its answer as codes" scan screen answer

host=$site
types answer /tmp/answer
ok "anybody may type it in" on_screen bob /tmp/answer "jitctl import -"
soon "the grant is active" 5 is_state "$id" active
ok "and works" at_sudo alice
ok "given back" at alice "jitctl release $id"
ok "nothing is left" nothing_left
