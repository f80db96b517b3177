// jitctl enrol on a host, and jitctl trust add-host elsewhere.
#include "policy/document/enrolment.hpp"
#include "policy/text.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

struct Enrolling : ElsewhereFixture {
  std::string line(const FarHost& host) const { return *make_enrolment(host.name, host.machine, now, host.key); }
  std::string hosts() const { return get(root + "/home/.config/jit/hosts"); }
  Enrolling() { put("home/.config/jit/hosts", "# mine\n"); }
  // This machine as the host db1, with root.
  void be_host(const std::string& state = "enrolled") {
    context.uid = 0;
    put("var/host_key", *db1.key.to_pem());
    Row row;
    row.text(Tag::host, "db1").text(Tag::host_key, db1.print()).text(Tag::machine, db1.machine);
    row.text(Tag::value, public_key_line(db1.key.public_key())).text(Tag::state, state);
    daemon.answer(Verb::enrol, done(row));
  }
};

}  // namespace

TEST_CASE("enrol prints one line that add-host takes", "[jitctl][elsewhere]") {
  Enrolling f;
  f.be_host();
  CHECK(f.jitctl({"enrol"}) == Exit::done);
  const auto line = f.out.str();
  CHECK(line.starts_with("jit-enrolment 1 db1 ssh-ed25519 AAAA"));
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  CHECK(f.err_has(f.db1.print()));
  CHECK(read_enrolment(line)->host == "db1");
  CHECK(f.jitctl({"enrol", "--json"}) == Exit::done);
  CHECK(f.out_has("\"line\":\"jit-enrolment 1 db1 "));
  SECTION("what jitd is asked") {
    CHECK(f.jitctl({"enrol", "--keep-key"}) == Exit::done);
    CHECK(f.daemon.calls.back().second.text(Tag::kind) == "keep");
    CHECK(f.jitctl({"enrol", "--new-key"}) == Exit::done);
    CHECK(f.daemon.calls.back().second.text(Tag::kind) == "new");
    CHECK(f.jitctl({"enrol", "--new-key", "--keep-key"}) == Exit::usage);
  }
  SECTION("a machine that is not the key's prints nothing") {
    f.be_host("unknown");
    CHECK(f.jitctl({"enrol"}) == Exit::refused);
    CHECK(f.out.str().empty());
    CHECK(f.err_has("--new-key"));
  }
  SECTION("a key file that is not jitd's") {
    f.put("var/host_key", *f.web1.key.to_pem());
    CHECK(f.jitctl({"enrol"}) == Exit::failed);
    CHECK(f.out.str().empty());
  }
  SECTION("not without root") {
    f.context.uid = 1000;
    CHECK(f.jitctl({"enrol"}) == Exit::refused);
  }
}

TEST_CASE("trust add-host verifies and adds", "[jitctl][elsewhere]") {
  Enrolling f;
  const auto line = f.line(f.db1);
  SECTION("a line") {
    CHECK(f.jitctl({"trust", "add-host", line}) == Exit::done);
    CHECK(f.out_has(f.db1.print()));
    CHECK(f.hosts().starts_with("# mine\ndb1 namespaces=\"jit-request,jit-event\" ssh-ed25519 "));
    CHECK(f.hosts().find("added 2026-11-22") != std::string::npos);
  }
  SECTION("a line without quotes around it") {
    std::vector<std::string> words = {"trust", "add-host"};
    for (const auto word : split(line, ' ')) words.emplace_back(word);
    CHECK(f.jitctl(words) == Exit::done);
    CHECK(f.hosts().find("db1 ") != std::string::npos);
  }
  SECTION("standard input, and a file of many") {
    f.in.str("\n" + line + "\n");
    CHECK(f.jitctl({"trust", "add-host", "-"}) == Exit::done);
    const auto file = f.put("lines", "# new hosts\n" + f.line(f.web1) + "\r\n" + line + "\n");
    CHECK(f.jitctl({"trust", "add-host", file}) == Exit::done);
    CHECK(f.out_has("db1: is there already"));
    CHECK(f.hosts().find("web1 ") != std::string::npos);
  }
  SECTION("the file that approver.toml names, and the one of --file") {
    f.put("home/.config/jit/approver.toml", "hosts = \"" + f.root + "/fleet\"\n");
    CHECK(f.jitctl({"trust", "add-host", line}) == Exit::done);
    CHECK(Fixture::get(f.root + "/fleet").starts_with("db1 "));
    CHECK(f.jitctl({"trust", "add-host", line, "--file", f.root + "/other"}) == Exit::done);
    CHECK(Fixture::get(f.root + "/other").starts_with("db1 "));
  }
  SECTION("then its requests are shown") {
    REQUIRE(f.jitctl({"trust", "add-host", line}) == Exit::done);
    f.db1.file(f.source(), f.db1.request(f.now));
    CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("vacuum stuck"));
  }
}

