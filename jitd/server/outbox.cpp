#include "jitd/server/outbox.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <string_view>
#include <vector>

#include "jitd/sys/own_files.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/verify.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kAgainUsec = 10'000'000;  // after something failed
constexpr std::size_t kIdSize = 16, kSequenceDigits = 12;
constexpr std::size_t kLooked = 16;  // events, the latest, to find one that is ours
constexpr std::string_view kEnd = ".jit";
constexpr const char* kHost = "host";
constexpr const char* kAlive = "alive.jit";

std::string name_of(const Digest& request) {
  return "r-" + id_of(request) + std::string(kEnd);
}

std::string name_of(std::uint64_t sequence) {
  return fmt::format("e-{:0{}}{}", sequence, kSequenceDigits, kEnd);
}

// What stands between a prefix of our own and ".jit"; nullopt: it is another's name.
std::optional<std::string_view> middle(std::string_view name, std::string_view prefix, std::size_t size) {
  if (name.size() != prefix.size() + size + kEnd.size() || !name.starts_with(prefix) || !name.ends_with(kEnd))
    return std::nullopt;
  return name.substr(prefix.size(), size);
}

std::optional<std::string> request_id(std::string_view name) {
  const auto id = middle(name, "r-", kIdSize);
  if (!id || parse_id_prefix(*id) != std::string(*id)) return std::nullopt;
  return std::string(*id);
}

std::optional<std::uint64_t> event_sequence(std::string_view name) {
  const auto digits = middle(name, "e-", kSequenceDigits);
  if (!digits) return std::nullopt;
  const std::string_view number = digits->substr(std::min(digits->find_first_not_of('0'), kSequenceDigits - 1));
  const auto sequence = parse_number(number);
  return sequence ? std::optional(*sequence) : std::nullopt;
}

bool ours(std::string_view name) {
  return request_id(name) || event_sequence(name) || name == kHost || name == kAlive;
}

// Left by a kill between making a file and renaming it.
bool our_temporary(const std::string& name) {
  constexpr std::string_view around = "..tmp";
  return name.size() > around.size() && name.starts_with('.') && name.ends_with(".tmp") &&
         ours(std::string_view(name).substr(1, name.size() - around.size()));
}

// A folder, or what lies in one, has the name of a file.
bool no_file(const Error& error) {
  return error.errnum == EISDIR || error.errnum == ENOTDIR || error.errnum == ENOTEMPTY || error.errnum == EEXIST;
}

bool is_exactly(int dir, const std::string& name, const std::string& text, const FileMode& mode) {
  const auto fd = open_regular(dir, name, O_RDONLY, name);
  struct stat seen {};
  if (!fd || ::fstat(fd->get(), &seen) != 0 || seen.st_nlink != 1 || seen.st_uid != mode.uid ||
      seen.st_gid != mode.gid || (seen.st_mode & 07777U) != mode.mode ||
      static_cast<std::size_t>(seen.st_size) != text.size())
    return false;
  return read_fd(fd->get(), text.size(), name) == text;
}

std::string text_of(const HostView& host) {
  std::string text = "host " + host.config.host + "\n";
  for (const std::string& segment : host.config.segments) text += "segment " + segment + "\n";
  return text + "key " + host.host_key + "\n";
}

// The sequence that a file of this host's says; nullopt: it is none.
std::optional<std::uint64_t> sequence_in(int dir, const std::string& name, const TrustSet& trust) {
  const auto text = read_own_file(dir, name, kMaxDocument, name);
  auto envelope = text ? parse_envelope(*text) : tl::unexpected<Error>(text.error());
  if (!envelope) return std::nullopt;
  const auto verified = verify_document(std::move(*envelope), trust, name);
  const auto* event = verified ? std::get_if<EventDocument>(&verified->document) : nullptr;
  return event == nullptr ? std::nullopt : std::optional(event->sequence);
}

}  // namespace

std::optional<std::uint64_t> told_in(const std::string& outbox, const TrustFile& own) {
  struct stat seen {};
  if (::lstat(outbox.c_str(), &seen) != 0 || !S_ISDIR(seen.st_mode)) return std::nullopt;
  const auto dir = open_dir(outbox);
  const auto names =
      dir ? list_dir(dir->get()) : Result<std::vector<std::string>>(tl::unexpected<Error>(dir.error()));
  if (!names) return 0;
  TrustSet trust;
  trust.hosts = own;
  std::vector<std::string> events;
  std::ranges::copy_if(*names, std::back_inserter(events),
                       [](const std::string& name) { return event_sequence(name).has_value(); });
  std::uint64_t told = sequence_in(dir->get(), kAlive, trust).value_or(0);
  std::size_t looked = 0;
  for (auto name = events.rbegin(); name != events.rend() && looked < kLooked; ++name, ++looked) {
    const auto sequence = sequence_in(dir->get(), *name, trust);
    if (!sequence) continue;
    told = std::max(told, *sequence);
    break;
  }
  return told;
}

