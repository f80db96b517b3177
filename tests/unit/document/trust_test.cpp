// Trust files: what parses is the trust, a bad line drops itself alone.
#include "policy/document/trust.hpp"

#include "tests/unit/catch.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

const std::string kKey = vector_file("ed25519.pub").substr(0, 80);

TrustFile parse(const std::string& text) {
  return parse_trust("/etc/jit/trust/approvers", text);
}

// The error of a file with this one line.
std::string bad(const std::string& line) {
  const TrustFile file = parse(line + "\n");
  CHECK(file.lines.empty());
  REQUIRE(file.bad.size() == 1);
  return file.bad[0].message;
}

bool says(const std::string& message, std::string_view part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("trust lines with and without options", "[document][trust]") {
  const TrustFile file = parse("# comment\n\n  \t\ncarol " + kKey + " carol's laptop\n" +
                               "\tdave@example.org\tnamespaces=\"jit-review,jit-gr*\",valid-after=\"20260101Z\","
                               "valid-before=\"202701010000Z\"  " +
                               kKey + "\nDOM\\erin " + kKey);
  CHECK(file.bad.empty());
  REQUIRE(file.lines.size() == 3);
  CHECK(file.lines[0].principal == "carol");
  CHECK(file.lines[0].line == 4);
  CHECK(file.lines[0].comment == "carol's laptop");
  CHECK(file.lines[0].allows_namespace("anything"));
  CHECK(file.lines[0].valid_at(at("1970-01-01T00:00:00Z")));
  const TrustLine& dave = file.lines[1];
  CHECK(dave.allows_namespace("jit-review"));
  CHECK(dave.allows_namespace("jit-grant"));
  CHECK_FALSE(dave.allows_namespace("jit-review2"));
  CHECK_FALSE(dave.allows_namespace("jit-lock"));
  CHECK_FALSE(dave.allows_namespace(""));
  CHECK_FALSE(dave.valid_at(at("2025-12-31T23:59:59Z")));
  CHECK(dave.valid_at(at("2026-01-01T00:00:00Z")));
  CHECK(dave.valid_at(at("2026-12-31T23:59:59Z")));
  CHECK_FALSE(dave.valid_at(at("2027-01-01T00:00:00Z")));
  CHECK(file.lines[2].principal == "DOM\\erin");
}

TEST_CASE("a bad line is named and drops itself alone", "[document][trust]") {
  const TrustFile file = parse("carol " + kKey + "\nnonsense\ndave " + kKey + "\n");
  CHECK(file.lines.size() == 2);
  REQUIRE(file.bad.size() == 1);
  CHECK(says(file.bad[0].message, "/etc/jit/trust/approvers:2: "));

  CHECK(says(bad("* " + kKey), "pattern"));
  CHECK(says(bad("car?l " + kKey), "pattern"));
  CHECK(says(bad("!carol " + kKey), "pattern"));
  CHECK(says(bad("carol,dave " + kKey), "list"));
  CHECK(says(bad("\"carol\" " + kKey), "quoted"));
  CHECK(says(bad("carol cert-authority " + kKey), "certificates are not accepted"));
  CHECK(says(bad("carol cert-authority,namespaces=\"jit-*\" " + kKey), "certificates are not accepted"));
  CHECK(says(bad("carol namespaces=\"jit-*\",cert-authority " + kKey), "certificates are not accepted"));
  CHECK(says(bad("carol no-touch-required " + kKey), ""));
  CHECK(says(bad("carol verify-time=\"1\" " + kKey), "unknown option \"verify-time\""));
  CHECK(says(bad("carol namespaces=jit-review " + kKey), "namespaces=\"...\""));
  CHECK(says(bad("carol namespaces=\"jit-review " + kKey), ""));
  CHECK(says(bad("carol namespaces=\"\" " + kKey), "names separated by commas"));
  CHECK(says(bad("carol namespaces=\"a,,b\" " + kKey), "names separated by commas"));
  CHECK(says(bad("carol namespaces=\"!jit-grant,jit-*\" " + kKey), "names separated by commas"));
  CHECK(says(bad("carol namespaces=\"jit-*t\" " + kKey), "names separated by commas"));
  CHECK(says(bad("carol namespaces=\"a\",namespaces=\"b\" " + kKey), "twice"));
  CHECK(says(bad("carol namespaces=\"a\", " + kKey), "one comma"));
  CHECK(says(bad("carol valid-before=\"20270101\" " + kKey), "with Z"));
  CHECK(says(bad("carol valid-before=\"20271301Z\" " + kKey), "not a time"));
  CHECK(says(bad("carol valid-after=\"20270101Z\",valid-before=\"20270101Z\" " + kKey), "never count"));
  CHECK(says(bad("carol"), "needs PRINCIPAL"));
  CHECK(says(bad("carol ssh-ed25519"), "needs PRINCIPAL"));
  CHECK(says(bad(kKey), ""));
  CHECK(says(bad("carol " + vector_file("dsa.pub").substr(0, 200)), "ssh-dss"));
  CHECK(says(bad("carol " + vector_file("cert.pub").substr(0, 200)), "certificate"));
  CHECK(says(bad("carol " + vector_file("rsa2048.pub")).substr(0, 0), ""));
  CHECK(says(bad("carol " + kKey + "\r"), "CR LF"));
  CHECK(says(bad("car\x1bol " + kKey), "control character"));
  CHECK(says(bad("carol\u200b " + kKey), "zero-width"));
  CHECK(says(bad("carol " + kKey + " \u202ecomment"), "bidirectional"));
  CHECK(says(bad("carol " + kKey + " " + std::string(kMaxTrustLine, 'x')), "longer than"));
  CHECK(says(bad("-carol " + kKey), "starts with"));
}

TEST_CASE("trust files are bounded", "[document][trust]") {
  const TrustFile file = parse("carol " + kKey + "\n#" + std::string(kMaxTrustFile, 'x'));
  CHECK(file.lines.empty());
  REQUIRE(file.bad.size() == 1);
  CHECK(says(file.bad[0].message, "larger than"));
}

TEST_CASE("a line that we write reads back, and ssh-keygen reads it too", "[document][trust]") {
  const SigningKey key = new_key();
  TrustLine line;
  line.principal = "carol@example.org";
  line.key = key.public_key();
  line.namespaces = {"jit-review", "jit-grant"};
  line.valid_after = at("2026-01-01T00:00:00Z");
  line.valid_before = at("2027-01-01T00:00:00Z");
  line.comment = "laptop, 2026";
  const TrustFile file = parse(to_text(line));
  REQUIRE(file.bad.empty());
  REQUIRE(file.lines.size() == 1);
  CHECK(to_text(file.lines[0]) == to_text(line));
  CHECK(file.lines[0].namespaces == line.namespaces);
  CHECK(file.lines[0].valid_before == line.valid_before);
  CHECK(file.lines[0].comment == line.comment);

  const TempDir dir;
  const std::string allowed = dir.file("allowed", to_text(line));
  const auto theirs = [&](const std::string& name_space, const std::string& time) {
    const std::string armor = dir.file("sig", to_armor(key.sign("text\n", name_space).value()));
    return run({"ssh-keygen", "-Y", "verify", "-f", allowed, "-I", line.principal, "-n", name_space, "-s", armor,
                "-O", "verify-time=" + time},
               "text\n")
        .status;
  };
  CHECK(theirs("jit-review", "20260601Z") == 0);
  CHECK(theirs("jit-lock", "20260601Z") != 0);
  CHECK(theirs("jit-review", "20250601Z") != 0);
  CHECK(theirs("jit-review", "20270601Z") != 0);
}
