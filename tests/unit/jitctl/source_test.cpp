// jitctl source, and mailboxes in folders that somebody carries.
#include "jitctl/stick.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

template <class T>
T made(WallTime created) {
  T document;
  document.hosts = {"db1"};
  document.reason = "x";
  document.created = created;
  document.nonce = make_nonce();
  return document;
}

struct Sources : ElsewhereFixture {
  std::string by_approver(const Document& document) const {
    const auto payload = to_payload(document);
    return to_text(Envelope{payload, {*spawn.key->sign(payload, kind_namespace(kind_of(document)))}});
  }
  std::string lock_of(WallTime created) const {
    auto lock = made<Lock>(created);
    lock.users = {"alice"};
    return by_approver(lock);
  }
};

// This machine as the host db1, with a stick in it.
struct Stick : Sources {
  std::string dir = root + "/stick";
  FakeSource& stick = sources[dir];
  std::vector<std::string> submitted;

  Stick() {
    REQUIRE(jitctl({"source", "init-folder", dir}) == Exit::done);
    daemon.answer(Verb::inspect, done(Row()
                                          .text(Tag::host, "db1")
                                          .text(Tag::host_key, db1.print())
                                          .text(Tag::segment, "pci")
                                          .text(Tag::value, public_key_line(db1.key.public_key()))));
    daemon.on(Verb::submit, [this](const Row& fields) -> Result<Reply> {
      submitted.push_back(fields.text(Tag::document));
      return done(Row().text(Tag::id, "7k3m000000000000").text(Tag::state, "active").text(Tag::message, "taken in"));
    });
  }
};

}  // namespace

TEST_CASE("source list: yours and this host's", "[jitctl][elsewhere]") {
  Sources f;
  f.context.places.sync = f.root + "/sync";
  std::filesystem::create_directories(f.root + "/sync");
  CHECK(f.jitctl({"source", "list"}) == Exit::done);
  CHECK(f.out_has("No source"));
  f.put("home/.config/jit/approver.toml",
        "default_source = \"fleet\"\n[[sources]]\nname = \"fleet\"\nurl = \"https://fleet.example\"\n");
  f.put("etc/jit/jitd.toml", "host = \"db1\"\n[[sources]]\nname = \"stick\"\nurl = \"/media/stick\"\npost = false\n");
  f.put("sync/stick.status",
        "state bad\nlast_success 2026-11-22T05:00:00Z\nerror it is \x1b[2J not there\nwaiting 3\nlater word\njunk\n");
  CHECK(f.jitctl({"source", "list"}) == Exit::done);
  CHECK(f.out_has("default"));
  CHECK(f.out_has("/media/stick"));
  INFO(f.out.str() << f.err.str());
  CHECK(f.out_has("bad, read "));
  CHECK(f.out_has("3 wait for jitd"));
  CHECK(f.out_has("not there"));
  CHECK(f.out.str().find('\x1b') == std::string::npos);
  CHECK(f.jitctl({"source", "list", "--json"}) == Exit::done);
  CHECK(f.out_has("\"of\":\"this host\",\"name\":\"stick\",\"url\":\"/media/stick\",\"post\":false"));
  f.put("etc/jit/jitd.toml", "[[sources]]\nname = \"stick\"\n");
  CHECK(f.jitctl({"source", "list"}) == Exit::failed);
  CHECK(f.err_has("jitd.toml:1: sources[1].url"));
}

TEST_CASE("source check: what one can do there", "[jitctl][elsewhere]") {
  Sources f;
  f.db1.alive(f.source(), f.now - std::chrono::minutes(3));
  CHECK(f.jitctl({"source", "check", kFleet}) == Exit::done);
  CHECK(f.out_has("3m ago"));
  CHECK(f.out_has("not tried"));
  CHECK(f.source().put_names.empty());
  CHECK(f.jitctl({"source", "check", kFleet, "--write"}) == Exit::done);
  CHECK(f.source().put_names.size() == 2);
  CHECK(f.source().boxes["to/db1"].empty());  // nothing is left there
  f.source().takes = false;
  CHECK(f.jitctl({"source", "check", kFleet, "--write"}) == Exit::failed);
  CHECK(f.out_has("it takes nothing"));
  f.source().boxes_down["from/web1"] = Error{Errc::refused, "not yours", 0};
  CHECK(f.jitctl({"source", "check", kFleet, "--json"}) == Exit::failed);
  CHECK(f.out_has("\"host\":\"web1\",\"read\":false"));
}

