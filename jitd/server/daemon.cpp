#include "jitd/server/daemon.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "jitd/core/deliveries.hpp"
#include "jitd/core/engine.hpp"
#include "jitd/core/host_effector.hpp"
#include "jitd/core/line_budget.hpp"
#include "jitd/core/open_store.hpp"
#include "jitd/core/system_host_facts.hpp"
#include "jitd/effects/own_units.hpp"
#include "jitd/server/board_gates.hpp"
#include "jitd/server/check_thread.hpp"
#include "jitd/server/config_watch.hpp"
#include "jitd/server/control.hpp"
#include "jitd/server/dispatch.hpp"
#include "jitd/server/doors.hpp"
#include "jitd/server/due.hpp"
#include "jitd/server/helper.hpp"
#include "jitd/server/inbox.hpp"
#include "jitd/server/inotify.hpp"
#include "jitd/server/journal.hpp"
#include "jitd/server/notify.hpp"
#include "jitd/server/outbox.hpp"
#include "jitd/server/sessions.hpp"
#include "jitd/server/version.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/descriptors.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/lock.hpp"
#include "jitd/sys/spawn.hpp"
#include "jitd/sys/system_bus.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kCheckBatchUsec = 2'000'000;
constexpr std::uint64_t kResidueBatchUsec = 100'000;
// For a jitd that was killed to be gone: where no systemd waits for that, the next may be started in the same moment.
constexpr std::chrono::milliseconds kLeaving{2000};

void log(int priority, std::string message, std::vector<std::pair<std::string, std::string>> fields = {}) {
  write_journal(JournalLine{priority, std::move(message), std::move(fields)});
}

// tmpfiles.d makes these; a daemon started by hand makes what is missing.
Result<void> make_dir(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    if (::chmod(path.c_str(), mode) != 0) return fail_errno(errno, "cannot set the mode of " + path);
  } else if (errno != EEXIST) {
    return fail_errno(errno, "cannot make " + path);
  }
  return {};
}

void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGIO, SIG_IGN);  // says that somebody wants to write what the inbox holds a lease on
}

class Daemon {
 public:
  explicit Daemon(Paths paths) : paths_(std::move(paths)) {}
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() = default;

  Result<int> run();

 private:
  [[nodiscard]] Result<void> prepare();       // directories, the lock, configuration, store
  [[nodiscard]] Result<void> start_engine();  // recovery; the first board
  [[nodiscard]] Result<void> start_engine(const std::string& damaged);
  [[nodiscard]] Result<void> open_doors();  // sockets, inbox, watches, signals
  void reload(bool asked);
  void accounts_changed(bool users);
  void woken();
  void drain_checks();
  void from_inbox(std::string text, const Inbox::Done& done);
  [[nodiscard]] Result<void> enrol(const Caller& caller, bool new_key);
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> vitals() const;
  [[nodiscard]] std::vector<wire::GateOnBoard> gates();
  [[nodiscard]] std::vector<std::string> warnings() const;
  void show_status();

  Paths paths_;
  SystemClock clock_;
  SystemSpawn spawn_;
  std::unique_ptr<Bus> bus_ = make_bus(spawn_, clock_, EffectPaths(paths_).timers);
  StatusLine status_;
  std::optional<FileLock> alone_;
  std::shared_ptr<SigningKey> key_;
  Machine machine_;
  std::shared_ptr<const HostView> host_;
  std::vector<std::string> gate_warnings_;
  std::vector<wire::GateOnBoard> published_gates_;
  std::int64_t started_ = 0;

  // In this order, so that what is told of something goes before what tells.
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<SystemHostFacts> facts_;
  std::unique_ptr<HostEffector> effector_;
  std::unique_ptr<Helper> helper_;
  Source waking_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<DueTimers> due_;
  std::unique_ptr<Waiters> waiters_;
  std::unique_ptr<VerbPorts> ports_;
  std::unique_ptr<ControlServer> control_;
  CheckLog checks_;
  SessionQueue session_queue_;
  std::unique_ptr<Sessions> sessions_;
  DoorQueue door_queue_;
  std::unique_ptr<Doors> doors_;
  std::unique_ptr<CheckThread> check_thread_;
  std::unique_ptr<Inbox> inbox_;
  LineBudget thrown_away_;  // of the inbox
  std::unique_ptr<Outbox> outbox_;
  std::string outbox_problem_;  // why it is not watched
  std::unique_ptr<Inotify> residue_;
  Source residue_due_;
  std::unique_ptr<ConfigWatch> watch_;
  std::unique_ptr<Watchdog> watchdog_;
  Source check_ready_, check_batch_;
  std::vector<Source> signals_;
};

