#include "jitd/server/check_log.hpp"

#include <sys/eventfd.h>

#include <algorithm>

namespace jit {

CheckLog::CheckLog() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  reports_.reserve(kMaxReports);
}

void CheckLog::add(const Engine::CheckReport& report) noexcept try {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  ++total_;
  if (!lock) {  // the loop takes the batch this very moment
    ++dropped_;
    return;
  }
  const auto same = std::ranges::find_if(reports_, [&](const Engine::CheckReport& other) {
    return other.subject == report.subject && other.service == report.service && other.verdict == report.verdict &&
           other.gate == report.gate && other.grant == report.grant;
  });
  if (same != reports_.end()) {
    ++same->count;
    return;
  }
  if (reports_.size() >= kMaxReports) {
    ++dropped_;
    return;
  }
  reports_.push_back(report);
  reports_.back().count = 1;
  if (reports_.size() == 1) (void)eventfd_write(ready_.get(), 1);
} catch (...) {  // out of memory: answering goes on
}

void CheckLog::add(const SessionSeen& session) noexcept try {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  if (sessions_.size() >= kMaxSessions) sessions_.pop_front();
  sessions_.push_back(session);
} catch (...) {
}

void CheckLog::close(std::int64_t pid) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  const auto gone = std::ranges::find_if(sessions_, [&](const SessionSeen& s) { return s.pid == pid; });
  if (gone != sessions_.end()) sessions_.erase(gone);
}

std::vector<Engine::CheckReport> CheckLog::take() {
  std::vector<Engine::CheckReport> fresh, batch;
  fresh.reserve(kMaxReports);
  const std::lock_guard lock(mutex_);
  batch.swap(reports_);
  reports_.swap(fresh);
  return batch;
}

std::vector<SessionSeen> CheckLog::sessions() const {
  const std::lock_guard lock(mutex_);
  return {sessions_.begin(), sessions_.end()};
}

void CheckLog::clear_ready() noexcept {
  eventfd_t value = 0;
  (void)eventfd_read(ready_.get(), &value);
}

}  // namespace jit
