#include "policy/document/kinds.hpp"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "policy/document/effects.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxTicket = 128;
constexpr std::size_t kNonceDigits = 32;
constexpr std::uint64_t kLastSequence = std::uint64_t{1} << 53U;  // exact in whatever reads it as a double
constexpr std::size_t kMaxFileName = 100;

struct KindName {
  Kind kind;
  std::string_view name;
  std::string_view name_space;
};

constexpr std::array<KindName, 9> kKinds = {{{Kind::request, "request", "jit-request"},
                                             {Kind::review, "review", "jit-review"},
                                             {Kind::grant, "grant", "jit-grant"},
                                             {Kind::revocation, "revocation", "jit-revocation"},
                                             {Kind::lock, "lock", "jit-lock"},
                                             {Kind::ask, "ask", "jit-ask"},
                                             {Kind::event, "event", "jit-event"},
                                             {Kind::policy, "policy", "jit-policy"},
                                             {Kind::trust, "trust", "jit-trust"}}};

constexpr std::array<std::string_view, 12> kEventWords = {"alive",    "filed",     "reviewed", "active",
                                                          "ended",    "refused",   "revoked",  "locked",
                                                          "unlocked", "delivered", "residue",  "started"};

bool check_policy_file_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return name.size() <= kMaxFileName && name.ends_with(".toml") && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), plain);
}

const KindName& entry(Kind kind) {
  return *std::find_if(kKinds.begin(), kKinds.end(), [&](const KindName& one) { return one.kind == kind; });
}

// Checks that stop at the first thing found wrong and name its key.
class Checks {
 public:
  void that(bool good, std::string_view key, std::string_view why) {
    if (good || error_) return;
    error_ = Error{Errc::invalid, fmt::format("key \"{}\": {}", key, why), 0};
  }
  template <class T>
  void ok(const Result<T>& result, std::string_view key) {
    if (!result) that(false, key, result.error().message);
  }

  // A line of free text: `least` to `most` bytes.
  void line(const std::string& text, std::string_view key, std::size_t least, std::size_t most) {
    that(text.size() >= least, key, "it is empty");
    that(text.size() <= most, key, fmt::format("it is longer than {} bytes", most));
    if (const auto bad = unclean(text)) that(false, key, fmt::format("it has {}", *bad));
    that(text.find('\n') == std::string::npos, key, "it has a line break: write one line");
  }
  void reason(const std::string& text) { line(text, "reason", 1, kMaxReason); }
  void ticket(const std::string& text) { line(text, "ticket", 0, kMaxTicket); }

  void fingerprint(const std::string& text, std::string_view key) {
    constexpr std::string_view kPrefix = "SHA256:";
    const bool form = text.size() == kPrefix.size() + 43 && text.compare(0, kPrefix.size(), kPrefix) == 0 &&
                      from_base64(text.substr(kPrefix.size()) + "=").has_value();
    that(form, key, "not a key fingerprint as `ssh-keygen -l` prints it (SHA256:...)");
  }
  void duration(Seconds duration, std::string_view key) {
    that(duration > Seconds(0) && duration <= std::chrono::days(366), key, "not between 1 second and 366 days");
  }
  void later(WallTime time, WallTime created, std::string_view key) {
    that(time > created, key, "it is not after created");
  }
  void time(WallTime time, std::string_view key) {
    that(parse_utc(format_utc(time)).has_value(), key, "not in the years 1970-9999");
  }
  void sequence(std::uint64_t number, std::string_view key) {
    that(number >= 1 && number <= kLastSequence, key, "not between 1 and 2^53");
  }
  void digest(const std::string& text, std::string_view key) { ok(parse_digest(text), key); }
  void nonce(const std::string& text) {
    const bool form = text.size() == kNonceDigits && from_hex(text).has_value();
    that(form, "nonce", fmt::format("it has to be {} lower-case hex digits", kNonceDigits));
  }
  void places(const std::vector<std::string>& hosts, const std::vector<std::string>& segments) {
    that(!hosts.empty() || !segments.empty(), "hosts",
         "there is neither a host nor a segment: it would apply nowhere");
    for (const std::string& host : hosts) ok(check_host_name(host), "hosts");
    for (const std::string& segment : segments) ok(check_policy_name(segment, "segment"), "segments");
  }
  void names(const std::vector<std::string>& names, std::string_view key) {
    for (const std::string& name : names) ok(check_user_name(name), key);
  }

