// jitctl gate: which PAM services ask for a grant. Writes our marked lines in /etc/pam.d and never the policy.
#include "jitctl/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/exempt.hpp"
#include "jitctl/gate_state.hpp"
#include "jitctl/output.hpp"
#include "jitctl/policy_files.hpp"
#include "jitctl/ssh_mailbox.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/pam_files.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

bool is_sudo(const Context& context, const std::string& service) {
  const auto family = service_family(pam_dir(context), service);
  return service == "sudo" || std::find(family.begin(), family.end(), "sudo") != family.end();
}

void say_files(Context& context, const std::vector<std::string>& files, std::string_view mode) {
  if (context.json) {
    context.out << JsonObject().texts("files", files).text("mode", mode).str() << '\n';
    return;
  }
  for (const auto& file : files) context.out << fmt::format("{}/{}: {}\n", pam_dir(context), shown(file), mode);
  if (files.empty()) context.out << "Nothing to change.\n";
}

// Nothing of an unconfirmed change is left to take back.
void no_longer_waiting(Context& context, const std::string& service) {
  const auto change = remembered(context, service);
  if (change && !*change) return;
  disarm_fallbacks(context, service);
  forget(context, service);
}

Outcome list(Context& context) {
  const auto policy = read_policy(context.places);
  const auto lines = find_lines(pam_dir(context));
  if (!lines) return tl::unexpected(lines.error());
  std::set<std::string> services;
  for (const auto& line : *lines) services.insert(line.file.substr(line.file.rfind('/') + 1));
  if (policy) {
    for (const auto& gate : policy->gates) services.insert(gate.services.begin(), gate.services.end());
  } else {
    complain(context, "the policy cannot be read: " + policy.error().message);
  }
  Table table({"SERVICE", "LINES", "POLICY'S GATE", "EXEMPT", "PROOF"});
  std::vector<std::string> objects;
  for (const auto& service : services) {
    const auto now = gate_now(context, service);
    if (!now) {
      table.add({service, "?", "", "", now.error().message});
      continue;
    }
    const auto gates = policy ? policy_gates(*policy, service) : "?";
    std::string proof = now->problems.empty() ? "proven" : now->problems.front();
    if (now->mode.empty()) proof = gates.empty() ? "" : "no line: the gate has no effect";
    table.add({service, now->mode.empty() ? "none" : now->mode, gates, now->exempt, proof});
    objects.push_back(JsonObject()
                          .text("service", service)
                          .text("file", now->where)
                          .text("mode", now->mode)
                          .text("gate", gates)
                          .text("exempt", now->exempt)
                          .texts("problems", now->mode.empty() ? std::vector<std::string>{} : now->problems)
                          .str());
  }
  if (context.json) {
    context.out << json_list(objects) << '\n';
  } else if (table.empty()) {
    context.out << "No service is gated, and the policy has no gate.\n";
  } else {
    table.print(context.out);
  }
  return Exit::done;
}

Outcome observe(Context& context, const GateOptions& options) {
  if (auto root = need_root(context, "changing /etc/pam.d"); !root) return tl::unexpected(root.error());
  std::vector<std::string> arguments;
  if (!options.exempt.empty()) {
    if (const auto words = parse_exempt(options.exempt); !words) return tl::unexpected(words.error());
    arguments.push_back("exempt=" + exempt_with_mailbox(context, options.service, options.exempt));
  } else if (const auto now = gate_now(context, options.service); now) {
    const auto exempt = now->exempt.empty() ? std::string("root") : now->exempt;
    const auto wanted = exempt_with_mailbox(context, options.service, exempt);
    if (wanted != exempt) arguments.push_back("exempt=" + wanted);
  }
  const auto files = set_gate(pam_dir(context), options.service, GateMode::observe, arguments);
  if (!files) return tl::unexpected(files.error());
  no_longer_waiting(context, options.service);
  say_files(context, *files, "observe");
  for (const auto& problem : gate_problems(pam_dir(context), options.service, GateMode::observe)) {
    complain(context, "warning: " + problem);
  }
  return Exit::done;
}