TEST_CASE("source clean takes away what has expired, and that alone", "[jitctl][elsewhere]") {
  Sources f;
  auto& box = f.source().boxes["to/db1"];
  box["old.jit"] = f.lock_of(f.now - std::chrono::days(15));
  box["new.jit"] = f.lock_of(f.now - std::chrono::days(13));
  auto ask = made<AskDocument>(f.now - std::chrono::hours(30));
  ask.user = "alice";
  ask.role = "dba";
  ask.expires = f.now - std::chrono::hours(6);
  box["ask.jit"] = f.by_approver(ask);
  auto policy = made<PolicyDocument>(f.now - std::chrono::days(300));
  policy.number = 3;
  policy.files = {{"10-x.toml", "x = 1\n"}};
  box["policy.jit"] = f.by_approver(policy);
  box["junk.jit"] = "junk";
  f.source().boxes["to/segment/pci"]["old.jit"] = box["old.jit"];
  f.source().boxes["from/db1"]["old.jit"] = box["old.jit"];  // what hosts posted is theirs to take away

  CHECK(f.jitctl({"source", "clean", kFleet, "--dry-run"}) == Exit::done);
  CHECK(f.out_has("2 expired documents would be removed, 2 left, and 1 that are no documents"));
  CHECK(box.size() == 5);
  CHECK(f.jitctl({"source", "clean", kFleet, "--segment", "pci"}) == Exit::done);
  CHECK(f.out_has("3 expired documents removed"));
  CHECK(box.size() == 3);
  CHECK(box.contains("new.jit"));
  CHECK(box.contains("policy.jit"));
  CHECK(box.contains("junk.jit"));
  CHECK(f.source().boxes["to/segment/pci"].empty());
  CHECK(f.source().boxes["from/db1"].size() == 1);
  f.source().down = Error{Errc::unavailable, "away", 0};
  CHECK(f.jitctl({"source", "clean", kFleet}) == Exit::unreachable);
}

TEST_CASE("a stick: out of the host with all that it has to say", "[jitctl][airgap]") {
  Stick f;
  const auto request = f.db1.request(f.now);
  const auto id = id_of(sha256(to_payload(request)));
  SECTION("for root the whole outbox, and what is gone from it goes there too") {
    f.context.uid = 0;
    std::filesystem::create_directories(f.root + "/var/outbox");
    auto event = f.db1.event("filed", f.now);
    event.sequence = 7;
    f.put("var/outbox/e-000000000007.jit", f.db1.sign(event));
    f.put("var/outbox/r-" + id + ".jit", f.db1.sign(request));
    f.put("var/outbox/host", "host db1\n");
    f.put("var/outbox/.tmp", "x");
    f.stick.boxes["from/db1"]["r-0000000000000000.jit"] = "decided long ago";
    f.stick.boxes["from/web1"]["r-1111111111111111.jit"] = "of another host";
    CHECK(f.jitctl({"export", "--all", "--to", f.dir}) == Exit::done);
    const auto& box = f.stick.boxes["from/db1"];
    CHECK(box.size() == 2);
    CHECK(box.at("r-" + id + ".jit") == f.db1.sign(request));
    CHECK(f.stick.boxes["from/web1"].size() == 1);
    CHECK(f.out_has("1 request that waits, 2 files written, 1 removed"));
    // Events do not change: they are not written again.
    f.stick.put_names.clear();
    CHECK(f.jitctl({"export", "--all", "--to", f.dir}) == Exit::done);
    CHECK(f.stick.put_names.size() == 1);
  }
  SECTION("for others the requests that they may see") {
    f.daemon.answer(Verb::list,
                    done({}, {Row().text(Tag::id, id).text(Tag::kind, "request").text(Tag::state, "pending"),
                              Row().text(Tag::id, id).text(Tag::kind, "request").text(Tag::state, "active"),
                              Row().text(Tag::id, id).text(Tag::kind, "grant").text(Tag::state, "pending")}));
    f.daemon.answer(Verb::export_, done(Row().text(Tag::id, id).text(Tag::document, f.db1.sign(request))));
    f.stick.boxes["from/db1"]["e-000000000001.jit"] = "an event from before";
    f.stick.boxes["from/db1"]["r-0000000000000000.jit"] = "decided long ago";
    CHECK(f.jitctl({"export", "--all", "--to", f.dir}) == Exit::done);
    CHECK(f.stick.boxes["from/db1"].size() == 2);
    CHECK(f.stick.boxes["from/db1"].contains("e-000000000001.jit"));
    CHECK(f.err_has("Without events"));
  }
  SECTION("an id that is none is no file name") {
    f.daemon.answer(
        Verb::list,
        done({}, {Row().text(Tag::id, "../../x").text(Tag::kind, "request").text(Tag::state, "pending")}));
    CHECK(f.jitctl({"export", "--all", "--to", f.dir}) == Exit::failed);
    CHECK(f.stick.put_names.empty());
  }
}

