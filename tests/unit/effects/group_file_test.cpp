#include "jitd/effects/group_file.hpp"

#include <rapidcheck.h>

#include "policy/text.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

const std::string kGroup =
    "root:x:0:\n"
    "# a comment:x:115:\n"
    "\n"
    "+nis:::\n"
    "postgres:x:115:carol\n"
    "broken:x\n"
    "dba:x:116:alice,bob";  // no newline at the end
const std::string kShadow = "root:*::\npostgres:!::carol\ndba:!:carol:alice,bob\n";

GroupEdits edit(const std::string& group, const std::string& shadow, const std::vector<MembershipEdit>& edits) {
  auto done = edit_groups(group, shadow, edits);
  REQUIRE(done);
  return std::move(*done);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("a member is added and taken away, in both files, and nothing else changes", "[effects][group_file]") {
  const auto with = edit(kGroup, kShadow, {{"postgres", 115, "alice", true}});
  CHECK(with.results == std::vector{EditResult::changed});
  CHECK(with.group_text == replaced(kGroup, ":carol\n", ":carol,alice\n"));
  CHECK(with.gshadow_text == replaced(kShadow, "::carol\n", "::carol,alice\n"));
  const auto without = edit(with.group_text, with.gshadow_text, {{"postgres", 115, "alice", false}});
  CHECK(without.group_text == kGroup);
  CHECK(without.gshadow_text == kShadow);

  const auto last = edit(kGroup, kShadow, {{"dba", 116, "alice", false}, {"dba", 116, "bob", false}});
  CHECK(last.group_text == replaced(kGroup, "116:alice,bob", "116:"));
  CHECK(last.gshadow_text == replaced(kShadow, ":carol:alice,bob", ":carol:"));
}

TEST_CASE("what is so already, gone, renumbered or malformed is left alone", "[effects][group_file]") {
  const auto done = edit(kGroup, kShadow,
                         {{"postgres", 115, "carol", true},
                          {"postgres", 115, "dave", false},
                          {"none", 1, "alice", true},
                          {"postgres", 116, "alice", true},
                          {"dba", 115, "alice", false},
                          {"broken", 1, "alice", true},
                          {"a comment", 115, "alice", true}});
  using R = EditResult;
  CHECK(done.results ==
        std::vector{R::already, R::already, R::no_group, R::other_gid, R::other_gid, R::malformed, R::no_group});
  CHECK(done.group_text == kGroup);
  CHECK(done.gshadow_text == kShadow);
  CHECK_FALSE(done.group_changed);
  CHECK_FALSE(done.gshadow_changed);
}

TEST_CASE("where a member of a renamed or renumbered group stands now", "[effects][group_file]") {
  using Moved = std::vector<MovedGroup>;
  const std::string text = "a:x:5:u\nb:x:6:u,v\nc:x:5:v,u\nbroken:5:u\n c:x:5:u\n#d:x:5:u\n";
  CHECK(moved_groups(text, "a", 5, "u") == Moved{{"c", 5}});
  CHECK(moved_groups(text, "a", 9, "u") == Moved{{"a", 5}});
  CHECK(moved_groups(text, "b", 5, "u") == Moved{{"a", 5}, {"b", 6}, {"c", 5}});
  CHECK(moved_groups(text, "b", 5, "w").empty());
  CHECK(moved_groups(text, "z", 6, "v") == Moved{{"b", 6}});
  CHECK(moved_groups("", "z", 6, "v").empty());
}

TEST_CASE("the first line of a name that can be read is the group", "[effects][group_file]") {
  CHECK(is_member("g:x:5:a\ng:x:5:b\n", "g", "a"));
  CHECK_FALSE(is_member("g:x:5:a\ng:x:5:b\n", "g", "b"));
  CHECK(is_member("g:x\ng:x:5:b\n", "g", "b"));
  CHECK(edit("g:x:5:a\ng:x:6:b\n", "", {{"g", 6, "b", false}}).results[0] == EditResult::other_gid);
  CHECK(edit("g:x\ng:x:5:\n", "", {{"g", 5, "u", true}}).group_text == "g:x\ng:x:5:u\n");
  // Behind blanks: a group to nss_files, none to shadow-utils.
  CHECK(edit(" g:x:5:\ng:x:6:\n", "", {{"g", 6, "u", true}}).results[0] == EditResult::malformed);
  // A gid that only some read as a number.
  for (const char* gid : {"05", "+5", "0x5", " 5", "5 ", "", "-1", "4294967296"}) {
    INFO(gid);
    CHECK(edit(std::string("g:x:") + gid + ":\n", "", {{"g", 5, "u", true}}).results[0] == EditResult::malformed);
  }
}

TEST_CASE("gshadow is kept in step where the group has a line there", "[effects][group_file]") {
  CHECK(edit(kGroup, "", {{"dba", 116, "u", true}}).gshadow_text.empty());
  CHECK(edit(kGroup, "root:*::\n", {{"dba", 116, "u", true}}).gshadow_text == "root:*::\n");
  CHECK(edit(kGroup, "dba:!\n", {{"dba", 116, "u", true}}).gshadow_text == "dba:!\n");
  // A crash between the two files left a name in gshadow alone: the removal cleans it.
  const auto cleaned =
      edit(kGroup, replaced(kShadow, "::carol\n", "::carol,alice\n"), {{"postgres", 115, "alice", false}});
  CHECK(cleaned.results[0] == EditResult::already);
  CHECK(cleaned.gshadow_text == kShadow);
  CHECK_FALSE(cleaned.group_changed);
  CHECK(cleaned.gshadow_changed);
  // A membership of somebody else's doing is not ours to complete.
  const auto foreign = edit(kGroup, replaced(kShadow, "::carol\n", "::\n"), {{"postgres", 115, "carol", true}});
  CHECK_FALSE(foreign.gshadow_changed);
}

TEST_CASE("a name that could not stand in the file is an error", "[effects][group_file]") {
  for (const std::string& name :
       {std::string(), std::string("a,b"), std::string("a:b"), std::string("a\nb"), std::string("-a"),
        std::string("+a"), std::string("#a"), std::string("a\0b", 3), std::string("../a"), std::string(300, 'a')}) {
    INFO(shown(name));
    CHECK_FALSE(edit_groups(kGroup, kShadow, {{"dba", 116, name, true}}));
    CHECK_FALSE(edit_groups(kGroup, kShadow, {{name, 116, "alice", true}}));
  }
  CHECK(edit(kGroup, kShadow, {{"dba", 116, "DOM\\first.last@corp", true}}).results[0] == EditResult::changed);
}

TEST_CASE("for any files, taking away what was added gives the same bytes", "[effects][group_file]") {
  const auto name = rc::gen::element<std::string>("a", "b", "ab", "", " a", "a b");
  const auto list =
      rc::gen::map(rc::gen::container<std::vector<std::string>>(name), [](const std::vector<std::string>& names) {
        std::string out;
        for (const auto& one : names) out += (out.empty() ? "" : ",") + one;
        return out;
      });
  const auto line =
      rc::gen::oneOf(rc::gen::map(rc::gen::tuple(rc::gen::element<std::string>("g", "h", "#g", "+g", " g"),
                                                 rc::gen::element<std::string>("5", "6", "05", "x"), list),
                                  [](const auto& parts) {
                                    return std::get<0>(parts) + ":x:" + std::get<1>(parts) + ":" + std::get<2>(parts);
                                  }),
                     rc::gen::element<std::string>("", "g", "g:x:5", "g:x:5:a:b", ":::", "g::::", "\xff\x01", "#"));
  const auto file =
      rc::gen::map(rc::gen::container<std::vector<std::string>>(line), [](const std::vector<std::string>& lines) {
        std::string out;
        for (const auto& one : lines) out += one + "\n";
        return out;
      });
  const bool held = rc::check([&] {
    const std::string group = *file + *rc::gen::element<std::string>("", "tail", "g:x:5:a");
    const std::string shadow = *file;
    const std::string user = *rc::gen::element<std::string>("a", "b", "new");
    const auto with = edit_groups(group, shadow, {{"g", 5, user, true}}).value();
    const bool before = is_member(group, "g", user);
    RC_CLASSIFY(with.results[0] == EditResult::changed);
    if (with.results[0] != EditResult::changed) {
      RC_ASSERT(with.group_text == group);
      RC_ASSERT(with.gshadow_text == shadow);
      return;
    }
    RC_ASSERT(!before);
    RC_ASSERT(is_member(with.group_text, "g", user));
    // Only one line of each file is another one.
    const auto old_lines = split(group, '\n');
    const auto new_lines = split(with.group_text, '\n');
    RC_ASSERT(old_lines.size() == new_lines.size());
    int changed = 0;
    for (std::size_t i = 0; i < old_lines.size(); ++i) changed += old_lines[i] != new_lines[i] ? 1 : 0;
    RC_ASSERT(changed == 1);
    const auto without = edit_groups(with.group_text, with.gshadow_text, {{"g", 5, user, false}}).value();
    RC_ASSERT(without.group_text == group);
    if (with.gshadow_changed) RC_ASSERT(without.gshadow_text == shadow);
  });
  CHECK(held);
}

TEST_CASE("edits in one pass come to what they do one after the other", "[effects][groups]") {
  const bool held = rc::check([] {
    const std::string list = *rc::gen::element<std::string>("", "a", "a,", ",a", "a,,b", " a,b", "a,a", "b,a,c");
    const auto wishes = *rc::gen::container<std::vector<std::pair<std::string, bool>>>(
        rc::gen::pair(rc::gen::element<std::string>("a", "b", "c"), rc::gen::arbitrary<bool>()));
    const std::string file = "g:x:5:" + list + "\nh:x:6:a\n";
    const std::string shadow = "g:!::" + list + "\n";
    std::vector<MembershipEdit> edits;
    std::vector<EditResult> results;
    std::string group = file;
    std::string gshadow = shadow;
    for (const auto& [user, member] : wishes) {
      edits.push_back({"g", 5, user, member});
      const auto one = edit_groups(group, gshadow, {edits.back()}).value();
      group = one.group_text;
      gshadow = one.gshadow_text;
      results.push_back(one.results[0]);
    }
    const auto all = edit_groups(file, shadow, edits).value();
    RC_ASSERT(all.results == results);
    RC_ASSERT(all.group_text == group);
    RC_ASSERT(all.gshadow_text == gshadow);
  });
  CHECK(held);
}
