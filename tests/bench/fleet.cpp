// Many hosts on one etcd: what they cost it, how soon a document is there, and what happens when all of them come
// back at once. Prints a table and asserts nothing. tests/bench/fleet.sh makes the network and the folders that it
// needs.
//
//   fleet HOSTS FOLDER URL METRICS INTERFACE [KEY=VALUE]... -- COMMAND...
//
// FOLDER is empty and on a tmpfs, URL the source as hosts have it, METRICS etcd's own as http://HOST:PORT, INTERFACE
// what all hosts go through, COMMAND etcd in the foreground. KEY: ca=FILE; auth=1: each host logs in as itself;
// posts=N: documents to hosts by chance, 0.05 s between two; idle=SECONDS; down=SECONDS: how long etcd is away;
// start=SECONDS: within which hosts begin, by default all at once; process=N: hosts in a process.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "jitd/sync/etcd_admin.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/signature.hpp"
#include "policy/document/verify.hpp"
#include "tests/bench/fleet_hosts.hpp"
#include "tests/bench/fleet_server.hpp"

using namespace fleet;

namespace {

constexpr double kMiB = 1024.0 * 1024, kKiB = 1024.0;
constexpr double kTooLong = 600;  // seconds that anything is waited for
constexpr std::uint32_t kEverybody = UINT32_MAX;
constexpr std::size_t kBoxes = 2;  // watches of a host

struct Options {
  unsigned hosts = 0;
  std::string folder, url, metrics, interface;
  std::map<std::string, std::string> keys;
  std::vector<std::string> command;
  [[nodiscard]] double number(const std::string& key, double otherwise) const {
    const auto found = keys.find(key);
    return found == keys.end() ? otherwise : std::strtod(found->second.c_str(), nullptr);
  }
};

template <class... Values>
void row(std::string_view what, fmt::format_string<Values...> format, Values&&... values) {
  fmt::print("{:<52} {}\n", what, fmt::format(format, std::forward<Values>(values)...));
  (void)std::fflush(stdout);
}

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "fleet: %s\n", what.c_str());
  std::exit(1);
}
template <class T>
T must(jit::Result<T> result, const std::string& what) {
  if (!result) give_up(what + ": " + result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double since(std::int64_t then) {
  return static_cast<double>(now_ns() - then) / 1e9;
}
void rest(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}
// Of a sorted list.
double at(const std::vector<double>& sorted, double part) {
  if (sorted.empty()) return -1;
  const auto i = static_cast<std::size_t>(part * static_cast<double>(sorted.size()));
  return sorted[std::min(i, sorted.size() - 1)];
}

class Bench {
 public:
  explicit Bench(const Options& options);
  void run();

 private:
  struct Sent {
    std::int64_t at = 0;
    std::uint32_t host = kEverybody;
    bool repeated = false;  // etcd was away when it was sent first
  };
  [[nodiscard]] jit::SourceSpec spec(const std::string& user, const std::string& password_file) const;
  [[nodiscard]] jit::SourceSpec approver_spec() const {
    return spec(config_.spec.path + "/approver/carol", options_.folder + "/carol.password");
  }
  void write_password(const std::string& path, const std::string& password) const;
  void make_accounts();
  [[nodiscard]] std::string document(std::uint32_t number, std::uint32_t host);
  void send(std::uint32_t host);
  // Until so many watches are open; when half, 99 % and all were, in seconds since `from`.
  [[nodiscard]] std::vector<double> wait_for_watches(std::int64_t from);
  void wait_for_documents();
  [[nodiscard]] std::size_t expected() const;
  [[nodiscard]] std::vector<double> delays(std::uint32_t first, bool since_first) const;
  void connect();
  void idle();
  void look();
  void posts();
  void mass(const char* what, bool segment);
  void storm();
  void check() const;

  Options options_;
  HostsConfig config_;
  Board board_;
  Server server_;
  jit::SigningKey key_;
  std::unique_ptr<jit::Mailbox> approver_;
  std::unique_ptr<Hosts> hosts_;
  std::vector<Sent> sent_;
  std::minstd_rand random_{1};
  std::int64_t connected_at_ = 0;
};

HostsConfig hosts_config(const Options& options) {
  HostsConfig config;
  config.hosts = options.hosts;
  config.per_process = static_cast<unsigned>(options.number("process", 500));
  config.start = std::chrono::milliseconds(static_cast<std::int64_t>(options.number("start", 0) * 1000));
  config.folder = options.folder;
  config.spec = must(jit::parse_source_url(options.url), options.url);
  config.spec.name = "fleet";
  if (const auto ca = options.keys.find("ca"); ca != options.keys.end()) config.spec.ca = ca->second;
  if (options.number("auth", 0) > 0) config.spec.user = "host";
  return config;
}

Bench::Bench(const Options& options)
    : options_(options),
      config_(hosts_config(options)),
      board_(std::size_t{8} * options.hosts + 8 * static_cast<std::size_t>(options.number("posts", 400)) + 1000),
      server_(options.command, options.metrics, options.interface, options.folder + "/etcd.log"),
      key_(must(jit::SigningKey::generate(), "a key")) {}

jit::SourceSpec Bench::spec(const std::string& user, const std::string& password_file) const {
  jit::SourceSpec spec = config_.spec;
  spec.user = spec.user.empty() ? "" : user;
  spec.password_file = spec.user.empty() ? "" : password_file;
  return spec;
}

void Bench::write_password(const std::string& path, const std::string& password) const {
  const jit::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) give_up("cannot write " + path);
  must(jit::write_at(jit::system_files(), file.get(), password + "\n", 0, path), path);
}

// As jitctl source init makes them, by the same code.
void Bench::make_accounts() {
  static const jit::SystemClock clock;
  const std::int64_t from = now_ns();
  const std::string root = options_.folder + "/root.password", carol = options_.folder + "/carol.password";
  write_password(root, "root's");
  write_password(carol, "carol's");
  const auto client = must(jit::etcd::make_client(spec("", ""), clock), "etcd");
  jit::etcd::Admin admin(*client, [](const std::string&) {});
  const auto approver = must(jit::etcd::approver_account(client->spec(), "carol"), "carol");
  must(admin.make(approver, "carol's"), "carol");
  for (unsigned host = 0; host < options_.hosts; ++host) {
    const std::string name = host_name(host), password = "password of " + name;
    write_password(options_.folder + "/" + name + "/password", password);
    must(admin.make(must(jit::etcd::host_account(client->spec(), name, {kSegment}), name), password), name);
  }
  must(admin.enable_auth("root's"), "authentication");
  row("accounts: each host's user, role and permissions made", "{:.1f} ms a host",
      since(from) * 1000 / options_.hosts);
}

// A signed revocation of no grant that there is.
std::string Bench::document(std::uint32_t number, std::uint32_t host) {
  jit::Revocation revocation;
  if (host == kEverybody)
    revocation.segments = {kSegment};
  else
    revocation.hosts = {host_name(host)};
  revocation.created = jit::WallTime(jit::Seconds(::time(nullptr)));
  revocation.reason = kMark + std::to_string(number);
  revocation.grants = {jit::sha256("no grant")};
  revocation.nonce = jit::make_nonce();
  const std::string payload = jit::to_payload(revocation);
  return jit::to_text(jit::Envelope{payload, {must(key_.sign(payload, "jit-revocation"), "a signature")}});
}

void Bench::send(std::uint32_t host) {
  const auto number = static_cast<std::uint32_t>(sent_.size());
  const std::string bytes = document(number, host);
  const std::string name = must(jit::name_of_document(bytes), "a name");
  const auto box =
      must(host == kEverybody ? jit::Box::to_segment(kSegment) : jit::Box::to_host(host_name(host)), "a box");
  const jit::WallTime until(jit::Seconds(::time(nullptr) + 14 * 86400));
  sent_.push_back({now_ns(), host, false});
  const std::int64_t from = now_ns();
  for (;;) {
    const auto put = approver_->put(box, name, bytes, until);
    if (put) return;
    sent_.back().repeated = true;
    if (since(from) > kTooLong) give_up("a document is not taken: " + put.error().message);
    rest(0.1);
  }
}

std::vector<double> Bench::wait_for_watches(std::int64_t from) {
  const auto all = static_cast<double>(kBoxes * options_.hosts);
  std::vector<double> when;
  for (const double part : {0.5, 0.99, 1.0}) {
    while (server_.watchers() < part * all) {
      if (since(from) > kTooLong) return when.resize(3, -1), when;
      rest(0.1);
    }
    when.push_back(since(from));
  }
  return when;
}

std::size_t Bench::expected() const {
  std::size_t sum = 0;
  for (const Sent& one : sent_) sum += one.host == kEverybody ? options_.hosts : 1;
  return sum;
}

void Bench::wait_for_documents() {
  const std::int64_t from = now_ns();
  while (board_.arrived() < expected() && since(from) < kTooLong) rest(0.02);
}

// Sorted, in seconds: of the documents from `first` on, since each was sent or since the first was.
std::vector<double> Bench::delays(std::uint32_t first, bool since_first) const {
  std::vector<double> all;
  for (std::size_t i = 0; i < board_.arrived(); ++i) {
    const auto& one = board_.arrival(i);
    const std::int64_t came = one.at.load(std::memory_order_acquire);
    if (came == 0 || one.document < first || one.document >= sent_.size()) continue;
    all.push_back(static_cast<double>(came - sent_[since_first ? first : one.document].at) / 1e9);
  }
  std::sort(all.begin(), all.end());
  return all;
}

void Bench::connect() {
  const Figures before = server_.figures();
  const std::int64_t from = now_ns();
  hosts_ = std::make_unique<Hosts>(config_, board_);
  const auto when = wait_for_watches(from);
  connected_at_ = now_ns();
  const Figures after = server_.figures();
  const double hosts = options_.hosts, processes = cpu_of(hosts_->processes());
  row("hosts start: half, 99 %, all watch after", "{:.1f} s, {:.1f} s, {:.1f} s (within {:.0f} s)", when[0], when[1],
      when[2], options_.number("start", 0));
  row("  CPU a host until then: of etcd, of the host", "{:.2f} ms, {:.2f} ms",
      (after.cpu - before.cpu) * 1000 / hosts, processes * 1000 / hosts);
  row("  asked of etcd a host", "{:.1f}", (after.all_asked() - before.all_asked()) / hosts);
  rest(5);
  const Figures settled = server_.figures();
  const unsigned connections =
      connections_to(static_cast<unsigned>(std::atoi(options_.url.c_str() + options_.url.rfind(':') + 1)));
  row("connections, watches a host", "{:.2f}, {:.2f}", connections / hosts, settled.watchers / hosts);
  row("etcd's memory: empty, with all hosts, a host", "{:.0f} MiB, {:.0f} MiB, {:.1f} KiB",
      static_cast<double>(before.memory) / kMiB, static_cast<double>(settled.memory) / kMiB,
      (static_cast<double>(settled.memory) - static_cast<double>(before.memory)) / kKiB / hosts);
  row("a simulated host's memory", "{:.0f} KiB", static_cast<double>(memory_of(hosts_->processes())) / kKiB / hosts);
}

void Bench::idle() {
  const double seconds = options_.number("idle", 60);
  if (seconds <= 0) return;
  const Figures before = server_.figures();
  const auto traffic = server_.traffic();
  const double busy = cpu_of(hosts_->processes());
  const std::int64_t from = now_ns();
  rest(seconds);
  const auto later = server_.traffic();
  const Figures after = server_.figures();
  const double host_minutes = options_.hosts * since(from) / 60;
  const double asked = after.all_asked() - before.all_asked();
  row("idle, a host: requests, bytes, packets a minute", "{:.2f}, {:.0f}, {:.1f}", asked / host_minutes,
      (later.bytes - traffic.bytes) / host_minutes, (later.packets - traffic.packets) / host_minutes);
  for (const auto& [method, count] : after.asked) {
    const auto earlier = before.asked.find(method);
    const double more = count - (earlier == before.asked.end() ? 0 : earlier->second);
    if (more > 0) row("  " + method, "{:.2f} a minute and host", more / host_minutes);
  }
  row("  CPU of etcd: of one core, a request", "{:.1f} %, {:.0f} us", (after.cpu - before.cpu) / since(from) * 100,
      (after.cpu - before.cpu) * 1e6 / std::max(asked, 1.0));
  row("  CPU of a host", "{:.1f} ms a minute", (cpu_of(hosts_->processes()) - busy) * 1000 / host_minutes);
}

// What jitctl pending --watch does for somebody who approves for all hosts.
void Bench::look() {
  std::vector<jit::Box> boxes;
  std::size_t items = 0;
  const std::int64_t from = now_ns();
  for (unsigned host = 0; host < options_.hosts; ++host) {
    boxes.push_back(must(jit::Box::from_host(host_name(host)), "a box"));
    const auto count = [&](const jit::Item&) { return ++items > 0; };
    while (!approver_->list(boxes.back(), count) && since(from) < kTooLong) rest(0.1);
  }
  const double read = since(from);
  const std::clock_t busy = std::clock();
  if (const auto waited = approver_->wait(boxes, -1, std::chrono::seconds(5), true); !waited)
    row("  cannot watch them all", "{}", waited.error().message);
  row("an approver lists from/ of all hosts, one by one", "{:.1f} s, {:.2f} ms each ({} documents)", read,
      read * 1000 / options_.hosts, items);
  row("  and watches them all: CPU of jitctl", "{:.2f} s", static_cast<double>(std::clock() - busy) / CLOCKS_PER_SEC);
  // Another mailbox, since this one would go on watching.
  approver_ = must(jit::make_mailbox(approver_spec()), "a mailbox");
}

void Bench::posts() {
  const auto count = static_cast<unsigned>(options_.number("posts", 400));
  if (count == 0) return;
  const auto first = static_cast<std::uint32_t>(sent_.size());
  std::vector<double> put;
  for (unsigned i = 0; i < count; ++i) {
    const auto host = static_cast<std::uint32_t>(random_() % options_.hosts);
    const std::int64_t from = now_ns();
    send(host);
    put.push_back(since(from));
    rest(0.05);
  }
  wait_for_documents();
  std::sort(put.begin(), put.end());
  const auto all = delays(first, false);
  row("a document to one host while all watch: sent to inbox", "p50 {:.1f} ms, p99 {:.1f} ms, most {:.1f} ms ({})",
      at(all, 0.5) * 1000, at(all, 0.99) * 1000, at(all, 1) * 1000, all.size());
  row("  of that until etcd has it", "p50 {:.1f} ms, p99 {:.1f} ms", at(put, 0.5) * 1000, at(put, 0.99) * 1000);
}

void Bench::mass(const char* what, bool segment) {
  const Figures before = server_.figures();
  server_.forget_peak();
  const double busy = cpu_of(hosts_->processes());
  const auto first = static_cast<std::uint32_t>(sent_.size());
  const std::int64_t from = now_ns();
  if (segment)
    send(kEverybody);
  else
    for (unsigned host = 0; host < options_.hosts; ++host) send(host);
  const double sent = since(from);
  wait_for_documents();
  const auto all = delays(first, true);
  const Figures after = server_.figures();
  const double hosts = options_.hosts;
  row(what, "{:.2f} s, {:.2f} s, {:.2f} s ({})", at(all, 0.5), at(all, 0.99), at(all, 1), all.size());
  row("  sent within, asked of etcd a host, etcd's peak", "{:.2f} s, {:.1f}, {:.0f} MiB", sent,
      (after.all_asked() - before.all_asked()) / hosts, static_cast<double>(after.peak) / kMiB);
  if (!segment) row("  etcd's database grew by", "{:.0f} bytes a host", (after.database - before.database) / hosts);
  row("  CPU: of etcd, of all hosts", "{:.1f} s, {:.1f} s ({:.2f} ms, {:.2f} ms a host)", after.cpu - before.cpu,
      cpu_of(hosts_->processes()) - busy, (after.cpu - before.cpu) * 1000 / hosts,
      (cpu_of(hosts_->processes()) - busy) * 1000 / hosts);
}

// What was sent just before and as soon as it is back is there after it, too.
void Bench::storm() {
  const auto first = static_cast<std::uint32_t>(sent_.size());
  const unsigned each = std::min(options_.hosts, 50U);
  for (unsigned i = 0; i < each; ++i) send(static_cast<std::uint32_t>(random_() % options_.hosts));
  server_.kill();
  const double busy = cpu_of(hosts_->processes()), down = options_.number("down", 5);
  rest(down);
  const std::int64_t from = now_ns();
  server_.start();
  if (!server_.answers(kTooLong)) give_up("etcd does not come back");
  const double up = since(from);
  for (unsigned i = 0; i < each; ++i) send(static_cast<std::uint32_t>(random_() % options_.hosts));
  const auto when = wait_for_watches(from);
  const Figures after = server_.figures();
  wait_for_documents();
  const double hosts = options_.hosts;
  row("etcd killed, started again: it answers after", "{:.1f} s (away for {:.0f} s before)", up, down);
  row("  half, 99 %, all watch again after", "{:.1f} s, {:.1f} s, {:.1f} s", when[0], when[1], when[2]);
  row("  asked of etcd a host, its peak", "{:.1f}, {:.0f} MiB", after.all_asked() / hosts,
      static_cast<double>(after.peak) / kMiB);
  for (const auto& [method, count] : after.asked)
    if (count >= hosts / 10) row("    " + method, "{:.2f} a host", count / hosts);
  row("  CPU a host: of etcd, of the host", "{:.2f} ms, {:.2f} ms", after.cpu * 1000 / hosts,
      (cpu_of(hosts_->processes()) - busy) * 1000 / hosts);
  double last = 0;  // since both etcd and the document were there
  for (std::size_t i = 0; i < board_.arrived(); ++i) {
    const auto& one = board_.arrival(i);
    if (one.document < first || one.document >= sent_.size()) continue;
    last = std::max(last, static_cast<double>(one.at.load() - std::max(sent_[one.document].at, from)) / 1e9);
  }
  row("  a document sent around it came after at most", "{:.1f} s", last);
}

void Bench::check() const {
  std::map<std::pair<std::uint32_t, std::uint32_t>, unsigned> came;
  std::size_t twice = 0, wrong = 0, repeated = 0;
  for (std::size_t i = 0; i < board_.arrived(); ++i) {
    const auto& one = board_.arrival(i);
    const bool right = one.document < sent_.size() &&
                       (sent_[one.document].host == kEverybody || sent_[one.document].host == one.host);
    if (!right) ++wrong;
    if (right && ++came[{one.document, one.host}] > 1) ++twice;
  }
  for (const Sent& one : sent_) repeated += one.repeated ? 1 : 0;
  row("documents to inboxes: due, lost, twice, to another", "{}, {}, {}, {} ({} put again)", expected(),
      expected() - came.size(), twice, wrong, repeated);
}

void Bench::run() {
  Hosts::prepare(config_);
  server_.start();
  if (!server_.answers(60)) give_up("etcd does not start: " + options_.folder + "/etcd.log");
  if (!config_.spec.user.empty()) make_accounts();
  approver_ = must(jit::make_mailbox(approver_spec()), "a mailbox");
  row("hosts", "{}", options_.hosts);
  connect();
  idle();
  look();
  posts();
  mass("revocation in every to/HOST: half, 99 %, all have it", false);
  mass("revocation in to/segment, read by all: the same", true);
  storm();
  const Figures end = server_.figures();
  if (end.fsyncs > 0)
    row("fsync of etcd's log on this disk", "{:.1f} ms on average", end.fsync_seconds * 1000 / end.fsyncs);
  row("passes, of which went wrong", "{}, {}", board_.counts().passes.load(), board_.counts().errors.load());
  check();
}

Options options_of(const std::vector<std::string>& words) {
  Options options;
  std::size_t i = 5;
  if (words.size() < 7) give_up("HOSTS FOLDER URL METRICS INTERFACE [KEY=VALUE]... -- COMMAND...");
  options.hosts = static_cast<unsigned>(std::strtoul(words[0].c_str(), nullptr, 10));
  options.folder = words[1];
  options.url = words[2];
  options.metrics = words[3];
  options.interface = words[4];
  for (; i < words.size() && words[i] != "--"; ++i) {
    const auto equals = words[i].find('=');
    options.keys[words[i].substr(0, equals)] = equals == std::string::npos ? "1" : words[i].substr(equals + 1);
  }
  if (i < words.size()) options.command.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
  if (options.hosts == 0 || options.command.empty()) give_up("HOSTS and COMMAND are missing");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  Bench bench(options_of({argv + 1, argv + argc}));
  bench.run();
  return 0;
}
