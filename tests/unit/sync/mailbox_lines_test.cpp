// The line protocol between a host's mailbox and whoever calls it.
#include "jitd/sync/mailbox_lines.hpp"

#include "policy/document/envelope.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;
using What = MailboxReply::What;
using Verb = MailboxCommand::Verb;

TEST_CASE("a name on the line is a document's, and no path", "[sync][ssh]") {
  CHECK(mailbox_name("r-7k3m0000aaaabbbb.jit"));
  CHECK(mailbox_name("e-000000000017.jit"));
  for (const std::string& bad :
       {std::string("../a.jit"), std::string("/etc/a.jit"), std::string("a b.jit"), std::string("a\n.jit"),
        std::string("a\0.jit", 6), std::string(".a.jit"), std::string("a"), std::string("host"),
        std::string("\xc3\xa4.jit"), std::string(252, 'a') + ".jit"}) {
    INFO(bad);
    CHECK_FALSE(mailbox_name(bad));
  }
}

TEST_CASE("commands read back, and nothing else is one", "[sync][ssh]") {
  for (const auto& command :
       {MailboxCommand{Verb::list, {}, 0}, MailboxCommand{Verb::get, "a.jit", 0},
        MailboxCommand{Verb::put, {}, 32768}, MailboxCommand{Verb::wait, {}, 0}, MailboxCommand{Verb::quit, {}, 0}}) {
    const std::string line = to_line(command);
    REQUIRE(line.ends_with('\n'));
    INFO(line);
    const auto again = parse_mailbox_command(line.substr(0, line.size() - 1));
    REQUIRE(again.has_value());
    CHECK(again->verb == command.verb);
    CHECK(again->name == command.name);
    CHECK(again->size == command.size);
  }
  for (const std::string bad : {"",
                                " ",
                                "LIST",
                                "list ",
                                "list all",
                                " list",
                                "list\r",
                                "get",
                                "get ",
                                "get a",
                                "get a.jit b.jit",
                                "get ../a.jit",
                                "put",
                                "put 0",
                                "put -1",
                                "put 32769",
                                "put 99999999999999999999",
                                "put 07",
                                "put 1 2",
                                "put 0x10",
                                "wait 5",
                                "quit now",
                                "help",
                                "bash -c id"}) {
    INFO(bad);
    CHECK_FALSE(parse_mailbox_command(bad).has_value());
  }
}

TEST_CASE("replies read back, and nothing else is one", "[sync][ssh]") {
  std::vector<MailboxReply> replies(9);
  replies[0] = {What::greeting, "db1.example.org"};
  replies[1].what = What::item;
  replies[1].item = {"r-7k3m.jit", 1234, "17.1795332600.5.1234"};
  replies[2].what = What::end;
  replies[2].number = 100000;
  replies[3].what = What::data;
  replies[3].number = 32768;
  replies[4].what = What::ok;
  replies[5].what = What::changed;
  replies[6].what = What::same;
  replies[7].what = What::bye;
  replies[8].what = What::error;
  replies[8].error = {Errc::busy, "too much at once", 0};
  for (const auto& reply : replies) {
    const std::string line = to_line(reply);
    INFO(line);
    REQUIRE(line.ends_with('\n'));
    const auto again = parse_mailbox_reply(line.substr(0, line.size() - 1));
    REQUIRE(again.has_value());
    CHECK(again->what == reply.what);
    CHECK(again->host == reply.host);
    CHECK(again->item.name == reply.item.name);
    CHECK(again->item.size == reply.item.size);
    CHECK(again->item.stamp == reply.item.stamp);
    CHECK(again->number == reply.number);
    CHECK(again->error.code == reply.error.code);
    CHECK(again->error.message == reply.error.message);
  }
  for (const std::string bad : {"",
                                "OK",
                                "ok ",
                                "item 1 2 3",
                                "item 1 x ../a.jit",
                                "item 32769 x a.jit",
                                "item -1 x a.jit",
                                "item 1  a.jit",
                                "item 1 x\x1b a.jit",
                                "end",
                                "end -1",
                                "end 100001",
                                "data 32769",
                                "data",
                                "error",
                                "error busy",
                                "error odd why",
                                "jit-mailbox 1",
                                "jit-mailbox 1 ../x",
                                "jit-mailbox 1 segment",
                                "jit-mailbox 2 db1",
                                "jit-mailbox 1 db1 x",
                                "Last login: today"}) {
    INFO(bad);
    CHECK_FALSE(parse_mailbox_reply(bad).has_value());
  }
}

TEST_CASE("what a host says of an error is one escaped line, bounded", "[sync][ssh]") {
  MailboxReply reply{What::error};
  reply.error = {Errc::refused, "a\nb\x1b[2J" + std::string(5000, 'x'), 0};
  const std::string line = to_line(reply);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.size() <= kMaxMailboxReply);
  // And what a host that lies says, too.
  const auto lied = parse_mailbox_reply("error refused \x1b]0;owned\x07");
  REQUIRE(lied.has_value());
  CHECK(lied->error.message == "\\x1b]0;owned\\x07");
}

TEST_CASE("input is taken line by line and block by block, and a line has an end", "[sync][ssh]") {
  MailboxInput input;
  CHECK(input.empty());
  input.add("li");
  CHECK(input.line(10)->has_value() == false);
  input.add("st\nput 3\na\nbwait");
  CHECK(**input.line(10) == "list");
  CHECK(**input.line(10) == "put 3");
  CHECK(input.block(4).has_value() == true);
  CHECK(input.line(10)->has_value() == false);
  input.add("\n");
  CHECK(**input.line(10) == "ait");
  CHECK(input.empty());
  CHECK_FALSE(input.block(1).has_value());
  input.add(std::string(11, 'x'));
  CHECK_FALSE(input.line(10).has_value());
  input.add("\n");
  CHECK_FALSE(input.line(10).has_value());
}
