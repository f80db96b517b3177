// The fakes of the host that engine_world.hpp declares.
#include <algorithm>
#include <utility>

#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

namespace jit::test {

// --- effector

Result<void> FakeEffector::failing(const std::string& call) {
  calls.push_back(call);
  const auto found = failures.find(call);
  if (found == failures.end() || found->second.second == 0) return {};
  --found->second.second;
  return jit::fail(found->second.first, call + " failed on purpose");
}

Result<void> FakeEffector::prepare_all(const std::vector<Entitlement>& entitlements) {
  return plug_.through([&]() -> Result<void> {
    if (Result<void> fine = failing("prepare"); !fine) return fine;
    for (const Entitlement& one : entitlements) {
      if (Result<void> done = record_end(one); !done) return done;
    }
    return {};
  });
}

Result<void> FakeEffector::record_end(const Entitlement& entitlement) {
  const auto known = disk.find(entitlement.grant);
  if (known != disk.end() && !known->second.active) return jit::fail(Errc::refused, "it is marked ended");
  disk[entitlement.grant] = {entitlement.grant,
                             digest_text(entitlement.digest),
                             entitlement.ends_at(),
                             boot,
                             entitlement.ends_at_boot_ms(),
                             true,
                             ""};
  return {};
}

Result<void> FakeEffector::give_all(const std::vector<Entitlement>& entitlements) {
  return plug_.through([&]() -> Result<void> {
    for (const Entitlement& one : entitlements) REQUIRE(disk.contains(one.grant));  // the durable record comes first
    if (Result<void> fine = failing("give"); !fine) return fine;
    for (const Entitlement& one : entitlements) {
      if (one.user == cannot_be_given) return jit::fail(Errc::refused, "this one failed on purpose");
      given[one.grant] = one;
    }
    return {};
  });
}

Result<void> FakeEffector::move_ends(const std::vector<Entitlement>& entitlements) {
  return plug_.through([&]() -> Result<void> {
    if (Result<void> fine = failing("move_ends"); !fine) return fine;
    for (const Entitlement& one : entitlements) {
      const auto known = disk.find(one.grant);
      if (known == disk.end() || !known->second.active) continue;
      known->second.not_after = one.ends_at();
      known->second.boot_ms = one.ends_at_boot_ms();
      known->second.boot_id = boot;
      if (const auto held = given.find(one.grant); held != given.end()) held->second = one;
    }
    return {};
  });
}

Taken FakeEffector::take(const std::vector<EndOrder>& orders) {
  return plug_.through([&]() -> Taken {
    Taken taken;
    taken.notes = std::exchange(to_note, {});
    if (Result<void> fine = failing("take"); !fine) {
      taken.failures.push_back(fine.error().message);
      return taken;
    }
    for (const EndOrder& order : orders) {
      if (order.leave)
        for (const auto& [pid, grant] : running)
          if (grant == "left " + order.grant) taken.left[order.grant].push_back(std::to_string(pid) + " sleep");
      const auto open = open_by.find(order.user);
      for (const PlainCommand& command : order.plain) {
        if (open == open_by.end() || order.leave) break;
        if (running.erase(command.pid) == 0) continue;
        held_back[command.pid] = order.grant;
        taken.held_back.push_back({order.grant, command.pid, open->second});
      }
      const auto ended = std::erase_if(running, [&](const auto& one) { return one.second == order.grant; }) +
                         std::erase_if(logins, [&](const auto& one) { return one.second == order.grant; });
      if (ended > 0) taken.ended[order.grant] = ended;
      given.erase(order.grant);
      board.erase(order.grant);
      if (const auto known = disk.find(order.grant); known != disk.end() && known->second.active) {
        known->second.active = false;
        known->second.reason = order.reason;
      }
    }
    return taken;
  });
}

Taken FakeEffector::reconcile(const std::vector<Entitlement>& wanted) {
  return plug_.through([&]() -> Taken {
    Taken taken;
    if (Result<void> fine = failing("reconcile"); !fine) {
      taken.failures.push_back(fine.error().message);
      return taken;
    }
    given.clear();
    for (const Entitlement& one : wanted) {
      if (record_end(one)) given[one.grant] = one;
    }
    return taken;
  });
}

Result<bool> FakeEffector::elevate(const std::string& grant, bool leave, std::int32_t pid) {
  if (Result<void> fine = failing("elevate"); !fine) return tl::unexpected<Error>(fine.error());
  running[pid] = leave ? "left " + grant : grant;
  return recorded.contains(pid);
}

Result<void> FakeEffector::spare_command(const Taken::HeldBack& command, bool leave) {
  if (held_back.erase(command.pid) == 0) return jit::fail(Errc::not_found, "it is gone");
  if (Result<void> fine = failing("spare"); !fine) return fine;
  running[command.pid] = command.through.empty() ? "left " + command.grant
                         : leave                 ? "left " + command.through
                                                 : command.through;
  return {};
}

Result<void> FakeEffector::let_in(const std::string& grant, std::int32_t pid) {
  if (Result<void> fine = failing("let_in"); !fine) return fine;
  logins[pid] = grant;
  return {};
}

Result<void> FakeEffector::publish(const std::vector<Entitlement>& wanted) {
  return plug_.through([&]() -> Result<void> {
    if (Result<void> fine = failing("publish"); !fine) return fine;
    board.clear();
    announced.clear();
    for (const Entitlement& one : wanted)
      if (one.being_given)
        announced.insert(one.grant);
      else
        board[one.grant] = one;
    return {};
  });
}

Result<std::vector<EndRecord>> FakeEffector::ends() {
  std::vector<EndRecord> records;
  for (const auto& [grant, record] : disk) records.push_back(record);
  return records;
}

void FakeEffector::settled(const std::vector<std::string>& grants) {
  for (const std::string& grant : grants) disk.erase(grant);
}

void FakeEffector::forget(std::int64_t until) {
  std::erase_if(disk, [&](const auto& entry) { return entry.second.not_after + 86400 < until; });
}

bool FakeEffector::member(const std::string& user, const std::string& group) const {
  if (before.contains({user, group})) return true;
  return std::any_of(given.begin(), given.end(), [&](const auto& entry) {
    const std::vector<GroupEffect>& groups = entry.second.effects.groups;
    return entry.second.user == user &&
           std::any_of(groups.begin(), groups.end(), [&](const GroupEffect& one) { return one.group == group; });
  });
}

// --- questions and facts

void FakeQuestions::say(std::function<void()> answer) {
  if (!late) return answer();
  waiting.push_back(std::move(answer));
}

void FakeQuestions::answer_all() {
  while (!waiting.empty()) {
    const std::function<void()> next = std::move(waiting.front());
    waiting.pop_front();
    next();
  }
}

void FakeQuestions::account(std::uint32_t uid, Answer<Account> then) {
  say([this, uid, then = std::move(then)] {
    if (silent) return then(jit::fail(Errc::unavailable, "no answer in time"));
    for (const auto& [name, one] : accounts) {
      if (one.uid == uid) return then(one);
    }
    then(jit::fail(Errc::not_found, "no such account"));
  });
}

void FakeQuestions::account(const std::string& name, Answer<Account> then) {
  say([this, name, then = std::move(then)] {
    if (silent) return then(jit::fail(Errc::unavailable, "no answer in time"));
    const auto found = accounts.find(name);
    if (found == accounts.end()) return then(jit::fail(Errc::not_found, "no such account"));
    then(found->second);
  });
}

void FakeQuestions::readback(const std::string&, const Effects&, const std::string&, Answer<bool> then) {
  say([this, then = std::move(then)] { then(readback_says); });
}

void FakeQuestions::standing_rule(const std::string&, Answer<bool> then) {
  say([this, then = std::move(then)] { then(standing_says); });
}

void FakeQuestions::still_allowed(const std::string& user, const std::string& as,
                                  const std::vector<std::string>& words, Answer<bool> then) {
  std::string asked = user + " " + as + ":";
  for (const std::string& word : words) asked += " " + word;
  still_asked.push_back(asked);
  say([this, then = std::move(then)] { then(still_says); });
}

Result<std::uint32_t> FakeFacts::gid_of(const std::string& group) const {
  const auto found = gids.find(group);
  if (found == gids.end()) return jit::fail(Errc::not_found, "there is no local group " + group);
  return found->second;
}

Result<std::uint32_t> FakeFacts::uid_of(const std::string& user) const {
  if (user == "postgres") return 110;
  return jit::fail(Errc::not_found, "there is no local user " + user);
}

bool FakeFacts::local_member(const std::string& user, const std::string& group) const {
  return host_.member(user, group);
}

Gifts FakeFacts::gifts() const {
  Gifts gifts;
  for (const auto& [grant, one] : host_.given) {
    for (const GroupEffect& group : one.effects.groups) {
      if (!host_.before.contains({one.user, group.group})) gifts.add(one.user, one.uid, group.group);
    }
  }
  return gifts;
}

}  // namespace jit::test
