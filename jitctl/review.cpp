#include "jitctl/review.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jitctl/answers.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/find.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/signing.hpp"
#include "policy/document/verify.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr std::string_view kWaitingFor = "waiting for ";  // as hosts begin it

std::string when(WallTime time, WallTime now) {
  const auto text = time_text(static_cast<std::uint64_t>(time.time_since_epoch().count()));
  const auto apart =
      time > now ? fmt::format("in {}", in_words(time - now)) : fmt::format("{} ago", in_words(now - time));
  return fmt::format("{} ({})", text, apart);
}

void print_request(std::ostream& out, const Request& request, WallTime now, std::size_t columns) {
  const auto line = [&](std::string_view label, std::string_view text) { labelled(out, label, text, columns); };
  line("who", fmt::format("{} (uid {}) on {}", request.user, request.uid, request.host));
  for (const auto& person : request.requesters) line("behind it", to_text(person));
  line("role", fmt::format("{} for {}", request.role, format_duration(request.duration)));
  if (request.start) line("starts", when(*request.start, now));
  if (request.extends) {
    line("extends",
         fmt::format("{}: takes over that grant before it ends, with what runs under it", id_of(*request.extends)));
  }
  line("why", request.reason);
  if (!request.ticket.empty()) line("ticket", request.ticket);
  line("filed", when(request.created, now) + (request.origin == "local" ? "" : ", origin " + request.origin));
  line("expires", when(request.expires, now));
  out << "  gives\n" << indented(request.effects, "             ", columns);
}

void print_direct(std::ostream& out, const GrantDocument& grant, WallTime now, std::size_t columns) {
  const auto line = [&](std::string_view label, std::string_view text) { labelled(out, label, text, columns); };
  line("who", grant.user);
  line("role", grant.role);
  for (const auto& host : grant.hosts) line("on", host);
  for (const auto& segment : grant.segments) line("segment", segment);
  line("why", grant.reason);
  if (!grant.ticket.empty()) line("ticket", grant.ticket);
  if (grant.duration) line("for", format_duration(*grant.duration));
  if (grant.not_before) line("from", when(*grant.not_before, now));
  if (grant.not_after) line("until", when(*grant.not_after, now));
  if (grant.activate_by) line("begins by", when(*grant.activate_by, now));
  if (grant.once) line("once", "for one session");
}

// This host's own key, as jitd tells it; nothing where there is no jitd.
std::optional<TrustLine> own_host(Context& context) {
  const auto info = inspect(context);
  if (!info) return std::nullopt;
  auto key = parse_public_key_line(info->public_key);
  if (!key) return std::nullopt;
  TrustLine line;
  line.principal = info->host;
  line.key = std::move(*key);
  return line;
}

Result<Wish> wish_of_id(Context& context, const ReviewOptions& options, std::optional<Elsewhere>& elsewhere) {
  const auto prefix = read_id(options.what, options.yes);
  if (!prefix) return tl::unexpected(prefix.error());
  if (elsewhere) {
    const auto found = find_waiting(context, *elsewhere, *prefix);
    if (!found) return tl::unexpected(found.error());
    return wish_of(found->request, elsewhere->sight(found->host));
  }
  const auto pending = ask_jitd(context, wire::Verb::pending, {});
  if (!pending) return tl::unexpected(pending.error());
  const Row* found = nullptr;
  for (const auto& row : pending->items) {
    if (!row.text(Tag::id).starts_with(*prefix)) continue;
    if (found != nullptr) {
      return fail(Errc::invalid,
                  fmt::format("{}: more than one pending request begins so; type more of it", *prefix));
    }
    found = &row;
  }
  if (found == nullptr) {
    return fail(Errc::not_found,
                fmt::format("{}: no request of that id waits for your review; see jitctl pending", *prefix));
  }
  auto wish = read_wish(found->text(Tag::document));
  if (wish && wish->id() != found->text(Tag::id))
    return fail(Errc::invalid, "jitd sent another document than it named");
  return wish;
}

