// TOML payloads to documents. toml++ is used here and its exceptions end here.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/document/kinds.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"
#include "policy/toml.hpp"
#include "policy/toml_text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxItems = 256;  // in one array

// Keys that documents will know once a host can hold what they say. Ignoring one would grant more than was signed.
constexpr std::array<std::string_view, 3> kNotYet = {"from", "commands", "risk"};

// The keys of one table, taken by name. The first error is kept and what follows yields empty values; result() gives
// it, or the first key that nobody took.
class Fields {
 public:
  explicit Fields(const toml::table& table) : table_(table) {}

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

  std::string text(std::string_view key) {
    const toml::node* node = take(key, true);
    return node == nullptr ? std::string() : string_of(*node, key);
  }
  std::string text_or_none(std::string_view key) {
    const toml::node* node = take(key, false);
    if (node == nullptr) return {};
    std::string value = string_of(*node, key);
    if (value.empty()) wrong(*node, key, "it is empty: leave the key out");
    return value;
  }
  std::int64_t number(std::string_view key) {
    const toml::node* node = take(key, true);
    if (node == nullptr) return 0;
    const auto* value = node->as_integer();
    if (value == nullptr || value->flags() != toml::value_flags::none) {
      wrong(*node, key, "not a decimal whole number");
      return 0;
    }
    return value->get();
  }
  bool yes(std::string_view key) {
    const toml::node* node = take(key, false);
    if (node == nullptr) return false;
    const auto* value = node->as_boolean();
    if (value == nullptr || !value->get()) wrong(*node, key, "it is true or left out");
    return true;
  }
  WallTime time(std::string_view key) {
    const toml::node* node = take(key, true);
    return node == nullptr ? WallTime{} : time_of(*node, key);
  }
  std::optional<WallTime> time_or_none(std::string_view key) {
    const toml::node* node = take(key, false);
    if (node == nullptr) return std::nullopt;
    return time_of(*node, key);
  }
  Seconds duration(std::string_view key) {
    const toml::node* node = take(key, true);
    return node == nullptr ? Seconds(0) : duration_of(*node, key);
  }
  std::optional<Seconds> duration_or_none(std::string_view key) {
    const toml::node* node = take(key, false);
    if (node == nullptr) return std::nullopt;
    return duration_of(*node, key);
  }
  // A count or number in a row; what is out of range becomes 0, which check_document refuses.
  std::uint64_t count(std::string_view key) {
    const std::int64_t value = number(key);
    return value < 0 ? 0 : static_cast<std::uint64_t>(value);
  }
  std::optional<std::uint64_t> count_or_none(std::string_view key) {
    if (!has(key)) return std::nullopt;
    return count(key);
  }
  std::optional<Digest> digest_or_none(std::string_view key) {
    if (!has(key)) return std::nullopt;
    return digest(key);
  }
  // An array of tables, at least one.
  std::vector<const toml::table*> tables(std::string_view key) {
    std::vector<const toml::table*> found;
    const toml::node* node = take(key, true);
    if (node == nullptr) return found;
    const toml::array* array = node->as_array();
    const bool good = array != nullptr && !array->empty() && array->size() <= kMaxItems &&
                      std::all_of(array->begin(), array->end(), [](const toml::node& one) { return one.is_table(); });
    if (!good) {
      wrong(*node, key, fmt::format("not 1 to {} tables", kMaxItems));
      return found;
    }
    for (const toml::node& one : *array) found.push_back(one.as_table());
    return found;
  }
  Digest digest(std::string_view key) {
    const toml::node* node = take(key, true);
    return node == nullptr ? Digest{} : digest_of(*node, key);
  }
  // An array of strings; absent is empty, present may not be.
  std::vector<std::string> list(std::string_view key) {
    return items<std::string>(key, [&](const toml::node& item) { return string_of(item, key); });
  }
  std::vector<Digest> digests(std::string_view key) {
    return items<Digest>(key, [&](const toml::node& item) { return digest_of(item, key); });
  }
  const toml::table* table(std::string_view key) {
    const toml::node* node = take(key, false);
    if (node == nullptr) return nullptr;
    if (node->as_table() == nullptr) wrong(*node, key, "not a table");
    return node->as_table();
  }

