// load_host: one consistent reading of key, trust and policy, and what holds when the files are bad.
#include <sys/utsname.h>

#include <algorithm>

#include "jitd/core/last_good.hpp"
#include "tests/unit/core/host_dir.hpp"

using namespace jit;
using test::HostDir;

namespace {

const std::string kPolicy = "[roles.r]\neligible = [\"alice\"]\nmax_duration = \"1h\"\n";
const std::string kConfig = "host = \"db1\"\n";

std::shared_ptr<SigningKey> key_of(const HostDir& dir) {
  auto key = host_key(dir.paths);
  if (!key) INFO(key.error().message);
  REQUIRE(key.has_value());
  return *key;
}

std::shared_ptr<const HostView> load(const HostDir& dir, const HostView* before = nullptr) {
  static std::shared_ptr<SigningKey> key;  // outlives the views
  key = key_of(dir);
  auto view = load_host(dir.paths, key, before);
  if (!view) INFO(view.error().message);
  REQUIRE(view.has_value());
  return *view;
}

std::string refused(const HostDir& dir) {
  const auto view = load_host(dir.paths, key_of(dir), nullptr);
  REQUIRE_FALSE(view.has_value());
  return view.error().message;
}

bool warned(const HostView& view, const std::string& part) {
  return std::any_of(view.warnings.begin(), view.warnings.end(),
                     [&](const std::string& warning) { return warning.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("config, key, trust and policy are read together", "[core][host]") {
  const HostDir dir;
  dir.write("/etc/jit/jitd.toml", kConfig);
  dir.write("/etc/jit/policy.d/20-r.toml", kPolicy);
  dir.write("/etc/jit/policy.d/10-people.toml", "[people.carol]\nusers = [\"carol\"]\n");
  dir.write("/etc/jit/policy.d/30-off.toml.disabled", "not a policy");
  dir.write("/etc/jit/policy.d/.40-hidden.toml", "not a policy");
  const auto approver = SigningKey::generate();
  REQUIRE(approver.has_value());
  dir.write("/etc/jit/trust/approvers", "carol " + public_key_line(approver->public_key()) + "\n");

  const auto view = load(dir);
  CHECK(view->config.host == "db1");
  CHECK_FALSE(view->last_good);
  CHECK(view->policy_error.empty());
  CHECK(view->policy.role("r") != nullptr);
  CHECK(view->policy.role("r")->place.file == dir.root + "/etc/jit/policy.d/20-r.toml");
  REQUIRE(view->trust.approvers.lines.size() == 1);
  CHECK(view->trust.approvers.lines[0].principal == "carol");
  REQUIRE(view->key != nullptr);
  CHECK(view->host_key == fingerprint(view->key->public_key()));
  REQUIRE(view->trust.hosts.lines.size() == 1);
  CHECK(view->trust.hosts.lines[0].principal == "db1");
  CHECK(view->trust.hosts.lines[0].key == view->key->public_key());
  CHECK(view->trust.hosts.lines[0].allows_namespace("jit-request"));
  CHECK(view->trust.hosts.lines[0].allows_namespace("jit-event"));
  CHECK_FALSE(view->trust.hosts.lines[0].allows_namespace("jit-review"));
  CHECK(view->trust.requesters.lines.empty());
  CHECK(view->trust.for_kind(Kind::ask) != nullptr);
  CHECK_FALSE(warned(*view, "elsewhere"));  // that nobody may ask from there is nothing to warn of
  CHECK_FALSE(warned(*view, "trust"));
}

TEST_CASE("who may ask from elsewhere is root's word, like who may approve", "[core][host]") {
  const HostDir dir;
  dir.write("/etc/jit/jitd.toml", kConfig);
  dir.write("/etc/jit/policy.d/10-r.toml", kPolicy + "[people.carol]\nprincipals = [\"carol@example.org\"]\n");
  const auto approver = SigningKey::generate(), asker = SigningKey::generate();
  REQUIRE((approver && asker));
  dir.write("/etc/jit/trust/approvers", "carol@example.org " + public_key_line(approver->public_key()) + "\n");
  const std::string line = "alice " + public_key_line(asker->public_key()) + "\n";
  dir.write("/etc/jit/trust/requesters", line + "alice,bob " + public_key_line(asker->public_key()) + "\n");
  auto view = load(dir);
  REQUIRE(view->trust.requesters.lines.size() == 1);
  CHECK(view->trust.requesters.lines[0].principal == "alice");
  CHECK(warned(*view, dir.root + "/etc/jit/trust/requesters:2: "));

  SECTION("a file that others may write is nobody's word") {
    dir.write("/etc/jit/trust/requesters", line, 0666);
    view = load(dir);
    CHECK(view->trust.requesters.lines.empty());
    CHECK(warned(*view, "nobody can ask from elsewhere"));
  }
  SECTION("a removal counts, whatever was there before") {
    dir.write("/etc/jit/trust/requesters", "");
    view = load(dir, view.get());
    CHECK(view->trust.requesters.lines.empty());
    CHECK_FALSE(warned(*view, "elsewhere"));
    CHECK_FALSE(warned(*view, "trust"));
  }
  SECTION("a key under two persons is void in both files, and said so") {
    dir.write("/etc/jit/trust/requesters", "alice " + public_key_line(approver->public_key()) + "\n");
    view = load(dir);
    CHECK(warned(*view, "approvers:1: the key"));
    CHECK(warned(*view, "requesters:1: the key"));
  }
}

TEST_CASE("the host key is made once, kept private and never replaced", "[core][host]") {
  const HostDir dir;
  const PublicKey first = key_of(dir)->public_key();
  CHECK(dir.mode("/var/host_key") == 0600);
  CHECK(dir.mode("/var/host_key.pub") == 0644);
  CHECK(dir.read("/var/host_key.pub") == public_key_line(first) + "\n");
  CHECK(key_of(dir)->public_key() == first);

  SECTION("under any umask") {
    std::filesystem::remove(dir.root + "/var/host_key");
    const mode_t old = ::umask(0);
    const PublicKey second = key_of(dir)->public_key();
    ::umask(old);
    CHECK_FALSE(second == first);
    CHECK(dir.mode("/var/host_key") == 0600);
    CHECK(dir.read("/var/host_key.pub") == public_key_line(second) + "\n");
  }
  SECTION("a damaged key is an error") {
    dir.write("/var/host_key", "garbage", 0600);
    const auto key = host_key(dir.paths);
    REQUIRE_FALSE(key.has_value());
    CHECK(key.error().message.find(dir.root + "/var/host_key") == 0);
    CHECK(dir.read("/var/host_key") == "garbage");
  }
  SECTION("a key that others can read is an error") {
    REQUIRE(::chmod((dir.root + "/var/host_key").c_str(), 0640) == 0);
    const auto key = host_key(dir.paths);
    REQUIRE_FALSE(key.has_value());
    CHECK(key.error().message ==
          dir.root + "/var/host_key: may be read by others; run: chmod 0600 " + dir.root + "/var/host_key");
  }
  SECTION("a link is not followed") {
    std::filesystem::rename(dir.root + "/var/host_key", dir.root + "/var/elsewhere");
    std::filesystem::create_symlink(dir.root + "/var/elsewhere", dir.root + "/var/host_key");
    CHECK_FALSE(host_key(dir.paths).has_value());
  }
}

TEST_CASE("the host's name is pinned at the first start", "[core][host]") {
  const HostDir dir;
  HostConfig config;
  config.host = "set-here";
  CHECK(pinned_host(config, dir.paths) == "set-here");
  CHECK_FALSE(std::filesystem::exists(dir.root + "/var/host"));

  SECTION("from the kernel, when nothing else is said") {
    config.host.clear();
    struct utsname kernel {};
    REQUIRE(::uname(&kernel) == 0);
    const std::string node = kernel.nodename;
    const auto name = pinned_host(config, dir.paths);
    if (node == "localhost" || node.starts_with("localhost.") || node == "(none)") {
      CHECK_FALSE(name.has_value());
    } else {
      REQUIRE(name.has_value());
      CHECK(*name == node);
      CHECK(dir.read("/var/host") == node + "\n");
    }
  }
  SECTION("and stays, whatever the kernel says later") {
    config.host.clear();
    dir.write("/var/host", "old-name\n");
    CHECK(pinned_host(config, dir.paths) == "old-name");
  }
  SECTION("a name that cannot be one is an error") {
    config.host.clear();
    dir.write("/var/host", "../x\n");
    CHECK_FALSE(pinned_host(config, dir.paths).has_value());
  }
}

TEST_CASE("bad policy files leave the last good policy in force, at once and after a reboot", "[core][host]") {
  const HostDir dir;
  dir.write("/etc/jit/jitd.toml", kConfig);
  dir.write("/etc/jit/policy.d/r.toml", kPolicy);
  const auto good = load(dir);
  CHECK(dir.mode("/var/last-good") == 0600);

  const std::string file = dir.root + "/etc/jit/policy.d/bad.toml";
  dir.write("/etc/jit/policy.d/bad.toml", "[roles.q]\nx = 1\n");
  for (const HostView* before : {good.get(), static_cast<const HostView*>(nullptr)}) {
    const auto view = load(dir, before);
    CHECK(view->last_good);
    CHECK(view->policy_error.find(file + ":1: roles.q.eligible: is missing") == 0);
    CHECK(view->policy.role("r") != nullptr);
    CHECK(view->policy.role("q") == nullptr);  // all or nothing
    CHECK(view->policy.digest == good->policy.digest);
  }
  SECTION("the good one comes back when the file is mended, and is kept") {
    dir.write("/etc/jit/policy.d/bad.toml", "[roles.q]\neligible = []\nmax_duration = \"1h\"\n");
    CHECK_FALSE(load(dir)->last_good);
    dir.write("/etc/jit/policy.d/bad.toml", "x\n");
    const auto view = load(dir);
    CHECK(view->last_good);
    CHECK(view->policy.role("q") != nullptr);
  }
  SECTION("a file that others may write is a bad file") {
    dir.write("/etc/jit/policy.d/bad.toml", "", 0666);
    CHECK(load(dir)->policy_error == file + ": may be written by others than root; run: chmod go-w " + file);
    REQUIRE(::chmod(file.c_str(), 0620) == 0);
    CHECK(load(dir)->last_good);
  }
  SECTION("so is one that is not root's") {
    dir.write("/etc/jit/policy.d/bad.toml", "");
    if (::geteuid() == 0) {
      REQUIRE(::chown(file.c_str(), 12345, 0) == 0);
      CHECK(load(dir)->policy_error == file + ": belongs to uid 12345, not to root; run: chown root:root " + file);
    }
  }
  SECTION("so is a link, a directory and a FIFO, without a hang (CVE-2024-22365)") {
    std::filesystem::remove(file);
    std::filesystem::create_symlink("r.toml", file);
    CHECK(load(dir)->last_good);
    std::filesystem::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0644) == 0);
    CHECK(load(dir)->last_good);
    std::filesystem::remove(file);
    std::filesystem::create_directory(file);
    CHECK(load(dir)->last_good);
  }
  SECTION("so is a folder that is gone or that others may write") {
    REQUIRE(::chmod((dir.root + "/etc/jit/policy.d").c_str(), 0777) == 0);
    CHECK(load(dir)->last_good);
    std::filesystem::remove_all(dir.root + "/etc/jit/policy.d");
    CHECK(load(dir)->last_good);
  }
  SECTION("an empty folder is a policy: nothing for anybody") {
    std::filesystem::remove(file);
    std::filesystem::remove(dir.root + "/etc/jit/policy.d/r.toml");
    const auto view = load(dir);
    CHECK_FALSE(view->last_good);
    CHECK(view->policy.roles.empty());
  }
  SECTION("a damaged last good policy is an error at a start, not an empty policy without gates") {
    dir.write("/var/last-good", "garbage", 0600);
    CHECK(refused(dir).find("and there is no last good policy to go on with (" + dir.root +
                            "/var/last-good: the last good policy is damaged)") != std::string::npos);
    CHECK(load(dir, good.get())->policy.role("r") != nullptr);
    std::filesystem::remove(dir.root + "/var/last-good");
    CHECK(refused(dir).find("and there is no last good policy") != std::string::npos);
  }
}

TEST_CASE("the last good policy is one file that is whole or refused", "[core][host]") {
  const std::vector<PolicyText> files = {
      {"a b.toml", "x = 1\n"}, {"c.toml", ""}, {"d.toml", std::string("\0\n7\n", 4)}};
  const std::string text = encode_last_good(files);
  const auto back = decode_last_good(text);
  REQUIRE(back.has_value());
  REQUIRE(back->size() == 3);
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK((*back)[i].file == files[i].file);
    CHECK((*back)[i].text == files[i].text);
  }
  CHECK(decode_last_good(encode_last_good({}))->empty());
  for (std::size_t size = 0; size < text.size(); ++size)
    CHECK_FALSE(decode_last_good(text.substr(0, size)).has_value());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string torn = text;
    torn[i] = static_cast<char>(torn[i] ^ 1);
    CHECK_FALSE(decode_last_good(torn).has_value());
  }
}

