// The host behind a mailbox session: goes by its trust files as they stand, and lets into the inbox of jitd what
// somebody signed whom they know.
#pragma once

#include <functional>
#include <string>

#include "jitd/sync/mailbox_keys.hpp"
#include "jitd/sync/mailbox_quota.hpp"
#include "jitd/sync/mailbox_session.hpp"
#include "jitd/sys/clock.hpp"

namespace jit {

struct MailboxPlaces {
  TrustPlaces trust = {};
  std::string outbox = "/var/lib/jit/outbox";
  std::string inbox = "/var/lib/jit/inbox";
  std::string run = "/run/jit-mailbox";
};

class TrustingHost final : public MailboxHost {
 public:
  using Log = std::function<void(const std::string& line)>;  // one line, shown() already

  TrustingHost(MailboxPlaces places, Visitor visitor, KeyQuota& quota, const Clock& clock, Log log);

  // Looks at the trust files once a second. Errc::refused: the key is out of them, or its time is over;
  // Errc::unavailable: it stands for somebody else than at the start.
  [[nodiscard]] Result<void> welcome() override;

  // Errc::busy: too many, or jitd takes none out. Otherwise the errors of parse_envelope and verify_document: what no
  // known key signed for its kind, and what only hosts sign, never gets into the inbox by this way.
  [[nodiscard]] Result<void> take(std::string_view bytes) override;

 private:
  [[nodiscard]] Result<std::string> judge_and_deliver(std::string_view bytes);

  MailboxPlaces places_;
  Visitor visitor_;
  KeyQuota& quota_;
  const Clock& clock_;
  Log log_;
  std::uint64_t looked_ms_;
};

}  // namespace jit
