// Documents as lines that a scanner types: they come back whole, or something says what is wrong.
#include "policy/document/pieces.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <cctype>

#include "policy/document/envelope.hpp"
#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

using Taken = Pieces::Taken;

std::vector<std::string> pieces_of(std::string_view file, std::size_t longest) {
  const auto pieces = split_into_pieces(file, longest);
  if (!pieces) FAIL(pieces.error().message);
  return *pieces;
}

// The error of a line that is not taken, "" when it is.
std::string complaint(Pieces& pieces, std::string_view line) {
  const auto taken = pieces.take(line);
  return taken ? "" : taken.error().message;
}

bool says(const std::string& message, std::string_view part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

std::string random_file() {
  const auto size = *rc::gen::oneOf(rc::gen::inRange<std::size_t>(1, 64), rc::gen::inRange<std::size_t>(1, 4000));
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  std::string file;
  while (file.size() < size) {
    const auto digest = sha256(std::to_string(seed) + std::to_string(file.size()));
    file.append(digest.bytes.begin(), digest.bytes.end());
  }
  return file.substr(0, size);
}

std::string exchanged(std::string line, char a, char b) {
  for (char& byte : line) byte = byte == a ? b : byte == b ? a : byte;
  return line;
}

// Two documents' worth of text, of which each line of 60 characters has a few bytes.
const std::string kFile = vector_file("rsa3072.sig");

}  // namespace

TEST_CASE("base32 is RFC 4648's", "[document][pieces]") {
  // Section 10, without the padding.
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "MY"},
                                                                    {"fo", "MZXQ"},
                                                                    {"foo", "MZXW6"},
                                                                    {"foob", "MZXW6YQ"},
                                                                    {"fooba", "MZXW6YTB"},
                                                                    {"foobar", "MZXW6YTBOI"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(to_base32(bytes) == text);
    CHECK(from_base32(text).value() == bytes);
  }
  for (const auto* bad : {"M", "MZX", "MZXW6Y", "MZ", "MZXR", "my", "M1", "MY======", "M ", "MZXW6YTBO"}) {
    INFO(bad);
    CHECK_FALSE(from_base32(bad).has_value());
  }
  CHECK(rc::check("any bytes", [](const std::string& bytes) {
    const auto back = from_base32(to_base32(bytes));
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == bytes);
  }));
}

TEST_CASE("a document comes back from its pieces in any order, twice, in either case, between other lines",
          "[document][pieces]") {
  CHECK(rc::check("split and join", [] {
    const auto file = random_file();
    const auto longest = *rc::gen::inRange<std::size_t>(60, 400);
    const auto split = split_into_pieces(file, longest);
    RC_ASSERT(split.has_value());
    std::vector<std::string> lines = *split;
    for (const auto& line : lines) {
      RC_ASSERT(line.size() <= longest);
      RC_ASSERT(line.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") == std::string::npos);
    }
    // Some come twice, some as another keyboard or program would have them.
    for (const auto& again : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 99))) {
      auto line = lines[again % split->size()];
      if (again % 3 == 0) {
        std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::tolower(c); });
      } else if (again % 3 == 1) {
        line.insert(line.find(' '), " \t");
        line = "  " + line + "\r\n";
      }
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(again % lines.size()), line);
    }
    for (std::size_t i = lines.size(); i > 1; --i)
      std::swap(lines[i - 1], lines[*rc::gen::inRange<std::size_t>(0, i)]);
    Pieces pieces;
    for (const auto& line : lines) {
      RC_ASSERT(pieces.take("a note in between").value() == Taken::other_line);
      RC_ASSERT(pieces.take("").value() == Taken::other_line);
      const auto taken = pieces.take(line);
      RC_ASSERT(taken.has_value());
      RC_ASSERT(*taken != Taken::other_line);
    }
    RC_ASSERT(pieces.complete());
    RC_ASSERT(pieces.have() == split->size());
    RC_ASSERT(pieces.missing().empty());
    RC_ASSERT(pieces.join().value() == file);
  }));
}

