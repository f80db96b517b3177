// The client of a host's mailbox, against ssh programs that are scripts: good ones and liars.
#include "jitd/sync/ssh.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "jitd/sync/mailbox_session.hpp"
#include "jitd/sys/dialogue.hpp"
#include "tests/unit/sync/mailbox_world.hpp"

using namespace jit;
using namespace jit::mailboxtest;
using namespace std::chrono_literals;

namespace {

SourceSpec spec_of(const std::string& url) {
  auto spec = parse_source_url(url);
  REQUIRE(spec.has_value());
  return *spec;
}

// A program in the world's folder that plays ssh; each start of it is one line in `started`.
class Script {
 public:
  Script(World& world, const std::string& body) : path_(world.root + "/ssh"), started_(world.root + "/started") {
    std::ofstream(path_) << "#!/bin/sh\necho \"$@\" >>'" << started_ << "'\n" << body;
    REQUIRE(::chmod(path_.c_str(), 0755) == 0);
  }
  [[nodiscard]] std::unique_ptr<Mailbox> open(const std::string& url = "ssh://db1") const {
    auto mailbox = make_ssh_mailbox(spec_of(url), path_);
    REQUIRE(mailbox.has_value());
    return std::move(*mailbox);
  }
  [[nodiscard]] std::vector<std::string> starts() const {
    std::vector<std::string> lines;
    std::ifstream in(started_);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

 private:
  std::string path_, started_;
};

Box from(const std::string& host) {
  return *Box::from_host(host);
}
Box to(const std::string& host) {
  return *Box::to_host(host);
}

Result<std::vector<Item>> list(Mailbox& mailbox, const std::string& host = "db1") {
  std::vector<Item> items;
  const auto listed = mailbox.list(from(host), [&](const Item& item) {
    items.push_back(item);
    return true;
  });
  if (!listed) return tl::unexpected(listed.error());
  return items;
}

bool has_child() {
  return ::waitpid(-1, nullptr, WNOHANG) == 0;
}

}  // namespace

TEST_CASE("the client lists, gets and puts over one connection", "[sync][ssh]") {
  World world;
  const Script script(world, R"(echo 'jit-mailbox 1 db1'
while read -r verb word; do
  case $verb in
  list) echo 'item 4 1.2.3 a.jit'; echo 'item 2 1.2.4 b.jit'; echo 'end 2' ;;
  get) if [ "$word" = a.jit ]; then printf 'data 4\nabc\n'; else echo 'error not-found no such document'; fi ;;
  put) dd bs=1 count="$word" 2>/dev/null >')" +
                                 world.root + R"(/put'; echo ok ;;
  wait) echo same ;;
  quit) echo bye; echo quit >>')" +
                                 world.root + R"(/ended'; exit ;;
  esac