// The signed answer to one wish: a review of a request, or one more signature under a direct grant.
Result<std::string> answer(Context& context, const Wish& wish, const ReviewOptions& options) {
  if (std::holds_alternative<Request>(wish.document)) {
    const auto review = make_review(wish, options, context.now());
    if (!review) return tl::unexpected(review.error());
    return signed_document(context, *review, options.sign.key);
  }
  if (!options.approve)
    return fail(Errc::invalid, "a direct grant is not denied; end it with: jitctl revoke ID -m WHY");
  if (!options.duration.empty() || !options.start.empty())
    return fail(Errc::invalid, "a direct grant is signed as it stands, without --for and --start");
  if (auto allowed = sign_as_yourself(context); !allowed) return tl::unexpected(allowed.error());
  const auto name_space = kind_namespace(Kind::grant);
  const auto key = choose_key(context, options.sign.key, name_space);
  if (!key) return tl::unexpected(key.error());
  auto blob = sign_bytes(context, *key, wish.envelope.payload, name_space);
  if (!blob) return blob;
  const auto merged = merge(wish.envelope, Envelope{wish.envelope.payload, {std::move(*blob)}});
  if (!merged) return tl::unexpected(merged.error());
  return to_text(*merged);
}

// Sends the answer to the request's host, and says what became of the request there.
Outcome send_answer(Context& context, Elsewhere& elsewhere, const std::string& text, const Wish& wish,
                    const SourceOptions& options) {
  const auto patience = options.patience(kAnswerWithin);
  if (!patience) return tl::unexpected(patience.error());
  auto parcel = parcel_of(text, "the answer");
  if (!parcel) return tl::unexpected(parcel.error());
  const std::vector<Parcel> parcels = {std::move(*parcel)};
  auto posting = post(context, elsewhere, parcels);
  auto& row = posting.rows.front();
  if (row.answer.state == Answer::State::unsent) return fail(Errc::unavailable, row.answer.why);
  if (auto kept = keep_sent(context, kSent, text); !kept)
    complain(context, "jitctl status will not know of it: " + kept.error().message);
  await_answers(context, elsewhere, parcels, posting, *patience);
  row.id = wish.id();
  if (context.json) {
    context.out << answer_json(row) << '\n';
    return exit_of(posting);
  }
  auto line = fmt::format("{} on {}: {}", row.id, row.host, answer_text(row.answer));
  if (!row.answer.why.empty()) line += ": " + row.answer.why;
  if (row.answer.state == Answer::State::none) {
    line += fmt::format("; sent to {}, last heard of {}; a host does not answer to a key that it does not know",
                        elsewhere.names(), seen_text(row.seen, context.now()));
  }
  context.out << folded(without_blank_runs(shown(line)), "", "  ", context.columns);
  return exit_of(posting);
}

// Shows one wish, asks, signs and hands over. `out` names the answer's file, empty for jitd or for `elsewhere`.
Outcome decide_one(Context& context, const Wish& wish, const ReviewOptions& options, std::string out,
                   std::optional<Elsewhere>& elsewhere) {
  auto& shown_on = context.json || context.qr || out == "-" ? context.err : context.out;
  print_wish(shown_on, wish, context.now(), context.columns);
  shown_on << std::flush;
  if (const auto* request = std::get_if<Request>(&wish.document)) {
    const PersonRef me{context.user, false};
    if (std::find(request->requesters.begin(), request->requesters.end(), me) != request->requesters.end()) {
      complain(context,
               fmt::format("{} is behind this request: nobody's review of their own request counts", context.user));
    }
  }
  if (!options.yes) {
    if (!context.can_ask()) {
      return fail(Errc::invalid, "there is no terminal to ask on; read it first, then add --yes and the whole id");
    }
    if (!ask_yes(context, options.approve ? "Approve exactly this?" : "Deny this?")) {
      context.err << "Nothing was signed.\n";
      return Exit::failed;
    }
  }
  const auto text = answer(context, wish, options);
  if (!text) return tl::unexpected(text.error());
  if (elsewhere && out.empty() && !context.qr) return send_answer(context, *elsewhere, *text, wish, options.source);
  return hand_over(context, *text, SignOptions{options.sign.key, std::move(out)}, options.approve ? "refused" : "");
}

