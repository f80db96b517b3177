// Whom a host's mailbox is for, and what they see.
#include "jitd/sync/mailbox_keys.hpp"

#include <sys/stat.h>

#include "policy/text.hpp"
#include "tests/unit/sync/mailbox_world.hpp"

using namespace jit;
using namespace jit::mailboxtest;

namespace {

std::string line_for(const World& world, const SigningKey& key, std::string_view user = "jit") {
  return authorized_line(world.places.trust, user, key_type_name(key.public_key().type),
                         to_base64(key.public_key().blob), world.clock.now().wall());
}

std::string option(const std::string& name, const std::string& value) {
  return name + "=\"" + value + "\"";
}

}  // namespace

TEST_CASE("sshd is given the one key that trust knows, and no more of it", "[sync][ssh]") {
  World world;
  CHECK(line_for(world, world.carol) == "restrict " + public_key_line(world.carol.public_key()) + "\n");
  CHECK(line_for(world, world.alice) == "restrict " + public_key_line(world.alice.public_key()) + "\n");
  CHECK(line_for(world, world.mallory).empty());
  // For nobody but the mailbox's account.
  for (const std::string user : {"root", "carol", "", "JIT", "jit ", "_jit-sync"})
    CHECK(line_for(world, world.carol, user).empty());
  // What sshd hands over is a stranger's.
  const auto base64 = to_base64(world.carol.public_key().blob);
  const auto now = world.clock.now().wall();
  for (const std::string type : {"", "ssh-rsa", "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519 AAAA", "\n"})
    CHECK(authorized_line(world.places.trust, "jit", type, base64, now).empty());
  for (const std::string& text :
       {std::string(), base64.substr(0, 20), base64 + "AAAA", "\n" + base64, std::string("*")})
    CHECK(authorized_line(world.places.trust, "jit", "ssh-ed25519", text, now).empty());
}

TEST_CASE("a key counts in its time, and where it could sign something for us", "[sync][ssh]") {
  World world;
  const std::string key = public_key_line(world.mallory.public_key());
  const auto now = world.clock.now().wall();
  const auto before = format_compact_utc(now - std::chrono::hours(1)),
             after = format_compact_utc(now + std::chrono::hours(1));
  const auto as_approver = [&](const std::string& options) {
    world.trust("approvers", "dave " + options + (options.empty() ? "" : " ") + key + "\n");
    return !line_for(world, world.mallory).empty();
  };
  CHECK(as_approver(""));
  CHECK(as_approver(option("valid-after", before)));
  CHECK(as_approver(option("valid-before", after)));
  CHECK_FALSE(as_approver(option("valid-after", after)));
  CHECK_FALSE(as_approver(option("valid-before", before)));
  CHECK(as_approver(option("namespaces", "jit-lock")));
  CHECK(as_approver(option("namespaces", "jit-*")));
  CHECK_FALSE(as_approver(option("namespaces", "git")));
  CHECK_FALSE(as_approver(option("namespaces", "jit-ask")));
  CHECK_FALSE(as_approver("cert-authority"));
  world.trust("approvers", "");
  world.trust("requesters", "dave " + option("namespaces", "jit-review") + " " + key + "\n");
  CHECK(line_for(world, world.mallory).empty());
  world.trust("requesters", "dave " + option("namespaces", "jit-ask") + " " + key + "\n");
  CHECK_FALSE(line_for(world, world.mallory).empty());
}

TEST_CASE("a trust file that cannot be trusted lets nobody in", "[sync][ssh]") {
  World world;
  REQUIRE(::chmod((world.root + "/trust/approvers").c_str(), 0666) == 0);
  CHECK(line_for(world, world.carol).empty());
  CHECK_FALSE(line_for(world, world.alice).empty());  // her file is sound
  REQUIRE(::chmod((world.root + "/trust").c_str(), 0777) == 0);
  CHECK(line_for(world, world.alice).empty());
  REQUIRE(::chmod((world.root + "/trust").c_str(), 0755) == 0);
  REQUIRE(::chmod((world.root + "/trust/approvers").c_str(), 0644) == 0);
  CHECK_FALSE(line_for(world, world.carol).empty());
  world.trust("approvers",
              std::string(kMaxTrustFile, '#') + "\ncarol " + public_key_line(world.carol.public_key()) + "\n");
  CHECK(line_for(world, world.carol).empty());  // too large: no key of it counts
  std::filesystem::remove_all(world.root + "/trust");
  CHECK(line_for(world, world.alice).empty());
  // The lines of one key, found without the others, are those that all of the file has.
  World other;
  const auto whole = read_trust_set(other.places.trust),
             one = read_trust_set(other.places.trust, &other.bob.public_key());
  CHECK(whole.requesters.lines.size() == 2);
  REQUIRE(one.requesters.lines.size() == 1);
  CHECK(one.requesters.lines[0].principal == "bob");
  CHECK(one.approvers.lines.empty());
  CHECK(one.hosts.path.empty());
}

