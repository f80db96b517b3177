#include "jitd/core/revocation_view.hpp"

#include <algorithm>
#include <utility>

namespace jit {
namespace {

std::int64_t seconds_of(WallTime time) {
  return time.time_since_epoch().count();
}

}  // namespace

// Since it came the boot-time clock goes on whatever becomes of the wall clock.
std::int64_t RevocationView::age_ms(const ListRecord& list, Instant now, std::int64_t mark_ms) {
  const std::int64_t by_wall = std::max(now.wall_ms, mark_ms) - list.created * 1000;
  const std::uint64_t since = now.boot_ms > list.boot_ms ? now.boot_ms - list.boot_ms : 0;
  return std::max({by_wall, list.age_ms + static_cast<std::int64_t>(since), std::int64_t{0}});
}

RevocationView::RevocationView(const std::vector<ListRecord>& stored, Instant now, std::int64_t mark_ms,
                               std::string boot_id)
    : boot_id_(std::move(boot_id)) {
  for (ListRecord list : stored) {
    if (list.boot_id != boot_id_) {
      // How long the host was off only the wall clock tells.
      list.age_ms = std::max<std::int64_t>(std::max(now.wall_ms, mark_ms) - list.created * 1000, list.age_ms);
      list.boot_id = boot_id_;
      list.boot_ms = now.boot_ms;
    }
    if (list.viewed) {
      view_ = std::move(list);
    } else {
      ahead_.emplace(list.number, std::move(list));
    }
  }
}

Result<void> RevocationView::check(std::uint64_t number, const Digest& digest) const {
  const auto taken = [&](const ListRecord& by) -> Result<void> {
    if (by.digest == digest) return {};
    return fail(Errc::refused, "number " + std::to_string(number) + " was taken by another list, " +
                                   id_of(by.digest) + "; sign it as " + std::to_string(highest() + 1));
  };
  if (view_ && number == view_->number) return taken(*view_);
  if (const auto found = ahead_.find(number); found != ahead_.end()) return taken(found->second);
  if (view_ && number < view_->number) {
    return fail(Errc::refused, "list " + std::to_string(number) + " is older than one seen, which is " +
                                   std::to_string(view_->number));
  }
  if (highest() > 0 && number > highest() + kMostAhead) {
    return fail(Errc::refused, "list " + std::to_string(number) + " is too far above the highest seen, which is " +
                                   std::to_string(highest()));
  }
  return {};
}

bool RevocationView::add(std::uint64_t number, const Digest& digest, WallTime created, WallTime next_update,
                         Instant now, std::int64_t mark_ms, std::int64_t sure, bool begins) {
  ListRecord list;
  list.number = number;
  list.digest = digest;
  list.created = std::min(seconds_of(created), sure);
  list.next_update = seconds_of(next_update);
  list.boot_id = boot_id_;
  list.boot_ms = now.boot_ms;
  list.age_ms = age_ms(list, now, mark_ms);
  if (view_ ? number <= view_->number : ahead_.contains(number)) return false;
  if (!view_ && begins) {
    view_ = std::move(list);
    std::erase_if(ahead_, [&](const auto& one) { return one.first <= number; });
    advance();
    return true;
  }
  ahead_.emplace(number, std::move(list));
  return view_ && advance();
}

bool RevocationView::advance() {
  bool advanced = false;
  for (auto next = ahead_.find(view_->number + 1); next != ahead_.end(); next = ahead_.find(view_->number + 1)) {
    view_ = std::move(next->second);
    ahead_.erase(next);
    advanced = true;
  }
  return advanced;
}

bool RevocationView::pass_gap(std::int64_t sure, Seconds absolute) {
  bool passed = false;
  while (const auto when = gap_passes(absolute)) {
    if (*when >= sure) break;
    view_ = std::move(ahead_.begin()->second);
    ahead_.erase(ahead_.begin());
    advance();
    passed = true;
  }
  return passed;
}

std::optional<std::int64_t> RevocationView::gap_passes(Seconds absolute) const {
  if (!view_ || ahead_.empty()) return std::nullopt;
  return ahead_.begin()->second.created + absolute.count();
}

void RevocationView::accept_clock(Instant now) {
  const auto again = [&](ListRecord& list) {
    list.age_ms = std::max<std::int64_t>(now.wall_ms - list.created * 1000, 0);
    list.boot_ms = now.boot_ms;
  };
  if (view_) again(*view_);
  for (auto& [number, list] : ahead_) again(list);
}

std::optional<WallTime> RevocationView::next_update() const {
  if (!view_) return std::nullopt;
  return WallTime(Seconds(view_->next_update));
}

std::uint64_t RevocationView::highest() const {
  return ahead_.empty() ? number() : std::max(number(), ahead_.rbegin()->first);
}

std::uint64_t RevocationView::missing() const {
  return view_ && !ahead_.empty() ? view_->number + 1 : 0;
}

std::optional<Seconds> RevocationView::age(Instant now, std::int64_t mark_ms) const {
  if (!view_) return std::nullopt;
  return Seconds(age_ms(*view_, now, mark_ms) / 1000);
}

std::optional<RevocationView::Deadline> RevocationView::reaches(Seconds age) const {
  if (!view_) return std::nullopt;
  const std::int64_t left = std::max<std::int64_t>(age.count() * 1000 - view_->age_ms, 0);
  return Deadline{view_->created + age.count(), view_->boot_ms + static_cast<std::uint64_t>(left)};
}

std::vector<ListRecord> RevocationView::records() const {
  std::vector<ListRecord> records;
  if (view_) {
    records.push_back(*view_);
    records.back().viewed = true;
  }
  for (const auto& [number, list] : ahead_) records.push_back(list);
  return records;
}

}  // namespace jit
