// P8 and P9: who sees what, and what the chain says.
#include <algorithm>

#include "jitd/core/line_budget.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

std::vector<std::string> listed(World& world, std::uint32_t uid, bool all, bool ended = false) {
  std::vector<std::string> ids;
  world.engine->list({uid, std::nullopt, 1}, all, ended, [&](Result<std::vector<GrantView>> views) {
    REQUIRE(views);
    for (const GrantView& view : *views) ids.push_back(view.record.id);
  });
  return ids;
}

std::vector<std::string> waiting(World& world, std::uint32_t uid) {
  std::vector<std::string> ids;
  world.engine->pending({uid, std::nullopt, 1}, [&](Result<std::vector<GrantView>> views) {
    REQUIRE(views);
    for (const GrantView& view : *views) ids.push_back(view.record.id);
  });
  return ids;
}

std::string why_not_shown(World& world, std::uint32_t uid, const std::string& id) {
  std::string why;
  world.engine->show({uid, std::nullopt, 1}, id, [&](Result<GrantView> view) {
    if (!view) why = view.error().message;
  });
  return why;
}

}  // namespace

TEST_CASE("P8: a user sees their own, approvers their roles', revokers and root all", "[core][engine]") {
  World world;
  const std::string alice = world.active(kAlice, "dba").id;
  const std::string bob = world.asked(kBob, "auto").id;
  const std::string waits = world.asked(kBob, "dba").id;
  using Ids = std::vector<std::string>;
  CHECK(listed(world, kAlice, false) == Ids{alice});
  CHECK(listed(world, kAlice, true) == Ids{alice});
  CHECK(listed(world, kBob, true).size() == 2);
  CHECK(listed(world, kDave, false).empty());
  CHECK(listed(world, kDave, true).size() == 2);  // approves dba, not auto
  CHECK(listed(world, kErin, true).size() == 3);
  CHECK(listed(world, 0, false).size() == 3);
  CHECK(listed(world, kDeploy, true).empty());
  CHECK(waiting(world, kDave) == Ids{waits});
  CHECK(waiting(world, kErin).empty());
  CHECK(waiting(world, kBob).empty());
  CHECK(waiting(world, 0) == Ids{waits});
  CHECK(world.shown_to(kDave, waits)->reviewable);
  CHECK_FALSE(world.shown_to(0, waits)->reviewable);
  CHECK_FALSE(world.shown_to(kBob, waits)->reviewable);
  CHECK(world.shown_to(kBob, waits)->waiting_for == Ids{"dba-leads: 1 of carol, dave"});
  CHECK(world.shown_to(kAlice, alice)->signers.size() == 1);
  // absent and forbidden alike
  std::string forbidden = why_not_shown(world, kAlice, bob),
              absent = why_not_shown(world, kAlice, "0123456789abcdef");
  REQUIRE_FALSE(forbidden.empty());
  forbidden.replace(forbidden.find(bob), 16, "ID");
  absent.replace(absent.find("0123456789abcdef"), 16, "ID");
  CHECK(forbidden == absent);
  CHECK(world.request_refused(kAlice, "nosuch").size() == world.request_refused(kErin, "never").size() + 1);
}

TEST_CASE("P8: an approver does not see their own wish as reviewable, nor one behind sudo", "[core][engine]") {
  World world;
  const std::string own = world.asked(kDave, "dba").id;
  CHECK(waiting(world, kDave).empty());
  CHECK(waiting(world, kCarol) == std::vector<std::string>{own});
  CHECK_FALSE(world.shown_to(kDave, own)->reviewable);
}

TEST_CASE("P8: a recycled uid sees nothing of the user before", "[core][engine]") {
  World world;
  const std::string id = world.active(kAlice, "dba").id;
  world.questions.accounts.erase("alice");
  world.questions.accounts["newbie"] = {"newbie", kAlice, 100, {"users"}};
  CHECK(listed(world, kAlice, true, true).empty());
  CHECK_FALSE(world.shown_to(kAlice, id));
}

