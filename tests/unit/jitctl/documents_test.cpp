// Documents as jitctl makes, reads and carries them, with a scripted ssh-keygen.
#include "jitctl/deliver.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/review.hpp"
#include "jitctl/signing.hpp"
#include "policy/document/verify.hpp"
#include "tests/unit/jitctl/fixture.hpp"
#include "tests/unit/jitctl/host.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

// The one document that an answer's file holds, verified by the approver's key.
Verified read_answer(const Fixture& f, const std::string& text) {
  TrustSet trust;
  trust.approvers = parse_trust("approvers", "carol " + public_key_line(f.spawn.key->public_key()) + "\n");
  auto envelope = parse_envelope(text);
  REQUIRE(envelope.has_value());
  auto verified = verify_document(*envelope, trust, "the answer");
  if (!verified) FAIL(verified.error().message);
  return *verified;
}

}  // namespace

TEST_CASE("approve FILE on a machine with nothing but a hosts file and a key", "[jitctl][airgap]") {
  Fixture f;
  const Host host;
  const auto request = host.request(f);
  const auto text = host.signed_request(request);
  const auto file = f.put("r.jit", text);
  const auto hosts = f.put("hosts", "# mine\n" + host.trust_line());
  const auto answer = f.root + "/a.jit";

  SECTION("yes, exactly as asked") {
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "-m", "go on", "-o", answer}) == Exit::done);
    const auto verified = read_answer(f, Fixture::get(answer));
    const auto& review = std::get<Review>(verified.document);
    CHECK(review.approve);
    CHECK(review.host == "db1");
    CHECK(review.request == sha256(to_payload(request)));
    CHECK_FALSE(review.duration.has_value());
    CHECK(review.comment == "go on");
    CHECK(review.created == f.now);
    CHECK(review.expires == request.expires);
    // What there is to judge was shown: who, why, and every line of the effects.
    for (const auto* part : {"alice", "uid 1001", "db1", "vacuum stuck", "OPS-1", "2h", "group postgres gid 114",
                             "sudo as postgres uid 114: /usr/bin/psql ..."}) {
      INFO(part);
      CHECK(f.out.str().find(part) != std::string::npos);
    }
    // The daemon was not needed.
    for (const auto& call : f.daemon.calls) CHECK(call.first == Verb::inspect);
  }
  SECTION("for less") {
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "--for", "30m", "-o", answer}) == Exit::done);
    CHECK(std::get<Review>(read_answer(f, Fixture::get(answer)).document).duration == std::chrono::minutes(30));
  }
  SECTION("never for more") {
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "--for", "3h", "-o", answer}) == Exit::failed);
    CHECK_FALSE(std::filesystem::exists(answer));
    CHECK(f.spawn.requests.empty());
  }
  SECTION("no") {
    CHECK(f.jitctl({"deny", file, "--hosts", hosts, "--yes", "-m", "not now", "-o", answer}) == Exit::done);
    CHECK_FALSE(std::get<Review>(read_answer(f, Fixture::get(answer)).document).approve);
  }
  SECTION("the answer overwrites nothing") {
    f.put("a.jit", "somebody's review");
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "-o", answer}) == Exit::failed);
    CHECK(Fixture::get(answer) == "somebody's review");
  }
  SECTION("without a terminal and without --yes nothing is signed") {
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "-o", answer}) == Exit::failed);
    CHECK(f.spawn.requests.empty());
  }
  SECTION("asked on the terminal: only a yes is a yes") {
    for (const auto* no : {"", "\n", "n\n", "Yes please\n", "yess\n", " y\n"}) {
      f.answers(no);
      CHECK(f.jitctl({"approve", file, "--hosts", hosts, "-o", answer}) == Exit::failed);
      CHECK_FALSE(std::filesystem::exists(answer));
      CHECK(f.spawn.requests.empty());
    }
    f.answers("y\n");
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "-o", answer}) == Exit::done);
    CHECK(std::filesystem::exists(answer));
  }
  SECTION("a host that is not known is refused, with its fingerprint and what to do") {
    CHECK(f.jitctl({"approve", file, "--yes", "-o", answer}) == Exit::refused);
    CHECK(f.err.str().find(fingerprint(host.key.public_key())) != std::string::npos);
    CHECK(f.err.str().find("jitctl trust add") != std::string::npos);
    CHECK(f.spawn.requests.empty());
  }
  SECTION("the host file of the person's own is read") {
    std::filesystem::create_directories(f.root + "/home/.config/jit");
    f.put("home/.config/jit/hosts", host.trust_line());
    CHECK(f.jitctl({"approve", file, "--yes", "-o", answer}) == Exit::done);
  }
  SECTION("on the host itself its jitd vouches for the key") {
    Row info;
    info.text(Tag::host, "db1")
        .text(Tag::host_key, fingerprint(host.key.public_key()))
        .text(Tag::value, public_key_line(host.key.public_key()));
    f.daemon.answer(Verb::inspect, done(info));
    CHECK(f.jitctl({"approve", file, "--yes", "-o", answer}) == Exit::done);
  }
  SECTION("root under sudo signs nothing") {
    f.context.uid = 0;
    f.environment["SUDO_UID"] = "1000";
    CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "-o", answer}) == Exit::refused);
    CHECK(f.spawn.requests.empty());
  }
}

