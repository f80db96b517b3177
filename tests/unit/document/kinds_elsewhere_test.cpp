// The kinds that come from elsewhere or go there: asks, events, numbered revocations, policy and trust.
#include "policy/text.hpp"
#include "tests/unit/document/payloads.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

const PublicKey kHostKey = new_key().public_key();

std::uint64_t some_number(std::uint64_t least) {
  return *rc::gen::inRange<std::uint64_t>(least, std::uint64_t{1} << 53U);
}

}  // namespace

TEST_CASE("asks, events, policies and lists read back from their payloads", "[document][kinds]") {
  CHECK(rc::check("asks", [] {
    AskDocument ask = sample_ask();
    ask.hosts = some(name());
    ask.segments = some(name(), ask.hosts.empty() ? 1 : 0);
    ask.user = *user();
    ask.role = *name();
    if (*rc::gen::arbitrary<bool>()) ask.duration.reset();
    ask.reason = "w" + *free_text(0, kMaxReason - 1);
    ask.ticket = *free_text(0, 128);
    ask.created = some_time();
    ask.expires = ask.created + some_duration() + Seconds(1);
    if (*rc::gen::arbitrary<bool>()) ask.start = ask.expires - Seconds(1);
    reads_back(ask);
  }));
  CHECK(rc::check("events", [] {
    EventDocument event = sample_event(kHostKey);
    event.sequence = some_number(1);
    event.entry = some_number(0);
    event.created = some_time();
    event.what = *rc::gen::element<std::string>("alive", "filed", "refused", "ended", "delivered");
    if (*rc::gen::arbitrary<bool>()) event.document = sha256("document");
    if (*rc::gen::arbitrary<bool>()) event.grant.reset();
    if (*rc::gen::arbitrary<bool>()) event.ask = sha256("ask");
    event.user = *rc::gen::arbitrary<bool>() ? *user() : "";
    event.role = *rc::gen::arbitrary<bool>() ? *name() : "";
    event.why = *free_text(0, kMaxReason);
    event.by = *free_text(0, kMaxReason);
    event.until.reset();
    if (*rc::gen::arbitrary<bool>()) event.until = some_time();
    if (*rc::gen::arbitrary<bool>()) {
      event.view = some_number(1);
      event.viewed = some_time();
    }
    reads_back(event);
  }));
  CHECK(rc::check("lists", [] {
    Revocation list = sample_revocation();
    list.grants = some_digests();
    list.users = some(user());
    list.created = some_time();
    list.number = some_number(1);
    list.next_update = list.created + some_duration();
    reads_back(list);
  }));
  CHECK(rc::check("policies", [] {
    PolicyDocument policy = sample_policy();
    policy.number = some_number(1);
    policy.parts = *rc::gen::inRange<std::uint64_t>(1, kMaxParts + 1);
    policy.part = *rc::gen::inRange<std::uint64_t>(1, policy.parts + 1);
    policy.files.clear();
    unsigned count = 0;
    for (const std::string& text : some(free_text(0, 300), 1))
      policy.files.push_back(
          {std::to_string(count++) + *name() + ".toml", text + *rc::gen::element<std::string>("", "\n", "\t\n")});
    reads_back(policy);
  }));
  reads_back(sample_trust());
}

TEST_CASE("an ask that nobody could judge is refused", "[document][kinds]") {
  const AskDocument ask = sample_ask();
  REQUIRE(error_of(to_payload(ask)).empty());
  CHECK(says(error_of(with(ask, "hosts", "")), "apply nowhere"));
  CHECK(says(error_of(with(ask, "reason", "reason = \" \"")), "say why"));
  CHECK(says(error_of(with(ask, "expires", "expires = 2026-11-22T05:10:00Z")), "not after created"));
  CHECK(says(error_of(with(ask, "expires", "")), "key \"expires\" is missing"));
  CHECK(says(error_of(with(ask, "user", "user = \"a:b\"")), "user"));
  CHECK(says(error_of(after_kind(ask, "start = 2026-11-22T06:10:00Z")), "never begin"));
  CHECK(says(error_of(after_kind(ask, "uid = 0")), "key \"uid\": unknown"));  // a host asks itself who that is
}

TEST_CASE("a request from elsewhere names the ask, and no other does", "[document][kinds]") {
  Request request = sample_request(kHostKey);
  request.origin = "ask";
  CHECK(says(error_of(to_payload(request)), "it goes with origin"));
  request.ask = sha256("ask");
  CHECK(error_of(to_payload(request)).empty());
  request.origin = "local";
  CHECK(says(error_of(to_payload(request)), "it goes with origin"));
}

TEST_CASE("events have the host's own form", "[document][kinds]") {
  const EventDocument event = sample_event(kHostKey);
  REQUIRE(error_of(to_payload(event)).empty());
  CHECK(says(error_of(with(event, "sequence", "sequence = 0")), "begins with 1"));
  CHECK(says(error_of(with(event, "sequence", "sequence = -1")), "begins with 1"));
  CHECK(says(error_of(with(event, "sequence", "sequence = 9007199254740993")), "2^53"));
  CHECK(says(error_of(with(event, "what", "what = \"exploded\"")), "not known to this release"));
  CHECK(says(error_of(with(event, "head", "head = \"sha256:00\"")), "head"));
  CHECK(says(error_of(with(event, "machine", "machine = \"x\"")), "machine"));
  CHECK(says(error_of(after_kind(event, "view = 3")), "it goes with view"));
  EventDocument alive = event;
  alive.what = "alive";
  alive.sequence = 0;
  CHECK(error_of(to_payload(alive)).empty());
}

TEST_CASE("a numbered revocation says when the next is due, and may end nothing", "[document][kinds]") {
  Revocation list = sample_revocation();
  list.grants.clear();
  list.users.clear();
  list.number = 4;
  CHECK(says(error_of(to_payload(list)), "next_update"));
  list.next_update = list.created + std::chrono::hours(1);
  CHECK(error_of(to_payload(list)).empty());
  CHECK_FALSE(error_of(with(list, "number", "")).empty());
  CHECK(says(error_of(with(list, "number", "number = 0")), "number"));
  CHECK(says(error_of(with(list, "next_update", "next_update = 2026-11-22T05:12:00Z")), "not after created"));
}

TEST_CASE("policy and trust name files, never paths", "[document][kinds]") {
  const PolicyDocument policy = sample_policy();
  REQUIRE(error_of(to_payload(policy)).empty());
  for (const std::string bad : {"../x.toml", "/etc/x.toml", ".x.toml", "-x.toml", "x", ".toml", "a b.toml",
                                "a/b.toml", "x.toml\\n", "\\u00e9.toml", "x.TOML", ""}) {
    INFO(bad);
    CHECK(says(error_of(with(policy, "name", "name = \"" + bad + "\"")), "files"));
  }
  PolicyDocument twice = policy;
  twice.files.push_back(twice.files.front());
  CHECK(says(error_of(to_payload(twice)), "twice"));
  CHECK(says(error_of(with(policy, "number", "number = 0")), "number"));
  CHECK(says(error_of(after_kind(policy, "part = 2")), "part"));
  CHECK(says(error_of(after_kind(policy, "part = 0\nparts = 2")), "part"));
  CHECK(says(error_of(after_kind(policy, "parts = 65")), "parts"));
  CHECK(says(error_of(to_payload(policy) + "mode = 1\n"), "key \"mode\": unknown"));
  TrustDocument trust = sample_trust();
  trust.files.front().name = "hosts";
  CHECK(says(error_of(to_payload(trust)), "approvers"));
}