Outcome review_files(Context& context, const ReviewOptions& options, const std::vector<std::string>& files, bool many,
                     std::optional<Elsewhere>& elsewhere) {
  auto hosts = known_hosts(context, options.source.hosts);
  if (!hosts) return tl::unexpected(hosts.error());
  for (const auto& bad : hosts->bad) complain(context, bad.message);
  if (options.source.hosts.empty()) {
    if (auto own = own_host(context)) hosts->lines.push_back(std::move(*own));
  }
  Exit worst = Exit::done;
  for (const auto& file : files) {
    const auto text = read_document(context, file);
    const auto wish =
        text ? verified_wish(*text, file, *hosts, context.now()) : Result<Wish>(tl::unexpected(text.error()));
    if (!wish && !many) return tl::unexpected(wish.error());
    if (!wish) {
      complain(context, wish.error().message);
      worst = Exit::failed;
      continue;
    }
    auto out = options.sign.out;
    if (many && !out.empty()) out += fmt::format("/{}-{}.jit", wish->id(), options.approve ? "approved" : "denied");
    auto outcome = decide_one(context, *wish, options, std::move(out), elsewhere);
    if (!many) return outcome;
    if (!outcome) complain(context, outcome.error().message);
    if (!outcome || *outcome != Exit::done) worst = outcome ? *outcome : exit_of(outcome.error());
  }
  return worst;
}

}  // namespace

Result<Wish> read_wish(std::string_view text) {
  auto envelope = parse_envelope(text);
  if (!envelope) return tl::unexpected(envelope.error());
  auto document = parse_document(envelope->payload, "the document");
  if (!document) return tl::unexpected(document.error());
  const auto digest = sha256(envelope->payload);
  return Wish{std::move(*envelope), std::move(*document), digest, "this host's jitd"};
}

Result<Wish> verified_wish(std::string_view text, const std::string& source, const TrustFile& hosts, WallTime now) {
  auto envelope = parse_envelope(text);
  if (!envelope) return within(source, envelope.error());
  // Say whose key is missing before the verification refuses it: the key's name is all that is used of it.
  const auto signature = parse_signature(envelope->signatures.front());
  if (!signature) return within(source, signature.error());
  if (signature->name_space != kind_namespace(Kind::request)) {
    return fail(Errc::invalid,
                fmt::format("{}: not a request but signed as {}; jitctl verify shows it, jitctl sign adds "
                            "a signature",
                            source, shown(signature->name_space)));
  }
  const bool known = std::any_of(hosts.lines.begin(), hosts.lines.end(),
                                 [&](const TrustLine& line) { return line.key == signature->key; });
  if (!known) {
    return fail(Errc::refused,
                fmt::format("{}: signed by host key {}, which is not among the hosts you know; compare it with "
                            "'ssh-keygen -lf /var/lib/jit/host_key.pub' on the host, then: jitctl trust add KEYFILE "
                            "--principal HOST --file hosts",
                            source, fingerprint(signature->key)));
  }
  TrustSet trust;
  trust.hosts = hosts;
  auto verified = verify_document(std::move(*envelope), trust, source);
  if (!verified) return tl::unexpected(verified.error());
  const auto* request = std::get_if<Request>(&verified->document);
  if (request == nullptr) return fail(Errc::invalid, fmt::format("{}: not a request", source));
  for (const auto& signer : verified->signers) {
    TrustLine line;
    line.valid_after = signer.valid_after;
    line.valid_before = signer.valid_before;
    if (signer.principal != request->host || fingerprint(signer.key) != request->host_key || !line.valid_at(now))
      continue;
    auto vouched = fmt::format("{}'s host key {}", request->host, request->host_key);
    return Wish{std::move(verified->envelope), std::move(verified->document), verified->digest, std::move(vouched)};
  }
  return fail(Errc::refused,
              fmt::format("{}: says it is of host {}, and is signed by the key of another host, or of one "
                          "that is no longer valid",
                          source, shown(request->host)));
}

Wish wish_of(const SeenRequest& request, const HostSight& sight) {
  Wish wish{request.envelope, request.request, request.digest,
            fmt::format("{}'s host key {}", request.request.host, request.request.host_key)};
  // The newest first: whom it waits for as it was said last, and who has spoken, in their order.
  for (const auto& [key, seen] : sight.events) {
    const auto& event = seen.event;
    if (event.grant != request.digest || (event.what != "filed" && event.what != "reviewed")) continue;
    if (event.why.starts_with(kWaitingFor)) {
      if (wish.waits_for.empty()) wish.waits_for.push_back(event.why.substr(kWaitingFor.size()));
    } else if (event.what == "reviewed") {
      wish.so_far.insert(wish.so_far.begin(), event.by + ": " + event.why);
    }
  }
  return wish;
}

