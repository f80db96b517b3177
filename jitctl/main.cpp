// jitctl: asks jitd and signs documents. Never installed with privileges of its own.
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "jitctl/app.hpp"
#include "jitctl/output.hpp"

namespace {

// Whoever starts us with one of 0 to 2 closed must not have our next descriptor, the control socket, take its place.
// Standard output becomes one that cannot be written: what was not said is a failure.
void open_standard() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    if (::open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd) std::_Exit(1);
  }
}

jit::Error become(const std::vector<std::string>& argv) {
  std::vector<char*> words, environment;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::vector<std::string> kept = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name : {"TERM", "LANG", "LC_ALL"})
    if (const char* value = std::getenv(name)) kept.push_back(std::string(name) + "=" + value);
  for (std::string& one : kept) environment.push_back(one.data());
  environment.push_back(nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  ::execve(argv.at(0).c_str(), words.data(), environment.data());
  const int why = errno;
  std::signal(SIGPIPE, SIG_IGN);
  return jit::fail_errno(why, argv.at(0)).value();
}

void take_size_of_terminal(jit::ctl::Context& context) {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) continue;
    context.columns = size.ws_col;
    if (size.ws_row > 0) context.rows = size.ws_row;
    return;
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  using namespace jit::ctl;
  open_standard();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pager is a failed write, seen at the end
  ::umask(022);
  try {
    SocketDaemon daemon;
    jit::SystemSpawn spawn;
    Context context{daemon, spawn, std::cin, std::cout, std::cerr};
    context.in_terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    context.out_terminal = ::isatty(STDOUT_FILENO) == 1;
    take_size_of_terminal(context);
    context.uid = ::getuid();
    context.become = become;
    if (const auto* entry = ::getpwuid(context.uid); entry != nullptr) context.user = entry->pw_name;
    context.env = [](const char* name) -> std::optional<std::string> {
      const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
      if (value == nullptr) return std::nullopt;
      return std::string(value);
    };
    context.open_mailbox = jit::make_mailbox;
    context.ticks = [] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now().time_since_epoch());
    };
    context.pause = [](int other, std::chrono::milliseconds at_most) {
      pollfd readable{other, POLLIN, 0};  // poll(2) passes over -1
      (void)::poll(&readable, 1, static_cast<int>(at_most.count()));
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
