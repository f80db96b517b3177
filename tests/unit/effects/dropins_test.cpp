#include "jitd/effects/dropins.hpp"

#include "jitd/effects/sudoers_order.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/effects/private_etc.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kId = "0123456789abcdef";
const std::string kOther = "fedcba9876543210";
constexpr WallTime kFar{Seconds(4'000'000'000)};

SudoEffect effect(std::string path, std::vector<std::string> args = {}, bool any = false) {
  return {"root", 0, Command{std::move(path), std::move(args), any}, false, Recording::none};
}

// Answers for a visudo that is not there.
class ScriptedSpawn final : public Spawn {
 public:
  int status = 0;
  std::vector<SpawnRequest> asked;
  std::function<void(const SpawnRequest&)> then;
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    asked.push_back(request);
    if (then) then(request);
    return SpawnOutcome{status, "", status == 0 ? "" : "syntax error near line 1\x1b[2J"};
  }
};

const std::vector<SudoTool> kClassic = {{"/usr/bin/sudo", "/usr/sbin/visudo", false, "1.9.13p3"}};

bool root() {
  if (::geteuid() == 0) return true;
  WARN("needs root");
  return false;
}

}  // namespace

TEST_CASE("a drop-in is checked under a dotted name, then renamed, with owner and mode from the start",
          "[effects][dropins]") {
  if (!root()) return;
  const TempDir dir;
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  ScriptedSpawn spawn;
  spawn.then = [&](const SpawnRequest& request) {
    CHECK(request.argv ==
          std::vector<std::string>{"/usr/sbin/visudo", "-c", "-f", dir / ".jit-0123456789abcdef.tmp"});
    CHECK((look(request.argv.back()).st_mode & 07777U) == 0440);
    CHECK(get(request.argv.back()) == "#1001 ALL=(#0) NOPASSWD: /usr/bin/id\n");
    CHECK_FALSE(there(dir / "jit-0123456789abcdef"));
  };
  for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
    Dropins dropins(system_files(), spawn, dir.path());
    const mode_t before = ::umask(mask);
    const auto put = dropins.put(kId, "#1001 ALL=(#0) NOPASSWD: /usr/bin/id\n", kClassic);
    ::umask(before);
    REQUIRE(put);
    CHECK((look(dir / "jit-0123456789abcdef").st_mode & 07777U) == 0440);
    CHECK(look(dir / "jit-0123456789abcdef").st_uid == 0);
    CHECK(dropins.present().value() == std::vector<std::string>{kId});
    REQUIRE(dropins.remove(kId));
    REQUIRE(dropins.remove(kId));
    CHECK(dropins.present().value().empty());
  }
}

TEST_CASE("what visudo refuses, and whichever call fails, leaves nothing", "[effects][dropins]") {
  if (!root()) return;
  ScriptedSpawn spawn;
  spawn.status = 1;
  {
    const TempDir dir;
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    Dropins dropins(system_files(), spawn, dir.path());
    const auto put = dropins.put(kId, "nonsense\n", kClassic);
    CHECK(put.error().code == Errc::refused);
    CHECK(put.error().message.find('\x1b') == std::string::npos);
    CHECK(list_dir(open_dir(dir.path())->get())->empty());
  }
  spawn.status = 0;
  for (int at = 0; at < 5; ++at) {
    const TempDir dir;
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    FailingFiles files;
    files.fail_at = at;
    Dropins dropins(files, spawn, dir.path());
    INFO(at);
    CHECK_FALSE(dropins.put(kId, "#1001 ALL=(#0) /usr/bin/id\n", kClassic));
    CHECK(list_dir(open_dir(dir.path())->get())->empty());
  }
}

