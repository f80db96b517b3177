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
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxState = 4096;
constexpr std::uint64_t kNoSession = 4294967295;  // of audit
constexpr int kMostParents = 100;

std::string directory(const Context& context) {
  return context.places.var + "/gate";
}

// A number of one process out of /proc; nullopt when it is gone or has none.
std::optional<std::uint64_t> proc_number(const Context& context, std::string_view pid, std::string_view file) {
  const auto text = read_file(fmt::format("{}/{}/{}", context.places.proc, pid, file), kMaxState);
  if (!text) return std::nullopt;
  auto digits = std::string_view(*text);
  while (!digits.empty() && digits.back() == '\n') digits.remove_suffix(1);
  const auto number = parse_number(digits);
  return number ? std::optional(*number) : std::nullopt;
}

struct Links {
  pid_t parent = 0;
  pid_t session = 0;
};
// From /proc/PID/stat (proc(5)): the name in it may have anything but its last ")".
std::optional<Links> links_of(const Context& context, std::string_view pid) {
  const auto text = read_file(fmt::format("{}/{}/stat", context.places.proc, pid), kMaxState);
  const auto end = text ? text->rfind(") ") : std::string::npos;
  if (end == std::string::npos) return std::nullopt;
  const auto words = split(std::string_view(*text).substr(end + 2), ' ');
  const auto number = [&](std::size_t at) {
    return at < words.size() ? parse_number(words[at], INT32_MAX) : fail(Errc::invalid, "");
  };
  const auto parent = number(1), session = number(3);
  if (!parent || !session) return std::nullopt;
  return Links{static_cast<pid_t>(*parent), static_cast<pid_t>(*session)};
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
  std::set<std::uint64_t> sessions;
  std::string pid = "self";
  pid_t in = 0;  // the session (setsid(2)) of the one below
  for (int depth = 0; depth < kMostParents; ++depth) {
    const auto audit = proc_number(context, pid, "sessionid");
    const auto links = links_of(context, pid);
    const bool of_a_login = audit && *audit != kNoSession;
    if (of_a_login) sessions.insert(*audit);
    // Who has none is the service that let the user in, or, where nothing gives one, the shell that this was typed
    // in.
    if (!of_a_login && (!links || (in != 0 && links->session != in))) break;
    if (!of_a_login && links->session > 0) look_at(links->session);
    if (!links || links->parent <= 1) break;
    in = links->session;
    pid = std::to_string(links->parent);
  }
  if (!sessions.empty()) {
    const auto proc = open_dir(context.places.proc);
    if (!proc) return tl::unexpected(proc.error());
    const auto names = list_dir(proc->get());
    if (!names) return tl::unexpected(names.error());
    for (const auto& name : *names) {
      const auto number = parse_number(name, 1U << 22);
      const auto audit = number ? proc_number(context, name, "sessionid") : std::nullopt;
      if (audit && sessions.contains(*audit)) look_at(static_cast<pid_t>(*number));
    }
  }
  if (!oldest) return fail(Errc::refused, "this is no login session; open one through the gate, and confirm there");
  return *oldest;
}

}  // namespace jit::ctl
