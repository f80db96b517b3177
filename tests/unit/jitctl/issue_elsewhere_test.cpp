// grant, revoke, lock and unlock for many hosts elsewhere, and what each of them answers.
#include "jitctl/own_state.hpp"
#include "jitctl/parcels.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Issuer : ElsewhereFixture {
  FarHost db2;
  Issuer() {
    db2.name = "db2";
    know({&db1, &db2, &web1});
    for (auto* host : {&db1, &db2, &web1}) host->alive(source(), now - std::chrono::minutes(2));
  }
  // These hosts answer with this word at once.
  void answer(const std::vector<FarHost*>& hosts, const std::string& word, const std::string& why = "") {
    source().on_put = [this, hosts, word, why](const std::string& box, const std::string& bytes) {
      for (auto* host : hosts) {
        if (box != "to/" + host->name && !box.starts_with("to/segment/")) continue;
        auto event = host->event(word, now);
        event.document = sha256(parse_envelope(bytes)->payload);
        event.why = why;
        event.by = "carol";
        if (word == "active" || word == "filed") event.grant = event.document;
        if (word == "active") event.until = now + std::chrono::hours(1);
        if (word == "filed") event.state = "pending";
        host->say(source(), event);
      }
    };
  }
  // A grant that alice holds there.
  void holds(FarHost& host) {
    auto event = host.event("active", now - std::chrono::minutes(30));
    event.grant = sha256("a grant on " + host.name);
    event.user = "alice";
    event.role = "dba";
    event.until = now + std::chrono::hours(3);
    host.say(source(), event);
    host.alive(source(), now - std::chrono::minutes(2));
  }
};

template <class T>
T only(const std::vector<Document>& documents) {
  REQUIRE(documents.size() == 1);
  return std::get<T>(documents.front());
}

}  // namespace

TEST_CASE("lock USER --source: the leaver's command", "[jitctl][elsewhere]") {
  Issuer f;
  SECTION("every host of the hosts file, and all confirm") {
    f.answer({&f.db1, &f.db2, &f.web1}, "locked", "ended 2");
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet}) == Exit::done);
    const auto lock = only<Lock>(f.sent_to("to/db1"));
    CHECK(lock.users == std::vector<std::string>{"alice"});
    CHECK(lock.hosts == std::vector<std::string>{"db1", "db2", "web1"});
    CHECK(f.out_has("3 of 3 hosts have answered."));
    CHECK(f.out_has("ended 2, by carol"));
    CHECK_FALSE(f.out_has("Not confirmed"));
    CHECK(f.ticks < std::chrono::milliseconds(3000));
  }
  SECTION("some do not: what they still hold there, until when, and since when nothing was heard") {
    f.holds(f.db2);
    f.source().boxes["from/web1"].clear();
    f.answer({&f.db1}, "locked", "ended 1");
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet}) == Exit::pending);
    CHECK(f.out_has("1 of 3 hosts have answered."));
    CHECK(f.out_has("Not confirmed yet: db2 and web1."));
    CHECK(f.out_has("dba until 2026-11-22"));
    CHECK(f.out_has("2m ago"));
    CHECK(f.out_has("never"));
    CHECK(f.out_has("not known"));
    CHECK(f.out_has("Look again: jitctl show "));
    CHECK(f.ticks >= std::chrono::milliseconds(11000));
  }
  SECTION("--wait keeps waiting for the last of them") {
    f.answer({&f.db1, &f.web1}, "locked");
    f.source().on_wait = [&] {
      if (f.source().waits != 100) return;
      auto event = f.db2.event("locked", f.now);
      event.document = sha256(parse_envelope(f.source().boxes["to/db2"].begin()->second)->payload);
      f.db2.say(f.source(), event);
    };
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet, "--wait", "5m"}) == Exit::done);
    CHECK(f.out_has("3 of 3 hosts have answered."));
    CHECK(f.out_has("50.0 s"));
  }
  SECTION("refused by one") {
    f.source().on_put = [&](const std::string& box, const std::string& bytes) {
      for (auto* host : {&f.db1, &f.db2, &f.web1}) {
        if (box != "to/" + host->name) continue;
        auto event = host->event(host == &f.db2 ? "refused" : "locked", f.now);
        event.document = sha256(parse_envelope(bytes)->payload);
        event.why = host == &f.db2 ? "carol may not lock here" : "";
        host->say(f.source(), event);
      }
    };
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet}) == Exit::refused);
    CHECK(f.out_has("carol may not lock here"));
  }
  SECTION("not to be sent to one") {
    f.answer({&f.db1, &f.db2, &f.web1}, "locked");
    f.context.open_mailbox = [&](const SourceSpec&) -> Result<std::unique_ptr<Mailbox>> {
      struct Picky final : FakeMailbox {
        using FakeMailbox::FakeMailbox;
        Result<void> put(const Box& box, const std::string& name, std::string_view bytes, WallTime until) override {
          if (box.name() == "web1") return fail(Errc::refused, "not your box");
          return FakeMailbox::put(box, name, bytes, until);
        }
      };
      return std::make_unique<Picky>(f.source(), f.ticks);
    };
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet}) == Exit::failed);
    CHECK(f.out_has("not sent"));
    CHECK(f.out_has("not your box"));
  }
  SECTION("what happened before, about another lock, is no answer") {
    auto old = f.db1.event("locked", f.now - std::chrono::minutes(1));
    old.document = sha256("another lock");
    f.db1.say(f.source(), old);
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--on", "db1", "--source", kFleet}) == Exit::pending);
    CHECK(f.out_has("no answer yet"));
  }
  SECTION("an answer of another host is not this one's") {
    f.source().on_put = [&](const std::string&, const std::string& bytes) {
      auto event = f.web1.event("locked", f.now);
      event.document = sha256(parse_envelope(bytes)->payload);
      event.sequence = 1;
      f.source().boxes["from/db1"]["e-000000000001.jit"] = f.web1.sign(event);
    };
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--on", "db1", "--source", kFleet}) == Exit::pending);
  }
  SECTION("JSON: an object a host") {
    f.holds(f.db2);
    f.answer({&f.db1, &f.web1}, "locked", "ended 1");
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet, "--json"}) == Exit::pending);
    CHECK(f.out_has("\"host\":\"db1\""));
    CHECK(f.out_has("\"state\":\"locked\",\"message\":\"ended 1\",\"by\":\"carol\""));
    CHECK(f.out_has("\"state\":\"sent\""));
    CHECK(f.out_has("\"holds\":[{\"role\":\"dba\",\"user\":\"alice\",\"sure\":true"));
  }
}