TEST_CASE("requests that an approver is never shown as a host's", "[jitctl][airgap][P7]") {
  Fixture f;
  const Host host;
  Host other;
  other.name = "web1";
  const auto hosts = parse_trust("hosts", host.trust_line() + other.trust_line());
  const auto good = host.signed_request(host.request(f));
  REQUIRE(verified_wish(good, "r", hosts, f.now).has_value());

  SECTION("one byte of the effects changed") {
    auto text = good;
    const auto at = text.find("gid 114");
    text[at + 4] = '2';
    CHECK_FALSE(verified_wish(text, "r", hosts, f.now).has_value());
  }
  SECTION("another known host speaks for this one") {
    auto request = host.request(f);
    request.host_key = fingerprint(other.key.public_key());
    CHECK_FALSE(verified_wish(other.signed_request(request), "r", hosts, f.now).has_value());
  }
  SECTION("the payload names another key than the one that signed") {
    auto request = host.request(f);
    request.host_key = fingerprint(other.key.public_key());
    CHECK_FALSE(verified_wish(host.signed_request(request), "r", hosts, f.now).has_value());
  }
  SECTION("signed in another namespace") {
    const auto payload = to_payload(host.request(f));
    CHECK_FALSE(verified_wish(to_text(Envelope{payload, {*host.key.sign(payload, "jit-review")}}), "r", hosts, f.now)
                    .has_value());
  }
  SECTION("a review, signed by a host's key as a request") {
    const auto wish = verified_wish(good, "r", hosts, f.now);
    const auto review = make_review(*wish, ReviewOptions{}, f.now);
    const auto payload = to_payload(*review);
    CHECK_FALSE(verified_wish(to_text(Envelope{payload, {*host.key.sign(payload, "jit-request")}}), "r", hosts, f.now)
                    .has_value());
  }
  SECTION("a host key that is no longer valid") {
    const auto old =
        parse_trust("hosts", "db1 valid-before=\"20200101000000Z\" " + public_key_line(host.key.public_key()) + "\n");
    CHECK_FALSE(verified_wish(good, "r", old, f.now).has_value());
  }
  SECTION("past its time") {
    const auto wish = verified_wish(good, "r", hosts, f.now);
    CHECK_FALSE(make_review(*wish, ReviewOptions{}, f.now + std::chrono::hours(24)).has_value());
  }
}

TEST_CASE("control characters in a request never reach the terminal", "[jitctl][P10]") {
  Fixture f;
  const Host host;
  auto request = host.request(f);
  request.reason = "esc \xc2\x9b and more";  // not possible in a signed payload; shown all the same as it would be
  Wish wish{Envelope{}, request, Digest{}, "host\x1b[0m"};
  std::ostringstream out;
  print_wish(out, wish, f.now, 80);
  CHECK(out.str().find('\x1b') == std::string::npos);
  CHECK(out.str().find("\xc2\x9b") == std::string::npos);
}

