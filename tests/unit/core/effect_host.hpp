// A host in a folder: group files, held, ends, drop-ins, board, and timers that are only written down.
#pragma once

#include <algorithm>
#include <memory>
#include <set>

#include "jitd/core/expire.hpp"
#include "jitd/core/host_effector.hpp"
#include "jitd/wire/board.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

namespace jit::hosttest {

class FakeBus final : public Bus {
 public:
  std::set<std::string> running;
  std::vector<std::string> log;
  bool works = true;
  std::function<void()> then;  // at each start
  Result<void> start_timer(const std::string& name, std::int64_t wall_ms, std::uint64_t from_now_ms) override {
    if (!works) return fail(Errc::unavailable, "no systemd");
    log.push_back("start " + name + " " + std::to_string(wall_ms) + " " + std::to_string(from_now_ms));
    running.insert(name);
    if (then) then();
    return {};
  }
  Result<void> check_service(const std::string& service) override {
    if (asked) asked();
    if (masked) return fail(Errc::unavailable, service + " is masked");
    return {};
  }
  bool timer_died(const std::string& name) override { return !running.contains(name); }
  bool masked = false;
  std::function<void()> asked;  // at each question about a service
  Result<void> start_scope(const std::string& scope, const std::string& slice,
                           const std::vector<pid_t>& pids) override {
    if (!works) return fail(Errc::unavailable, "no systemd");
    log.push_back("scope " + scope + " in " + slice);
    if (scoped) scoped(scope, slice, pids);
    return {};
  }
  void stop_slices(const std::vector<std::string>& slices) override {
    for (const std::string& slice : slices) log.push_back("stop " + slice);
  }
  std::function<void(const std::string& scope, const std::string& slice, const std::vector<pid_t>& pids)> scoped;
  Result<void> stop_timer(const std::string& name) override {
    log.push_back("stop " + name);
    running.erase(name);
    return {};
  }
};

// Every program there is says that all is well; sudo and visudo are of Debian 12.
class GoodSpawn final : public Spawn {
 public:
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    const bool visudo = request.argv[0].find("visudo") != std::string::npos;
    return SpawnOutcome{0, visudo ? "visudo version 1.9.13p3\n" : "Sudo version 1.9.13p3\n", ""};
  }
};

inline const std::string kGroupText = "root:x:0:\ndba:x:116:carol\nweb:x:117:\n";
inline const std::string kShadowText = "root:*::\ndba:!::carol\nweb:!::\n";

struct EffectHost {
  // What tests run under grants is in a tree of their own, or there is none; processes of others are not looked at.
  Processes processes{CgroupTree{}, "/proc/self/fdinfo"};
  TempDir dir{there("/dev/shm") ? "/dev/shm"
                                : "/tmp"};  // fsync is free there: what it orders is tested, not what it costs
  Paths paths{dir / "etc-jit", dir / "var", dir / "run", dir / "etc"};
  FailingFiles files;
  GoodSpawn spawn;
  FakeClock clock;
  FakeBus bus;
  std::unique_ptr<HostEffector> effector;

  EffectHost() {
    for (const auto& folder :
         {paths.etc_jit, paths.var, paths.run, paths.etc, paths.run + "/sudoers.d", paths.run + "/logins",
          paths.run + "/commands", paths.run + "/residue", paths.run + "/residue/live", paths.run + "/residue/over",
          paths.run + "/residue/found"}) {
      std::filesystem::create_directories(folder);
      ::chmod(folder.c_str(), 0755);
    }
    put(paths.etc + "/group", kGroupText);
    put(paths.etc + "/gshadow", kShadowText, 0640);
    start();
  }

  // As after a restart: nothing is known but what is on the disk, and every call works again.
  void start() {
    files.fail_at = -1;
    effector.reset();
    auto opened = HostEffector::open({files, spawn, clock, bus, [] { return gates(); }, processes}, paths);
    REQUIRE(opened);
    effector = std::move(*opened);
  }

  static std::vector<wire::GateOnBoard> gates() {
    return {{"sudo", {"sudo"}, true, true, {}, {}, "ask"}, {"login", {"sshd"}, true, true, {}, {}, "ask"}};
  }

  [[nodiscard]] Entitlement entitlement(const std::string& id, const std::string& user = "alice",
                                        const std::string& group = "dba", std::uint32_t gid = 116) const {
    Entitlement one;
    one.grant = id;
    one.digest = sha256(id);
    one.user = user;
    one.uid = 1001;
    one.effects.groups = {{group, gid}};
    one.effects.opens = {"sudo"};
    one.effects.sudo = {{"root", 0, Command{"/usr/bin/id", {}, false}, false, Recording::none}};
    one.not_after = clock.at.wall_ms / 1000 + 60;
    one.boot_deadline_ms = clock.at.boot_ms + 60'000;
    return one;
  }
  [[nodiscard]] static EndOrder order(const Entitlement& one, const std::string& reason = "revoked") {
    return {one.grant, one.user, one.uid, one.effects, reason, false, false};
  }
  // All of it, as the engine does it.
  void activate(const Entitlement& one, const std::vector<Entitlement>& all) {
    REQUIRE(effector->prepare(one));
    REQUIRE(effector->give(one));
    REQUIRE(effector->publish(all));
  }

  [[nodiscard]] Expired expire_now(bool all, Files& with = system_files()) {
    return expire(paths, {with, spawn, clock, bus, [] { return Result<pid_t>(fail(Errc::not_found, "none")); }}, all);
  }

  [[nodiscard]] std::string group() const { return get(paths.etc + "/group"); }
  [[nodiscard]] bool member(const std::string& user, const std::string& name = "dba") const {
    return is_member(group(), name, user);
  }
  [[nodiscard]] bool dropin(const std::string& id) const { return there(paths.run + "/sudoers.d/jit-" + id); }
  [[nodiscard]] bool as_it_was() const {
    return group() == kGroupText && get(paths.etc + "/gshadow") == kShadowText &&
           std::filesystem::is_empty(paths.run + "/sudoers.d");
  }
  // Live on the board: true, false, or not on it.
  [[nodiscard]] std::optional<bool> live(const std::string& id) const {
    const std::string text = get(paths.run + "/board");
    const wire::MemoryBoard memory(std::as_bytes(std::span(text.data(), text.size())));
    const auto view = wire::BoardView::open(memory);
    REQUIRE(view);
    for (std::uint32_t i = 0; i < view->grants(); ++i)
      if (const auto grant = view->grant(i); grant && id == grant->id) return grant->live;
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t sudo_end(std::uint32_t uid) const {
    const std::string text = get(paths.run + "/board");
    const wire::MemoryBoard memory(std::as_bytes(std::span(text.data(), text.size())));
    return wire::BoardView::open(memory)->last_sudo_end(uid).value();
  }
  [[nodiscard]] std::optional<EndRecord> end_record(const std::string& id) {
    const auto records = effector->ends();
    for (const auto& record : *records)
      if (record.grant == id) return record;
    return std::nullopt;
  }
  [[nodiscard]] std::size_t held_records() {
    return HeldFile::open(system_files(), paths.var, "held").value().read().value().size();
  }
};

inline const std::string kA = "aaaaaaaaaaaaaaaa";
inline const std::string kB = "bbbbbbbbbbbbbbbb";
inline const std::string kC = "cccccccccccccccc";

inline bool needs_root() {
  if (::geteuid() == 0) return false;
  WARN("needs root");
  return true;
}

}  // namespace jit::hosttest
