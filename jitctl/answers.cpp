#include "jitctl/answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using State = Answer::State;

constexpr std::string_view kCounted = "counted";  // of a review
constexpr std::chrono::milliseconds kSaidSoon{3000};

Answer of_event(State state, std::string word, const EventDocument& event, bool settled) {
  return {state, std::move(word), event.why, event.by, event.until, event.grant, settled};
}

// What is about a document as such, not about the life of a grant.
const EventDocument* answering(const HostSight& sight, const Digest& document) {
  for (const auto& [key, seen] : sight.events) {
    if (seen.event.document == document) return &seen.event;
  }
  return nullptr;
}

// The document itself was not taken: no state of a grant comes with that.
const EventDocument* refusing(const HostSight& sight, const Digest& document) {
  for (const auto& [key, seen] : sight.events) {
    const auto& event = seen.event;
    if (event.document == document && event.what == "refused" && event.state.empty()) return &event;
  }
  return nullptr;
}

Answer of_standing(const Standing& standing, const Digest& grant) {
  Answer answer;
  answer.word = standing.state;
  answer.why = standing.why;
  answer.by = standing.by;
  answer.until = standing.until;
  answer.grant = grant;
  answer.state = standing.state == "active" ? State::active : standing.over() ? State::refused : State::pending;
  answer.settled = answer.state != State::pending;
  if (!standing.sure) answer.why += (answer.why.empty() ? "" : "; ") + std::string("newer events are missing here");
  return answer;
}

Answer of_review(const Review& review, const Digest& digest, const HostSight& sight, WallTime now) {
  if (const auto* event = refusing(sight, digest)) return of_event(State::refused, "refused", *event, true);
  const auto standing = standing_of(sight, review.request, now);
  if (standing.state == "active" || standing.over()) {
    auto answer = of_standing(standing, review.request);
    if (review.approve) return answer;
    answer.state = standing.state == "refused" ? State::done : State::refused;
    if (answer.state == State::done) answer.word = "denied";
    return answer;
  }
  const auto* event = answering(sight, digest);
  if (event == nullptr) return {};
  // It counts. Where nobody else is waited for, the host goes on at once, and says that next.
  auto answer = of_event(State::pending, std::string(kCounted), *event, false);
  answer.brief = true;
  const auto newer = std::find_if(sight.events.begin(), sight.events.end(), [&](const auto& one) {
    return one.first.first > event->sequence && one.second.event.grant == review.request;
  });
  if (newer == sight.events.end()) return answer;
  answer.why = newer->second.event.why;
  answer.settled = true;
  return answer;
}

Answer of_ask(const Digest& digest, const HostSight& sight, WallTime now) {
  std::set<Digest> grants;
  for (const auto& [key, seen] : sight.events) {
    if (seen.event.ask == digest && seen.event.grant) grants.insert(*seen.event.grant);
  }
  for (const auto& [key, seen] : sight.events) {
    const auto& event = seen.event;
    if (event.grant && grants.contains(*event.grant))
      return of_standing(standing_of(sight, *event.grant, now), *event.grant);
    const bool ours = event.ask == digest || event.document == digest;
    if (ours && event.what == "refused") return of_event(State::refused, "refused", event, true);
    if (ours) return of_event(State::pending, event.what, event, false);
  }
  return {};
}

Answer of_grant(const Digest& digest, const HostSight& sight, WallTime now) {
  const auto standing = standing_of(sight, digest, now);
  if (!standing.state.empty()) {
    auto answer = of_standing(standing, digest);
    // What it waits for are people. Where it names none, it was only filed yet.
    answer.brief = answer.state == State::pending && standing.why.empty();
    answer.settled = !answer.brief;
    return answer;
  }
  const auto* event = answering(sight, digest);
  if (event == nullptr) return {};
  if (event->what == "refused") return of_event(State::refused, "refused", *event, true);
  return of_event(State::pending, event->what, *event, true);
}

std::vector<std::string> users_of(const Document& document) {
  if (const auto* lock = std::get_if<Lock>(&document)) return lock->users;
  if (const auto* revocation = std::get_if<Revocation>(&document)) return revocation->users;
  return {};
}

// Answers come with the clock of their host, which may be off.
constexpr Seconds kClocksApart = std::chrono::hours(1);
constexpr std::size_t kEventsAfter = 512;   // that a host may have said since a document was made
constexpr std::size_t kEventsAtAll = 4096;  // that a host posts

