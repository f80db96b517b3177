// What an etcd cluster answers, or whoever is in its place: every line is refused or read within its bounds, and a
// mailbox that is told these lines, one after the other, lists only documents of the box that was asked for, each
// once, and comes to an end.
#include <cstdint>
#include <cstdlib>
#include <set>

#include "policy/document/envelope.hpp"
#include "tests/unit/sync/etcd_fake.hpp"

using namespace jit;
using namespace jit::etcd_test;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void read_all(std::string_view line) {
  if (const auto page = etcd::read_page(line)) {
    require(page->revision > 0 && page->revision <= INT64_MAX);
    for (const auto& entry : page->entries)
      require(!entry.key.empty() && entry.changed > 0 && entry.changed <= INT64_MAX && entry.lease <= INT64_MAX);
  }
  if (const auto watched = etcd::read_watch_line(line)) {
    require(watched->watch >= -1 && watched->revision <= INT64_MAX && !unclean(watched->why));
    for (const auto& change : watched->changes) require(!change.key.empty() && change.revision > 0);
  }
  if (const auto lease = etcd::read_lease(line)) require(*lease > 0 && *lease <= INT64_MAX);
  if (const auto token = etcd::read_token(line)) require(token->find_first_of("\r\n ") == std::string::npos);
  if (const auto permissions = etcd::read_permissions(line)) require(permissions->size() <= line.size());
  if (const auto roles = etcd::read_roles(line)) require(roles->size() <= line.size());
  for (const int status : {400, 403, 503}) {
    const auto failure = etcd::read_failure(status, line);
    require(failure.kind != etcd::Failure::Kind::none && !unclean(failure.message) && failure.message.size() < 2000);
  }
}

void talk(const std::vector<std::string_view>& lines) {
  World world;
  std::size_t next = 0;
  const auto take = [&]() -> std::optional<std::string> {
    if (next >= lines.size()) return std::nullopt;
    return std::string(lines[next++]);
  };
  world.http->answer = [&](const HttpRequest&) -> Result<HttpResponse> {
    world.clock.pass(std::chrono::milliseconds(1));
    auto line = take();
    if (!line) return fail(Errc::unavailable, "gone");
    // A first "4" or "5" is a status.
    if (line->starts_with('4')) return HttpResponse{403, {}, line->substr(1)};
    if (line->starts_with('5')) return HttpResponse{503, {}, line->substr(1)};
    return HttpResponse{200, {}, *line};
  };
  world.http->stream = [&](const HttpRequest&) -> Result<std::deque<Step>> {
    world.clock.pass(std::chrono::milliseconds(1));
    std::deque<Step> steps;
    for (int i = 0; i < 3; ++i)
      if (auto line = take()) steps.push_back({std::move(line), {}, false});
    if (steps.empty()) return fail(Errc::unavailable, "gone");
    return steps;
  };
  for (int round = 0; round < 3; ++round) {
    std::set<std::string> names;
    (void)world.mailbox().list(kToDb1, [&](const Item& item) {
      require(document_name(item.name) && item.name.find('/') == std::string::npos && names.insert(item.name).second);
      return true;
    });
    (void)world.mailbox().wait({kToDb1}, -1, std::chrono::minutes(1), false);
    if (const auto got = world.mailbox().get(kToDb1, {"a.jit", 0, ""})) require(got->size() <= kMaxDocument);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = split(text, '\n');
  for (const std::string_view line : lines) read_all(line);
  talk(lines);
  return 0;
}