TEST_CASE("P7: trust add-host refuses", "[jitctl][elsewhere][P7]") {
  Enrolling f;
  const auto line = f.line(f.db1);
  REQUIRE(f.jitctl({"trust", "add-host", line}) == Exit::done);
  const auto before = f.hosts();
  const auto refused = [&](const std::string& what, const std::string& why) {
    INFO(what);
    CHECK(f.jitctl({"trust", "add-host", what}) != Exit::done);
    INFO(f.err.str());
    CHECK(f.err_has(why));
    CHECK(f.hosts() == before);
  };
  SECTION("another key for a known host, without --replace") {
    FarHost anew;
    anew.name = "db1";
    refused(f.line(anew), "is known by another key, " + f.db1.print() + " (added 2026-11-22");
    CHECK(f.err_has(anew.print()));
    f.now += std::chrono::hours(1);
    CHECK(f.jitctl({"trust", "add-host", f.line(anew), "--replace"}) == Exit::done);
    CHECK(f.out_has(anew.print()));
    CHECK(f.out_has(f.db1.print()));
    CHECK(f.hosts().find(public_key_line(f.db1.key.public_key())) == std::string::npos);
    CHECK(f.hosts().find(public_key_line(anew.key.public_key())) != std::string::npos);
    CHECK(f.hosts().starts_with("# mine\n"));
  }
  SECTION("the same key under another name: a copy") {
    FarHost copy = f.db1;
    copy.name = "db2";
    refused(f.line(copy), "one is a copy of the other");
    CHECK(f.jitctl({"trust", "add-host", f.line(copy), "--replace"}) == Exit::refused);
  }
  SECTION("lines that were changed") {
    auto other = line;
    other.replace(other.find(" db1 "), 5, " db2 ");
    refused(other, "it was changed");
    refused(line.substr(0, line.size() - 8), "");
    refused(line + " more", "9 words");
    refused("jit-enrolment 2" + line.substr(15), "version");
    refused("jit-enrolment 1 db1", "");
    refused("jit-enrolment", "");
    auto host = line;
    host.replace(host.find(" db1 "), 5, " \x1b[2J ");
    refused(host, "");
    CHECK(f.err.str().find('\x1b') == std::string::npos);
  }
  SECTION("signed for something else") {
    const auto text = line.substr(0, line.rfind(' '));
    refused(text + " " + to_base64(*f.db1.key.sign(text, "jit-event")), "it was changed");
    refused(text + " " + to_base64(*f.web1.key.sign(text, "jit-enrolment")), "another key than it names");
  }
  SECTION("a name that is no host's") {
    FarHost bad = f.web1;
    bad.name = "segment";
    refused(f.line(bad), "segment");
  }
  SECTION("of several, each for itself") {
    FarHost copy = f.db1;
    copy.name = "db2";
    const auto file = f.put("lines", f.line(copy) + "\n" + f.line(f.web1) + "\n");
    CHECK(f.jitctl({"trust", "add-host", file}) == Exit::refused);
    CHECK(f.hosts().find("web1 ") != std::string::npos);
    CHECK(f.hosts().find("db2 ") == std::string::npos);
    CHECK(f.jitctl({"trust", "add-host", file, "--json"}) == Exit::refused);
    CHECK(f.out_has("\"host\":\"db2\""));
    CHECK(f.out_has("\"trusted\":false"));
  }
}
