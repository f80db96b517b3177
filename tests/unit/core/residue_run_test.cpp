// What `jitd --residue` looks through, and what it says.
#include "jitd/core/residue_run.hpp"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kGrant = "0123456789abcdef";
constexpr const char* kPasswd =
    "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\ndb:x:110:120::/var/lib/db:/bin/sh\n"
    "odd:x:111:121::/:/bin/sh\n";

}  // namespace

TEST_CASE("homes and temporary folders are looked through, never the whole disk", "[core][residue]") {
  const TempDir etc;
  put(etc / "passwd", kPasswd);
  put(etc / "group", "");
  std::vector<ResidueQuery> queries{{kGrant, 1001, 0, {110, 111, 999}, {}}};
  const auto places = residue_places(queries, etc.path(), {"/srv", "relative", "/tmp", "/"});
  CHECK(places == std::vector<std::string>{"/tmp", "/var/tmp", "/dev/shm", "/run/user/1001", "/var/lib/db",
                                           "/home/alice", "/srv"});
  add_own_groups(queries, etc.path());
  CHECK(queries[0].groups == std::set<gid_t>{120, 121});
}

TEST_CASE("what others would run later is told of when it changed during the grant", "[core][residue]") {
  const TempDir root;
  const auto accounts = LocalAccounts::parse(kPasswd, "");
  for (const char* file :
       {"/var/spool/cron/crontabs/db", "/var/spool/cron/crontabs/alice", "/var/lib/db/.ssh/authorized_keys",
        "/var/spool/cron/atjobs/a00001", "/run/user/110/systemd/transient/run-1.service",
        "/var/lib/db/.config/systemd/user/a.service", "/var/lib/db/.bashrc"}) {
    std::filesystem::create_directories(root.path() + std::string(file).substr(0, std::string(file).rfind('/')));
    put(root.path() + file, "x");
  }
  ResidueQuery query{kGrant, 1001, ::time(nullptr) - 1, {110}, {}};
  const auto found = changed_meanwhile(query, accounts, root.path());
  REQUIRE(found.size() == 3);
  CHECK(found[0].path == "/var/spool/cron/crontabs/db");
  CHECK(found[1].path == "/var/lib/db/.ssh/authorized_keys");
  CHECK(found[2].path == "/var/lib/db/.bashrc");
  if (::geteuid() == 0) {  // of folders that others may lead elsewhere, or share, only what is the account's own
    for (const char* file : {"/var/spool/cron/atjobs/a00001", "/run/user/110/systemd/transient/run-1.service",
                             "/var/lib/db/.config/systemd/user/a.service"})
      REQUIRE(::chown((root.path() + file).c_str(), 110, 0) == 0);
    CHECK(changed_meanwhile(query, accounts, root.path()).size() == 6);
  }
  query.since = ::time(nullptr) + 10;
  CHECK(changed_meanwhile(query, accounts, root.path()).empty());
}

TEST_CASE("P10: a report names each file in one escaped line, and what was not looked at", "[core][residue]") {
  ResidueReport report;
  report.looked = 7;
  report.found = {{kGrant, "/tmp/a\nb", "setuid root", ""},
                  {"fedcba9876543210", "/tmp/other", "setuid root", ""},
                  {kGrant, "/tmp/c", "setgid of gid 3", "it is a further name of /usr/bin/x"}};
  const std::string text = residue_text(report, kGrant);
  CHECK(std::ranges::count(text, '\n') == 3);
  CHECK(text.starts_with("looked at 7 files\n/tmp/a"));
  CHECK(text.find("other") == std::string::npos);
  CHECK(text.ends_with("/tmp/c was setgid of gid 3 and still is: it is a further name of /usr/bin/x\n"));
  report.cut_short = "it took too long";
  CHECK(residue_text(report, kGrant).starts_with("looked at 7 files, not at all of them: it took too long\n"));
  report.more = 3;
  CHECK(residue_text(report, kGrant).ends_with("\nand more, 3 of all grants that ended then\n"));
}