done
)");
  {
    const auto mailbox = script.open();
    CHECK(script.starts().empty());  // opens nothing yet
    const auto items = list(*mailbox);
    REQUIRE(items.has_value());
    REQUIRE(items->size() == 2);
    CHECK(items->at(0).name == "a.jit");
    CHECK(items->at(0).stamp == "1.2.3");
    CHECK(mailbox->get(from("db1"), items->at(0)).value() == "abc\n");
    CHECK(mailbox->get(from("db1"), items->at(1)).error().code == Errc::not_found);
    CHECK(mailbox->get(from("db1"), items->at(0)).value() == "abc\n");
    CHECK(mailbox->put(to("db1"), "x.jit", "document\n", {}).has_value());
    CHECK(mailbox->get(from("db1"), items->at(0)).value() == "abc\n");
    // Only this host's boxes, by the name that it gives itself.
    CHECK(list(*mailbox, "db2")->empty());
    const auto other = mailbox->put(to("db2"), "x.jit", "document\n", {});
    CHECK(other.error().code == Errc::refused);
    CHECK(other.error().message.find("the mailbox of db1 alone") != std::string::npos);
    CHECK(mailbox->put(*Box::to_segment("pci-db"), "x.jit", "document\n", {}).error().code == Errc::refused);
    CHECK(mailbox->put(to("db1"), "x.jit", std::string(40'000, 'x'), {}).error().code == Errc::invalid);
    CHECK(mailbox->remove(from("db1"), "a.jit").error().code == Errc::refused);
    CHECK(mailbox->get(from("db2"), items->at(0)).error().code == Errc::not_found);
    for (const std::string name : {"../a.jit", "a\nquit", "a b.jit", ""})
      CHECK(mailbox->get(from("db1"), {name, 0, ""}).error().code == Errc::not_found);
    CHECK(script.starts().size() == 1);
  }
  std::ifstream in(world.root + "/put");
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str() == "document\n");
  CHECK(std::filesystem::exists(world.root + "/ended"));  // it was told
  CHECK_FALSE(has_child());
}

TEST_CASE("ssh is called with nothing switched on and nothing to misread", "[sync][ssh]") {
  World world;
  const Script script(world, "echo 'jit-mailbox 1 db1'\nread -r line\necho 'end 0'\nread -r line\n");
  const auto arguments = [&](const std::string& url) {
    std::filesystem::remove(world.root + "/started");
    (void)list(*script.open(url));
    return script.starts().at(0);
  };
  const std::string usual =
      "-T -a -x -o ClearAllForwardings=yes -o Tunnel=no -o PermitLocalCommand=no -o RemoteCommand=none -o "
      "ControlMaster=no -o ControlPath=none -o ConnectTimeout=15 ";
  CHECK(arguments("ssh://db1") == usual + "-l jit -- db1");
  CHECK(arguments("ssh://other@db1.example.org:2222/") == usual + "-p 2222 -l other -- db1.example.org");
  CHECK(arguments("ssh://[fe80::1]:22") == usual + "-p 22 -l jit -- fe80::1");
  CHECK(arguments("ssh://[::1]") == usual + "-l jit -- ::1");
  for (const std::string bad :
       {"ssh://-oProxyCommand=id", "ssh://-x@db1", "ssh://db1 -W", "ssh://db1/path", "ssh://"})
    CHECK_FALSE(parse_source_url(bad).has_value());
  CHECK_FALSE(make_ssh_mailbox(spec_of("/media/stick")).has_value());
}

TEST_CASE("ssh finds the agent and the terminal of whoever calls, and nothing else", "[sync][ssh]") {
  World world;
  const Script script(world, "env >'" + world.root + "/env'\nexit 255\n");
  REQUIRE(::setenv("SSH_AUTH_SOCK", "/run/agent", 1) == 0);
  REQUIRE(::setenv("LD_PRELOAD_OF_OURS", "1", 1) == 0);
  CHECK(list(*script.open()).error().code == Errc::unavailable);
  ::unsetenv("LD_PRELOAD_OF_OURS");
  std::ifstream in(world.root + "/env");
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str().find("SSH_AUTH_SOCK=/run/agent\n") != std::string::npos);
  CHECK(text.str().find("OF_OURS") == std::string::npos);
}

TEST_CASE("a mailbox that does not answer, refuses or is none says so", "[sync][ssh]") {
  World world;
  const auto error = [&](const std::string& body) { return list(*Script(world, body).open()).error(); };
  const auto none = error("exit 255\n");
  CHECK(none.code == Errc::unavailable);
  CHECK(none.message == "ssh://db1: ssh ended with status 255 before the mailbox said anything");
  const auto refused = error("echo 'error refused your key stands in none'\n");
  CHECK(refused.code == Errc::refused);
  CHECK(refused.message == "ssh://db1: your key stands in none");
  CHECK(error("echo 'error busy too many'\n").code == Errc::busy);
  CHECK(error("echo 'Welcome to db1'\n").code == Errc::invalid);
  CHECK(error("echo 'jit-mailbox 2 db1'\n").message.find("version 2") != std::string::npos);
  CHECK(error("echo 'jit-mailbox 1 ../../etc'\n").code == Errc::invalid);
  CHECK(error("echo ok\n").code == Errc::invalid);
  CHECK(error("exec head -c 100000000 /dev/zero 2>/dev/null\n").code == Errc::invalid);
  CHECK(error("kill -9 $$\n").code == Errc::unavailable);
  auto absent = make_ssh_mailbox(spec_of("ssh://db1"), world.root + "/none");
  CHECK(list(**absent).error().code == Errc::not_found);
  CHECK_FALSE(has_child());
}

