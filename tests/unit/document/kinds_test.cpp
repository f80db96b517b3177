// Payloads: what we write reads back to the same value, and nothing but what is meant is read.
#include "policy/document/kinds.hpp"

#include <rapidcheck.h>

#include "policy/document/effects.hpp"
#include "policy/text.hpp"
#include "tests/unit/document/hostile.hpp"
#include "tests/unit/document/payloads.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

const PublicKey kHostKey = new_key().public_key();

}  // namespace

TEST_CASE("every kind reads back from its payload, whatever it holds", "[document][kinds]") {
  CHECK(rc::check("requests", [] {
    Request request = sample_request(kHostKey);
    request.host = *name();
    request.user = *user();
    request.uid = *rc::gen::inRange<std::uint32_t>(0, 65534);
    request.requesters.clear();
    for (const std::string& one : some(user(), 1)) request.requesters.push_back({one, false});
    for (const std::string& one : some(name())) request.requesters.push_back({one, true});
    request.role = *name();
    request.duration = some_duration();
    request.reason = *free_text(1, kMaxReason);
    request.ticket = *free_text(0, 128);
    request.created = some_time();
    request.expires = request.created + some_duration() + Seconds(1);
    if (*rc::gen::arbitrary<bool>()) {
      request.start = request.expires - Seconds(1);
    } else if (*rc::gen::arbitrary<bool>()) {
      request.extends = sha256(request.reason);
    }
    Effects effects;
    for (const std::string& one : some(user())) effects.groups.push_back({one, 7});
    for (const std::string& one : some(user())) {
      effects.sudo.push_back(
          {one, 0, {"/usr/bin/x", some(hostile_word()), *rc::gen::arbitrary<bool>()}, false, Recording::required});
    }
    request.effects = to_text(effects);
    reads_back(request);
  }));
  CHECK(rc::check("reviews", [] {
    Review review = sample_review();
    review.approve = *rc::gen::arbitrary<bool>();
    review.duration.reset();
    if (review.approve && *rc::gen::arbitrary<bool>()) review.duration = some_duration();
    review.comment = *free_text(0, kMaxReason);
    review.created = some_time();
    review.expires = review.created + some_duration();
    if (review.approve && *rc::gen::arbitrary<bool>()) review.start = review.created;
    reads_back(review);
  }));
  CHECK(rc::check("grants", [] {
    GrantDocument grant = sample_grant();
    grant.hosts = some(name(), 1);
    grant.segments = some(name());
    grant.user = *user();
    grant.reason = *free_text(1, kMaxReason);
    grant.ticket = *free_text(0, 128);
    grant.created = some_time();
    grant.not_before.reset();
    grant.not_after.reset();
    if (grant.hosts.size() == 1 && grant.segments.empty()) grant.host_key = fingerprint(kHostKey);
    if (*rc::gen::arbitrary<bool>()) grant.not_before = grant.created;
    grant.once = *rc::gen::arbitrary<bool>();
    if (*rc::gen::arbitrary<bool>()) {
      grant.not_after = grant.created + some_duration();
    } else {
      grant.duration = some_duration();
      grant.activate_by = grant.created + some_duration();
    }
    reads_back(grant);
  }));
  CHECK(rc::check("revocations", [] {
    Revocation revocation = sample_revocation();
    revocation.segments = some(name());
    revocation.reason = *free_text(1, kMaxReason);
    revocation.grants = some_digests();
    revocation.requests = some_digests();
    revocation.users = some(user());
    revocation.approvers = some(user());
    revocation.all = revocation.grants.empty() && revocation.requests.empty() && revocation.users.empty() &&
                     revocation.approvers.empty();
    reads_back(revocation);
  }));
  CHECK(rc::check("locks and unlocks", [] {
    Lock lock = sample_lock();
    lock.users = some(user());
    lock.approvers = some(user());
    lock.until.reset();
    if (*rc::gen::arbitrary<bool>()) {
      lock.users.clear();
      lock.approvers.clear();
      lock.keys.clear();
      lock.lifts = some_digests();
      lock.lifts.push_back(sha256("one"));
    } else if (*rc::gen::arbitrary<bool>()) {
      lock.until = lock.created + some_duration();
    }
    reads_back(lock);
  }));
}

