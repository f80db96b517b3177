// What a host says of itself in its box: requests that wait, and events. Each is verified by that host's own key
// before anything of it is believed, wherever it came from (P7). Pure: bytes, trust and time in, values out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/verify.hpp"

namespace jit::ctl {

struct SeenRequest {
  Envelope envelope;
  Request request;
  Digest digest;
};

struct SeenEvent {
  EventDocument event;
  Digest digest;
};

// Why something is not shown.
struct Unseen {
  enum class Why : std::uint8_t {
    unknown_key,  // of another host, of one that nobody here knows, or of a key that is no longer valid
    no_document,  // damaged, forged, or nothing that hosts post
  } why = Why::no_document;
  std::string detail;  // for people; not shown() yet
};

// `hosts` has the lines of one host alone.
[[nodiscard]] std::variant<SeenRequest, SeenEvent, Unseen> see(std::string_view bytes, const TrustFile& hosts,
                                                               WallTime now);

// All that is known of one host, from all sources together.
struct HostSight {
  std::string host;
  std::map<Digest, SeenRequest> requests;
  // By sequence, the newest first, without "alive". Two of one sequence are two machines or a database put back.
  std::map<std::pair<std::uint64_t, Digest>, SeenEvent, std::greater<>> events;
  std::optional<SeenEvent> alive;  // the newest

  void add(const SeenRequest& request) { requests.emplace(request.digest, request); }
  void add(const SeenEvent& event);

  // The last word of the host, by its own clock; nullptr: it was never heard of.
  [[nodiscard]] const SeenEvent* last() const;
  // The highest sequence that it named; 0: none.
  [[nodiscard]] std::uint64_t top() const;
  // All events from this one up to top() are here. What an older one says may be out of date: whoever runs a source
  // can hold back what came after it.
  [[nodiscard]] std::uint64_t whole_from() const;
};

// What became of a request or direct grant on one host, as far as its events tell.
struct Standing {
  std::string state;  // "pending", "active", "ended", "refused"; empty: nothing is known
  std::string why, by, user, role;
  std::optional<WallTime> until;  // of "active"
  WallTime as_of{};               // when the host said so
  bool sure = false;              // nothing that came after it is missing here
  [[nodiscard]] bool over() const { return state == "ended" || state == "refused"; }
};
[[nodiscard]] Standing standing_of(const HostSight& sight, const Digest& grant, WallTime now);

// The same of every grant that has come to life there and is not over, for one user.
[[nodiscard]] std::vector<Standing> held_by(const HostSight& sight, std::string_view user, WallTime now);

// Requests that wait: not expired, and not decided as far as events tell.
[[nodiscard]] std::vector<const SeenRequest*> waiting_in(const HostSight& sight, WallTime now);

// "active until 2026-11-22 10:42:00Z", "pending: waiting for dba-leads (1 of 2)"; with how old the news is where
// something is missing.
[[nodiscard]] std::string standing_text(const Standing& standing);

}  // namespace jit::ctl
