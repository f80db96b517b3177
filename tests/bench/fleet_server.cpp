#include "tests/bench/fleet_server.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "policy/sources.hpp"

namespace fleet {
namespace {

using std::chrono::milliseconds;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What stands behind these words.
std::string after(const std::string& text, const std::string& words) {
  const auto at = text.find(words);
  return at == std::string::npos ? std::string() : text.substr(at + words.size());
}

// The number behind a word that begins a line, "VmRSS:".
double number_after(const std::string& text, const std::string& word) {
  const auto at = text.find("\n" + word);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + 1 + word.size(), nullptr);
}

double seconds_of(pid_t pid) {
  const std::string text = text_of("/proc/" + std::to_string(pid) + "/stat");
  const auto end = text.rfind(')');
  if (end == std::string::npos) return 0;
  std::istringstream words(text.substr(end + 2));
  std::string word;
  double ticks = 0;
  for (int i = 3; i <= 15 && words >> word; ++i)
    if (i >= 14) ticks += std::strtod(word.c_str(), nullptr);
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

double Figures::all_asked() const {
  double sum = 0;
  for (const auto& [method, count] : asked) sum += count;
  return sum;
}

Server::Server(std::vector<std::string> command, const std::string& metrics, std::string interface, std::string log)
    : command_(std::move(command)),
      url_(metrics + "/metrics"),
      interface_(std::move(interface)),
      log_(std::move(log)) {
  auto spec = jit::parse_source_url(metrics + "/");
  auto http = spec ? jit::Http::make(*spec) : jit::Result<std::unique_ptr<jit::Http>>(tl::unexpected(spec.error()));
  if (!http) {
    std::fprintf(stderr, "fleet: %s\n", http.error().message.c_str());
    std::exit(1);
  }
  http_ = std::move(*http);
}

void Server::start() {
  pid_ = ::fork();
  if (pid_ != 0) return;
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  (void)::dup2(log, STDOUT_FILENO);
  (void)::dup2(log, STDERR_FILENO);
  std::vector<char*> words;
  for (std::string& word : command_) words.push_back(word.data());
  words.push_back(nullptr);
  (void)::execvp(words[0], words.data());
  ::_exit(127);
}

void Server::kill() {
  if (pid_ <= 0) return;
  (void)::kill(pid_, SIGKILL);
  (void)::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

std::string Server::metrics() {
  jit::HttpRequest request;
  request.url = url_;
  request.max_body = std::size_t{8} << 20;
  auto response = http_->perform(request);
  return response && response->status == 200 ? "\n" + response->body : std::string();
}

bool Server::answers(double within) {
  for (double waited = 0; waited < within; waited += 0.02) {
    if (number_after(metrics(), "etcd_server_has_leader ") > 0) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

double Server::watchers() {
  return number_after(metrics(), "etcd_debugging_mvcc_watcher_total ");
}

Figures Server::figures() {
  Figures now;
  std::string text = metrics();
  for (int tries = 1; text.empty() && tries < 20; ++tries) {
    std::this_thread::sleep_for(milliseconds(100));
    text = metrics();
  }
  if (text.empty()) std::fprintf(stderr, "fleet: etcd tells no metrics: what is counted below is wrong\n");
  now.watchers = number_after(text, "etcd_debugging_mvcc_watcher_total ");
  now.database = number_after(text, "etcd_mvcc_db_total_size_in_use_in_bytes ");
  now.fsyncs = number_after(text, "etcd_disk_wal_fsync_duration_seconds_count ");
  now.fsync_seconds = number_after(text, "etcd_disk_wal_fsync_duration_seconds_sum ");
  // grpc_server_started_total{grpc_method="Range",grpc_service=...} 12
  constexpr std::string_view kStarted = "\ngrpc_server_started_total{grpc_method=\"";
  for (auto at = text.find(kStarted); at != std::string::npos; at = text.find(kStarted, at + 1)) {
    const auto from = at + kStarted.size(), to = text.find('"', from), value = text.find("} ", to);
    if (value == std::string::npos) break;
    now.asked[text.substr(from, to - from)] += std::strtod(text.c_str() + value + 2, nullptr);
  }
  const std::string process = "/proc/" + std::to_string(pid_);
  now.cpu = seconds_of(pid_);
  const std::string status = text_of(process + "/status");
  now.memory = static_cast<std::uint64_t>(number_after(status, "VmRSS:") * 1024);
  now.peak = static_cast<std::uint64_t>(number_after(status, "VmHWM:") * 1024);
  return now;
}

void Server::forget_peak() {
  std::ofstream("/proc/" + std::to_string(pid_) + "/clear_refs") << "5";
}

Server::Traffic Server::traffic() const {
  // bytes, packets and six others that came in, the same of what went out
  std::istringstream counts(after(text_of("/proc/self/net/dev"), interface_ + ":"));
  std::array<double, 10> values{};
  for (double& value : values) counts >> value;
  return {values[0] + values[8], values[1] + values[9]};
}

double cpu_of(const std::vector<pid_t>& processes) {
  double sum = 0;
  for (const pid_t pid : processes) sum += seconds_of(pid);
  return sum;
}

std::uint64_t memory_of(const std::vector<pid_t>& processes) {
  double sum = 0;
  for (const pid_t pid : processes)
    sum += number_after(text_of("/proc/" + std::to_string(pid) + "/smaps_rollup"), "Pss:") * 1024;
  return static_cast<std::uint64_t>(sum);
}

unsigned connections_to(unsigned port) {
  std::ifstream file("/proc/self/net/tcp");
  char wanted[16];
  (void)std::snprintf(wanted, sizeof wanted, ":%04X", port);
  unsigned count = 0;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    if (words >> number >> local >> remote >> state && state == "01" && remote.ends_with(wanted)) ++count;
  }
  return count;
}

}  // namespace fleet
