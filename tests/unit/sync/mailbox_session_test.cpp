// One connection to a host's mailbox, as the host answers it.
#include "jitd/sync/mailbox_session.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <csignal>
#include <functional>
#include <thread>

#include "tests/unit/sync/mailbox_world.hpp"

using namespace jit;
using namespace jit::mailboxtest;
using namespace std::chrono_literals;

namespace {

// A session that is told `script` by somebody who then hangs up, unless `keep`, and reads all that it says.
struct Ran {
  std::string said;
  std::string outcome;
};

class Stage {
 public:
  explicit Stage(World& world, const SigningKey& who, SessionLimits limits = {}, KeyLimits key_limits = {})
      : world_(world),
        limits_(limits),
        visitor_(world.visitor(who)),
        quota_(std::move(*KeyQuota::open(world.places.run, who.public_key(), key_limits))),
        outbox_(std::move(*ShownOutbox::open(world.places.outbox, visitor_))),
        host_(world.places, visitor_, quota_, world.clock, [this](const std::string& line) { log += line + "\n"; }) {}

  // `meanwhile` runs beside the session, with the other end of its socket.
  Ran beside(const std::function<void(int)>& meanwhile) {
    (void)::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    UniqueFd ours(ends[0]), theirs(ends[1]);
    Ran ran;
    std::thread other([&] {
      meanwhile(ours.get());
      char chunk[4096];
      for (ssize_t got = 0; (got = ::read(ours.get(), chunk, sizeof chunk)) > 0;)
        ran.said.append(chunk, static_cast<std::size_t>(got));
      ours.reset();
    });
    MailboxSession session(theirs.get(), theirs.get(), outbox_, host_, world_.clock, limits_);
    ran.outcome = session.serve();
    theirs.reset();
    other.join();
    return ran;
  }
  Ran run(const std::string& script, bool keep = false) {
    return beside([&](int fd) {
      for (std::size_t at = 0; at < script.size();) {
        const ssize_t sent = ::send(fd, script.data() + at, script.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<std::size_t>(sent);
      }
      if (!keep) ::shutdown(fd, SHUT_WR);
    });
  }

  std::string log;

 private:
  World& world_;
  SessionLimits limits_;
  Visitor visitor_;
  KeyQuota quota_;
  ShownOutbox outbox_;
  TrustingHost host_;
};

std::string put_line(const std::string& text) {
  return "put " + std::to_string(text.size()) + "\n" + text;
}

std::string lists(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "list\n";
  return text;
}

// The names of the items in what was said.
std::vector<std::string> names_in(const std::string& said) {
  std::vector<std::string> names;
  std::istringstream in(said);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("item ")) names.push_back(line.substr(line.rfind(' ') + 1));
  return names;
}

}  // namespace

TEST_CASE("a mailbox greets, lists, gives and says good-bye", "[sync][ssh]") {
  World world;
  const auto request = world.request_of("alice");
  world.say("r-aaaaaaaaaaaaaaaa.jit", request);
  Stage stage(world, world.carol);
  const auto ran = stage.run("list\nget r-aaaaaaaaaaaaaaaa.jit\nquit\n");
  CHECK(ran.said.starts_with("jit-mailbox 1 db1\nitem " + std::to_string(request.size()) + " "));
  CHECK(names_in(ran.said) == std::vector<std::string>{"r-aaaaaaaaaaaaaaaa.jit"});
  CHECK(ran.said.ends_with("\nend 1\ndata " + std::to_string(request.size()) + "\n" + request + "bye\n"));
  CHECK(ran.outcome == "quit");
  // Commands may come at once, and the end without a word is one, too.
  CHECK(stage.run("list\n").outcome == "hung up");
  CHECK(stage.run("").said == "jit-mailbox 1 db1\n");
}

