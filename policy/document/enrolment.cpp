#include "policy/document/enrolment.hpp"

#include <fmt/format.h>

#include "policy/digest.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kFirstWord = "jit-enrolment";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kWords = 8;

tl::unexpected<Error> wrong(std::string_view why) {
  return fail(Errc::invalid, fmt::format("not the line that 'jitctl enrol' prints: {}", why));
}

}  // namespace

Result<std::string> make_enrolment(const std::string& host, const std::string& machine, WallTime created,
                                   const SigningKey& key) {
  const auto text = fmt::format("{} {} {} {} {} {}", kFirstWord, kVersion, host, public_key_line(key.public_key()),
                                machine, format_utc(created));
  const auto signature = key.sign(text, kEnrolmentNamespace);
  if (!signature) return tl::unexpected<Error>(signature.error());
  auto line = text + " " + to_base64(*signature);
  if (auto read = read_enrolment(line); !read) return tl::unexpected<Error>(read.error());
  return line;
}

Result<Enrolment> read_enrolment(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return wrong("it is empty");
  line = line.substr(first, line.find_last_not_of(kBlank) - first + 1);
  if (line.size() > kMaxEnrolment) return wrong("it is too long");
  if (const auto bad = unclean(line)) return wrong(*bad);
  const auto words = split(line, ' ');
  if (words.front() != kFirstWord) return wrong(fmt::format("it does not begin with {}", kFirstWord));
  if (words.size() > 1 && words[1] != kVersion)
    return wrong(fmt::format("version \"{}\" is not known to this release", shown(words[1], 20)));
  if (words.size() != kWords) return wrong(fmt::format("{} words, not {}: was it cut?", words.size(), kWords));

  Enrolment enrolment;
  enrolment.host = words[2];
  if (auto good = check_host_name(enrolment.host); !good) return wrong(good.error().message);
  auto key = parse_public_key_line(fmt::format("{} {}", words[3], words[4]));
  if (!key) return wrong(key.error().message);
  if (key->type != KeyType::ed25519) return wrong("host keys are ssh-ed25519");
  enrolment.key = std::move(*key);
  if (auto digest = parse_digest(words[5]); !digest) return wrong(digest.error().message);
  enrolment.machine = words[5];
  const auto created = parse_utc(words[6]);
  if (!created) return wrong(created.error().message);
  enrolment.created = *created;

  const auto blob = from_base64(words[7]);
  if (!blob) return wrong("its signature is no base64: was it cut?");
  const auto signature = parse_signature(*blob);
  if (!signature) return wrong(signature.error().message);
  if (signature->key != enrolment.key) return wrong("it is signed by another key than it names");
  const auto text = line.substr(0, line.rfind(' '));
  if (auto good = verify(*signature, text, kEnrolmentNamespace); !good)
    return wrong("its signature is not over this line: it was changed");
  return enrolment;
}

}  // namespace jit