TEST_CASE("names come from ids alone, and nothing planted is adopted", "[effects][dropins]") {
  if (!root()) return;
  const TempDir dir;
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  ScriptedSpawn spawn;
  Dropins dropins(system_files(), spawn, dir.path());
  for (const char* id : {"", "../../etc/passwd", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0",
                         "0123456789abcdei", "alice", "0123456789abcd/f"}) {
    INFO(id);
    CHECK_FALSE(dropins.put(id, "x\n", kClassic));
    CHECK_FALSE(dropins.remove(id));
  }
  CHECK(list_dir(open_dir(dir.path())->get())->empty());

  put(dir / "victim", "untouched");
  REQUIRE(::symlink((dir / "victim").c_str(), (dir / ".jit-0123456789abcdef.tmp").c_str()) == 0);
  REQUIRE(::symlink((dir / "victim").c_str(), (dir / "jit-0123456789abcdef").c_str()) == 0);
  REQUIRE(dropins.put(kId, "x\n", kClassic));
  CHECK(get(dir / "victim") == "untouched");
  CHECK(S_ISREG(look(dir / "jit-0123456789abcdef").st_mode));
  CHECK(get(dir / "jit-0123456789abcdef") == "x\n");
  put(dir / "jit-not-an-id", "");
  put(dir / ".jit-fedcba9876543210.tmp", "");
  CHECK(dropins.present().value() == std::vector<std::string>{kId});
  dropins.sweep();
  CHECK_FALSE(there(dir / ".jit-fedcba9876543210.tmp"));

  REQUIRE(::chmod(dir.path().c_str(), 0777) == 0);
  CHECK(dropins.put(kOther, "x\n", kClassic).error().code == Errc::refused);
  CHECK(Dropins(system_files(), spawn, dir / "none").present().value().empty());
  CHECK(Dropins(system_files(), spawn, dir / "none").remove(kId));
}

TEST_CASE("the include must be there and come last", "[effects][dropins][order]") {
  const TempDir dir;
  const std::string etc = dir.path();
  const std::string run_dir = "/run/jit/sudoers.d";
  std::filesystem::create_directory(dir / "sudoers.d");
  put(dir / "sudoers", "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n@includedir " + etc + "/sudoers.d\n");
  CHECK(check_included_last(etc, run_dir, false).error().message.find("does not include") != std::string::npos);
  put(dir / "sudoers.d/10-admins", "alice ALL=(ALL) NOPASSWD: ALL\n");
  put(dir / "sudoers.d/zz-jit", "# by jitd\n@includedir " + run_dir + "\n");
  CHECK(check_included_last(etc, run_dir, false));
  put(dir / "sudoers.d/README", "# nothing\n");
  put(dir / "sudoers.d/zzz.bak", "bob ALL=(ALL) ALL\n");
  put(dir / "sudoers.d/zzz~", "bob ALL=(ALL) ALL\n");
  put(dir / "sudoers.d/zzz-defaults", "Defaults:bob !lecture\nUser_Alias X = bob, \\\n  carol\n");
  CHECK(check_included_last(etc, run_dir, false));

  SECTION("a file that sorts later") {
    put(dir / "sudoers.d/zzz", "\n#1002 ALL=(ALL) ALL\n");
  }
  SECTION("a line behind the include of the folder") {
    put(dir / "sudoers", get(dir / "sudoers") + "bob ALL=(ALL) NOPASSWD: ALL\n");
  }
  SECTION("another include") {
    put(dir / "sudoers.d/zzz", "#include /etc/more\n");
  }
  SECTION("a line in the same file") {
    put(dir / "sudoers.d/zz-jit", get(dir / "sudoers.d/zz-jit") + "%x ALL=ALL\n");
  }
  SECTION("in the file that sudo-rs reads instead") {
    put(dir / "sudoers-rs", "@includedir " + etc + "/sudoers.d\nbob ALL=(ALL) ALL\n");
    CHECK(check_included_last(etc, run_dir, false));
    CHECK_FALSE(check_included_last(etc, run_dir, true));
    return;
  }
  const auto bad = check_included_last(etc, run_dir, false);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message.find("comes after") != std::string::npos);
}

