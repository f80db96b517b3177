#!/bin/bash
# What a host knows of revocations has a known age, and policy and trust come signed by its owners (P1, P2, P7).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"
up view

# --- the view of revocations --------------------------------------------------------------------------------------------

view_policy() {
  policy | sed 's/^leads = .*/&\nrevokers = ["carol"]/'
  cat <<'END'

[roles.fresh]
description = "Wants a young view of revocations"
eligible = ["alice"]
groups = ["db"]
opens = ["login", "sudo"]
dangerous = true
max_view_age = "30s"
end_past_view_age = true
[[roles.fresh.sudo]]
as = "root"
commands = ["/usr/bin/id"]
password = false
[[roles.fresh.rules]]
then = "approve"
END
}
has_role() { at alice "jitctl --json roles" | grep -q "\"role\":\"$1\""; }
list() { at carol "jitctl revoke --list --next-update 15s -m 'news' $*"; }   # [options]
goes_by() { at alice "jitctl status" | grep -q "goes by list $1 of revocations"; }
ends() { root sh -c "tr -s ' ' </var/lib/jit/ends | grep -a '^1 $id ' | cut -d' ' -f4"; }

set_policy "$(view_policy)"
soon "the host has the role" 5 has_role fresh
gives "and says what it wants" 'younger than 30s, else refused; what is in force ends then' at alice "jitctl roles"
status "no list, no grant" 5 at alice "jitctl request fresh 10m --no-wait -m why"
gives "and the user reads why" 'no list of revocations' at alice "jitctl request fresh 10m --no-wait -m why"
status "roles that say nothing are given as ever" 0 at alice "jitctl request quick 10m --no-wait -m why"
at alice "jitctl release --all" >/dev/null
refused "only a revoker signs a list" at dave "jitctl revoke --list --number 1 -m no"
gives "who else tries is told to leave the number out" 'sign it without a number' at dave "jitctl revoke --list --number 1 -m no"

ok "the first list" list
ok "it is the view" goes_by 1
grant alice fresh 10m
ok "sudo works" at_sudo alice
ok "she is a member" member alice db
first=$(ends)
sleep 5   # by which the next view is younger, on a busy machine too
gives "and reads when it ends unless news come" 'unless a newer list' at alice "jitctl --json show $id"
ok "a list above the next comes" list --number 3
ok "the view stays, since one is missing" goes_by 1
gives "and doctor names it" 'list 2 of revocations is missing' root jitctl doctor
ok "so does the end" test "$(ends)" = "$first"
ok "the missing one comes" list --number 2
ok "the view is the newest" goes_by 3
ok "and the end has moved on" test "$(ends)" -gt "$first"
refused "an older number is refused" list --number 2
gives "with that reason" 'older than one seen' list --number 2
refused "so is a number that another list has" list --number 3
sleep $((first - $(date +%s) + 1))
ok "past its first end the grant is there" is_state "$id" active
soon "it ends when no more lists come" 40 is_state "$id" ended
gives "for that reason" 'view of revocations is older than 30s' at alice "jitctl show $id"
ok "nothing is left" nothing_left
refused "sudo is refused" at_sudo alice
status "and nothing new is given" 5 at alice "jitctl request fresh 10m --no-wait -m why"
gives "doctor says that a list is overdue" 'was due at' root jitctl doctor

ok "one more list, with somebody in it" list --user bob
grant alice fresh 10m
ok "jitd starts again" restart_jitd
soon "the grant is back" 10 is_state "$id" active
ok "with the view that it had" goes_by 4
ok "the next list moves its end on all the same" list
root systemctl mask --runtime jitd.service
root systemctl kill -s KILL jitd.service
ok "with jitd dead the group is there until then" member alice db
soon "and gone when the view is too old" 40 nothing_left
refused "so is sudo" at_sudo alice
root systemctl unmask --runtime jitd.service
root systemctl start jitd.service
soon "the next start knows" 10 is_state "$id" ended
gives "why" 'view of revocations is older than 30s' at alice "jitctl --json show $id"
ok "and what the view is" goes_by 5

# --- delivered policy and trust -----------------------------------------------------------------------------------------

