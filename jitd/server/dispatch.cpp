#include "jitd/server/dispatch.hpp"

namespace jit {
namespace {

VerbHandler handler_of(wire::Verb verb) {
  for (const auto table : {user_verbs(), reading_verbs(), root_verbs()})
    for (const VerbEntry& entry : table)
      if (entry.verb == verb) return entry.handler;
  return nullptr;
}

}  // namespace

void dispatch(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const wire::VerbRule* rule = wire::control_verb(frame.verb());
  const VerbHandler handler = rule == nullptr ? nullptr : handler_of(frame.verb());
  if (handler == nullptr)
    return reply.result(wire::Status::usage, "jitd does not know this request: is jitctl newer?");
  switch (rule->caller) {
    case wire::Caller::anyone:
      break;
    case wire::Caller::root:
      if (caller.root()) break;
      [[fallthrough]];
    default:
      return reply.result(wire::Status::refused, "only root may ask for this");
  }
  handler(ports, caller, frame, reply);
}

}  // namespace jit
