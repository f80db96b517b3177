#include "jitd/sync/etcd_gateway.hpp"

#include <array>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "policy/text.hpp"

namespace jit::etcd {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 12;             // an answer of etcd has 6
constexpr std::size_t kMaxMessage = 300;  // bytes of what a server says that are shown
constexpr std::uint64_t kMaxNumber = INT64_MAX;

std::string encoded(std::string_view bytes) {
  return to_base64(bytes);
}

void add_range(json& question, const KeyRange& keys) {
  question["key"] = encoded(keys.first);
  if (!keys.end.empty()) question["range_end"] = encoded(keys.end);
}

tl::unexpected<Error> nonsense(const char* what) {
  return fail(Errc::invalid, std::string("what came is no answer of etcd's JSON gateway: ") + what);
}

// An object, without what stands under `dropped`: the bytes of documents, where keys are what was asked for.
Result<json> parsed(std::string_view text, const char* dropped = nullptr) {
  const auto keep = [dropped](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) return false;
    return event != json::parse_event_t::key || dropped == nullptr || value != dropped;
  };
  try {
    auto value = json::parse(text.begin(), text.end(), keep, /*allow_exceptions=*/false);
    if (!value.is_object()) return nonsense("no JSON object");
    return value;
  } catch (const std::exception& error) {
    return nonsense(error.what());
  }
}

// What stands under a name; null, an object without anything in it, where nothing does.
const json& member(const json& object, const char* name) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(name);
  return found == object.end() ? kNothing : *found;
}

// 0 where nothing stands; nullopt for what is no number, or no revision, lease or watch of etcd's.
std::optional<std::uint64_t> number(const json& value) {
  if (value.is_null()) return 0;
  if (value.is_number_unsigned()) {
    const auto read = value.get<std::uint64_t>();
    return read <= kMaxNumber ? std::optional(read) : std::nullopt;
  }
  if (!value.is_string()) return std::nullopt;
  const auto read = parse_number(value.get_ref<const std::string&>(), kMaxNumber);
  return read ? std::optional(*read) : std::nullopt;
}

// The number of a watch: -1 is that of one which was refused.
std::optional<std::int64_t> watch_number(const json& value) {
  if (value == "-1" || value == -1) return -1;
  const auto read = number(value);
  return read ? std::optional(static_cast<std::int64_t>(*read)) : std::nullopt;
}

bool flag(const json& value) {
  return value.is_boolean() && value.get<bool>();
}

std::string text(const json& value) {
  return value.is_string() ? value.get_ref<const std::string&>() : std::string();
}

std::optional<std::string> bytes(const json& value) {
  if (value.is_null()) return std::string();
  if (!value.is_string()) return std::nullopt;
  auto read = from_base64(value.get_ref<const std::string&>());
  return read ? std::optional(std::move(*read)) : std::nullopt;
}

std::optional<KeyValue> entry(const json& object) {
  auto key = bytes(member(object, "key"));
  auto value = bytes(member(object, "value"));
  const auto changed = number(member(object, "mod_revision"));
  const auto lease = number(member(object, "lease"));
  if (!key || key->empty() || !value || !changed || *changed == 0 || !lease) return std::nullopt;
  return KeyValue{std::move(*key), std::move(*value), *changed, *lease};
}

Result<Revision> header_revision(const json& answer) {
  const auto revision = number(member(member(answer, "header"), "revision"));
  if (!revision) return nonsense("its revision is no number");
  return *revision;
}

// The codes of gRPC (google.rpc.Code) that tell something where the words do not.
enum Code : std::uint64_t {
  kCancelled = 1,
  kUnknown = 2,
  kDeadline = 4,
  kNotFound = 5,
  kDenied = 7,
  kExhausted = 8,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kUnauthenticated = 16
};

