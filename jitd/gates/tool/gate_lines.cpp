// gate-lines: our lines in /etc/pam.d, without jitd and without a policy. Package removal runs `gate-lines off
// --all`, the timer behind `jitctl gate enforce --confirm` runs `gate-lines observe SERVICE`, and a boot that came
// before that timer runs `gate-lines observe --unconfirmed`. Without systemd `gate-lines fall-back` is that timer.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "jitd/gates/lines.hpp"
#include "jitd/gates/pam_files.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr const char* kUsage =
    "usage: gate-lines observe|enforce SERVICE\n"
    "       gate-lines observe --unconfirmed\n"
    "       gate-lines fall-back SERVICE TIMER SECONDS\n"
    "       gate-lines off SERVICE|--all\n"
    "       gate-lines list\n";

constexpr std::uint64_t kLongestWait = 366 * 24 * 3600;  // seconds

int failed(const Error& error) {
  fmt::print(stderr, "gate-lines: {}\n", shown(error.message));
  return 1;
}

// A file for each service that `jitctl gate enforce` changed and nobody confirmed yet (jitctl/gate_state.hpp).
const std::string kUnconfirmed = "/var/lib/jit/gate";

void forget(const std::string& service) {
  (void)::unlink((kUnconfirmed + "/" + service).c_str());
}

int set(GateMode mode, const std::string& service) {
  const auto files = set_gate(kPamDir, service, mode, {});
  if (!files) return failed(files.error());
  for (const std::string& file : *files) fmt::print("{}/{}: {}\n", kPamDir, shown(file), name_of(mode));
  for (const std::string& problem : gate_problems(kPamDir, service, mode)) {
    fmt::print(stderr, "gate-lines: warning: {}\n", shown(problem));
  }
  if (mode == GateMode::observe) forget(service);
  return 0;
}

// The timer that would have fallen back went with the boot before this one.
int observe_unconfirmed() {
  const auto dir = open_dir(kUnconfirmed);
  if (!dir && dir.error().code == Errc::not_found) return 0;
  if (!dir) return failed(dir.error());
  const auto names = list_dir(dir->get());
  if (!names) return failed(names.error());
  int status = 0;
  for (const std::string& name : *names) {
    if (check_service_name(name)) status = std::max(status, set(GateMode::observe, name));
  }
  return status;
}

// Returns at once, and in the background waits for so long; then observes, if the change that TIMER was started for
// still waits to be confirmed.
int fall_back(const std::string& service, const std::string& timer, std::uint64_t seconds) {
  if (auto good = check_service_name(service); !good) return failed(good.error());
  const UniqueFd clock(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(seconds);
  if (!clock || ::timerfd_settime(clock.get(), 0, &when, nullptr) != 0)
    return failed(fail_errno(errno, "timerfd").value());
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return failed(fail_errno(errno, "/dev/null").value());
  const pid_t child = ::fork();
  if (child < 0) return failed(fail_errno(errno, "fork").value());
  if (child > 0) return 0;
  (void)::setsid();
  // Whoever waits for the end of our output is not to wait for us.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null.get(), fd);
  std::uint64_t times = 0;
  while (::read(clock.get(), &times, sizeof times) < 0 && errno == EINTR) {
  }
  constexpr std::size_t kMaxState = 4096;
  const auto change = read_file(kUnconfirmed + "/" + service, kMaxState);
  if (!change || !change->ends_with(" " + timer + "\n")) return 0;
  const int status = set(GateMode::observe, service);
  ::syslog(LOG_AUTHPRIV | LOG_WARNING, "gate-lines: the gate on %s was not confirmed: %s", shown(service).c_str(),
           status == 0 ? "it observes again" : "it could NOT be set to observe");
  return status;
}

// Takes every marked line out, whatever else goes wrong on the way; what is left makes it fail. With a line by hand
// the package stays, so its gates stay as well: nothing is taken out then.
int all_off() {
  const auto found = find_lines(kPamDir);
  if (!found) return failed(found.error());
  const auto still = [](const LineFound& line) {
    fmt::print(
        stderr,
        "gate-lines: {}:{}: still names {}, which locks everybody out once the module is gone; take it out by hand\n",
        shown(line.file), line.line, kModule);
  };
  bool by_hand = false;
  for (const LineFound& line : *found) {
    if (line.marked) continue;
    still(line);
    by_hand = true;
  }
  if (by_hand) {
    fmt::print(stderr, "gate-lines: nothing was changed\n");
    return 1;
  }
  std::string last;
  for (const LineFound& line : *found) {
    const std::string name = line.file.substr(line.file.rfind('/') + 1);
    if (name == last) continue;
    last = name;
    const auto removed = remove_lines(kPamDir, name);
    if (!removed) {
      (void)failed(removed.error());
    } else if (*removed) {
      fmt::print("{}: taken out\n", shown(line.file));
    }
    forget(name);
  }
  const auto left = find_lines(kPamDir);
  if (!left) return failed(left.error());
  for (const LineFound& line : *left) still(line);
  return left->empty() ? 0 : 1;
}

int off(const std::string& service) {
  if (const auto text = read_pam_file(kPamDir, service); !text) return failed(text.error());
  const auto files = remove_gate(kPamDir, service);
  if (!files) return failed(files.error());
  for (const std::string& file : *files) fmt::print("{}/{}: taken out\n", kPamDir, shown(file));
  forget(service);
  return 0;
}

int list() {
  const auto found = find_lines(kPamDir);
  if (!found) return failed(found.error());
  for (const LineFound& line : *found) {
    fmt::print("{}:{}: {}{}\n", shown(line.file), line.line, shown(line.text), line.marked ? "" : "  (not ours)");
  }
  return 0;
}

int run(const std::vector<std::string>& args) {
  if (args.size() == 1 && args[0] == "list") return list();
  if (args.size() == 1 && (args[0] == "-h" || args[0] == "--help")) {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (args.size() == 2 && args[0] == "off" && args[1] == "--all") return all_off();
  if (args.size() == 2 && args[0] == "observe" && args[1] == "--unconfirmed") return observe_unconfirmed();
  if (args.size() == 4 && args[0] == "fall-back") {
    if (const auto seconds = parse_number(args[3], kLongestWait)) return fall_back(args[1], args[2], *seconds);
  }
  if (args.size() == 2 && !args[1].starts_with('-')) {
    if (args[0] == "observe") return set(GateMode::observe, args[1]);
    if (args[0] == "enforce") return set(GateMode::enforce, args[1]);
    if (args[0] == "off") return off(args[1]);
  }
  fmt::print(stderr, "{}", kUsage);
  return 2;
}

}  // namespace
}  // namespace jit

int main(int argc, char** argv) {
  try {
    return jit::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gate-lines: %s\n", error.what());
    return 1;
  }
}
