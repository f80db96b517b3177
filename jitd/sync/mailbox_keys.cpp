#include "jitd/sync/mailbox_keys.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "jitd/sys/own_files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// Lines in which the key's base64 stands, wherever: what parses of them decides.
std::string lines_with(std::string_view text, const PublicKey& key) {
  const std::string base64 = to_base64(key.blob);
  std::string kept;
  for (const std::string_view line : split(text, '\n'))
    if (line.find(base64) != std::string_view::npos) (kept += line) += '\n';
  return kept;
}

TrustFile read_one(const Result<UniqueFd>& folder, const std::string& folder_path, const std::string& name,
                   const PublicKey* only) {
  const std::string path = folder_path + "/" + name;
  TrustFile nothing;
  nothing.path = path;
  if (!folder) {
    nothing.bad.push_back(folder.error());
    return nothing;
  }
  const auto text = read_own_file(folder->get(), name, kMaxTrustFile, path);
  if (!text) {
    if (text.error().code != Errc::not_found) nothing.bad.push_back(text.error());
    return nothing;
  }
  return only == nullptr ? parse_trust(path, *text) : parse_trust(path, lines_with(*text, *only));
}

bool could_sign(const TrustLine& line, std::initializer_list<Kind> kinds) {
  return std::any_of(kinds.begin(), kinds.end(),
                     [&](Kind kind) { return line.allows_namespace(kind_namespace(kind)); });
}

// A name whose bytes stand as they are in any payload that a host writes.
bool plain_name(std::string_view name) {
  return name.find_first_of("\\\"") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

TrustSet read_trust_set(const TrustPlaces& places, const PublicKey* only) {
  const auto folder = open_own_dir(places.folder);
  TrustSet set;
  set.approvers = read_one(folder, places.folder, "approvers", only);
  set.requesters = read_one(folder, places.folder, "requesters", only);
  set.owners = read_one(folder, places.folder, "owners", only);
  return set;
}

std::string Visitor::name() const {
  std::vector<std::string> names;
  for (const std::string& principal : principals) names.push_back(shown(principal, 256));
  return joined(names) + " (" + fingerprint(key) + ")";
}

std::optional<Visitor> visitor_of(const TrustSet& trust, const PublicKey& key, WallTime now) {
  Visitor visitor;
  visitor.key = key;
  for (const TrustLine& line : trust.approvers.lines) {
    if (line.key != key || !line.valid_at(now)) continue;
    if (!could_sign(line, {Kind::review, Kind::grant, Kind::revocation, Kind::lock})) continue;
    visitor.approver = true;
    visitor.principals.insert(line.principal);
  }
  for (const TrustLine& line : trust.requesters.lines) {
    if (line.key != key || !line.valid_at(now) || !could_sign(line, {Kind::ask})) continue;
    visitor.users.insert(line.principal);
    visitor.principals.insert(line.principal);
  }
  if (visitor.principals.empty()) return std::nullopt;
  return visitor;
}

bool may_see(const Visitor& visitor, std::string_view file) {
  const auto envelope = parse_envelope(file);
  if (!envelope) return false;
  // A document about somebody has their name in it: most of what others did is not parsed at all.
  const auto could_be = [&](const std::string& user) {
    return !plain_name(user) || envelope->payload.find(user) != std::string::npos;
  };
  if (!visitor.approver && std::none_of(visitor.users.begin(), visitor.users.end(), could_be)) return false;
  const auto document = parse_document(envelope->payload, "outbox");
  if (!document) return false;
  if (visitor.approver) return true;
  if (const auto* request = std::get_if<Request>(&*document)) return visitor.users.contains(request->user);
  if (const auto* event = std::get_if<EventDocument>(&*document)) return visitor.users.contains(event->user);
  return false;
}

Result<PublicKey> key_of_login(std::string_view text) {
  constexpr std::string_view kMethod = "publickey ";
  const auto refused = [] {
    return fail(Errc::refused, "sshd does not say that one key, and nothing else, was proven");
  };
  if (!text.ends_with('\n')) return refused();
  text.remove_suffix(1);
  if (!text.starts_with(kMethod) || text.find('\n') != std::string_view::npos) return refused();
  return parse_public_key_line(text.substr(kMethod.size()));
}

std::string authorized_line(const TrustPlaces& places, std::string_view user, std::string_view type,
                            std::string_view base64, WallTime now) {
  if (user != kMailboxUser) return {};
  const auto key = parse_public_key_line(std::string(type) + " " + std::string(base64));
  if (!key || !visitor_of(read_trust_set(places, &*key), *key, now)) return {};
  return "restrict " + public_key_line(*key) + "\n";
}

}  // namespace jit
