// The helper: children that answer, hang, crash and lie.
#include <sys/stat.h>

#include "jitd/server/helper.hpp"
#include "jitd/server/helper_child.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

struct HelperBench {
  explicit HelperBench(const std::string& script, std::uint64_t deadline_usec = 2'000'000) {
    folder.write("child", "#!/usr/bin/perl\nuse strict; use warnings; use Socket;\n" + script);
    ::chmod((folder / "child").c_str(), 0700);
    auto made = Loop::make();
    REQUIRE(made);
    loop = std::move(*made);
    Helper::Config config;
    config.argv = {folder / "child"};
    config.deadline_usec = deadline_usec;
    config.readback_usec = deadline_usec;
    config.warn = [this](const std::string& why) { warnings.push_back(why); };
    helper = std::make_unique<Helper>(*loop, std::move(config));
  }
  bool until(const std::function<bool()>& done, int ms = 10000) {
    for (int i = 0; i < ms; ++i) {
      if (done()) return true;
      loop->turn(1000);
    }
    return false;
  }
  Folder folder;
  std::vector<std::string> warnings;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Helper> helper;
};

// Perl that reads a question; `$id` is its id, `$text` its first text. reply(KIND, TEXTS) answers.
constexpr const char* kTalk = R"(
open(my $s, "+<&=", 0) or die;
sub reply { my ($kind, $id, @t) = @_; my $m = pack("LLL", $kind, $id, scalar @t); $m .= pack("L", length $_) . $_ for @t; send($s, $m, 0); }
while (defined recv($s, my $in, 200000, 0)) {
  last if length($in) == 0;
  my ($kind, $id, $count, $len) = unpack("LLLL", $in); my $text = substr($in, 16, $len);
)";

}  // namespace