TEST_CASE("people can read a request raw", "[document][kinds]") {
  const std::string payload = to_payload(sample_request(kHostKey));
  CHECK(payload.find("jit = 1\nkind = \"request\"\nhost = \"db1.example.org\"\n") == 0);
  CHECK(payload.find("effects = '''\ngroup postgres gid 115\nopens login\nsudo as postgres uid 112: /usr/bin/psql "
                     "... [record]\n'''\n") != std::string::npos);
  CHECK(payload.find("requesters = [\"user:alice\", \"person:carol\"]\n") != std::string::npos);
}

TEST_CASE("versions, kinds and keys that are not known are refused by name (P7)", "[document][kinds]") {
  const Review review = sample_review();
  REQUIRE(error_of(to_payload(review)).empty());
  CHECK(says(error_of(with(review, "kind", "kind = \"facts\"")), "kind \"facts\" is not known"));
  CHECK(says(error_of(with(review, "kind", "kind = 1")), "kind"));
  CHECK(says(error_of(with(review, "kind", "")), "key \"kind\" is missing"));
  std::string later = to_payload(review);
  CHECK(says(error_of(later.replace(0, 7, "jit = 2")), "version jit = 2"));
  CHECK(says(error_of(later.replace(0, 7, "jit = 0")), "version jit = 0"));
  CHECK(says(error_of(later.replace(0, 8, "")), "key \"jit\""));
  CHECK(says(error_of(after_kind(review, "grnat = 1")), "key \"grnat\": unknown"));
  CHECK(says(error_of(after_kind(review, "JIT = 1")), "key \"JIT\": unknown"));
  CHECK(says(error_of(after_kind(review, "\"a\\u001b\" = 1")), "key \"a\\x1b\": unknown"));
  CHECK(says(error_of(to_payload(review) + "[extra]\n"), "key \"extra\": unknown"));
  CHECK(says(error_of(to_payload(review) + "extra.deep = 1\n"), "key \"extra\": unknown"));
  CHECK(says(error_of(to_payload(sample_revocation()) + "hosts = [\"x\"]\n"), "key \"hosts\": unknown"));
}

TEST_CASE("keys that this release cannot enforce are refused by name, never ignored", "[document][kinds]") {
  for (const std::string key : {"from", "commands", "risk"}) {
    INFO(key);
    for (const Document& document :
         {Document(sample_request(kHostKey)), Document(sample_review()), Document(sample_grant()),
          Document(sample_revocation()), Document(sample_lock())}) {
      const auto parsed = parse_document(after_kind(document, key + " = true"), "f");
      REQUIRE_FALSE(parsed.has_value());
      CHECK(parsed.error().code == Errc::refused);
      CHECK(says(parsed.error().message, "key \"" + key + "\": this release cannot enforce it"));
    }
    std::string nested = to_payload(sample_revocation());
    CHECK(says(error_of(nested + key + " = 1\n"), "cannot enforce it"));
  }
}

