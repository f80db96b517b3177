// Documents to their TOML payloads. The order of keys is fixed, so that people find them where they saw them last.
#include <fmt/format.h>

#include "policy/document/kinds.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// A TOML basic string: escapes what TOML demands and whatever a payload may not hold raw.
std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
      ++at;
    } else if (c == '\n') {
      out += "\\n";
      ++at;
    } else if (const auto byte = static_cast<std::uint8_t>(c); byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
      ++at;
    } else {
      out += c;
      ++at;
    }
  }
  return out += '"';
}

class Writer {
 public:
  explicit Writer(Kind kind) { text_ = fmt::format("jit = 1\nkind = \"{}\"\n", kind_name(kind)); }

  void text(std::string_view key, std::string_view value) { put(key, in_quotes(value)); }
  void some(std::string_view key, std::string_view value) {
    if (!value.empty()) text(key, value);
  }
  void number(std::string_view key, std::uint64_t value) { put(key, fmt::format("{}", value)); }
  void number(std::string_view key, const std::optional<std::uint64_t>& value) {
    if (value) number(key, *value);
  }
  void digest(std::string_view key, const std::optional<Digest>& value) {
    if (value) text(key, digest_text(*value));
  }
  void yes(std::string_view key) { put(key, "true"); }
  void time(std::string_view key, WallTime value) { put(key, format_utc(value)); }
  void time(std::string_view key, const std::optional<WallTime>& value) {
    if (value) time(key, *value);
  }
  void duration(std::string_view key, const std::optional<Seconds>& value) {
    if (value) text(key, format_duration(*value));
  }
  void list(std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    std::string items;
    for (const std::string& value : values) items += (items.empty() ? "" : ", ") + in_quotes(value);
    put(key, fmt::format("[{}]", items));
  }
  void list(std::string_view key, const std::vector<Digest>& values) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const Digest& value : values) texts.push_back(digest_text(value));
    list(key, texts);
  }
  // Lines as they are, in a literal string, so that people read what is meant; escaped where that cannot be.
  void lines(std::string_view key, std::string_view value) {
    // A line that looks like the armor's first would end the payload.
    const bool ends_payload = value.find("-----BEGIN SSH SIGNATURE-----") != std::string_view::npos;
    const bool ends_string = value.find(
                                 "''"
                                 "'") != std::string_view::npos;
    if (value.empty() || value.back() != '\n' || ends_payload || ends_string || unclean(value)) {
      text(key, value);
    } else {
      put(key, fmt::format("'''\n{}'''", value));
    }
  }
  void table_of_many(std::string_view name) { text_ += fmt::format("\n[[{}]]\n", name); }
  void table(std::string_view name) { text_ += fmt::format("\n[{}]\n", name); }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void put(std::string_view key, std::string_view value) { text_ += fmt::format("{} = {}\n", key, value); }

  std::string text_;
};

void write(const Request& request, Writer& out) {
  out.text("host", request.host);
  out.text("host_key", request.host_key);
  out.text("user", request.user);
  out.number("uid", request.uid);
  std::vector<std::string> requesters;
  requesters.reserve(request.requesters.size());
  for (const PersonRef& person : request.requesters) requesters.push_back(to_text(person));
  out.list("requesters", requesters);
  out.text("role", request.role);
  out.duration("duration", request.duration);
  out.text("reason", request.reason);
  out.some("ticket", request.ticket);
  out.time("start", request.start);
  out.time("created", request.created);
  out.time("expires", request.expires);
  out.text("origin", request.origin);
  out.digest("ask", request.ask);
  out.digest("extends", request.extends);
  out.lines("effects", request.effects);
  out.text("policy", request.policy);
  out.text("nonce", request.nonce);
}

void write(const Review& review, Writer& out) {
  out.text("host", review.host);
  out.text("request", digest_text(review.request));
  out.text("verdict", review.approve ? "approve" : "deny");
  out.duration("duration", review.duration);
  out.time("start", review.start);
  out.some("comment", review.comment);
  out.time("created", review.created);
  out.time("expires", review.expires);
  out.text("nonce", review.nonce);
}

