#include "tests/bench/fleet_hosts.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <new>
#include <random>
#include <thread>

#include "jitd/sync/courier.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/signature.hpp"
#include "policy/document/verify.hpp"

namespace fleet {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kStack = std::size_t{256} << 10;  // bytes
// As in jitd/sync/daemon/worker.cpp, whose turn this is without its files of state.
constexpr milliseconds kLeastPause{50}, kMostPause{10'000}, kMostWait{300'000};

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "fleet: %s\n", what.c_str());
  std::exit(1);
}

class Host {
 public:
  Host(const HostsConfig& config, Board& board, unsigned number);
  void turn();
  [[noreturn]] void run() {
    sleep(milliseconds(std::uniform_int_distribution<std::int64_t>(0, config_.start.count())(random_)));
    for (;;) turn();
  }

 private:
  void empty_inbox();
  void beat();
  void sleep(milliseconds time) const {
    if (time > milliseconds(0)) std::this_thread::sleep_for(time);
  }
  [[nodiscard]] milliseconds until_beat() const {
    return std::max(milliseconds((beat_at_ - now_ns()) / 1'000'000 + 1), milliseconds(0));
  }

  const HostsConfig& config_;
  Board& board_;
  unsigned number_;
  std::string folder_, alive_;
  jit::SystemClock clock_;
  jit::Seen seen_;
  std::unique_ptr<jit::Mailbox> mailbox_;
  std::unique_ptr<jit::Courier> courier_;
  jit::Backoff backoff_;
  std::minstd_rand random_;
  std::int64_t beat_at_ = 0;  // now_ns()
  bool read_ = false;
};

Host::Host(const HostsConfig& config, Board& board, unsigned number)
    : config_(config),
      board_(board),
      number_(number),
      folder_(config.folder + "/" + host_name(number)),
      random_(number + 1) {
  auto alive = jit::read_file(folder_ + "/outbox/alive.jit", jit::kMaxDocument);
  if (!alive) give_up(alive.error().message);
  alive_ = std::move(*alive);
  jit::SourceSpec spec = config.spec;
  if (!spec.user.empty()) {
    spec.user = spec.path + "/host/" + host_name(number);
    spec.password_file = folder_ + "/password";
  }
  auto mailbox = jit::make_mailbox(spec);
  if (!mailbox) give_up(mailbox.error().message);
  mailbox_ = std::move(*mailbox);
  jit::Courier::Config courier{{host_name(number), {kSegment}, {}}, folder_ + "/inbox", folder_ + "/outbox"};
  courier_ = std::make_unique<jit::Courier>(std::move(courier), *mailbox_, seen_, clock_);
  const auto phase = std::uniform_int_distribution<std::int64_t>(0, config.heartbeat.count())(random_);
  beat_at_ = now_ns() + phase * 1'000'000;
}

// What jitd does with what came: it is gone from there at once.
void Host::empty_inbox() {
  auto folder = jit::open_dir(folder_ + "/inbox");
  const auto names = folder ? jit::list_dir(folder->get()) : jit::Result<std::vector<std::string>>();
  if (!folder || !names) return;
  for (const std::string& name : *names) {
    const auto text = jit::read_file_at(folder->get(), name, jit::kMaxDocument);
    const auto at = text ? text->find(kMark) : std::string::npos;
    std::uint32_t document = 0;
    if (at != std::string::npos) {
      const char* from = text->data() + at + std::string_view(kMark).size();
      std::from_chars(from, text->data() + text->size(), document);
    }
    board_.note(document, number_);
    (void)::unlinkat(folder->get(), name.c_str(), 0);
  }
}

// A heartbeat of the same size as jitd's; by rename, as jitd writes it.
void Host::beat() {
  if (until_beat() > milliseconds(0)) return;
  beat_at_ += config_.heartbeat.count() * 1'000'000;
  auto outbox = jit::open_dir(folder_ + "/outbox");
  if (outbox)
    (void)jit::replace_file(jit::system_files(), outbox->get(), "alive.jit", alive_, {0640, ::geteuid(), ::getegid()},
                            false);
}