TEST_CASE("a stick: into the host what is for it and its segments", "[jitctl][airgap]") {
  Stick f;
  f.stick.boxes["to/db1"]["a.jit"] = f.lock_of(f.now);
  f.stick.boxes["to/segment/pci"]["b.jit"] = f.lock_of(f.now);
  f.stick.boxes["to/web1"]["c.jit"] = f.lock_of(f.now);
  f.stick.boxes["to/segment/dmz"]["d.jit"] = f.lock_of(f.now);
  CHECK(f.jitctl({"import", f.dir}) == Exit::done);
  REQUIRE(f.submitted.size() == 2);
  CHECK(f.submitted[0] == f.stick.boxes["to/db1"]["a.jit"]);
  CHECK(f.submitted[1] == f.stick.boxes["to/segment/pci"]["b.jit"]);
  CHECK(f.out_has("to/db1/a.jit: 7k3m000000000000  taken in"));
  SECTION("what jitd refuses is said, and the rest goes on") {
    f.daemon.on(Verb::submit, [&](const Row& fields) -> Result<Reply> {
      f.submitted.push_back(fields.text(Tag::document));
      return Reply{wire::Status::refused, "no signature of a known key", {}, {}};
    });
    CHECK(f.jitctl({"import", f.dir}) == Exit::refused);
    CHECK(f.submitted.size() == 4);
    CHECK(f.jitctl({"import", f.dir, "--json"}) == Exit::refused);
    CHECK(f.out_has("\"taken\":false"));
  }
  SECTION("nothing there") {
    f.stick.boxes.clear();
    CHECK(f.jitctl({"import", f.dir}) == Exit::done);
    CHECK(f.out_has("Nothing lies there for db1"));
  }
  SECTION("a listing without an end") {
    f.stick.boxes.clear();
    f.stick.endless = 1000000;
    f.submitted.clear();
    CHECK(f.jitctl({"import", f.dir}) == Exit::failed);
    CHECK(f.err_has("not more than 10000 files"));
    CHECK(f.submitted.empty());
  }
}

TEST_CASE("a stick round two hosts and back", "[jitctl][airgap]") {
  Stick f;
  // What db1 and web1 put there; the approver has no jitd.
  const auto one = f.db1.request(f.now);
  const auto two = f.web1.request(f.now);
  f.db1.file(f.stick, one);
  f.web1.file(f.stick, two);
  f.daemon.handlers.clear();
  CHECK(f.jitctl({"pending", "--source", f.dir}) == Exit::done);
  for (const auto& request : {one, two}) CHECK(f.out_has("Request " + id_of(sha256(to_payload(request)))));
  for (const auto& request : {one, two}) {
    const auto id = id_of(sha256(to_payload(request)));
    CHECK(f.jitctl({"approve", id, "--yes", "--no-wait", "--source", f.dir}) == Exit::pending);
  }
  CHECK(f.stick.boxes["to/db1"].size() == 1);
  CHECK(f.stick.boxes["to/web1"].size() == 1);
}

TEST_CASE("plain folders work as before", "[jitctl][airgap]") {
  Stick f;
  std::filesystem::create_directories(f.root + "/plain");
  CHECK_FALSE(is_mailbox_folder(f.root + "/plain"));
  CHECK(is_mailbox_folder(f.dir));
  f.put("plain/l.jit", f.lock_of(f.now));
  CHECK(f.jitctl({"import", f.root + "/plain"}) == Exit::done);
  CHECK(f.submitted.size() == 1);
}