Result<void> Daemon::prepare() {
  for (const auto& [path, mode] : {std::pair<std::string, mode_t>{paths_.run, 0755},
                                   {paths_.run + "/sudoers.d", 0750},  // names are ids of others' grants
                                   {paths_.run + "/logins", 0700},
                                   {EffectPaths(paths_).commands, 0700},
                                   {paths_.run + "/residue", 0700},
                                   {paths_.run + "/residue/live", 0700},
                                   {paths_.run + "/residue/over", 0700},
                                   {paths_.run + "/residue/found", 0700},
                                   {paths_.var, 0700},
                                   {paths_.var + "/inbox", 0700}})
    if (auto made = make_dir(path, mode); !made) return made;
  leave_grants_cgroup(Processes());
  auto alone = FileLock::take(paths_.run + "/jitd.lock", kLeaving);
  if (!alone) {
    if (alone.error().code == Errc::busy) return fail(Errc::busy, "another jitd runs on this host");
    return tl::unexpected(alone.error());
  }
  alone_ = std::move(*alone);

  auto key = host_key(paths_);
  if (!key) return tl::unexpected(key.error());
  key_ = std::move(*key);
  std::string unsaved;
  machine_ = known_machine(paths_.var, read_machine(), fingerprint(key_->public_key()), unsaved);
  for (const std::string& warning : {machine_.unknown, unsaved})
    if (!warning.empty()) log(3, warning, {{"JIT_EVENT", "machine"}});
  auto host = load_host(paths_, key_, nullptr, machine_);
  if (!host) return tl::unexpected(host.error());
  host_ = std::move(*host);
  if (host_->last_good)
    log(3, "the policy that loaded last is used: " + host_->policy_error, {{"JIT_EVENT", "last-good"}});
  for (const auto& warning : host_->warnings) log(4, warning, {{"JIT_EVENT", "warning"}});
  return {};
}

std::vector<wire::GateOnBoard> Daemon::gates() {
  auto accounts = LocalAccounts::read(paths_.etc);
  // Without the files nobody can be excepted by name; who is exempt on the module's line still is.
  auto made = board_gates(host_->policy, accounts ? *accounts : LocalAccounts());
  if (!accounts) made.warnings.push_back(accounts.error().message);
  if (made.warnings != gate_warnings_)
    for (const auto& warning : made.warnings) log(4, warning, {{"JIT_EVENT", "warning"}});
  gate_warnings_ = std::move(made.warnings);
  return std::move(made.gates);
}

// SQLite sees torn pages; what stands in them is only seen by whoever reads it.
Result<void> Daemon::start_engine() {
  auto started = start_engine("");
  if (started || started.error().code != Errc::invalid) return started;
  engine_.reset();
  helper_.reset();
  effector_.reset();
  store_.reset();
  return start_engine(started.error().message);
}

Result<void> Daemon::start_engine(const std::string& damaged) {
  const ExpirePorts ending{system_files(), spawn_, clock_, *bus_,
                           [] { return Result<pid_t>(fail(Errc::not_found, "it is ourselves")); }};
  auto opened = open_store(paths_, ending, damaged);
  if (!opened) return tl::unexpected(opened.error());
  store_ = std::move(opened->store);
  facts_ = std::make_unique<SystemHostFacts>(paths_, spawn_);
  auto effector = HostEffector::open(
      {system_files(), spawn_, clock_, *bus_, [this] { return published_gates_ = gates(); }}, paths_);
  if (!effector) return tl::unexpected(effector.error());
  effector_ = std::move(*effector);
  Helper::Config helping;
  helping.warn = [](const std::string& why) { log(4, why, {{"JIT_EVENT", "helper"}}); };
  helper_ = std::make_unique<Helper>(*loop_, std::move(helping));
  waking_ = loop_->later([this] { woken(); });
  auto engine =
      Engine::start(Engine::Ports{clock_, *store_, *effector_, *helper_, write_journal, [this] { waking_.arm(0); },
                                  *facts_, opened->lost, told_in(paths_.var + "/outbox", host_->trust.hosts),
                                  [this](Kind kind, const std::vector<std::string>& documents) {
                                    return take_over(system_files(), paths_, host_->config, kind, documents);
                                  },
                                  [this] { reload(false); }},
                    host_);
  if (!engine) return tl::unexpected(engine.error());
  engine_ = std::move(*engine);
  return {};
}

