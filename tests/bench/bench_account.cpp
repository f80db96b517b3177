// What a login pays for pam_jit in the account phase: jitd answering, dead, and stopped, with 0, 1,000 and 10,000
// grants on the board, beside pam_permit, pam_access, pam_unix and a module that does a bare SEQPACKET echo. All
// cases take turns in one run, each on a new PAM handle, and only pam_acct_mgmt is timed. Prints one table. Needs
// root (pam_unix reads /etc/shadow).
//
//   bench_account [ROUNDS]        default 1000
#include <fcntl.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "jitd/wire/board_writer.hpp"
#include "jitd/wire/check.hpp"

namespace {

using namespace jit::wire;
namespace fs = std::filesystem;

constexpr const char* kUser = "nobody";
constexpr const char* kLine = "services=sshd mode=enforce exempt=root timeout=50";

[[noreturn]] void die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

Clocks clocks() {
  timespec wall{};
  timespec boot{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  return {static_cast<std::int64_t>(wall.tv_sec) * 1000, static_cast<std::uint64_t>(boot.tv_sec) * 1000};
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

// An enforced gate on sshd for everybody; kUser holds one of the grants, also where there are 0 others.
std::string board(int grants) {
  BoardContent content;
  content.boot_id = boot_id();
  content.gates = {{"login", {"sshd"}, true, true, {}, {}, "Ask with: jitctl request"}};
  const Clocks now = clocks();
  for (int i = 0; i < std::max(grants, 1); ++i) {
    GrantOnBoard grant;
    grant.id = std::to_string(i);
    grant.id.insert(0, 16 - grant.id.size(), '0');
    grant.user = i == 0 ? kUser : "user" + std::to_string(i);
    grant.uid = 60000U + static_cast<std::uint32_t>(i);
    grant.not_after_ms = now.wall_ms + 86'400'000;
    grant.boot_deadline_ms = now.boot_ms + 86'400'000;
    grant.opens = {"login"};
    content.grants.push_back(grant);
  }
  auto bytes = make_board(content);
  if (!bytes) {
    std::fprintf(stderr, "%s\n", bytes.error().message.c_str());
    std::exit(1);
  }
  return *bytes;
}

// A process that answers each datagram on `path` by `answer`, until killed.
pid_t serve(const std::string& path, const std::function<std::size_t(std::span<std::byte>, std::size_t)>& answer) {
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ::unlink(path.c_str());
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 64) != 0)
    die(path);
  const pid_t pid = ::fork();
  if (pid < 0) die("fork");
  if (pid > 0) {
    ::close(listener);
    return pid;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::byte frame[kMaxCheckFrame];
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const ssize_t got = ::recv(fd, frame, sizeof frame, 0);
    if (got > 0) {
      const std::size_t size = answer(frame, static_cast<std::size_t>(got));
      (void)!::send(fd, frame, size, MSG_NOSIGNAL);
    }
    ::close(fd);
  }
}

// What jitd's check thread does with a frame.
std::size_t check(const std::string& bytes, std::span<std::byte> frame, std::size_t size) {
  const auto parsed = Frame::parse(frame.first(size));
  const auto query = parsed ? read_query(*parsed) : std::nullopt;
  const MemoryBoard source(std::as_bytes(std::span(bytes)));
  const auto view = BoardView::open(source);
  if (!query || !view) return 0;
  const std::uint32_t id = parsed->id();
  return make_answer(frame, id, answer(*view, *query, clocks())).size();
}

int converse(int count, const pam_message** /*messages*/, pam_response** responses, void* /*self*/) {
  *responses = static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  return PAM_SUCCESS;
}

struct Case {
  std::string name;
  std::string directory;  // its working directory: socket and board are found there
  std::string line;
  int rounds;
  std::vector<double> us = {};
};

void once(Case& each) {
  fs::current_path(each.directory);
  const pam_conv conversation{converse, nullptr};
  pam_handle_t* handle = nullptr;
  if (pam_start_confdir("sshd", kUser, &conversation, (each.directory + "/pam.d").c_str(), &handle) != PAM_SUCCESS)
    die(each.name);
  const auto start = std::chrono::steady_clock::now();
  const int code = pam_acct_mgmt(handle, 0);
  const auto end = std::chrono::steady_clock::now();
  pam_end(handle, code);
  if (code != PAM_SUCCESS) {
    std::fprintf(stderr, "%s: %s\n", each.name.c_str(), pam_strerror(nullptr, code));
    std::exit(1);
  }
  each.us.push_back(std::chrono::duration<double, std::micro>(end - start).count());
}

double percentile(const Case& each, double part) {
  const auto at = static_cast<std::size_t>(part * static_cast<double>(each.us.size() - 1));
  return each.us[at];
}

}  // namespace