TEST_CASE("unlock --source lifts what was locked from here", "[jitctl][elsewhere]") {
  Issuer f;
  f.answer({&f.db1, &f.db2, &f.web1}, "locked");
  REQUIRE(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet}) == Exit::done);
  const auto lock = sha256(parse_envelope(f.source().boxes["to/db1"].begin()->second)->payload);
  f.source().boxes["to/db1"].clear();
  f.answer({&f.db1, &f.db2, &f.web1}, "unlocked");
  CHECK(f.jitctl({"unlock", "alice", "-m", "back", "--source", kFleet}) == Exit::done);
  CHECK(only<Lock>(f.sent_to("to/db1")).lifts == std::vector<Digest>{lock});
  // Nothing was locked of bob from here; a lock of another approver is named.
  CHECK(f.jitctl({"unlock", "bob", "-m", "back", "--source", kFleet}) == Exit::failed);
  CHECK(f.err_has("--lock FILE"));
  CHECK(f.jitctl({"unlock", "--lock", digest_text(lock), "-m", "back", "--source", kFleet}) == Exit::done);
  CHECK(f.jitctl({"unlock", "alice", "--source", kFleet}) == Exit::usage);
}

TEST_CASE("grant --source: host by host", "[jitctl][elsewhere]") {
  Issuer f;
  const auto grant = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"grant", "--user", "alice", "--role",   "dba", "--for",
                                      "1h",    "-m",     "why",   "--source", kFleet};
    words.insert(words.end(), more.begin(), more.end());
    return f.jitctl(words);
  };
  SECTION("active on both") {
    f.answer({&f.db1, &f.db2}, "active");
    CHECK(grant({"--on", "db1", "--on", "db2", "--on", "db1"}) == Exit::done);
    CHECK(only<GrantDocument>(f.sent_to("to/db2")).hosts == std::vector<std::string>{"db1", "db2"});
    CHECK(f.out_has("active until"));
  }
  SECTION("others have to sign") {
    f.answer({&f.db1}, "filed", "waiting for security (0 of 1)");
    CHECK(grant({"--on", "db1"}) == Exit::pending);
    CHECK(f.out_has("waiting for security"));
    CHECK(f.ticks < std::chrono::milliseconds(3000));
  }
  SECTION("active a moment after it was filed") {
    f.answer({&f.db1}, "filed");
    f.source().on_wait = [&] {
      if (f.source().waits != 2) return;
      auto event = f.db1.event("active", f.now);
      event.grant = sha256(parse_envelope(f.source().boxes["to/db1"].begin()->second)->payload);
      event.until = f.now + std::chrono::hours(1);
      f.db1.say(f.source(), event);
    };
    CHECK(grant({"--on", "db1"}) == Exit::done);
    CHECK(f.out_has("active until"));
  }
  SECTION("filed, for nobody and for later") {
    f.answer({&f.db1}, "filed");
    CHECK(grant({"--on", "db1"}) == Exit::pending);
    CHECK(f.ticks < std::chrono::milliseconds(6000));
  }
  SECTION("for which hosts is never guessed") {
    CHECK(grant({}) == Exit::failed);
    CHECK(f.err_has("for which hosts?"));
    CHECK(grant({"--on-all", "--on", "db1"}) == Exit::failed);
    CHECK(grant({"--on", "db9"}) == Exit::failed);
    CHECK(f.err_has("db9: not in your hosts file"));
    CHECK(grant({"--on", "../db1"}) == Exit::failed);
    CHECK(f.spawn.requests.empty());
  }
  SECTION("a segment: those that answer, for as long as is waited") {
    f.answer({&f.db1, &f.db2}, "active");
    CHECK(grant({"--segment", "pci"}) == Exit::done);
    CHECK(only<GrantDocument>(f.sent_to("to/segment/pci")).segments == std::vector<std::string>{"pci"});
    CHECK(f.out_has("db1"));
    CHECK(f.out_has("db2"));
    CHECK_FALSE(f.out_has("web1"));
    CHECK(f.out_has("Which hosts are in a segment is not known here"));
    CHECK(f.ticks >= std::chrono::milliseconds(11000));
  }
  SECTION("a segment, and nobody answers") {
    CHECK(grant({"--segment", "pci"}) == Exit::pending);
    CHECK(grant({"--segment", "pci", "--json"}) == Exit::pending);
    CHECK(f.out_has("[{\"segment\":\"pci\",\"id\":"));
    f.source().takes = false;
    CHECK(grant({"--segment", "pci"}) == Exit::failed);
  }
  SECTION("every host") {
    f.answer({&f.db1, &f.db2, &f.web1}, "active");
    CHECK(grant({"--on-all"}) == Exit::done);
    CHECK(f.out_has("3 of 3 hosts have answered."));
  }
}