TEST_CASE("the real sudo gives what was meant, and a rule that wins over ours is refused",
          "[effects][dropins][tools]") {
  const auto private_etc = PrivateEtc::make();
  if (!private_etc || !there("/usr/bin/sudo")) {
    WARN("needs root, mounts and sudo");
    return;
  }
  SystemSpawn spawn;
  const auto tools = find_sudos(spawn);
  REQUIRE_FALSE(tools.empty());
  for (const auto& tool : tools) {
    CHECK_FALSE(tool.visudo.empty());
    CHECK_FALSE(tool.version.empty());
  }
  const auto dialect = dialect_of(tools);
  REQUIRE(run({"/usr/sbin/useradd", "-u", "4243", "-M", "jituser"})->exit_status == 0);
  std::filesystem::create_directories(kDropinDir);
  std::error_code ignored;
  std::filesystem::remove(std::string("/etc/sudoers.d/zz-jit"), ignored);
  Dropins dropins(system_files(), spawn);

  Effects effects;
  effects.sudo = {effect("/usr/bin/id"), effect("/usr/bin/env", {"a:b", "c d", "*"}),
                  effect("/usr/bin/touch", {"-c"}, true)};
  effects.sudo[2].nopasswd = true;
  if (dialect != SudoDialect::classic) {  // sudo-rs 0.2.5 takes "-c *" literally, and knows no escapes
    effects.sudo.erase(effects.sudo.begin() + 1);
    effects.sudo[1].command.args.clear();
  }
  const auto text = to_sudoers(effects, 4243, dialect, kFar, kId);
  REQUIRE(text);
  REQUIRE(dropins.put(kId, *text, tools));
  const auto check = [&] { return Dropins::readback(spawn, tools, "jituser", effects, kId, kDropinDir); };

  CHECK(check().error().code == Errc::refused);  // not included yet
  CHECK_FALSE(Dropins::has_standing_rule(spawn, tools[0], "jituser").value());
  put("/etc/sudoers.d/zz-jit", std::string("@includedir ") + kDropinDir + "\n", 0440);
  const auto fine = check();
  INFO((fine ? std::string() : fine.error().message));
  CHECK(fine);
  CHECK_FALSE(Dropins::has_standing_rule(spawn, tools[0], "jituser").value());  // what we gave is none

  SECTION("what must be recorded is, or is refused with what is in the way") {
    effects.sudo[0].record = Recording::required;
    const auto recorded = to_sudoers(effects, 4243, dialect, kFar, kId);
    if (dialect == SudoDialect::sudo_rs) return;
    REQUIRE(recorded);
    REQUIRE(dropins.put(kId, *recorded, tools));
    const auto given = check();
    INFO((given ? std::string() : given.error().message));
    CHECK(given);
    put("/etc/sudoers.d/10-site", "Defaults ignore_iolog_errors\n", 0440);
    CHECK(check().error().message.find("ignore_iolog_errors") != std::string::npos);
    put("/etc/sudoers.d/10-site", "Defaults!/usr/bin/id iolog_dir=/elsewhere\n", 0440);
    CHECK(check().error().message.find("iolog_dir=/elsewhere") != std::string::npos);
    put("/etc/sudoers.d/10-site", "Defaults iolog_dir=/elsewhere, iolog_file=%{seq}\n", 0440);
    CHECK(check());  // ours comes later
    std::filesystem::rename("/etc/sudoers.d/10-site", "/etc/sudoers.d/zzz-site");
    CHECK(check().error().message.find("/elsewhere") != std::string::npos);  // theirs does
    put("/etc/sudoers.d/zzz-site", "Defaults:jituser iolog_dir=/elsewhere\n", 0440);
    CHECK(check().error().message.find("/elsewhere") != std::string::npos);
    effects.sudo[0].record = Recording::best_effort;
    CHECK(check());
  }
  SECTION("a standing rule with an end of its own is told too") {
    put("/etc/sudoers.d/10-jituser", "jituser ALL=(#0) NOTAFTER=20301231000001Z /usr/bin/true\n", 0440);
    CHECK(Dropins::has_standing_rule(spawn, tools[0], "jituser").value());
  }
  SECTION("a standing rule that sorts before is no matter, but is told") {
    put("/etc/sudoers.d/10-jituser", "jituser ALL=(ALL) NOPASSWD: ALL\n", 0440);
    CHECK(check());
    CHECK(Dropins::has_standing_rule(spawn, tools[0], "jituser").value());
  }
  SECTION("one that sorts after wins, and is refused with its place") {
    put("/etc/sudoers.d/zzz-late", "jituser ALL=(ALL) NOPASSWD: ALL\n", 0440);
    const auto refused = check();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("/etc/sudoers.d/zzz-late") != std::string::npos);
  }
  SECTION("a drop-in that says something else than was meant") {
    put("/run/jit/sudoers.d/jit-0123456789abcdef", "#4243 ALL=(#0) PASSWD: /usr/bin/true\n", 0440);
    CHECK(check().error().code == Errc::refused);
  }
  SECTION("a broken one is refused by visudo") {
    const auto broken = dropins.put(kOther, "#4243 ALL=(#0) NOPASSWD: NOTAFTER=20301231000000Z /usr/bin/id\n", tools);
    if (dialect == SudoDialect::classic) CHECK(broken.error().code == Errc::refused);
  }
  SECTION("gone: sudo allows it no more") {
    REQUIRE(dropins.remove(kId));
    CHECK(run({"/usr/bin/sudo", "-l", "-U", "jituser", "-u", "#0", "--", "/usr/bin/id"})->exit_status == 1);
    CHECK_FALSE(check());
  }
}