TEST_CASE("keys have one type each", "[document][kinds]") {
  const Request request = sample_request(kHostKey);
  for (const std::string bad :
       {"uid = 1001.0", "uid = \"1001\"", "uid = -1", "uid = 4294967295", "uid = 65534", "uid = 4294968297",
        "uid = 0x3e9", "uid = 0o1751", "uid = true", "uid = [1001]", "uid = inf", "uid = 1e3"}) {
    INFO(bad);
    CHECK(says(error_of(with(request, "uid", bad)), "\"uid\""));
  }
  for (const std::string bad :
       {"created = \"2026-11-22T05:10:39Z\"", "created = 2026-11-22T05:10:39", "created = 2026-11-22",
        "created = 05:10:39", "created = 2026-11-22T05:10:39+01:00", "created = 2026-11-22T05:10:39.5Z",
        "created = 2026-11-22T05:10:39.000000001Z", "created = 1795324239", "created = 2026-02-30T05:10:39Z",
        "created = 1969-12-31T23:59:59Z", "created = 2026-11-22T05:10:39-00:01", ""}) {
    INFO(bad);
    CHECK_FALSE(error_of(with(request, "created", bad)).empty());
  }
  for (const std::string bad : {"duration = 7200", "duration = \"2 h\"", "duration = \"0m\"", "duration = \"-2h\"",
                                "duration = 2h", "duration = \"400d\"", ""}) {
    INFO(bad);
    CHECK_FALSE(error_of(with(request, "duration", bad)).empty());
  }
  for (const std::string bad :
       {"requesters = \"user:alice\"", "requesters = []", "requesters = [1]", "requesters = [[\"user:alice\"]]",
        "requesters = [\"alice\"]", "requesters = [\"person:a b\"]", "requesters = [\"root:alice\"]",
        "requesters = [\"user:\"]", ""}) {
    INFO(bad);
    CHECK(says(error_of(with(request, "requesters", bad)), "requesters"));
  }
  for (const std::string bad :
       {"reason = \"\"", "reason = \"a\\nb\"", "reason = \"\\u001b[2J\"", "reason = \"\\u202e\"",
        "reason = \"\\u200b\"", "reason = \"a\\u0000\"", "reason = 1", "reason = [\"x\"]", "reason = {a = 1}", ""}) {
    INFO(bad);
    CHECK(says(error_of(with(request, "reason", bad)), "reason"));
  }
  CHECK(says(error_of(with(request, "reason", "reason = \"" + std::string(kMaxReason + 1, 'x') + "\"")),
             "longer than 1024"));
  CHECK(says(error_of(with(request, "ticket", "ticket = \"\"")), "leave the key out"));
  CHECK(says(error_of(with(request, "host", "host = \"../x\"")), "host"));
  CHECK(says(error_of(with(request, "user", "user = \"a:b\"")), "user"));
  CHECK(says(error_of(with(request, "user", "user = \"#0\"")), "user"));
  CHECK(says(error_of(with(request, "role", "role = \"a b\"")), "role"));
  CHECK(says(error_of(with(request, "origin", "origin = \"ask\"")), "origin"));
  CHECK(says(error_of(with(request, "policy", "policy = \"sha256:00\"")), "policy"));
  CHECK(says(error_of(with(request, "host_key", "host_key = \"SHA256:abc\"")), "host_key"));
  CHECK(says(error_of(with(request, "nonce", "nonce = \"1\"")), "nonce"));
  CHECK(says(error_of(with(request, "nonce", "")), "nonce"));
  CHECK(says(error_of(with(request, "expires", "expires = 2026-11-22T05:10:39Z")), "not after created"));
  CHECK(says(error_of(with(request, "expires", "")), "expires"));
  std::string effects = to_payload(request);
  CHECK(says(error_of(effects.replace(effects.find("gid 115"), 7, "gid 0115")), "effects"));
}

TEST_CASE("start, extends and once say what they mean, or the document is refused", "[document][kinds]") {
  Request request = sample_request(kHostKey);
  request.start = request.created + Seconds(60);
  const std::string line = "start = " + format_utc(*request.start);
  CHECK(error_of(to_payload(request)).empty());
  CHECK(says(error_of(with(request, "start", "start = 2026-11-22T05:10:39Z")), "not after created"));
  CHECK(says(error_of(with(request, "start", "start = 2026-11-23T05:10:39Z")), "not before expires"));
  CHECK(says(error_of(with(request, "start", "start = 2026-11-22T09:10:39+02:00")), "start"));
  CHECK(says(error_of(with(request, "start", "start = \"2026-11-22T06:10:39Z\"")), "start"));
  request.extends = sha256("before");
  CHECK(says(error_of(to_payload(request)), "gap"));
  request.start.reset();
  CHECK(error_of(to_payload(request)).empty());
  CHECK(says(error_of(with(request, "extends", "extends = \"0123456789abcdef\"")), "extends"));
  CHECK(says(error_of(with(request, "extends", "extends = [\"" + digest_text(sha256("x")) + "\"]")), "extends"));

  Review review = sample_review();
  review.start = review.created - Seconds(60);  // earlier than anything: it is for the host to let it say nothing
  CHECK(error_of(to_payload(review)).empty());
  review.start = review.expires;
  CHECK(says(error_of(to_payload(review)), "not before expires"));
  review.start = review.created;
  review.approve = false;
  review.duration.reset();
  CHECK(says(error_of(to_payload(review)), "a denial has none"));
  CHECK(says(error_of(after_kind(sample_review(), "extends = \"" + digest_text(sha256("x")) + "\"")), "extends"));

  GrantDocument grant = sample_grant();
  grant.once = true;
  CHECK(error_of(to_payload(grant)).empty());
  CHECK(says(error_of(with(grant, "once", "once = false")), "true or left out"));
  CHECK(says(error_of(with(grant, "once", "once = 1")), "true or left out"));
  CHECK(says(error_of(after_kind(sample_grant(), line)), "start"));  // a grant says not_before
}

