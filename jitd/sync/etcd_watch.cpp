#include "jitd/sync/etcd_watch.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "policy/text.hpp"

namespace jit::etcd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kProbeEvery{10000}, kProbeBudget{5000}, kSoon{5000};
constexpr milliseconds kLongest = std::chrono::hours(24);
// A line holds the documents themselves, several of them; etcd makes a new line after 2 MiB.
constexpr std::size_t kMaxLine = std::size_t{8} << 20;

// Until `other` is readable; -1: none is.
void rest(int other, milliseconds at_most) {
  pollfd entry{other, POLLIN, 0};
  (void)::poll(&entry, 1, static_cast<int>(at_most.count()));
}

}  // namespace

KeyRange keys_of(const SourceSpec& spec, const Box& box) {
  return keys_below(spec.path + "/" + box.path() + "/");
}

std::string key_of(const SourceSpec& spec, const Box& box, const std::string& name) {
  return spec.path + "/" + box.path() + "/" + name;
}

void Watcher::listed(const Box& box, Revision revision) {
  states_[box] = {revision, false};
}

bool Watcher::news_in(const std::vector<Box>& boxes) const {
  return std::any_of(boxes.begin(), boxes.end(), [this](const Box& box) {
    const auto state = states_.find(box);
    return state == states_.end() || state->second.news;
  });
}

void Watcher::all_news() {
  for (const Box& box : watched_) note(states_[box]);
}

Result<void> Watcher::open(const std::vector<Box>& boxes) {
  stream_.reset();
  watched_ = boxes;
  std::vector<Watched> watches;
  watches.reserve(boxes.size());
  for (const Box& box : boxes) {
    watches.push_back({keys_of(client_.spec(), box), states_[box].listed + 1,
                       static_cast<std::int64_t>(watches.size()) + 1, box.kind() != Box::Kind::from_host});
  }
  const std::string question = watch_question(watches);
  const auto started = now();
  Result<std::unique_ptr<HttpStream>> stream = fail(Errc::unavailable, "not asked");
  for (std::size_t tried = 0; tried < client_.members(); ++tried) {
    stream = client_.open(question, kMaxLine);
    if (stream) {
      stream_ = std::move(*stream);
      member_ = client_.member();
      opened_at_ = now();
      probe_at_ = opened_at_ + static_cast<std::uint64_t>(kProbeEvery.count());
      return {};
    }
    client_.leave_member();
    if (milliseconds(now() - started) >= kCallBudget) break;
  }
  return tl::unexpected(stream.error());
}

void Watcher::take_change(const Box& box, const WatchLine::Change& change) {
  const std::string before = key_of(client_.spec(), box, "");
  if (!change.key.starts_with(before) || !document_name(std::string_view(change.key).substr(before.size()))) return;
  State& state = states_[box];
  if (change.revision > state.listed) note(state);
}

void Watcher::give_up(Fault fault, std::string why) {
  fault_ = fault;
  why_ = std::move(why);
  // Whoever asks next does not ask there.
  const bool members = fault == Fault::member || fault == Fault::ended;
  if (members && client_.member() == member_) client_.leave_member();
}

void Watcher::take(std::string_view line) {
  const auto read = read_watch_line(line);
  if (!read) {
    all_news();  // it may have been some
    return give_up(Fault::member, read.error().message);
  }
  if (read->failed) return give_up(Fault::ended, read->why);
  const auto number = static_cast<std::size_t>(std::max<std::int64_t>(read->watch, 0));
  State* state = number >= 1 && number <= watched_.size() ? &states_[watched_[number - 1]] : nullptr;
  if (read->cancelled && read->compacted == 0) return give_up(Fault::refused, read->why);
  // A cluster that has not come as far as what we have seen of it was restored from a backup, or this member lags:
  // what we have listed says nothing of what it will tell.
  const bool behind = read->created && state != nullptr && read->revision < state->listed;
  if (read->cancelled || behind) {
    if (state != nullptr) note(*state);
    if (state == nullptr) all_news();
    return give_up(Fault::history, read->why);
  }
  for (const auto& change : read->changes) {
    if (state != nullptr) take_change(watched_[number - 1], change);
    if (state != nullptr) continue;
    for (const Box& box : watched_) take_change(box, change);
  }
}

