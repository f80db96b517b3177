#include "jitctl/find.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>

#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kEvents = 4096;  // all that a host posts

struct Known {
  std::set<std::string> hosts;
  bool request = false;
};

Result<FoundDocument> find(Elsewhere& elsewhere, const std::vector<std::string>& hosts, const std::string& id,
                           bool anything) {
  std::string prefix;
  std::optional<Digest> whole;
  if (id.starts_with("sha256:")) {
    const auto digest = parse_digest(id);
    if (!digest) return tl::unexpected(digest.error());
    whole = *digest;
  } else {
    auto parsed = parse_id_prefix(id);
    if (!parsed) return tl::unexpected(parsed.error());
    prefix = std::move(*parsed);
  }
  if (auto done = elsewhere.look(hosts, {true, kEvents, {}, false}); !done) return tl::unexpected(done.error());
  elsewhere.say_what_was_passed_over();
  std::map<Digest, Known> known;
  for (const auto& host : hosts) {
    const auto sight = elsewhere.sight(host);
    const auto note = [&](const std::optional<Digest>& digest, bool request) {
      if (!digest || (whole ? *digest != *whole : !id_of(*digest).starts_with(prefix))) return;
      auto& one = known[*digest];
      one.hosts.insert(host);
      one.request = one.request || request;
    };
    for (const auto& [digest, request] : sight.requests) note(digest, true);
    for (const auto& [key, seen] : sight.events) {
      note(seen.event.grant, false);
      if (anything) note(seen.event.document, false);
      if (anything) note(seen.event.ask, false);
    }
  }
  if (known.empty()) {
    return fail(Errc::not_found, fmt::format("{}: no host at {} says anything of it", shown(id), elsewhere.names()));
  }
  if (known.size() > 1) {
    return fail(Errc::invalid, fmt::format("{}: more than one begins so; type more of it", shown(id)));
  }
  const auto& [digest, one] = *known.begin();
  return FoundDocument{digest, {one.hosts.begin(), one.hosts.end()}, one.request};
}

}  // namespace

Result<FoundDocument> find_grant_elsewhere(Elsewhere& elsewhere, const std::vector<std::string>& hosts,
                                           const std::string& id) {
  return find(elsewhere, hosts, id, false);
}

Result<FoundDocument> find_anything_elsewhere(Elsewhere& elsewhere, const std::vector<std::string>& hosts,
                                              const std::string& id) {
  return find(elsewhere, hosts, id, true);
}

Result<WaitingRequest> find_waiting(Context& context, Elsewhere& elsewhere, const std::string& id) {
  if (auto done = elsewhere.look(elsewhere.hosts(), kWaiting); !done) return tl::unexpected(done.error());
  elsewhere.say_what_was_passed_over();
  std::optional<WaitingRequest> found;
  for (const auto& host : elsewhere.hosts()) {
    const auto sight = elsewhere.sight(host);
    for (const auto* seen : waiting_in(sight, context.now())) {
      if (!id_of(seen->digest).starts_with(id)) continue;
      if (found) {
        return fail(Errc::invalid, fmt::format("{}: more than one pending request begins so; type more of it", id));
      }
      found = WaitingRequest{host, *seen};
    }
  }
  if (found) return std::move(*found);
  for (const auto& host : elsewhere.hosts()) {
    const auto sight = elsewhere.sight(host);
    for (const auto& [digest, seen] : sight.requests) {
      if (!id_of(digest).starts_with(id)) continue;
      const auto standing = standing_of(sight, digest, context.now());
      return fail(Errc::not_found, fmt::format("{} on {} does not wait any more: {}", id_of(digest), host,
                                               standing.state.empty() ? "it has expired" : standing_text(standing)));
    }
  }
  return fail(Errc::not_found,
              fmt::format("{}: no request of that id waits at {}; see jitctl pending", id, elsewhere.names()));
}

}  // namespace jit::ctl
