// How long a right outlives its end, on a throw-away host: prints for how many ms after DUE_MS (of the real clock,
// since 1970) sudo still began, the user was still a member, and processes still ran. "still" after five seconds.
//
//   outlive USER GROUP DUE_MS LOGIN_PID COMMAND_PID...       a pid of 0: there was none
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::int64_t kBefore = 400, kAtLeast = 1200, kAtMost = 5000;  // ms around the end

std::int64_t now() {
  timespec at{};
  ::clock_gettime(CLOCK_REALTIME, &at);
  return std::int64_t{at.tv_sec} * 1000 + at.tv_nsec / 1'000'000;
}

void rest() {
  const timespec pause{0, 1'000'000};
  ::nanosleep(&pause, nullptr);
}

bool member(const std::string& user, const std::string& group) {
  for (const char* file : {"/etc/group", "/etc/gshadow"}) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      if (line.rfind(group + ":", 0) != 0) continue;
      std::string members = "," + line.substr(line.rfind(':') + 1) + ",";
      if (members.find("," + user + ",") != std::string::npos) return true;
    }
  }
  return false;
}

bool runs(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/stat");
  std::string stat;
  if (!std::getline(in, stat)) return false;
  const auto state = stat.rfind(") ");
  return state != std::string::npos && stat[state + 2] != 'Z' && stat[state + 2] != 'X';
}

bool sudo(const std::string& user) {
  const std::string as = user;
  std::string words[] = {"/usr/sbin/runuser", "-u", as, "--", "/usr/bin/sudo", "-n", "/usr/bin/id"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  for (const int fd : {0, 1, 2}) ::posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", 2, 0);
  pid_t pid = 0;
  int status = 1;
  if (::posix_spawn(&pid, argv[0], &quiet, nullptr, argv.data(), environ) == 0) ::waitpid(pid, &status, 0);
  ::posix_spawn_file_actions_destroy(&quiet);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string after(std::int64_t at, std::int64_t due) {
  return at < 0 ? "still" : std::to_string(std::max<std::int64_t>(at - due, 0));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  const std::string user = argv[1], group = argv[2], login = argv[4];
  const std::int64_t due = std::atoll(argv[3]);
  const std::vector<std::string> commands(argv + 5, argv + argc);
  while (now() < due - kBefore) rest();

  std::atomic<bool> done = false;
  std::int64_t sudo_at = 0;
  std::thread asking([&] {
    while (!done) {
      const std::int64_t began = now();
      if (sudo(user)) sudo_at = began;
    }
  });
  std::int64_t group_at = -1, login_at = -1, command_at = -1;
  const auto note = [](std::int64_t& at, bool still, std::int64_t seen) {
    if (still) at = -1;
    if (!still && at < 0) at = seen;
  };
  for (;;) {
    const std::int64_t seen = now();
    note(group_at, member(user, group), seen);
    note(login_at, login != "0" && runs(login), seen);
    note(command_at, std::any_of(commands.begin(), commands.end(), [](auto& pid) { return pid != "0" && runs(pid); }),
         seen);
    const bool all = group_at >= 0 && login_at >= 0 && command_at >= 0;
    if ((all && seen >= due + kAtLeast) || seen >= due + kAtMost) break;
    rest();
  }
  done = true;
  asking.join();
  std::cout << after(sudo_at, due) << ' ' << after(group_at, due) << ' ' << after(login_at, due) << ' '
            << after(command_at, due) << '\n';
  return 0;
}