Result<void> Watcher::find_refusal() {
  // An old token is refused like a user who may not; a question says which it is, and gets a new one.
  for (const Box& box : watched_) {
    const KeyRange keys = keys_of(client_.spec(), box);
    const auto reply = client_.call("/v3/kv/range", range_question({keys, 1, 0, 0, true}));
    if (!reply) return tl::unexpected(reply.error());
    if (!reply->good()) return tl::unexpected(error_of(reply->failure, "read " + shown(keys.first), client_.spec()));
  }
  if (std::exchange(checked_, true))
    return fail(Errc::refused, "etcd does not let us watch what we may read: " + why_);
  return {};
}

Result<void> Watcher::recover(int other) {
  const Fault fault = std::exchange(fault_, Fault::none);
  stream_.reset();
  if (fault == Fault::refused) return find_refusal();
  if (fault == Fault::history) return {};
  if (fault == Fault::ended) rest(other, client_.pause());
  short_lived_ = milliseconds(now() - opened_at_) < kSoon ? short_lived_ + 1 : 0;
  if (short_lived_ <= client_.members()) return {};
  short_lived_ = 0;
  return fail(Errc::unavailable, why_);
}

void Watcher::probe() {
  probe_at_ = now() + static_cast<std::uint64_t>(kProbeEvery.count());
  checked_ = false;
  const Box& box = watched_[turn_++ % watched_.size()];
  State& state = states_[box];
  const KeyRange keys = keys_of(client_.spec(), box);
  const auto reply = client_.probe("/v3/kv/range", range_question({keys, 1, 0, state.listed, true}), kProbeBudget);
  if (!reply) return give_up(Fault::member, reply.error().message);
  if (reply->failure.kind == Failure::Kind::denied) return give_up(Fault::refused, reply->failure.message);
  if (!reply->good()) return give_up(Fault::member, reply->failure.message);
  const auto page = read_page(reply->body);
  if (!page) return give_up(Fault::member, page.error().message);
  if (page->revision < state.listed) {
    all_news();
    return give_up(Fault::history, {});
  }
  for (const KeyValue& entry : page->entries)
    if (entry.key.starts_with(keys.first) && entry.changed > state.listed) note(state);
}

Result<void> Watcher::wait(const std::vector<Box>& boxes, int other, milliseconds at_most) {
  at_most = std::clamp<milliseconds>(at_most, milliseconds(0), kLongest);
  if (boxes.empty()) {
    rest(other, at_most);
    return {};
  }
  const std::uint64_t until = now() + static_cast<std::uint64_t>(at_most.count());
  while (!news_in(boxes)) {
    if (fault_ != Fault::none) {
      if (auto over = recover(other); !over) return over;
      continue;
    }
    if (!stream_ || watched_ != boxes || member_ != client_.member()) {
      if (auto opened = open(boxes); !opened) return opened;
    }
    const std::uint64_t from = now(), next = std::min(until, probe_at_);
    heard_ = false;
    const auto enough = [&](std::string_view line) {
      take(line);
      return fault_ == Fault::none && !heard_;
    };
    const milliseconds left(next > from ? next - from : 0);
    if (const auto read = stream_->read(enough, other, left); !read) {
      const bool ended = read.error().code == Errc::unavailable;
      if (!ended) all_news();  // a line too long to be read
      give_up(ended ? Fault::ended : Fault::member, read.error().message);
    }
    if (fault_ != Fault::none || heard_) continue;
    if (now() < next || now() >= until) return {};
    probe();
  }
  return {};
}

}  // namespace jit::etcd