# olga signs with bob's account, otto with that of rescue: neither approves anything.
for who in bob rescue; do at "$who" "ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519"; done
key_of() { root cut -d' ' -f1,2 "/home/$1/.ssh/id_ed25519.pub"; }
root cp /etc/jit/jitd.toml /root/jitd.toml
owners() {
  root cp /root/jitd.toml /etc/jit/jitd.toml.new
  root sh -c "printf '%s\n' '[owners]' 'count = 2' 'keys = [\"olga $(key_of bob)\", \"otto $(key_of rescue)\"]' >>/etc/jit/jitd.toml.new"
  root mv /etc/jit/jitd.toml.new /etc/jit/jitd.toml
}
role() { printf '[roles.%s]\neligible = ["alice"]\ngroups = ["%s"]\n[[roles.%s.rules]]\nthen = "approve"\n' "$1" "${2:-db}" "$1"; }
# sign_policy NUMBER FILE...: olga signs the drafts of these roles, into /tmp/signed/NUMBER.jit
sign_policy() {
  local number=$1; shift
  at bob "rm -rf drafts signed; mkdir drafts"
  local name; for name in "$@"; do role "$name" | { lab run "$host" tee "/home/bob/drafts/50-$name.toml" >/dev/null; }; done
  at bob "jitctl policy sign drafts --number $number -m 'more roles' -o signed && cp signed/policy-$number-1.jit /tmp/policy.jit && chmod 666 /tmp/policy.jit"
}
# Another owner adds a signature to what lies in /tmp.
both_sign() { at rescue "jitctl sign /tmp/$1.jit -o /tmp/$1-both.jit --yes && mv /tmp/$1-both.jit /tmp/$1.both"; }
import() { at bob "jitctl import /tmp/$1"; }   # who holds nothing that could end with it

ok "olga signs a policy" sign_policy 1 far
refused "nobody owns this host yet" import policy.jit
owners
sleep 1
gives "one owner of two is not enough" 'waits for 1 more owner' import policy.jit
refused "the role is not there" has_role far
ok "otto signs it too" both_sign policy
gives "and it is taken over" 'policy 1 is taken over' import policy.both
soon "the role is there" 5 has_role far
grant alice far 10m
ok "and gives what it says" member alice db
gives "policy check names it" 'delivered: policy 1, signed by olga and otto: 50-far.toml' root jitctl policy check
ok "a restart changes nothing" restart_jitd
soon "nor does it for the grant" 10 is_state "$id" active
sign_policy 2 near && both_sign policy
ok "the next one" import policy.both
soon "replaces it whole" 5 has_role near
soon "what it had given before has ended" 5 is_state "$id" ended
sign_policy 1 far && both_sign policy
refused "a lower number is refused" import policy.both
gives "with that reason" 'not above the last' import policy.both
sign_policy 3 operator && both_sign policy
refused "one that does not load with the local policy is refused" import policy.both
gives "and the audit says why" 'roles.operator: is defined already' root jitctl audit log
ok "the one before stays" has_role near
sign_policy 3 near far && both_sign policy
ok "the number is free for a better one" import policy.both
soon "which is taken over" 5 has_role far
root rm /root/before 2>/dev/null
root sh -c 'systemctl stop jitd; mv /var/lib/jit/jit.db /root/before'
root systemctl start jitd.service
soon "with the database lost it is there all the same" 10 has_role far
sign_policy 2 near && both_sign policy
refused "and nothing lower comes back" import policy.both

root sed -i '/^dave@/d' /etc/jit/trust/approvers
sleep 1
at bob "rm -rf trust && mkdir trust && echo 'dave@example.org $(key_of dave)' >trust/approvers && rm -rf signed &&
  jitctl trust sign trust/approvers --number 1 -m 'dave is back' -o signed && cp signed/trust-1-1.jit /tmp/trust.jit && chmod 666 /tmp/trust.jit"
request alice operator 10m
refused "dave is not trusted" approve dave "$id"
ok "otto signs that he is" both_sign trust
ok "it is taken over" import trust.both
sleep 1
ok "now he approves" approve dave "$id"
soon "and alice has the role" 5 is_state "$id" active
gives "doctor knows who delivered that" 'delivered here is trust 1, signed by olga and otto' root jitctl doctor --all

root cp /root/jitd.toml /etc/jit/jitd.toml
soon "without owners nothing that was delivered counts" 5 not has_role far
soon "and what stood on it has ended" 5 is_state "$id" ended
owners
soon "with them it does again" 5 has_role far
root rm /var/lib/jit/delivered/policy
root systemctl reload jitd.service
soon "until root removes it" 5 not has_role far