TEST_CASE("revoke --source", "[jitctl][elsewhere]") {
  Issuer f;
  f.holds(f.db2);
  const auto held = sha256("a grant on db2");
  f.answer({&f.db1, &f.db2, &f.web1}, "revoked", "ended 1");
  SECTION("by id: on the hosts that know it") {
    CHECK(f.jitctl({"revoke", id_of(held).substr(0, 6), "-m", "enough", "--source", kFleet}) == Exit::done);
    const auto revocation = only<Revocation>(f.sent_to("to/db2"));
    CHECK(revocation.hosts == std::vector<std::string>{"db2"});
    CHECK(revocation.requests == std::vector<Digest>{held});
    CHECK(revocation.grants == std::vector<Digest>{held});
    CHECK(f.source().boxes["to/db1"].empty());
    CHECK(f.out_has("revoked"));
  }
  SECTION("by an id that nobody knows") {
    CHECK(f.jitctl({"revoke", "zzzzzz", "-m", "enough", "--source", kFleet}) == Exit::failed);
    CHECK(f.err_has("no host at https://fleet.example says anything of it"));
  }
  SECTION("by digest, for hosts that were named, it need not be known") {
    CHECK(f.jitctl({"revoke", digest_text(sha256("x")), "--on", "db1", "-m", "enough", "--source", kFleet}) ==
          Exit::done);
    CHECK(only<Revocation>(f.sent_to("to/db1")).requests == std::vector<Digest>{sha256("x")});
  }
  SECTION("by user: where is to be said") {
    CHECK(f.jitctl({"revoke", "--user", "alice", "-m", "enough", "--source", kFleet}) == Exit::failed);
    CHECK(f.err_has("--on-all"));
    CHECK(f.jitctl({"revoke", "--user", "alice", "-m", "enough", "--on-all", "--source", kFleet}) == Exit::done);
    CHECK(only<Revocation>(f.sent_to("to/web1")).users == std::vector<std::string>{"alice"});
  }
  SECTION("everything, everywhere, only when both are said") {
    CHECK(f.jitctl({"revoke", "--all", "-m", "fire", "--source", kFleet}) == Exit::failed);
    CHECK(f.jitctl({"revoke", "--all", "--on-all", "-m", "fire", "--source", kFleet}) == Exit::done);
  }
}

