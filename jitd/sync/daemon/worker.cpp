#include "jitd/sync/daemon/worker.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include "jitd/sys/files.hpp"
#include "jitd/sys/inotify_events.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Passes come no closer together than this, and take no more than half of the time.
constexpr milliseconds kLeastPause{50}, kMostPause{10'000};
// Each pass reads a folder's names anew: where there are a million, few passes.
constexpr std::size_t kFetchedOfFolder = 16'384;
constexpr std::uint64_t kStatusEach = 60'000;  // ms; a time alone is no news

milliseconds since(steady_clock::time_point then) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - then);
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::make(const SourceSpec& spec, const OutboxHost& host, const SyncPlaces& places,
                                             std::unique_ptr<Mailbox> mailbox, SyncLog log, const Clock& clock) {
  auto state = open_dir(places.state);
  if (!state) return tl::unexpected(state.error());
  auto seen = Seen::open(state->get(), spec.name + ".seen");
  if (!seen) log(4, "source " + spec.name + ": what was delivered is not kept: " + seen.error().message);
  std::unique_ptr<Worker> worker(
      new Worker(spec, std::move(mailbox), seen ? std::move(*seen) : Seen(), std::move(log), clock));
  worker->places_ = places;
  worker->state_ = std::move(*state);
  Courier::Config config{host, places.inbox, places.outbox, spec.post};
  if (spec.type == SourceSpec::Type::directory) {
    // Another stick may be in the place of the one before; and looking is cheap.
    config.compare_each = milliseconds(0);
    config.limits.fetched = kFetchedOfFolder;
  }
  worker->courier_.emplace(std::move(config), *worker->mailbox_, worker->seen_, clock);
  worker->status_.url = spec.url;
  worker->status_.started = clock.now().wall();
  return worker;
}

// Reads away what the watch has told, and watches again what came anew: the folder, or another in its place.
void Worker::watch_outbox() {
  if (!outbox_) outbox_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!outbox_) return;
  while (read_inotify(outbox_.get(), [](int, std::uint32_t, std::string_view) {})) {
  }
  (void)::inotify_add_watch(outbox_.get(), places_.outbox.c_str(),
                            IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW);
}

void Worker::turn(milliseconds at_most) {
  watch_outbox();
  const auto started = steady_clock::now();
  const Courier::Pass pass = courier_->pass();
  const milliseconds took = since(started);
  tell(pass);
  const auto ended = steady_clock::now();

  // A folder is looked for, which costs nobody anything; who runs a server is spared. Neither waits for more than
  // backoff says when there is an error: it grows to five minutes.
  const bool folder = spec_.type == SourceSpec::Type::directory;
  if (pass.error && !folder) return sleep(std::min(at_most, backoff_.next()));
  if (!pass.error) backoff_.reset();
  const milliseconds most = std::min(at_most, pass.again.value_or(at_most));
  if (most > milliseconds(0)) {
    const auto waited = mailbox_->wait(courier_->boxes(), outbox_.get(), most, pass.pending);
    if (!waited) {
      tell_error(waited.error());
      keep_status();
      return sleep(std::min(at_most, backoff_.next()));
    }
  }
  sleep(std::clamp(took, kLeastPause, kMostPause) - since(ended));
}

void Worker::tell(const Courier::Pass& pass) {
  status_.taken += pass.taken;
  status_.posted += pass.posted;
  status_.refused += pass.refused;
  status_.waiting = courier_->undelivered();
  tell_error(pass.error);
  if (!pass.error) status_.last_success = clock_.now().wall();
  // While the source is not there nothing is known of its taking anything.
  if (spec_.post && !pass.error) {
    const bool posts = !pass.post_error;
    status_.post_error = posts ? "" : pass.post_error->message;
    if (posts != posts_.value_or(true))
      log_(posts ? 6 : 4, "source " + spec_.name +
                              (posts ? ": takes what this host says again"
                                     : ": does not take what this host says: " + status_.post_error));
    posts_ = posts;
  }
  if (pass.trouble && !troubled_)
    log_(4, "source " + spec_.name + ": what was delivered is not kept: " + *pass.trouble);
  troubled_ = pass.trouble.has_value();
  keep_status();
}

void Worker::tell_error(const std::optional<Error>& error) {
  const bool good = !error;
  if (error) {
    status_.error = error->message;
    status_.last_error = clock_.now().wall();
  }
  status_.good = good;
  if (good != good_) log_(good ? 6 : 4, "source " + spec_.name + ": " + (good ? "is read" : error->message));
  good_ = good;
}

void Worker::keep_status() {
  SourceStatus now = status_;
  // Of times alone there is news once a minute.
  now.last_success = kept_.last_success;
  now.last_error = kept_.last_error;
  const std::uint64_t time = clock_.now().boot_ms;
  if (kept_at_ != 0 && now == kept_ && time - kept_at_ < kStatusEach) return;
  auto written = replace_file(system_files(), state_.get(), spec_.name + ".status", to_text(status_),
                              {0644, ::geteuid(), ::getegid()}, false);
  if (!written && kept_at_ == 0)
    log_(4, "source " + spec_.name + ": its status is not kept: " + written.error().message);
  kept_ = status_;
  kept_at_ = std::max<std::uint64_t>(time, 1);
}

void Worker::sleep(milliseconds time) const {
  if (time > milliseconds(0)) std::this_thread::sleep_for(time);
}

int run_worker(const std::string& name, const SyncPlaces& places) {
  // A source without its supervisor would be carried by two after the next start.
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto give_up = [&](const Error& error) {
    log_to_stderr(3, "source " + name + ": " + error.message);
    return 1;
  };
  const auto sources = read_source_config(places);
  if (!sources) return give_up(sources.error());
  const auto host = read_outbox_host(places);
  if (!host) return give_up(host.error());
  const auto spec = std::ranges::find(*sources, name, &SourceSpec::name);
  if (spec == sources->end()) return give_up({Errc::not_found, "is not in jitd.toml", 0});
  auto mailbox = make_mailbox(*spec);
  if (!mailbox) return give_up(mailbox.error());
  const SystemClock clock;
  auto worker = Worker::make(*spec, *host, places, std::move(*mailbox), log_to_stderr, clock);
  if (!worker) return give_up(worker.error());
  for (;;) (*worker)->turn();
}

}  // namespace jit
