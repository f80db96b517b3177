#include "jitd/sync/mailbox_quota.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "jitd/sys/files.hpp"
#include "policy/digest.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kMinute = 60'000;  // ms
constexpr std::size_t kNameDigits = 32;
constexpr std::size_t kSecret = 32;
constexpr std::size_t kMaxState = 64;

std::string hex_name(const std::string& of) {
  return to_hex(sha256(of).bytes).substr(0, kNameDigits);
}

// Opens, and makes if need be, a file of ours; then takes its lock, or with `wait` waits for it. Nobody holds one of
// those that are waited for longer than a few writes.
Result<UniqueFd> locked(int folder, const std::string& name, bool wait) {
  UniqueFd fd(::openat(folder, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, name);
  while (::flock(fd.get(), LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return fail(Errc::busy, name + " is taken");
    return fail_errno(errno, name);
  }
  return fd;
}

Result<std::string> shared_secret(int folder) {
  const auto fd = locked(folder, "secret", true);
  if (!fd) return tl::unexpected(fd.error());
  auto text = read_fd(fd->get(), kSecret, "secret");
  if (text && text->size() == kSecret) return text;
  std::string fresh(kSecret, '\0');
  if (::getrandom(fresh.data(), fresh.size(), 0) != static_cast<ssize_t>(fresh.size()))
    return fail_errno(errno, "getrandom");
  if (auto written = write_at(system_files(), fd->get(), fresh, 0, "secret"); !written)
    return tl::unexpected(written.error());
  return fresh;
}

// "LEFT SINCE"; anything else is a file that was just made.
std::optional<PutBudget> parse_budget(std::string_view text) {
  const auto words = split(text.substr(0, text.find('\n')), ' ');
  if (words.size() != 2) return std::nullopt;
  const auto left = parse_number(words[0]), since = parse_number(words[1]);
  if (!left || !since) return std::nullopt;
  return PutBudget{*left, *since};
}

}  // namespace

std::optional<PutBudget> after_put(PutBudget budget, unsigned puts_a_minute, std::uint64_t now_ms) {
  if (budget.since_ms > now_ms) budget = {puts_a_minute, now_ms};
  const std::uint64_t back = (now_ms - budget.since_ms) * puts_a_minute / kMinute;
  if (back + budget.left >= puts_a_minute) {
    budget = {puts_a_minute, now_ms};
  } else {
    budget.left += back;
    budget.since_ms += back * kMinute / puts_a_minute;  // what has not come back whole goes on coming
  }
  if (budget.left == 0) return std::nullopt;
  --budget.left;
  return budget;
}

Result<KeyQuota> KeyQuota::open(const std::string& run_folder, const PublicKey& key, KeyLimits limits) {
  auto folder = open_dir(run_folder);
  if (!folder) return tl::unexpected(folder.error());
  KeyQuota quota(std::move(*folder), hex_name(key.blob), limits);
  auto secret = shared_secret(quota.folder_.get());
  if (!secret) return within(run_folder, secret.error());
  quota.secret_ = std::move(*secret);
  for (unsigned i = 0; i < limits.connections; ++i) {
    auto slot = locked(quota.folder_.get(), quota.key_ + "." + std::to_string(i), false);
    if (!slot && slot.error().code != Errc::busy) return within(run_folder, slot.error());
    if (!slot) continue;
    quota.connection_ = std::move(*slot);
    return quota;
  }
  return fail(Errc::busy, "your key has " + std::to_string(limits.connections) +
                              " connections to this mailbox, and may have no more at once");
}

Result<void> KeyQuota::take_put(std::uint64_t now_ms) {
  const auto fd = locked(folder_.get(), key_ + ".puts", true);
  if (!fd) return tl::unexpected(fd.error());
  const auto text = read_fd(fd->get(), kMaxState, "puts");
  const auto budget = text ? parse_budget(*text) : std::nullopt;
  const auto left =
      after_put(budget.value_or(PutBudget{limits_.puts_a_minute, now_ms}), limits_.puts_a_minute, now_ms);
  if (!left) {
    return fail(Errc::busy, "your key has sent " + std::to_string(limits_.puts_a_minute) +
                                " documents within a minute: wait a moment, then send the rest");
  }
  std::string line = std::to_string(left->left) + " " + std::to_string(left->since_ms) + "\n";
  line.resize(kMaxState, '\n');  // over whatever stood there
  return write_at(system_files(), fd->get(), line, 0, "puts");
}

Result<void> KeyQuota::deliver(const std::string& inbox, std::string_view bytes) const {
  // Searched and written, not read: its names are nobody's business.
  const UniqueFd folder(::open(inbox.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!folder) return fail_errno(errno, inbox);
  for (unsigned i = 0; i < limits_.waiting; ++i) {
    const std::string name = hex_name(secret_ + key_ + std::to_string(i)) + ".jit";
    const UniqueFd file(
        ::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file && errno == EEXIST) continue;
    if (!file) return fail_errno(errno, inbox);
    auto written = write_at(system_files(), file.get(), bytes, 0, inbox);
    if (written && ::fsync(file.get()) != 0) written = fail_errno(errno, inbox);
    if (!written) (void)::unlinkat(folder.get(), name.c_str(), 0);
    return written;
  }
  return fail(Errc::busy, "jitd has not taken your last " + std::to_string(limits_.waiting) +
                              " documents out of its inbox yet: try again later");
}

}  // namespace jit