Failure::Kind kind_of(std::uint64_t code, std::string_view message) {
  using Kind = Failure::Kind;
  // etcd gives several of these the same code, and not every version gives the same one (rpctypes/error.go).
  static constexpr std::array<std::pair<std::string_view, Kind>, 15> kWords = {
      {{"invalid auth token", Kind::login},
       {"revision of auth store is old", Kind::login},
       {"user name is empty", Kind::login},
       {"authentication failed", Kind::password},
       {"authentication is not enabled", Kind::auth_off},
       {"CommonName of client", Kind::certificate},
       {"requested lease not found", Kind::no_lease},
       {"has been compacted", Kind::compacted},
       {"user name already exists", Kind::exists},
       {"role name already exists", Kind::exists},
       {"user name not found", Kind::missing},
       {"role name not found", Kind::missing},
       {"role is not granted to the user", Kind::missing},
       {"permission is not granted to the role", Kind::missing},
       {"permission denied", Kind::denied}}};
  for (const auto& [words, kind] : kWords)
    if (message.find(words) != std::string_view::npos) return kind;
  switch (code) {
    case kDenied:
      return Kind::denied;
    case kUnauthenticated:
      return Kind::login;
    case kUnimplemented:
      return Kind::not_etcd;
    case kCancelled:
    case kUnknown:
    case kDeadline:
    case kExhausted:
    case kInternal:
    case kUnavailable:
      return Kind::away;
    default:
      return Kind::other;
  }
}

// Where the body tells no code, the status does: a proxy in between, or a path that is not etcd's.
std::uint64_t code_of_status(int status) {
  switch (status) {
    case 401:
      return kUnauthenticated;
    case 403:
      return kDenied;
    case 404:
    case 405:
      return kUnimplemented;
    case 429:
      return kExhausted;
    default:
      return status >= 500 ? kUnavailable : kNotFound;
  }
}

}  // namespace

KeyRange keys_below(const std::string& prefix) {
  KeyRange keys{prefix, prefix};
  keys.end.back() = static_cast<char>(static_cast<unsigned char>(keys.end.back()) + 1);
  return keys;
}

std::string range_question(const RangeQuestion& question) {
  json body = json::object();
  add_range(body, question.keys);
  if (question.limit > 0) body["limit"] = std::to_string(question.limit);
  if (question.at > 0) body["revision"] = std::to_string(question.at);
  if (question.changed_after > 0) body["min_mod_revision"] = std::to_string(question.changed_after + 1);
  if (question.keys_only) body["keys_only"] = true;
  return body.dump();
}

std::string put_question(const std::string& key, std::string_view value, std::uint64_t lease) {
  const std::string name = encoded(key), content = encoded(value), until = std::to_string(lease);
  const json same_value = {{"key", name}, {"target", "VALUE"}, {"result", "EQUAL"}, {"value", content}};
  const json same_lease = {{"key", name}, {"target", "LEASE"}, {"result", "EQUAL"}, {"lease", until}};
  const json put = {{"request_put", {{"key", name}, {"value", content}, {"lease", until}}}};
  json body = {{"compare", json::array({same_value, same_lease})}, {"failure", json::array({put})}};
  return body.dump();
}

std::string delete_question(const std::string& key) {
  json body = json::object();
  add_range(body, {key, {}});
  return body.dump();
}

std::string lease_question(std::uint64_t seconds) {
  const json body = {{"TTL", std::to_string(seconds)}};
  return body.dump();
}