TEST_CASE("P8: approvers see what the host says, requesters what is about them", "[sync][ssh]") {
  World world;
  const auto carol = world.visitor(world.carol), alice = world.visitor(world.alice), bob = world.visitor(world.bob);
  CHECK(carol.approver);
  CHECK_FALSE(alice.approver);
  const auto request = world.request_of("alice"), event = world.event_of("alice"),
             alive = world.event_of("", "alive");
  for (const auto& one : {request, event}) {
    CHECK(may_see(carol, one));
    CHECK(may_see(alice, one));
    CHECK_FALSE(may_see(bob, one));
  }
  CHECK(may_see(carol, alive));
  CHECK_FALSE(may_see(alice, alive));
  // A name in a text is nobody's document.
  CHECK_FALSE(may_see(alice, world.event_of("alicent")));
  CHECK_FALSE(may_see(bob, world.review_by(world.carol)));
  for (const std::string junk : {"", "junk", "jit = 1\nuser = \"alice\"\n"}) {
    CHECK_FALSE(may_see(alice, junk));
    CHECK_FALSE(may_see(carol, junk));
  }
  const auto broken = request.substr(0, request.find("kind")) + request.substr(request.find("kind") + 4);
  CHECK_FALSE(may_see(alice, broken));
  CHECK_FALSE(may_see(carol, broken));
}

TEST_CASE("P8: names of real sites are compared as they are", "[sync][ssh]") {
  World world;
  for (const std::string user : {"DOM\\alice", "j\xc3\xb6rg", "first.last", "name@corp", "a"}) {
    INFO(user);
    world.trust("requesters", user + " " + public_key_line(world.mallory.public_key()) + "\n");
    const auto visitor = world.visitor(world.mallory);
    CHECK(may_see(visitor, world.request_of(user)));
    CHECK(may_see(visitor, world.event_of(user)));
    CHECK_FALSE(may_see(visitor, world.event_of("other")));
  }
}

TEST_CASE("who is in both files is an approver; a key of two users sees both", "[sync][ssh]") {
  World world;
  world.trust("requesters", "carol " + public_key_line(world.carol.public_key()) + "\nalice " +
                                public_key_line(world.alice.public_key()) + "\nalice-adm " +
                                public_key_line(world.alice.public_key()) + "\n");
  CHECK(may_see(world.visitor(world.carol), world.event_of("alice")));
  const auto alice = world.visitor(world.alice);
  CHECK(may_see(alice, world.event_of("alice")));
  CHECK(may_see(alice, world.event_of("alice-adm")));
  CHECK_FALSE(may_see(alice, world.event_of("carol")));
  CHECK(alice.name() == "alice and alice-adm (" + fingerprint(world.alice.public_key()) + ")");
}

TEST_CASE("of a login one proven key counts, and nothing besides", "[sync][ssh]") {
  World world;
  const std::string key = public_key_line(world.carol.public_key());
  CHECK(*key_of_login("publickey " + key + "\n") == world.carol.public_key());
  for (const std::string& bad :
       std::vector<std::string>{"", "publickey " + key, key + "\n", "password\n", "publickey " + key + "\npassword\n",
                                "password\npublickey " + key + "\n", "publickey " + key + "\npublickey " + key + "\n",
                                "publickey ssh-ed25519-cert-v01@openssh.com AAAA\n", "publickey \n",
                                "keyboard-interactive/pam " + key + "\n"}) {
    INFO(bad);
    CHECK_FALSE(key_of_login(bad).has_value());
  }
}
