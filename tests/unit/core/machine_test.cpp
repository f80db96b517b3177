// What tells a machine from a copy of it, and what a start makes of it.
#include <filesystem>

#include "jitd/core/machine.hpp"
#include "tests/unit/core/host_dir.hpp"

using namespace jit;
using test::HostDir;

namespace {

const std::string kId = "0123456789abcdef0123456789abcdef", kOtherId = "ffeeddccbbaa99887766554433221100";
const std::string kBoard = "4c4c4544-0042-4a10-8057-b2c04f4d3232",
                  kOtherBoard = "11111111-2222-3333-4444-555555555555";

struct Hardware {
  HostDir dir;
  MachineSources sources{dir.root + "/machine-id",
                         dir.root + "/product_uuid",
                         {dir.root + "/container", dir.root + "/containerenv", dir.root + "/dockerenv"}};
  std::string key = "SHA256:one", warning;

  void id(const std::string& text) const { dir.write("/machine-id", text + "\n"); }
  void board(const std::string& text) const { dir.write("/product_uuid", text + "\n"); }
  void remove(const std::string& name) const { std::filesystem::remove(dir.root + "/" + name); }
  [[nodiscard]] MachineFacts facts() const { return read_machine(sources); }
  Machine start() { return known_machine(dir.paths.var, facts(), key, warning); }
};

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a machine is what it was at its first start", "[core][machine]") {
  Hardware host;
  host.id(kId);
  host.board(kBoard);
  const Machine first = host.start();
  CHECK(first.unknown.empty());
  CHECK(host.warning.empty());
  CHECK(host.dir.mode("/var/machine") == 0600);
  CHECK(host.start().digest == first.digest);
  // Neither is for others to know.
  CHECK_FALSE(says(host.dir.read("/var/machine"), kId));
  CHECK_FALSE(says(host.dir.read("/var/machine"), kBoard));

  SECTION("the same written otherwise") {
    host.board("4C4C4544-0042-4A10-8057-B2C04F4D3232");
    CHECK(host.start().unknown.empty());
  }
  SECTION("another machine-id: a copy") {
    host.id(kOtherId);
    const Machine copy = host.start();
    CHECK(says(copy.unknown, "another /etc/machine-id"));
    CHECK(says(copy.unknown, "jitctl enrol --keep-key"));
    CHECK(says(copy.unknown, "jitctl enrol --new-key"));
    CHECK(copy.digest != first.digest);
    host.id(kId);
    CHECK(host.start().digest == first.digest);  // nothing was written over
  }
  SECTION("another board: a copy, or moved") {
    host.board(kOtherBoard);
    CHECK(says(host.start().unknown, "another board"));
  }
  SECTION("another key: not made here") {
    host.key = "SHA256:two";
    CHECK(says(host.start().unknown, "the host key is not the one"));
  }
  SECTION("root says that it is the same") {
    host.id(kOtherId);
    REQUIRE_FALSE(host.start().unknown.empty());
    const auto enrolled = enrol_machine(host.dir.paths.var, host.facts(), host.key);
    REQUIRE(enrolled);
    const Machine now = host.start();
    CHECK(now.unknown.empty());
    CHECK(now.digest == enrolled->digest);
    CHECK(now.digest != first.digest);
    host.id(kId);
    CHECK_FALSE(host.start().unknown.empty());
  }
  SECTION("what is written of it is damaged: nothing is guessed") {
    host.dir.write("/var/machine", GENERATE(as<std::string>{}, "", "machine sha256:12\n", "id\n", "other thing\n"),
                   0600);
    CHECK(says(host.start().unknown, "cannot be read"));
  }
  SECTION("others could write it: it says nothing") {
    host.dir.write("/var/machine", host.dir.read("/var/machine"), 0666);
    CHECK_FALSE(host.start().unknown.empty());
  }
}

TEST_CASE("what cannot be read says nothing, in whichever order boots come", "[core][machine]") {
  Hardware host;
  host.id(kId);
  const bool board_first = GENERATE(true, false);
  if (board_first) host.board(kBoard);
  const Machine first = host.start();
  for (int boot = 0; boot < 4; ++boot) {
    INFO("boot " << boot);
    if ((boot % 2 == 0) == board_first) {
      host.remove("product_uuid");
    } else {
      host.board(kBoard);
    }
    const Machine now = host.start();
    CHECK(now.unknown.empty());
    CHECK(now.digest == first.digest);  // as approvers know it
  }
  host.board(kOtherBoard);  // it was learned meanwhile
  CHECK(says(host.start().unknown, "another board"));
  host.remove("product_uuid");
  host.remove("machine-id");
  CHECK(host.start().unknown.empty());
}

TEST_CASE("values that stand for nothing are none", "[core][machine]") {
  Hardware host;
  host.id(GENERATE(as<std::string>{}, "uninitialized", "", "0123", std::string(32, '0'),
                   "0123456789abcdef0123456789abcdeg"));
  host.board(GENERATE(as<std::string>{}, "00000000-0000-0000-0000-000000000000",
                      "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "Not Settable", ""));
  CHECK(host.facts() == MachineFacts{});
  CHECK(host.start().unknown.empty());
  host.id(kId);
  host.board(kBoard);
  CHECK(host.start().unknown.empty());
}

TEST_CASE("a container has no board of its own", "[core][machine]") {
  Hardware host;
  host.id(kId);
  host.board(kBoard);
  host.dir.write(GENERATE(as<std::string>{}, "/container", "/containerenv", "/dockerenv"), "");
  CHECK(host.facts().id);
  CHECK_FALSE(host.facts().board);
  CHECK(host.start().unknown.empty());
  host.board(kOtherBoard);  // moved to another machine
  CHECK(host.start().unknown.empty());
}

TEST_CASE("P6: where it cannot be noted, it is the machine all the same", "[core][machine]") {
  Hardware host;
  host.id(kId);
  std::filesystem::create_directories(host.dir.root + "/var/.machine.tmp/in-the-way");
  CHECK(host.start().unknown.empty());
  CHECK(says(host.warning, "a copy of this host would not be told from it"));
  CHECK_FALSE(enrol_machine(host.dir.paths.var, host.facts(), host.key));
}

TEST_CASE("a host of before takes over what is there", "[core][machine]") {
  Hardware host;
  host.id(kId);
  const auto key = host_key(host.dir.paths);
  REQUIRE(key);
  host.key = fingerprint((*key)->public_key());
  CHECK(host.start().unknown.empty());
  const auto fresh = new_host_key(host.dir.paths);
  REQUIRE(fresh);
  CHECK_FALSE((*fresh)->public_key() == (*key)->public_key());
  CHECK(host.dir.mode("/var/host_key") == 0600);
  CHECK(host.dir.read("/var/host_key.pub") == public_key_line((*fresh)->public_key()) + "\n");
  const auto now = host_key(host.dir.paths);
  REQUIRE(now);
  CHECK((*now)->public_key() == (*fresh)->public_key());
  // Killed before the machine was noted with it: root is asked again.
  host.key = fingerprint((*now)->public_key());
  CHECK_FALSE(host.start().unknown.empty());
}