std::string words_question(std::initializer_list<std::pair<const char*, std::string_view>> names_and_texts) {
  json body = json::object();
  for (const auto& [name, words] : names_and_texts) body[name] = words;
  return body.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string permit_question(const std::string& role, const Permission& permission) {
  json what = {{"permType", permission.access == Permission::Access::read ? "READ" : "READWRITE"}};
  add_range(what, permission.keys);
  const json body = {{"name", role}, {"perm", std::move(what)}};
  return body.dump();
}

std::string forbid_question(const std::string& role, const KeyRange& keys) {
  json body = {{"role", role}};
  add_range(body, keys);
  return body.dump();
}

std::string watch_question(const std::vector<Watched>& watched) {
  std::string lines;
  for (const Watched& one : watched) {
    json create = json::object();
    add_range(create, one.keys);
    create["start_revision"] = std::to_string(one.from);
    create["watch_id"] = std::to_string(one.watch);
    create["fragment"] = true;  // many changes at once come in several lines
    if (one.without_deletes) create["filters"] = json::array({"NODELETE"});
    lines += json({{"create_request", std::move(create)}}).dump() + "\n";
  }
  return lines;
}

Result<Page> read_page(std::string_view body) {
  const auto answer = parsed(body);
  if (!answer) return tl::unexpected(answer.error());
  const auto revision = header_revision(*answer);
  if (!revision) return tl::unexpected(revision.error());
  if (*revision == 0) return nonsense("no revision");
  Page page{*revision, flag(member(*answer, "more")), {}};
  for (const json& one : member(*answer, "kvs"))
    if (auto read = entry(one)) page.entries.push_back(std::move(*read));
  return page;
}

Result<WatchLine> read_watch_line(std::string_view line) {
  const auto answer = parsed(line, "value");
  if (!answer) return tl::unexpected(answer.error());
  WatchLine read;
  if (const json& error = member(*answer, "error"); !error.is_null()) {
    read.failed = true;
    read.why = shown(text(error.is_object() ? member(error, "message") : error), kMaxMessage);
    return read;
  }
  const json& result = member(*answer, "result");
  if (!result.is_object()) return nonsense("neither result nor error");
  const auto revision = header_revision(result);
  const auto watch = watch_number(member(result, "watch_id"));
  const auto compacted = number(member(result, "compact_revision"));
  if (!revision) return tl::unexpected(revision.error());
  if (!watch || !compacted) return nonsense("a number is none");
  read.watch = *watch;
  read.revision = *revision;
  read.compacted = *compacted;
  read.created = flag(member(result, "created"));
  read.cancelled = flag(member(result, "canceled"));
  read.why = shown(text(member(result, "cancel_reason")), kMaxMessage);
  for (const json& event : member(result, "events"))
    if (auto change = entry(member(event, "kv"))) read.changes.push_back({std::move(change->key), change->changed});
  return read;
}

Result<std::uint64_t> read_lease(std::string_view body) {
  const auto answer = parsed(body);
  if (!answer) return tl::unexpected(answer.error());
  const auto lease = number(member(*answer, "ID"));
  if (!lease || *lease == 0) return nonsense("no lease");
  return *lease;
}

Result<std::string> read_token(std::string_view body) {
  constexpr std::size_t kMaxToken = 8192;  // a JWT with a long signature has 1 KiB
  const auto answer = parsed(body);
  if (!answer) return tl::unexpected(answer.error());
  std::string token = text(member(*answer, "token"));
  // It becomes a header's value.
  for (const char c : token)
    if (c <= ' ' || c > '~') token.clear();
  if (token.empty() || token.size() > kMaxToken) return nonsense("no token");
  return token;
}

Result<std::vector<std::string>> read_roles(std::string_view body) {
  const auto answer = parsed(body);
  if (!answer) return tl::unexpected(answer.error());
  std::vector<std::string> roles;
  for (const json& one : member(*answer, "roles")) roles.push_back(text(one));
  return roles;
}

Result<std::vector<Permission>> read_permissions(std::string_view body) {
  using Access = Permission::Access;
  const auto answer = parsed(body);
  if (!answer) return tl::unexpected(answer.error());
  std::vector<Permission> permissions;
  for (const json& one : member(*answer, "perm")) {
    const json& type = member(one, "permType");  // READ is the first of its kind, and so left out
    auto first = bytes(member(one, "key"));
    auto end = bytes(member(one, "range_end"));
    if (!first || !end) return nonsense("a key is none");
    const Access access = type.is_null() || type == "READ" ? Access::read
                          : type == "READWRITE"            ? Access::read_write
                                                           : Access::other;
    permissions.push_back({access, {std::move(*first), std::move(*end)}});
  }
  return permissions;
}

Failure read_failure(int status, std::string_view body) {
  Failure failure;
  std::uint64_t code = code_of_status(status);
  std::string message;
  if (const auto answer = parsed(body)) {
    const json& inner = member(*answer, "error");  // of a stream: an object of its own
    const json& from = inner.is_object() ? inner : *answer;
    for (const char* name : {"code", "grpc_code"})
      if (const auto read = number(member(from, name)); read && *read > 0) code = *read;
    message = text(member(from, "message"));
    if (message.empty()) message = text(inner);
  } else if (!body.starts_with('<')) {
    message = body.substr(0, body.find_first_of("\r\n"));  // the gateway's own words, before it asks etcd
  }
  failure.kind = kind_of(code, message);
  failure.message = shown(message.empty() ? "HTTP status " + std::to_string(status) : message, kMaxMessage);
  return failure;
}

}  // namespace jit::etcd