Result<void> Daemon::open_doors() {
  auto due = DueTimers::make(*loop_, [this] {
    engine_->tick();
    waking_.arm(0);
  });
  if (!due) return tl::unexpected(due.error());
  due_ = std::move(*due);
  waiters_ = std::make_unique<Waiters>(*loop_, clock_);
  ports_ = std::make_unique<VerbPorts>(
      VerbPorts{*engine_, clock_, *waiters_, [this] { return host_; }, [this] { return checks_.sessions(); },
                [this] { return vitals(); }, [this] { return warnings(); },
                [this](const Caller& caller, bool new_key) { return enrol(caller, new_key); }});

  auto check = listen_at(paths_.run + "/check.sock", 0600);
  if (!check) return tl::unexpected(check.error());
  auto thread = CheckThread::start(std::move(*check), paths_.run + "/board", checks_, session_queue_, door_queue_);
  if (!thread) return tl::unexpected(thread.error());
  check_thread_ = std::move(*thread);
  sessions_ = std::make_unique<Sessions>(*loop_, *engine_, session_queue_, paths_.run + "/board");
  doors_ = std::make_unique<Doors>(*loop_, *engine_, door_queue_);
  check_batch_ = loop_->timer(CLOCK_BOOTTIME, [this] { drain_checks(); });
  check_ready_ = loop_->io(checks_.ready_fd(), EPOLLIN, [this](std::uint32_t) {
    checks_.clear_ready();
    check_batch_.arm(Loop::now_usec(CLOCK_BOOTTIME) + kCheckBatchUsec);
  });

  auto control = listen_at(paths_.run + "/control.sock", 0666);
  if (!control) return tl::unexpected(control.error());
  control_ = std::make_unique<ControlServer>(*loop_, std::move(*control),
                                             [this](const Caller& caller, const wire::Frame& frame, Responder reply) {
                                               dispatch(*ports_, caller, frame, reply);
                                             });

  auto inbox = Inbox::open(
      *loop_, paths_.var + "/inbox",
      [this](std::string text, const Inbox::Done& done) { from_inbox(std::move(text), done); },
      [this](const std::string& why) {
        const LineBudget::Answer line = thrown_away_.ask(clock_.now().boot_ms);
        if (line.unsaid > 0)
          log(4, fmt::format("{} more things in the inbox were no documents", line.unsaid), {{"JIT_EVENT", "inbox"}});
        if (line.say) log(4, why, {{"JIT_EVENT", "inbox"}});
      });
  if (!inbox) return tl::unexpected(inbox.error());
  inbox_ = std::move(*inbox);

  auto outbox = Outbox::open(*loop_, paths_.var + "/outbox",
                             {*engine_, system_files(), [this] { return host_; },
                              [](int priority, const std::string& message) {
                                log(priority, message, {{"JIT_EVENT", "outbox"}});
                              }});
  if (outbox) {
    outbox_ = std::move(*outbox);
  } else {
    outbox_problem_ = "nobody is told what happens on this host: " + outbox.error().message;
    log(4, outbox_problem_, {{"JIT_EVENT", "outbox"}});
  }

  // Of a start before this, or while nobody watched, too.
  const auto look = [this] {
    engine_->residue_found();
    waking_.arm(0);
  };
  residue_due_ = loop_->timer(CLOCK_BOOTTIME, look);
  // Many grants that end together are looked for together, and told of so.
  auto residue = Inotify::make(*loop_, [this](const Inotify::Event&) {
    residue_due_.arm(Loop::now_usec(CLOCK_BOOTTIME) + kResidueBatchUsec);
  });
  if (!residue) return tl::unexpected(residue.error());
  if (const auto watched = residue->watch(paths_.run + "/residue/found", IN_MOVED_TO); !watched)
    log(4, "what grants leave in files is not told of: " + watched.error().message, {{"JIT_EVENT", "residue"}});
  residue_ = std::make_unique<Inotify>(std::move(*residue));
  look();

  ConfigWatch::Config watched;
  watched.etc_jit = paths_.etc_jit;
  watched.etc = paths_.etc;
  auto watch = ConfigWatch::start(
      *loop_, watched, [this] { reload(false); }, [this] { accounts_changed(true); },
      [this] { accounts_changed(false); });
  if (!watch) return tl::unexpected(watch.error());
  watch_ = std::move(*watch);

  for (const int number : {SIGTERM, SIGINT}) signals_.push_back(loop_->signal(number, [this] { loop_->stop(0); }));
  signals_.push_back(loop_->signal(SIGHUP, [this] { reload(true); }));
  watchdog_ = std::make_unique<Watchdog>(
      *loop_, [this] { return check_thread_->alive(); }, [this] { check_thread_->ping(); });
  return {};
}