  void wrong(const toml::node& node, std::string_view key, std::string_view why) {
    if (!error_)
      error_ = Error{Errc::invalid, fmt::format("line {}, key \"{}\": {}", node.source().begin.line, key, why), 0};
  }
  void keep(const Result<void>& result) {
    if (!result && !error_) error_ = result.error();
  }

  [[nodiscard]] Result<void> result() {
    // Named first: an unknown key says more about what is wrong than a known one that it may have displaced.
    for (const auto& [key, node] : table_) {
      const std::string name = toml_text(key.str());
      if (std::find(taken_.begin(), taken_.end(), name) != taken_.end()) continue;
      const bool later = std::find(kNotYet.begin(), kNotYet.end(), name) != kNotYet.end();
      return fail(later ? Errc::refused : Errc::invalid,
                  fmt::format("line {}, key \"{}\": {}", node.source().begin.line, shown(name, 80),
                              later ? "this release cannot enforce it, so the document is refused"
                                    : "unknown in a document of this kind"));
    }
    if (error_) return tl::unexpected(*error_);
    return {};
  }

 private:
  const toml::node* take(std::string_view key, bool required) {
    taken_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr && required && !error_)
      error_ = Error{Errc::invalid, fmt::format("key \"{}\" is missing", key), 0};
    return node;
  }

  std::string string_of(const toml::node& node, std::string_view key) {
    if (const auto* value = node.as_string()) return toml_text(value->get());
    wrong(node, key, "not a string");
    return {};
  }

  WallTime time_of(const toml::node& node, std::string_view key) {
    const auto* value = node.as_date_time();
    if (value == nullptr || !value->get().offset || value->get().offset->minutes != 0 ||
        value->get().time.nanosecond != 0) {
      wrong(node, key, "not a time in whole seconds with Z, as 2026-11-22T05:10:39Z");
      return {};
    }
    const toml::date& date = value->get().date;
    const toml::time& clock = value->get().time;
    const auto time = parse_utc(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", date.year, date.month, date.day,
                                            clock.hour, clock.minute, clock.second));
    if (!time) {
      wrong(node, key, time.error().message);
      return {};
    }
    return *time;
  }

  Seconds duration_of(const toml::node& node, std::string_view key) {
    const auto* value = node.as_string();
    const auto duration = parse_duration(value == nullptr ? std::string_view() : std::string_view(value->get()));
    if (!duration)
      wrong(node, key, value == nullptr ? "not a duration as \"90m\", \"2h\" or \"1d\"" : duration.error().message);
    return duration.value_or(Seconds(0));
  }

  Digest digest_of(const toml::node& node, std::string_view key) {
    const auto digest = parse_digest(string_of(node, key));
    if (!digest) wrong(node, key, digest.error().message);
    return digest.value_or(Digest{});
  }

  template <class T, class Read>
  std::vector<T> items(std::string_view key, const Read& read) {
    std::vector<T> values;
    const toml::node* node = take(key, false);
    if (node == nullptr) return values;
    const toml::array* array = node->as_array();
    if (array == nullptr || array->empty() || array->size() > kMaxItems) {
      wrong(*node, key, fmt::format("not an array of 1 to {} strings", kMaxItems));
      return values;
    }
    for (const toml::node& item : *array) values.push_back(read(item));
    return values;
  }

  const toml::table& table_;
  std::vector<std::string_view> taken_;
  std::optional<Error> error_;
};

