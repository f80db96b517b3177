// jitd: the daemon, and what its units run (jitd.8).
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "jitd/core/expire.hpp"
#include "jitd/core/residue_run.hpp"
#include "jitd/server/check_config.hpp"
#include "jitd/server/daemon.hpp"
#include "jitd/server/helper_child.hpp"
#include "jitd/server/journal.hpp"
#include "jitd/server/version.hpp"
#include "policy/text.hpp"

namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2;

constexpr const char* kHelp =
    "jitd: gives and takes back privilege as signed grants and policy say. Started by systemd.\n"
    "\n"
    "  jitd                  run in the foreground\n"
    "  jitd --check          read configuration, policy and trust, say what is wrong, change nothing\n"
    "  jitd --expire         end what is due, without the daemon\n"
    "  jitd --expire --all   end every grant, without the daemon\n"
    "  jitd --residue        look for setuid files that grants which are over left, and disarm them\n"
    "  jitd --version, --help\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 usage. See jitd(8).\n";

void complain(const std::string& message) {
  fmt::print(stderr, "jitd: {}\n", jit::shown(message));
}

int daemon() {
  const auto ended = jit::run_daemon(jit::Paths{});
  if (ended) return *ended;
  jit::write_journal({3, ended.error().message, {{"JIT_EVENT", "failed"}}});
  if (::isatty(STDERR_FILENO) == 1) complain(ended.error().message);
  return kFailed;
}

int check() {
  const auto found = jit::check_config(jit::Paths{});
  for (const auto& warning : found.warnings) fmt::print(stderr, "warning: {}\n", jit::shown(warning));
  for (const auto& error : found.errors) complain(error);
  return found.errors.empty() ? kDone : kFailed;
}

int run(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "", second = argc > 2 ? argv[2] : "";
  const bool one = argc == 2;
  if (one && (first == "--version" || first == "-V")) return fmt::print("jitd {}\n", jit::kVersion), kDone;
  if (one && (first == "--help" || first == "-h")) return fmt::print("{}", kHelp), kDone;
  const bool expire = (one && first == "--expire") || (argc == 3 && first == "--expire" && second == "--all");
  const bool timer = argc == 5 && first == "--expire-at";
  if (argc > 1 && !expire && !timer &&
      !(one && (first == "--check" || first == "--helper" || first == "--residue"))) {
    complain("cannot be called so; see jitd --help");
    return kUsage;
  }
  if (::geteuid() != 0) {
    complain("must run as root");
    return kFailed;
  }
  ::umask(077);
  if (first == "--helper") return jit::helper_main(STDIN_FILENO);
  if (first == "--check") return check();
  if (first == "--residue") return jit::residue_main(jit::Paths{});
  if (expire) return jit::expire_main(second == "--all");
  if (timer) return jit::expire_at_main(argv[2], argv[3], argv[4]);
  return daemon();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    (void)std::fprintf(stderr, "jitd: %s\n", e.what());
  } catch (...) {
    (void)std::fprintf(stderr, "jitd: unknown exception\n");
  }
  return kFailed;
}