int main(int argc, char* argv[]) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1000;
  std::string root = "/tmp/jit-bench-XXXXXX";
  if (rounds < 1 || ::mkdtemp(root.data()) == nullptr) die("bench_account");
  std::vector<pid_t> children;
  std::vector<Case> cases;

  const auto place = [&](const std::string& name, const std::string& line, int times) {
    const std::string directory = root + "/" + std::to_string(cases.size());
    fs::create_directories(directory + "/pam.d");
    std::ofstream(directory + "/pam.d/sshd") << "account required " << line << "\n";
    std::ofstream(directory + "/pam.d/other") << "account required pam_deny.so\n";
    cases.push_back({name, directory, line, times});
    return directory;
  };
  const auto jit = [&](const std::string& name, int grants, int times) {
    const std::string directory =
        place(name + ", " + std::to_string(grants) + " grants", std::string(PAM_JIT_BENCH) + " " + kLine, times);
    fs::copy_file("/etc/passwd", directory + "/passwd");
    fs::copy_file("/etc/group", directory + "/group");
    std::ofstream(directory + "/boot_id") << boot_id() << "\n";
    std::ofstream(directory + "/board") << board(grants);
    return directory;
  };

  place("pam_permit", "pam_permit.so", rounds);
  place("pam_access", "pam_access.so", rounds);
  place("pam_unix", "pam_unix.so", rounds);
  const std::string echo = place("bare SEQPACKET echo", PAM_ECHO_BENCH, rounds);
  children.push_back(serve(echo + "/echo.sock", [](std::span<std::byte>, std::size_t size) { return size; }));
  for (const int grants : {0, 1000, 10000}) {
    const std::string directory = jit("pam_jit, jitd answering", grants, rounds);
    const std::string bytes = board(grants);
    children.push_back(serve(directory + "/check.sock", [&](std::span<std::byte> frame, std::size_t size) {
      return check(bytes, frame, size);
    }));
  }
  for (const int grants : {0, 1000, 10000}) (void)jit("pam_jit, jitd dead", grants, rounds);
  for (const int grants : {0, 1000, 10000}) {
    const std::string directory = jit("pam_jit, jitd stopped (timeout=50)", grants, std::min(rounds, 40));
    const pid_t stopped =
        serve(directory + "/check.sock", [](std::span<std::byte>, std::size_t size) { return size; });
    ::kill(stopped, SIGSTOP);
    children.push_back(stopped);
  }

  for (int i = 0; i < rounds; ++i)
    for (Case& each : cases)
      if (i < each.rounds) once(each);

  for (Case& each : cases) std::sort(each.us.begin(), each.us.end());
  const double permit = percentile(cases[0], 0.5);
  const double unix_phase = percentile(cases[2], 0.5);
  const double bare = percentile(cases[3], 0.5);
  std::printf("account phase, %d rounds          p50 us    p99 us   x permit     x unix     x echo\n", rounds);
  for (const Case& each : cases) {
    const double middle = percentile(each, 0.5);
    std::printf("%-48s %9.1f %9.1f %10.2f %10.2f %10.2f\n", each.name.c_str(), middle, percentile(each, 0.99),
                middle / permit, middle / unix_phase, middle / bare);
  }
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  fs::current_path("/");
  fs::remove_all(root);
  return 0;
}