TEST_CASE("a reason cannot look like other fields, however wide the terminal is", "[jitctl][P10]") {
  Fixture f;
  const Host host;
  const Wish wish{Envelope{}, host.request(f), Digest{}, "db1"};
  for (const std::size_t columns : {80U, 60U, 41U}) {
    for (const std::string& blank :
         {std::string(" "), std::string("\u00a0"), std::string("\u3000"), std::string(".")}) {
      auto forged = wish;
      auto& reason = std::get<Request>(forged.document).reason;
      for (std::size_t wide = 0; wide < columns; ++wide) {
        reason = "routine check ";
        for (std::size_t one = 0; one < wide; ++one) reason += blank;
        reason += "  behind it  user:bob";
        for (std::size_t one = 0; one < columns; ++one) reason += blank;
        reason += "  role       quick for 1m";
        std::ostringstream out;
        print_wish(out, forged, f.now, columns);
        std::istringstream lines(out.str());
        std::size_t roles = 0;
        std::size_t behind = 0;
        std::getline(lines, reason);  // the heading
        for (std::string line; std::getline(lines, line);) {
          CHECK(width(line) < columns);
          roles += line.starts_with("  role  ") ? 1U : 0U;
          behind += line.starts_with("  behind it  ") ? 1U : 0U;
          CHECK((line.starts_with("  ") && (line[2] != ' ' || line.starts_with("           "))));
        }
        CHECK(roles == 1);
        CHECK(behind == 1);
      }
    }
  }
  for (const auto* blank : {" ", "\u00a0", "\u3000 \u2003"}) {
    CHECK(f.jitctl({"request", "dba", "-m", blank}) == Exit::usage);
    CHECK(f.err.str().find("say something") != std::string::npos);
  }
}

TEST_CASE("approve ID: what the local jitd holds, submitted to it", "[jitctl]") {
  Fixture f;
  const Host host;
  const auto request = host.request(f);
  const auto id = id_of(sha256(to_payload(request)));
  Row row;
  row.text(Tag::id, id).text(Tag::document, host.signed_request(request));
  f.daemon.answer(Verb::pending, done({}, {row}));
  std::string submitted;
  f.daemon.on(Verb::submit, [&](const Row& fields) -> Result<Reply> {
    submitted = fields.text(Tag::document);
    return done(Row().text(Tag::id, id).text(Tag::state, "active").text(Tag::message, "active until 09:30:00Z"));
  });

  SECTION("with the whole id and --yes") {
    CHECK(f.jitctl({"approve", id, "--yes"}) == Exit::done);
    CHECK(std::get<Review>(read_answer(f, submitted).document).request == sha256(to_payload(request)));
    CHECK(f.out.str().find(id + "  active until 09:30:00Z") != std::string::npos);
  }
  SECTION("--yes with a prefix is refused before anything is asked of anybody") {
    CHECK(f.jitctl({"approve", id.substr(0, 8), "--yes"}) == Exit::failed);
    CHECK(submitted.empty());
    CHECK(f.spawn.requests.empty());
  }
  SECTION("a prefix on the terminal") {
    f.answers("y\n");
    CHECK(f.jitctl({"approve", id.substr(0, 5)}) == Exit::done);
    CHECK_FALSE(submitted.empty());
  }
  SECTION("a prefix of two requests") {
    auto second = row;
    f.daemon.answer(Verb::pending, done({}, {row, second}));
    f.answers("y\n");
    CHECK(f.jitctl({"approve", id.substr(0, 5)}) == Exit::failed);
    CHECK(submitted.empty());
  }
  SECTION("another document under that id is noticed") {
    auto swapped = host.request(f);
    swapped.effects = "sudo as root uid 0: ALL\n";
    f.daemon.answer(Verb::pending,
                    done({}, {Row().text(Tag::id, id).text(Tag::document, host.signed_request(swapped))}));
    CHECK(f.jitctl({"approve", id, "--yes"}) == Exit::failed);
    CHECK(submitted.empty());
  }
  SECTION("a refusal by the host is exit 5") {
    f.daemon.answer(Verb::submit, Reply{wire::Status::refused, "nobody reviews their own request", {}, {}});
    CHECK(f.jitctl({"approve", id, "--yes"}) == Exit::refused);
    CHECK(f.err.str() == "jitctl: nobody reviews their own request\n");
  }
  SECTION("taken in and not given is exit 5; a denial that denies is not") {
    f.daemon.answer(Verb::submit,
                    done(Row().text(Tag::id, id).text(Tag::state, "refused").text(Tag::message, "effects changed")));
    CHECK(f.jitctl({"approve", id, "--yes"}) == Exit::refused);
    CHECK(f.jitctl({"deny", id, "--yes"}) == Exit::done);
  }
  SECTION("one's own request: said before it is asked") {
    f.context.user = "alice";
    CHECK(f.jitctl({"approve", id, "--yes"}) == Exit::done);
    CHECK(f.err.str().find("alice is behind this request") != std::string::npos);
  }
  SECTION("JSON is one object, and what is judged goes to the other stream") {
    CHECK(f.jitctl({"--json", "approve", id, "--yes"}) == Exit::done);
    CHECK(f.out.str() == "{\"id\":\"" + id + "\",\"state\":\"active\",\"message\":\"active until 09:30:00Z\"}\n");
    CHECK(f.err.str().find("vacuum stuck") != std::string::npos);
  }
}

