// The way out: the outbox is mirrored into the host's own box, level-triggered.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "jitd/sync/courier.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxOutbox = 20000;  // files; jitd keeps 4096 events and what waits

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Result<Courier::Outbox> Courier::read_outbox(int folder) {
  auto names = list_dir(folder, kMaxOutbox);
  if (!names) return tl::unexpected(names.error());
  // Without it jitd has not said yet what it has to say: nothing is taken away for that.
  if (!std::ranges::binary_search(*names, kOutboxHost)) return fail(Errc::not_found, "the outbox is not ready");
  Outbox outbox;
  for (const std::string& name : *names) {
    if (outbox_kind(name) == OutboxKind::none) continue;
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) continue;
    Outgoing file;
    file.now = {status.st_ino, nanoseconds(status.st_ctim), status.st_size};
    file.written = WallTime(Seconds(status.st_mtim.tv_sec));
    outbox.emplace(name, file);
  }
  return outbox;
}

void Courier::forget_posted() {
  posted_.clear();
  gone_.clear();
  compared_ = false;
  compare_at_ = 0;
}

void Courier::push(Pass& pass) {
  const UniqueFd folder(::open(config_.outbox.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return;
  auto outbox = read_outbox(folder.get());
  if (!outbox) return;
  pass.pending = !outbox->empty() && outbox_kind(outbox->begin()->first) == OutboxKind::request;
  if (!config_.post) return;

  const std::uint64_t now = clock_.now().boot_ms;
  const bool reachable = !pass.error || pass.error->code == Errc::invalid || pass.error->code == Errc::refused;
  if (now >= post_at_ && reachable) {
    auto done = mirror(folder.get(), std::move(*outbox), pass);
    if (done) {
      post_error_.reset();
      post_backoff_.reset();
    } else {
      post_error_ = done.error();
      compare_at_ = 0;
      post_at_ = now + static_cast<std::uint64_t>(post_backoff_.next().count());
    }
  }
  pass.post_error = post_error_;
  if (post_error_ && !pass.again && post_at_ > now) pass.again = milliseconds(post_at_ - now);
}

Result<void> Courier::mirror(int folder, Outbox outbox, Pass& pass) {
  const std::uint64_t now = clock_.now().boot_ms;
  if (now >= compare_at_) {
    if (auto done = compare(folder, outbox); !done) return done;
    compare_at_ = now + static_cast<std::uint64_t>(config_.compare_each.count());
  }
  for (const auto& [name, file] : outbox) {
    gone_.erase(name);
    const auto posted = posted_.find(name);
    if (posted != posted_.end() && posted->second == file.now) continue;
    if (pass.posted >= config_.limits.posted) {
      pass.again = milliseconds(0);
      break;
    }
    if (auto done = post(folder, name, file, pass); !done) return done;
  }
  for (const auto& [name, posted] : posted_)
    if (!outbox.contains(name)) gone_.insert(name);
  while (!gone_.empty() && pass.removed < config_.limits.removed) {
    if (auto done = mailbox_.remove(from_, *gone_.begin()); !done) return done;
    posted_.erase(*gone_.begin());
    gone_.erase(gone_.begin());
    ++pass.removed;
  }
  if (!gone_.empty()) pass.again = milliseconds(0);
  return {};
}

// What the source has of us, by name: what is not there is to be posted again, what is there and not here removed.
Result<void> Courier::compare(int folder, Outbox& outbox) {
  std::set<std::string> gone;
  auto listed = mailbox_.list(from_, [&](const Item& item) {
    if (outbox_kind(item.name) == OutboxKind::none) return true;  // not ours
    const auto here = outbox.find(item.name);
    if (here != outbox.end())
      here->second.there = item;
    else if (gone.size() < config_.limits.removed)
      gone.insert(item.name);
    return true;
  });
  if (!listed) return listed;
  gone_ = std::move(gone);
  std::erase_if(posted_, [&](const auto& one) {
    const auto here = outbox.find(one.first);
    return here == outbox.end() || !here->second.there;
  });
  if (!compared_) {
    if (auto done = adopt(folder, outbox); !done) return done;
    compared_ = true;
  }
  return {};
}

// What was posted to it before it went, or by an earlier run. A request's name is the digest of its payload, and an
// event stays what it is as long as jitd counts on, which the newest that both have tells; the database may have been
// lost meanwhile.
Result<void> Courier::adopt(int folder, const Outbox& outbox) {
  bool same_events = false;
  for (auto one = outbox.rbegin(); one != outbox.rend(); ++one) {
    if (outbox_kind(one->first) != OutboxKind::event || !one->second.there) continue;
    const auto here = read_file_at(folder, one->first, kMaxDocument);
    auto there = mailbox_.get(from_, *one->second.there);
    if (!there && there.error().code == Errc::unavailable) return tl::unexpected(there.error());
    same_events = here && there && *here == *there;
    break;
  }
  for (const auto& [name, file] : outbox) {
    const OutboxKind kind = outbox_kind(name);
    if (file.there && (kind == OutboxKind::request || (kind == OutboxKind::event && same_events)))
      posted_.emplace(name, file.now);
  }
  return {};
}

Result<void> Courier::post(int folder, const std::string& name, const Outgoing& file, Pass& pass) {
  const WallTime until = file.written + kAbsoluteCeiling;
  if (until <= clock_.now().wall()) return {};
  const auto bytes = read_file_at(folder, name, kMaxDocument);
  if (!bytes) return {};  // gone or replaced meanwhile: the next pass sees
  if (auto done = mailbox_.put(from_, name, *bytes, until); !done) return done;
  posted_[name] = file.now;
  ++pass.posted;
  return {};
}

}  // namespace jit