TEST_CASE("more hosts than one document may name become several documents", "[jitctl][elsewhere]") {
  Lock lock;
  lock.users = {"alice"};
  lock.reason = "left";
  lock.created = WallTime(Seconds(1795332600));
  std::vector<std::string> hosts;
  for (int number = 0; number < 1000; ++number) hosts.push_back("host-" + std::to_string(number));
  SECTION("by their number") {
    const auto documents = documents_for(lock, {hosts, {"pci"}});
    REQUIRE(documents.has_value());
    CHECK(documents->size() == 4);
    std::vector<std::string> all;
    std::set<std::string> nonces;
    std::size_t segments = 0;
    for (const auto& document : *documents) {
      CHECK(check_document(document).has_value());
      CHECK(parse_document(to_payload(document), "it").has_value());
      const auto& one = std::get<Lock>(document);
      all.insert(all.end(), one.hosts.begin(), one.hosts.end());
      nonces.insert(one.nonce);
      segments += one.segments.size();
    }
    CHECK(all == hosts);
    CHECK(nonces.size() == documents->size());
    CHECK(segments == 1);
  }
  SECTION("by their size") {
    for (auto& host : hosts) host.insert(0, 200, 'a');
    const auto documents = documents_for(lock, {hosts, {}});
    REQUIRE(documents.has_value());
    for (const auto& document : *documents) CHECK(to_payload(document).size() < kMaxDocument - 4096);
  }
  SECTION("as one command") {
    Issuer f;
    std::string text;
    FarHost far;
    for (const auto& host : hosts) {
      far.name = host;
      text += far.trust_line();
    }
    f.put("home/.config/jit/hosts", text);
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet, "--no-wait"}) == Exit::pending);
    CHECK(f.source().put_names.size() == hosts.size());
    CHECK(f.out_has("0 of 1000 hosts have answered."));
    CHECK(f.out_has("and 990 more"));
    const auto keygen = std::count_if(f.spawn.requests.begin(), f.spawn.requests.end(), [](const auto& request) {
      return request.argv.front() == "/usr/bin/ssh-keygen";
    });
    CHECK(keygen == 4);
    // Those that say the same share a line.
    far.name = "host-17";
    auto event = far.event("locked", f.now);
    event.document = sha256(parse_envelope(f.source().boxes["to/host-17"].begin()->second)->payload);
    event.why = "ended 2";
    far.say(f.source(), event);
    CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("host-17"));
    CHECK(f.out_has("ended 2"));
    INFO(f.out.str());
    CHECK(f.out_has("249 hosts"));
    CHECK_FALSE(f.out_has("host-18"));
    CHECK(f.jitctl({"lock", "alice", "-m", "left", "--on-all", "-o", f.root + "/l.jit"}) == Exit::failed);
  }
}