TEST_CASE("helper messages: every byte is accounted for", "[server]") {
  const HelperMessage message{3, 77, {"alice", "", std::string(1000, 'x')}};
  const std::string bytes = encode(message);
  const auto back = decode_helper_message(bytes);
  REQUIRE(back);
  CHECK(back->kind == 3);
  CHECK(back->id == 77);
  CHECK(back->texts == message.texts);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 7) CHECK_FALSE(decode_helper_message(bytes.substr(0, cut)));
  CHECK_FALSE(decode_helper_message(bytes + "x"));
  CHECK_FALSE(decode_helper_message(std::string("\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 12)));
  CHECK(encode(HelperMessage{1, 1, {std::string(kMaxHelperMessage, 'a')}}).empty());
}

TEST_CASE("the helper's own answers", "[server]") {
  SystemSpawn spawn;
  const auto root = answer_question({static_cast<std::uint32_t>(Ask::account_of_uid), 5, {"0"}}, spawn);
  REQUIRE(root.kind == 0);
  CHECK(root.id == 5);
  REQUIRE(root.texts.size() >= 4);
  CHECK(root.texts[0] == "root");
  CHECK(root.texts[1] == "0");
  CHECK(root.texts[3] == "root");
  const auto same = answer_question({static_cast<std::uint32_t>(Ask::account_of_name), 6, {"root"}}, spawn);
  CHECK(same.texts == root.texts);
  // No such account is an answer of its own; a question that makes no sense another.
  CHECK(answer_question({static_cast<std::uint32_t>(Ask::account_of_name), 7, {"no-such-user-here"}}, spawn).kind ==
        1 + static_cast<std::uint32_t>(Errc::not_found));
  for (const auto* uid : {"-1", "4294967295", "+0", " 0", "0x0", "", "99999999999"})
    CHECK(answer_question({static_cast<std::uint32_t>(Ask::account_of_uid), 8, {uid}}, spawn).kind != 0);
  CHECK(answer_question({99, 9, {"x"}}, spawn).kind == 1 + static_cast<std::uint32_t>(Errc::invalid));
  CHECK(answer_question({static_cast<std::uint32_t>(Ask::readback), 9, {"x"}}, spawn).kind != 0);
}

TEST_CASE("answers come from the loop, side by side", "[server]") {
  HelperBench bench(std::string(kTalk) + R"(reply(0, $id, "user$text", $text, 100, "g1", "g2"); })");
  int answered = 0;
  for (std::uint32_t uid = 1000; uid < 1020; ++uid)
    bench.helper->account(uid, [&, uid](Result<Account> account) {
      REQUIRE(account);
      CHECK(account->name == "user" + std::to_string(uid));
      CHECK(account->uid == uid);
      CHECK(account->groups == std::vector<std::string>{"g1", "g2"});
      ++answered;
    });
  CHECK(answered == 0);
  CHECK(bench.until([&] { return answered == 20; }));
  CHECK(bench.helper->workers() <= Helper::kWorkers);
  CHECK(bench.warnings.empty());
}

TEST_CASE("one who hangs is killed; others are answered meanwhile", "[server]") {
  HelperBench bench(std::string(kTalk) + R"(sleep 1000 if $text eq "666"; reply(0, $id, "u", $text, 100); })",
                    700'000);
  std::vector<std::uint32_t> order;
  std::optional<Errc> hung;
  bench.helper->account(666, [&](Result<Account> account) {
    REQUIRE_FALSE(account);
    hung = account.error().code;
  });
  for (std::uint32_t uid = 1; uid <= 10; ++uid)
    bench.helper->account(uid, [&](Result<Account> account) {
      REQUIRE(account);
      CHECK_FALSE(hung);  // nobody waited for it
      order.push_back(account->uid);
    });
  CHECK(bench.until([&] { return hung.has_value(); }));
  CHECK(hung == Errc::unavailable);
  CHECK(order.size() == 10);
  CHECK(bench.warnings.size() == 1);
  // And the next question finds a helper again.
  bool again = false;
  bench.helper->account(7, [&](Result<Account> account) { again = account.has_value(); });
  CHECK(bench.until([&] { return again; }));
}

TEST_CASE("a crash is made good once", "[server]") {
  HelperBench bench(std::string(kTalk) + R"(if (!-e "$0.seen") { open(my $f, ">", "$0.seen"); kill 9, $$; }
    reply(0, $id, "u", $text, 100); })");
  std::optional<Result<Account>> answer;
  bench.helper->account(5, [&](Result<Account> account) { answer = std::move(account); });
  REQUIRE(bench.until([&] { return answer.has_value(); }));
  CHECK(answer->has_value());
  CHECK(bench.helper->restarts() == 1);
}

TEST_CASE("one who always crashes, lies or talks nonsense gives no answer", "[server]") {
  const std::string script = GENERATE(as<std::string>{},
                                      "kill 9, $$; }",                         // crash
                                      "send($s, 'nonsense', 0); }",            // not a message
                                      "reply(0, $id + 1, 'root', 0, 0); }",    // to another question
                                      "reply(0, $id, 'root'); }",              // too few texts
                                      "reply(0, $id, 'root', '-1', '+0'); }",  // no numbers
                                      "reply(0, $id, 'root', '', '0'); }",
                                      "send($s, pack('LLLL', 0, $id, 1, 0xffffffff), 0); }",  // length beyond
                                      "send($s, 'x' x 150000, 0); }");                        // too long
  HelperBench bench(std::string(kTalk) + script);
  std::optional<Result<Account>> answer;
  bench.helper->account(5, [&](Result<Account> account) { answer = std::move(account); });
  REQUIRE(bench.until([&] { return answer.has_value(); }));
  REQUIRE_FALSE(answer->has_value());
  CHECK(answer->error().code == Errc::unavailable);
}

TEST_CASE("a helper that cannot be started is an answer too", "[server]") {
  auto loop = Loop::make();
  REQUIRE(loop);
  Helper::Config config;
  config.argv = {"/nonexistent/helper"};
  Helper helper(**loop, std::move(config));
  std::optional<Errc> code;
  helper.standing_rule("alice", [&](Result<bool> answer) { code = answer ? Errc::invalid : answer.error().code; });
  for (int i = 0; i < 100 && !code; ++i) (*loop)->turn(1000);
  CHECK(code == Errc::unavailable);
}

TEST_CASE("questions in the queue are bounded, and names are checked before they go anywhere", "[server]") {
  HelperBench bench(std::string(kTalk) + "sleep 1000; }");
  std::size_t busy = 0;
  for (std::size_t i = 0; i < Helper::kMaxQueue + 50; ++i)
    bench.helper->account(1, [&](Result<Account> account) {
      if (!account && account.error().code == Errc::busy) ++busy;
    });
  CHECK(busy == 50);
  bool refused = false;
  bench.helper->account(std::string("root\0x", 6), [&](Result<Account> account) { refused = !account; });
  CHECK(refused);
}