TEST_CASE("ids by prefix, either case, ambiguous ones named among what is visible", "[core][engine]") {
  World world;
  const std::string id = world.asked(kAlice, "dba").id;
  CHECK(world.shown_to(kAlice, id.substr(0, 4)));
  std::string upper = id;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(world.shown_to(kAlice, upper));
  CHECK_FALSE(world.shown_to(kAlice, id.substr(0, 3)));
  CHECK_FALSE(world.shown_to(kAlice, ""));
}

TEST_CASE("ended grants stay visible to those who may see them, also across a restart", "[core][engine]") {
  World world;
  const std::string id = world.asked(kBob, "auto", kMinute).id;
  world.pass(60);
  CHECK(listed(world, kBob, false).empty());
  CHECK(listed(world, kBob, false, true) == std::vector<std::string>{id});
  world.restart();
  CHECK(listed(world, kBob, false, true) == std::vector<std::string>{id});
  CHECK(world.shown_to(kBob, id)->record.why == "expired");
  CHECK_FALSE(world.shown_to(kAlice, id));
}

TEST_CASE("roles: what the caller may ask for, and what it takes", "[core][engine]") {
  World world;
  std::vector<RoleView> roles;
  const auto keep = [&](Result<std::vector<RoleView>> got) { roles = *got; };
  world.engine->roles({kBob, std::nullopt, 1}, keep);
  REQUIRE(roles.size() == 3);
  CHECK(roles[0].name == "auto");
  CHECK(roles[0].rule == "approved by itself");
  CHECK(roles[1].name == "both");
  CHECK(roles[1].rule == "needs dba-leads (1) and security (1)");
  CHECK(roles[2].limit == kHour * 4);
  const std::string id = world.asked(kBob, "auto").id;
  world.engine->roles({kBob, std::nullopt, 1}, keep);
  CHECK(roles[0].grant == id);
  world.engine->roles({0, std::nullopt, 1}, keep);
  CHECK(roles.size() == 5);
}

TEST_CASE("a role that a ticket opens says so", "[core][engine]") {
  World world;
  world.policy_text +=
      "\n[roles.ticketed]\neligible = [\"bob\"]\ngroups = [\"www\"]\n[[roles.ticketed.rules]]\nwhen = { ticket = "
      "\"INC-[0-9]+\" }\nthen = \"approve\"\n";
  world.reload();
  std::vector<RoleView> roles;
  world.engine->roles({kBob, std::nullopt, 1}, [&](Result<std::vector<RoleView>> got) { roles = *got; });
  REQUIRE(roles.back().name == "ticketed");
  CHECK(roles.back().rule.ends_with("; a ticket may do (-t)"));
}

TEST_CASE("P9: the chain tells who, what, why, how long and by whose consent", "[core][engine]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  CHECK(world.request_refused(kAlice, "never") == "Call the duty manager.");
  world.pass(3600);
  const std::vector<ChainEntry> entries = world.audit();
  std::vector<std::string> events;
  for (const ChainEntry& entry : entries) events.push_back(entry.event);
  CHECK(events == std::vector<std::string>{"start", "request", "review", "activate", "active", "deny", "end"});
  const auto& activate = entries[3].fields;
  CHECK(activate.at("id") == granted.id);
  CHECK(activate.at("user") == "alice");
  CHECK(activate.at("uid") == std::to_string(kAlice));
  CHECK(activate.at("role") == "dba");
  CHECK(activate.at("reason") == "why");
  CHECK(activate.at("duration") == "1h");
  CHECK(activate.at("consents") == "person:carol");
  CHECK(activate.at("effects") == "group postgres gid 120\n");
  CHECK(entries[5].fields.at("why") == "Call the duty manager.");
  CHECK(entries[6].fields.at("end") == "expired");
  CHECK(world.engine->health().audit_sequence == 7);
}

