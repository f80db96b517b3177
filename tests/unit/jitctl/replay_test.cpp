// jitctl replay: lists and plays what stands under a grant, and nothing else.
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

constexpr const char* kGrant = "0123456789abcdef";

struct Recorded : Fixture {
  Recorded() {
    context.uid = 0;
    record(kGrant, "1", "1795332000:alice:postgres::/dev/pts/3:24:80\n/home/alice\n/usr/bin/psql -c \x1b[2J\n");
  }
  void record(const std::string& grant, const std::string& name, const std::string& log) {
    const auto folder = root + "/recordings/" + grant + "/" + name;
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/log") << log;
  }
};

}  // namespace

TEST_CASE("replay lists the recordings of a grant, without jitd and with nothing raw on the terminal",
          "[jitctl][replay]") {
  Recorded f;
  f.record(kGrant, "10", "1795332600.5:alice:root::unknown:24:80\n/\n/usr/bin/id\n");
  f.record(kGrant, "2", "1795332300:alice:root::unknown:24:80\n/\n/usr/bin/true\n");
  CHECK(f.jitctl({"replay", "0123"}) == Exit::done);
  const auto text = f.out.str();
  INFO(text);
  CHECK(text.find("postgres  /usr/bin/psql -c ") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("/usr/bin/true") < text.find("/usr/bin/id"));  // by number
  CHECK(f.daemon.calls.empty());
  CHECK(f.became.empty());
  CHECK(f.jitctl({"--json", "replay", kGrant, "10"}) == Exit::done);
  CHECK(f.out.str().find(R"("recording":10,"began":1795332600)") != std::string::npos);
  CHECK(f.out.str().find("psql") == std::string::npos);
}

TEST_CASE("replay plays one with sudoreplay, by absolute path and number", "[jitctl][replay]") {
  Recorded f;
  const auto folder = f.root + "/recordings/" + kGrant;
  CHECK(f.jitctl({"replay", "0123", "1", "--speed", "2", "--max-wait", "0.5"}) == Exit::failed);
  CHECK(f.became ==
        std::vector<std::string>{f.root + "/usr/bin/sudoreplay", "-d", folder, "-s", "2", "-m", "0.5", "1"});
  CHECK(f.err.str().find("control sequences") != std::string::npos);
  f.became.clear();
  f.context.out_terminal = true;
  CHECK(f.jitctl({"replay", kGrant}) == Exit::failed);  // the only one
  CHECK(f.became.back() == "1");
  f.became.clear();
  CHECK(f.jitctl({"replay", kGrant, "--list"}) == Exit::done);
  CHECK(f.jitctl({"replay", kGrant, "1", "--list"}) == Exit::done);
  CHECK(f.jitctl({"replay", kGrant, "2"}) == Exit::failed);
  f.record(kGrant, "2", "1795332300:alice:root::unknown:24:80\n/\n/usr/bin/true\n");
  CHECK(f.jitctl({"replay", kGrant}) == Exit::done);  // which of the two?
  CHECK(f.became.empty());
}

TEST_CASE("replay of any grant of a chain lists what stands under its first", "[jitctl][replay]") {
  Recorded f;
  f.daemon.on(wire::Verb::show, [](const Row& question) {
    const std::string id = question.text(wire::Tag::id);
    Row row;
    if (std::string("cccccccccccccccc").starts_with(id)) row.text(wire::Tag::extends, "bbbbbbbbbbbbbbbb");
    if (id == "bbbbbbbbbbbbbbbb") row.text(wire::Tag::extends, kGrant);
    if (id == "dddddddddddddddd") row.text(wire::Tag::extends, id);
    return done(row);
  });
  for (const char* id : {"cccc", "bbbbbbbbbbbbbbbb", kGrant}) {
    INFO(id);
    CHECK(f.jitctl({"replay", id}) == Exit::done);
    CHECK(f.out.str().find("psql") != std::string::npos);
  }
  CHECK(f.jitctl({"replay", "eeee"}) == Exit::failed);
  CHECK(f.err.str().find("there is no recording of a grant eeee") != std::string::npos);
  CHECK(f.jitctl({"replay", "dddddddddddddddd"}) == Exit::failed);  // whatever jitd says, it comes to an end
  f.daemon.handlers.clear();
  CHECK(f.jitctl({"replay", "cccc"}) == Exit::failed);
  CHECK(f.err.str().find("there is no recording of a grant cccc") != std::string::npos);
}

TEST_CASE("replay is root's, and takes no paths for ids", "[jitctl][replay]") {
  Recorded f;
  f.record("..", "7", "1795332300:alice:root::unknown:24:80\n/\n/usr/bin/true\n");
  f.record("unclaimed-AbCdEf", "1", "1795332300:alice:root::unknown:24:80\n/\n/usr/bin/true\n");
  for (const char* name : {"..", "../etc", "unclaimed-AbCdEf", "-dx", "012", "0123456789abcdef0", "fedc"}) {
    INFO(name);
    CHECK(f.jitctl({"replay", "--", name}) != Exit::done);
    CHECK(f.became.empty());
  }
  for (const char* number : {"0", "-1", "../1", "1x", "99999999999"}) {
    INFO(number);
    CHECK(f.jitctl({"replay", "--", kGrant, number}) == Exit::usage);
  }
  for (const char* speed : {"x", "1e9", "", ".", "--", "1.2.3"})
    CHECK(f.jitctl({"replay", kGrant, "1", "--speed", speed}) == Exit::usage);
  CHECK(f.became.empty());
  f.record("0123zzzzzzzzzzzz", "1", "1795332300:alice:root::unknown:24:80\n/\n/usr/bin/true\n");
  CHECK(f.jitctl({"replay", "0123"}) == Exit::failed);  // which of the two?
  std::filesystem::rename(f.root + "/recordings/0123zzzzzzzzzzzz", f.root + "/recordings/0123456789abcdef.old");
  f.record(kGrant, "3", "torn");
  f.record(kGrant, "4", "1795332000:alice:postgres::/dev/pts/3:24:80\n/home/alice");
  CHECK(f.jitctl({"replay", "0123"}) == Exit::done);  // what is called otherwise is no grant
  CHECK(f.err.str().find("recording 4: its log is cut short") != std::string::npos);
  CHECK(f.err.str().find("recording 3: its log is cut short") != std::string::npos);
  f.context.uid = 1000;
  CHECK(f.jitctl({"replay", kGrant}) == Exit::refused);
}
