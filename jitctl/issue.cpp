#include "jitctl/issue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitctl/arguments.hpp"
#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/signing.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kNamed = 10;  // hosts in a sentence; the table has them all

Result<std::vector<std::string>> all_known(Context& context, const std::optional<Elsewhere>& elsewhere,
                                           const SourceOptions& options) {
  if (elsewhere) return elsewhere->hosts();
  const auto file = known_hosts(context, options.hosts);
  if (!file) return tl::unexpected(file.error());
  std::set<std::string> names;
  for (const auto& line : file->lines) names.insert(line.principal);
  return std::vector<std::string>(names.begin(), names.end());
}

Result<Where> destination(Context& context, const std::optional<Elsewhere>& elsewhere, const IssueOptions& options,
                          bool everywhere) {
  auto where = options.where;
  const bool named = !where.hosts.empty() || !where.segments.empty();
  if (options.on_all && named) return fail(Errc::invalid, "--on-all stands alone, without --on and --segment");
  if (elsewhere && !named && !options.on_all && !everywhere)
    return fail(Errc::invalid, "for which hosts? --on HOST, --segment NAME, or --on-all");
  if (options.on_all || (elsewhere && !named)) {
    auto all = all_known(context, elsewhere, options.source);
    if (!all) return tl::unexpected(all.error());
    if (all->empty()) return fail(Errc::not_found, "you know no host yet: see jitctl trust add-host");
    where.hosts = std::move(*all);
    return where;
  }
  auto checked = where_to(context, std::move(where));
  if (!checked) return checked;
  for (const auto& host : checked->hosts) {
    if (!elsewhere || elsewhere->knows(host) || !options.sign.out.empty() || context.qr) continue;
    return fail(Errc::not_found,
                fmt::format("{}: not in your hosts file, so nothing that it answers could be believed; add it with: "
                            "jitctl trust add-host",
                            host));
  }
  return checked;
}

std::string some_of(const std::vector<std::string>& hosts) {
  if (hosts.size() <= kNamed) return joined(hosts);
  return fmt::format("{} and {} more", joined({hosts.begin(), hosts.begin() + kNamed}, ", "), hosts.size() - kNamed);
}

// What a table does not say by itself.
void print_sum(Context& context, const Elsewhere& elsewhere, const std::vector<Parcel>& parcels,
               const Posting& posting) {
  std::vector<std::string> silent;
  std::size_t answered = 0;
  for (const auto& row : posting.rows) {
    if (row.answer.state == Answer::State::none) silent.push_back(row.host);
    answered += row.answer.state == Answer::State::none || row.answer.state == Answer::State::unsent ? 0 : 1;
  }
  if (posting.rows.size() > 1) {
    context.out << fmt::format("{} of {} hosts have answered.\n", answered, posting.rows.size());
  }
  if (posting.to_segments) {
    context.out << "Which hosts are in a segment is not known here: those that answered are above.\n";
  }
  if (silent.empty()) return;
  auto until = WallTime::max();
  for (const auto& parcel : parcels) until = std::min(until, needed_until(parcel.document));
  context.out << fmt::format("Not confirmed yet: {}. It waits for them at {} until {}.\n", shown(some_of(silent)),
                             elsewhere.names(), time_text(seconds_of(until)));
  context.out << "A host does not answer to a key that it does not know.\n";
  context.out << fmt::format("Look again: jitctl show {} --source {}\n", parcels.front().id(), elsewhere.names());
}

}  // namespace

void add_issue_options(Command& command, IssueOptions& options) {
  add_where(command, options.where);
  command.add_flag("--on-all", options.on_all, "For every host of your hosts file");
  add_sign_options(command, options.sign);
  add_source_option(command, options.source);
  add_wait_options(command, options.source);
}

Result<std::optional<Elsewhere>> open_elsewhere(Context& context, const SourceOptions& options,
                                                const std::string& out) {
  if ((!out.empty() || context.qr) && options.names.empty()) return std::optional<Elsewhere>();
  const auto elsewhere = goes_elsewhere(context, options);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  if (!*elsewhere) return std::optional<Elsewhere>();
  auto opened = Elsewhere::open(context, options);
  if (!opened) return tl::unexpected(opened.error());
  return std::optional<Elsewhere>(std::move(*opened));
}

Outcome issue(Context& context, std::optional<Elsewhere>& elsewhere, const Document& document,
              const IssueOptions& options, const Issue& issue) {
  if (auto allowed = sign_as_yourself(context); !allowed) return tl::unexpected(allowed.error());
  const auto where = destination(context, elsewhere, options, issue.everywhere);
  if (!where) return tl::unexpected(where.error());
  const auto documents = documents_for(document, {where->hosts, where->segments});
  if (!documents) return tl::unexpected(documents.error());
  if ((!options.sign.out.empty() || context.qr) && documents->size() > 1) {
    return fail(Errc::invalid, fmt::format("{} hosts need {} documents, and {} takes one; name fewer of them",
                                           where->hosts.size(), documents->size(), context.qr ? "--qr" : "-o"));
  }
  std::vector<Parcel> parcels;
  for (const auto& one : *documents) {
    auto text = signed_document(context, one, options.sign.key);
    if (!text) return tl::unexpected(text.error());
    auto parcel = parcel_of(std::move(*text), "the new document");
    if (!parcel) return tl::unexpected(parcel.error());
    parcels.push_back(std::move(*parcel));
  }
  if (elsewhere && options.sign.out.empty() && !context.qr) return send(context, *elsewhere, parcels, options.source);
  Exit worst = Exit::done;
  for (const auto& parcel : parcels) {
    const auto done = hand_over(context, parcel.text, options.sign, issue.failure);
    if (!done) return done;
    if (*done != Exit::done) worst = *done;
  }
  return worst;
}

Outcome send(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels,
             const SourceOptions& options) {
  const auto patience = options.patience(kAnswerWithin);
  if (!patience) return tl::unexpected(patience.error());
  for (const auto& parcel : parcels) {
    const auto* folder = kind_of(parcel.document) == Kind::ask ? kAsks : kSent;
    if (auto kept = keep_sent(context, folder, parcel.text); !kept) complain(context, kept.error().message);
  }
  auto posting = post(context, elsewhere, parcels);
  await_answers(context, elsewhere, parcels, posting, *patience);
  if (context.json) {
    context.out << posting_json(parcels, posting) << '\n';
    return exit_of(posting);
  }
  for (const auto& parcel : parcels) {
    context.out << fmt::format("{} {}  {}\n", kind_name(kind_of(parcel.document)), parcel.id(),
                               digest_text(parcel.digest));
  }
  if (!posting.rows.empty()) print_answers(context, posting.rows);
  print_sum(context, elsewhere, parcels, posting);
  return exit_of(posting);
}

}  // namespace jit::ctl
