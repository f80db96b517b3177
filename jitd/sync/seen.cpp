#include "jitd/sync/seen.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "jitd/sys/files.hpp"

namespace jit {

Seen::Key Seen::key_of(const Digest& digest) {
  Key key;
  std::copy_n(digest.bytes.begin(), key.size(), key.begin());
  return key;
}

Result<Seen> Seen::open(int directory, const std::string& name, std::size_t slots) {
  Seen seen(slots);
  seen.file_.reset(
      ::openat(directory, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  if (!seen.file_) return fail_errno(errno, name);
  struct stat status {};
  if (::fstat(seen.file_.get(), &status) != 0) return fail_errno(errno, name);
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, name + ": is not a regular file");
  std::string bytes(std::min(slots * kRecord, static_cast<std::size_t>(std::max<off_t>(status.st_size, 0))), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::pread(seen.file_.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, name);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  seen.load(std::string_view(bytes).substr(0, have));
  return seen;
}

void Seen::load(std::string_view bytes) {
  for (std::size_t slot = 0; slot < slots_ && (slot + 1) * kRecord <= bytes.size(); ++slot) {
    const std::string_view text = bytes.substr(slot * kRecord, kRecord);
    Record record;
    for (std::size_t i = 8; i-- > 0;) record.number = (record.number << 8U) | static_cast<std::uint8_t>(text[i]);
    // The last number that there is has no next one.
    if (record.number == 0 || record.number == UINT64_MAX || (record.number - 1) % slots_ != slot) continue;
    std::copy_n(text.begin() + 8, record.key.size(), record.key.begin());
    if (ring_.size() <= slot) ring_.resize(slot + 1);
    ring_[slot] = record;
    order_.push_back(static_cast<std::uint32_t>(slot));
    next_ = std::max(next_, record.number + 1);
  }
  std::sort(order_.begin(), order_.end(),
            [this](std::uint32_t a, std::uint32_t b) { return ring_[a].key < ring_[b].key; });
}

std::vector<std::uint32_t>::const_iterator Seen::find(const Key& key) const {
  return std::lower_bound(order_.begin(), order_.end(), key,
                          [this](std::uint32_t slot, const Key& wanted) { return ring_[slot].key < wanted; });
}

bool Seen::contains(const Digest& digest) const {
  const Key key = key_of(digest);
  const auto at = find(key);
  return at != order_.end() && ring_[*at].key == key;
}

Result<void> Seen::add(const Digest& digest) {
  if (contains(digest)) return {};
  const auto slot = static_cast<std::uint32_t>((next_ - 1) % slots_);
  if (ring_.size() <= slot) ring_.resize(slot + 1);
  if (ring_[slot].number != 0) order_.erase(std::find(order_.begin(), order_.end(), slot));
  ring_[slot] = {next_++, key_of(digest)};
  order_.insert(find(ring_[slot].key), slot);
  if (!file_) return {};
  std::string text;
  for (unsigned shift = 0; shift < 64; shift += 8) text += static_cast<char>((ring_[slot].number >> shift) & 0xffU);
  text.append(ring_[slot].key.begin(), ring_[slot].key.end());
  return write_at(system_files(), file_.get(), text, static_cast<off_t>(slot * kRecord),
                  "what was delivered already");
}

}  // namespace jit
