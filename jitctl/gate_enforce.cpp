// jitctl gate enforce: everything that is proven before a service starts to refuse people, and the way back.
#include <fmt/format.h>

#include "jitctl/exempt.hpp"
#include "jitctl/gate.hpp"
#include "jitctl/gate_state.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/policy_files.hpp"
#include "jitctl/signing.hpp"
#include "jitctl/ssh_mailbox.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/pam_files.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr std::uint64_t kWeek = 7 * 24 * 3600;
constexpr std::size_t kMaxProof = 16 * 1024;

// Whom observing would have refused in the last seven days.
Result<std::size_t> show_observed(Context& context, const std::string& service) {
  const auto reply =
      ask_jitd(context, wire::Verb::observed, Row().number(Tag::limit, kWeek).text(Tag::service, service));
  if (!reply) return tl::unexpected(reply.error());
  if (reply->items.empty()) {
    context.err << fmt::format("In the last 7 days nobody was seen on {} whom this gate would have refused.\n",
                               service);
  } else {
    context.err << fmt::format("In the last 7 days this gate would have refused on {}:\n", service);
    Table table({"USER", "GATE", "TIMES", "LAST"});
    for (const auto& row : reply->items) {
      table.add({row.text(Tag::subject), row.text(Tag::gate), std::to_string(row.number(Tag::count).value_or(0)),
                 time_text(row.number(Tag::time).value_or(0))});
    }
    table.print(context.err);
  }
  if (!reply->message.empty()) context.err << shown(reply->message) << '\n';
  return reply->items.size();
}

// The change, its way back first: a timer, and the file that a boot goes by. An earlier change that waits to be
// confirmed keeps its own until this one stands.
Result<std::vector<std::string>> enforce_until_confirmed(Context& context, const std::string& service,
                                                         const std::vector<std::string>& arguments, Seconds after) {
  const SystemClock clock;
  const auto earlier = remembered(context, service);
  const auto timer = arm_fallback(context, service, after);
  if (!timer) return tl::unexpected(timer.error());
  const auto give_up = [&](const Error& error) {
    (void)disarm_fallback(context, *timer);
    if (earlier && *earlier) {
      (void)remember(context, service, **earlier);
    } else {
      forget(context, service);
    }
    return tl::unexpected(error);
  };
  GateChange change{clock.boot_id(), clock.now().boot_ms, *timer};
  if (auto kept = remember(context, service, change); !kept) return give_up(kept.error());
  auto files = set_gate(pam_dir(context), service, GateMode::enforce, arguments);
  if (!files) return give_up(files.error());
  // Only a session that began behind the change can confirm it.
  change.boot_ms = clock.now().boot_ms;
  if (auto kept = remember(context, service, change); !kept) {
    return within("the gate enforces and will fall back, since it cannot be confirmed", kept.error());
  }
  if (earlier && *earlier && (*earlier)->boot_id == change.boot_id) (void)disarm_fallback(context, (*earlier)->timer);
  return files;
}

}  // namespace

Result<std::string> prove_approver(Context& context, const std::string& host, const std::string& proof_file,
                                   const std::string& key_option) {
  const auto path = context.places.etc_jit + "/trust/approvers";
  const auto approvers = read_trust(path);
  if (!approvers) return tl::unexpected(approvers.error());
  if (approvers->lines.empty()) {
    return fail(Errc::refused, fmt::format("{}: no approver yet; jitctl trust add KEYFILE --principal NAME", path));
  }
  std::string armored;
  if (!proof_file.empty()) {
    auto read = read_file(proof_file, kMaxProof);
    if (!read) return tl::unexpected(read.error());
    armored = std::move(*read);
  } else {
    const auto how = fmt::format(
        "an approver makes the proof with: echo 'jit test for {}' | ssh-keygen -Y sign -n jit-test -f "
        "KEY > proof.sig; then add --proof proof.sig",
        host);
    const auto key = choose_key(context, key_option, kind_namespace(Kind::review));
    if (!key) return fail(Errc::refused, key.error().message + "; " + how);
    const auto blob = sign_bytes(context, *key, test_text(host), kTestNamespace);
    if (!blob) return fail(Errc::refused, blob.error().message + "; " + how);
    armored = to_armor(*blob);
  }
  const auto line = check_proof(armored, host, *approvers, context.now());
  if (!line) return tl::unexpected(line.error());
  return line->principal;
}

Outcome gate_enforce(Context& context, const GateOptions& options) {
  const auto& service = options.service;
  if (auto root = need_root(context, "changing /etc/pam.d"); !root) return tl::unexpected(root.error());
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  const auto after = parse_duration(options.confirm);
  if (!after) return tl::unexpected(after.error());

  // jitd must answer and its board stand: otherwise enforcing refuses everybody at once.
  const auto host = inspect(context);
  if (!host) return within("jitd must answer before a gate enforces", host.error());
  const auto policy = read_policy(context.places);
  if (!policy) return within("the policy must be good before a gate enforces", policy.error());
  const auto gates = policy_gates(*policy, service);
  if (gates.find("(enforce)") == std::string::npos) {
    complain(
        context,
        fmt::format("the policy has no gate with mode = \"enforce\" on {}: the line alone refuses nobody for want "
                    "of a grant, only when jitd and its board are gone",
                    service));
  }
  const auto now = gate_now(context, service);
  if (!now) return tl::unexpected(now.error());
  const auto exempt = exempt_with_mailbox(
      context, service,
      options.exempt.empty() ? (now->exempt.empty() ? std::string("root") : now->exempt) : options.exempt);
  if (auto login = need_exempt_login(context, service, exempt); !login) return tl::unexpected(login.error());
  std::vector<std::string> arguments = {"exempt=" + exempt};
  if (options.request) arguments.emplace_back("request");
  if (auto good = prove_gate(pam_dir(context), service, GateMode::enforce, arguments); !good) {
    return tl::unexpected(good.error());
  }
  const auto approver = prove_approver(context, host->host, options.proof, options.key);
  if (!approver) return within("no approver's key is proven", approver.error());
  context.err << fmt::format("{} can sign; {} can get in whatever happens.\n", shown(*approver), shown(exempt));
  if (const auto seen = show_observed(context, service); !seen) return tl::unexpected(seen.error());

  if (!options.yes) {
    if (!context.can_ask()) return fail(Errc::invalid, "there is no terminal to ask on; add --yes");
    if (!ask_yes(context, fmt::format("Enforce on {}?", service))) {
      context.err << "Nothing was changed.\n";
      return Exit::failed;
    }
  }
  const auto files = enforce_until_confirmed(context, service, arguments, *after);
  if (!files) return tl::unexpected(files.error());
  if (context.json) {
    JsonObject object;
    object.text("service", service).text("mode", "enforce").texts("files", *files).text("approver", *approver);
    context.out << object.number("confirm_within", static_cast<std::uint64_t>(after->count())).str() << '\n';
    return Exit::done;
  }
  for (const auto& file : *files) context.out << fmt::format("{}/{}: enforce\n", pam_dir(context), shown(file));
  context.out << fmt::format(
      "It falls back to observe in {}. Keep this session open, open another one through the gate, and there: "
      "jitctl gate confirm {}\n",
      in_words(*after), service);
  return Exit::done;
}

}  // namespace jit::ctl