TEST_CASE("two approvers each make an answer of their own", "[jitctl][airgap]") {
  Fixture f;
  const Host host;
  const auto file = f.put("r.jit", host.signed_request(host.request(f)));
  const auto hosts = f.put("hosts", host.trust_line());
  CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "-o", f.root + "/a1.jit"}) == Exit::done);
  const auto first = read_answer(f, Fixture::get(f.root + "/a1.jit"));
  f.spawn.key = *SigningKey::generate();
  f.spawn.agent = public_key_line(f.spawn.key->public_key()) + "\n";
  CHECK(f.jitctl({"approve", file, "--hosts", hosts, "--yes", "-o", f.root + "/a2.jit"}) == Exit::done);
  const auto second = read_answer(f, Fixture::get(f.root + "/a2.jit"));
  CHECK(first.digest != second.digest);
  CHECK(std::get<Review>(first.document).request == std::get<Review>(second.document).request);
  std::vector<std::string> taken;
  f.daemon.on(Verb::submit, [&](const Row& fields) -> Result<Reply> {
    taken.push_back(fields.text(Tag::document));
    return done(Row().text(Tag::id, "x").text(Tag::message, "taken in"));
  });
  CHECK(f.jitctl({"import", f.root + "/a2.jit", f.root + "/a1.jit"}) == Exit::done);
  CHECK(taken.size() == 2);
}

TEST_CASE("a directory of requests: one answer each", "[jitctl][airgap]") {
  Fixture f;
  const Host host;
  std::filesystem::create_directories(f.root + "/in");
  std::filesystem::create_directories(f.root + "/answers");
  const auto one = host.request(f);
  const auto two = host.request(f);
  f.put("in/one.jit", host.signed_request(one));
  f.put("in/two.jit", host.signed_request(two));
  f.put("in/notes.txt", "not a document");
  f.put("in/zz.jit", "garbage");
  const auto hosts = f.put("hosts", host.trust_line());
  CHECK(f.jitctl({"approve", f.root + "/in", "--hosts", hosts, "--yes", "-o", f.root + "/answers"}) ==
        Exit::failed);  // zz.jit
  for (const auto& request : {one, two}) {
    const auto path = f.root + "/answers/" + id_of(sha256(to_payload(request))) + "-approved.jit";
    CHECK(std::get<Review>(read_answer(f, Fixture::get(path)).document).request == sha256(to_payload(request)));
  }
}

