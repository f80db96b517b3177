#include "jitd/sync/mailbox_host.hpp"

#include <utility>

#include "policy/document/verify.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kLookAgain = 1000;  // ms
constexpr std::size_t kMaxLine = 1024;

}  // namespace

TrustingHost::TrustingHost(MailboxPlaces places, Visitor visitor, KeyQuota& quota, const Clock& clock, Log log)
    : places_(std::move(places)),
      visitor_(std::move(visitor)),
      quota_(quota),
      clock_(clock),
      log_(std::move(log)),
      looked_ms_(clock.now().boot_ms) {}

Result<void> TrustingHost::welcome() {
  const Instant now = clock_.now();
  if (now.boot_ms < looked_ms_ + kLookAgain) return {};
  looked_ms_ = now.boot_ms;
  const auto visitor = visitor_of(read_trust_set(places_.trust, &visitor_.key), visitor_.key, now.wall());
  if (!visitor) return fail(Errc::refused, std::string(kUnknownKey));
  if (visitor->approver == visitor_.approver && visitor->users == visitor_.users) return {};
  return fail(Errc::unavailable, "what your key may see has changed: connect again");
}

Result<void> TrustingHost::take(std::string_view bytes) {
  const auto taken = judge_and_deliver(bytes);
  log_(taken ? *taken + " from " + visitor_.name()
             : "does not take a document of " + visitor_.name() + ": " + shown(taken.error().message, kMaxLine));
  if (!taken) return tl::unexpected(taken.error());
  return {};
}

// What it was, for the journal.
Result<std::string> TrustingHost::judge_and_deliver(std::string_view bytes) {
  // Before anything is looked at: what is refused costs, too.
  if (auto budget = quota_.take_put(clock_.now().boot_ms); !budget) return tl::unexpected(budget.error());
  auto envelope = parse_envelope(bytes);
  if (!envelope) return tl::unexpected(envelope.error());
  const auto verified = verify_document(std::move(*envelope), read_trust_set(places_.trust), "it");
  if (!verified) return tl::unexpected(verified.error());
  if (auto delivered = quota_.deliver(places_.inbox, bytes); !delivered) return tl::unexpected(delivered.error());
  return "took " + std::string(kind_name(verified->kind)) + " " + id_of(verified->digest) + ", signed by " +
         shown(verified->signers.front().principal, 256);
}

}  // namespace jit
