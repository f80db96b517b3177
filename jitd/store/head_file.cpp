#include "jitd/store/head_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <span>

#include "jitd/wire/codec.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kSize = 128;  // spaces behind the words, LF last

std::string line(const ChainHead& head) {
  std::string text = std::to_string(head.sequence) + " " + digest_text(head.hash);
  text += " " + std::to_string(wire::crc32c(std::as_bytes(std::span(text))));
  text.append(kSize - 1 - text.size(), ' ');
  return text + '\n';
}

}  // namespace

std::optional<ChainHead> HeadFile::read() const {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
  std::array<char, kSize> bytes{};
  if (!fd || ::pread(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(kSize)) return std::nullopt;
  const std::string_view text(bytes.data(), bytes.size());
  const auto words = split(text, ' ');
  const auto sequence = parse_number(words[0], INT64_MAX);
  const auto hash = parse_digest(words.size() > 1 ? words[1] : "");
  if (!sequence || !hash || line({*sequence, *hash}) != text) return std::nullopt;
  return ChainHead{*sequence, *hash};
}

void HeadFile::write(const ChainHead& head) noexcept try {
  if (!fd_) fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
  const std::string text = line(head);
  if (fd_ && ::pwrite(fd_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) fd_.reset();
} catch (...) {  // out of memory: the one before stays
}

}  // namespace jit
