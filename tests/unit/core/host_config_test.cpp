// jitd.toml: every key, every default, and the words in which the rest is refused.
#include "jitd/core/host.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

namespace {
std::string refused(const std::string& text) {
  const auto config = parse_host_config(text, "jitd.toml");
  INFO(text);
  REQUIRE_FALSE(config.has_value());
  return config.error().message;
}
}  // namespace

TEST_CASE("jitd.toml says what it says, and the rest has its documented default", "[core][host]") {
  const auto empty = parse_host_config("", "jitd.toml");
  REQUIRE(empty.has_value());
  CHECK(empty->host.empty());
  CHECK(empty->segments.empty());
  CHECK(empty->grant_ceiling == hours(24));
  CHECK(empty->absolute_ceiling == days(14));
  CHECK(empty->pending_life == hours(24));
  CHECK(empty->clock_tolerance == minutes(5));
  CHECK(empty->pending_per_user == 10);
  CHECK(empty->requests_per_minute == 30);
  CHECK(empty->audit_retention == days(400));
  CHECK(empty->heartbeat == minutes(5));

  const auto full = parse_host_config(R"(
host = "db1.example.org"
segments = ["pci-db", "prod"]
pending_life = "2h"
clock_tolerance = "30s"
audit_retention = "1000d"
residue_paths = ["/srv", "/data/shared"]
heartbeat = "1m"
[ceilings]
grant = "8h"
absolute = "7d"
[quotas]
pending_per_user = 3
requests_per_minute = 5
[[sources]]
name = "stick"
url = "/media/jit"
poll = "10s"
)",
                                      "jitd.toml");
  REQUIRE(full.has_value());
  REQUIRE(full->sources.size() == 1);
  CHECK(full->sources[0].path == "/media/jit");
  CHECK(full->sources[0].poll == Seconds(10));
  CHECK(full->host == "db1.example.org");
  CHECK(full->segments == std::vector<std::string>{"pci-db", "prod"});
  CHECK(full->grant_ceiling == hours(8));
  CHECK(full->absolute_ceiling == days(7));
  CHECK(full->pending_life == hours(2));
  CHECK(full->clock_tolerance == Seconds(30));
  CHECK(full->pending_per_user == 3);
  CHECK(full->requests_per_minute == 5);
  CHECK(full->audit_retention == days(1000));
  CHECK(full->heartbeat == minutes(1));
  CHECK(full->residue_paths == std::vector<std::string>{"/srv", "/data/shared"});

  // A low absolute ceiling lowers the others with it.
  const auto low = parse_host_config("[ceilings]\nabsolute = \"2h\"\n", "jitd.toml");
  REQUIRE(low.has_value());
  CHECK(low->grant_ceiling == hours(2));
  CHECK(low->pending_life == hours(2));
}

TEST_CASE("jitd.toml is refused by file, line and key", "[core][host]") {
  CHECK(
      refused("hots = \"x\"\n")
          .find(
              "jitd.toml:1: hots: unknown key; known here: audit_retention, ceilings, "
              "clock_tolerance, heartbeat, host, max_view_age, owners, pending_life, quotas, residue_paths, segments "
              "and sources") == 0);
  CHECK(refused("\nsources = [\"/media/jit\"]\n") == "jitd.toml:2: sources[1]: must be a table, not a string");
  CHECK(refused("[[sources]]\nname = \"a\"\nurl = \"ftp://x\"\n").find("jitd.toml:3: sources[1].url: ") == 0);
  CHECK(refused("[[sources]]\nname = \"a\"\nurl = \"/media/jit\"\nca = \"/x\"\n") ==
        "jitd.toml:4: sources[1].ca: goes with https and etcd alone");
  CHECK(refused("hooks = []\n") == "jitd.toml:1: hooks: this release cannot enforce it yet; remove the key");
  CHECK(refused("[ceilings]\nabsolute = \"15d\"\n") == "jitd.toml:2: ceilings.absolute: must be from 1h to 14d");
  CHECK(refused("[ceilings]\nabsolute = \"2h\"\ngrant = \"3h\"\n") ==
        "jitd.toml:3: ceilings.grant: must be from 1m to 2h");
  CHECK(refused("clock_tolerance = \"2h\"\n") == "jitd.toml:1: clock_tolerance: must be from 1s to 1h");
  CHECK(refused("audit_retention = \"0d\"\n") ==
        "jitd.toml:1: audit_retention: must be whole days from \"1d\" to \"36500d\"");
  CHECK(refused("heartbeat = \"59s\"\n") == "jitd.toml:1: heartbeat: must be from 1m to 1d");
  CHECK(refused("heartbeat = \"2d\"\n") == "jitd.toml:1: heartbeat: must be from 1m to 1d");
  CHECK(refused("residue_paths = [\"srv\"]\n") == "jitd.toml:1: residue_paths: must be folders by their whole path");
  CHECK(refused("audit_retention = \"9h\"\n") ==
        "jitd.toml:1: audit_retention: must be whole days from \"1d\" to \"36500d\"");
  CHECK(refused("[quotas]\npending_per_user = 0\n") ==
        "jitd.toml:2: quotas.pending_per_user: must be from 1 to 1000");
  CHECK(refused("host = \"db 1\"\n").find("jitd.toml:1: host: host name \"db 1\"") == 0);
  CHECK(refused("segments = [\"a b\"]\n").find("jitd.toml:1: segments: segment \"a b\"") == 0);
  CHECK(refused(std::string(70000, '#')).find("jitd.toml:1: the file is larger than") == 0);
}
