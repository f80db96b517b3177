// One source in a process of its own: passes, and what comes between them.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "jitd/sync/backoff.hpp"
#include "jitd/sync/courier.hpp"
#include "jitd/sync/daemon/places.hpp"
#include "jitd/sync/status.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

class Worker {
 public:
  // Errors: the state folder cannot be opened.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> make(const SourceSpec& spec, const OutboxHost& host,
                                                            const SyncPlaces& places,
                                                            std::unique_ptr<Mailbox> mailbox, SyncLog log,
                                                            const Clock& clock);

  // One pass, then a wait until there may be something to do: at most so long, for tests.
  void turn(std::chrono::milliseconds at_most = std::chrono::minutes(5));
  [[nodiscard]] const SourceStatus& status() const { return status_; }

 private:
  Worker(SourceSpec spec, std::unique_ptr<Mailbox> mailbox, Seen seen, SyncLog log, const Clock& clock)
      : spec_(std::move(spec)),
        mailbox_(std::move(mailbox)),
        seen_(std::move(seen)),
        log_(std::move(log)),
        clock_(clock) {}
  void watch_outbox();
  void tell(const Courier::Pass& pass);
  void tell_error(const std::optional<Error>& error);
  void keep_status();
  void sleep(std::chrono::milliseconds time) const;

  SourceSpec spec_;
  std::unique_ptr<Mailbox> mailbox_;
  Seen seen_;
  SyncLog log_;
  const Clock& clock_;
  SyncPlaces places_;
  UniqueFd state_;
  std::optional<Courier> courier_;
  UniqueFd outbox_;  // inotify
  Backoff backoff_;
  SourceStatus status_, kept_;
  std::uint64_t kept_at_ = 0;  // boot-time clock, ms
  std::optional<bool> good_, posts_;
  bool troubled_ = false;
};

// What `jitd-sync --source NAME` does: reads the configuration, and turns until it is killed. The exit status.
int run_worker(const std::string& name, const SyncPlaces& places);

}  // namespace jit
