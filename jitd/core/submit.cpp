// A document comes in, from a person at the socket or from the inbox: both are treated the same. Verified before it
// is parsed, then to the file of its kind.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/delivered.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/verify.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// Of one signer in an hour, each with its words; the others are counted.
constexpr std::uint64_t kAsksTold = 10, kRefusalsTold = 100;

}  // namespace

void EngineImpl::submit(const Caller* caller, std::string text, Reply<Outcome> reply) {
  const Turn turn(*this);
  const std::string source = caller == nullptr ? "the inbox" : "the document";
  const auto refuse = [&](const Error& error) {
    // Bytes that no trusted key signed are not audited, and journalled only where nobody hears the answer: strangers
    // could fill both with them.
    if (caller == nullptr) {
      const LineBudget::Answer line = strangers_.ask(now().boot_ms);
      if (line.unsaid > 0)
        journal(5, std::to_string(line.unsaid) + " more documents from the inbox were refused", nullptr, "refuse");
      if (line.say) journal(5, "a document from " + source + " is refused: " + error.message, nullptr, "refuse");
    }
    answer<Outcome>(reply, tl::unexpected<Error>(error));
  };
  Result<Envelope> envelope = parse_envelope(text);
  if (!envelope) return refuse(envelope.error());
  Result<Verified> verified = verify_document(std::move(*envelope), host_->trust, source);
  if (!verified) return refuse(verified.error());

  const auto document = std::make_shared<const Verified>(std::move(*verified));
  const Fields handed_in = who_handed_in(caller);
  const Reply<Outcome> done = [this, handed_in, document, reply](const Result<Outcome>& outcome) {
    if (outcome) answer_for(handed_in, *document, *outcome);
    answer<Outcome>(reply, outcome);
  };
  const Reply<Outcome> counted = [this, handed_in, document, done](const Result<Outcome>& outcome) {
    if (!outcome) note_refusal(handed_in, *document, outcome.error());
    done(outcome);
  };
  const Document& says = document->document;
  if (const AskDocument* ask = std::get_if<AskDocument>(&says)) return on_ask(*document, *ask, counted, done);
  if (const Review* review = std::get_if<Review>(&says)) return on_review(caller, *document, *review, counted);
  if (const GrantDocument* grant = std::get_if<GrantDocument>(&says)) {
    return on_direct(caller, *document, *grant, counted);
  }
  if (const Revocation* revocation = std::get_if<Revocation>(&says)) {
    return on_revocation(caller, *document, *revocation, counted);
  }
  if (const Lock* lock = std::get_if<Lock>(&says)) {
    if (!lock->lifts.empty()) return on_unlock(caller, *document, *lock, counted);
    return on_lock(caller, *document, *lock, counted);
  }
  if (document->kind == Kind::event) {
    return refuse({Errc::refused, "this is an event, with which this host tells others: it goes to them", 0});
  }
  if (const Delivery* delivery = delivery_of(says)) return on_delivery(caller, *document, *delivery, counted);
  refuse({Errc::refused,
          "this is a request, which this host makes itself: it goes to an approver ('jitctl approve FILE'), and the "
          "approval comes back",
          0});
}

void EngineImpl::note_refusal(const Fields& handed_in, const Verified& verified, const Error& error) {
  if (!first_refusal(verified.digest, error.message)) return;
  const std::string kind(kind_name(verified.kind));
  const std::string signer = verified.signers.front().principal;
  note_counted_denials(now().boot_ms);
  const std::uint64_t most = verified.kind == Kind::ask ? kAsksTold : kRefusalsTold;
  if (!denials_.single("signer " + signer, {{"signed_by", signer}}, most, now().boot_ms)) return save_or_queue();
  Fields fields = handed_in;
  fields.emplace("document", digest_text(verified.digest));
  fields.emplace("kind", kind);
  fields.emplace("why", error.message);
  journal(5, kind + " refused: " + error.message, nullptr, "refuse");
  AuditEvent event = event_of("refuse", nullptr, std::move(fields));
  Telling more{verified.digest, error.message};
  if (const AskDocument* ask = std::get_if<AskDocument>(&verified.document)) {
    more.ask = verified.digest;
    more.user = ask->user;
    more.role = ask->role;
  } else if (const GrantDocument* grant = std::get_if<GrantDocument>(&verified.document)) {
    more.user = grant->user;
    more.role = grant->role;
  } else if (const Review* review = std::get_if<Review>(&verified.document)) {
    more.grant = review->request;
  }
  // What the inbox keeps has no answer yet: it is judged another time.
  const bool answered = !handed_in.contains("by") || !another_time(error.code);
  audit_.note(answered ? tell(std::move(event), "refused", nullptr, std::move(more)) : std::move(event));
  save_or_queue();
}