TEST_CASE("damaged pieces never join to something else", "[document][pieces]") {
  CHECK(rc::check("damage", [] {
    const auto file = random_file();
    auto lines = *split_into_pieces(file, *rc::gen::inRange<std::size_t>(40, 200));
    const auto damages = *rc::gen::inRange(1, 5);
    for (int i = 0; i < damages; ++i) {
      auto& line = lines[*rc::gen::inRange<std::size_t>(0, lines.size())];
      const auto at = *rc::gen::inRange<std::size_t>(0, line.size());
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
          line[at] = *rc::gen::elementOf(std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "));
          break;
        case 1:
          line[at] = *rc::gen::arbitrary<char>();
          break;
        case 2:
          line.erase(at, *rc::gen::inRange<std::size_t>(1, 5));
          break;
        default:
          line.insert(at, 1, *rc::gen::elementOf(std::string("AZ27 ")));
      }
      if (line.empty()) line = "x";
    }
    Pieces pieces;
    for (const auto& line : lines) static_cast<void>(pieces.take(line));
    const auto joined = pieces.join();
    if (joined) RC_ASSERT(*joined == file);
    if (!joined) RC_ASSERT(!joined.error().message.empty());
  }));
  // Every single character matters.
  const auto line = pieces_of("a short document\n", 100).at(0);
  for (std::size_t at = 0; at < line.size(); ++at) {
    auto bad = line;
    bad[at] = bad[at] == 'Q' ? 'R' : 'Q';
    INFO(bad);
    Pieces pieces;
    const auto taken = pieces.take(bad);
    CHECK_FALSE((taken && *taken != Taken::other_line));
    CHECK_FALSE(pieces.complete());
  }
}

TEST_CASE("a piece that was mistyped is refused, with what may be wrong", "[document][pieces]") {
  const auto lines = pieces_of(kFile, 154);
  REQUIRE(lines.size() > 2);
  REQUIRE(lines[0].find_first_of("YZ") != std::string::npos);
  Pieces pieces;
  CHECK(complaint(pieces, exchanged(lines[0], 'Y', 'Z')) ==
        "does not read: is the scanner set to another keyboard layout? Y and Z are exchanged");
  // A French keyboard types & for an unshifted 1.
  CHECK(says(complaint(pieces, exchanged(lines[0], '1', '&')), "another keyboard layout? There is & in it"));
  CHECK(complaint(pieces, lines[0].substr(0, lines[0].size() - 9)) == "does not read: scan it again");
  CHECK(says(complaint(pieces, "JITP1 \x1b[31m"), "There is \\x1b in it"));
  CHECK(pieces.count() == 0);

  CHECK(
      says(complaint(pieces, "JITP2" + lines[0].substr(5)), "is of format JITP2, which this release does not know"));
  CHECK(says(complaint(pieces, "JITP1 " + std::string(5000, 'A')), "too long"));
  CHECK(pieces.take("jit = 1").value() == Taken::other_line);

  // None of this gets in the way of the right ones.
  for (const auto& line : lines) CHECK(pieces.take(line).value() == Taken::taken);
  CHECK(pieces.join().value() == kFile);
}

TEST_CASE("numbers that make no sense do not read, whatever their check says", "[document][pieces]") {
  const auto sealed = [](const std::string& line) {
    const auto digest = sha256(line);
    return line + " " + to_base32(std::string(digest.bytes.begin(), digest.bytes.end())).substr(0, 4);
  };
  const auto taken = [&](const std::string& line) {
    Pieces pieces;
    return pieces.take(sealed(line)).has_value();
  };
  CHECK(taken("JITP1 ABCDEFGH 1 2 MY"));
  for (const auto* bad :
       {"JITP1 ABCDEFGH 0 2 MY", "JITP1 ABCDEFGH 3 2 MY", "JITP1 ABCDEFGH 1 0 MY", "JITP1 ABCDEFGH 01 2 MY",
        "JITP1 ABCDEFGH 1 1000 MY", "JITP1 ABCDEFGH 1 99999999999999999999 MY", "JITP1 ABCDEFG 1 2 MY",
        "JITP1 ABCDEFGH 1 2", "JITP1 ABCDEFGH 1 2 MY MY", "JITP1 ABCDEFGH A 2 MY"}) {
    INFO(bad);
    CHECK_FALSE(taken(bad));
  }
  // Every check right, and still not the document that the id names.
  Pieces pieces;
  CHECK(pieces.take(sealed("JITP1 ABCDEFGH 1 1 MZXW6YTBOI")).value() == Taken::taken);
  CHECK(pieces.complete());
  CHECK(says(pieces.join().error().message, "not the document ABCDEFGH"));
}

