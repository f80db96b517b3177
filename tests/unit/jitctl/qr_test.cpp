// Documents as QR codes and back: what is printed is drawn as a picture and read by zbarimg (tests/scan).
#include "jitctl/qr.hpp"

#include <unistd.h>

#include <array>
#include <memory>

#include "jitctl/output.hpp"
#include "policy/document/pieces.hpp"
#include "tests/unit/jitctl/fixture.hpp"
#include "tests/unit/jitctl/host.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

const std::string kInk = "\x1b[30;47;38;5;16;48;5;231m";

// The lines of a text.
std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

bool can_scan() {
  if (::access("/usr/bin/zbarimg", X_OK) == 0) return true;
  WARN("zbarimg (package zbar-tools) is not here: no code is read back");
  return false;
}

// What a scanner types of what was printed, a line a code.
std::vector<std::string> scanned(const Fixture& f, const std::string& printed) {
  std::ofstream(f.root + "/printed") << printed;
  const auto command = "'" + std::string(JIT_SOURCE_DIR) + "/tests/scan' <'" + f.root + "/printed'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 65536> chunk{};
  for (std::size_t got = 0; (got = std::fread(chunk.data(), 1, chunk.size(), pipe.get())) > 0;)
    text.append(chunk.data(), got);
  return lines_of(text);
}

std::string joined_of(const std::vector<std::string>& lines) {
  Pieces pieces;
  for (const auto& line : lines) {
    const auto taken = pieces.take(line);
    if (!taken) FAIL(taken.error().message);
    CHECK(*taken == Pieces::Taken::taken);
  }
  const auto file = pieces.join();
  if (!file) FAIL(file.error().message);
  return *file;
}

std::string typed(const std::string& document, std::size_t longest = 154) {
  const auto pieces = split_into_pieces(document, longest);
  REQUIRE(pieces.has_value());
  std::string text;
  for (const auto& piece : *pieces) text += piece + "\n";
  return text;
}

// The largest that there is: effects without end and sixteen signatures.
std::string largest(const Fixture& f, const Host& host) {
  auto request = host.request(f);
  request.reason = std::string(kMaxReason, 'w');
  request.effects.clear();
  std::string payload;
  const auto signature = to_armor(*host.key.sign("x", "jit-request"));
  for (int i = 1000; payload.size() + 90 + kMaxSignatures * signature.size() < kMaxDocument; ++i) {
    request.effects += "sudo as postgres uid 114: /usr/bin/psql --dbname orders" + std::to_string(i) + " ...\n";
    payload = to_payload(request);
  }
  Envelope envelope{payload, {*host.key.sign(payload, "jit-request")}};
  while (envelope.signatures.size() < kMaxSignatures)
    envelope.signatures.push_back(*SigningKey::generate()->sign(payload, "jit-request"));
  const auto text = to_text(envelope);
  REQUIRE(parse_envelope(text).has_value());
  CHECK(text.size() > kMaxDocument - 256);
  return text;
}

}  // namespace

TEST_CASE("a code is as large as its version says", "[jitctl][qr]") {
  for (std::size_t version = 1; version <= 40; ++version) {
    const auto side = 17 + 4 * version;
    const auto holds = qr_capacity(side);
    INFO(version);
    CHECK(qr_capacity(side + 3) == holds);
    CHECK(encode_qr(std::string(holds, 'A'))->side == side);
    const auto more = encode_qr(std::string(holds + 1, 'A'));
    if (version < 40) {
      CHECK(more->side == side + 4);
    } else {
      CHECK_FALSE(more.has_value());
    }
  }
  CHECK(qr_capacity(20) == 0);
  CHECK_FALSE(encode_qr("lower case").has_value());
}

TEST_CASE("a code has the terminal's size at most, and its own colours and quiet zone", "[jitctl][qr]") {
  CHECK(longest_shown(80, 24) == 154);
  CHECK(longest_shown(120, 40) == 619);
  CHECK(longest_shown(200, 60) == 1588);
  CHECK(longest_shown(80, 0) == 0);
  CHECK(longest_shown(8, 24) == 0);
  for (const auto& [columns, rows] : {std::pair<std::size_t, std::size_t>{80, 24}, {120, 40}, {200, 60}, {45, 90}}) {
    const auto code = encode_qr(std::string(longest_shown(columns, rows), 'A'));
    REQUIRE(code.has_value());
    const auto lines = lines_of(drawn(*code));
    CHECK(lines.size() < rows);
    for (const auto& line : lines) {
      CHECK(line.starts_with(kInk + "    "));
      CHECK(line.ends_with("    \x1b[0m"));
      CHECK(width(line.substr(kInk.size(), line.size() - kInk.size() - 4)) == code->side + 8);
      CHECK(code->side + 8 <= columns);
    }
    CHECK(lines.front() == kInk + std::string(code->side + 8, ' ') + "\x1b[0m");
    CHECK(lines[1] == lines.front());
    CHECK(lines[2] != lines.front());
  }
}

