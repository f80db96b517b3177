// P2: what a grant left in files is found and disarmed, what is not of it is let be.
#include "jitd/effects/residue.hpp"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kGrant = "0123456789abcdef";
constexpr uid_t kAlice = 2'000'001'001, kPostgres = 2'000'000'110, kOther = 2'000'000'111;
constexpr gid_t kOps = 2'000'000'116, kWeb = 2'000'000'117;

// Files in a folder of the test's own, as people would leave them.
struct Home {
  TempDir dir;
  ResidueQuery query{kGrant, kAlice, ::time(nullptr) - 1, {kPostgres}, {kOps}};

  std::string file(const std::string& name, uid_t uid, gid_t gid, mode_t mode) const {
    const std::string path = dir / name;
    std::filesystem::create_directories(path.substr(0, path.rfind('/')));
    std::ofstream(path) << "x";
    REQUIRE(::chown(path.c_str(), uid, gid) == 0);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  }
  static mode_t mode(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777U;
  }
  [[nodiscard]] ResidueReport find(const ResidueLimits& limits = {},
                                   const std::vector<std::string>& system = {}) const {
    return find_residue({query}, {dir.path()}, limits, system);
  }
};

bool not_root() {
  if (::geteuid() != 0) WARN("needs root");
  return ::geteuid() != 0;
}

}  // namespace

TEST_CASE("P2: setuid and setgid files that a grant left are found and disarmed", "[effects][residue]") {
  if (not_root()) return;
  const Home home;
  const std::string setuid = home.file("a/b/setuid", kPostgres, 0, 06755);
  const std::string setgid = home.file("setgid", kAlice, kOps, 02750);
  const std::string odd = home.file("line\nbreak \x1b[2J", kPostgres, 0, 04711);
  const std::string others = home.file("others", kOther, kWeb, 06755);
  const std::string plain = home.file("plain", kPostgres, kOps, 0755);
  std::filesystem::create_directory(home.dir / "shared");
  REQUIRE(::chown((home.dir / "shared").c_str(), kAlice, kOps) == 0);
  REQUIRE(::chmod((home.dir / "shared").c_str(), 02775) == 0);
  const auto report = home.find();
  CHECK(report.cut_short.empty());
  CHECK(report.found.size() == 3);
  for (const ResidueFound& found : report.found) CHECK(found.not_done.empty());
  CHECK(Home::mode(setuid) == 0755);
  CHECK(Home::mode(setgid) == 0750);
  CHECK(Home::mode(odd) == 0711);
  CHECK(Home::mode(others) == 06755);
  CHECK(Home::mode(plain) == 0755);
  CHECK(Home::mode(home.dir / "shared") == 02775);  // files inherit its group, no right
  CHECK(home.find().found.empty());
}

TEST_CASE("what was setuid before the grant, and has not been touched since, is not of it", "[effects][residue]") {
  if (not_root()) return;
  Home home;
  const std::string before = home.file("before", kPostgres, kOps, 06755);
  home.query.since = ::time(nullptr) + 10;
  CHECK(home.find().found.empty());
  CHECK(Home::mode(before) == 06755);
}

TEST_CASE("a further name of a program of the system is not disarmed; one of the user's own files is",
          "[effects][residue]") {
  if (not_root()) return;
  const Home home;
  const std::string system = home.file("usr/bin/passwd", kPostgres, 0, 04755);
  std::filesystem::create_directory(home.dir / "home");
  std::filesystem::create_hard_link(system, home.dir / "home/link");
  const std::string own = home.file("home/own", kAlice, kOps, 02755);
  std::filesystem::create_hard_link(own, home.dir / "home/second");
  const auto report = find_residue({home.query}, {home.dir / "home"}, {}, {home.dir / "usr"});
  REQUIRE(report.found.size() == 2);  // of the user's own the first name that is met: then it is harmless
  CHECK(Home::mode(own) == 0755);
  CHECK(Home::mode(system) == 04755);
  const auto& linked = report.found[report.found[0].path == home.dir / "home/link" ? 0 : 1];
  CHECK(linked.not_done == "it is a further name of " + (home.dir / "usr/bin/passwd"));
}

