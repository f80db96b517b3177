// Control verbs: who may call what, and the functions that turn a frame into a call of the engine and its answer into
// frames. docs/PROTOCOL.md, "Control verbs", has the fields of each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/server/check_log.hpp"
#include "jitd/server/control.hpp"
#include "jitd/server/waiters.hpp"

namespace jit {

// What handlers need beside the engine.
struct VerbPorts {
  Engine& engine;
  const Clock& clock;
  Waiters& waiters;
  std::function<std::shared_ptr<const HostView>()> host;
  std::function<std::vector<SessionSeen>()> sessions;
  // Rows for `health` of what only the daemon knows: version, started, checks, connections, helper.
  std::function<std::vector<std::pair<std::string, std::string>>()> vitals;
  std::function<std::vector<std::string>()> warnings;  // of the daemon, beside the engine's and the host's
  // Root has said that this is the machine of the host key, or that it is to have one of its own.
  std::function<Result<void>(const Caller& caller, bool new_key)> enrol;
};

// The handler of one verb. Caller and frame are checked: the verb is one that this caller may use.
using VerbHandler = void (*)(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply);

struct VerbEntry {
  wire::Verb verb;
  VerbHandler handler;
};
[[nodiscard]] std::span<const VerbEntry> user_verbs();     // verbs_user.cpp
[[nodiscard]] std::span<const VerbEntry> reading_verbs();  // verbs_read.cpp
[[nodiscard]] std::span<const VerbEntry> root_verbs();     // verbs_root.cpp

// Refuses first, by wire::kControlVerbs and the caller's uid alone; then the verb's handler.
void dispatch(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply);

}  // namespace jit
