#include "jitctl/gate_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <set>

#include "jitd/gates/pam_files.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/sys/proc_status.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxState = 4096;
constexpr int kMostParents = 100;

std::string directory(const Context& context) {
  return context.places.var + "/gate";
}

Result<void> systemctl(Context& context, std::vector<std::string> arguments) {
  SpawnRequest request;
  request.argv = {context.places.usr + "/bin/systemctl"};
  request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
  request.deadline = std::chrono::seconds(15);
  const auto outcome = context.spawn.run(request);
  if (!outcome) return within("systemctl", {Errc::system, outcome.error().message, outcome.error().errnum});
  if (outcome->exit_status != 0) return fail(Errc::system, fmt::format("systemctl: {}", shown(outcome->err, 300)));
  return {};
}

}  // namespace

Result<void> remember(const Context& context, const std::string& service, const GateChange& change) {
  if (::mkdir(directory(context).c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, directory(context));
  const auto dir = open_dir(directory(context));
  if (!dir) return tl::unexpected(dir.error());
  const auto text = fmt::format("{} {} {}\n", change.boot_id, change.boot_ms, change.timer);
  return replace_file(system_files(), dir->get(), service, text, {0600, ::geteuid(), ::getegid()});
}

Result<std::optional<GateChange>> remembered(const Context& context, const std::string& service) {
  const auto text = read_file(directory(context) + "/" + service, kMaxState);
  if (!text && text.error().code == Errc::not_found) return std::optional<GateChange>();
  if (!text) return tl::unexpected(text.error());
  const auto words = split(std::string_view(*text).substr(0, text->find('\n')), ' ');
  const auto time = words.size() == 3 ? parse_number(words[1]) : Result<std::uint64_t>(fail(Errc::invalid, ""));
  if (!time)
    return fail(Errc::invalid, fmt::format("{}/{}: damaged; say gate enforce again", directory(context), service));
  return std::optional(GateChange{std::string(words[0]), *time, std::string(words[2])});
}

void forget(const Context& context, const std::string& service) {
  (void)::unlink((directory(context) + "/" + service).c_str());
}

std::string fallback_timer(const std::string& service, std::string_view number) {
  // Two services never share a name, and none of it means something in a pattern of systemctl's.
  std::string name;
  for (const char byte : service) {
    const bool plain = std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '-' || byte == '.';
    name += plain ? std::string(1, byte) : fmt::format("_{:02x}", static_cast<unsigned char>(byte));
  }
  return fmt::format("jit-gate-confirm-{}:{}.timer", name, number);
}

Result<std::string> arm_fallback(Context& context, const std::string& service, Seconds after) {
  const auto timer = fallback_timer(service, std::to_string(SystemClock().now().boot_ms));
  const auto gate_lines = context.places.usr + "/libexec/jit/gate-lines";
  SpawnRequest request;
  if (systemd_is_init(context)) {
    request.argv = {context.places.usr + "/bin/systemd-run",
                    "--quiet",
                    "--collect",
                    fmt::format("--on-active={}s", after.count()),
                    "--timer-property=AccuracySec=1s",
                    "--unit=" + timer.substr(0, timer.rfind('.')),
                    "--description=Falls back to observe unless the gate on " + service + " is confirmed",
                    gate_lines,
                    "observe",
                    service};
  } else {
    request.argv = {gate_lines, "fall-back", service, timer, std::to_string(after.count())};
  }
  request.deadline = std::chrono::seconds(15);
  const auto outcome = context.spawn.run(request);
  if (!outcome) return within(request.argv[0], {Errc::system, outcome.error().message, outcome.error().errnum});
  if (outcome->exit_status != 0) {
    return fail(Errc::system,
                fmt::format("the timer that falls back to observe could not be armed: {}", shown(outcome->err, 300)));
  }
  return timer;
}

Result<void> disarm_fallback(Context& context, const std::string& timer) {
  if (!systemd_is_init(context)) return {};  // it looks for itself whether its change still waits
  return systemctl(context, {"--quiet", "stop", timer});
}

void disarm_fallbacks(Context& context, const std::string& service) {
  (void)disarm_fallback(context, fallback_timer(service, "*"));
}

// A sudo by a grant has an audit session of its own: the login that it was typed in is further up.
Result<std::uint64_t> session_started_ms(const Context& context) {
  std::optional<std::uint64_t> oldest;
  const auto look_at = [&](pid_t pid) {
    if (const auto started = started_ms(pid, context.places.proc); started)
      oldest = std::min(oldest.value_or(*started), *started);
  };
  const std::string& proc = context.places.proc;
  std::set<std::uint32_t> sessions;
  pid_t pid = ::getpid();
  pid_t in = 0;  // the session (setsid(2)) of the one below
  for (int depth = 0; depth < kMostParents; ++depth) {
    const std::uint32_t audit = audit_session(pid, proc);
    const auto status = proc_status(pid, proc);
    if (audit != 0) sessions.insert(audit);
    // Who has none is the service that let the user in, or, where nothing gives one, the shell that this was typed
    // in.
    if (audit == 0 && (!status || (in != 0 && status->session != in))) break;
    if (audit == 0 && status->session > 0) look_at(status->session);
    if (!status || status->parent <= 1) break;
    in = status->session;
    pid = status->parent;
  }
  if (!sessions.empty())
    for (const pid_t one : all_processes(proc))
      if (sessions.contains(audit_session(one, proc))) look_at(one);
  if (!oldest) return fail(Errc::refused, "this is no login session; open one through the gate, and confirm there");
  return *oldest;
}

}  // namespace jit::ctl
