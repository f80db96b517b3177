// jitctl show ID: everything about one request or grant; from elsewhere also about a document that was sent.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitctl/answers.hpp"
#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/find.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "jitctl/qr.hpp"
#include "jitctl/review.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kEventsAtAll = 4096;  // that a host posts

Outcome show(Context& context, const std::string& id) {
  if (context.qr) {
    const auto document = export_document(context, id);
    if (!document) return tl::unexpected(document.error());
    if (auto printed = show_codes(context, *document); !printed) return tl::unexpected(printed.error());
    return Exit::done;
  }
  const auto grant = find_grant(context, id);
  if (!grant) return tl::unexpected(grant.error());
  if (context.json) {
    context.out << to_json(*grant) << '\n';
  } else {
    print_grant(context.out, *grant, context.columns);
  }
  return Exit::done;
}

// What was sent from here, by id, prefix or whole digest.
Result<std::optional<SentDocument>> own_sent(const Context& context, const std::string& id) {
  std::optional<SentDocument> found;
  const auto prefix = id.starts_with("sha256:") ? Result<std::string>("") : parse_id_prefix(id);
  if (!prefix) return tl::unexpected(prefix.error());
  for (const auto* folder : {kAsks, kSent}) {
    for (auto& sent : sent_documents(context, folder)) {
      const bool same = prefix->empty() ? digest_text(sent.digest) == id : id_of(sent.digest).starts_with(*prefix);
      if (!same) continue;
      if (found) return fail(Errc::invalid, fmt::format("{}: more than one begins so; type more of it", shown(id)));
      found = std::move(sent);
    }
  }
  return found;
}

// Everything that hosts said of it, in the order of their clocks.
std::vector<EventDocument> events_about(const Elsewhere& elsewhere, const std::vector<std::string>& hosts,
                                        const Digest& digest) {
  std::vector<EventDocument> about;
  for (const auto& host : hosts) {
    for (const auto& [key, seen] : elsewhere.sight(host).events) {
      const auto& event = seen.event;
      if (event.grant == digest || event.document == digest || event.ask == digest) about.push_back(event);
    }
  }
  const auto order = [](const EventDocument& event) { return std::pair(event.created, event.sequence); };
  std::stable_sort(about.begin(), about.end(),
                   [&](const EventDocument& one, const EventDocument& other) { return order(one) < order(other); });
  return about;
}

std::string event_json(const EventDocument& event) {
  JsonObject object;
  object.number("time", seconds_of(event.created)).text("host", event.host).number("sequence", event.sequence);
  object.text("event", event.what).text("state", event.state).text("message", event.why).text("by", event.by);
  object.text("user", event.user).text("role", event.role);
  if (event.until) object.number("not_after", seconds_of(*event.until));
  if (event.grant) object.text("grant", id_of(*event.grant));
  return object.str();
}

void print_events(Context& context, const std::vector<EventDocument>& events) {
  Table table({"TIME", "HOST", "EVENT", "UNTIL", "BY", "WHY"});
  for (const auto& event : events) {
    table.add({time_text(seconds_of(event.created)), event.host, event.what,
               event.until ? time_text(seconds_of(*event.until)) : "", event.by, event.why});
  }
  table.print(context.out);
}

Outcome show_elsewhere(Context& context, Elsewhere& elsewhere, const std::string& id) {
  auto sent = own_sent(context, id);
  if (!sent) return tl::unexpected(sent.error());
  Digest digest;
  std::vector<std::string> hosts;
  if (*sent) {
    digest = (*sent)->digest;
    const auto where = destination_of((*sent)->document);
    hosts = where.segments.empty() ? where.hosts : elsewhere.hosts();
    if (auto done = elsewhere.look(hosts, {true, kEventsAtAll, {}, false}); !done)
      return tl::unexpected(done.error());
    elsewhere.say_what_was_passed_over();
  } else {
    const auto found = find_anything_elsewhere(elsewhere, elsewhere.hosts(), id);
    if (!found) return tl::unexpected(found.error());
    digest = found->digest;
    hosts = found->hosts;
  }
  const auto now = context.now();
  const auto events = events_about(elsewhere, hosts, digest);
  std::optional<Wish> wish;
  std::vector<AnswerRow> rows;
  for (const auto& host : hosts) {
    const auto sight = elsewhere.sight(host);
    if (const auto request = sight.requests.find(digest); request != sight.requests.end())
      wish = wish_of(request->second, sight);
    if (!*sent) continue;
    AnswerRow row{host, id_of(digest), digest, answer_of((*sent)->document, digest, sight, now), {}, {}, true, {}};
    if (const auto* last = sight.last()) row.seen = last->event.created;
    const bool named = destination_of((*sent)->document).segments.empty();
    if (named || row.answer.state != Answer::State::none) rows.push_back(std::move(row));
  }
  if (context.json) {
    std::vector<std::string> objects;
    for (const auto& event : events) objects.push_back(event_json(event));
    JsonObject object;
    object.text("id", id_of(digest)).text("digest", digest_text(digest));
    if (wish) object.text("document", to_text(wish->envelope));
    if (!wish && *sent) object.text("document", (*sent)->text);
    object.raw("answers", answers_json(rows)).raw("events", json_list(objects));
    context.out << object.str() << '\n';
    return Exit::done;
  }
  if (wish) {
    print_wish(context.out, *wish, now, context.columns);
  } else if (*sent) {
    const auto payload = to_payload((*sent)->document);
    context.out << fmt::format("{} {}, sent from here\n", kind_name(kind_of((*sent)->document)), id_of(digest))
                << indented(payload, "  ", context.columns);
  } else {
    context.out << fmt::format("{}  {}\n", id_of(digest), digest_text(digest));
  }
  if (!rows.empty()) print_answers(context, rows);
  if (!events.empty()) print_events(context, events);
  for (const auto& host : hosts) {
    const auto sight = elsewhere.sight(host);
    const auto standing = standing_of(sight, digest, now);
    if (standing.state.empty()) continue;
    const auto line = fmt::format("{}: {}", host, standing_text(standing));
    context.out << folded(without_blank_runs(shown(line)), "", "  ", context.columns);
  }
  return Exit::done;
}

}  // namespace

void add_show(Commands& commands) {
  struct Options {
    std::string id;
    SourceOptions source;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("show", "Everything about one request or grant", [&context, options]() -> Outcome {
    auto elsewhere = open_elsewhere(context, options->source);
    if (!elsewhere) return tl::unexpected(elsewhere.error());
    if (*elsewhere && context.qr)
      return usage(context, "--qr shows what this host has; of hosts elsewhere: jitctl export ID --source URL --qr");
    return *elsewhere ? show_elsewhere(context, **elsewhere, options->id) : show(context, options->id);
  });
  command->add_option("id", options->id, "Id, or its first characters (4 and more)")->required()->type_name("ID");
  add_source_option(*command, options->source);
  add_qr(*command, context);
}

}  // namespace jit::ctl