Outbox::Outbox(Loop& loop, std::string folder, Ports ports)
    : loop_(loop), folder_(std::move(folder)), ports_(std::move(ports)) {
  working_ = loop_.later([this] { work(); });
  again_ = loop_.timer(CLOCK_BOOTTIME, [this] { working_.arm(0); });
  beating_ = loop_.timer(CLOCK_BOOTTIME, [this] {
    scan_ = true;  // somebody may have removed what is not theirs
    beat();
  });
}

Result<std::unique_ptr<Outbox>> Outbox::open(Loop& loop, const std::string& folder, Ports ports) {
  std::unique_ptr<Outbox> self(new Outbox(loop, folder, std::move(ports)));
  const std::size_t slash = folder.rfind('/');
  auto notify = Inotify::make(loop, [raw = self.get(), name = folder.substr(slash + 1)](const Inotify::Event& event) {
    if (event.overflow() || event.name == name) raw->look();
  });
  if (!notify) return tl::unexpected<Error>(notify.error());
  const auto watch =
      notify->watch(folder.substr(0, slash), IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB);
  if (!watch) return tl::unexpected<Error>(watch.error());
  self->notify_ = std::make_unique<Inotify>(std::move(*notify));
  self->look();
  return self;
}

void Outbox::look() {
  struct stat seen {};
  const bool there = ::lstat(folder_.c_str(), &seen) == 0;
  if (there == there_) return there ? working_.arm(0) : void();
  if (!there) return went();
  there_ = true;
  ports_.engine.outbox(true, told_in(folder_, ports_.host()->trust.hosts).value_or(0));
  beat();
}

void Outbox::went() {
  there_ = false;
  scan_ = true;  // the next one may have the same number
  working_.disarm();
  again_.disarm();
  beating_.disarm();
  ports_.engine.outbox(false, 0);
  problem_ = folder_ + " is gone: nobody is told what happens on this host";
  ports_.log(4, problem_);
}

void Outbox::beat() {
  beat_ = true;
  host_ = ports_.host();
  const auto interval = std::chrono::duration_cast<std::chrono::microseconds>(host_->config.heartbeat);
  beating_.arm(Loop::now_usec(CLOCK_BOOTTIME) + static_cast<std::uint64_t>(interval.count()));
  working_.arm(0);
}

void Outbox::changed() {
  if (!there_) return;
  if (ports_.host() != host_) return beat();  // its policy, its key or its segments may be others
  if (ports_.engine.news() != news_) working_.arm(0);
}

void Outbox::trouble(const std::string& why) {
  if (problem_.empty()) ports_.log(4, "not everything that this host says comes into " + folder_ + ": " + why);
  problem_ = why;
}