TEST_CASE("a host that lies gets an error", "[sync][ssh]") {
  World world;
  const auto start = std::string("echo 'jit-mailbox 1 db1'\nread -r line\n");
  for (const std::string lie :
       {"echo 'end 1'", "echo 'item 1 x a.jit'; echo 'end 2'", "echo 'item 1 x ../../a.jit'; echo 'end 1'",
        "echo 'item 99999 x a.jit'; echo 'end 1'", "echo 'data 3'", "echo 'ok'", "echo 'changed'", "echo",
        "printf 'item 1 x a\\033.jit\\nend 1\\n'", "yes 'item 1 x a.jit' | head -n 200000",
        "yes | tr -d '\\n' | head -c 9000000", "printf 'end 0'", "printf 'item 1 x a.j'"}) {
    INFO(lie);
    const auto items = list(*Script(world, start + lie + "\n").open());
    CHECK_FALSE(items.has_value());
  }
  for (const std::string lie : {"echo 'data 40000'; head -c 40000 /dev/zero", "echo 'data 4'; printf abc",
                                "echo 'end 0'", "echo 'data -1'", "echo 'data 3 abc'", "printf 'data 3'"}) {
    INFO(lie);
    const auto got = Script(world, start + lie + "\n").open()->get(from("db1"), {"a.jit", 4, "x"});
    CHECK_FALSE(got.has_value());
  }
  for (const std::string lie : {"echo 'data 1'; echo", "echo 'bye'", "echo 'error odd why'", "true"}) {
    INFO(lie);
    CHECK_FALSE(Script(world, start + lie + "\n").open()->put(to("db1"), "a.jit", "abc\n", {}).has_value());
  }
  CHECK_FALSE(has_child());
}

TEST_CASE("a connection that the host closed is made again, once", "[sync][ssh]") {
  World world;
  // One answer a connection.
  const Script once(world, "echo 'jit-mailbox 1 db1'\nread -r line\necho 'end 0'\n");
  const auto mailbox = once.open();
  for (int i = 0; i < 3; ++i) CHECK(list(*mailbox).has_value());
  CHECK(once.starts().size() == 3);
  // That it has had its time may also come as the answer.
  const Script late(
      world,
      "echo 'jit-mailbox 1 db1'\nread -r line\necho 'end 0'\nread -r line\necho 'error unavailable connect again'\n");
  std::filesystem::remove(world.root + "/started");
  const auto patient = late.open();
  for (int i = 0; i < 3; ++i) CHECK(list(*patient).has_value());
  CHECK(late.starts().size() == 3);
  // Nobody goes on for ever.
  const Script never(world, "echo 'jit-mailbox 1 db1'\nread -r line\necho 'error unavailable connect again'\n");
  std::filesystem::remove(world.root + "/started");
  const auto hopeless = never.open();
  CHECK(list(*hopeless).error().code == Errc::unavailable);
  CHECK(never.starts().size() == 1);
}

TEST_CASE("news end a wait, and so do another descriptor and the time", "[sync][ssh]") {
  World world;
  const Script script(world, R"(echo 'jit-mailbox 1 db1'
while read -r verb word; do
  case $verb in
  list) echo 'item 4 1.2.3 a.jit'; echo 'end 1' ;;
  get) printf 'data 4\nabc\n' ;;
  wait) while [ ! -e ')" + world.root +
                                 R"(/news' ]; do
          if [ -e ')" + world.root +
                                 R"(/enough' ]; then echo same; continue 2; fi
          sleep 0.02
        done
        echo changed ;;
  esac
done
)");
  const auto mailbox = script.open();
  const std::vector<Box> boxes = {from("db1")};
  CHECK(mailbox->wait(boxes, -1, 10s, false).has_value());  // nothing was listed: it cannot tell
  REQUIRE(list(*mailbox).has_value());
  const auto begun = boot_time_ms();
  CHECK(mailbox->wait(boxes, -1, 100ms, false).has_value());
  CHECK(boot_time_ms() >= begun + 100);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd read_end(ends[0]), write_end(ends[1]);
  REQUIRE(::write(write_end.get(), "x", 1) == 1);
  CHECK(mailbox->wait(boxes, read_end.get(), 60s, true).has_value());
  // A box of somebody else's has no news.
  CHECK(mailbox->wait({from("db2")}, read_end.get(), 60s, true).has_value());
  // Something else between: the wait that is out ends, and its answer is not lost.
  std::ofstream(world.root + "/enough") << "x";
  CHECK(mailbox->get(from("db1"), {"a.jit", 4, "1.2.3"}).value() == "abc\n");
  std::filesystem::remove(world.root + "/enough");
  CHECK(mailbox->wait(boxes, -1, 50ms, false).has_value());
  std::ofstream(world.root + "/news") << "x";
  CHECK(mailbox->get(from("db1"), {"a.jit", 4, "1.2.3"}).value() == "abc\n");
  const auto told = boot_time_ms();
  CHECK(mailbox->wait(boxes, -1, 60s, false).has_value());
  CHECK(mailbox->wait(boxes, -1, 60s, false).has_value());
  CHECK(boot_time_ms() < told + 30'000);
  CHECK(script.starts().size() == 1);
}

TEST_CASE("who reads a list in order waits for few answers", "[sync][ssh]") {
  World world;
  const Script script(world, R"(echo 'jit-mailbox 1 db1'
while read -r verb word; do
  case $verb in
  list) i=100; while [ $i -lt 200 ]; do echo "item 9 x a$i.jit"; i=$((i+1)); done; echo 'end 100' ;;
  get) echo "$word" >>')" + world.root +
                                 R"(/got'; printf 'data 9\n%s\n' "$word" ;;
  put) dd bs=1 count="$word" 2>/dev/null >/dev/null; echo ok ;;
  esac