std::string seconds_text(std::chrono::milliseconds took) {
  const auto tenths = (took.count() + 50) / 100;
  if (tenths < 600) return fmt::format("{}.{} s", tenths / 10, tenths % 10);
  return in_words(std::chrono::duration_cast<Seconds>(took));
}

bool silent_row(const AnswerRow& row) {
  return row.answer.state == State::none || row.answer.state == State::unsent;
}

std::string holds_text(const AnswerRow& row) {
  if (!silent_row(row)) return {};
  if (!row.was_read || !row.seen) return "not known";
  std::vector<std::string> held;
  for (const auto& standing : row.holds) {
    auto one = standing.role;
    if (standing.until) {
      one += " until " + time_text(seconds_of(*standing.until));
    }
    held.push_back(one + (standing.sure ? "" : " (or no more)"));
  }
  return held.empty() ? "nothing" : joined(held);
}

// Parcels by the hosts that they name.
const Parcel* parcel_for(const std::vector<Parcel>& parcels, const AnswerRow& row) {
  const auto found =
      std::find_if(parcels.begin(), parcels.end(), [&](const Parcel& parcel) { return parcel.digest == row.digest; });
  return found == parcels.end() ? nullptr : &*found;
}

class Waiting {
 public:
  Waiting(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels, Posting& posting)
      : context_(context), elsewhere_(elsewhere), parcels_(parcels), posting_(posting), began_(context.ticks()) {
    for (const auto& parcel : parcels) oldest_ = std::min(oldest_, made_at(parcel.document));
  }

  void run(std::optional<Seconds> patience) {
    using std::chrono::milliseconds;
    const Interrupt interrupt;
    for (;;) {
      look();
      if (all_settled() || Interrupt::pressed()) break;
      auto left = std::chrono::duration_cast<milliseconds>(std::chrono::minutes(1));
      if (patience) left = std::min(left, began_ + milliseconds(*patience) - context_.ticks());
      if (left <= milliseconds(0)) break;
      if (any_brief()) left = std::min(left, kSaidSoon);
      elsewhere_.wait(to_look_at(), interrupt.descriptor(), left);
    }
  }

  // What is worth to know of hosts that have not answered.
  void look_back() {
    std::vector<std::string> silent;
    for (const auto& row : posting_.rows) {
      if (silent_row(row)) silent.push_back(row.host);
    }
    if (silent.empty()) return;
    const bool about_users = std::any_of(parcels_.begin(), parcels_.end(),
                                         [](const Parcel& parcel) { return !users_of(parcel.document).empty(); });
    const Need need{false, about_users ? kEventsAtAll : 1, context_.now() - kAbsoluteCeiling, false};
    if (auto done = elsewhere_.look(silent, need); !done) complain(context_, done.error().message);
    for (auto& row : posting_.rows) {
      if (!silent_row(row)) continue;
      row.was_read = elsewhere_.read(row.host);
      const auto sight = elsewhere_.sight(row.host);
      if (const auto* last = sight.last()) row.seen = last->event.created;
      const auto* parcel = parcel_for(parcels_, row);
      for (const auto& user : parcel != nullptr ? users_of(parcel->document) : std::vector<std::string>{}) {
        for (auto& standing : held_by(sight, user, context_.now())) row.holds.push_back(std::move(standing));
      }
    }
  }

 private:
  [[nodiscard]] bool all_settled() const {
    return !posting_.to_segments && std::all_of(posting_.rows.begin(), posting_.rows.end(),
                                                [](const AnswerRow& row) { return row.answer.settled; });
  }

  [[nodiscard]] bool any_brief() const {
    return std::any_of(posting_.rows.begin(), posting_.rows.end(),
                       [](const AnswerRow& row) { return row.answer.brief && !row.answer.settled; });
  }

  [[nodiscard]] std::vector<std::string> to_look_at() const {
    if (posting_.to_segments) return elsewhere_.hosts();
    std::set<std::string> open;
    for (const auto& row : posting_.rows) {
      if (!row.answer.settled) open.insert(row.host);
    }
    return {open.begin(), open.end()};
  }