TEST_CASE("grant, revoke, lock and unlock make what the host reads", "[jitctl]") {
  Fixture f;
  const auto out = f.root + "/d.jit";
  const auto document = [&] { return read_answer(f, Fixture::get(out)).document; };
  SECTION("grant for") {
    CHECK(f.jitctl({"grant", "--user", "alice", "--role", "dba", "--on", "db1", "--on", "db2", "--for", "2h", "-m",
                    "why", "-o", out}) == Exit::done);
    const auto grant = std::get<GrantDocument>(document());
    CHECK(grant.hosts == std::vector<std::string>{"db1", "db2"});
    CHECK(grant.duration == std::chrono::hours(2));
    CHECK(grant.activate_by == f.now + std::chrono::hours(24));
    CHECK_FALSE(grant.not_after.has_value());
  }
  SECTION("grant until, in a segment") {
    CHECK(f.jitctl({"grant", "--user", "alice", "--role", "dba", "--segment", "pci", "--until",
                    "2026-11-22T18:00:00Z", "-m", "why", "-o", out}) == Exit::done);
    const auto grant = std::get<GrantDocument>(document());
    CHECK(grant.segments == std::vector<std::string>{"pci"});
    CHECK(grant.not_after == parse_utc("2026-11-22T18:00:00Z").value());
  }
  SECTION("grant for this host, which jitd names") {
    f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "here")));
    CHECK(f.jitctl({"grant", "--user", "alice", "--role", "dba", "--for", "2h", "-m", "why", "-o", out}) ==
          Exit::done);
    CHECK(std::get<GrantDocument>(document()).hosts == std::vector<std::string>{"here"});
  }
  SECTION("revoke by id and by digest") {
    const auto digest = sha256("some request");
    f.daemon.answer(Verb::show, done(Row().text(Tag::digest, digest_text(digest)).text(Tag::kind, "request")));
    const auto direct = sha256("some grant");
    CHECK(f.jitctl({"revoke", id_of(digest), digest_text(direct), "--on", "db1", "-m", "why", "-o", out}) ==
          Exit::done);
    const auto revocation = std::get<Revocation>(document());
    CHECK(revocation.requests == std::vector<Digest>{digest, direct});
    CHECK(revocation.grants == std::vector<Digest>{direct});
    CHECK_FALSE(revocation.all);
  }
  SECTION("revoke everything") {
    CHECK(f.jitctl({"revoke", "--all", "--on", "db1", "-m", "fire", "-o", out}) == Exit::done);
    CHECK(std::get<Revocation>(document()).all);
  }
  SECTION("lock and its unlock") {
    CHECK(f.jitctl({"lock", "alice", "--on", "db1", "-m", "gone", "--until", "2026-12-01T00:00:00Z", "-o", out}) ==
          Exit::done);
    const auto lock = std::get<Lock>(document());
    CHECK(lock.users == std::vector<std::string>{"alice"});
    CHECK(lock.until == parse_utc("2026-12-01T00:00:00Z").value());
    const auto lifted = f.root + "/u.jit";
    CHECK(f.jitctl({"unlock", "--lock", out, "--on", "db1", "-m", "back", "-o", lifted}) == Exit::done);
    const auto unlock = std::get<Lock>(read_answer(f, Fixture::get(lifted)).document);
    CHECK(unlock.lifts == std::vector<Digest>{sha256(parse_envelope(Fixture::get(out))->payload)});
    CHECK(unlock.users.empty());
  }
  SECTION("root lifts a lock by name, unsigned") {
    f.context.uid = 0;
    f.daemon.answer(Verb::lift, done(Row().text(Tag::message, "alice is unlocked")));
    CHECK(f.jitctl({"unlock", "alice"}) == Exit::done);
    CHECK(f.daemon.calls.back().second.text(Tag::user) == "alice");
    CHECK(f.spawn.requests.empty());
  }
}