TEST_CASE("what is printed is read again", "[jitctl][qr][airgap]") {
  if (!can_scan()) return;
  Fixture f;
  const Host host;
  for (const auto& [columns, rows] :
       {std::pair<const char*, const char*>{"80", "24"}, {"120", "40"}, {"200", "60"}}) {
    f.environment["COLUMNS"] = columns;
    f.environment["LINES"] = rows;
    f.out.str("");
    const auto text = host.signed_request(host.request(f));
    REQUIRE(show_codes(f.context, text).has_value());
    INFO(columns << "x" << rows);
    CHECK(joined_of(scanned(f, f.out.str())) == text);
  }
  SECTION("the largest document") {
    f.environment["COLUMNS"] = "200";
    f.environment["LINES"] = "60";
    f.out.str("");
    const auto text = largest(f, host);
    REQUIRE(show_codes(f.context, text).has_value());
    CHECK(joined_of(scanned(f, f.out.str())) == text);
  }
}

TEST_CASE("the largest document fits a small terminal, code by code", "[jitctl][qr]") {
  Fixture f;
  const Host host;
  REQUIRE(show_codes(f.context, largest(f, host)).has_value());
  std::size_t height = 0;
  for (const auto& line : lines_of(f.out.str())) {
    height = line.empty() ? 0 : height + 1;
    CHECK(height <= 23);
    if (!line.empty()) CHECK(width(line.substr(kInk.size(), line.size() - kInk.size() - 4)) <= 80);
  }
  f.environment["COLUMNS"] = "30";
  const auto small = show_codes(f.context, largest(f, host));
  REQUIRE_FALSE(small.has_value());
  CHECK(small.error().message.find("30 columns and 24 rows") != std::string::npos);
}

TEST_CASE("request, approve and import by QR code alone", "[jitctl][qr][airgap]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  const auto id = id_of(sha256(parse_envelope(text)->payload));
  f.environment["COLUMNS"] = "200";
  f.environment["LINES"] = "60";
  f.daemon.answer(Verb::request, Reply{wire::Status::pending,
                                       "filed",
                                       Row().text(Tag::id, id).text(Tag::state, "pending").text(Tag::document, text),
                                       {}});
  f.daemon.answer(Verb::export_, done(Row().text(Tag::id, id).text(Tag::document, text)));
  REQUIRE(f.jitctl({"request", "dba", "-m", "why", "--qr"}) == Exit::pending);
  const auto printed = f.out.str();
  for (const auto& line : lines_of(printed)) CHECK((line.empty() || line.starts_with(kInk)));
  CHECK(f.err.str().find("jitctl approve - --qr") != std::string::npos);
  // show and export print the same.
  for (const auto* command : {"show", "export"}) {
    CHECK(f.jitctl({command, id, "--qr"}) == Exit::done);
    CHECK(f.out.str() == printed);
  }
  const auto file = f.put("r.jit", text);
  CHECK(f.jitctl({"export", file, "--qr"}) == Exit::done);
  CHECK(f.out.str() == printed);

  const auto hosts = f.put("hosts", host.trust_line());
  f.in.str(typed(text));
  REQUIRE(f.jitctl({"approve", "-", "--hosts", hosts, "--yes", "--qr"}) == Exit::done);
  for (const auto& line : lines_of(f.out.str())) CHECK((line.empty() || line.starts_with(kInk)));
  CHECK(f.err.str().find("vacuum stuck") != std::string::npos);  // what there is to judge
  for (const auto& call : f.daemon.calls) CHECK(call.first != Verb::submit);
  if (!can_scan()) return;
  std::string answer;
  for (const auto& line : scanned(f, f.out.str())) answer += line + "\n";

  std::string submitted;
  f.daemon.on(Verb::submit, [&](const Row& row) {
    submitted = row.text(Tag::document);
    return Result<Reply>(done(Row().text(Tag::id, id).text(Tag::state, "active")));
  });
  f.in.clear();
  f.in.str(answer);
  CHECK(f.jitctl({"import", "-"}) == Exit::done);
  const auto envelope = parse_envelope(submitted);
  REQUIRE(envelope.has_value());
  CHECK(envelope->payload.find("verdict = \"approve\"") != std::string::npos);
}

