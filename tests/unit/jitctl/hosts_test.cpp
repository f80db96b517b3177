// jitctl hosts, and what is remembered of hosts so that going back is noticed.
#include "jitctl/host_memory.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Fleet : ElsewhereFixture {
  Fleet() {
    db1.say(source(), db1.event("started", now - std::chrono::hours(2)));
    db1.say(source(), db1.event("residue", now - std::chrono::hours(1)));
    auto alive = db1.event("alive", now - std::chrono::minutes(4));
    alive.sequence = 2;
    alive.view = 12;
    alive.viewed = now - std::chrono::minutes(30);
    source().boxes["from/db1"]["alive.jit"] = db1.sign(alive);
  }
  Exit hosts(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"hosts", "--source", kFleet};
    words.insert(words.end(), more.begin(), more.end());
    return jitctl(words);
  }
  // The same host, as it was before: a snapshot that was put back.
  FarHost before = db1;
};

}  // namespace

TEST_CASE("hosts: last heard of, view, policy, audit, pending", "[jitctl][elsewhere]") {
  Fleet f;
  f.db1.file(f.source(), f.db1.request(f.now));
  CHECK(f.hosts() == Exit::done);
  for (const auto& part :
       {std::string("4m ago"), std::string("12, 30m old"), digest_text(sha256("policy")).substr(7, 12),
        std::string("102"), digest_text(sha256("entry 102")).substr(7, 12), std::string("never")}) {
    INFO(part);
    CHECK(f.out_has(part));
  }
  CHECK(f.hosts({"--json"}) == Exit::done);
  CHECK(f.out_has("\"host\":\"db1\",\"read\":true,\"seen\":"));
  CHECK(f.out_has("\"view\":12"));
  CHECK(f.out_has("\"pending\":1,\"odd\":[]"));
  CHECK(f.hosts({"web1"}) == Exit::done);
  CHECK_FALSE(f.out_has("db1"));
  CHECK(f.hosts({"db9"}) == Exit::failed);
  CHECK(f.hosts({"../x"}) == Exit::failed);
}

TEST_CASE("hosts: what is odd", "[jitctl][elsewhere]") {
  Fleet f;
  REQUIRE(f.hosts() == Exit::done);  // the first look trusts what it sees
  REQUIRE(f.hosts() == Exit::done);
  SECTION("events go back: the database was put back") {
    f.source().boxes["from/db1"].clear();
    FarHost back = f.before;
    back.sequence = 0;
    back.entry = 50;
    back.say(f.source(), back.event("started", f.now));
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("its events went back from 2 to 1"));
    CHECK(f.out_has("its audit went back from entry 102 to 51"));
    CHECK(f.hosts() == Exit::failed);  // until somebody says that it is right
    CHECK(f.jitctl({"hosts", "--forget", "db1"}) == Exit::done);
    CHECK(f.hosts() == Exit::done);
  }
  SECTION("a source that holds events back, or is behind") {
    f.source().boxes["from/db1"].erase("alive.jit");
    f.source().boxes["from/db1"].erase("e-000000000002.jit");
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("what came later is held back, or not here yet"));
  }
  SECTION("two events of one number") {
    FarHost other = f.db1;
    other.sequence = 1;
    other.say(f.source(), other.event("residue", f.now));
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("two events have the number 2"));
  }
  SECTION("the audit was rewritten") {
    auto event = f.db1.event("residue", f.now);
    event.sequence = 3;
    event.entry = 102;
    event.head = sha256("another past");
    f.source().boxes["from/db1"]["e-000000000003.jit"] = f.db1.sign(event);
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("entry 102 of its audit had another hash before"));
  }
  SECTION("another machine, once") {
    f.db1.machine = digest_text(sha256("new hardware"));
    f.db1.say(f.source(), f.db1.event("started", f.now));
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("another machine has its key since"));
    f.now += std::chrono::minutes(5);
    f.db1.say(f.source(), f.db1.event("residue", f.now));
    CHECK(f.hosts() == Exit::done);
  }
  SECTION("two machines with one key") {
    FarHost copy = f.db1;
    copy.machine = digest_text(sha256("a copy"));
    copy.say(f.source(), copy.event("started", f.now - std::chrono::minutes(3)));
    CHECK(f.hosts() == Exit::failed);
    f.db1.sequence = 3;
    f.db1.say(f.source(), f.db1.event("residue", f.now));
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("two machines use the key of db1"));
    // Also where only one of them is to be seen at a time.
    f.source().boxes["from/db1"].erase("e-000000000003.jit");
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("two machines use the key of db1"));
  }
  SECTION("one key under two names") {
    f.web1.key = f.db1.key;
    f.know({&f.db1, &f.web1});
    CHECK(f.hosts() == Exit::failed);
    CHECK(f.out_has("its key is that of web1 too"));
  }
  SECTION("a new key is another host: nothing is held against it") {
    f.db1.key = *SigningKey::generate();
    f.know({&f.db1, &f.web1});
    f.source().boxes["from/db1"].clear();
    f.db1.sequence = 0;
    f.db1.entry = 0;
    f.db1.say(f.source(), f.db1.event("started", f.now));
    CHECK(f.hosts() == Exit::done);
  }
}

TEST_CASE("an approver is told what is odd about a host before signing for it", "[jitctl][elsewhere]") {
  Fleet f;
  REQUIRE(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
  f.source().boxes["from/db1"].clear();
  FarHost back = f.before;
  back.sequence = 0;
  back.entry = 50;
  back.say(f.source(), back.event("started", f.now));
  back.file(f.source(), back.request(f.now));
  CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
  CHECK(f.err_has("db1: its events went back from 2 to 1"));
}

TEST_CASE("what is remembered of a host", "[jitctl][elsewhere]") {
  Fleet f;
  HostSight sight{"db1", {}, {}, {}};
  const auto trust = parse_trust("hosts", f.db1.trust_line());
  for (std::uint64_t number = 1; number <= 300; ++number) {
    auto event = f.db1.event("residue", f.now + Seconds(static_cast<Seconds::rep>(number)));
    event.sequence = number;
    event.entry = 1000 + number;
    event.head = sha256(std::to_string(number));
    event.machine = digest_text(sha256(std::to_string(number / 20)));
    sight.add(std::get<SeenEvent>(see(f.db1.sign(event), trust, f.now)));
  }
  const auto recollection = recollect({}, sight);
  CHECK(recollection.memory.sequence == 300);
  CHECK(recollection.memory.entry == 1300);
  CHECK(recollection.memory.events.size() == kRemembered);
  CHECK(recollection.memory.events.contains(300));
  CHECK(recollection.memory.machines.size() == kMachines);
  const auto text = to_text(recollection.memory);
  CHECK(text.size() < kMaxMemory);
  CHECK(parse_host_memory(text) == recollection.memory);
  CHECK(recollect(recollection.memory, sight).odd.empty());
  // What does not read is nothing, and never half of it.
  for (const std::string& bad : {std::string(), std::string("jit-host 2\n"), std::string("key x\n"), text + "what\n",
                                 text + "event x y\n", text + text}) {
    CHECK_FALSE(parse_host_memory(bad).has_value());
  }
  REQUIRE(f.hosts() == Exit::done);
  const auto file = f.root + "/home/.local/state/jit/hosts/db1";
  using std::filesystem::perms;
  CHECK((std::filesystem::status(file).permissions() & perms::all) == (perms::owner_read | perms::owner_write));
  f.put("home/.local/state/jit/hosts/db1", "\x1b garbage");
  CHECK(f.hosts() == Exit::done);
}