bool EngineImpl::first_refusal(const Digest& digest, const std::string& why) {
  constexpr std::size_t most = 4096;
  if (refused_before_.size() >= most) refused_before_.clear();
  return refused_before_.insert(digest_text(digest) + ' ' + why).second;
}

Result<void> EngineImpl::meant_for_us(const std::vector<std::string>& hosts,
                                      const std::vector<std::string>& segments) const {
  const HostConfig& config = host_->config;
  if (std::find(hosts.begin(), hosts.end(), config.host) != hosts.end()) return {};
  for (const std::string& segment : config.segments) {
    if (std::find(segments.begin(), segments.end(), segment) != segments.end()) return {};
  }
  std::vector<std::string> named = hosts;
  for (const std::string& segment : segments) named.push_back("segment " + segment);
  return fail(Errc::refused,
              "this is for " + shown(joined(named), 512) + ", and this host is " + config.host +
                  (config.segments.empty() ? " (in no segment)" : " (in segment " + joined(config.segments) + ")"));
}

Result<void> EngineImpl::made_lately(WallTime created, bool with_ceiling) {
  const WallTime at = wall_time();
  const HostConfig& config = host_->config;
  if (created > at + config.clock_tolerance) {
    return fail(Errc::refused, "it was made at " + format_utc(created) + ", and it is " + format_utc(at) +
                                   " here: one of the clocks is wrong");
  }
  if (with_ceiling && !reading_again_ && created < at - config.absolute_ceiling) {
    return fail(Errc::refused, "it was made at " + format_utc(created) + ", more than " +
                                   format_duration(config.absolute_ceiling) + " ago; sign a new one");
  }
  return {};
}

std::vector<std::string> EngineImpl::locked_signers(const Verified& verified) {
  const TimeRange at = time_range();
  const Locks locks = locks_now();
  std::vector<std::string> locked;
  for (const Signer& signer : verified.signers) {
    const auto counts = [&](const Locks& held) {
      return !counting_persons(host_->policy, host_->trust, verified.kind, {signer}, held, {}, at, nullptr).empty();
    };
    if (counts(Locks{}) && !counts(locks)) locked.push_back(fingerprint(signer.key));
  }
  return locked;
}

std::vector<PersonRef> EngineImpl::signed_by(const Verified& verified, const std::vector<PersonRef>& excluded,
                                             std::string* why) {
  std::vector<std::string> refused = verified.ignored;
  std::vector<PersonRef> persons = counting_persons(host_->policy, host_->trust, verified.kind, verified.signers,
                                                    locks_now(), excluded, time_range(), &refused);
  if (why != nullptr) *why = refused.empty() ? "no signature counts" : joined(refused, "; ");
  return persons;
}

Result<EngineImpl::Merged> EngineImpl::merged(const Verified& verified, std::int64_t keep_until) {
  StoredDocument document{verified.digest, verified.kind, "", wall(), keep_until, locked_signers(verified)};
  Envelope known{verified.envelope.payload, {}};
  for (const std::string& blob : verified.envelope.signatures) {
    const Result<Signature> signature = parse_signature(blob);
    const bool ours = signature && std::any_of(verified.signers.begin(), verified.signers.end(),
                                               [&](const Signer& signer) { return signer.key == signature->key; });
    if (ours) known.signatures.push_back(blob);
  }
  document.text = to_text(known);
  Result<std::optional<StoredDocument>> stored = ports_.store.document(verified.digest);
  if (!stored) return tl::unexpected<Error>(stored.error());
  if (!*stored) return Merged{std::move(document), true};
  Result<Envelope> before = parse_envelope((*stored)->text);
  if (!before) return within("the database", before.error());
  // A signature that came while its signer was free stays good until the lock itself says otherwise; one that came
  // while its signer was locked never counts.
  std::vector<std::string> voided = (*stored)->void_keys;
  for (const std::string& print : document.void_keys) {
    const auto is_by = [&](const std::string& blob) {
      const Result<Signature> signature = parse_signature(blob);
      return signature && fingerprint(signature->key) == print;
    };
    if (std::none_of(before->signatures.begin(), before->signatures.end(), is_by)) voided.push_back(print);
  }
  Result<Envelope> both = merge(*before, known);
  if (!both) return tl::unexpected<Error>(both.error());
  const bool news = both->signatures.size() > before->signatures.size();
  document.text = to_text(*both);
  document.received = (*stored)->received;
  document.keep_until = std::max(document.keep_until, (*stored)->keep_until);
  document.void_keys = std::move(voided);
  return Merged{std::move(document), news};
}

EngineImpl::Fields EngineImpl::who_handed_in(const Caller* caller) const {
  if (caller == nullptr) return {{"by", "inbox"}};
  Fields fields{{"by_uid", std::to_string(caller->uid)}};
  if (caller->loginuid) fields.emplace("loginuid", std::to_string(*caller->loginuid));
  return fields;
}

}  // namespace jit
