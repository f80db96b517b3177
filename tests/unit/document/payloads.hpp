// Payloads as tests make them: any that may be, and what is wrong with those that may not.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <string_view>
#include <vector>

#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "tests/unit/catch.hpp"

namespace jit::test {

// The error of a payload, or "" when it reads.
inline std::string error_of(const std::string& payload) {
  const auto parsed = parse_document(payload, "file.jit");
  if (parsed) return "";
  CHECK(parsed.error().message.find("file.jit: ") == 0);
  return parsed.error().message;
}

inline bool says(const std::string& message, std::string_view part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

// `payload` with the line of `key` replaced ("" takes it out).
inline std::string with(const Document& document, const std::string& key, const std::string& line) {
  std::string payload = to_payload(document);
  const std::size_t start = payload.find("\n" + key + " = ") + 1;
  REQUIRE(start != std::string::npos + 1);
  const std::size_t end = payload.find('\n', start) + 1;
  return payload.replace(start, end - start, line.empty() ? "" : line + "\n");
}

inline std::string after_kind(const Document& document, const std::string& line) {
  std::string payload = to_payload(document);
  return payload.insert(payload.find('\n', payload.find("kind = ")) + 1, line + "\n");
}

// One-line text as people write it: quotes, backslashes, TOML's own signs, letters beyond ASCII.
inline rc::Gen<std::string> free_text(std::size_t least, std::size_t most) {
  return rc::gen::map(
      rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
          "a", "Z", " ", "\"", "\\", "'", "'''", "\"\"\"", "=", "#", "[", "]", "{", "}", ",", "\\u001b", "é", "漢",
          "\U0001d11e", "-----BEGIN SSH SIGNATURE-----", "\\n", "%s", "`", "$(id)", "@", "@40", "@c3")),
      [=](const std::vector<std::string>& pieces) {
        std::string text;
        for (const std::string& piece : pieces) {
          if (text.size() + piece.size() <= most) text += piece;
        }
        return text.size() < least ? std::string(least, 'x') : text;
      });
}

inline rc::Gen<std::string> name() {
  return rc::gen::map(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcXYZ019")))),
      [](const std::string& text) { return text.substr(0, 40); });
}

inline rc::Gen<std::string> user() {
  return rc::gen::map(
      rc::gen::pair(name(), rc::gen::element<std::string>("", "@corp", "\\x", " y", "é", ".z", "\"q", "'''")),
      [](const auto& parts) { return parts.first + parts.second; });
}

inline WallTime some_time() {
  return WallTime(Seconds(*rc::gen::inRange<std::int64_t>(0, 253402300000)));
}
inline Seconds some_duration() {
  return Seconds(*rc::gen::inRange<std::int64_t>(1, 366 * 86400 + 1));
}
inline std::vector<std::string> some(const rc::Gen<std::string>& one, std::size_t least = 0) {
  auto values = *rc::gen::container<std::vector<std::string>>(one);
  if (values.size() > 5) values.resize(5);
  while (values.size() < least) values.push_back(*one);
  return values;
}
inline std::vector<Digest> some_digests() {
  std::vector<Digest> digests;
  for (const std::string& text : some(name())) digests.push_back(sha256(text));
  return digests;
}

inline void reads_back(const Document& document) {
  const auto ok = check_document(document);
  if (!ok) RC_FAIL(ok.error().message);
  const std::string payload = to_payload(document);
  RC_ASSERT(parse_payload_text(payload).has_value());
  const auto parsed = parse_document(payload, "x");
  if (!parsed) RC_FAIL(parsed.error().message + "\n" + payload);
  RC_ASSERT(*parsed == document);
  RC_ASSERT(to_payload(*parsed) == payload);
}

}  // namespace jit::test
