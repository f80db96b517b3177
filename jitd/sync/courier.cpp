// The way in. The way out is courier_post.cpp.
#include "jitd/sync/courier.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "jitd/sync/unguessable.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kPlaces = 16384;
constexpr milliseconds kInboxFull{1000};
// One item may lie on a bad spot of a disk; so many in a row are a source that is gone.
constexpr unsigned kFailuresInARow = 3;

}  // namespace

Courier::Stamps::Stamps() : secret_(unguessable_name()), places_(kPlaces) {}

std::uint64_t Courier::Stamps::key(const Box& box, const Item& item) const {
  std::string text = secret_ + box.path();
  for (const std::string* part : {&item.name, &item.stamp}) (text += '\0') += *part;
  const Digest digest = sha256(text);
  std::uint64_t key = 0;
  std::memcpy(&key, digest.bytes.data(), sizeof key);
  return std::max<std::uint64_t>(key, 1);  // 0 is none
}

bool Courier::Stamps::contains(std::uint64_t key) const {
  const Place& place = places_[key % places_.size()];
  return std::ranges::find(place, key) != place.end();
}

void Courier::Stamps::add(std::uint64_t key) {
  Place& place = places_[key % places_.size()];
  if (contains(key)) return;
  std::ranges::copy_backward(place.begin(), place.end() - 1, place.end());
  place.front() = key;
}

Courier::Courier(Config config, Mailbox& mailbox, Seen& seen, const Clock& clock)
    : config_(std::move(config)),
      mailbox_(mailbox),
      seen_(seen),
      clock_(clock),
      from_(Box::from_host(config_.host.host).value()),
      allowance_(static_cast<double>(config_.limits.per_minute)),
      allowed_at_(clock.now().boot_ms) {
  boxes_.push_back(Box::to_host(config_.host.host).value());
  for (const std::string& segment : config_.host.segments) boxes_.push_back(Box::to_segment(segment).value());
}

Courier::Pass Courier::pass() {
  Pass pass;
  count_undelivered();
  for (const Box& box : boxes_) {
    auto done = pull(box, pass);
    if (done) continue;
    if (!pass.error) pass.error = done.error();
    // It is not there, or we are in trouble: the other boxes are as far away.
    if (done.error().code != Errc::invalid && done.error().code != Errc::refused) break;
  }
  if (pass.error && pass.error->code == Errc::unavailable) forget_posted();  // it may be another when it is back
  push(pass);
  return pass;
}

void Courier::count_undelivered() {
  if (undelivered_.empty()) return;
  const UniqueFd inbox(::open(config_.inbox.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  std::erase_if(undelivered_, [&](const std::string& name) {
    struct stat status {};
    return ::fstatat(inbox.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
  });
}

bool Courier::may_deliver(Pass& pass) {
  const std::uint64_t now = clock_.now().boot_ms;
  const auto most = static_cast<double>(config_.limits.per_minute);
  allowance_ = std::min(most, allowance_ + most * static_cast<double>(now - allowed_at_) / 60'000);
  allowed_at_ = now;
  if (undelivered_.size() < config_.limits.undelivered && allowance_ >= 1) return true;
  pass.again = kInboxFull;
  return false;
}

// Items that were not looked at yet, as many as one pass takes.
Result<std::vector<Courier::Found>> Courier::unknown(const Box& box, Pass& pass) {
  std::vector<Found> found;
  std::size_t& resume = resume_[box.path()];
  std::size_t position = resume;
  bool all = true;
  auto listed = mailbox_.list_after(resume, box, [&](const Item& item) {
    ++position;
    if (!document_name(item.name)) return true;
    const std::uint64_t key = stamps_.key(box, item);
    if (stamps_.contains(key)) return true;
    if (found.size() >= config_.limits.fetched) {
      all = false;
      return false;
    }
    found.push_back({item, key, position - 1});
    return true;
  });
  if (!listed) return tl::unexpected(listed.error());
  // What was passed over at the beginning has its turn next.
  if (!all || resume > 0) pass.again = pass.again.value_or(milliseconds(0));
  resume = all ? 0 : position - 1;
  return found;
}

Result<void> Courier::pull(const Box& box, Pass& pass) {
  auto found = unknown(box, pass);
  if (!found) return tl::unexpected(found.error());
  std::optional<Error> error;
  unsigned failures = 0;
  for (const Found& one : *found) {
    if (!may_deliver(pass)) {
      resume_[box.path()] = one.position;
      break;
    }
    auto taken = take(box, one, pass);
    failures = taken ? 0 : failures + 1;
    if (!taken) error = taken.error();
    if (failures >= kFailuresInARow) break;
  }
  if (error) return tl::unexpected<Error>(*error);
  return {};
}

Result<void> Courier::take(const Box& box, const Found& found, Pass& pass) {
  // What will be the same as long as its stamp is.
  const auto no_document = [&]() -> Result<void> {
    stamps_.add(found.key);
    ++pass.refused;
    return {};
  };
  if (found.item.size > kMaxDocument) return no_document();
  auto bytes = mailbox_.get(box, found.item);
  if (!bytes) {
    const Errc code = bytes.error().code;
    if (code == Errc::not_found) return {};
    if (code == Errc::invalid || code == Errc::refused) return no_document();
    return tl::unexpected(bytes.error());
  }
  if (!parse_envelope(*bytes)) return no_document();
  const Digest digest = sha256(*bytes);
  if (!seen_.contains(digest)) {
    if (auto done = deliver(*bytes); !done) return done;
    ++pass.taken;
    allowance_ -= 1;
    if (auto kept = seen_.add(digest); !kept) pass.trouble = kept.error().message;
  }
  stamps_.add(found.key);
  return {};
}

Result<void> Courier::deliver(std::string_view bytes) {
  const UniqueFd inbox(::open(config_.inbox.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inbox) return fail_errno(errno, config_.inbox);
  const std::string name = unguessable_name();
  UniqueFd file(::openat(inbox.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, config_.inbox);
  auto written = write_at(system_files(), file.get(), bytes, 0, config_.inbox);
  if (written && ::fsync(file.get()) != 0) written = fail_errno(errno, config_.inbox);
  if (!written) {
    // Before it is closed, which is when jitd looks.
    (void)::unlinkat(inbox.get(), name.c_str(), 0);
    return written;
  }
  file.reset();
  undelivered_.insert(name);
  return {};
}

}  // namespace jit