Request read_request(Fields& in) {
  Request request;
  request.host = in.text("host");
  request.host_key = in.text("host_key");
  request.user = in.text("user");
  const std::int64_t uid = in.number("uid");
  // What is out of range becomes the uid of nobody, which check_document refuses.
  request.uid = uid >= 0 && uid < UINT32_MAX ? static_cast<std::uint32_t>(uid) : UINT32_MAX;
  for (const std::string& text : in.list("requesters")) {
    const auto person = parse_person_ref(text);
    if (person) {
      request.requesters.push_back(*person);
    } else {
      in.keep(fail(Errc::invalid, fmt::format("key \"requesters\": {}", person.error().message)));
    }
  }
  request.role = in.text("role");
  request.duration = in.duration("duration");
  request.reason = in.text("reason");
  request.ticket = in.text_or_none("ticket");
  request.start = in.time_or_none("start");
  request.created = in.time("created");
  request.expires = in.time("expires");
  request.origin = in.text("origin");
  request.ask = in.digest_or_none("ask");
  request.extends = in.digest_or_none("extends");
  request.effects = in.text("effects");
  request.policy = in.text("policy");
  request.nonce = in.text("nonce");
  return request;
}

Review read_review(Fields& in) {
  Review review;
  review.host = in.text("host");
  review.request = in.digest("request");
  const std::string verdict = in.text("verdict");
  if (verdict != "approve" && verdict != "deny") {
    in.keep(fail(Errc::invalid, "key \"verdict\": it is \"approve\" or \"deny\""));
  }
  review.approve = verdict == "approve";
  review.duration = in.duration_or_none("duration");
  review.start = in.time_or_none("start");
  review.comment = in.text_or_none("comment");
  review.created = in.time("created");
  review.expires = in.time("expires");
  review.nonce = in.text("nonce");
  return review;
}

GrantDocument read_grant(Fields& in) {
  GrantDocument grant;
  grant.hosts = in.list("hosts");
  if (in.has("host_key")) grant.host_key = in.text("host_key");
  grant.segments = in.list("segments");
  grant.user = in.text("user");
  grant.role = in.text("role");
  grant.reason = in.text("reason");
  grant.ticket = in.text_or_none("ticket");
  grant.created = in.time("created");
  grant.not_before = in.time_or_none("not_before");
  grant.not_after = in.time_or_none("not_after");
  grant.duration = in.duration_or_none("duration");
  grant.activate_by = in.time_or_none("activate_by");
  grant.once = in.yes("once");
  grant.nonce = in.text("nonce");
  return grant;
}

Revocation read_revocation(Fields& in) {
  Revocation revocation;
  revocation.hosts = in.list("hosts");
  revocation.segments = in.list("segments");
  revocation.created = in.time("created");
  revocation.reason = in.text("reason");
  revocation.number = in.count_or_none("number");
  revocation.next_update = in.time_or_none("next_update");
  revocation.nonce = in.text("nonce");
  if (const toml::table* table = in.table("targets")) {
    Fields targets(*table);
    revocation.grants = targets.digests("grants");
    revocation.requests = targets.digests("requests");
    revocation.users = targets.list("users");
    revocation.approvers = targets.list("approvers");
    revocation.all = targets.yes("all");
    in.keep(targets.result());
  }
  return revocation;
}

Lock read_lock(Fields& in) {
  Lock lock;
  lock.hosts = in.list("hosts");
  lock.segments = in.list("segments");
  lock.created = in.time("created");
  lock.reason = in.text("reason");
  lock.until = in.time_or_none("until");
  lock.lifts = in.digests("lifts");
  lock.nonce = in.text("nonce");
  if (const toml::table* table = in.table("targets")) {
    Fields targets(*table);
    lock.users = targets.list("users");
    lock.keys = targets.list("keys");
    lock.approvers = targets.list("approvers");
    in.keep(targets.result());
  }
  return lock;
}

AskDocument read_ask(Fields& in) {
  AskDocument ask;
  ask.hosts = in.list("hosts");
  ask.segments = in.list("segments");
  ask.user = in.text("user");
  ask.role = in.text("role");
  ask.duration = in.duration_or_none("duration");
  ask.reason = in.text("reason");
  ask.ticket = in.text_or_none("ticket");
  ask.start = in.time_or_none("start");
  ask.created = in.time("created");
  ask.expires = in.time("expires");
  ask.nonce = in.text("nonce");
  return ask;
}

