// Numbered lists, delivered policy and trust at jitctl: what is made and signed, and what is said of it on a host.
#include <algorithm>
#include <filesystem>

#include "jitctl/delivered.hpp"
#include "policy/document/verify.hpp"
#include "policy/rules/load.hpp"
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

Document document_of(const std::string& text) {
  const auto envelope = parse_envelope(text);
  REQUIRE(envelope.has_value());
  auto document = parse_document(envelope->payload, "test");
  if (!document) FAIL(document.error().message);
  return *document;
}

std::string owned(const Fixture& f) {
  return "[owners]\nkeys = [\"olga " + public_key_line(f.spawn.key->public_key()) + "\"]\n";
}

std::string role(const std::string& name) {
  return "[roles." + name + "]\neligible = [\"alice\"]\nmax_duration = \"1h\"\n";
}

// Some text that is a policy, so long.
std::string long_policy(std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i)
    text += role("r" + std::to_string(i)) + "# " + std::string(60, '.') + "\n";
  return text;
}

}  // namespace

TEST_CASE("revoke --list makes the list after the newest here, and may name nothing", "[jitctl][lists]") {
  Fixture f;
  const auto out = f.root + "/d.jit";
  const auto made = [&] { return std::get<Revocation>(document_of(Fixture::get(out))); };
  SECTION("numbered by the local jitd") {
    f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "here").number(Tag::sequence, 41)));
    CHECK(f.jitctl({"revoke", "--list", "-m", "nothing new", "-o", out}) == Exit::done);
    CHECK(made().number == 42);
    CHECK(made().next_update == f.now + std::chrono::hours(24));
    CHECK(made().hosts == std::vector<std::string>{"here"});
    CHECK_FALSE(made().all);
  }
  SECTION("the first one is 1") {
    f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "here")));
    CHECK(f.jitctl({"revoke", "--list", "-m", "first", "-o", out}) == Exit::done);
    CHECK(made().number == 1);
  }
  SECTION("by hand, with somebody in it, without a jitd") {
    CHECK(f.jitctl({"revoke", "--list", "--number", "7", "--next-update", "30m", "--user", "alice", "--segment",
                    "web", "-m", "left", "-o", out}) == Exit::done);
    CHECK(made().number == 7);
    CHECK(made().next_update == f.now + std::chrono::minutes(30));
    CHECK(made().users == std::vector<std::string>{"alice"});
  }
  SECTION("what makes no sense") {
    CHECK(f.jitctl({"revoke", "-m", "why", "--on", "db1", "-o", out}) == Exit::usage);
    CHECK(f.jitctl({"revoke", "--number", "7", "--all", "-m", "why", "--on", "db1", "-o", out}) == Exit::usage);
    CHECK(f.jitctl({"revoke", "--list", "--all", "--user", "alice", "-m", "why", "-o", out}) == Exit::usage);
    CHECK(f.jitctl({"revoke", "--list", "--on", "db1", "-m", "why", "-o", out}) == Exit::unreachable);
    CHECK(f.err.str().find("or say its --number") != std::string::npos);
  }
}