TEST_CASE("every command that writes a document can print it", "[jitctl][qr]") {
  Fixture f;
  const auto grant = f.root + "/g.jit";
  const std::vector<std::vector<std::string>> commands = {
      {"grant", "--user", "alice", "--role", "dba", "--on", "db1", "--for", "2h", "-m", "why"},
      {"revoke", "--user", "alice", "--on", "db1", "-m", "why"},
      {"lock", "alice", "--on", "db1", "-m", "why"},
      {"unlock", "--lock", "sha256:" + std::string(64, 'a'), "--on", "db1", "-m", "why"},
      {"sign", grant, "--yes"}};
  for (auto command : commands) {
    INFO(command[0]);
    if (command[0] == "sign") {
      auto written = commands[0];
      written.insert(written.end(), {"-o", grant});
      REQUIRE(f.jitctl(written) == Exit::done);
    }
    command.emplace_back("--qr");
    CHECK(f.jitctl(command) == Exit::done);
    REQUIRE_FALSE(f.out.str().empty());
    for (const auto& line : lines_of(f.out.str())) CHECK((line.empty() || line.starts_with(kInk)));
    // On standard output a document is codes or text, never both.
    const auto printed = lines_of(f.out.str()).size();
    command.insert(command.end(), {"-o", "-"});
    CHECK(f.jitctl(command) == Exit::done);
    CHECK(lines_of(f.out.str()).size() == printed);
    for (const auto& line : lines_of(f.out.str())) CHECK((line.empty() || line.starts_with(kInk)));
    command.emplace_back("--json");
    CHECK(f.jitctl(command) == Exit::usage);
    CHECK(f.out.str().empty());
  }
  SECTION("into a file as well") {
    auto command = commands[1];
    command.insert(command.end(), {"--qr", "-o", f.root + "/r.jit"});
    CHECK(f.jitctl(command) == Exit::done);
    CHECK(parse_envelope(Fixture::get(f.root + "/r.jit")).has_value());
    CHECK(f.out.str().starts_with(kInk));
  }
  SECTION("sign leaves the file alone then") {
    const auto before = Fixture::get(grant);
    CHECK(f.jitctl({"sign", grant, "--yes", "--qr"}) == Exit::done);
    CHECK(Fixture::get(grant) == before);
  }
  SECTION("one document at a time") {
    CHECK(f.jitctl({"export", "--all", "--qr"}) == Exit::usage);
    CHECK(f.jitctl({"export", "abcd", "--to", f.root, "--qr"}) == Exit::usage);
  }
}

TEST_CASE("codes wait for somebody on a terminal, and for nobody else", "[jitctl][qr]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  const auto count = split_into_pieces(text, longest_shown(80, 24))->size();
  REQUIRE(count > 3);
  REQUIRE(show_codes(f.context, text).has_value());
  CHECK(f.err.str().empty());
  const auto height = lines_of(f.out.str()).size() / count - 1;

  const auto shown_with = [&](const std::string& keys) {
    f.answers(keys);
    f.out.str("");
    f.err.str("");
    REQUIRE(show_codes(f.context, text).has_value());
    return count_of(f.out.str(), "\n") / height;
  };
  CHECK(shown_with(std::string(count, '\n')) == count);
  CHECK(f.err.str().find("code 2 of " + std::to_string(count)) != std::string::npos);
  CHECK(f.err.str().find("smaller font") < f.err.str().find("code 2"));
  CHECK(shown_with("\n\n1\n" + std::string(count, '\n')) == count + 3);  // back to the first from the third
  CHECK(shown_with("\n") == 2);                                          // the end of input stops
  CHECK(shown_with("99999\nno\n") == 3);
  SECTION("a single code needs no waiting") {
    f.context.columns = 200;
    f.context.rows = 90;
    f.answers("");
    f.err.str("");
    REQUIRE(show_codes(f.context, text).has_value());
    CHECK(f.err.str().empty());
  }
}