TEST_CASE("sign adds to a document, payload prints its bytes, verify reads it", "[jitctl]") {
  Fixture f;
  const auto out = f.root + "/g.jit";
  REQUIRE(f.jitctl({"grant", "--user", "alice", "--role", "dba", "--on", "db1", "--for", "2h", "-m", "why", "-o",
                    out}) == Exit::done);
  const auto first_key = *f.spawn.key;
  const auto payload = parse_envelope(Fixture::get(out))->payload;

  CHECK(f.jitctl({"payload", out}) == Exit::done);
  CHECK(f.out.str() == payload);

  f.spawn.key = *SigningKey::generate();
  f.spawn.agent = public_key_line(f.spawn.key->public_key()) + "\n";
  CHECK(f.jitctl({"sign", out}) == Exit::failed);  // no terminal and no --yes
  CHECK(parse_envelope(Fixture::get(out))->signatures.size() == 1);
  CHECK(f.jitctl({"sign", out, "--yes"}) == Exit::done);
  const auto envelope = parse_envelope(Fixture::get(out));
  REQUIRE(envelope.has_value());
  CHECK(envelope->payload == payload);
  CHECK(envelope->signatures.size() == 2);

  const auto trust = f.put("approvers", "carol " + public_key_line(first_key.public_key()) + "\ndave " +
                                            public_key_line(f.spawn.key->public_key()) + "\n");
  CHECK(f.jitctl({"verify", out, "--approvers", trust}) == Exit::done);
  CHECK(f.out.str().find("carol (SHA256:") != std::string::npos);
  CHECK(f.out.str().find("dave (SHA256:") != std::string::npos);
  CHECK(f.out.str().find("role = \"dba\"") != std::string::npos);

  SECTION("a signature of nobody known counts for nothing") {
    const auto empty = f.put("nobody", "");
    CHECK(f.jitctl({"verify", out, "--approvers", empty}) != Exit::done);
  }
  SECTION("a key whose time is over counts for nothing") {
    const auto old =
        f.put("old", "carol valid-before=\"20200101000000Z\" " + public_key_line(first_key.public_key()) + "\n");
    CHECK(f.jitctl({"verify", out, "--approvers", old}) == Exit::refused);
  }
  SECTION("a bare payload becomes a document") {
    const auto bare = f.put("bare.toml", payload);
    CHECK(f.jitctl({"sign", bare, "--yes"}) == Exit::done);
    CHECK(parse_envelope(Fixture::get(bare))->signatures.size() == 1);
  }
  SECTION("what is no document of ours is not signed") {
    const auto text = f.put("text", "jit = 1\nkind = \"poem\"\n");
    CHECK(f.jitctl({"sign", text, "--yes"}) != Exit::done);
    CHECK(Fixture::get(text) == "jit = 1\nkind = \"poem\"\n");
  }
}

TEST_CASE("a file that is no document has no payload", "[jitctl]") {
  Fixture f;
  CHECK(f.jitctl({"payload", f.put("note.txt", "hello\n")}) == Exit::failed);
  CHECK(f.out.str().empty());
}

TEST_CASE("--until takes both forms of a time, and none that is over", "[jitctl]") {
  Fixture f;
  const std::vector<std::string> lock = {"lock", "nobody-of-that-name", "-m", "left", "--on", "db1", "-o", "-"};
  const auto until = [&](const std::string& time) {
    auto all = lock;
    all.insert(all.end(), {"--until", time});
    return f.jitctl(all);
  };
  CHECK(until("2026-11-23T18:00:00Z") == Exit::done);
  CHECK(f.out.str().find("until = 2026-11-23T18:00:00Z") != std::string::npos);
  CHECK(until("20261123180000Z") == Exit::done);
  CHECK(f.out.str().find("until = 2026-11-23T18:00:00Z") != std::string::npos);
  CHECK(until("2026-11-20T18:00:00Z") == Exit::failed);
  CHECK(f.err.str() == "jitctl: --until 2026-11-20T18:00:00Z is in the past\n");
  CHECK(until("tomorrow") == Exit::usage);
}