TEST_CASE("policy sign makes documents that a host puts together again", "[jitctl][delivery]") {
  Fixture f;
  std::filesystem::create_directories(f.root + "/drafts");
  const std::string small = role("web"), large = long_policy(70'000);
  f.put("drafts/20-web.toml", small);
  f.put("drafts/10-large.toml", large);
  f.put("drafts/.hidden.toml", "x");
  f.put("drafts/notes.txt", "x");
  const auto out = f.root + "/signed";
  REQUIRE(f.jitctl({"policy", "sign", f.root + "/drafts", "--number", "12", "--segment", "pci-db", "-m", "more", "-o",
                    out}) == Exit::done);
  INFO(f.err.str());
  CHECK(f.err.str().empty());
  std::vector<std::string> documents;
  for (int part = 1; std::filesystem::exists(out + "/policy-12-" + std::to_string(part) + ".jit"); ++part)
    documents.push_back(Fixture::get(out + "/policy-12-" + std::to_string(part) + ".jit"));
  REQUIRE(documents.size() > 2);
  for (const auto& document : documents) CHECK(document.size() < kMaxDocument);
  Owners owners;
  owners.keys = parse_trust("owners", "olga " + public_key_line(f.spawn.key->public_key()) + "\n");
  const auto together = put_together(documents, Kind::policy, owners);
  if (!together) FAIL(together.error().message);
  REQUIRE(together->files.size() == 2);
  CHECK(together->files[0].name == "10-large.toml");
  CHECK(together->files[0].text == large);
  CHECK(together->files[1].text == small);
  CHECK(together->number == 12);

  SECTION("never over what is there") {
    CHECK(f.jitctl({"policy", "sign", f.root + "/drafts", "--number", "12", "--segment", "pci-db", "-m", "more", "-o",
                    out}) == Exit::failed);
  }
  SECTION("one that needs what hosts have is said to") {
    f.put("drafts/20-web.toml", small + "[[roles.web.rules]]\nthen = \"review\"\napprovals = [{ by = \"leads\" }]\n");
    CHECK(f.jitctl({"policy", "sign", f.root + "/drafts", "--number", "13", "--on", "db1", "-m", "more", "-o",
                    out}) == Exit::done);
    CHECK(f.err.str().find("by itself this policy does not load") != std::string::npos);
  }
  SECTION("a folder without any") {
    CHECK(f.jitctl({"policy", "sign", f.root + "/home", "--number", "1", "--on", "db1", "-m", "why", "-o", out}) ==
          Exit::failed);
  }
}

TEST_CASE("trust sign takes files that read, by their names", "[jitctl][delivery]") {
  Fixture f;
  const std::string line = "dave " + public_key_line(f.spawn.key->public_key()) + "\n";
  const auto file = f.put("approvers", line);
  const auto out = f.root + "/signed";
  REQUIRE(f.jitctl({"trust", "sign", file, "--number", "3", "--on", "db1", "-m", "dave's key", "-o", out}) ==
          Exit::done);
  const auto trust = std::get<TrustDocument>(document_of(Fixture::get(out + "/trust-3-1.jit")));
  REQUIRE(trust.files.size() == 1);
  CHECK(trust.files[0] == Delivery::File{"approvers", line});
  CHECK(f.jitctl({"trust", "sign", f.put("approvers", line + "x,y z\n"), "--number", "4", "--on", "db1", "-m", "why",
                  "-o", out}) == Exit::failed);
  CHECK(f.jitctl({"trust", "sign", f.put("hosts", line), "--number", "4", "--on", "db1", "-m", "why", "-o", out}) ==
        Exit::failed);
}

TEST_CASE("files are put into parts without losing a byte", "[jitctl][delivery]") {
  const std::string line(5000, 'x');
  std::vector<Delivery::File> files;
  for (int i = 0; i < 12; ++i) files.push_back({std::to_string(10 + i) + ".toml", "# " + line + "\n"});
  files.push_back({"90.toml", ""});
  files.push_back({"91.toml", "no end of line"});
  const auto parts = in_parts(files);
  REQUIRE(parts.has_value());
  CHECK(parts->size() == 3);
  std::map<std::string, std::string> joined;
  for (const auto& part : *parts) {
    CHECK(!part.empty());
    for (const auto& file : part) joined[file.name] += file.text;
  }
  for (const auto& file : files) CHECK(joined.at(file.name) == file.text);
  CHECK_FALSE(in_parts({{"a.toml", std::string(40'000, 'x')}}).has_value());
  CHECK_FALSE(in_parts({{"a.toml", long_policy(2'000'000)}}).has_value());
}

TEST_CASE("what was delivered is part of the policy that jitctl reads, and named", "[jitctl][delivery]") {
  Fixture f;
  f.put("etc/jit/jitd.toml", "host = \"db1\"\n" + owned(f));
  f.put("etc/jit/policy.d/10.toml", role("local"));
  f.put("drafts.toml", role("far"));
  std::filesystem::create_directories(f.root + "/drafts");
  std::filesystem::rename(f.root + "/drafts.toml", f.root + "/drafts/20-far.toml");
  REQUIRE(f.jitctl({"policy", "sign", f.root + "/drafts", "--number", "5", "--on", "db1", "-m", "why", "-o",
                    f.root + "/signed"}) == Exit::done);
  REQUIRE(keep_delivered(system_files(), f.root + "/var", Kind::policy,
                         {Fixture::get(f.root + "/signed/policy-5-1.jit")}));
  CHECK(f.jitctl({"policy", "check"}) == Exit::done);
  CHECK(f.out.str().find("2 roles") != std::string::npos);
  CHECK(f.out.str().find("delivered: policy 5, signed by olga: 20-far.toml") != std::string::npos);
  CHECK(f.jitctl({"policy", "show"}) == Exit::done);
  CHECK(f.out.str().find("delivered policy 5, signed by olga") != std::string::npos);
  CHECK(f.jitctl({"policy", "show", "--dir", f.root + "/drafts"}) == Exit::done);
  CHECK(f.out.str().find("delivered") == std::string::npos);
  f.put("etc/jit/policy.d/10.toml", role("far"));
  CHECK(f.jitctl({"policy", "check"}) == Exit::failed);
  CHECK(f.err.str().find("delivered policy 5/20-far.toml:1: roles.far: is defined already") != std::string::npos);
  SECTION("as long as its owners stand in jitd.toml") {
    f.put("etc/jit/jitd.toml", "host = \"db1\"\n");
    CHECK(f.jitctl({"policy", "check"}) == Exit::done);
    CHECK(f.out.str().find("delivered") == std::string::npos);
  }
}

TEST_CASE("status says how old the view of revocations is", "[jitctl][lists]") {
  Fixture f;
  f.daemon.answer(Verb::status, done(Row().text(Tag::note, "list 12 of revocations, 5m old")));
  CHECK(f.jitctl({"status"}) == Exit::done);
  CHECK(f.out.str().find("This host goes by list 12 of revocations, 5m old.") != std::string::npos);
  CHECK(f.jitctl({"--json", "status"}) == Exit::done);
  CHECK(f.out.str().find("\"view\":\"list 12 of revocations, 5m old\"") != std::string::npos);
}

TEST_CASE("explain judges by the age that jitd tells", "[jitctl][lists]") {
  Fixture f;
  f.put("etc/jit/policy.d/10.toml",
        "[roles.r]\neligible = [\"*\"]\nmax_duration = \"1h\"\nmax_view_age = \"1h\"\n"
        "[[roles.r.rules]]\nthen = \"approve\"\n");
  CHECK(f.jitctl({"policy", "explain", "r", "--user", "root"}) == Exit::refused);
  f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "db1").number(Tag::duration, 600)));
  CHECK(f.jitctl({"policy", "explain", "r", "--user", "root"}) == Exit::done);
  f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "db1").number(Tag::duration, 7200)));
  CHECK(f.jitctl({"policy", "explain", "r", "--user", "root"}) == Exit::refused);
  CHECK(f.out.str().find("the view of revocations is 2h old, and has to be younger than 1h") != std::string::npos);
  CHECK(f.jitctl({"policy", "show", "r"}) == Exit::done);
  CHECK(f.out.str().find("of revocations younger than 1h, else refused") != std::string::npos);
}