TEST_CASE("TOML's own freedoms let nothing slip", "[document][kinds]") {
  const Revocation revocation = sample_revocation();
  CHECK_FALSE(error_of(after_kind(revocation, "kind = \"lock\"")).empty());           // twice
  CHECK_FALSE(error_of(after_kind(revocation, "reason = \"other\"")).empty());        // twice
  CHECK_FALSE(error_of(to_payload(revocation) + "[targets]\nall = true\n").empty());  // the table twice
  CHECK_FALSE(error_of(to_payload(revocation) + "users = [\"bob\"]\n").empty());
  CHECK_FALSE(error_of(after_kind(revocation, "targets.all = true")).empty());
  CHECK(says(error_of(to_payload(revocation) + "all = true\n"), "stands alone"));
  CHECK(says(error_of(to_payload(revocation) + "all = false\n"), "all"));
  CHECK(says(error_of(to_payload(revocation) + "all = 1\n"), "all"));
  CHECK_FALSE(error_of(to_payload(sample_review()) + "[[targets]]\nall = true\n").empty());
  // Dotted keys and inline tables are the same table, read with the same checks.
  Revocation all = revocation;
  all.grants.clear();
  all.users.clear();
  all.all = true;
  std::string payload = to_payload(all);
  const std::size_t table = payload.find("\n[targets]\nall = true\n");
  REQUIRE(table != std::string::npos);
  payload.resize(table);
  CHECK(parse_document(payload + "targets.all = true\n", "f").value() == Document(all));
  CHECK(parse_document(payload + "targets = {all = true}\n", "f").value() == Document(all));
  CHECK(says(error_of(payload + "targets = {all = true, al = true}\n"), "key \"al\": unknown"));
  CHECK(says(error_of(payload + "targets = true\n"), "targets"));
  CHECK(says(error_of(payload + "targets = [{all = true}]\n"), "targets"));
  CHECK(says(error_of(payload), "there is none"));

  // Letters beyond ASCII where TOML has none: undefined behaviour in toml++ itself.
  CHECK_FALSE(error_of(after_kind(revocation, "kr\u0495it = 1")).empty());
  CHECK_FALSE(error_of(after_kind(revocation, "\u00e9 = 1")).empty());
  CHECK_FALSE(error_of(after_kind(revocation, "x\u00a0= 1")).empty());
  CHECK(says(error_of(after_kind(revocation, "\"\u00e9\" = 1")), "key \"\u00e9\": unknown"));
  CHECK(says(error_of(with(revocation, "reason", "reason = \"\\u004041\"")), "cannot be read"));  // an @ in disguise
  CHECK(error_of(with(revocation, "reason", "reason = \"a@40 \\u00e9 \u00e9\"")).empty());
  // The same behind a line continuation, where TOML does allow them.
  CHECK(error_of(with(revocation, "reason", "reason = \"\"\"a\\\n\u00e9\"\"\"")).empty());
  CHECK_FALSE(error_of("a" + std::string(10000, '.') + "\n").empty());
  std::string dotted = "a";
  for (int i = 0; i < 10000; ++i) dotted += ".a";
  CHECK(says(error_of(dotted + " = 1\n"), "more than 32 parts"));
  CHECK_FALSE(error_of("").empty());
  CHECK_FALSE(error_of("= 1\n").empty());
  CHECK_FALSE(error_of(std::string(30000, '[') + "\n").empty());  // deep nesting: an error, not a crash
  CHECK_FALSE(error_of("a = " + std::string(15000, '[') + std::string(15000, ']') + "\n").empty());
  CHECK_FALSE(error_of("a = " + std::string(5000, '{') + "\n").empty());
  std::string many = "users = [";
  for (int i = 0; i < 300; ++i) many += "\"u\", ";
  CHECK(says(error_of(to_payload(all).replace(to_payload(all).find("all = true"), 10, many + "]")), "1 to 256"));
}