TEST_CASE("what is missing is named", "[document][pieces]") {
  const auto lines = pieces_of(kFile, 60);
  REQUIRE(lines.size() > 20);
  const auto all = std::to_string(lines.size());
  Pieces pieces;
  CHECK(says(pieces.join().error().message, "no piece"));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i != 1 && i != 4 && i != 6) CHECK(pieces.take(lines[i]).value() == Taken::taken);
  }
  CHECK(pieces.join().error().message == "pieces 2, 5 and 7 of " + all + " are missing");
  CHECK(pieces.take(lines[1]).value() == Taken::taken);
  CHECK(pieces.take(lines[1]).value() == Taken::again);
  CHECK(pieces.take(lines[4]).value() == Taken::taken);
  CHECK(pieces.join().error().message == "piece 7 of " + all + " is missing");
  CHECK(pieces.have() + 1 == pieces.count());

  Pieces one;
  CHECK(one.take(lines.back()).value() == Taken::taken);
  CHECK(one.missing() == "pieces 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and " + std::to_string(lines.size() - 11) +
                             " more of " + all + " are missing");
}

TEST_CASE("pieces of something else are told apart", "[document][pieces]") {
  const auto lines = pieces_of(kFile, 154);
  const auto others = pieces_of(kFile + "x", 154);
  const auto smaller = pieces_of(kFile, 100);
  Pieces pieces;
  CHECK(pieces.take(lines[0]).value() == Taken::taken);
  CHECK(says(complaint(pieces, others[1]), "is piece 2 of another document ("));
  CHECK(says(complaint(pieces, smaller[1]), "scan all of one showing"));
  for (const auto& line : lines) CHECK(pieces.take(line).has_value());
  CHECK(pieces.join().value() == kFile);
}

TEST_CASE("pieces are bounded", "[document][pieces]") {
  const std::string most(kMaxDocument, '\xff');
  for (const std::size_t longest : {std::size_t{85}, std::size_t{154}, std::size_t{4296}, SIZE_MAX}) {
    Pieces pieces;
    for (const auto& line : pieces_of(most, longest)) {
      CHECK(line.size() <= std::min(longest, kMaxPiece));
      CHECK(pieces.take(line).value() == Taken::taken);
    }
    CHECK(pieces.join().value() == most);
  }
  CHECK_FALSE(split_into_pieces(most + "x", 154).has_value());
  CHECK_FALSE(split_into_pieces("", 154).has_value());
  // 999 pieces do not hold it.
  CHECK(says(split_into_pieces(most, 60).error().message, "999 pieces"));
  for (std::size_t longest = 0; longest < 40; ++longest) {
    const auto pieces = split_into_pieces("a document\n", longest);
    if (!pieces) continue;
    for (const auto& line : *pieces) CHECK(line.size() <= longest);
  }
  // Pieces that claim to be more than a document can be are not kept.
  Pieces pieces;
  std::string error;
  for (int i = 1; i <= 20 && error.empty(); ++i) {
    const auto line = "JITP1 ABCDEFGH " + std::to_string(i) + " 20 " + std::string(3900, 'A');
    const auto digest = sha256(line);
    error =
        complaint(pieces, line + " " + to_base32(std::string(digest.bytes.begin(), digest.bytes.end())).substr(0, 4));
  }
  CHECK(says(error, "more than a document can be"));
}
