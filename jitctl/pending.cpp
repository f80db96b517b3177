// jitctl pending: what waits for the caller's review, with all that is needed to judge it; on this host, or on hosts
// elsewhere. --watch keeps looking.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>

#include "jitctl/app.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/host_memory.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/review.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using std::chrono::milliseconds;
using wire::Tag;

constexpr milliseconds kAskAgain{2000};    // the local jitd
constexpr milliseconds kLookAgain{60000};  // at the latest; a source says before when something is new

// Something that waits, from wherever.
struct Waiting {
  Wish wish;
  std::string json;  // for programs
};
using WaitingSet = std::map<std::string, Waiting>;  // by id

// Where wishes come from.
class Requests {
 public:
  virtual ~Requests() = default;
  // All that wait now.
  [[nodiscard]] virtual Result<WaitingSet> look() = 0;
  // What became of one that waited before.
  [[nodiscard]] virtual std::string became(const Waiting& one) = 0;
  // Until it may be worth to look again.
  virtual void wait(int other) = 0;
  [[nodiscard]] virtual std::string hint() const = 0;  // how to go on
};

class LocalRequests final : public Requests {
 public:
  explicit LocalRequests(Context& context) : context_(context) {}
  Result<WaitingSet> look() override {
    const auto reply = ask_jitd(context_, wire::Verb::pending, {});
    if (!reply) return tl::unexpected(reply.error());
    WaitingSet waiting;
    for (const auto& row : reply->items) {
      auto wish = read_wish(row.text(Tag::document));
      if (!wish) {
        complain(context_, row.text(Tag::id) + ": " + wish.error().message);
        continue;
      }
      wish->waits_for = row.all(Tag::waiting_for);
      const auto id = wish->id();
      waiting.insert_or_assign(id, Waiting{std::move(*wish), to_json(row)});
    }
    return waiting;
  }
  std::string became(const Waiting& one) override {
    const auto grant = find_grant(context_, one.wish.id());
    return grant ? state_text(*grant) : "no longer waits";
  }
  void wait(int other) override { context_.pause(other, kAskAgain); }
  std::string hint() const override { return "jitctl approve ID or jitctl deny ID -m WHY"; }

 private:
  Context& context_;
};

class RequestsElsewhere final : public Requests {
 public:
  RequestsElsewhere(Context& context, Elsewhere elsewhere) : context_(context), elsewhere_(std::move(elsewhere)) {}
  Result<WaitingSet> look() override {
    const auto done = elsewhere_.look(elsewhere_.hosts(), kWaiting);
    elsewhere_.say_what_was_passed_over();
    if (!done) return tl::unexpected(done.error());
    WaitingSet waiting;
    for (const auto& host : elsewhere_.hosts()) {
      const auto sight = elsewhere_.sight(host);
      if (elsewhere_.read(host)) warn(sight);
      for (const auto* seen : waiting_in(sight, context_.now())) {
        auto wish = wish_of(*seen, sight);
        const auto id = wish.id();
        auto json = json_of(*seen, wish);
        waiting.insert_or_assign(id, Waiting{std::move(wish), std::move(json)});
      }
    }
    return waiting;
  }
  std::string became(const Waiting& one) override {
    const auto& request = std::get<Request>(one.wish.document);
    const auto standing = standing_of(elsewhere_.sight(request.host), one.wish.digest, context_.now());
    if (!standing.state.empty() && standing.state != "pending") {
      return standing_text(standing) + (standing.by.empty() ? "" : ", by " + standing.by);
    }
    return request.expires <= context_.now() ? "expired" : "no longer waits";
  }
  void wait(int other) override { elsewhere_.wait(elsewhere_.hosts(), other, kLookAgain); }
  std::string hint() const override {
    return fmt::format("jitctl approve ID --source {0} or jitctl deny ID -m WHY --source {0}", elsewhere_.names());
  }

 private:
  // What is odd about a host is for its approvers to know, before they sign anything for it.
  void warn(const HostSight& sight) {
    for (const auto& odd : remember_host(context_, sight)) {
      if (said_.insert(sight.host + odd).second) complain(context_, fmt::format("{}: {}", sight.host, odd));
    }
  }

