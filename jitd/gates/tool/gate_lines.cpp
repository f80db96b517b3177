// gate-lines: our lines in /etc/pam.d, without jitd and without a policy. Package removal runs `gate-lines off
// --all`, the timer behind `jitctl gate enforce --confirm` runs `gate-lines observe SERVICE`, and a boot that came
// before that timer runs `gate-lines observe --unconfirmed`.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
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
    "       gate-lines off SERVICE|--all\n"
    "       gate-lines list\n";

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