TEST_CASE("keys of a grant go together", "[document][kinds]") {
  const auto error = [](void (*change)(GrantDocument&)) {
    GrantDocument grant = sample_grant();
    change(grant);
    const auto direct = check_document(grant);
    const std::string read = error_of(to_payload(grant));
    CHECK(direct.has_value() == read.empty());  // makers and readers agree
    return read;
  };
  CHECK(error([](GrantDocument&) {}).empty());
  CHECK(says(error([](GrantDocument& g) { g.hosts.clear(); }), "neither a host nor a segment"));
  CHECK(says(error([](GrantDocument& g) { g.not_after.reset(); }), "not_after"));  // no absolute expiry
  CHECK(says(error([](GrantDocument& g) { g.duration = Seconds(60); }), "either it or duration"));
  CHECK(says(error([](GrantDocument& g) { g.not_after.reset(), g.duration = Seconds(60); }), "activate_by"));
  CHECK(says(error([](GrantDocument& g) { g.activate_by = g.not_after; }), "activate_by"));
  CHECK(says(error([](GrantDocument& g) { g.not_after = g.not_before; }), "not_after"));
  CHECK(says(error([](GrantDocument& g) { g.not_before.reset(), g.not_after = g.created; }), "not_after"));
  CHECK(says(error([](GrantDocument& g) { g.host_key = fingerprint(kHostKey); }), "exactly one host"));
  CHECK(error([](GrantDocument& g) { g.host_key = fingerprint(kHostKey), g.hosts.resize(1); }).empty());
}

TEST_CASE("keys of reviews, revocations and locks go together", "[document][kinds]") {
  Review denial = sample_review();
  denial.approve = false;
  CHECK(says(error_of(to_payload(denial)), "a denial has none"));
  CHECK(says(error_of(with(sample_review(), "verdict", "verdict = \"Approve\"")), "verdict"));
  CHECK(says(error_of(with(sample_review(), "request", "request = \"sha256:AB\"")), "request"));

  Revocation nothing = sample_revocation();
  nothing.grants.clear();
  nothing.users.clear();
  CHECK(says(error_of(to_payload(nothing)), "targets"));
  nothing.hosts.clear();
  nothing.segments.clear();
  nothing.all = true;
  CHECK(says(error_of(to_payload(nothing)), "apply nowhere"));

  Lock both = sample_lock();
  both.lifts = {sha256("lock")};
  CHECK(says(error_of(to_payload(both)), "not both"));
  Lock unlock = both;
  unlock.users.clear();
  unlock.keys.clear();
  CHECK(says(error_of(to_payload(unlock)), "has no end"));
  unlock.until.reset();
  CHECK(error_of(to_payload(unlock)).empty());
  Lock empty = unlock;
  empty.lifts.clear();
  CHECK(says(error_of(to_payload(empty)), "nothing is lifted"));
  Lock bad_key = sample_lock();
  bad_key.keys = {"SHA256:"};
  CHECK(says(error_of(to_payload(bad_key)), "keys"));
}

TEST_CASE("kinds have names and namespaces of their own", "[document][kinds]") {
  for (const Kind kind : {Kind::request, Kind::review, Kind::grant, Kind::revocation, Kind::lock, Kind::ask,
                          Kind::event, Kind::policy, Kind::trust}) {
    CHECK(kind_namespace(kind) == "jit-" + std::string(kind_name(kind)));
    CHECK(kind_of_namespace(kind_namespace(kind)).value() == kind);
  }
  for (const std::string_view other :
       {"", "jit-", "jit-facts", "jit-test", "file", "jit-grant@example.org", "JIT-GRANT", "jit-grant "}) {
    CHECK_FALSE(kind_of_namespace(other));
  }
  CHECK(make_nonce().size() == 32);
  CHECK(make_nonce() != make_nonce());
}