TEST_CASE("P8: absent, forbidden and unsound answer alike, byte for byte", "[sync][ssh]") {
  World world;
  world.say("r-aaaaaaaaaaaaaaaa.jit", world.request_of("alice"));
  world.say("r-bbbbbbbbbbbbbbbb.jit", world.request_of("bob"));
  world.say("e-000000000001.jit", world.event_of("alice"));
  world.say("e-000000000002.jit", world.event_of("bob"));
  world.say("alive.jit", world.event_of("", "alive"));
  world.say("junk.jit", "junk");
  world.put("outbox/large.jit", std::string(40'000, 'x'));
  world.put("secret.jit", world.request_of("alice"));
  std::filesystem::create_symlink(world.root + "/secret.jit", world.root + "/outbox/link.jit");
  REQUIRE(::mkfifo((world.root + "/outbox/fifo.jit").c_str(), 0644) == 0);
  std::filesystem::create_directory(world.root + "/outbox/folder.jit");

  Stage carol(world, world.carol), alice(world, world.alice);
  CHECK(names_in(carol.run("list\n").said) == std::vector<std::string>{"alive.jit", "e-000000000001.jit",
                                                                       "e-000000000002.jit", "r-aaaaaaaaaaaaaaaa.jit",
                                                                       "r-bbbbbbbbbbbbbbbb.jit"});
  CHECK(names_in(alice.run("list\n").said) ==
        std::vector<std::string>{"e-000000000001.jit", "r-aaaaaaaaaaaaaaaa.jit"});
  const std::string absent = alice.run("get none.jit\nquit\n").said;
  for (const std::string name : {"r-bbbbbbbbbbbbbbbb.jit", "e-000000000002.jit", "alive.jit", "junk.jit", "large.jit",
                                 "link.jit", "fifo.jit", "folder.jit"}) {
    INFO(name);
    CHECK(alice.run("get " + name + "\nquit\n").said == absent);
  }
  // What is no name ends the conversation, without a look at the folder.
  for (const std::string& name : {std::string("../secret.jit"), world.root + "/secret.jit", std::string("host"),
                                  std::string("a\0b.jit", 7), std::string(".jit"), std::string("")}) {
    const auto ran = alice.run("get " + name + "\nlist\n");
    CHECK(ran.said.find("data") == std::string::npos);
    CHECK(ran.said.find("end") == std::string::npos);
    CHECK(ran.said.find("error invalid ") != std::string::npos);
  }
}

TEST_CASE("what somebody known signed reaches the inbox, byte for byte, and nothing else does", "[sync][ssh]") {
  World world;
  Stage alice(world, world.alice);
  const auto ask = world.ask_by(world.alice, "alice"), review = world.review_by(world.carol);
  CHECK(alice.run(put_line(ask) + "quit\n").said == "jit-mailbox 1 db1\nok\nbye\n");
  CHECK(world.inbox() == std::vector<std::string>{ask});
  CHECK(alice.log.find("took ask ") != std::string::npos);
  // Whoever brings it: what counts is who signed.
  CHECK(alice.run(put_line(review) + "quit\n").said == "jit-mailbox 1 db1\nok\nbye\n");
  CHECK(world.inbox().size() == 2);

  const std::string changed = [&] {
    std::string text = ask;
    text[text.find("operator")] = 'O';
    return text;
  }();
  for (const auto& [what, text] : std::map<std::string, std::string>{
           {"nobody's key", world.review_by(world.mallory)},
           {"a requester's review", world.review_by(world.alice)},
           {"an approver's ask", world.ask_by(world.carol, "carol")},
           {"an ask for somebody else", world.ask_by(world.alice, "bob")},
           {"changed on the way", changed},
           {"a host's request", world.request_of("alice")},
           {"a host's event", world.event_of("alice")},
           {"no document", "junk\n"},
           {"no signature", ask.substr(0, ask.find("-----BEGIN"))},
           {"a signature for another kind", [&] {
              const auto payload = ask.substr(0, ask.find("-----BEGIN"));
              return to_text(Envelope{payload, {*world.carol.sign(payload, "jit-review")}});
            }()}}) {
    INFO(what);
    const auto said = alice.run(put_line(text) + "quit\n").said;
    CHECK(said.find("\nerror ") != std::string::npos);
    CHECK(said.find("ok\n") == std::string::npos);
    CHECK(said.ends_with("bye\n"));
    CHECK(world.inbox().size() == 2);
  }
}

TEST_CASE("half a document is none", "[sync][ssh]") {
  World world;
  Stage alice(world, world.alice);
  const auto ask = world.ask_by(world.alice, "alice");
  CHECK(alice.run("put " + std::to_string(ask.size() + 1) + "\n" + ask).said == "jit-mailbox 1 db1\n");
  CHECK(alice.run("put 100\n").said == "jit-mailbox 1 db1\n");
  CHECK(alice.run("put").said == "jit-mailbox 1 db1\n");
  for (const std::string size : {"0", "32769", "-1", "4294967296", "99999999999999999999"}) {
    const auto said = alice.run("put " + size + "\n" + ask).said;
    CHECK(said.find("error invalid ") != std::string::npos);
    CHECK(said.find("ok") == std::string::npos);
  }
  CHECK(world.inbox().empty());
}

TEST_CASE("a line that makes no sense is the last one", "[sync][ssh]") {
  World world;
  Stage stage(world, world.carol);
  for (const std::string line :
       {"bash", "LIST", "list;id", "GET / HTTP/1.1", "\x01\x02\x03", "", "list\r", "SSH-2.0-x"}) {
    INFO(line);
    const auto said = stage.run(line + "\nlist\n").said;
    CHECK(said.find("\nerror invalid ") != std::string::npos);
    CHECK(said.find("end 0") == std::string::npos);
  }
  const auto ran = stage.run(std::string(1'000'000, 'x'));
  CHECK(ran.said.find("error invalid a line of more than 300 bytes") != std::string::npos);
}

TEST_CASE("who says nothing, half a command or half a document goes", "[sync][ssh]") {
  World world;
  world.clock.step = 300;  // ms each time that somebody asks
  SessionLimits limits;
  limits.idle = 1000ms;
  for (const std::string script : {"", "lis", "put 100\nabc"}) {
    INFO(script);
    Stage stage(world, world.carol, limits);
    const auto ran = stage.run(script, true);
    CHECK(ran.said.find("error unavailable ") != std::string::npos);
  }
  // And who never reads.
  world.say("e-000000000001.jit", world.event_of("alice"));
  Stage stage(world, world.carol, limits);
  const std::string many = lists(20'000);
  const auto ran = stage.beside([&](int fd) {
    (void)!::send(fd, many.data(), many.size(), MSG_NOSIGNAL);
    std::this_thread::sleep_for(50ms);
    ::shutdown(fd, SHUT_RDWR);
  });
  CHECK(ran.outcome == "hung up");
}

TEST_CASE("a connection has its number of commands, documents and bytes, and its time", "[sync][ssh]") {
  World world;
  const auto ask = world.ask_by(world.alice, "alice");
  SessionLimits limits;
  limits.commands = 3;
  CHECK(Stage(world, world.alice, limits).run("list\nlist\nlist\nlist\n").said ==
        "jit-mailbox 1 db1\nend 0\nend 0\nend 0\nerror unavailable this connection has had its commands: connect "
        "again\n");
  limits = {};
  limits.puts = 1;
  const auto twice = Stage(world, world.alice, limits).run(put_line(ask) + put_line(ask)).said;
  CHECK(twice.starts_with("jit-mailbox 1 db1\nok\nerror unavailable this connection has had its documents"));
  limits = {};
  limits.bytes_in = 1000;
  CHECK(Stage(world, world.alice, limits).run(put_line(std::string(900, 'x')) + lists(30)).said.find("bytes") !=
        std::string::npos);
  limits = {};
  limits.bytes_out = 40;
  CHECK(Stage(world, world.alice, limits).run(lists(6)).said.find("bytes") != std::string::npos);
  limits = {};
  limits.total = 1000ms;
  world.clock.step = 100;
  const auto ran = Stage(world, world.alice, limits).run(lists(50), true);
  CHECK(ran.said.find("error unavailable this connection has had its time") != std::string::npos);
  limits.wait = 60'000ms;
  CHECK(Stage(world, world.alice, limits).run("wait\n", true).said.find("same\nerror unavailable") !=
        std::string::npos);
}

TEST_CASE("the puts of a key run out over all of its connections", "[sync][ssh]") {
  World world;
  const auto ask = world.ask_by(world.alice, "alice");
  const KeyLimits limits{4, 2, 8};
  CHECK(Stage(world, world.alice, {}, limits).run(put_line(ask) + put_line("junk")).said.find("error invalid") !=
        std::string::npos);
  const auto said = Stage(world, world.alice, {}, limits).run(put_line(ask) + "list\nquit\n").said;
  CHECK(said.find("error busy ") != std::string::npos);
  CHECK(said.ends_with("end 0\nbye\n"));
  CHECK(world.inbox().size() == 1);
  CHECK(Stage(world, world.bob, {}, limits).run(put_line(ask)).said.find("ok\n") != std::string::npos);
}

TEST_CASE("a wait ends with news, with the next command or in time", "[sync][ssh]") {
  World world;
  world.say("e-000000000001.jit", world.event_of("alice"));
  world.clock.step = 1;
  SessionLimits limits;
  limits.wait = 20'000ms;
  limits.pause = 1ms;
  Stage alice(world, world.alice, limits);
  CHECK(alice.run("wait\nquit\n").said == "jit-mailbox 1 db1\nchanged\nbye\n");  // nothing was listed yet
  CHECK(alice.run("list\nwait\nquit\n").said.ends_with("end 1\nsame\nbye\n"));
  // What is there is no news; nor is what others have (P8), or a look at the folder.
  const auto reads = [](int fd, std::string& said, const std::string& until) {
    char chunk[4096];
    while (said.find(until) == std::string::npos) {
      const ssize_t got = ::read(fd, chunk, sizeof chunk);
      if (got <= 0) break;
      said.append(chunk, static_cast<std::size_t>(got));
    }
  };
  std::string said;
  (void)alice.beside([&](int fd) {
    (void)!::send(fd, "list\nwait\n", 10, MSG_NOSIGNAL);
    reads(fd, said, "end 1\n");
    world.say("e-000000000002.jit", world.event_of("bob"));
    std::this_thread::sleep_for(30ms);
    CHECK(said.find("changed") == std::string::npos);
    world.say("e-000000000003.jit", world.event_of("alice"));
    reads(fd, said, "changed\n");
    (void)!::send(fd, "list\nwait\n", 10, MSG_NOSIGNAL);
    reads(fd, said, "end 2\n");
    std::filesystem::remove(world.root + "/outbox/e-000000000001.jit");
    std::string gone;
    reads(fd, gone, "changed\n");
    CHECK(gone == "changed\n");
    ::shutdown(fd, SHUT_WR);
  });
  CHECK(said.find("end 1\nchanged\n") != std::string::npos);
  // A wait that nobody ends, on a clock that goes on.
  world.clock.step = 1000;
  limits.wait = 5000ms;
  limits.idle = limits.total = 10'000'000ms;
  Stage patient(world, world.alice, limits);
  CHECK(patient.run("list\nwait\n").said.ends_with("end 1\nsame\n"));
}

TEST_CASE("a key that is taken out of trust is out with the next command", "[sync][ssh]") {
  World world;
  Stage stage(world, world.alice);
  std::string said;
  const auto ran = stage.beside([&](int fd) {
    (void)!::send(fd, "list\n", 5, MSG_NOSIGNAL);
    char chunk[256];
    while (said.find("end 0\n") == std::string::npos) {
      const ssize_t got = ::read(fd, chunk, sizeof chunk);
      REQUIRE(got > 0);
      said.append(chunk, static_cast<std::size_t>(got));
    }
    world.trust("requesters", "");
    world.clock.step = 2000;
    (void)!::send(fd, "list\n", 5, MSG_NOSIGNAL);
  });
  CHECK(ran.said.find("error refused your key stands in none") != std::string::npos);
  CHECK(ran.said.find("end") == std::string::npos);
}

TEST_CASE("without an outbox that says whose it is there is no mailbox", "[sync][ssh]") {
  World world;
  const auto visitor = world.visitor(world.carol);
  for (const std::string text : {"", "host ../x\n", "host segment\n", "segment a\n"}) {
    world.put("outbox/host", text);
    CHECK(ShownOutbox::open(world.places.outbox, visitor).error().code == Errc::unavailable);
  }
  std::filesystem::remove_all(world.places.outbox);
  CHECK(ShownOutbox::open(world.places.outbox, visitor).error().code == Errc::unavailable);
}