  void look() {
    const Need need{false, kEventsAfter, oldest_ - kClocksApart, false};
    if (auto done = elsewhere_.look(to_look_at(), need); !done && failed_ != done.error().message) {
      failed_ = done.error().message;  // it may come back; what was sent stays sent
      complain(context_, failed_);
    }
    for (auto& row : posting_.rows) {
      if (row.answer.settled) continue;
      if (const auto* parcel = parcel_for(parcels_, row)) update(row, *parcel, elsewhere_.sight(row.host));
    }
    if (posting_.to_segments) look_at_segments();
  }

  void look_at_segments() {
    for (const auto& host : elsewhere_.hosts()) {
      const auto sight = elsewhere_.sight(host);
      for (const auto& parcel : parcels_) {
        if (destination_of(parcel.document).segments.empty()) continue;
        const auto same = [&](const AnswerRow& row) { return row.host == host && row.digest == parcel.digest; };
        if (std::any_of(posting_.rows.begin(), posting_.rows.end(), same)) continue;
        AnswerRow row{host, parcel.id(), parcel.digest, {}, {}, {}, true, {}};
        update(row, parcel, sight);
        if (row.answer.state != State::none) posting_.rows.push_back(std::move(row));
      }
    }
  }

  void update(AnswerRow& row, const Parcel& parcel, const HostSight& sight) {
    auto answer = answer_of(parcel.document, parcel.digest, sight, context_.now());
    const bool news = answer.state != row.answer.state || answer.why != row.answer.why;
    row.answer = std::move(answer);
    row.was_read = elsewhere_.read(row.host);
    if (const auto* last = sight.last()) row.seen = last->event.created;
    const auto now = context_.ticks() - began_;
    if (row.answer.brief && row.took && now - *row.took >= kSaidSoon) row.answer.settled = true;
    if (!news || row.answer.state == State::none) return;
    row.took = now;
    if (!context_.out_terminal || context_.json) return;
    auto line = fmt::format("{}: {}", row.host, answer_text(row.answer));
    if (!row.answer.why.empty()) line += ": " + row.answer.why;
    context_.err << folded(without_blank_runs(shown(line)), "  ", "  ", context_.columns) << std::flush;
  }

  Context& context_;
  Elsewhere& elsewhere_;
  const std::vector<Parcel>& parcels_;
  Posting& posting_;
  std::chrono::milliseconds began_;
  WallTime oldest_ = WallTime::max();
  std::string failed_;
};

}  // namespace

Answer answer_of(const Document& document, const Digest& digest, const HostSight& sight, WallTime now) {
  if (const auto* review = std::get_if<Review>(&document)) return of_review(*review, digest, sight, now);
  if (std::holds_alternative<AskDocument>(document)) return of_ask(digest, sight, now);
  if (std::holds_alternative<GrantDocument>(document)) return of_grant(digest, sight, now);
  const auto* event = answering(sight, digest);
  if (event == nullptr) return {};
  const bool refused = event->what == "refused";
  return of_event(refused ? State::refused : State::done, event->what, *event, true);
}

std::string_view answer_word(const Answer& answer) {
  switch (answer.state) {
    case State::unsent:
      return "unsent";
    case State::none:
      return "sent";
    case State::pending:
      return "pending";
    default:
      return answer.word;
  }
}

std::string answer_text(const Answer& answer) {
  switch (answer.state) {
    case State::unsent:
      return "not sent";
    case State::none:
      return "no answer yet";
    case State::pending:
      return answer.word == kCounted ? "counted, pending" : "pending";
    case State::active:
      if (!answer.until) return "active";
      return "active until " + time_text(seconds_of(*answer.until));
    default:
      return answer.word;
  }
}

Posting post(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels) {
  Posting posting;
  for (const auto& parcel : parcels) {
    const auto name = name_of_document(parcel.text);
    const auto destination = destination_of(parcel.document);
    const auto until = needed_until(parcel.document);
    const auto put = [&](const Result<Box>& box) -> Result<void> {
      if (!name) return tl::unexpected(name.error());
      if (!box) return tl::unexpected(box.error());
      return elsewhere.put(*box, *name, parcel.text, until);
    };
    for (const auto& host : destination.hosts) {
      AnswerRow row{host, parcel.id(), parcel.digest, {}, {}, {}, false, {}};
      if (auto done = put(Box::to_host(host)); !done) {
        row.answer.state = State::unsent;
        row.answer.why = done.error().message;
        row.answer.settled = true;
      }
      posting.rows.push_back(std::move(row));
    }
    for (const auto& segment : destination.segments) {
      posting.to_segments = true;
      if (auto done = put(Box::to_segment(segment)); !done) {
        posting.segments_failed = true;
        complain(context, fmt::format("segment {}: not sent: {}", segment, done.error().message));
      }
    }
  }
  return posting;
}