void write(const GrantDocument& grant, Writer& out) {
  out.list("hosts", grant.hosts);
  if (grant.host_key) out.text("host_key", *grant.host_key);
  out.list("segments", grant.segments);
  out.text("user", grant.user);
  out.text("role", grant.role);
  out.text("reason", grant.reason);
  out.some("ticket", grant.ticket);
  out.time("created", grant.created);
  out.time("not_before", grant.not_before);
  out.time("not_after", grant.not_after);
  out.duration("duration", grant.duration);
  out.time("activate_by", grant.activate_by);
  if (grant.once) out.yes("once");
  out.text("nonce", grant.nonce);
}

void write(const Revocation& revocation, Writer& out) {
  out.list("hosts", revocation.hosts);
  out.list("segments", revocation.segments);
  out.time("created", revocation.created);
  out.text("reason", revocation.reason);
  out.number("number", revocation.number);
  out.time("next_update", revocation.next_update);
  out.text("nonce", revocation.nonce);
  if (revocation.number && revocation.grants.empty() && revocation.requests.empty() && revocation.users.empty() &&
      revocation.approvers.empty() && !revocation.all)
    return;
  out.table("targets");
  out.list("grants", revocation.grants);
  out.list("requests", revocation.requests);
  out.list("users", revocation.users);
  out.list("approvers", revocation.approvers);
  if (revocation.all) out.yes("all");
}

void write(const Lock& lock, Writer& out) {
  out.list("hosts", lock.hosts);
  out.list("segments", lock.segments);
  out.time("created", lock.created);
  out.text("reason", lock.reason);
  out.time("until", lock.until);
  out.list("lifts", lock.lifts);
  out.text("nonce", lock.nonce);
  if (lock.users.empty() && lock.keys.empty() && lock.approvers.empty()) return;
  out.table("targets");
  out.list("users", lock.users);
  out.list("keys", lock.keys);
  out.list("approvers", lock.approvers);
}

void write(const AskDocument& ask, Writer& out) {
  out.list("hosts", ask.hosts);
  out.list("segments", ask.segments);
  out.text("user", ask.user);
  out.text("role", ask.role);
  out.duration("duration", ask.duration);
  out.text("reason", ask.reason);
  out.some("ticket", ask.ticket);
  out.time("start", ask.start);
  out.time("created", ask.created);
  out.time("expires", ask.expires);
  out.text("nonce", ask.nonce);
}

void write(const EventDocument& event, Writer& out) {
  out.text("host", event.host);
  out.text("host_key", event.host_key);
  out.number("sequence", event.sequence);
  out.time("created", event.created);
  out.number("entry", event.entry);
  out.text("head", digest_text(event.head));
  out.text("policy", event.policy);
  out.text("machine", event.machine);
  out.text("what", event.what);
  out.digest("document", event.document);
  out.digest("grant", event.grant);
  out.digest("ask", event.ask);
  out.some("user", event.user);
  out.some("role", event.role);
  out.some("state", event.state);
  out.time("until", event.until);
  out.some("why", event.why);
  out.some("by", event.by);
  out.number("view", event.view);
  out.time("viewed", event.viewed);
  out.text("nonce", event.nonce);
}

void write(const Delivery& delivery, Writer& out) {
  out.list("hosts", delivery.hosts);
  out.list("segments", delivery.segments);
  out.number("number", delivery.number);
  if (delivery.parts > 1) {
    out.number("part", delivery.part);
    out.number("parts", delivery.parts);
  }
  out.time("created", delivery.created);
  out.text("reason", delivery.reason);
  out.text("nonce", delivery.nonce);
  for (const Delivery::File& file : delivery.files) {
    out.table_of_many("files");
    out.text("name", file.name);
    out.lines("text", file.text);
  }
}

}  // namespace

std::string to_payload(const Document& document) {
  Writer out(kind_of(document));
  std::visit([&](const auto& value) { write(value, out); }, document);
  return out.take();
}

}  // namespace jit
