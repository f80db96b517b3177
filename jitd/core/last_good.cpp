#include "jitd/core/last_good.hpp"

#include <unistd.h>

#include "jitd/sys/files.hpp"
#include "policy/digest.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kHeader = "jit-last-good 1\n";
constexpr const char* kName = "last-good";

tl::unexpected<Error> damaged() {
  return fail(Errc::invalid, "the last good policy is damaged");
}

}  // namespace

std::string encode_last_good(const std::vector<PolicyText>& files) {
  std::string result(kHeader);
  for (const PolicyText& file : files)
    result += escape_word(file.file) + " " + std::to_string(file.text.size()) + "\n" + file.text + "\n";
  return result + digest_text(sha256(result)) + "\n";
}

Result<std::vector<PolicyText>> decode_last_good(std::string_view text) {
  const std::size_t tail = digest_text(Digest{}).size() + 1;
  if (!text.starts_with(kHeader) || text.size() < kHeader.size() + tail) return damaged();
  const std::string_view body = text.substr(0, text.size() - tail);
  if (text.substr(body.size()) != digest_text(sha256(body)) + "\n") return damaged();

  std::vector<PolicyText> files;
  std::string_view rest = body.substr(kHeader.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return damaged();
    const std::vector<std::string_view> words = split(rest.substr(0, end), ' ');
    if (words.size() != 2) return damaged();
    const auto name = unescape_word(words[0]);
    const auto size = parse_number(words[1], kMaxPolicyFile);
    rest.remove_prefix(end + 1);
    if (!name || !size || rest.size() <= *size || rest[*size] != '\n') return damaged();
    files.push_back({*name, std::string(rest.substr(0, *size))});
    rest.remove_prefix(*size + 1);
  }
  return files;
}

Result<void> keep_last_good(const std::string& var, const std::vector<PolicyText>& files) {
  const std::string text = encode_last_good(files);
  if (text.size() > kMaxLastGood)
    return fail(Errc::refused, "the policy is too large to be kept as the last good one");
  const auto dir = open_dir(var);
  if (!dir) return tl::unexpected<Error>(dir.error());
  if (const auto there = read_file_at(dir->get(), kName, kMaxLastGood); there && *there == text) return {};
  return replace_file(system_files(), dir->get(), kName, text, FileMode{0600, ::geteuid(), ::getegid()});
}

Result<std::vector<PolicyText>> read_last_good(const std::string& var) {
  const auto dir = open_dir(var);
  if (!dir) return tl::unexpected<Error>(dir.error());
  const auto text = read_file_at(dir->get(), kName, kMaxLastGood);
  if (!text) return tl::unexpected<Error>(text.error());
  auto files = decode_last_good(*text);
  if (!files) return within(var + "/" + kName, files.error());
  return files;
}

}  // namespace jit