  [[nodiscard]] std::string json_of(const SeenRequest& seen, const Wish& wish) const {
    const auto& request = seen.request;
    std::vector<std::string> requesters;
    for (const auto& person : request.requesters) requesters.push_back(to_text(person));
    JsonObject object;
    object.text("id", wish.id()).text("digest", digest_text(wish.digest)).text("kind", "request");
    object.text("state", "pending").text("host", request.host).text("host_key", request.host_key);
    object.text("user", request.user).number("uid", request.uid).texts("requester", requesters);
    object.text("role", request.role).number("duration", static_cast<std::uint64_t>(request.duration.count()));
    object.text("reason", request.reason);
    if (!request.ticket.empty()) object.text("ticket", request.ticket);
    if (request.start) object.number("start", seconds_of(*request.start));
    object.number("created", seconds_of(request.created)).number("expires", seconds_of(request.expires));
    object.text("origin", request.origin).text("effects", request.effects);
    if (request.extends) object.text("extends", id_of(*request.extends));
    object.texts("waiting_for", wish.waits_for)
        .texts("reviews", wish.so_far)
        .text("document", to_text(wish.envelope));
    return object.str();
  }

  Context& context_;
  Elsewhere elsewhere_;
  std::set<std::string> said_;
};

void print_one(Context& context, const Waiting& one) {
  print_wish(context.out, one.wish, context.now(), context.columns);
  context.out << '\n';
}

Outcome once(Context& context, Requests& requests) {
  const auto waiting = requests.look();
  if (!waiting) return tl::unexpected(waiting.error());
  if (context.json) {
    std::vector<std::string> objects;
    for (const auto& [id, one] : *waiting) objects.push_back(one.json);
    context.out << json_list(objects) << '\n';
    return Exit::done;
  }
  if (waiting->empty()) {
    context.out << "Nothing waits for your review.\n";
    return Exit::done;
  }
  for (const auto& [id, one] : *waiting) print_one(context, one);
  context.out << shown(requests.hint()) << '\n';
  return Exit::done;
}

// New ones as they come, and what became of each. For programs a line of JSON each.
Outcome watch(Context& context, Requests& requests) {
  const Interrupt interrupt;
  WaitingSet before;
  std::string failed;
  for (bool first = true; !Interrupt::pressed(); first = false) {
    auto waiting = requests.look();
    if (!waiting && first) return tl::unexpected(waiting.error());
    if (!waiting && waiting.error().message != failed) complain(context, waiting.error().message);
    if (waiting && !failed.empty()) complain(context, "it answers again");
    failed = waiting ? "" : waiting.error().message;
    if (waiting) {
      for (const auto& [id, one] : before) {
        if (waiting->contains(id)) continue;
        const auto became = requests.became(one);
        if (context.json) {
          context.out << JsonObject().text("event", "decided").text("id", id).text("message", became).str() << '\n';
        } else {
          context.out << folded(without_blank_runs(shown(fmt::format("{}: {}", id, became))), "", "  ",
                                context.columns);
        }
      }
      for (const auto& [id, one] : *waiting) {
        const auto known = before.find(id);
        if (known != before.end() && known->second.wish.waits_for == one.wish.waits_for &&
            known->second.wish.so_far == one.wish.so_far) {
          continue;
        }
        if (context.json) {
          context.out << JsonObject().text("event", "waits").raw("request", one.json).str() << '\n';
        } else if (known == before.end()) {
          print_one(context, one);
        } else {
          auto line = fmt::format("{} waits for {}", id, joined(one.wish.waits_for));
          if (!one.wish.so_far.empty()) line += "; " + one.wish.so_far.back();
          context.out << folded(without_blank_runs(shown(line)), "", "  ", context.columns);
        }
      }
      before = std::move(*waiting);
      if (first && !context.json) {
        context.err << (before.empty() ? "Nothing waits for your review yet; " : "") << "Ctrl-C ends this.\n";
      }
    }
    if (!(context.out << std::flush)) return fail(Errc::system, "standard output could not be written");
    requests.wait(interrupt.descriptor());
  }
  return Exit::done;
}

}  // namespace

void add_pending(Commands& commands) {
  struct Options {
    SourceOptions source;
    bool watch = false;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("pending", "Requests that wait for your review", [&context, options]() -> Outcome {
    auto elsewhere = open_elsewhere(context, options->source);
    if (!elsewhere) return tl::unexpected(elsewhere.error());
    std::unique_ptr<Requests> requests;
    if (*elsewhere) {
      requests = std::make_unique<RequestsElsewhere>(context, std::move(**elsewhere));
    } else {
      requests = std::make_unique<LocalRequests>(context);
    }
    return options->watch ? watch(context, *requests) : once(context, *requests);
  });
  command->add_flag("--watch", options->watch, "Keep looking: new ones as they come, and what becomes of them");
  add_source_option(*command, options->source);
}

}  // namespace jit::ctl
