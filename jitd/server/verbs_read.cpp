// Verbs with which anybody looks: status, roles, show, list, pending, export, inspect. The engine shows each caller
// what that caller may see (P8).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "jitd/server/dispatch.hpp"
#include "jitd/server/rows.hpp"
#include "jitd/server/version.hpp"
#include "policy/document/envelope.hpp"
#include "policy/rules/allowing.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using wire::Tag;

std::string prefix_of(const wire::Frame& frame) {
  return std::string(frame.text(Tag::id).value_or(""));
}

// What is wrong with the policy quotes its files, which root alone may read.
void put_policy_state(wire::Writer& row, const HostView& host, const Caller& caller) {
  row.text(Tag::policy, host.last_good ? "last-good" : "current");
  if (!host.last_good) return;
  const std::string used = "the policy that loaded last is used";
  row.text(Tag::warning, caller.root() ? clipped(shown(used + ": " + host.policy_error), 2048) : used);
}

// Those of the caller's roles that allow this command, least first; those whose rules deny it now behind the others.
std::vector<RoleView> that_allow(const Policy& policy, const std::vector<std::string>& command,
                                 const std::vector<RoleView>& roles, std::map<std::string, std::string>& as) {
  std::vector<RoleView> found;
  for (const Allowing& one : roles_allowing(policy, command)) {
    const auto role = std::ranges::find(roles, one.role, &RoleView::name);
    if (role == roles.end() || !role->eligible) continue;
    as[one.role] = one.as;
    found.push_back(*role);
  }
  std::ranges::stable_sort(found, {}, [](const RoleView& role) { return role.rule.starts_with("denied"); });
  return found;
}

void put_status(const VerbPorts& ports, const Caller& caller, const std::string& barred,
                const std::vector<GrantView>& views, const Responder& reply) {
  const Instant now = ports.clock.now();
  std::size_t active = 0;
  for (const GrantView& view : views) {
    (void)reply.item([&](wire::Writer& row) { put_grant(row, view, now); });
    if (view.record.state == GrantState::active) ++active;
  }
  for (const SessionSeen& session : ports.sessions()) {
    const auto own = std::ranges::find_if(views, [&](const GrantView& view) {
      const bool waits = view.record.state == GrantState::pending && !view.record.extends.empty();
      return !waits && entitlement_id(view.record) == session.grant;
    });
    if (own == views.end()) continue;
    (void)reply.item([&](wire::Writer& row) {
      row.text(Tag::kind, "session").text(Tag::grant, own->record.id).text(Tag::service, session.service);
      row.text(Tag::subject, session.subject).number(Tag::pid, static_cast<std::uint64_t>(session.pid));
      row.number(Tag::time, static_cast<std::uint64_t>(session.time));
    });
  }
  const auto host = ports.host();
  reply.result(wire::Status::done, "", [&](wire::Writer& row) {
    row.text(Tag::host, host->config.host).text(Tag::value, kVersion).number(Tag::count, active);
    put_policy_state(row, *host, caller);
    const auto health = ports.engine.health();
    if (health.view.age)
      row.text(Tag::note,
               fmt::format("list {} of revocations, {} old", health.view.number, format_about(*health.view.age)));
    if (!health.clock.empty()) row.text(Tag::warning, clipped(shown(health.clock), 1024));
    if (!health.refusing.empty())
      row.text(Tag::warning,
               clipped("the last role that was asked for here was not given: " + shown(health.refusing), 1024));
    if (!host->machine.unknown.empty()) row.text(Tag::warning, clipped(shown(host->machine.unknown), 1024));
    if (!barred.empty()) row.text(Tag::warning, clipped("no role is given to you: " + shown(barred), 1024));
  });
}

// in: nothing
// out: items grant rows, then sessions: kind "session", grant, service, subject, pid, time; result host, policy,
// value (version), count, note? (the view of revocations), warning*
void on_status(const VerbPorts& ports, const Caller& caller, const wire::Frame&, Responder reply) {
  ports.engine.barred(caller, [&ports, caller, reply](const Result<std::string>& barred) {
    ports.engine.list(caller, false, false,
                      [&ports, caller, reply, why = barred.value_or("")](Result<std::vector<GrantView>> views) {
                        if (!views) return reply.failure(views.error());
                        put_status(ports, caller, why, *views, reply);
                      });
  });
}