void print_wish(std::ostream& out, const Wish& wish, WallTime now, std::size_t columns) {
  if (const auto* request = std::get_if<Request>(&wish.document)) {
    out << fmt::format("Request {}, vouched for by {}\n", wish.id(), shown(wish.vouched));
    print_request(out, *request, now, columns);
  } else if (const auto* grant = std::get_if<GrantDocument>(&wish.document)) {
    out << fmt::format("Direct grant {}, vouched for by {}\n", wish.id(), shown(wish.vouched));
    print_direct(out, *grant, now, columns);
  } else {
    out << indented(wish.envelope.payload, "  ", columns);
  }
  for (const auto& line : wish.waits_for) labelled(out, "waits for", line, columns);
  for (const auto& line : wish.so_far) labelled(out, "so far", line, columns);
}

void add_review_options(Command& command, ReviewOptions& options) {
  command
      .add_option("request", options.what,
                  "Id (or its first characters), a request's file, a directory of them, or -")
      ->required()
      ->type_name("ID|FILE|DIR");
  command.add_option("-m,--message", options.comment, "Comment, signed with it")
      ->check(words_problem)
      ->type_name("TEXT");
  command
      .add_option("--hosts", options.source.hosts,
                  "Host keys you know (default: ~/.config/jit/hosts and /etc/jit/trust/hosts)")
      ->type_name("FILE");
  command.add_flag("--yes", options.yes, "Do not ask; an id must be whole");
  add_sign_options(command, options.sign);
  add_source_option(command, options.source);
  add_wait_options(command, options.source);
}

Result<Review> make_review(const Wish& wish, const ReviewOptions& options, WallTime now) {
  const auto& request = std::get<Request>(wish.document);
  if (request.expires <= now) {
    return fail(Errc::refused,
                fmt::format("{}: expired at {}; ask for a new request", wish.id(), format_utc(request.expires)));
  }
  Review review;
  review.host = request.host;
  review.request = wish.digest;
  review.approve = options.approve;
  if (!options.duration.empty()) {
    const auto duration = parse_duration(options.duration);
    if (!duration) return tl::unexpected(duration.error());
    if (*duration > request.duration) {
      return fail(Errc::invalid, fmt::format("--for {} is longer than the {} asked for; a review only narrows",
                                             options.duration, format_duration(request.duration)));
    }
    if (*duration < request.duration) review.duration = *duration;
  }
  if (!options.start.empty()) {
    const auto start = parse_time(options.start);
    if (!start) return tl::unexpected(start.error());
    if (request.extends) return fail(Errc::invalid, "an extension has no start: there would be a gap");
    if (*start < request.start.value_or(now))
      return fail(Errc::invalid,
                  fmt::format("--start {} is earlier than was asked for; a review only narrows", options.start));
    review.start = *start;
  }
  review.comment = options.comment;
  review.created = now;
  review.expires = std::min(request.expires, now + kAbsoluteCeiling);
  review.nonce = make_nonce();
  return review;
}

Outcome review(Context& context, const ReviewOptions& options) {
  if (auto allowed = sign_as_yourself(context); !allowed) return tl::unexpected(allowed.error());
  auto elsewhere = open_elsewhere(context, options.source, options.sign.out);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  if (is_directory(options.what)) {
    const auto files = documents_in(options.what);
    if (!files) return tl::unexpected(files.error());
    if (!options.sign.out.empty() && !is_directory(options.sign.out)) {
      return usage(context, "with a directory of requests, -o names a directory that is there");
    }
    return review_files(context, options, *files, true, *elsewhere);
  }
  if (looks_like_file(options.what)) return review_files(context, options, {options.what}, false, *elsewhere);
  const auto wish = wish_of_id(context, options, *elsewhere);
  if (!wish) return tl::unexpected(wish.error());
  return decide_one(context, *wish, options, options.sign.out, *elsewhere);
}

}  // namespace jit::ctl
