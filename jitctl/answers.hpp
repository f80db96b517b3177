// What became of a document on each host that it was for, as the hosts themselves say. A host's answer is the event
// that names the document's digest; nobody could know that before it was made, so an old event is never taken for
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jitctl/context.hpp"
#include "jitctl/elsewhere.hpp"
#include "jitctl/parcels.hpp"
#include "jitctl/sight.hpp"

namespace jit::ctl {

struct Answer {
  enum class State : std::uint8_t {
    unsent,   // no source took it
    none,     // the host has not said anything yet
    pending,  // it was taken in, and something is still waited for
    done,     // it did what it was to do, as `word` says
    active,   // what was asked for or granted is in force
    refused,  // by the host; or it came to another end than was meant
  } state = State::none;
  std::string word;  // "locked", "active", "denied"
  std::string why, by;
  std::optional<WallTime> until;
  std::optional<Digest> grant;  // the request or grant that it came to
  bool settled = false;         // nothing more is to be expected soon
  bool brief = false;           // it waits for nobody: the host goes on at once, and says that next
};

// Pure. `digest` is that of the document.
[[nodiscard]] Answer answer_of(const Document& document, const Digest& digest, const HostSight& sight, WallTime now);

// One host and one document.
struct AnswerRow {
  std::string host;
  std::string id;  // of the document
  Digest digest;
  Answer answer;
  std::optional<std::chrono::milliseconds> took;  // from sending to seeing the answer
  std::optional<WallTime> seen;                   // when the host said something at last
  bool was_read = false;                          // its box could be read
  std::vector<Standing> holds;                    // what those whom it is about still hold there
};

// The words of a state, for tables and JSON: "locked", "not yet", "active until ...".
[[nodiscard]] std::string answer_text(const Answer& answer);
[[nodiscard]] std::string_view answer_word(const Answer& answer);

// Puts each document into the boxes that it is for. A row for each host that one names; `segments_failed` when a
// segment's box took nothing, which is said.
struct Posting {
  std::vector<AnswerRow> rows;
  bool to_segments = false, segments_failed = false;
};
[[nodiscard]] Posting post(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels);

// Waits until all rows are settled, Ctrl-C or so long; nullopt: however long it takes. Hosts of a segment become rows
// when they answer: which ones they are is not known here. What is missing then is looked for once more: when a host
// was last heard of, and what its users still hold.
void await_answers(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels, Posting& posting,
                   std::optional<Seconds> patience);

// Host by host; JSON: a list of objects.
void print_answers(Context& context, const std::vector<AnswerRow>& rows);
[[nodiscard]] std::string answer_json(const AnswerRow& row);
[[nodiscard]] std::string answers_json(const std::vector<AnswerRow>& rows);
// The same, and an object for each segment, whose hosts are not all known.
[[nodiscard]] std::string posting_json(const std::vector<Parcel>& parcels, const Posting& posting);

// Not sent: failed; refused somewhere; not all have answered or something waits: pending; else done.
[[nodiscard]] Exit exit_of(const Posting& posting);

// "3s ago", "2h 5m ago", "never".
[[nodiscard]] std::string seen_text(const std::optional<WallTime>& seen, WallTime now);

}  // namespace jit::ctl