done
)");
  const auto mailbox = script.open();
  const auto items = list(*mailbox);
  REQUIRE(items.has_value());
  const auto asked = [&] {
    std::ifstream in(world.root + "/got");
    std::size_t lines = 0;
    for (std::string line; std::getline(in, line);) ++lines;
    return lines;
  };
  CHECK(mailbox->get(from("db1"), items->at(50)).value() == "a150.jit\n");
  CHECK(mailbox->put(to("db1"), "x.jit", "x\n", {}).has_value());
  CHECK(asked() == 1);  // one alone is one alone
  for (const Item& item : *items) CHECK(mailbox->get(from("db1"), item).value() == item.name + "\n");
  CHECK(mailbox->put(to("db1"), "x.jit", "x\n", {}).has_value());
  CHECK(asked() == 101);  // each once
  CHECK(mailbox->get(from("db1"), items->at(7)).value() == "a107.jit\n");
  CHECK(mailbox->get(from("db1"), items->at(8)).value() == "a108.jit\n");
  CHECK(mailbox->put(to("db1"), "x.jit", "x\n", {}).has_value());
  CHECK(list(*mailbox)->size() == 100);  // with answers still out
  CHECK(script.starts().size() == 1);
}

TEST_CASE("a child that does not go is made to", "[sys][ssh]") {
  auto stubborn = Dialogue::start({"/bin/sh", "-c", "trap '' TERM; echo here; while :; do sleep 1; done"},
                                  {"PATH=/usr/bin:/bin"});
  REQUIRE(stubborn.has_value());
  CHECK((*stubborn)->hear(boot_time_ms() + 10'000).value() == "here\n");
  CHECK((*stubborn)->end() == 128 + SIGKILL);
  CHECK((*stubborn)->end() == 128 + SIGKILL);
  auto good = Dialogue::start({"/bin/cat"}, {});
  REQUIRE(good.has_value());
  CHECK((*good)->say("abc", boot_time_ms() + 1000).has_value());
  CHECK((*good)->hear(boot_time_ms() + 10'000).value() == "abc");
  CHECK((*good)->hear(boot_time_ms() + 50).error().code == Errc::unavailable);
  CHECK((*good)->end() == 0);
  auto gone = Dialogue::start({"/bin/true"}, {});
  REQUIRE(gone.has_value());
  CHECK((*gone)->hear(boot_time_ms() + 10'000).error().code == Errc::unavailable);
  const auto said = (*gone)->say(std::string(1'000'000, 'x'), boot_time_ms() + 100);  // and no SIGPIPE
  CHECK(said.error().code == Errc::unavailable);
  CHECK(Dialogue::start({"cat"}, {}).error().code == Errc::invalid);
  CHECK(Dialogue::start({"/none/such"}, {}).error().code == Errc::not_found);
  CHECK_FALSE(has_child());
}