TEST_CASE("show --source: what became of what was sent", "[jitctl][elsewhere]") {
  Issuer f;
  f.answer({&f.db1}, "locked", "ended 2");
  REQUIRE(f.jitctl({"lock", "alice", "-m", "left", "--on", "db1", "--on", "db2", "--source", kFleet, "--no-wait"}) ==
          Exit::pending);
  const auto sent = sent_documents(f.context, kSent);
  REQUIRE(sent.size() == 1);
  const auto id = id_of(sent[0].digest);
  CHECK(f.jitctl({"show", id.substr(0, 6), "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("lock " + id));
  CHECK(f.out_has("ended 2"));
  CHECK(f.out_has("no answer yet"));
  CHECK(f.jitctl({"show", digest_text(sent[0].digest), "--source", kFleet, "--json"}) == Exit::done);
  CHECK(f.out_has("\"events\":[{\"time\":"));
  // Where it was not sent from here, by what hosts say.
  std::filesystem::remove_all(f.root + "/home/.local");
  CHECK(f.jitctl({"show", id, "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("locked"));
  CHECK(f.jitctl({"show", "zzzz", "--source", kFleet}) == Exit::failed);
}

TEST_CASE("status --source: what became of what was sent", "[jitctl][elsewhere]") {
  Issuer f;
  f.answer({&f.db1}, "locked", "ended 2");
  REQUIRE(f.jitctl({"lock", "alice", "-m", "left", "--on", "db1", "--on", "db2", "--source", kFleet, "--no-wait"}) ==
          Exit::pending);
  f.answer({&f.web1}, "active");
  REQUIRE(f.jitctl({"grant", "--user", "bob", "--role", "dba", "--for", "1h", "-m", "why", "--on", "web1", "--source",
                    kFleet}) == Exit::done);
  CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("grant  web1  dba   bob    active until "));
  INFO(f.out.str());
  CHECK(f.out_has("alice  locked"));
  CHECK(f.out_has("alice  no answer yet"));
}

TEST_CASE("P8: what was sent is kept for its user alone, and not for ever", "[jitctl][elsewhere][P8]") {
  Issuer f;
  REQUIRE(f.jitctl({"lock", "alice", "-m", "left", "--source", kFleet, "--no-wait"}) == Exit::pending);
  const std::filesystem::path folder = f.root + "/home/.local/state/jit/sent";
  using std::filesystem::perms;
  CHECK((std::filesystem::status(folder).permissions() & perms::all) == perms::owner_all);
  for (const auto& file : std::filesystem::directory_iterator(folder))
    CHECK((file.status().permissions() & perms::all) == (perms::owner_read | perms::owner_write));
  f.put("home/.local/state/jit/sent/junk.jit", "junk");
  CHECK(sent_documents(f.context, kSent).size() == 1);
  f.now += std::chrono::days(22);
  REQUIRE(f.jitctl({"lock", "bob", "-m", "left", "--source", kFleet, "--no-wait"}) == Exit::pending);
  const auto sent = sent_documents(f.context, kSent);
  REQUIRE(sent.size() == 1);
  CHECK(std::get<Lock>(sent[0].document).users.front() == "bob");
}

TEST_CASE("import --source sends on what others signed", "[jitctl][elsewhere]") {
  Issuer f;
  REQUIRE(f.jitctl({"lock", "alice", "-m", "left", "--on", "db1", "-o", f.root + "/l.jit"}) == Exit::done);
  f.answer({&f.db1}, "locked");
  CHECK(f.jitctl({"import", f.root + "/l.jit", "--source", kFleet}) == Exit::done);
  CHECK(only<Lock>(f.sent_to("to/db1")).users.front() == "alice");
  const auto request = f.put("r.jit", f.db1.sign(f.db1.request(f.now)));
  CHECK(f.jitctl({"import", request, "--source", kFleet}) == Exit::failed);
  CHECK(f.err_has("comes from a host, and goes to none"));
  f.know({&f.web1});
  CHECK(f.jitctl({"import", f.root + "/l.jit", "--source", kFleet}) == Exit::failed);
  CHECK(f.err_has("db1 is not in your hosts file"));
}

TEST_CASE("export --source writes requests as their hosts signed them", "[jitctl][elsewhere]") {
  Issuer f;
  const auto request = f.db1.request(f.now);
  const auto id = id_of(f.db1.file(f.source(), request));
  CHECK(f.jitctl({"export", id, "--source", kFleet}) == Exit::done);
  CHECK(parse_envelope(f.out.str())->payload == to_payload(request));
  std::filesystem::create_directories(f.root + "/out");
  CHECK(f.jitctl({"export", "--all", "--to", f.root + "/out", "--source", kFleet}) == Exit::done);
  CHECK(parse_envelope(Fixture::get(f.root + "/out/" + id + ".jit"))->payload == to_payload(request));
  CHECK(f.jitctl({"export", "zzzz", "--source", kFleet}) == Exit::failed);
}
