#include "jitctl/status_elsewhere.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "jitctl/answers.hpp"
#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "jitctl/parcels.hpp"
#include "jitctl/sight.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kEventsAtAll = 4096;  // that a host posts
constexpr std::size_t kMaxCell = 72;
constexpr std::size_t kEachHost = 10;  // so many have a line each; of more, those that say the same have one together

// What a document is about, in the words of its columns.
struct About {
  std::string id, what, role, user, reason;
};

About about(const SentDocument& sent) {
  About about{id_of(sent.digest), std::string(kind_name(kind_of(sent.document))), "", "", ""};
  if (const auto* ask = std::get_if<AskDocument>(&sent.document)) {
    about.role = ask->role;
    about.user = ask->user;
    about.reason = ask->reason;
  } else if (const auto* grant = std::get_if<GrantDocument>(&sent.document)) {
    about.role = grant->role;
    about.user = grant->user;
    about.reason = grant->reason;
  } else if (const auto* review = std::get_if<Review>(&sent.document)) {
    about.id = id_of(review->request);  // by which who reviewed knows it
    about.what = review->approve ? "approval" : "denial";
    about.reason = review->comment;
  } else if (const auto* revocation = std::get_if<Revocation>(&sent.document)) {
    about.user = joined(revocation->users);
    about.reason = revocation->reason;
  } else if (const auto* lock = std::get_if<Lock>(&sent.document)) {
    if (!lock->lifts.empty()) about.what = "unlock";
    about.user = joined(lock->users);
    about.reason = lock->reason;
  }
  return about;
}

// One document on one host.
struct StatusRow {
  About about;
  WallTime created{};
  std::string host;
  Answer answer;
  std::optional<WallTime> seen;
};

std::string row_json(const StatusRow& row) {
  JsonObject object;
  object.text("host", row.host).text("id", row.about.id).text("document", row.about.what);
  object.text("role", row.about.role).text("user", row.about.user);
  object.text("state", answer_word(row.answer)).text("message", row.answer.why).text("reason", row.about.reason);
  if (row.answer.grant) object.text("grant", id_of(*row.answer.grant));
  if (row.answer.until) object.number("not_after", seconds_of(*row.answer.until));
  object.number("created", seconds_of(row.created));
  if (row.seen) object.number("seen", seconds_of(*row.seen));
  return object.str();
}

// Who was reviewed, as the host says: a review has no more of it than a digest.
void name_reviewed(About& about, const Digest& request, const HostSight& sight) {
  for (const auto& [key, seen] : sight.events) {
    if (seen.event.grant != request) continue;
    about.role = seen.event.role;
    about.user = seen.event.user;
    return;
  }
}

std::string why_of(const Answer& answer) {
  auto why = answer.why;
  if (!answer.by.empty()) why += (why.empty() ? "by " : ", by ") + answer.by;
  return shown(why, kMaxCell);
}

void print_rows(Context& context, const std::vector<StatusRow>& rows) {
  Table table({"ID", "WHAT", "HOST", "ROLE", "USER", "STATE", "LAST HEARD OF", "WHY"});
  const auto add = [&](const StatusRow& row, const std::string& host, const std::string& seen) {
    table.add({row.about.id, row.about.what, host, row.about.role, shown(row.about.user, kMaxCell),
               answer_text(row.answer), seen, why_of(row.answer)});
  };
  for (auto from = rows.begin(); from != rows.end();) {
    const auto to =
        std::find_if(from, rows.end(), [&](const StatusRow& row) { return row.about.id != from->about.id; });
    if (static_cast<std::size_t>(to - from) <= kEachHost) {
      for (; from != to; ++from) add(*from, from->host, seen_text(from->seen, context.now()));
      continue;
    }
    std::map<std::string, std::pair<const StatusRow*, std::size_t>> alike;
    for (; from != to; ++from) {
      auto& [first, count] = alike[answer_text(from->answer) + "\n" + why_of(from->answer)];
      if (count++ == 0) first = &*from;
    }
    for (const auto& [words, group] : alike) {
      const auto& [first, count] = group;
      if (count == 1) {
        add(*first, first->host, seen_text(first->seen, context.now()));
      } else {
        add(*first, fmt::format("{} hosts", count), "");
      }
    }
  }
  table.print(context.out);
}

}  // namespace

Outcome status_elsewhere(Context& context, const SourceOptions& options) {
  auto elsewhere = Elsewhere::open(context, options);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  auto all = sent_documents(context, kAsks);
  for (auto& sent : sent_documents(context, kSent)) all.push_back(std::move(sent));
  std::set<std::string> hosts;
  auto oldest = context.now();
  const auto hosts_of = [&](const SentDocument& sent) {
    const auto where = destination_of(sent.document);
    return where.segments.empty() ? where.hosts : elsewhere->hosts();
  };
  for (const auto& sent : all) {
    const auto of = hosts_of(sent);
    hosts.insert(of.begin(), of.end());
    oldest = std::min(oldest, made_at(sent.document));
  }
  if (!all.empty()) {
    const Need need{false, kEventsAtAll, oldest - std::chrono::hours(1), false};
    if (auto done = elsewhere->look({hosts.begin(), hosts.end()}, need); !done) return tl::unexpected(done.error());
    elsewhere->say_what_was_passed_over();
  }
  std::map<std::string, HostSight> sights;
  for (const auto& host : hosts) sights.emplace(host, elsewhere->sight(host));
  std::vector<StatusRow> rows;
  for (const auto& sent : all) {
    const auto where = destination_of(sent.document);
    const bool old = needed_until(sent.document) <= context.now();
    for (const auto& host : hosts_of(sent)) {
      const auto& sight = sights.at(host);
      StatusRow row{about(sent), made_at(sent.document), host, {}, {}};
      row.answer = answer_of(sent.document, sent.digest, sight, context.now());
      if (const auto* review = std::get_if<Review>(&sent.document)) name_reviewed(row.about, review->request, sight);
      if (const auto* last = sight.last()) row.seen = last->event.created;
      const bool named = std::find(where.hosts.begin(), where.hosts.end(), host) != where.hosts.end();
      const bool lives = row.answer.state == Answer::State::active || row.answer.state == Answer::State::pending;
      if (lives || (!old && (named || row.answer.state != Answer::State::none))) rows.push_back(std::move(row));
    }
  }
  if (context.json) {
    std::vector<std::string> objects;
    for (const auto& row : rows) objects.push_back(row_json(row));
    context.out << json_list(objects) << '\n';
    return Exit::done;
  }
  if (rows.empty()) {
    context.out << "Nothing that you sent from here is in force or waits.\n";
    return Exit::done;
  }
  print_rows(context, rows);
  return Exit::done;
}

}  // namespace jit::ctl
