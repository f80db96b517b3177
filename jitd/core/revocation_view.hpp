// What this host knows of revocations, and since when: the numbered lists that came in. The view is the newest list
// such that every one between the first that ever came and that one is here, so that nobody who drops a list on its
// way can make a view look fresh. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jitd/store/store.hpp"
#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

class RevocationView {
 public:
  // No list is numbered higher than this above the highest that is here: one that is signed so would leave no number
  // for any other.
  static constexpr std::uint64_t kMostAhead = 1'000'000;

  RevocationView() = default;
  // What the database has. `mark_ms`: the highest wall time that is believed (clock_guard.hpp).
  RevocationView(const std::vector<ListRecord>& stored, Instant now, std::int64_t mark_ms, std::string boot_id);

  // Whether this list is news. Errc::refused: not above those that are here, or its number is another's.
  [[nodiscard]] Result<void> check(std::uint64_t number, const Digest& digest) const;
  // Takes it in. `sure`: the time that has surely come, in seconds; no list was made later. `begins`: where there is
  // no view yet it may be its beginning. True: the view is another now.
  bool add(std::uint64_t number, const Digest& digest, WallTime created, WallTime next_update, Instant now,
           std::int64_t mark_ms, std::int64_t sure, bool begins);
  // Once the list behind a gap is older than `absolute`, what the missing ones could have revoked cannot come into
  // force any more: the view goes on from there. True: it did.
  bool pass_gap(std::int64_t sure, Seconds absolute);
  // When that is, wall seconds; nullopt: there is no gap.
  [[nodiscard]] std::optional<std::int64_t> gap_passes(Seconds absolute) const;
  // Root has said that the wall clock is right.
  void accept_clock(Instant now);

  [[nodiscard]] bool known() const { return view_.has_value(); }
  [[nodiscard]] std::uint64_t number() const { return view_ ? view_->number : 0; }
  [[nodiscard]] WallTime created() const { return WallTime(Seconds(view_ ? view_->created : 0)); }
  [[nodiscard]] std::optional<WallTime> next_update() const;
  // The highest that came, in the view or ahead of it; 0: none.
  [[nodiscard]] std::uint64_t highest() const;
  // The first that is missing while higher ones are here; 0: none is.
  [[nodiscard]] std::uint64_t missing() const;

  // By the clock that makes it the oldest: wall, mark, and boot-time since it came. nullopt: there is no view.
  [[nodiscard]] std::optional<Seconds> age(Instant now, std::int64_t mark_ms) const;
  // When it comes to be of that age, on either clock.
  struct Deadline {
    std::int64_t wall_s = 0;
    std::uint64_t boot_ms = 0;
  };
  [[nodiscard]] std::optional<Deadline> reaches(Seconds age) const;

  // What the database is to have: the view's own and those ahead of it.
  [[nodiscard]] std::vector<ListRecord> records() const;

 private:
  [[nodiscard]] static std::int64_t age_ms(const ListRecord& list, Instant now, std::int64_t mark_ms);
  bool advance();

  std::optional<ListRecord> view_;
  std::map<std::uint64_t, ListRecord> ahead_;  // seen, and no part of the view yet
  std::string boot_id_;
};

}  // namespace jit