Outcome confirm(Context& context, const GateOptions& options) {
  if (auto root = need_root(context, "confirming a gate"); !root) return tl::unexpected(root.error());
  if (auto good = check_service_name(options.service); !good) return tl::unexpected(good.error());
  const auto change = remembered(context, options.service);
  if (!change) return tl::unexpected(change.error());
  const auto now = gate_now(context, options.service);
  if (!now) return tl::unexpected(now.error());
  if (now->mode != "enforce") {
    forget(context, options.service);
    return fail(Errc::refused, fmt::format("the gate on {} fell back to {} already; say gate enforce again",
                                           options.service, now->mode.empty() ? "off" : now->mode));
  }
  if (!*change) return fail(Errc::not_found, fmt::format("nothing on {} waits to be confirmed", options.service));
  const SystemClock clock;
  const auto started = session_started_ms(context);
  if (!started) return tl::unexpected(started.error());
  if ((*change)->boot_id == clock.boot_id() && *started <= (*change)->boot_ms) {
    return fail(Errc::refused,
                "this session was opened before the change: open a new one, through the gate, and confirm there");
  }
  if (auto stopped = disarm_fallback(context, (*change)->timer); !stopped && (*change)->boot_id == clock.boot_id()) {
    return within("the fall-back could not be called off", stopped.error());
  }
  disarm_fallbacks(context, options.service);  // of changes that were cut short
  forget(context, options.service);
  context.out << (context.json ? JsonObject().text("service", options.service).text("mode", "enforce").str()
                               : fmt::format("The gate on {} stays enforced.", options.service))
              << '\n';
  return Exit::done;
}

// Ids of active grants with sudo effects.
Result<std::vector<std::string>> sudo_grants(Context& context) {
  const auto reply = ask_jitd(context, wire::Verb::list, Row().number(Tag::all, 1));
  if (!reply && reply.error().code == Errc::unavailable) {
    // Without jitd the drop-ins themselves tell; they carry the id.
    std::vector<std::string> ids;
    const auto dir = open_dir(context.places.run + "/sudoers.d");
    if (!dir) return ids;
    const auto names = list_dir(dir->get());
    for (const auto& name : names ? *names : std::vector<std::string>{}) {
      if (name.starts_with("jit-") && name.find('.') == std::string::npos) ids.push_back(name.substr(4));
    }
    return ids;
  }
  if (!reply) return tl::unexpected(reply.error());
  std::vector<std::string> ids;
  for (const auto& row : reply->items) {
    const auto state = row.text(Tag::state);
    if (state != "active" && state != "activating") continue;
    const auto whole = ask_jitd(context, wire::Verb::show, Row().text(Tag::id, row.text(Tag::id)));
    if (!whole) return tl::unexpected(whole.error());
    const auto effects = "\n" + whole->result.text(Tag::effects);
    if (effects.find("\nsudo as ") != std::string::npos) ids.push_back(row.text(Tag::id));
  }
  return ids;
}

Outcome off(Context& context, const GateOptions& options) {
  if (auto root = need_root(context, "changing /etc/pam.d"); !root) return tl::unexpected(root.error());
  if (auto good = check_service_name(options.service); !good) return tl::unexpected(good.error());
  if (is_sudo(context, options.service)) {
    const auto ids = sudo_grants(context);
    if (!ids) return tl::unexpected(ids.error());
    if (!ids->empty() && !options.end_grants) {
      return fail(Errc::refused,
                  fmt::format("{} active grant{} sudo ({}), and would lose what watches over {}; release "
                              "them first, or add --end-grants",
                              ids->size(), ids->size() == 1 ? " gives" : "s give", joined(*ids),
                              ids->size() == 1 ? "it" : "them"));
    }
    for (const auto& id : *ids) {
      const auto ended = ask_jitd(context, wire::Verb::release, Row().text(Tag::id, id));
      if (!ended) return within(fmt::format("{} could not be ended", id), ended.error());
      context.err << fmt::format("{} ended\n", shown(id));
    }
  }
  const auto files = remove_gate(pam_dir(context), options.service);
  if (!files) return tl::unexpected(files.error());
  no_longer_waiting(context, options.service);
  say_files(context, *files, "off");
  return Exit::done;
}

}  // namespace