EventDocument read_event(Fields& in) {
  EventDocument event;
  event.host = in.text("host");
  event.host_key = in.text("host_key");
  event.sequence = in.count("sequence");
  event.created = in.time("created");
  event.entry = in.count("entry");
  event.head = in.digest("head");
  event.policy = in.text("policy");
  event.machine = in.text("machine");
  event.what = in.text("what");
  event.document = in.digest_or_none("document");
  event.grant = in.digest_or_none("grant");
  event.ask = in.digest_or_none("ask");
  event.user = in.text_or_none("user");
  event.role = in.text_or_none("role");
  event.state = in.text_or_none("state");
  event.until = in.time_or_none("until");
  event.why = in.text_or_none("why");
  event.by = in.text_or_none("by");
  event.view = in.count_or_none("view");
  event.viewed = in.time_or_none("viewed");
  event.nonce = in.text("nonce");
  return event;
}

Delivery read_delivery(Fields& in) {
  Delivery delivery;
  delivery.hosts = in.list("hosts");
  delivery.segments = in.list("segments");
  delivery.number = in.count("number");
  delivery.part = in.count_or_none("part").value_or(1);
  delivery.parts = in.count_or_none("parts").value_or(1);
  delivery.created = in.time("created");
  delivery.reason = in.text("reason");
  delivery.nonce = in.text("nonce");
  for (const toml::table* table : in.tables("files")) {
    Fields file(*table);
    delivery.files.push_back({file.text("name"), file.text("text")});
    in.keep(file.result());
  }
  return delivery;
}

Result<Document> read(const toml::table& table) {
  Fields in(table);
  if (const std::int64_t version = in.number("jit"); in.has("jit") && version != 1) {
    return fail(Errc::refused,
                fmt::format("format version jit = {} is not known to this release, which reads 1", version));
  }
  const std::string kind = in.text("kind");
  Document document;
  if (kind == kind_name(Kind::request)) {
    document = read_request(in);
  } else if (kind == kind_name(Kind::review)) {
    document = read_review(in);
  } else if (kind == kind_name(Kind::grant)) {
    document = read_grant(in);
  } else if (kind == kind_name(Kind::revocation)) {
    document = read_revocation(in);
  } else if (kind == kind_name(Kind::lock)) {
    document = read_lock(in);
  } else if (kind == kind_name(Kind::ask)) {
    document = read_ask(in);
  } else if (kind == kind_name(Kind::event)) {
    document = read_event(in);
  } else if (kind == kind_name(Kind::policy)) {
    document = PolicyDocument{read_delivery(in)};
  } else if (kind == kind_name(Kind::trust)) {
    document = TrustDocument{read_delivery(in)};
  } else {
    return fail(Errc::refused, in.has("kind")
                                   ? fmt::format("kind \"{}\" is not known to this release", shown(kind, 40))
                                   : "key \"kind\" is missing");
  }
  if (auto ok = in.result(); !ok) return tl::unexpected(ok.error());
  if (auto ok = check_document(document); !ok) return tl::unexpected(ok.error());
  return document;
}

}  // namespace

Result<Document> parse_document(std::string_view payload, std::string_view source) {
  const std::string where = shown(source, 256);
  if (const auto fault = toml_fault(payload))
    return within(where, {Errc::invalid, fmt::format("line {}: {}", fault->line, fault->what), 0});
  try {
    const toml::parse_result parsed = toml::parse(toml_ascii(payload));
    if (!parsed) {
      const toml::parse_error& error = parsed.error();
      return within(where, {Errc::invalid,
                            fmt::format("line {}: not valid TOML: {}", error.source().begin.line,
                                        shown(error.description(), 200)),
                            0});
    }
    auto document = read(parsed.table());
    if (!document) return within(where, document.error());
    return document;
  } catch (const std::exception& error) {
    return within(where, {Errc::invalid, fmt::format("cannot be read: {}", shown(error.what(), 200)), 0});
  }
}

}  // namespace jit
