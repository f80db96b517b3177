#include "jitctl/elsewhere.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "jitctl/arguments.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxListed = 10000;  // items of one box; a host posts 4096 events and what waits
constexpr std::size_t kMaxRequests = 512;  // that wait on one host
constexpr std::size_t kMaxOthers = 64;     // under names that hosts do not use
constexpr std::size_t kMaxJunk = 256;      // of one box, in one look
constexpr milliseconds kLook{120000};      // at all boxes
constexpr milliseconds kTurn{1000};        // of waiting with several sources: each gets a part of it
constexpr milliseconds kRest{200};         // between two looks, whatever a source says
constexpr std::size_t kMaxDetail = 200;

// What a host's own posting calls them, as far as it tells where to look first. It proves nothing.
enum class Looks { alive, request, event, other };
Looks looks(std::string_view name) {
  if (name == "alive.jit") return Looks::alive;
  if (name.starts_with("r-")) return Looks::request;
  if (name.starts_with("e-")) return Looks::event;
  return Looks::other;
}

std::string count_of(std::size_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace

Result<std::optional<Seconds>> SourceOptions::patience(std::optional<Seconds> otherwise) const {
  if (no_wait) return std::optional(Seconds(0));
  if (wait.empty()) return otherwise;
  const auto parsed = parse_duration(wait);
  if (!parsed) return tl::unexpected(parsed.error());
  return std::optional(*parsed);
}

void add_source_option(Command& command, SourceOptions& options) {
  command
      .add_option("--source", options.names,
                  "Where hosts elsewhere are reached: a name in approver.toml, a URL, a folder")
      ->one_each()
      ->type_name("URL|NAME");
}

void add_wait_options(Command& command, SourceOptions& options) {
  command.add_option("--wait", options.wait, "With --source: how long to wait for the hosts' answers (default: 10s)")
      ->check(duration_problem)
      ->type_name("D");
  command.add_flag("--no-wait", options.no_wait, "With --source: do not wait for answers");
}

Result<bool> goes_elsewhere(const Context& context, const SourceOptions& options) {
  if (!options.names.empty()) return true;
  if (::access((context.places.run + "/control.sock").c_str(), F_OK) == 0) return false;
  const auto config = read_approver_config(context);
  if (!config) return tl::unexpected(config.error());
  return !config->default_source.empty();
}

Result<Elsewhere> Elsewhere::open(Context& context, const SourceOptions& options) {
  const auto config = read_approver_config(context);
  if (!config) return tl::unexpected(config.error());
  auto names = options.names;
  if (names.empty() && !config->default_source.empty()) names.push_back(config->default_source);
  if (names.empty()) {
    return fail(Errc::invalid, fmt::format("which source? --source URL or NAME, or default_source in {}",
                                           config->path.empty() ? "approver.toml" : config->path));
  }
  Elsewhere elsewhere(context);
  for (const auto& name : names) {
    auto spec = find_source(*config, name);
    if (!spec) return tl::unexpected(spec.error());
    const auto same = [&](const Source& source) { return source.spec.url == spec->url; };
    if (std::any_of(elsewhere.sources_.begin(), elsewhere.sources_.end(), same)) continue;
    auto mailbox = context.open_mailbox(*spec);
    if (!mailbox) return within(label_of(*spec), mailbox.error());
    elsewhere.sources_.push_back({std::move(*spec), std::move(*mailbox)});
  }
  elsewhere.boxes_.resize(elsewhere.sources_.size());

  const auto hosts = known_hosts(context, options.hosts);
  if (!hosts) return tl::unexpected(hosts.error());
  for (const auto& bad : hosts->bad) complain(context, bad.message);
  for (const auto& line : hosts->lines) {
    if (!Box::from_host(line.principal)) {
      complain(context, fmt::format("{}:{}: {} is no host's name", hosts->path, line.line, line.principal));
      continue;
    }
    auto& own = elsewhere.trust_[line.principal];
    own.path = hosts->path;
    own.lines.push_back(line);
  }
  for (const auto& [host, lines] : elsewhere.trust_) elsewhere.hosts_.push_back(host);
  return elsewhere;
}

std::string Elsewhere::names() const {
  std::vector<std::string> names;
  names.reserve(sources_.size());
  for (const auto& source : sources_) names.push_back(label_of(source.spec));
  return joined(names);
}

Result<void> Elsewhere::look(const std::vector<std::string>& hosts, const Need& need) {
  if (hosts_.empty()) {
    return fail(
        Errc::not_found,
        "you know no host yet: on the host 'jitctl enrol' prints a line, and here 'jitctl trust add-host' takes "
        "it");
  }
  silent_.clear();
  read_.clear();
  const auto until = context_->ticks() + kLook;
  std::optional<Error> first;
  std::size_t left_out = 0;
  for (std::size_t at = 0; at < sources_.size(); ++at) {
    auto& source = sources_[at];
    std::optional<Error> failed;
    std::size_t failures = 0;
    std::size_t good = 0;
    for (const auto& host : hosts) {
      if (!knows(host) || silent_.contains(&source)) continue;
      if (context_->ticks() > until) {
        ++left_out;
        continue;
      }
      if (auto done = read_box(source, host, need, boxes_[at][host]); done) {
        read_.insert(host);
        ++good;
      } else {
        if (!failed) failed = within(label_of(source.spec) + ": from/" + host, done.error()).value();
        ++failures;
        // Each of its boxes would cost the same wait.
        if (done.error().code == Errc::unavailable) silent_.insert(&source);
      }
    }
    if (!failed) continue;
    if (good > 0 || sources_.size() > 1) {
      complain_once(failed->message + (failures > 1 ? fmt::format("; so {} more", failures - 1) : ""));
    }
    if (good == 0 && !first) first = failed;
  }
  if (left_out > 0) {
    complain_once(fmt::format("{} not looked at: that took longer than {}", count_of(left_out, "box"),
                              in_words(std::chrono::duration_cast<Seconds>(kLook))));
  }
  if (read_.empty() && first) return tl::unexpected(*first);
  return {};
}

Result<void> Elsewhere::read_box(Source& source, const std::string& host, const Need& need, BoxSight& box) {
  const auto from = Box::from_host(host);
  if (!from) return tl::unexpected(from.error());
  std::map<std::string, Item> listed;
  bool more = false;
  const auto visit = [&](const Item& item) {
    if (!document_name(item.name)) return true;
    more = listed.size() >= kMaxListed;
    if (!more) listed.emplace(item.name, item);
    return !more;
  };
  if (auto done = source.mailbox->list(*from, visit); !done) return done;
  std::erase_if(box.items, [&](const auto& item) {
    const auto found = listed.find(item.first);
    return found == listed.end() || found->second.stamp != item.second.stamp;
  });

  std::size_t junk = 0;
  const auto now = context_->now();
  // nullptr: it is gone, or too much junk was here already.
  const auto fetch = [&](const Item& item) -> Result<const Looked*> {
    if (const auto known = box.items.find(item.name); known != box.items.end()) return &known->second;
    if (junk >= kMaxJunk) {
      more = true;
      return nullptr;
    }
    Looked looked;
    looked.stamp = item.stamp;
    const auto bytes = source.mailbox->get(*from, item);
    if (!bytes) {
      if (bytes.error().code == Errc::not_found) return nullptr;
      if (bytes.error().code == Errc::unavailable) return tl::unexpected(bytes.error());
      looked.unseen = Unseen{Unseen::Why::no_document, bytes.error().message};
    } else {
      auto seen = see(*bytes, trust_.at(host), now);
      if (auto* request = std::get_if<SeenRequest>(&seen)) looked.request = std::move(*request);
      if (auto* event = std::get_if<SeenEvent>(&seen)) looked.event = std::move(*event);
      if (auto* unseen = std::get_if<Unseen>(&seen)) looked.unseen = std::move(*unseen);
    }
    if (looked.unseen) ++junk;
    return &box.items.emplace(item.name, std::move(looked)).first->second;
  };

  std::vector<const Item*> events;
  std::size_t requests = 0;
  std::size_t others = 0;
  auto since = need.since;
  for (const auto& [name, item] : listed) {
    const auto kind = looks(name);
    if (kind == Looks::event) events.push_back(&item);
    if (kind == Looks::event || (kind == Looks::request && !need.requests)) continue;
    if ((kind == Looks::request && ++requests > kMaxRequests) || (kind == Looks::other && ++others > kMaxOthers)) {
      more = true;
      continue;
    }
    const auto looked = fetch(item);
    if (!looked) return tl::unexpected(looked.error());
    if (*looked == nullptr || !(*looked)->request || !need.of_requests) continue;
    const auto& request = (*looked)->request->request;
    if (request.expires > now && (!since || request.created < *since)) since = request.created;
  }
  std::size_t wanted = need.of_requests && !since ? std::min<std::size_t>(need.events, 1) : need.events;
  for (auto item = events.rbegin(); item != events.rend() && wanted > 0; ++item, --wanted) {
    const auto looked = fetch(**item);
    if (!looked) return tl::unexpected(looked.error());
    if (*looked != nullptr && (*looked)->event && since && (*looked)->event->event.created < *since) break;
  }
  box.more = more;
  return {};
}

HostSight Elsewhere::sight(const std::string& host) const {
  HostSight sight;
  sight.host = host;
  for (const auto& source : boxes_) {
    const auto box = source.find(host);
    if (box == source.end()) continue;
    for (const auto& [name, looked] : box->second.items) {
      if (looked.request) sight.add(*looked.request);
      if (looked.event) sight.add(*looked.event);
    }
  }
  return sight;
}

Result<void> Elsewhere::put(const Box& box, const std::string& name, std::string_view bytes, WallTime until) {
  std::optional<Error> first;
  bool taken = false;
  bool writable = false;
  for (auto& source : sources_) {
    if (!source.spec.post) continue;
    writable = true;
    if (silent_.contains(&source)) {
      if (!first) first = Error{Errc::unavailable, label_of(source.spec) + ": it does not answer", 0};
      continue;
    }
    auto done = source.mailbox->put(box, name, bytes, until);
    taken = taken || done.has_value();
    if (done) continue;
    if (done.error().code == Errc::unavailable) {
      silent_.insert(&source);
      complain_once(label_of(source.spec) + ": " + done.error().message);
    }
    if (!first) first = within(label_of(source.spec) + ": " + box.path(), done.error()).value();
  }
  if (taken) return {};
  if (!writable) return fail(Errc::invalid, names() + ": nothing is posted there (post = false in approver.toml)");
  return tl::unexpected(*first);
}

void Elsewhere::wait(const std::vector<std::string>& hosts, int other, milliseconds at_most) {
  std::vector<Box> boxes;
  for (const auto& host : hosts) {
    if (auto box = Box::from_host(host)) boxes.push_back(std::move(*box));
  }
  const auto began = context_->ticks();
  const auto turn = sources_.size() == 1 ? at_most : std::min(at_most, kTurn) / static_cast<int>(sources_.size());
  for (auto& source : sources_) {
    const auto before = context_->ticks();
    const auto done = source.mailbox->wait(boxes, other, turn, true);
    if (!done) context_->pause(other, std::min<milliseconds>(turn, kTurn));
    // With several, the one that has news ends the round.
    if (done && context_->ticks() - before < turn) break;
  }
  const auto took = context_->ticks() - began;
  if (took < std::min(kRest, at_most)) context_->pause(other, std::min(kRest, at_most) - took);
}

void Elsewhere::say_what_was_passed_over() {
  struct Sum {
    std::size_t count = 0;
    std::string detail;
  };
  std::map<std::string, Sum> unknown;
  Sum damaged;
  std::set<std::string> more;
  for (const auto& source : boxes_) {
    for (const auto& [host, box] : source) {
      if (box.more) more.insert(host);
      for (const auto& [name, looked] : box.items) {
        if (!looked.unseen) continue;
        auto& sum = looked.unseen->why == Unseen::Why::unknown_key ? unknown[host] : damaged;
        if (++sum.count == 1) {
          sum.detail =
              (&sum == &damaged ? "from/" + host + ": " : std::string()) + shown(looked.unseen->detail, kMaxDetail);
        }
      }
    }
  }
  // Once, and again when it has become twice as many: a source that adds junk for ever does not get a line each time.
  const auto say = [&](const std::string& about, std::size_t count, const std::string& what) {
    auto& said = passed_over_[about];
    if (count == 0 || (said > 0 && count < 2 * said)) return;
    said = count;
    complain(*context_, what);
  };
  for (const auto& [host, sum] : unknown) {
    say("unknown " + host, sum.count,
        fmt::format("{} passed over: in {}'s box, and not by a key that you know of {} (the first: {}); has it a new "
                    "one? jitctl trust add-host",
                    count_of(sum.count, "document"), host, host, sum.detail));
  }
  say("damaged", damaged.count,
      fmt::format("{} passed over: no documents of hosts (the first: {})", count_of(damaged.count, "file"),
                  damaged.detail));
  for (const auto& host : more) {
    complain_once(fmt::format("from/{}: holds more than any host posts; not all of it was looked at", host));
  }
}

void Elsewhere::complain_once(const std::string& what) {
  if (said_.insert(what).second) complain(*context_, what);
}

}  // namespace jit::ctl