  [[nodiscard]] Result<void> result() const {
    if (error_) return tl::unexpected(*error_);
    return {};
  }

 private:
  std::optional<Error> error_;
};

void check(const Request& request, Checks& checks) {
  checks.ok(check_host_name(request.host), "host");
  checks.fingerprint(request.host_key, "host_key");
  checks.ok(check_user_name(request.user), "user");
  checks.that(usable_id(request.uid), "uid", fmt::format("{} belongs to nobody", request.uid));
  checks.that(!request.requesters.empty(), "requesters", "there is none");
  for (const PersonRef& person : request.requesters) checks.ok(parse_person_ref(to_text(person)), "requesters");
  checks.ok(check_policy_name(request.role, "role"), "role");
  checks.duration(request.duration, "duration");
  checks.reason(request.reason);
  checks.ticket(request.ticket);
  checks.time(request.created, "created");
  checks.time(request.expires, "expires");
  checks.later(request.expires, request.created, "expires");
  if (request.start) {
    checks.time(*request.start, "start");
    checks.later(*request.start, request.created, "start");
    checks.that(*request.start < request.expires, "start", "it is not before expires: it would never begin");
    checks.that(!request.extends, "start", "an extension begins when it is approved, or there would be a gap");
  }
  checks.that(request.origin == "local" || request.origin == "pam" || request.origin == "ask", "origin",
              "\"local\", \"pam\" and \"ask\" are known to this release");
  checks.that(request.ask.has_value() == (request.origin == "ask"), "ask", "it goes with origin \"ask\"");
  checks.ok(parse_effects(request.effects), "effects");
  checks.ok(parse_digest(request.policy), "policy");
  checks.nonce(request.nonce);
}

void check(const Review& review, Checks& checks) {
  checks.ok(check_host_name(review.host), "host");
  if (review.duration) checks.duration(*review.duration, "duration");
  checks.that(review.approve || !review.duration, "duration", "a denial has none");
  if (review.start) {
    checks.time(*review.start, "start");
    checks.that(*review.start < review.expires, "start", "it is not before expires: it would never begin");
    checks.that(review.approve, "start", "a denial has none");
  }
  checks.line(review.comment, "comment", 0, kMaxReason);
  checks.time(review.created, "created");
  checks.time(review.expires, "expires");
  checks.later(review.expires, review.created, "expires");
  checks.nonce(review.nonce);
}

void check(const GrantDocument& grant, Checks& checks) {
  checks.places(grant.hosts, grant.segments);
  if (grant.host_key) {
    checks.fingerprint(*grant.host_key, "host_key");
    checks.that(grant.hosts.size() == 1 && grant.segments.empty(), "host_key", "it goes with exactly one host");
  }
  checks.ok(check_user_name(grant.user), "user");
  checks.ok(check_policy_name(grant.role, "role"), "role");
  checks.reason(grant.reason);
  checks.ticket(grant.ticket);
  checks.time(grant.created, "created");
  if (grant.not_before) {
    checks.time(*grant.not_before, "not_before");
    if (grant.not_after) checks.later(*grant.not_after, *grant.not_before, "not_after");
  }
  checks.that(grant.not_after.has_value() != grant.duration.has_value(), "not_after",
              "either it or duration has to be there");
  checks.that(grant.duration.has_value() == grant.activate_by.has_value(), "activate_by",
              "it goes with duration, and duration with it");
  if (grant.not_after) {
    checks.time(*grant.not_after, "not_after");
    checks.later(*grant.not_after, grant.created, "not_after");
  }
  if (grant.duration) checks.duration(*grant.duration, "duration");
  if (grant.activate_by) {
    checks.time(*grant.activate_by, "activate_by");
    checks.later(*grant.activate_by, grant.created, "activate_by");
    if (grant.not_before) checks.later(*grant.activate_by, *grant.not_before, "activate_by");
  }
  checks.nonce(grant.nonce);
}