// in: command* (an absolute path and its arguments: only roles of the caller's that allow exactly that, least first),
// role? (only this one)
// out: items role, description, limit, rule, group*, opens*, command*, eligible, grant?, on_end, target? (for a
// command: as whom); result host, count
void on_roles(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  std::vector<std::string> argv;
  frame.each([&](Tag tag, std::string_view value) {
    if (tag == Tag::command) argv.emplace_back(value);
  });
  const std::string only(frame.text(Tag::role).value_or(""));
  ports.engine.roles(caller, [&ports, argv, only, reply](Result<std::vector<RoleView>> roles) {
    if (!roles) return reply.failure(roles.error());
    if (!only.empty()) std::erase_if(*roles, [&](const RoleView& role) { return role.name != only; });
    std::map<std::string, std::string> as;  // role to the user that it runs the command as
    if (!argv.empty()) roles = that_allow(ports.host()->policy, argv, *roles, as);
    for (const RoleView& role : *roles) {
      const auto put = [&](wire::Writer& row, bool commands) {
        row.text(Tag::role, role.name).text(Tag::description, clipped(role.description, 4096));
        row.number(Tag::limit, static_cast<std::uint64_t>(role.limit.count()))
            .text(Tag::rule, clipped(role.rule, 1024));
        for (const auto& group : role.groups) row.text(Tag::group, group);
        for (const auto& gate : role.opens) row.text(Tag::opens, gate);
        if (commands)
          for (const auto& command : role.commands) row.text(Tag::command, command);
        row.text(Tag::eligible, role.eligible ? "yes" : "no")
            .text(Tag::on_end, role.terminate_on_end ? "terminate" : "leave");
        if (!role.grant.empty()) row.text(Tag::grant, role.grant);
        if (const auto target = as.find(role.name); target != as.end()) row.text(Tag::target, target->second);
      };
      if (!reply.item([&](wire::Writer& row) { put(row, true); }))  // a role with thousands of commands
        (void)reply.item([&](wire::Writer& row) {
          put(row, false);
          row.text(Tag::command, "(too many to list)");
        });
    }
    reply.result(wire::Status::done, "", [&](wire::Writer& row) {
      row.text(Tag::host, ports.host()->config.host).number(Tag::count, roles->size());
    });
  });
}

// in: id (prefix)
// out: result a grant row and effects
void on_show(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  ports.engine.show(caller, prefix_of(frame), [&ports, reply](Result<GrantView> view) {
    if (!view) return reply.failure(view.error());
    reply.result(wire::Status::done, "", [&](wire::Writer& row) {
      put_grant(row, *view, ports.clock.now());
      row.text(Tag::effects, view->record.effects);
    });
  });
}

// in: all?, held?
// out: items grant rows; result count
void on_list(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const bool all = frame.number(Tag::all).value_or(0) == 1;
  const bool ended = frame.text(Tag::held).value_or("") == "ended";
  ports.engine.list(caller, all, ended, [&ports, reply](Result<std::vector<GrantView>> views) {
    if (!views) return reply.failure(views.error());
    const Instant now = ports.clock.now();
    for (const GrantView& view : *views) (void)reply.item([&](wire::Writer& row) { put_grant(row, view, now); });
    reply.result(wire::Status::done, "", [&](wire::Writer& row) { row.number(Tag::count, views->size()); });
  });
}

// in: nothing
// out: items grant row and document; result count
void on_pending(const VerbPorts& ports, const Caller& caller, const wire::Frame&, Responder reply) {
  ports.engine.pending(caller, [&ports, reply](Result<std::vector<GrantView>> views) {
    if (!views) return reply.failure(views.error());
    const Instant now = ports.clock.now();
    for (const GrantView& view : *views)
      (void)reply.item([&](wire::Writer& row) {
        put_grant(row, view, now);
        row.text(Tag::document, view.document);
      });
    reply.result(wire::Status::done, "", [&](wire::Writer& row) { row.number(Tag::count, views->size()); });
  });
}

// in: id (prefix)
// out: result id, document
void on_export(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  ports.engine.document(caller, prefix_of(frame), [reply](Result<std::string> document) {
    if (!document) return reply.failure(document.error());
    reply.result(wire::Status::done, "", [&](wire::Writer& row) {
      if (const auto envelope = parse_envelope(*document)) row.text(Tag::id, id_of(sha256(envelope->payload)));
      row.text(Tag::document, *document);
    });
  });
}

// in: nothing
// out: result host, host_key, value (public key line), segment*, policy (digest), time, machine (digest), state,
// sequence? (number of the newest revocation list), duration? (how old the view of revocations is), limit? (the
// host's own bound for that)
void on_inspect(const VerbPorts& ports, const Caller&, const wire::Frame&, Responder reply) {
  const auto host = ports.host();
  reply.result(wire::Status::done, "", [&](wire::Writer& row) {
    put_identity(row, *host);
    row.text(Tag::policy, digest_text(host->policy.digest));
    row.number(Tag::time, static_cast<std::uint64_t>(ports.clock.now().wall_ms / 1000));
    const auto view = ports.engine.health().view;
    if (view.newest != 0) row.number(Tag::sequence, view.newest);
    if (view.age) row.number(Tag::duration, static_cast<std::uint64_t>(view.age->count()));
    if (const auto most = host->config.max_view_age)
      row.number(Tag::limit, static_cast<std::uint64_t>(most->count()));
  });
}

constexpr VerbEntry kTable[] = {
    {wire::Verb::status, on_status},   {wire::Verb::roles, on_roles},     {wire::Verb::show, on_show},
    {wire::Verb::list, on_list},       {wire::Verb::pending, on_pending}, {wire::Verb::export_, on_export},
    {wire::Verb::inspect, on_inspect},
};

}  // namespace

std::span<const VerbEntry> reading_verbs() {
  return kTable;
}

}  // namespace jit
