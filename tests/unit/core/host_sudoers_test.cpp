// Groups that sudoers rules name.
#include "jitd/core/sudoers_groups.hpp"
#include "tests/unit/core/host_dir.hpp"

using namespace jit;
using test::HostDir;

namespace {
SudoersGroups scan(const std::string& text) {
  SudoersGroups groups;
  static_cast<void>(scan_sudoers(text, groups));
  return groups;
}
using Names = std::set<std::string>;
}  // namespace

TEST_CASE("every way to write a group in sudoers is seen", "[core][host]") {
  CHECK(scan("%sudo ALL=(ALL:ALL) ALL\n").names == Names{"sudo"});
  CHECK(scan("  %wheel\tALL=(ALL) NOPASSWD: ALL").names == Names{"wheel"});
  CHECK(scan("alice, %ops,!%interns ALL = ALL\n").names == Names{"ops", "interns"});
  CHECK(scan("User_Alias ADMINS = bob, %admins : OTHERS=%others\n").names == Names{"admins", "others"});
  CHECK(scan("Defaults:%dba !lecture\nx ALL=(%runas) ALL\n").names == Names{"dba", "runas"});
  CHECK(scan("%#1005 ALL=ALL\n").gids == std::set<std::uint32_t>{1005});
  CHECK(scan("%:corp ALL=ALL\n").names == Names{"corp"});
  CHECK(scan("%domain\\ users ALL=ALL\n").names == Names{"domain users"});
  CHECK(scan("\"%domain users\" ALL=ALL\n").names == Names{"domain users"});
  CHECK(scan("%\"domain users\" ALL=ALL\n").names == Names{"domain users"});
  CHECK(scan("%CORP\\\\admins ALL=ALL\n").names == Names{"CORP\\admins"});
  CHECK(scan("alice, \\\n  %joined ALL=ALL\n").names == Names{"joined"});
  CHECK(scan("%spl\\\nit ALL=ALL\n").names == Names{"split"});
  CHECK(scan("#1000 ALL=ALL : %b ALL=ALL").names == Names{"b"});
  CHECK(scan("%last ALL=ALL \\").names == Names{"last"});
}

TEST_CASE("what is no group is none", "[core][host]") {
  CHECK(scan("# %commented ALL=ALL\n").names.empty());
  CHECK(scan("alice ALL=ALL # %behind\n").names.empty());
  CHECK(scan("alice ALL=/bin/date +\\%s\n").names.empty());
  CHECK(scan("").names.empty());
  CHECK(scan("% %# %#x %:").names.empty());
  CHECK(scan("% %# %#x %:").gids.empty());
  CHECK(scan("%#99999999999 ALL=ALL").gids.empty());
}

TEST_CASE("includes are followed as sudo follows them", "[core][host]") {
  SudoersGroups groups;
  const auto includes =
      scan_sudoers("@include /a b\n#include \"/c d\"\n@includedir /e\\ f\n#includedir g\n#included x\n", groups);
  REQUIRE(includes.size() == 4);
  CHECK(includes[0].path == "/a");
  CHECK(includes[1].path == "/c d");
  CHECK(includes[2].path == "/e f");
  CHECK(includes[2].directory);
  CHECK(includes[3].path == "g");

  const HostDir dir;
  CHECK(sudoers_groups(dir.root + "/etc")->names.empty());  // no sudoers at all
  dir.write("/etc/sudoers",
            "%one ALL=ALL\n@includedir " + dir.root + "/etc/sudoers.d\n@include local\n@include /none\n");
  dir.write("/etc/sudoers.d/a", "%two ALL=ALL\n@include " + dir.root + "/etc/sudoers\n");  // a loop ends
  dir.write("/etc/sudoers.d/b.bak", "%three ALL=ALL\n");
  dir.write("/etc/sudoers.d/c~", "%three ALL=ALL\n");
  dir.write("/etc/sudoers.d/sub/d", "%three ALL=ALL\n");
  dir.write("/etc/local", "%four ALL=ALL\n");
  dir.write("/etc/sudoers-rs", "%five ALL=ALL\n");
  const auto all = sudoers_groups(dir.root + "/etc");
  REQUIRE(all.has_value());
  CHECK(all->names == Names{"one", "two", "four", "five"});

  SECTION("a file that cannot be read is an error, not a sudoers without rules") {
    std::filesystem::remove(dir.root + "/etc/local");
    REQUIRE(::mkfifo((dir.root + "/etc/local").c_str(), 0600) == 0);
    CHECK_FALSE(sudoers_groups(dir.root + "/etc").has_value());
  }
}