TEST_CASE("trust has no last good: what parses now is the trust", "[core][host]") {
  const HostDir dir;
  dir.write("/etc/jit/jitd.toml", kConfig);
  const auto key = SigningKey::generate();
  REQUIRE(key.has_value());
  const std::string line = "carol " + public_key_line(key->public_key()) + "\n";
  const std::string file = dir.root + "/etc/jit/trust/approvers";
  dir.write("/etc/jit/trust/approvers", line + "carol,dave " + line);
  const auto good = load(dir);
  CHECK(good->trust.approvers.lines.size() == 1);
  CHECK(warned(*good, file + ":2"));

  SECTION("a missing file is nobody") {
    std::filesystem::remove(file);
    CHECK(load(dir, good.get())->trust.approvers.lines.empty());
    CHECK(warned(*load(dir), "nobody is trusted to approve: " + file));
  }
  SECTION("an empty file is nobody") {
    dir.write("/etc/jit/trust/approvers", "");
    CHECK(load(dir, good.get())->trust.approvers.lines.empty());
    CHECK(warned(*load(dir), "nobody is trusted to approve"));
  }
  SECTION("a file or folder that others may write is nobody's word") {
    REQUIRE(::chmod(file.c_str(), 0664) == 0);
    CHECK(load(dir, good.get())->trust.approvers.lines.empty());
    REQUIRE(::chmod(file.c_str(), 0644) == 0);
    CHECK(load(dir)->trust.approvers.lines.size() == 1);
    REQUIRE(::chmod((dir.root + "/etc/jit/trust").c_str(), 0777) == 0);
    CHECK(load(dir)->trust.approvers.lines.empty());
  }
  SECTION("a key under two persons is warned of") {
    dir.write("/etc/jit/trust/approvers", line + "dave " + public_key_line(key->public_key()) + "\n");
    CHECK(warned(*load(dir), file + ":2: the key " + fingerprint(key->public_key()) +
                                 " stands under two persons and counts for nobody"));
  }
}

TEST_CASE("a bad jitd.toml stops the first start and keeps the old configuration later", "[core][host]") {
  const HostDir dir;
  dir.write("/etc/jit/jitd.toml", kConfig + "[ceilings]\ngrant = \"2h\"\n");
  const auto good = load(dir);
  dir.write("/etc/jit/jitd.toml", kConfig + "[ceilings]\ngrant = \"2 hours\"\n");
  CHECK(refused(dir).find(dir.root + "/etc/jit/jitd.toml:3: ceilings.grant: ") == 0);
  const auto view = load(dir, good.get());
  CHECK(view->config.grant_ceiling == std::chrono::hours(2));
  CHECK(warned(*view, "the old configuration stays: " + dir.root + "/etc/jit/jitd.toml:3"));
  dir.write("/etc/jit/jitd.toml", kConfig, 0666);
  CHECK(refused(dir).find("may be written by others than root") != std::string::npos);
}
