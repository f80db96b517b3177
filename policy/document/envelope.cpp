#include "policy/document/envelope.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kBegin = "-----BEGIN SSH SIGNATURE-----";
constexpr std::string_view kEnd = "-----END SSH SIGNATURE-----";
constexpr std::size_t kArmorColumn = 70;  // as ssh-keygen writes it
constexpr std::size_t kArmorWidest = 128;

// Takes the next line off `rest`, without its LF; the last line may lack one.
std::string_view take_line(std::string_view& rest) {
  const std::size_t at = rest.find('\n');
  const std::string_view line = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return line;
}

// Where the first line that reads exactly BEGIN starts, or npos.
std::size_t first_armor(std::string_view file) {
  for (std::size_t at = 0; at < file.size();) {
    std::string_view rest = file.substr(at);
    if (take_line(rest) == kBegin) return at;
    at = file.size() - rest.size();
  }
  return std::string_view::npos;
}

// What holds for all of a file before anything is looked for in it.
Result<void> check_file(std::string_view file) {
  if (file.empty()) return fail(Errc::invalid, "the document is empty");
  if (file.size() > kMaxDocument) {
    return fail(Errc::invalid, fmt::format("the document is larger than {} bytes", kMaxDocument));
  }
  if (file.find("\r\n") != std::string_view::npos) {
    return fail(Errc::invalid,
                "Line endings were changed on the way: the file has CR LF where it was signed with LF. Carry it as a "
                "binary file or attachment.");
  }
  return {};
}

Result<void> check_payload(std::string_view payload) {
  if (payload.empty()) return fail(Errc::invalid, "the payload is empty");
  if (const auto bad = unclean(payload)) return fail(Errc::invalid, fmt::format("the payload has {}", *bad));
  if (payload.back() != '\n') return fail(Errc::invalid, "the payload does not end with a line break (LF)");
  return {};
}

// One armored block from the front of `rest`, its BEGIN line first.
Result<std::string> take_armor(std::string_view& rest) {
  if (take_line(rest) != kBegin)
    return fail(Errc::invalid, fmt::format("a signature starts with the line {}", kBegin));
  std::string base64;
  for (;;) {
    if (rest.empty()) return fail(Errc::invalid, "a signature is cut short: its END line is missing");
    const std::string_view line = take_line(rest);
    if (line == kEnd) break;
    if (line.empty() || line.size() > kArmorWidest) {
      return fail(Errc::invalid, "damaged armor: a signature has an empty or overlong line");
    }
    base64 += line;
  }
  auto blob = from_base64(base64);
  if (!blob) return within("damaged armor", blob.error());
  if (blob->empty()) return fail(Errc::invalid, "damaged armor: a signature is empty");
  return blob;
}

bool holds(const std::vector<std::string>& blobs, const std::string& blob) {
  return std::find(blobs.begin(), blobs.end(), blob) != blobs.end();
}

}  // namespace

Result<Envelope> parse_envelope(std::string_view file) {
  if (auto ok = check_file(file); !ok) return tl::unexpected(ok.error());
  const std::size_t armor = first_armor(file);
  if (armor == std::string_view::npos) return fail(Errc::invalid, "the document has no signature");
  Envelope envelope;
  envelope.payload.assign(file.substr(0, armor));
  if (auto ok = check_payload(envelope.payload); !ok) return tl::unexpected(ok.error());

  std::size_t count = 0;
  for (std::string_view rest = file.substr(armor); !rest.empty();) {
    if (rest.front() == '\n') {
      rest.remove_prefix(1);
      continue;
    }
    if (count > 0 && rest.substr(0, kBegin.size()) != kBegin) {
      return fail(Errc::invalid, "there is text after a signature, which nobody signed");
    }
    if (++count > kMaxSignatures) {
      return fail(Errc::invalid, fmt::format("the document has more than {} signatures", kMaxSignatures));
    }
    auto blob = take_armor(rest);
    if (!blob) return tl::unexpected(blob.error());
    if (!holds(envelope.signatures, *blob)) envelope.signatures.push_back(std::move(*blob));
  }
  return envelope;
}

Result<std::string> parse_payload_text(std::string_view file) {
  if (auto ok = check_file(file); !ok) return tl::unexpected(ok.error());
  if (first_armor(file) != std::string_view::npos) {
    return fail(Errc::invalid, "the payload has a signature in it: sign the payload alone");
  }
  if (auto ok = check_payload(file); !ok) return tl::unexpected(ok.error());
  return std::string(file);
}

std::string to_text(const Envelope& envelope) {
  std::string text = envelope.payload;
  for (const std::string& blob : envelope.signatures) text += to_armor(blob);
  return text;
}

Result<std::string> parse_armor(std::string_view armored) {
  if (armored.size() > kMaxDocument) return fail(Errc::invalid, "the signature is too large");
  auto blob = take_armor(armored);
  if (blob && armored.find_first_not_of('\n') != std::string_view::npos) {
    return fail(Errc::invalid, "there is text after the signature");
  }
  return blob;
}

std::string to_armor(std::string_view blob) {
  const std::string base64 = to_base64(blob);
  std::string text = fmt::format("{}\n", kBegin);
  for (std::size_t at = 0; at < base64.size(); at += kArmorColumn) {
    text.append(base64, at, kArmorColumn);
    text += '\n';
  }
  return text.append(kEnd) += '\n';
}

Result<Envelope> merge(const Envelope& a, const Envelope& b) {
  if (a.payload != b.payload) return fail(Errc::invalid, "the payloads differ: these are two documents");
  Envelope both{a.payload, {}};
  for (const Envelope* one : {&a, &b}) {
    for (const std::string& blob : one->signatures) {
      if (!holds(both.signatures, blob)) both.signatures.push_back(blob);
    }
  }
  if (both.signatures.size() > kMaxSignatures) {
    return fail(Errc::refused, fmt::format("together they have more than {} signatures", kMaxSignatures));
  }
  return both;
}

}  // namespace jit