void check(const Revocation& revocation, Checks& checks) {
  checks.places(revocation.hosts, revocation.segments);
  checks.time(revocation.created, "created");
  checks.reason(revocation.reason);
  const bool listed = !revocation.grants.empty() || !revocation.requests.empty() || !revocation.users.empty() ||
                      !revocation.approvers.empty();
  checks.that(listed || revocation.all || revocation.number, "targets", "there is none");
  checks.that(!(listed && revocation.all), "targets", "all = true stands alone");
  checks.names(revocation.users, "users");
  checks.names(revocation.approvers, "approvers");
  checks.that(revocation.number.has_value() == revocation.next_update.has_value(), "next_update",
              "it goes with number, and number with it");
  if (revocation.number) checks.sequence(*revocation.number, "number");
  if (revocation.next_update) {
    checks.time(*revocation.next_update, "next_update");
    checks.later(*revocation.next_update, revocation.created, "next_update");
  }
  checks.nonce(revocation.nonce);
}

void check(const Lock& lock, Checks& checks) {
  checks.places(lock.hosts, lock.segments);
  checks.time(lock.created, "created");
  checks.reason(lock.reason);
  const bool listed = !lock.users.empty() || !lock.keys.empty() || !lock.approvers.empty();
  checks.that(listed || !lock.lifts.empty(), "targets", "there is none, and nothing is lifted");
  checks.that(!listed || lock.lifts.empty(), "lifts", "a lock has targets or lifts locks, not both");
  checks.names(lock.users, "users");
  for (const std::string& key : lock.keys) checks.fingerprint(key, "keys");
  checks.names(lock.approvers, "approvers");
  if (lock.until) {
    checks.time(*lock.until, "until");
    checks.later(*lock.until, lock.created, "until");
    checks.that(lock.lifts.empty(), "until", "lifting a lock has no end");
  }
  checks.nonce(lock.nonce);
}

void check(const AskDocument& ask, Checks& checks) {
  checks.places(ask.hosts, ask.segments);
  checks.ok(check_user_name(ask.user), "user");
  checks.ok(check_policy_name(ask.role, "role"), "role");
  if (ask.duration) checks.duration(*ask.duration, "duration");
  checks.reason(ask.reason);
  checks.that(!only_blanks(ask.reason), "reason", "it is blank: say why");
  checks.ticket(ask.ticket);
  checks.time(ask.created, "created");
  checks.time(ask.expires, "expires");
  checks.later(ask.expires, ask.created, "expires");
  if (ask.start) {
    checks.time(*ask.start, "start");
    checks.later(*ask.start, ask.created, "start");
    checks.that(*ask.start < ask.expires, "start", "it is not before expires: it would never begin");
  }
  checks.nonce(ask.nonce);
}

void check(const EventDocument& event, Checks& checks) {
  checks.ok(check_host_name(event.host), "host");
  checks.fingerprint(event.host_key, "host_key");
  checks.that(event.sequence <= kLastSequence, "sequence", "it is above 2^53");
  checks.that(event.sequence >= 1 || event.what == "alive", "sequence", "it begins with 1");
  checks.time(event.created, "created");
  checks.that(event.entry <= kLastSequence, "entry", "it is above 2^53");
  checks.digest(event.policy, "policy");
  checks.digest(event.machine, "machine");
  checks.that(event_word(event.what), "what",
              fmt::format("\"{}\" is not known to this release", shown(event.what, 40)));
  if (!event.user.empty()) checks.ok(check_user_name(event.user), "user");
  if (!event.role.empty()) checks.ok(check_policy_name(event.role, "role"), "role");
  checks.line(event.state, "state", 0, 32);
  checks.line(event.why, "why", 0, kMaxReason);
  checks.line(event.by, "by", 0, kMaxReason);
  if (event.until) checks.time(*event.until, "until");
  checks.that(event.view.has_value() == event.viewed.has_value(), "viewed", "it goes with view, and view with it");
  if (event.view) checks.sequence(*event.view, "view");
  if (event.viewed) checks.time(*event.viewed, "viewed");
  checks.nonce(event.nonce);
}

