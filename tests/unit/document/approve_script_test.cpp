// packaging/jit-approve: a review made with ssh-keygen and POSIX tools alone counts like one of ours.
#include <sstream>

#include "policy/document/envelope.hpp"
#include "policy/document/verify.hpp"
#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

struct Desk {
  TempDir dir;
  SigningKey host = new_key();
  std::string key = (dir.path() / "key").string();
  std::string hosts = dir.file("hosts", "db1.example.org " + public_key_line(host.public_key()) + "\n");
  Request request = sample_request(host.public_key());

  Desk() {
    REQUIRE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}).status == 0);
    request.created = std::chrono::floor<Seconds>(std::chrono::system_clock::now());
    request.expires = request.created + std::chrono::hours(1);
  }
  [[nodiscard]] std::string text() const { return to_text(signed_by(request, {&host})); }
  [[nodiscard]] Ran approve(const std::string& text, const std::string& answer,
                            const std::vector<std::string>& options = {}) const {
    const std::string file = dir.file("request.jit", text);
    std::vector<std::string> argv = {
        "/bin/sh", std::string(JIT_SOURCE_DIR) + "/packaging/jit-approve", "-k", key, "-f", hosts};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(file);
    return run(argv, answer);
  }
  // Refused with this reason, and nothing was written.
  void refused(const std::string& text, std::string_view part) const {
    const Ran ran = approve(text, "yes\n");
    INFO(ran.err);
    CHECK(ran.status == 1);
    CHECK(ran.out.empty());
    CHECK(ran.err.find(part) != std::string::npos);
  }
};

}  // namespace

TEST_CASE("a review by jit-approve counts", "[document][approve-script]") {
  const Desk desk;
  for (const bool deny : {false, true}) {
    const Ran ran =
        desk.approve(desk.text(), "yes\n", deny ? std::vector<std::string>{"-d"} : std::vector<std::string>{});
    INFO(ran.err);
    REQUIRE(ran.status == 0);
    CHECK(ran.err.find(desk.request.effects) != std::string::npos);  // shown before it is signed
    TrustSet trust;
    trust.approvers = parse_trust("approvers", "carol " + read_file(desk.key + ".pub"));
    const auto verified =
        parse_envelope(ran.out).and_then([&](const Envelope& e) { return verify_document(e, trust, "a.jit"); });
    REQUIRE(verified.has_value());
    const auto& review = std::get<Review>(verified->document);
    CHECK(review.approve == !deny);
    CHECK(review.host == desk.request.host);
    CHECK(review.request == sha256(to_payload(desk.request)));
    CHECK(review.expires == desk.request.expires);
    CHECK(to_payload(review) == verified->envelope.payload);  // the form that we write ourselves
  }
}

TEST_CASE("jit-approve signs nothing that was not shown, known and agreed to", "[document][approve-script]") {
  Desk desk;
  for (const std::string answer : {"", "no\n", "y\n", "YES\n", "yes please\n"}) {
    const Ran ran = desk.approve(desk.text(), answer);
    CHECK(ran.status == 1);
    CHECK(ran.out.empty());
  }
  const std::string good = desk.text();
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  desk.refused(changed("alice", "mallo"), "not signed by db1.example.org");
  desk.refused(changed("db1.example.org", "db2.example.org"), "not signed by db2.example.org");
  desk.refused(changed("db1.example.org", "db1 -O x"), "not a request");
  desk.refused(changed("alice", "al\x1b[2Jice"), "control characters");
  desk.refused(changed("alice", "al\u202eice"), "hide or reorder");
  desk.refused(changed("alice", "al\u200bice"), "hide or reorder");
  desk.refused(changed("alice", "al\u0085ice"), "hide or reorder");
  for (const std::string bytes : {"\x9b", "\xc2", "\xc0\x9b", "\xe0\x82\x9b", "\xed\xa0\x80", "\xf0\x80\x82\x9b",
                                  "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\xc3\xa9\x80"})
    desk.refused(changed("alice", "al" + bytes + "ice"), "no UTF-8");
  desk.refused(changed("\n", "\r\n"), "Line endings were changed");
  desk.refused(to_payload(desk.request), "not signed by");
  desk.refused(std::string(40000, 'x'), "larger than");
  const SigningKey stranger = new_key();
  desk.refused(to_text(signed_by(desk.request, {&stranger})), "not signed by");
  desk.refused(to_text(signed_by(desk.request, {&desk.host}, "jit-event")), "not signed by");
  desk.request.created = at("2020-01-01T00:00:00Z");
  desk.request.expires = at("2020-01-02T00:00:00Z");
  desk.refused(desk.text(), "expired at 2020-01-02T00:00:00Z");
  CHECK(run({"/bin/sh", std::string(JIT_SOURCE_DIR) + "/packaging/jit-approve"}).status == 2);
  // Letters beyond ASCII are no reason to refuse.
  desk.request = sample_request(desk.host.public_key());
  desk.request.reason = "Größe prüfen 漢字 \u07ff \ud7ff \uffe6 \U0001f511 \U00100000";
  desk.request.expires = at("2100-01-01T00:00:00Z");
  CHECK(desk.approve(desk.text(), "yes\n").status == 0);
}

TEST_CASE("jit-approve breaks long lines itself, with a mark (P10)", "[document][approve-script]") {
  Desk desk;
  desk.request.reason =
      "routine check" + std::string(70, ' ') + "role = \"quick\"" + std::string(70, ' ') + "\u00fc\u6f22 end";
  const Ran ran = desk.approve(desk.text(), "no\n");
  std::istringstream lines(ran.err);
  std::size_t marked = 0;
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(valid_utf8(line));
    CHECK((line.size() <= 80 || line.starts_with("Signed by")));
    CHECK_FALSE(line.starts_with("role = \"quick\""));
    if (line.starts_with("  | ")) ++marked;
  }
  CHECK(marked >= 2);
}