std::string pam_dir(const Context& context) {
  return context.places.etc + "/pam.d";
}

Result<GateNow> gate_now(const Context& context, const std::string& service) {
  GateNow now;
  now.service = service;
  const auto config = PamConfig::load(pam_dir(context), service);
  if (!config && config.error().code == Errc::not_found) return now;  // no such service here
  if (!config) return tl::unexpected(config.error());
  for (const auto& entry : config->stack(PamType::account)) {
    if (!entry.line.ours) continue;
    now.where = fmt::format("{}:{}", entry.line.file, entry.line.line);
    now.mode = entry.line.argument("mode") == "enforce" ? "enforce" : "observe";
    now.exempt = entry.line.argument("exempt");
    now.marked = entry.line.marked;
    break;
  }
  for (const auto& findings : {prove_account(*config, now.mode), prove_session(*config, now.mode)}) {
    for (const auto& finding : findings) {
      if (finding.fatal) now.problems.push_back(finding.text);
    }
  }
  return now;
}

std::string policy_gates(const Policy& policy, const std::string& service) {
  std::vector<std::string> names;
  for (const auto& gate : policy.gates) {
    if (std::find(gate.services.begin(), gate.services.end(), service) == gate.services.end()) continue;
    names.push_back(fmt::format("{} ({})", gate.name, gate.enforce ? "enforce" : "observe"));
  }
  return joined(names, ", ");
}

void add_gate(Commands& commands) {
  auto options = std::make_shared<GateOptions>();
  auto& context = commands.context();
  auto* family = commands.add_family("gate", "Which PAM services ask for a grant");
  const auto service = [options](Command& command) {
    command.add_option("service", options->service, "PAM service, such as sshd or sudo")
        ->required()
        ->type_name("SERVICE");
  };
  const auto exempt = [options](Command& command) {
    command
        .add_option("--exempt", options->exempt,
                    "Local accounts and @groups that are never asked, comma between them")
        ->type_name("LIST");
  };
  commands.add_below(family, "list", "Services, our lines, the policy's gates and the proof over the stacks",
                     [&context] { return list(context); });
  auto* watch = commands.add_below(family, "observe", "Let everybody in, and record whom the gate would have refused",
                                   [&context, options] { return observe(context, *options); });
  service(*watch);
  exempt(*watch);
  auto* enforce =
      commands.add_below(family, "enforce", "Refuse without a grant, after proofs; falls back unless confirmed",
                         [&context, options] { return gate_enforce(context, *options); });
  service(*enforce);
  exempt(*enforce);
  enforce
      ->add_option("--confirm", options->confirm,
                   "Fall back to observe after so long without gate confirm (default: 10m)")
      ->check(duration_problem)
      ->type_name("D");
  enforce
      ->add_option("--proof", options->proof,
                   "An approver's test signature: echo 'jit test for HOST' | ssh-keygen -Y sign -n jit-test -f KEY")
      ->type_name("FILE");
  enforce->add_option("--key", options->key, "Make the approver's test signature with this key")->type_name("FILE");
  enforce->add_flag("--request", options->request, "Ask whoever is refused whether to request a role, at the door");
  enforce->add_flag("--yes", options->yes, "Do not ask");
  auto* confirms = commands.add_below(family, "confirm", "Keep enforcing; from a session opened after the change",
                                      [&context, options] { return confirm(context, *options); });
  service(*confirms);
  auto* offs =
      commands.add_below(family, "off", "Take our lines out", [&context, options] { return off(context, *options); });
  service(*offs);
  offs->add_flag("--end-grants", options->end_grants, "End active grants with sudo first");
}

}  // namespace jit::ctl