void Outbox::work() {
  const auto dir = open_dir(folder_);
  struct stat seen {};
  if (!dir || ::fstat(dir->get(), &seen) != 0) {
    if (!dir && dir.error().errnum == ENOENT) return went();
    again_.arm(Loop::now_usec(CLOCK_BOOTTIME) + kAgainUsec);
    return trouble(dir ? "it cannot be looked at" : dir.error().message);
  }
  if (seen.st_uid != ::geteuid() || (seen.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    again_.arm(Loop::now_usec(CLOCK_BOOTTIME) + kAgainUsec);
    return trouble("it must belong to root and be writable by nobody else: chown root " + folder_ + "; chmod go-w " +
                   folder_);
  }
  // Whose group may read it is said by the folder alone, which whoever makes it may say a moment later.
  const FileMode mode{0640, ::geteuid(), (seen.st_mode & S_ISGID) != 0 ? seen.st_gid : ::getegid()};
  if (seen.st_dev != device_ || seen.st_ino != number_ || mode.gid != mode_.gid)
    scan_ = beat_ = true;  // another one than before, or for others
  device_ = seen.st_dev;
  number_ = seen.st_ino;
  mode_ = mode;
  touched_ = 0;
  const Result<bool> done = mirror(dir->get());
  if (!done) {
    again_.arm(Loop::now_usec(CLOCK_BOOTTIME) + kAgainUsec);
    return trouble(done.error().message);
  }
  if (!*done) return working_.arm(0);
  if (!refused_.empty()) return trouble("something else has the name " + refused_ + ": remove it");
  if (!problem_.empty()) ports_.log(5, folder_ + " has all that this host says");
  problem_.clear();
}

Result<bool> Outbox::mirror(int dir) {
  host_ = ports_.host();
  if (!host_->machine.unknown.empty()) {
    // It may be a copy, and would speak over the host that it was made of: what is there stays as it is, and without
    // `host` nobody knows whose it is.
    host_text_.clear();
    all_ = false;
    scan_ = true;
    if (Result<void> done = drop(dir, kHost); !done) return tl::unexpected<Error>(done.error());
    return true;
  }
  if (news_ != ports_.engine.news()) {
    news_ = ports_.engine.news();
    out_ = ports_.engine.outgoing();
    all_ = false;
  }
  if (scan_) {
    if (Result<void> done = scan(dir); !done) return tl::unexpected<Error>(done.error());
    scan_ = false;
    all_ = false;
  }
  if (!all_) {
    for (const auto part : {&Outbox::remove_over, &Outbox::write_new})
      if (Result<bool> done = (this->*part)(dir); !done || !*done) return done;
    all_ = true;
  }
  const std::string text = text_of(*host_);
  if (text != host_text_) {
    if (Result<void> done = put(dir, kHost, text); !done) return tl::unexpected<Error>(done.error());
    host_text_ = text;
  }
  if (beat_) {
    const Result<std::string> alive = ports_.engine.alive();
    if (!alive) return tl::unexpected<Error>(alive.error());
    if (Result<void> done = put(dir, kAlive, *alive); !done) return tl::unexpected<Error>(done.error());
    beat_ = false;
  }
  return true;
}

Result<void> Outbox::scan(int dir) {
  refused_.clear();
  requests_.clear();
  host_text_.clear();
  events_ = {out_.events.first, out_.events.first - 1};
  const auto names = list_dir(dir);
  if (!names) return tl::unexpected<Error>(names.error());
  std::set<std::string> waiting;
  for (const Digest& request : out_.waiting) waiting.insert(id_of(request));
  for (const std::string& name : *names) {
    const auto id = request_id(name);
    const auto sequence = event_sequence(name);
    const bool over = (id && !waiting.contains(*id)) ||
                      (sequence && (*sequence < out_.events.first || *sequence > out_.events.last)) ||
                      our_temporary(name);
    if (!over) continue;
    if (Result<void> done = drop(dir, name); !done) return done;
  }
  return {};
}

Result<bool> Outbox::remove_over(int dir) {
  for (auto request = requests_.begin(); request != requests_.end();) {
    if (std::ranges::binary_search(out_.waiting, *request)) {
      ++request;
      continue;
    }
    if (touched_ >= kPerTurn) return false;
    if (Result<void> done = drop(dir, name_of(*request)); !done) return tl::unexpected<Error>(done.error());
    request = requests_.erase(request);
  }
  for (; events_.first <= events_.last && events_.first < out_.events.first; ++events_.first) {
    if (touched_ >= kPerTurn) return false;
    if (Result<void> done = drop(dir, name_of(events_.first)); !done) return tl::unexpected<Error>(done.error());
  }
  if (events_.first > events_.last) events_ = {out_.events.first, out_.events.first - 1};
  return true;
}

Result<bool> Outbox::write_new(int dir) {
  for (const Digest& request : out_.waiting) {
    if (requests_.contains(request)) continue;
    if (touched_ >= kPerTurn) return false;
    const Result<std::string> text = ports_.engine.waiting_text(request);
    if (!text && text.error().code != Errc::not_found) return tl::unexpected<Error>(text.error());
    if (text) {
      if (Result<void> done = put(dir, name_of(request), *text); !done) return tl::unexpected<Error>(done.error());
    }
    requests_.insert(request);
  }
  while (events_.last < out_.events.last) {
    if (touched_ >= kPerTurn) return false;
    const Result<std::vector<StoredEvent>> some = ports_.engine.events(events_.last + 1, kPerTurn - touched_);
    if (!some) return tl::unexpected<Error>(some.error());
    if (some->empty()) events_.last = out_.events.last;
    for (const StoredEvent& event : *some) {
      if (Result<void> done = put(dir, name_of(event.sequence), event.text); !done)
        return tl::unexpected<Error>(done.error());
      events_.last = event.sequence;
    }
  }
  return true;
}

Result<void> Outbox::drop(int dir, const std::string& name) {
  ++touched_;
  if (ports_.files.unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  const int error = errno;
  if (error != EISDIR) return fail_errno(error, folder_ + "/" + name);
  refused_ = name;
  return {};
}

Result<void> Outbox::put(int dir, const std::string& name, const std::string& text) {
  ++touched_;
  if (is_exactly(dir, name, text, mode_)) return {};
  if (Result<void> done = replace_file(ports_.files, dir, name, text, mode_, false); !done) {
    if (!no_file(done.error())) return within(folder_, done.error());
    refused_ = name;
  }
  return {};
}

}  // namespace jit
