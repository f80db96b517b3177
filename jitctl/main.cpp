// jitctl: asks jitd and signs documents. Never installed with privileges of its own.
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "jitctl/app.hpp"

int main(int argc, char* argv[]) {
  using namespace jit::ctl;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pager is a failed write, seen at the end
  ::umask(022);
  try {
    SocketDaemon daemon;
    jit::SystemSpawn spawn;
    Context context{daemon, spawn, std::cin, std::cout, std::cerr};
    context.in_terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    context.out_terminal = ::isatty(STDOUT_FILENO) == 1;
    context.uid = ::getuid();
    if (const auto* entry = ::getpwuid(context.uid); entry != nullptr) context.user = entry->pw_name;
    context.env = [](const char* name) -> std::optional<std::string> {
      const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
      if (value == nullptr) return std::nullopt;
      return std::string(value);
    };
    context.now = [] { return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now()); };
    return static_cast<int>(run(context, {argv + 1, argv + argc}));
  } catch (const std::exception& error) {  // out of memory and the like
    std::fputs("jitctl: ", stderr);
    std::fputs(error.what(), stderr);
    std::fputs("\n", stderr);
    return static_cast<int>(Exit::failed);
  }
}