TEST_CASE("an ssh-keygen that does something else is noticed", "[jitctl]") {
  Fixture f;
  const std::vector<std::string> grant = {"grant", "--user", "alice", "--role", "dba", "--on",           "db1",
                                          "--for", "2h",     "-m",    "why",    "-o",  f.root + "/g.jit"};
  SECTION("another namespace") {
    f.spawn.sign_elsewhere = "file";
    CHECK(f.jitctl(grant) == Exit::failed);
  }
  SECTION("another key than the agent offered") {
    f.spawn.key = *SigningKey::generate();
    CHECK(f.jitctl(grant) == Exit::failed);
    CHECK(f.err.str().find("another key") != std::string::npos);
  }
  SECTION("a failure") {
    f.spawn.key.reset();
    CHECK(f.jitctl(grant) == Exit::failed);
    CHECK(f.err.str().find("exit status 1") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(f.root + "/g.jit"));
  CHECK(std::filesystem::is_empty(f.root + "/run"));  // and no scratch file is left
}

TEST_CASE("ssh-keygen is run by its path, with the terminal, and with little environment", "[jitctl]") {
  Fixture f;
  f.environment["LD_PRELOAD"] = "/tmp/evil.so";
  REQUIRE(f.jitctl({"grant", "--user", "alice", "--role", "dba", "--on", "db1", "--for", "2h", "-m", "why", "-o",
                    f.root + "/g.jit"}) == Exit::done);
  const auto& request = f.spawn.requests.back();
  CHECK(request.argv[0] == "/usr/bin/ssh-keygen");
  CHECK(request.keep_terminal);
  for (const auto& variable : request.environment) CHECK_FALSE(variable.starts_with("LD_"));
}

TEST_CASE("which key signs", "[jitctl]") {
  Fixture f;
  const auto second = *SigningKey::generate();
  f.spawn.agent += public_key_line(second.public_key()) + " second\n";
  const auto trust = [&](const std::string& text) { f.put("etc/jit/trust/approvers", text); };
  const auto chosen = [&] {
    const auto key = choose_key(f.context, "", "jit-review");
    REQUIRE(key.has_value());
    return *key->key;
  };
  CHECK(chosen() == f.spawn.key->public_key());  // nothing trusted: the first
  trust("somebody " + public_key_line(second.public_key()) + "\n");
  CHECK(chosen() == second.public_key());  // the one that the host trusts
  trust("somebody " + public_key_line(second.public_key()) + "\ncarol " + public_key_line(f.spawn.key->public_key()) +
        "\n");
  CHECK(chosen() == f.spawn.key->public_key());  // under their own name
  trust("carol namespaces=\"jit-lock\" " + public_key_line(f.spawn.key->public_key()) + "\nsomebody " +
        public_key_line(second.public_key()) + "\n");
  CHECK(chosen() == second.public_key());  // only for what it may sign
  SECTION("--key wins, and must be there") {
    CHECK_FALSE(choose_key(f.context, f.root + "/none", "jit-review").has_value());
    const auto file = f.put("k", "private");
    f.put("k.pub", public_key_line(second.public_key()) + "\n");
    CHECK(choose_key(f.context, file, "jit-review")->key == second.public_key());
  }
  SECTION("no key at all") {
    f.spawn.agent.clear();
    const auto none = choose_key(f.context, "", "jit-review");
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().message.find("--key") != std::string::npos);
  }
}

TEST_CASE("the proof of an approver's key", "[jitctl]") {
  Fixture f;
  const auto approvers = parse_trust(
      "approvers", "carol namespaces=\"jit-review\" " + public_key_line(f.spawn.key->public_key()) + "\n");
  const auto proof = [&](const std::string& text, const std::string& name_space) {
    return to_armor(*f.spawn.key->sign(text, name_space));
  };
  CHECK(check_proof(proof("jit test for db1\n", "jit-test"), "db1", approvers, f.now).has_value());
  CHECK_FALSE(check_proof(proof("jit test for db2\n", "jit-test"), "db1", approvers, f.now).has_value());
  CHECK_FALSE(check_proof(proof("jit test for db1\n", "jit-review"), "db1", approvers, f.now).has_value());
  const auto lockers =
      parse_trust("approvers", "carol namespaces=\"jit-lock\" " + public_key_line(f.spawn.key->public_key()) + "\n");
  CHECK_FALSE(check_proof(proof("jit test for db1\n", "jit-test"), "db1", lockers, f.now).has_value());
  CHECK_FALSE(
      check_proof(proof("jit test for db1\n", "jit-test"), "db1", parse_trust("approvers", ""), f.now).has_value());
  CHECK_FALSE(check_proof("no signature", "db1", approvers, f.now).has_value());
}