TEST_CASE("links are not followed, and what cannot be looked at whole is said", "[effects][residue]") {
  if (not_root()) return;
  const Home home;
  const Home elsewhere;
  const std::string other = elsewhere.file("target", kPostgres, 0, 04755);
  REQUIRE(::symlink(elsewhere.dir.path().c_str(), (home.dir / "folder").c_str()) == 0);
  REQUIRE(::symlink(other.c_str(), (home.dir / "file").c_str()) == 0);
  REQUIRE(::mkfifo((home.dir / "fifo").c_str(), 0600) == 0);
  CHECK(home.find().found.empty());
  CHECK(find_residue({home.query}, {home.dir / "folder", home.dir / "none", "/proc"}, {}, {}).looked == 0);
  CHECK(Home::mode(other) == 04755);
  for (int i = 0; i < 20; ++i) (void)home.file("many/" + std::to_string(i), kPostgres, 0, 04755);
  CHECK_FALSE(home.find({std::chrono::seconds(60), 5, 100}).cut_short.empty());
  const auto listed = home.find({std::chrono::seconds(60), 1000, 3});
  CHECK(listed.found.size() == 3);
  CHECK(listed.found.size() + listed.more <= 20);
  CHECK(home.find().found.empty());  // what is not listed is disarmed too
}

TEST_CASE("P2: capabilities that a grant as root gave to a file are taken away", "[effects][residue]") {
  if (not_root()) return;
  Home home;
  const std::string file = home.file("ping", kAlice, kWeb, 0755);
  // VFS_CAP_REVISION_2, effective, CAP_SETUID permitted (linux/capability.h)
  const std::array<unsigned char, 20> capability{1, 0, 0, 2, 0x80};
  if (::setxattr(file.c_str(), "security.capability", capability.data(), capability.size(), 0) != 0) {
    WARN("no file capabilities here");
    return;
  }
  CHECK(home.find().found.empty());  // nothing ran as root
  home.query.owners.insert(0);
  const auto report = home.find();
  REQUIRE(report.found.size() == 1);
  CHECK(report.found[0].what == "capabilities");
  CHECK(report.found[0].not_done.empty());
  CHECK(::getxattr(file.c_str(), "security.capability", nullptr, 0) < 0);
}

TEST_CASE("a note of what to look for goes from the grant to its end to the report", "[effects][residue]") {
  const TempDir dir;
  for (const char* below : {"live", "over", "found"}) std::filesystem::create_directory(dir / below);
  ResidueNotes notes(system_files(), dir.path());
  const ResidueQuery query{kGrant, kAlice, 1'800'000'000, {0, kPostgres}, {kOps}};
  REQUIRE(notes.note(query));
  ResidueQuery later = query;
  later.since += 100;
  REQUIRE(notes.note(later));                                    // the grant is given again after a restart
  REQUIRE(notes.note({"fedcba9876543210", kAlice, 1, {}, {}}));  // nothing to look for
  CHECK(notes.to_look_for().empty());
  CHECK(notes.over([](const std::string&) { return false; }) == 0);
  CHECK(notes.over([](const std::string& grant) { return grant == kGrant; }) == 1);
  const auto waiting = notes.to_look_for();
  REQUIRE(waiting.size() == 1);
  CHECK(waiting[0].since == query.since);
  CHECK(waiting[0].owners == query.owners);
  CHECK(waiting[0].groups == query.groups);
  CHECK(waiting[0].user == kAlice);
  put(dir / "over/aaaaaaaaaaaaaaaa", "group x\n");
  CHECK(notes.to_look_for().size() == 2);  // is reported, so that it does not wait for ever
  REQUIRE(notes.report(kGrant, "looked at 3 files\n"));
  REQUIRE(notes.report("aaaaaaaaaaaaaaaa", "none\n"));
  CHECK(notes.to_look_for().empty());
  CHECK(notes.take_reports().at(kGrant) == "looked at 3 files\n");
  CHECK(notes.take_reports().empty());
  for (const char* bad : {"", "user 1", "user 1\nsince x\n", "user 4294967295\n", "since 1\nwho 3\n", "user\n"})
    CHECK_FALSE(parse_residue_query(kGrant, bad));
}
