// Commands whose users may run sudo without the grant that ends: by a gate's exception, or by another grant. They
// stand still in their scopes until sudo has said whether its rules let them go on. What pam_systemd moved out of one
// runs on for that long, and goes the way of its sudo.
#include <algorithm>
#include <thread>

#include "jitd/core/board_file.hpp"
#include "jitd/core/host_effector.hpp"
#include "jitd/sys/files.hpp"

namespace jit {
namespace {

// sudo is asked within this time, or the command is killed: it does nothing meanwhile.
constexpr std::uint64_t kHeldBackMs = 900;
constexpr std::uint64_t kAfterAllEnds = 1000;  // ms: a sudo that begins now waited while nothing ended
constexpr int kMoveAttempts = 200;             // a ms each
constexpr std::size_t kMostHeldBack = 32;      // at once: everything else waits until they stand still
constexpr std::size_t kMaxName = 64;           // TASK_COMM_LEN is 16 (prctl(2))

}  // namespace

std::optional<std::string> HostEffector::let_in_by(const BoardWithout& board, const EndOrder& order,
                                                   const PlainCommand& command) const {
  const Instant now = ports_.clock.now();
  wire::Query query;
  query.service = command.service;
  query.subject = order.user;
  query.has_uid = true;
  query.uid = order.uid;
  query.started_ms = now.boot_ms + kAfterAllEnds;
  const wire::Answer answer = board.answer(query, {now.wall_ms, now.boot_ms});
  const std::string grant(static_cast<const char*>(answer.grant));
  switch (answer.verdict) {
    case wire::Verdict::allow:
      // By no grant that has a name here: one for a single session, of which only jitd knows.
      return grant.empty() ? std::nullopt : std::optional(grant);
    case wire::Verdict::not_gated:
    case wire::Verdict::observe:
      return std::string();
    case wire::Verdict::deny:
    case wire::Verdict::unknown:
      break;
  }
  return std::nullopt;
}

BoardWithout HostEffector::board_without(const std::vector<EndOrder>& orders) const {
  std::set<std::string_view> ending;
  for (const EndOrder& order : orders) ending.insert(order.grant);
  return {paths_.board, ports_.clock.now().boot_ms, [&](std::string_view id) { return ending.contains(id); }};
}

void HostEffector::hold_back(const std::vector<EndOrder>& orders, Taken& taken) {
  const auto asks = [](const EndOrder& order) { return !order.leave && !order.plain.empty(); };
  if (std::none_of(orders.begin(), orders.end(), asks)) return;
  const BoardWithout board = board_without(orders);
  const std::uint64_t until = ports_.clock.now().boot_ms + kHeldBackMs;
  for (const EndOrder& order : orders) {
    if (!asks(order)) continue;
    // While our rule stands it is what sudo would speak of.
    if (const auto text = dropins_.text(order.grant); text || text.error().code != Errc::not_found) continue;
    for (const PlainCommand& command : order.plain) {
      if (taken.held_back.size() >= kMostHeldBack) return;
      auto through = let_in_by(board, order, command);
      if (!through || !ports_.processes.freeze_scope(order.grant, command.pid)) continue;
      held_back_[order.grant][command.pid] = until;
      taken.held_back.push_back({order.grant, command.pid, std::move(*through)});
    }
  }
}

void HostEffector::list_left(const std::vector<EndOrder>& orders, Taken& taken) const {
  for (const EndOrder& order : orders) {
    if (!order.leave) continue;
    for (const pid_t pid : ports_.processes.in_slice(order.grant, Processes::AtEnd::left)) {
      const std::string number = std::to_string(pid);
      const auto name = read_file(ports_.processes.proc() + "/" + number + "/comm", kMaxName);
      if (name) taken.left[order.grant].push_back(number + " " + name->substr(0, name->find('\n')));
    }
  }
}

Commands HostEffector::held_back() const {
  const std::uint64_t now = ports_.clock.now().boot_ms;
  Commands commands;
  for (const auto& [grant, pids] : held_back_)
    for (const auto& [pid, until] : pids)
      if (now < until) commands[grant].insert(pid);
  return commands;
}

void HostEffector::forget(const Taken::HeldBack& command) {
  const auto found = held_back_.find(command.grant);
  if (found == held_back_.end()) return;
  found->second.erase(command.pid);
  if (!found->second.empty()) return;
  held_back_.erase(found);
  Taken said;  // what is not gone yet is looked at by the next round
  see_them_gone(
      ports_.processes, ports_.bus, [&](const std::string& id) { return id == command.grant; }, said);
}

std::size_t HostEffector::end_command(const Taken::HeldBack& command) {
  std::size_t killed = ports_.processes.kill_one_scope(command.grant, command.pid);
  const auto ended =
      commands_.kill([&](const NotedProcess& one) { return one.grant == command.grant && one.pid == command.pid; });
  for (const auto& [grant, count] : ended.killed) killed += count;
  forget(command);
  return killed;
}

Result<void> HostEffector::spare_command(const Taken::HeldBack& command, bool leave) {
  const Processes& processes = ports_.processes;
  const std::vector<pid_t> pids = processes.in_one_scope(command.grant, command.pid);
  const bool in_time = held_back()[command.grant].contains(command.pid);
  if (!in_time || pids.empty()) {
    (void)end_command(command);
    return in_time ? fail(Errc::not_found, "it is gone") : fail(Errc::unavailable, "sudo did not answer in time");
  }
  const std::string& grant = command.through.empty() ? command.grant : command.through;
  const auto at_end = command.through.empty() || leave ? Processes::AtEnd::left : Processes::AtEnd::taken;
  const std::string scope = Processes::scope(grant, at_end, command.pid);
  Result<void> moved = ports_.bus.start_scope(scope, Processes::slice(grant, at_end), pids);
  // They stand still where they are and go on where they come to; each leaves the old scope when it is moved.
  for (int attempt = 0; moved && attempt < kMoveAttempts; ++attempt) {
    if (processes.in_one_scope(command.grant, command.pid).empty()) {
      if (at_end == Processes::AtEnd::taken) {
        commands_.move(command.grant, command.pid, grant);
      } else {
        commands_.drop([&](const NotedProcess& one) { return one.grant == command.grant && one.pid == command.pid; });
      }
      forget(command);
      return {};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // Some may be moved by now: none goes on.
  (void)end_command(command);
  (void)processes.kill_one_scope(grant, command.pid, at_end);
  if (moved) moved = fail(Errc::unavailable, "systemd did not move it in time");
  return moved;
}

void HostEffector::warn(const std::vector<EndOrder>& soon) {
  const bool any = std::ranges::any_of(soon, [](const EndOrder& order) { return !order.plain.empty(); });
  const auto board = any ? std::optional(board_without(soon)) : std::nullopt;
  for (const EndOrder& order : soon) {
    std::set<pid_t> but;
    for (const PlainCommand& command : order.plain)
      if (let_in_by(*board, order, command)) but.insert(command.pid);
    (void)ports_.processes.warn(order.grant, but);
    (void)commands_.warn([&](const NotedProcess& one) { return one.grant == order.grant && !but.contains(one.pid); });
    (void)logins_.warn(order.grant);
  }
}

}  // namespace jit
