// A grant for one session (`once`): the first login that it lets in, or the first command that runs by it, is the one
// that it is for. Another one is refused, also while that runs; when it is over, so is the grant.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kLookMs = 1000;      // whether the process still runs: killed, it closes nothing
constexpr std::uint64_t kLookSoonMs = 50;    // it was closed
constexpr std::uint64_t kPatienceMs = 2000;  // and does not go away

}  // namespace

Result<void> EngineImpl::session_free(const Life& life, std::int32_t pid) {
  const GrantRecord& record = life.record;
  if (record.session.empty()) return {};
  const Result<std::string> process = ports_.effector.name_of(pid);
  if (!process) return tl::unexpected<Error>(process.error());
  if (record.session == *process) return {};
  if (life.closed_boot_ms == 0 && ports_.effector.same_login(pid, record.session)) return {};
  return fail(Errc::refused, "the grant " + record.id + " is for one session, and that has begun already");
}

Result<void> EngineImpl::bind_session(const LifePtr& life, std::int32_t pid) {
  GrantRecord& record = life->record;
  if (!record.once) return {};
  if (Result<void> free = session_free(*life, pid); !free || !record.session.empty()) return free;
  const Result<std::string> process = ports_.effector.name_of(pid);
  if (!process) return tl::unexpected<Error>(process.error());
  // Durable first, so that no restart makes it good for another.
  GrantRecord next = record;
  next.session = *process;
  Result<void> saved = save_or_drop({[next](Store& store) { return store.put(next); }},
                                    {event_of("session", life.get(), {{"process", *process}})});
  if (!saved) return within("that its one session has begun cannot be written down", saved.error());
  record = std::move(next);
  sessions_boot_ms_ = now().boot_ms + kLookMs;
  changed();
  return {};
}

void EngineImpl::session_closed(std::int32_t pid) {
  const std::string start = std::to_string(pid) + " ";
  for (const auto& [digest, life] : lives_) {
    if (!life->in_force() || !life->record.session.starts_with(start) || life->closed_boot_ms != 0) continue;
    life->closed_boot_ms = std::max<std::uint64_t>(now().boot_ms, 1);
    sessions_boot_ms_ = now().boot_ms + kLookSoonMs;
    changed();
  }
}

// sudo closes its session before it tells how its command ended: it is let go first.
void EngineImpl::look_at_sessions(std::uint64_t boot_ms) {
  sessions_boot_ms_ = 0;
  std::uint64_t next = 0;
  std::vector<Ending> endings;
  for (const auto& [digest, life] : lives_) {
    if (life->record.session.empty() || life->record.state != GrantState::active) continue;
    const bool closed = life->closed_boot_ms != 0;
    if (!ports_.effector.runs(life->record.session) || (closed && boot_ms >= life->closed_boot_ms + kPatienceMs)) {
      endings.push_back({life, "once", "the one session that it was for is over", {}});
      continue;
    }
    const std::uint64_t again = boot_ms + (closed ? kLookSoonMs : kLookMs);
    next = next == 0 ? again : std::min(next, again);
  }
  sessions_boot_ms_ = next;
  end(std::move(endings));
}

}  // namespace jit