TEST_CASE("P9: checks are chained in batches, repeats counted", "[core][engine]") {
  World world;
  world.engine->checked({{"sshd", "alice", "deny", "login", "", 17}, {"sudo", "bob", "allow", "sudo", "abc", 1}});
  const std::vector<ChainEntry> checks = world.audit("check");
  REQUIRE(checks.size() == 2);
  CHECK(checks[0].fields.at("count") == "17");
  CHECK(checks[0].fields.at("subject") == "alice");
}

TEST_CASE("P9: who asks in vain again and again is counted, not chained each time", "[core][engine]") {
  World world;
  CHECK(world.request_refused(kAlice, "never") == "Call the duty manager.");
  for (int i = 0; i < 25; ++i) {
    CHECK_FALSE(world.request_refused(kAlice, "nosuchrole").empty());
    world.pass(61);
  }
  CHECK_FALSE(world.request_refused(kBob, "nosuchrole").empty());
  std::vector<ChainEntry> denials = world.audit("deny");
  CHECK(denials.size() == 11);
  CHECK(denials.front().fields.at("reason") == "why");
  CHECK(denials[1].fields.count("reason") == 0);  // of any length, for a role that is none
  CHECK(denials.back().fields.at("user") == "bob");
  REQUIRE(world.engine->next_due());
  world.pass(3600);
  denials = world.audit("deny");
  REQUIRE(denials.size() == 12);
  CHECK(denials.back().fields.at("user") == "alice");
  CHECK(denials.back().fields.at("count") == "16");
  CHECK_FALSE(world.request_refused(kAlice, "nosuchrole").empty());
  CHECK(world.audit("deny").size() == 13);
}

TEST_CASE("P10: text from outside stays one escaped line in journal and chain", "[core][engine]") {
  World world;
  CHECK_FALSE(world.ask(kAlice, "dba", std::nullopt, "evil \x1b[2J").value().has_value());
  CHECK_FALSE(world.ask(kAlice, "dba", std::nullopt, "evil \xe2\x80\xae").value().has_value());
  const Outcome asked = world.asked(kAlice, "dba", std::nullopt, "two\nlines");
  for (const JournalLine& line : world.journal) {
    CHECK(line.message.find('\n') == std::string::npos);
    CHECK(line.message.find('\x1b') == std::string::npos);
  }
  CHECK(world.audit("request").at(0).fields.at("reason") == "two\nlines");
  CHECK(world.record(asked.id).reason == "two\nlines");
}

TEST_CASE("requests that are no good are refused with words", "[core][engine]") {
  World world;
  CHECK(world.ask(kAlice, "dba", std::nullopt, "")->error().message.find("needs a reason") != std::string::npos);
  CHECK(world.ask(kAlice, "dba", std::nullopt, " \n")->error().message.find("needs a reason") != std::string::npos);
  CHECK_FALSE(world.ask(kAlice, "dba", std::nullopt, std::string(1025, 'x'))->has_value());
  CHECK_FALSE(world.ask(kAlice, "../etc")->has_value());
  CHECK_FALSE(world.ask(kAlice, "dba", Seconds(0))->has_value());
  CHECK_FALSE(world.ask(kAlice, "dba", Seconds(-5))->has_value());
}

TEST_CASE("strangers cannot push others out of the journal by the inbox", "[core][engine]") {
  World world;
  const auto lines = [&](const std::string& part) {
    return std::ranges::count_if(
        world.journal, [&](const JournalLine& line) { return line.message.find(part) != std::string::npos; });
  };
  for (int i = 0; i < 1000; ++i) CHECK(world.refused("junk " + std::to_string(i)).find("accepted") != 0);
  CHECK(lines("a document from the inbox is refused") == LineBudget::kPerMinute);
  CHECK(lines("more documents") == 0);
  world.pass(60);
  CHECK(world.refused("junk").find("accepted") != 0);
  CHECK(lines("a document from the inbox is refused") == LineBudget::kPerMinute + 1);
  CHECK(lines("980 more documents from the inbox were refused") == 1);
}