void Host::turn() {
  beat();
  const auto started = std::chrono::steady_clock::now();
  const jit::Courier::Pass pass = courier_->pass();
  const auto ended = std::chrono::steady_clock::now();
  const auto took = std::chrono::duration_cast<milliseconds>(ended - started);
  board_.counts().passes.fetch_add(1, std::memory_order_relaxed);
  if (pass.taken > 0) empty_inbox();
  if (pass.error) {
    board_.counts().errors.fetch_add(1, std::memory_order_relaxed);
    return sleep(backoff_.next());
  }
  backoff_.reset();
  if (!std::exchange(read_, true)) board_.counts().read.fetch_add(1);
  const milliseconds most = std::min(until_beat(), pass.again.value_or(kMostWait));
  if (most > milliseconds(0)) {
    const auto waited = mailbox_->wait(courier_->boxes(), -1, std::min(most, kMostWait), pass.pending);
    if (!waited) {
      board_.counts().errors.fetch_add(1, std::memory_order_relaxed);
      return sleep(backoff_.next());
    }
  }
  const auto since = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - ended);
  sleep(std::clamp(took, kLeastPause, kMostPause) - since);
}

void* run_host(void* host) {
  static_cast<Host*>(host)->run();
}

[[noreturn]] void run_process(const HostsConfig& config, Board& board, unsigned first, unsigned end) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pthread_attr_t attributes;
  (void)::pthread_attr_init(&attributes);
  (void)::pthread_attr_setstacksize(&attributes, kStack);
  for (unsigned number = first; number < end; ++number) {
    pthread_t thread{};
    auto host = std::make_unique<Host>(config, board, number);
    if (::pthread_create(&thread, &attributes, run_host, host.release()) != 0) give_up("no more threads");
  }
  for (;;) ::pause();
}

void write(const std::string& path, const std::string& text) {
  const jit::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!file || !jit::write_at(jit::system_files(), file.get(), text, 0, path)) give_up("cannot write " + path);
}

}  // namespace

std::string host_name(unsigned host) {
  return "h" + std::to_string(host);
}

std::int64_t now_ns() noexcept {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Board::Board(std::size_t capacity)
    : capacity_(capacity),
      size_(sizeof(Counts) + capacity * sizeof(Arrival)),
      memory_(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
  if (memory_ == MAP_FAILED) give_up("no memory for what arrives");
  counts_ = new (memory_) Counts;
  arrivals_ = new (static_cast<char*>(memory_) + sizeof(Counts)) Arrival[capacity];
}

Board::~Board() {
  (void)::munmap(memory_, size_);
}

void Board::note(std::uint32_t document, std::uint32_t host) noexcept {
  const auto i = counts_->arrivals.fetch_add(1);
  if (i >= capacity_) return;
  arrivals_[i].document = document;
  arrivals_[i].host = host;
  arrivals_[i].at.store(now_ns(), std::memory_order_release);
}

std::size_t Board::arrived() const noexcept {
  return std::min<std::size_t>(counts_->arrivals.load(), capacity_);
}

void Hosts::prepare(const HostsConfig& config) {
  const auto key = jit::SigningKey::generate();
  if (!key) give_up(key.error().message);
  jit::EventDocument alive;
  alive.host_key = jit::fingerprint(key->public_key());
  alive.sequence = 1234;
  alive.created = jit::WallTime(jit::Seconds(::time(nullptr)));
  alive.entry = 12345;
  alive.head = jit::sha256("head");
  alive.policy = alive.machine = jit::digest_text(jit::sha256("policy"));
  alive.what = "alive";
  alive.nonce = jit::make_nonce();
  for (unsigned number = 0; number < config.hosts; ++number) {
    const std::string folder = config.folder + "/" + host_name(number);
    for (const char* sub : {"", "/inbox", "/outbox"})
      if (::mkdir((folder + sub).c_str(), 0750) != 0) give_up("cannot make " + folder + sub);
    alive.host = host_name(number);
    const std::string payload = jit::to_payload(alive);
    const auto signature = key->sign(payload, "jit-event");
    if (!signature) give_up(signature.error().message);
    write(folder + "/outbox/alive.jit", jit::to_text(jit::Envelope{payload, {*signature}}));
    write(folder + "/outbox/host", "host " + host_name(number) + "\nsegment " + kSegment + "\n");
  }
}

Hosts::Hosts(const HostsConfig& config, Board& board) {
  for (unsigned first = 0; first < config.hosts; first += config.per_process) {
    const pid_t pid = ::fork();
    if (pid < 0) give_up("cannot fork");
    if (pid == 0) run_process(config, board, first, std::min(first + config.per_process, config.hosts));
    processes_.push_back(pid);
  }
}

Hosts::~Hosts() {
  for (const pid_t pid : processes_) (void)::kill(pid, SIGKILL);
  for (const pid_t pid : processes_) (void)::waitpid(pid, nullptr, 0);
}

}  // namespace fleet
