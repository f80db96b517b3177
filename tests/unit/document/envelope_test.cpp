// The envelope: the first parser that bytes from strangers reach (P11).
#include "policy/document/envelope.hpp"

#include <rapidcheck.h>

#include "tests/unit/catch.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

const std::string kPayload = "jit = 1\nkind = \"grant\"\n";

std::string error_of(std::string_view file) {
  const auto parsed = parse_envelope(file);
  return parsed ? "" : parsed.error().message;
}

bool says(const std::string& message, std::string_view part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a document is its payload and what follows it", "[document][envelope]") {
  const std::string file = kPayload + to_armor("one") + "\n\n" + to_armor(std::string(300, 'x')) + "\n";
  const Envelope envelope = parse_envelope(file).value();
  CHECK(envelope.payload == kPayload);
  CHECK(envelope.signatures == std::vector<std::string>{"one", std::string(300, 'x')});
  CHECK(parse_envelope(to_text(envelope)).value().signatures == envelope.signatures);
  // The armor is ssh-keygen's own, byte for byte.
  const std::string theirs = vector_file("rsa3072.sig");
  CHECK(to_armor(parse_armor(theirs).value()) == theirs);
  // The same signature pasted twice counts once.
  CHECK(parse_envelope(kPayload + to_armor("a") + to_armor("a")).value().signatures.size() == 1);
  // A last line without LF, as some editors and mailers leave it.
  std::string cut = kPayload + to_armor("one");
  cut.pop_back();
  CHECK(parse_envelope(cut).has_value());
}

TEST_CASE("a BEGIN line counts only when it is the whole line", "[document][envelope]") {
  const std::string tricky =
      "a = \"-----BEGIN SSH SIGNATURE-----\"\n -----BEGIN SSH SIGNATURE-----\n-----BEGIN SSH SIGNATURE----- \n";
  CHECK(parse_envelope(tricky + to_armor("one")).value().payload == tricky);
}

TEST_CASE("damaged documents are refused and say how", "[document][envelope]") {
  CHECK(says(error_of(""), "empty"));
  CHECK(says(error_of(kPayload), "no signature"));
  CHECK(says(error_of(to_armor("one")), "payload is empty"));
  CHECK(says(error_of("jit = 1\r\n" + to_armor("one")), "Line endings were changed on the way"));
  std::string dos = kPayload + to_armor("one");
  for (std::size_t at = 0; (at = dos.find('\n', at)) != std::string::npos; at += 2) dos.insert(at, "\r");
  CHECK(says(error_of(dos), "Line endings were changed on the way"));
  CHECK(says(error_of("a\rb\n" + to_armor("one")), "control character 0x0d"));
  CHECK(says(error_of("a\tb\n" + to_armor("one")), "control character 0x09"));
  CHECK(says(error_of("\ufeffa\n" + to_armor("one")), "U+FEFF"));
  CHECK(says(error_of("a\u202eb\n" + to_armor("one")), "bidirectional"));
  CHECK(says(error_of("a\u200bb\n" + to_armor("one")), "zero-width"));
  CHECK(says(error_of("a\xff\n" + to_armor("one")), "not UTF-8"));
  CHECK(says(error_of(std::string("a\0b\n", 4) + to_armor("one")), "control character 0x00"));
  CHECK(says(error_of(kPayload + to_armor("one") + "more = 1\n"), "text after a signature"));
  CHECK(says(error_of(kPayload + to_armor("one") + " \n"), "text after a signature"));
  CHECK(says(error_of(kPayload + "-----BEGIN SSH SIGNATURE-----\nAAAA\n"), "END line is missing"));
  CHECK(says(error_of(kPayload + "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"), "empty"));
  CHECK(says(error_of(kPayload + "-----BEGIN SSH SIGNATURE-----\nAA\n\nAA\n-----END SSH SIGNATURE-----\n"),
             "empty or overlong"));
  CHECK(says(error_of(kPayload + "-----BEGIN SSH SIGNATURE-----\nA AA\n-----END SSH SIGNATURE-----\n"),
             "damaged armor"));
  CHECK(says(error_of(kPayload + "-----BEGIN SSH SIGNATURE-----\n" + std::string(132, 'A') +
                      "\n-----END SSH SIGNATURE-----\n"),
             "overlong"));
}

TEST_CASE("documents are bounded", "[document][envelope]") {
  std::string sixteen = kPayload;
  for (std::size_t i = 0; i < kMaxSignatures; ++i) sixteen += to_armor("signature " + std::to_string(i));
  CHECK(parse_envelope(sixteen).value().signatures.size() == kMaxSignatures);
  CHECK(says(error_of(sixteen + to_armor("signature 16")), "more than 16"));
  // Copies count against the limit too: the work of parsing is what is bounded.
  std::string copies = kPayload;
  for (std::size_t i = 0; i <= kMaxSignatures; ++i) copies += to_armor("same");
  CHECK(says(error_of(copies), "more than 16"));

  const std::string armor = to_armor("one");
  const std::string most = std::string(kMaxDocument - armor.size() - 1, 'a') + "\n" + armor;
  CHECK(most.size() == kMaxDocument);
  CHECK(parse_envelope(most).has_value());
  CHECK(says(error_of("a" + most), "larger than"));
  CHECK_FALSE(parse_armor(std::string(kMaxDocument + 1, 'A')));
}

TEST_CASE("a payload alone is checked before it is signed", "[document][envelope]") {
  CHECK(parse_payload_text(kPayload).value() == kPayload);
  CHECK_FALSE(parse_payload_text("a = 1"));  // no LF
  CHECK_FALSE(parse_payload_text("a = 1\r\n"));
  CHECK_FALSE(parse_payload_text("a\x1b\n"));
  CHECK(says(parse_payload_text(kPayload + to_armor("x")).error().message, "sign the payload alone"));
}

TEST_CASE("merging is the union over one payload", "[document][envelope]") {
  const Envelope a{kPayload, {"one", "two"}};
  const Envelope b{kPayload, {"two", "three"}};
  CHECK(merge(a, b).value().signatures == std::vector<std::string>{"one", "two", "three"});
  CHECK(merge(a, a).value().signatures == a.signatures);
  CHECK_FALSE(merge(a, Envelope{kPayload + "\n", {"three"}}));
  Envelope many{kPayload, {}};
  for (std::size_t i = 0; i < kMaxSignatures; ++i) many.signatures.push_back(std::to_string(i));
  CHECK(merge(many, many).has_value());
  CHECK_FALSE(merge(many, a));
}

TEST_CASE("any bytes parse or are refused, and what parses reads back", "[document][envelope]") {
  CHECK(rc::check("mutations of a document", [] {
    std::string file = kPayload + to_armor("signature one") + to_armor("signature two");
    const auto changes = *rc::gen::inRange(0, 6);
    for (int i = 0; i < changes; ++i) {
      const auto where = *rc::gen::inRange<std::size_t>(0, file.size());
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          file[where] = *rc::gen::arbitrary<char>();
          break;
        case 1:
          file.erase(where, *rc::gen::inRange<std::size_t>(0, 40));
          break;
        default:
          file.insert(where, *rc::gen::element<std::string>("\n", "=", "-----BEGIN SSH SIGNATURE-----\n", "A"));
      }
      if (file.empty()) break;
    }
    const auto parsed = parse_envelope(file);
    if (!parsed) return;
    const auto again = parse_envelope(to_text(*parsed));
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->payload == parsed->payload);
    RC_ASSERT(again->signatures == parsed->signatures);
  }));
}
