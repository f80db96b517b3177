#include "jitd/sys/proc_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

#include "jitd/sys/fd.hpp"

namespace jit {

std::vector<std::uint64_t> numbers(std::string_view text) {
  std::vector<std::uint64_t> found;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    if (*at == ' ' || *at == '\t' || *at == '\n') {
      ++at;
      continue;
    }
    std::uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) break;
    found.push_back(number);
    at = next;
  }
  return found;
}

std::string_view line_of(std::string_view text, std::string_view key) {
  const auto at = text.find(std::string("\n") + std::string(key));
  if (at == std::string_view::npos) return {};
  const auto from = at + 1 + key.size();
  return text.substr(from, text.find('\n', from) - from);
}

bool write_word(const std::string& path, std::string_view word) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd && ::write(fd.get(), word.data(), word.size()) == static_cast<ssize_t>(word.size());
}

}  // namespace jit
