#include "jitctl/ask.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jitctl/answers.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "jitctl/paper.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr Seconds kTakenUpWithin = std::chrono::hours(24);  // until a host has made a request of it

Result<AskDocument> make_ask(const Context& context, const AskOptions& options) {
  AskDocument ask;
  ask.user = options.user.empty() ? context.user : options.user;
  if (auto good = check_user_name(ask.user); !good) return within("--user", good.error());
  ask.role = options.role;
  if (!options.wish.duration.empty()) {
    const auto duration = parse_duration(options.wish.duration);
    if (!duration) return tl::unexpected(duration.error());
    ask.duration = *duration;
  }
  ask.reason = options.wish.reason;
  ask.ticket = options.wish.ticket;
  ask.created = context.now();
  ask.expires = ask.created + kTakenUpWithin;
  if (!options.start.empty()) {
    const auto start = parse_until(context, options.start);
    if (!start) return tl::unexpected(start.error());
    ask.start = *start;
    ask.expires = std::min(*start + kTakenUpWithin, ask.created + kAbsoluteCeiling);
    if (*start >= ask.expires) {
      return fail(Errc::invalid,
                  fmt::format("--start {} is more than {} ahead", options.start, format_duration(kAbsoluteCeiling)));
    }
  }
  return ask;
}

Result<std::vector<Parcel>> signed_asks(Context& context, const AskOptions& options) {
  for (const auto& host : options.where.hosts) {
    if (auto good = check_host_name(host); !good) return tl::unexpected(good.error());
  }
  const auto ask = make_ask(context, options);
  if (!ask) return tl::unexpected(ask.error());
  const auto documents = documents_for(*ask, {options.where.hosts, options.where.segments});
  if (!documents) return tl::unexpected(documents.error());
  std::vector<Parcel> parcels;
  for (const auto& document : *documents) {
    auto text = signed_document(context, document, options.key);
    if (!text) return tl::unexpected(text.error());
    auto parcel = parcel_of(std::move(*text), "the new ask");
    if (!parcel) return tl::unexpected(parcel.error());
    parcels.push_back(std::move(*parcel));
  }
  return parcels;
}

Outcome write_ask(Context& context, const AskOptions& options) {
  const auto parcels = signed_asks(context, options);
  if (!parcels) return tl::unexpected(parcels.error());
  if (parcels->size() > 1)
    return fail(Errc::invalid, "so many hosts need several documents, and -o and --qr take one");
  return hand_over(context, parcels->front().text, SignOptions{options.key, options.wish.filing.out});
}

void keep(Context& context, const std::vector<Parcel>& parcels, const Posting& posting) {
  for (const auto& parcel : parcels) {
    const bool sent = (posting.to_segments && !posting.segments_failed) ||
                      std::any_of(posting.rows.begin(), posting.rows.end(), [&](const AnswerRow& row) {
                        return row.digest == parcel.digest && row.answer.state != Answer::State::unsent;
                      });
    if (!sent) continue;
    if (auto kept = keep_sent(context, kAsks, parcel.text); !kept)
      complain(context, "jitctl status will not know of it: " + kept.error().message);
  }
}

void say_how_to_go_on(Context& context, const Elsewhere& elsewhere) {
  context.err << fmt::format("It stays filed; see later: jitctl status --source {}\n", elsewhere.names());
}

}  // namespace

void add_ask_options(Command& command, AskOptions& options) {
  command.add_option("--on", options.where.hosts, "Host elsewhere where the role is wanted")->type_name("HOST");
  command.add_option("--segment", options.where.segments, "Every host of this segment")->type_name("NAME");
  add_source_option(command, options.source);
  command
      .add_option("--key", options.key, "With --on: sign with this key, a private key or a .pub that the agent holds")
      ->type_name("FILE");
  command.add_option("--user", options.user, "With --on: the user's name there (default: as here)")
      ->check(user_problem)
      ->type_name("USER");
  command.add_option("--wait", options.source.wait, "With --on: wait at most so long, without a terminal too")
      ->check(duration_problem)
      ->type_name("D");
}

Outcome ask_elsewhere(Context& context, const AskOptions& options) {
  if (options.where.hosts.empty() && options.where.segments.empty())
    return usage(context, "for which hosts? --on HOST or --segment NAME");
  const auto& filing = options.wish.filing;
  if (!filing.out.empty() || context.qr) return write_ask(context, options);
  auto elsewhere = Elsewhere::open(context, options.source);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  for (const auto& host : options.where.hosts) {
    if (elsewhere->knows(host)) continue;
    return fail(Errc::not_found,
                fmt::format("{}: not in your hosts file, so nothing that it answers could be believed; add it with: "
                            "jitctl trust add-host",
                            host));
  }
  const auto parcels = signed_asks(context, options);
  if (!parcels) return tl::unexpected(parcels.error());
  const bool terminal = context.can_ask() && context.out_terminal;
  auto source = options.source;
  source.no_wait = filing.no_wait;
  const auto patience = source.patience(terminal ? std::optional<Seconds>() : Seconds(0));
  if (!patience) return tl::unexpected(patience.error());

  auto posting = post(context, *elsewhere, *parcels);
  keep(context, *parcels, posting);
  if (terminal && *patience != Seconds(0)) {
    context.err << fmt::format("{} sent; Ctrl-C leaves it there.\n", parcels->front().id()) << std::flush;
  }
  await_answers(context, *elsewhere, *parcels, posting, *patience);
  const auto exit = exit_of(posting);
  if (context.json) {
    context.out << posting_json(*parcels, posting) << '\n';
    return exit;
  }
  if (*patience == Seconds(0) && !context.out_terminal) {
    for (const auto& parcel : *parcels) context.out << parcel.id() << '\n';  // the ids alone, for scripts
    for (const auto& row : posting.rows) {
      if (row.answer.state == Answer::State::unsent) complain(context, row.host + ": not sent: " + row.answer.why);
    }
    return exit;
  }
  for (const auto& parcel : *parcels) context.out << fmt::format("ask {}\n", parcel.id());
  if (!posting.rows.empty()) print_answers(context, posting.rows);
  if (exit == Exit::pending) say_how_to_go_on(context, *elsewhere);
  return exit;
}

}  // namespace jit::ctl
