#include "jitd/server/config_watch.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>

namespace jit {
namespace {

constexpr std::uint32_t kChanges =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

}  // namespace

ConfigWatch::ConfigWatch(Loop& loop, Config config, std::function<void()> reload, std::function<void()> accounts,
                         std::function<void()> groups)
    : loop_(loop),
      config_(std::move(config)),
      reload_(std::move(reload)),
      accounts_(std::move(accounts)),
      groups_(std::move(groups)) {
  reloading_ = loop_.timer(CLOCK_BOOTTIME, [this] { on_time(); });
  counting_ = loop_.timer(CLOCK_BOOTTIME, [this] { accounts_(); });
  grouping_ = loop_.timer(CLOCK_BOOTTIME, [this] { groups_(); });
}

Result<std::unique_ptr<ConfigWatch>> ConfigWatch::start(Loop& loop, Config config, std::function<void()> reload,
                                                        std::function<void()> accounts,
                                                        std::function<void()> groups) {
  std::unique_ptr<ConfigWatch> self(
      new ConfigWatch(loop, std::move(config), std::move(reload), std::move(accounts), std::move(groups)));
  auto notify = Inotify::make(loop, [raw = self.get()](const Inotify::Event& event) { raw->on_event(event); });
  if (!notify) return tl::unexpected(notify.error());
  self->notify_ = std::make_unique<Inotify>(std::move(*notify));
  const auto etc = self->notify_->watch(self->config_.etc, IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE);
  if (!etc) return tl::unexpected(etc.error());
  self->etc_watch_ = *etc;
  self->watch_all();
  self->settled();
  return self;
}

// Directories that are not there yet are watched when their parent tells that they came.
void ConfigWatch::watch_all() {
  for (const char* part : {"", "/policy.d", "/trust"}) (void)notify_->watch(config_.etc_jit + part, kChanges);
}

void ConfigWatch::on_event(const Inotify::Event& event) {
  const std::uint64_t now = Loop::now_usec(CLOCK_BOOTTIME);
  if (event.watch == etc_watch_ && !event.overflow()) {
    if (event.name == "passwd") counting_.arm(now + config_.settle_usec);
    if (event.name == "group") grouping_.arm(now + config_.settle_usec);
    if (event.name != config_.etc_jit.substr(config_.etc_jit.rfind('/') + 1)) return;
  }
  if (event.overflow()) {
    counting_.arm(now + config_.settle_usec);
    grouping_.arm(now + config_.settle_usec);
  }
  // Temporaries and our own reserve: nothing that is ever read.
  if (event.name.starts_with('.')) return;
  // A file that was only made is written yet; a directory has to be watched.
  if ((event.mask & IN_CREATE) != 0 && (event.mask & IN_ISDIR) == 0) return;
  watch_all();
  reloading_.arm(now + config_.settle_usec);
}

std::set<std::string> ConfigWatch::empty_trust() const {
  std::set<std::string> empty;
  for (const char* name : {"approvers", "requesters"}) {
    struct stat status {};
    if (::stat((config_.etc_jit + "/trust/" + name).c_str(), &status) != 0 || status.st_size == 0) empty.insert(name);
  }
  return empty;
}

void ConfigWatch::on_time() {
  watch_all();
  if (std::ranges::includes(known_empty_, empty_trust())) {
    empty_since_ = 0;
    reload_();
    return settled();
  }
  const std::uint64_t now = Loop::now_usec(CLOCK_BOOTTIME);
  if (empty_since_ == 0) empty_since_ = now;
  if (now - empty_since_ < config_.empty_trust_usec) {
    reloading_.arm(empty_since_ + config_.empty_trust_usec);
    return;
  }
  reload_();
  settled();
}

void ConfigWatch::settled() {
  known_empty_ = empty_trust();
  empty_since_ = 0;
}

}  // namespace jit
