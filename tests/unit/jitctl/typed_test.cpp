// What comes in on standard input: documents, and pieces of them as a scanner types them.
#include "jitctl/typed.hpp"

#include "jitctl/paper.hpp"
#include "policy/document/pieces.hpp"
#include "policy/document/verify.hpp"
#include "tests/unit/jitctl/fixture.hpp"
#include "tests/unit/jitctl/host.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

std::vector<std::string> pieces_of(const std::string& document) {
  const auto pieces = split_into_pieces(document, 250);
  REQUIRE(pieces.has_value());
  REQUIRE(pieces->size() > 3);
  return *pieces;
}

std::string typed(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

std::string exchanged(std::string line) {
  for (char& byte : line) byte = byte == 'Y' ? 'Z' : byte == 'Z' ? 'Y' : byte;
  return line;
}

bool says(const Fixture& f, const std::string& part) {
  INFO(f.err.str());
  return f.err.str().find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("standard input is a document or its pieces", "[jitctl][typed][airgap]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  const auto lines = pieces_of(text);
  const auto read = [&](const std::string& input) {
    f.in.clear();
    f.in.str(input);
    return read_document(f.context, "-");
  };
  CHECK(read(text).value() == text);
  CHECK(read("\n \n" + text).value() == "\n \n" + text);  // the envelope's matter
  CHECK(read("").value().empty());
  CHECK(read("\n\n").value() == "\n\n");
  CHECK(read(typed(lines)).value() == text);
  CHECK(read("\n\n" + typed(lines)).value() == text);
  CHECK(f.err.str().empty());
  // As pieces it reads no further than it needs.
  CHECK(read(typed(lines) + "y\n").value() == text);
  std::string rest;
  std::getline(f.in, rest);
  CHECK(rest == "y");
  // The last without a line end.
  auto cut = typed(lines);
  cut.pop_back();
  CHECK(read(cut).value() == text);
  // A document that speaks of pieces is none.
  CHECK(read("# notes\n" + typed(lines)).value() == "# notes\n" + typed(lines));
}

TEST_CASE("typed pieces that do not read are named and left out", "[jitctl][typed]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  auto lines = pieces_of(text);
  const auto third = lines[2];
  lines[2] = exchanged(third);
  f.in.str(typed(lines));
  const auto without = read_document(f.context, "-");
  REQUIRE_FALSE(without.has_value());
  CHECK(without.error().message == "standard input: piece 3 of " + std::to_string(lines.size()) + " is missing");
  CHECK(f.err.str() ==
        "jitctl: line 3 does not read: is the scanner set to another keyboard layout? Y and Z are exchanged\n");
  lines.push_back(third);
  f.in.clear();
  f.in.str(typed(lines));
  CHECK(read_document(f.context, "-").value() == text);
  // Nothing raw of it reaches the terminal.
  f.err.str("");
  f.in.clear();
  f.in.str("JITP1 \x1b[31m\xff\n");
  CHECK_FALSE(read_document(f.context, "-").has_value());
  CHECK(says(f, "line 1 does not read"));
  CHECK(f.err.str().find('\x1b') == std::string::npos);
}

TEST_CASE("standard input is bounded", "[jitctl][typed]") {
  Fixture f;
  const Host host;
  const auto lines = pieces_of(host.signed_request(host.request(f)));
  f.in.str(std::string(kMaxDocument + 1, 'a'));
  CHECK(read_document(f.context, "-").error().message.find("larger than a document") != std::string::npos);
  f.in.clear();
  f.in.str(std::string(kMaxDocument, '\n') + typed(lines));
  CHECK_FALSE(read_document(f.context, "-").has_value());
  f.in.clear();
  f.in.str(lines[0] + "\n" + std::string(2 << 20, 'a') + "\n" + typed(lines));
  CHECK(read_document(f.context, "-").error().message.find("more than 1048576 bytes") != std::string::npos);
}

TEST_CASE("on a terminal it says what it waits for", "[jitctl][typed]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  const auto lines = pieces_of(text);
  const auto all = std::to_string(lines.size());
  f.answers(lines[1] + "\n" + lines[1] + "\n\n" + typed(lines));
  CHECK(read_document(f.context, "-").value() == text);
  CHECK(says(f, "scan its codes"));
  CHECK(says(f, "scan: 1 of " + all + " is here\nscan: 1 of " + all + " is here\nscan: 2 of " + all + " are here\n"));
  CHECK(says(f, "scan: " + all + " of " + all + " are here\n"));
}

TEST_CASE("Ctrl-D ends what was pasted, and not the terminal", "[jitctl][typed]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  f.answers(text);
  CHECK(read_document(f.context, "-").value() == text);
  CHECK(f.in.good());
  f.answers(pieces_of(text)[0] + "\n");
  CHECK_FALSE(read_document(f.context, "-").has_value());
  CHECK(f.in.good());
  // Elsewhere the end is the end.
  f.context.in_terminal = false;
  f.in.str(text);
  CHECK(read_document(f.context, "-").value() == text);
  CHECK(f.in.eof());
}

TEST_CASE("a code cannot go on and say yes", "[jitctl][typed][airgap][P1]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  const auto hosts = f.put("hosts", host.trust_line());
  const auto answer = f.root + "/a.jit";
  const std::vector<std::string> approve = {"approve", "-", "--hosts", hosts, "-o", answer};
  SECTION("behind pieces") {
    for (const auto* yes : {"y\n", "yes\n", "\x15y\n", "1234\n", "\n4827\n", "4827 \n", ""}) {
      f.answers(typed(pieces_of(text)) + yes);
      CHECK(f.jitctl(approve) == Exit::failed);
      CHECK(says(f, "Approve exactly this? For yes type 4827: "));
      CHECK_FALSE(std::filesystem::exists(answer));
    }
    CHECK(f.spawn.requests.empty());
    f.answers(typed(pieces_of(text)) + "4827\n");
    CHECK(f.jitctl(approve) == Exit::done);
    CHECK(std::filesystem::exists(answer));
  }
  SECTION("nor behind a whole document, and sign asks the same") {
    const auto grant = f.root + "/g.jit";
    REQUIRE(f.jitctl({"grant", "--user", "alice", "--role", "dba", "--on", "db1", "--for", "2h", "-m", "why", "-o",
                      grant}) == Exit::done);
    f.spawn.requests.clear();
    f.answers(typed(pieces_of(Fixture::get(grant))) + "y\n");
    CHECK(f.jitctl({"sign", "-", "-o", answer}) == Exit::failed);
    CHECK(f.spawn.requests.empty());
    f.answers(typed(pieces_of(Fixture::get(grant))) + "4827\n");
    CHECK(f.jitctl({"sign", "-", "-o", answer}) == Exit::done);
  }
  SECTION("digits are not always the same") {
    std::vector<std::string> seen;
    for (int i = 0; i < 20; ++i) {
      const auto digits = random_digits();
      CHECK(digits.size() == 4);
      CHECK(digits.find_first_not_of("0123456789") == std::string::npos);
      seen.push_back(digits);
    }
    CHECK(std::count(seen.begin(), seen.end(), seen[0]) < 20);
  }
}

TEST_CASE("verify, payload and unlock take pieces as well", "[jitctl][typed]") {
  Fixture f;
  const Host host;
  const auto text = host.signed_request(host.request(f));
  const auto hosts = f.put("hosts", host.trust_line());
  const auto with = [&](const std::vector<std::string>& arguments) {
    f.in.clear();
    f.in.str(typed(pieces_of(text)));
    return f.jitctl(arguments);
  };
  CHECK(with({"verify", "-", "--hosts", hosts}) == Exit::done);
  CHECK(f.out.str().find("vacuum stuck") != std::string::npos);
  CHECK(with({"payload", "-"}) == Exit::done);
  CHECK(f.out.str() == parse_envelope(text)->payload);
  CHECK(with({"unlock", "--lock", "-", "--on", "db1", "-m", "why", "-o", "-"}) == Exit::done);
}