void check(const Delivery& delivery, bool policy, Checks& checks) {
  checks.places(delivery.hosts, delivery.segments);
  checks.sequence(delivery.number, "number");
  checks.that(delivery.parts >= 1 && delivery.parts <= kMaxParts, "parts",
              fmt::format("not between 1 and {}", kMaxParts));
  checks.that(delivery.part >= 1 && delivery.part <= delivery.parts, "part", "not between 1 and parts");
  checks.time(delivery.created, "created");
  checks.reason(delivery.reason);
  checks.that(!delivery.files.empty(), "files", "there is none");
  std::set<std::string_view> names;
  for (const Delivery::File& file : delivery.files) {
    const bool good =
        policy ? check_policy_file_name(file.name) : file.name == "approvers" || file.name == "requesters";
    checks.that(good, "files",
                policy ? "a name is NAME.toml, of letters, digits, '.', '_' and '-'"
                       : "a name is \"approvers\" or \"requesters\"");
    checks.that(names.insert(file.name).second, "files", fmt::format("{} is there twice", shown(file.name, 100)));
    checks.that(valid_utf8(file.text), "files", "a text is not UTF-8");
  }
  checks.nonce(delivery.nonce);
}

void check(const PolicyDocument& document, Checks& checks) {
  check(static_cast<const Delivery&>(document), true, checks);
}

void check(const TrustDocument& document, Checks& checks) {
  check(static_cast<const Delivery&>(document), false, checks);
}

}  // namespace

bool event_word(std::string_view word) {
  return std::find(kEventWords.begin(), kEventWords.end(), word) != kEventWords.end();
}

std::string_view kind_name(Kind kind) {
  return entry(kind).name;
}

std::string_view kind_namespace(Kind kind) {
  return entry(kind).name_space;
}

Result<Kind> kind_of_namespace(std::string_view name_space) {
  for (const KindName& one : kKinds) {
    if (one.name_space == name_space) return one.kind;
  }
  return fail(Errc::refused, fmt::format("signatures in namespace \"{}\" are not taken", shown(name_space, 64)));
}

std::string to_text(const PersonRef& person) {
  return (person.listed ? "person:" : "user:") + person.name;
}

Result<PersonRef> parse_person_ref(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view prefix = text.substr(0, colon);
  if (colon == std::string_view::npos || (prefix != "person" && prefix != "user")) {
    return fail(Errc::invalid, fmt::format("\"{}\" is neither person:NAME nor user:NAME", shown(text, 80)));
  }
  const std::string_view name = text.substr(colon + 1);
  const bool listed = prefix == "person";
  if (auto ok = listed ? check_policy_name(name, "person") : check_user_name(name); !ok)
    return tl::unexpected(ok.error());
  return PersonRef{std::string(name), listed};
}

Kind kind_of(const Document& document) {
  static_assert(std::variant_size_v<Document> == kKinds.size());
  return kKinds[document.index()].kind;
}

Result<void> check_document(const Document& document) {
  Checks checks;
  std::visit([&](const auto& value) { check(value, checks); }, document);
  return checks.result();
}

std::string make_nonce() {
  std::array<std::uint8_t, kNonceDigits / 2> bytes{};
  // Without random numbers nothing here may go on: two documents would pass for one.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
  return to_hex(bytes);
}

}  // namespace jit
