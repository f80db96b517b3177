// ~/.config/jit/approver.toml, and what --source means with it and without.
#include "jitctl/approver_config.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/signing.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

constexpr const char* kGood = R"(key = "~/.ssh/approver"
hosts = "/srv/jit/hosts"
default_source = "fleet"

[[sources]]
name = "fleet"
url = "https://fleet.example"
ca = "/etc/ssl/fleet.pem"

[[sources]]
name = "stick"
url = "/media/stick"
)";

std::string error_of(const std::string& text) {
  const auto config = parse_approver_config(text, "approver.toml", "/home/carol");
  return config ? "" : config.error().message;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("approver.toml is read strictly", "[jitctl][elsewhere]") {
  const auto config = parse_approver_config(kGood, "approver.toml", "/home/carol");
  if (!config) FAIL(config.error().message);
  CHECK(config->key == "/home/carol/.ssh/approver");
  CHECK(config->hosts == "/srv/jit/hosts");
  CHECK(config->default_source == "fleet");
  REQUIRE(config->sources.size() == 2);
  CHECK(config->sources[0].ca == "/etc/ssl/fleet.pem");
  CHECK(parse_approver_config("", "approver.toml", "/home/carol").has_value());

  // File, line and key of what is wrong.
  CHECK(has(error_of("keys = \"x\"\n"), "approver.toml:1: keys"));
  CHECK(has(error_of("\nkey = 1\n"), "approver.toml:2: key"));
  CHECK(has(error_of("key = \"relative\"\n"), "approver.toml:1: key"));
  CHECK(has(error_of("hosts = \"~carol/hosts\"\n"), "approver.toml:1: hosts"));
  CHECK(has(error_of("default_source = \"fleet\"\n"), "approver.toml:1: default_source"));
  CHECK(has(error_of("[[sources]]\nname = \"a\"\nurl = \"ftp://x\"\n"), "approver.toml:3: sources[1].url"));
  CHECK(has(error_of("[[sources]]\nname = \"a\"\nurl = \"/a\"\nca = \"/x\"\n"), "approver.toml:4: sources[1].ca"));
  CHECK(has(error_of("what\n"), "approver.toml:1"));
}

TEST_CASE("a source by its name, its URL or its folder", "[jitctl][elsewhere]") {
  const auto config = parse_approver_config(kGood, "approver.toml", "/home/carol");
  REQUIRE(config.has_value());
  CHECK(find_source(*config, "fleet")->url == "https://fleet.example");
  // By its URL it has what the file says of it, too.
  CHECK(find_source(*config, "https://fleet.example")->ca == "/etc/ssl/fleet.pem");
  CHECK(find_source(*config, "https://other.example")->ca.empty());
  CHECK(find_source(*config, "/mnt/x")->path == "/mnt/x");
  const auto here = find_source(*config, "./stick");
  REQUIRE(here.has_value());
  CHECK(here->path == std::filesystem::current_path().string() + "/stick");
  const auto none = find_source(*config, "fleeet");
  REQUIRE_FALSE(none.has_value());
  CHECK(has(none.error().message, "fleeet: no source of that name in approver.toml"));
  CHECK_FALSE(find_source(*config, "ftp://x").has_value());
}

TEST_CASE("the default source is for machines without jitd", "[jitctl][elsewhere]") {
  ElsewhereFixture f;
  f.put("home/.config/jit/approver.toml", kGood);
  f.put("home/.config/jit/approver.toml",
        "default_source = \"fleet\"\n[[sources]]\nname = \"fleet\"\nurl = \"" + std::string(kFleet) + "\"\n");
  CHECK(f.jitctl({"pending"}) == Exit::done);
  REQUIRE(f.opened.size() == 1);
  CHECK(f.opened[0].url == kFleet);
  // With jitd here, that is asked, unless somebody says otherwise.
  f.put("run/control.sock", "");
  CHECK(f.jitctl({"pending"}) == Exit::unreachable);
  CHECK(f.opened.size() == 1);
  CHECK(f.jitctl({"pending", "--source", "fleet"}) == Exit::done);
  CHECK(f.opened.size() == 2);
}

TEST_CASE("a bad approver.toml stops what reads it, and says where", "[jitctl][elsewhere]") {
  ElsewhereFixture f;
  f.put("home/.config/jit/approver.toml", "kee = 1\n");
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"pending"}, {"pending", "--source", kFleet}, {"approve", "7k3m"}, {"hosts"}, {"source", "list"}}) {
    CHECK(f.jitctl(command) == Exit::failed);
    CHECK(f.err_has("approver.toml:1: kee"));
  }
}

TEST_CASE("the key and the hosts file of approver.toml are used everywhere", "[jitctl][elsewhere]") {
  ElsewhereFixture f;
  const auto hosts = f.put("other-hosts", f.web1.trust_line());
  const auto key = f.put("key", "a private key");
  f.put("key.pub", public_key_line(f.spawn.key->public_key()) + "\n");
  f.put("home/.config/jit/approver.toml", "key = \"" + key + "\"\nhosts = \"" + hosts + "\"\n");
  const auto known = known_hosts(f.context, "");
  REQUIRE(known.has_value());
  REQUIRE(known->lines.size() == 1);
  CHECK(known->lines[0].principal == "web1");
  CHECK(choose_key(f.context, "", "jit-review")->file == key);
  CHECK(choose_key(f.context, f.root + "/key.pub", "jit-review")->file == f.root + "/key.pub");
}

TEST_CASE("what --source may not be", "[jitctl][elsewhere]") {
  ElsewhereFixture f;
  CHECK(f.jitctl({"pending", "--source", "nowhere"}) == Exit::failed);
  CHECK(f.err_has("nowhere: no source of that name"));
  CHECK(f.jitctl({"hosts"}) == Exit::failed);
  CHECK(f.err_has("which source?"));
  f.put("home/.config/jit/hosts", "");
  CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::failed);
  CHECK(f.err_has("you know no host yet"));
}
