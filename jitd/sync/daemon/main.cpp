// jitd-sync: carries documents between this host and its sources (jitd-sync.8).
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "jitd/sync/daemon/supervisor.hpp"
#include "jitd/sync/daemon/worker.hpp"
#include "policy/names.hpp"

namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2;

constexpr const char* kHelp =
    "jitd-sync: carries documents between this host and its sources. Started by systemd, as _jit-sync.\n"
    "\n"
    "  jitd-sync             run in the foreground\n"
    "  jitd-sync --check     say what is wrong with the sources in jitd.toml, change nothing\n"
    "  jitd-sync --version, --help\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 usage. See jitd-sync(8).\n";

int check(const jit::SyncPlaces& places) {
  const auto sources = jit::read_source_config(places);
  if (sources) return kDone;
  jit::log_to_stderr(3, sources.error().message);
  return kFailed;
}

int run(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  const bool one = argc == 2;
  if (one && (first == "--version" || first == "-V")) return std::printf("jitd-sync %s\n", JIT_VERSION), kDone;
  if (one && (first == "--help" || first == "-h")) return std::fputs(kHelp, stdout), kDone;
  // --source NAME: what the supervisor starts.
  const bool source = argc == 3 && first == "--source" && jit::check_policy_name(argv[2], "source");
  if (argc > 1 && !source && !(one && first == "--check")) {
    jit::log_to_stderr(3, "cannot be called so; see jitd-sync --help");
    return kUsage;
  }
  const jit::SyncPlaces places;
  if (first == "--check") return check(places);
  if (::geteuid() == 0) {
    jit::log_to_stderr(3, "must not run as root: systemctl start jitd-sync.service runs it as it should be");
    return kFailed;
  }
  ::umask(022);
  return source ? jit::run_worker(argv[2], places) : jit::run_supervisor(places);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    (void)std::fprintf(stderr, "jitd-sync: %s\n", e.what());
  } catch (...) {
    (void)std::fprintf(stderr, "jitd-sync: unknown exception\n");
  }
  return kFailed;
}