void await_answers(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels, Posting& posting,
                   std::optional<Seconds> patience) {
  if (parcels.empty() || patience == Seconds(0)) return;
  Waiting waiting(context, elsewhere, parcels, posting);
  waiting.run(patience);
  waiting.look_back();
  elsewhere.say_what_was_passed_over();
}

void print_answers(Context& context, const std::vector<AnswerRow>& rows) {
  const bool holds = std::any_of(rows.begin(), rows.end(), [](const AnswerRow& row) { return !row.holds.empty(); });
  const bool open = std::any_of(rows.begin(), rows.end(), silent_row);
  std::vector<std::string> heading = {"HOST", "STATE", "AFTER"};
  if (open) heading.emplace_back("LAST HEARD OF");
  if (holds) heading.emplace_back("STILL HOLDS");
  heading.emplace_back("WHY");
  Table table(std::move(heading));
  for (const auto& row : rows) {
    std::vector<std::string> cells = {row.host, answer_text(row.answer), row.took ? seconds_text(*row.took) : ""};
    if (open) cells.push_back(silent_row(row) ? seen_text(row.seen, context.now()) : "");
    if (holds) cells.push_back(holds_text(row));
    auto why = row.answer.why;
    if (!row.answer.by.empty()) why += (why.empty() ? "by " : ", by ") + row.answer.by;
    cells.push_back(std::move(why));
    table.add(std::move(cells));
  }
  table.print(context.out);
}

std::string answer_json(const AnswerRow& row) {
  JsonObject object;
  object.text("host", row.host).text("id", row.id).text("digest", digest_text(row.digest));
  object.text("state", answer_word(row.answer));
  if (!row.answer.why.empty()) object.text("message", row.answer.why);
  if (!row.answer.by.empty()) object.text("by", row.answer.by);
  if (row.answer.grant) object.text("grant", id_of(*row.answer.grant));
  if (row.answer.until) object.number("not_after", seconds_of(*row.answer.until));
  if (row.took) object.number("took_ms", static_cast<std::uint64_t>(row.took->count()));
  if (row.seen) object.number("seen", seconds_of(*row.seen));
  std::vector<std::string> holds;
  for (const auto& standing : row.holds) {
    JsonObject one;
    one.text("role", standing.role).text("user", standing.user).boolean("sure", standing.sure);
    if (standing.until) one.number("not_after", seconds_of(*standing.until));
    holds.push_back(one.str());
  }
  if (!holds.empty()) object.raw("holds", json_list(holds));
  return object.str();
}

std::string answers_json(const std::vector<AnswerRow>& rows) {
  return posting_json({}, {rows, false, false});
}

std::string posting_json(const std::vector<Parcel>& parcels, const Posting& posting) {
  std::vector<std::string> objects;
  for (const auto& row : posting.rows) objects.push_back(answer_json(row));
  for (const auto& parcel : parcels) {
    for (const auto& segment : destination_of(parcel.document).segments) {
      objects.push_back(JsonObject()
                            .text("segment", segment)
                            .text("id", parcel.id())
                            .text("digest", digest_text(parcel.digest))
                            .text("state", posting.segments_failed ? "unsent" : "sent")
                            .str());
    }
  }
  return json_list(objects);
}

Exit exit_of(const Posting& posting) {
  bool unsent = posting.segments_failed;
  bool refused = false;
  bool open = posting.rows.empty();
  for (const auto& row : posting.rows) {
    unsent = unsent || row.answer.state == State::unsent;
    refused = refused || row.answer.state == State::refused;
    open = open || row.answer.state == State::none || row.answer.state == State::pending;
  }
  if (unsent) return Exit::failed;
  if (refused) return Exit::refused;
  return open ? Exit::pending : Exit::done;
}

std::string seen_text(const std::optional<WallTime>& seen, WallTime now) {
  if (!seen) return "never";
  if (*seen > now + std::chrono::minutes(1)) return fmt::format("{} ahead of this clock", in_words(*seen - now));
  return in_words(std::max(now - *seen, Seconds(0))) + " ago";
}

}  // namespace jit::ctl