// All or nothing: what load_host refuses leaves everything as it was.
void Daemon::reload(bool asked) {
  if (asked) notify_reloading();
  auto fresh = load_host(paths_, key_, host_.get(), machine_);
  if (!fresh) {
    log(3, "the old configuration stays: " + fresh.error().message, {{"JIT_EVENT", "reload"}});
  } else {
    const bool worse = (*fresh)->last_good && (*fresh)->policy_error != host_->policy_error;
    for (const auto& warning : (*fresh)->warnings)
      if (std::ranges::find(host_->warnings, warning) == host_->warnings.end())
        log(4, warning, {{"JIT_EVENT", "warning"}});
    host_ = std::move(*fresh);
    engine_->reload(host_);
    if (worse)
      log(3, "the policy that loaded last is used: " + host_->policy_error, {{"JIT_EVENT", "last-good"}});
    else
      log(6, "configuration, trust and policy read again",
          {{"JIT_EVENT", "reload"}, {"JIT_POLICY", digest_text(host_->policy.digest)}});
  }
  if (watch_) watch_->settled();
  waking_.arm(0);
  if (asked) notify_ready();
}

void Daemon::accounts_changed(bool users) {
  if (users)
    engine_->accounts_changed();
  else
    engine_->groups_changed();
  // Whom a gate covers or excepts is resolved when it is published: by name, of local accounts and groups.
  if (gates() != published_gates_) engine_->gates_changed();
  waking_.arm(0);
}

void Daemon::woken() {
  if (!engine_) return;
  if (due_) due_->set(engine_->next_due());
  if (waiters_) waiters_->changed(*engine_);
  if (doors_) doors_->changed();
  if (outbox_) outbox_->changed();
  show_status();
}

void Daemon::drain_checks() {
  auto batch = checks_.take();
  if (!batch.empty()) engine_->checked(batch);
}

// The engine says in the journal what became of it.
void Daemon::from_inbox(std::string text, const Inbox::Done& done) {
  engine_->submit(nullptr, std::move(text), [done](const Result<Outcome>& outcome) {
    // What the host could not judge now it may judge later; what it refused stays refused. A lock or revocation that
    // is not on disk yet has its file as its only record.
    done({.keep = outcome ? !outcome->durable : another_time(outcome.error().code)});
  });
}

// The key first: killed in between, the next start finds a key that is not the one noted, and asks again.
Result<void> Daemon::enrol(const Caller& caller, bool new_key) {
  std::shared_ptr<SigningKey> key = key_;
  if (new_key) {
    auto made = new_host_key(paths_);
    if (!made) return tl::unexpected(made.error());
    key = std::move(*made);
  }
  auto machine = enrol_machine(paths_.var, read_machine(), fingerprint(key->public_key()));
  if (!machine) return tl::unexpected(machine.error());
  machine_ = std::move(*machine);
  host_ = with_identity(*host_, *key, machine_);
  engine_->enrolled(caller, host_, new_key);
  key_ = std::move(key);  // the one before is needed no longer
  waking_.arm(0);
  return {};
}

std::vector<std::pair<std::string, std::string>> Daemon::vitals() const {
  return {{"version", std::string(kVersion)},
          {"started", format_utc(WallTime(Seconds(started_)))},
          {"checks", std::to_string(checks_.total())},
          {"checks_dropped", std::to_string(checks_.dropped())},
          {"processes", std::string(Processes::name_of(Processes().way()))},
          {"connections", std::to_string(control_->connections())},
          {"helper", fmt::format("{} running, {} lost", helper_->workers(), helper_->restarts())}};
}

std::vector<std::string> Daemon::warnings() const {
  std::vector<std::string> all = gate_warnings_;
  if (outbox_ && !outbox_->problem().empty()) all.push_back(outbox_->problem());
  if (!outbox_problem_.empty()) all.push_back(outbox_problem_);
  for (const std::string& path : set_aside(paths_))
    all.push_back("the database of this host was damaged and is kept as " + path +
                  ": whoever was in force by it is not any more. Look at the disk, then remove it");
  return all;
}

void Daemon::show_status() {
  const auto health = engine_->health();
  status_.set(fmt::format("{} active, {} pending; policy {}{}", health.active, health.pending,
                          host_->last_good ? "last-good" : "current",
                          health.clock.empty() ? "" : "; clock not right") +
              (machine_.unknown.empty() ? "" : "; not the machine of its key"));
}

Result<int> Daemon::run() {
  block_signals();
  use_all_descriptors();
  if (auto ready = prepare(); !ready) return tl::unexpected(ready.error());
  auto loop = Loop::make();
  if (!loop) return tl::unexpected(loop.error());
  loop_ = std::move(*loop);
  if (auto started = start_engine(); !started) return tl::unexpected(started.error());
  if (auto open = open_doors(); !open) return tl::unexpected(open.error());
  started_ = clock_.now().wall_ms / 1000;
  woken();
  notify_ready();
  log(6, fmt::format("jitd {} ready on host {}", kVersion, host_->config.host), {{"JIT_EVENT", "start"}});
  auto ended = loop_->run();
  notify_stopping();
  check_thread_.reset();
  drain_checks();
  return ended;
}

}  // namespace

Result<int> run_daemon(const Paths& paths) {
  return Daemon(paths).run();
}

}  // namespace jit
