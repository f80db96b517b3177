#include "jitd/wire/answer.hpp"

#include <bit>

#include "jitd/wire/codec.hpp"

namespace jit::wire {
namespace {

constexpr std::string_view kRunAgain = "A grant of yours ended while this command was waiting. Run it again.";
constexpr std::string_view kNeedsGrant = "Access needs a grant that you do not hold now. Ask with: jitctl request";

// What the grants of a subject come to, right now.
struct Held {
  std::uint64_t opens = 0;        // by grants that count
  std::uint64_t conditional = 0;  // by grants that only jitd can judge
  bool live_sudo = false;
  std::uint64_t sudo_end_ms = 0;  // latest end, of those on the board, of a sudo entitlement; UINT64_MAX: unknown
  char sudo_grant[17] = {};
  // By what the matching gates are open: for each the grant that ends last, and of those the one that ends first.
  char opener[17] = {};
};

bool in_force(const BoardGrant& grant, const Clocks& clocks) noexcept {
  return grant.live && clocks.wall_ms < grant.not_after_ms && clocks.boot_ms < grant.boot_deadline_ms;
}

// When a grant that is not in force ended. UINT64_MAX: it is not known when.
std::uint64_t ended_at(const BoardGrant& grant, const Clocks& clocks) noexcept {
  if (grant.word == kEndedBefore) return 0;
  // Past its time, and nobody has taken it yet: its rule is there still, and a sudo that begins now matches it.
  if (grant.live) return UINT64_MAX;
  const std::uint64_t at = std::uint64_t{grant.word} * 100;
  return grant.word == kEnding || (at > clocks.boot_ms && at - clocks.boot_ms > 100) ? UINT64_MAX : at;
}

bool of_subject(const BoardGrant& grant, const Query& query) noexcept {
  return !query.has_uid || grant.uid == query.uid;
}

bool weigh(const BoardView& board, const BoardSubject& subject, std::uint64_t matching, const Query& query,
           const Clocks& clocks, Conditions conditions, Held& held) noexcept {
  std::uint64_t unnamed = matching;
  return board.grants_of(subject, [&](const BoardGrant& grant) noexcept {
    if (!of_subject(grant, query)) return;
    if (!in_force(grant, clocks)) {
      if (!grant.has_sudo) return;
      const std::uint64_t at = ended_at(grant, clocks);
      if (at > held.sudo_end_ms) held.sudo_end_ms = at;
      return;
    }
    const bool can_begin = query.phase == Phase::session || opens_session(query.service);
    if (grant.conditional && (conditions == Conditions::unknown || !can_begin)) {
      if (can_begin) held.conditional |= grant.opens;
      held.live_sudo = held.live_sudo || grant.has_sudo;  // what runs by it has to be asked about
      return;
    }
    held.opens |= grant.opens;
    if ((grant.opens & unnamed) != 0) copy_text(held.opener, grant.id);
    unnamed &= ~grant.opens;
    if (!grant.has_sudo) return;
    held.live_sudo = true;
    if (held.sudo_grant[0] == '\0') copy_text(held.sudo_grant, grant.id);
  });
}

// Names the first gate of `gates` in the answer. False when it is unreadable.
bool name_gate(const BoardView& board, std::uint64_t gates, Answer& out) noexcept {
  const auto gate = board.gate(static_cast<std::uint32_t>(std::countr_zero(gates)));
  if (!gate) return false;
  copy_text(out.gate, gate->name);
  copy_text(out.message, gate->help[0] != '\0' ? std::string_view(gate->help) : kNeedsGrant);
  return true;
}

Answer verdict(Verdict verdict, bool live_sudo) noexcept {
  Answer out;
  out.verdict = verdict;
  out.live_sudo = live_sudo;
  return out;
}

}  // namespace

Answer answer(const BoardView& board, const Query& query, const Clocks& clocks, Conditions conditions) noexcept {
  if (query.phase == Phase::close) return verdict(Verdict::not_gated, false);
  if ((query.phase != Phase::account && query.phase != Phase::session) || query.service.empty() ||
      query.subject.empty())
    return {};
  const bool sudo = is_sudo(query.service);
  if (sudo && !query.has_uid) return {};

  const auto gates = board.gates_of(query.service);
  const auto subject = board.subject(query.subject);
  if (!gates || !subject) return {};
  const std::uint64_t matching = *gates & (board.everybodys() | subject->covered) & ~subject->excepted;
  Held held;
  if (!weigh(board, *subject, matching, query, clocks, conditions, held)) return {};

  if (sudo) {
    const auto last_end = board.last_sudo_end(query.uid);
    if (!last_end) return {};
    const std::uint64_t end = *last_end > held.sudo_end_ms ? *last_end : held.sudo_end_ms;
    if (end > 0 && query.started_ms <= end) {
      Answer out = verdict(Verdict::deny, held.live_sudo);
      copy_text(out.message, kRunAgain);
      return out;
    }
  }

  const std::uint64_t shut = matching & ~held.opens;
  const std::uint64_t enforced = query.line_enforces ? shut & board.enforced() : 0;
  // A gate that no grant could open is shut whatever jitd says of conditions.
  if (const std::uint64_t surely = enforced & ~held.conditional; surely != 0) {
    Answer out = verdict(Verdict::deny, held.live_sudo);
    return name_gate(board, surely, out) ? out : Answer{};
  }
  if (enforced != 0) return verdict(Verdict::unknown, held.live_sudo);
  if (shut != 0) {
    Answer out = verdict(Verdict::observe, held.live_sudo);
    return name_gate(board, shut, out) ? out : Answer{};
  }
  if (matching != 0) {
    Answer out = verdict(Verdict::allow, held.live_sudo);
    if (!name_gate(board, matching, out)) return {};
    copy_text(out.grant, held.opener);
    out.message[0] = '\0';
    return out;
  }
  if (!sudo || !held.live_sudo) return verdict(Verdict::not_gated, held.live_sudo);
  Answer out = verdict(Verdict::allow, true);
  copy_text(out.grant, held.sudo_grant);
  return out;
}

}  // namespace jit::wire
