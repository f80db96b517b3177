// A wish that a user signed on another machine, and that came in as a document. It becomes a request of this host, on
// the way of any other wish (request.cpp); what is here is what makes a document of it: whose it is, for whom, when
// it was made, and that it makes one request and never a second.
#include "jitd/core/engine_impl.hpp"
#include "policy/names.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {

void EngineImpl::on_ask(const Verified& verified, const AskDocument& ask, const Reply<Outcome>& refused,
                        const Reply<Outcome>& reply) {
  const auto refuse = [&](std::string why) { refused(fail(Errc::refused, std::move(why))); };
  const HostConfig& config = host_->config;
  if (Result<void> ours = meant_for_us(ask.hosts, ask.segments); !ours) {
    return refused(tl::unexpected<Error>(ours.error()));
  }
  if (const auto before = answered_before(verified.digest)) return reply(*before);
  if (Result<void> fine = made_lately(ask.created, true); !fine) return refused(tl::unexpected<Error>(fine.error()));
  if (ask.expires > ask.created + config.absolute_ceiling) {
    return refuse("it reaches further than " + format_duration(config.absolute_ceiling) + " from when it was made");
  }
  // By the later of clock and mark: what was forgotten as expired does not come back with a clock that was set back.
  if (ask.expires <= time_range().latest) return refuse("it expired at " + format_utc(ask.expires));
  if (ask.created.time_since_epoch().count() <= memory_since_ + config.clock_tolerance.count()) {
    return refuse("this host has lost its database at " + format_utc(WallTime(Seconds(memory_since_))) +
                  " and does not know what became of asks signed before that; sign a new one" +
                  (wall() <= memory_since_ + config.clock_tolerance.count()
                       ? " in " + format_duration(config.clock_tolerance)
                       : ""));
  }
  std::string why;
  AskBehind behind{{}, signed_by(verified, {}, &why)};
  if (behind.signers.empty()) return refuse("this ask does not count: " + why);
  if (!host_->machine.unknown.empty()) return reply(fail(Errc::unavailable, host_->machine.unknown));

  const std::int64_t keep = ask.expires.time_since_epoch().count() + config.clock_tolerance.count();
  behind.document = {verified.digest, Kind::ask, to_text(verified.envelope), wall(), keep, {}};
  WishInput wish{ask.role, ask.duration, ask.reason, ask.ticket, ask.start, {}, "ask"};
  ports_.questions.account(
      ask.user, later<Account>([this, user = ask.user, wish = std::move(wish), behind = std::move(behind), refused,
                                reply](Result<Account> account) {
        const std::string whose = "user " + shown(user, 256) + ": ";
        if (!account) {
          const bool absent = account.error().code == Errc::not_found;
          const Error error{absent ? Errc::refused : account.error().code, whose + account.error().message, 0};
          return absent ? refused(tl::unexpected<Error>(error)) : reply(tl::unexpected<Error>(error));
        }
        // Some name services answer to another spelling.
        if (account->name != user)
          return refused(fail(Errc::refused, whose + "the account is called otherwise here"));
        if (Result<void> fine = may_be_granted(account->uid); !fine)
          return refused(fail(Errc::refused, whose + fine.error().message));
        if (const auto before = answered_before(behind.document.digest)) return reply(*before);  // meanwhile
        if (Result<void> fine = asked_within_rate(account->uid, behind.document.digest); !fine)
          return refused(fail(Errc::refused, fine.error().message));
        request_by({std::move(*account), std::nullopt, behind}, wish, reply);
      }));
}

// Each ask counts once for its user: whoever has a copy could hand in one that is refused again and again, and use up
// what its user may ask.
Result<void> EngineImpl::asked_within_rate(std::uint32_t uid, const Digest& ask) {
  constexpr std::size_t most = 4096;
  if (asks_counted_.contains(ask)) return {};
  if (Result<void> fine = within_rate(uid); !fine) return fine;
  if (asks_counted_.size() >= most) asks_counted_.clear();
  asks_counted_.insert(ask);
  return {};
}

std::optional<Result<Outcome>> EngineImpl::answered_before(const Digest& ask) {
  const Result<std::optional<Digest>> request = ports_.store.request_of_ask(ask);
  if (!request) return tl::unexpected<Error>(request.error());
  if (!*request) return std::nullopt;
  if (const auto life = lives_.find(**request); life != lives_.end()) return outcome_of(*life->second);
  const Result<std::optional<GrantRecord>> record = ports_.store.grant(**request);
  if (!record) return tl::unexpected<Error>(record.error());
  if (*record) return Outcome{(*record)->id, (*record)->state, (*record)->why};
  return Outcome{id_of(**request), GrantState::ended, "what this ask was for is over"};
}

void EngineImpl::keep_ask(const AskBehind& ask, const Digest& request, std::vector<Write>& writes) const {
  writes.emplace_back([document = ask.document](Store& store) { return store.put(document); });
  writes.emplace_back(
      [digest = ask.document.digest, request](Store& store) { return store.link_ask(digest, request); });
}

Result<void> EngineImpl::answer_ask(const AskBehind& ask, const Life& life) {
  std::vector<Write> writes;
  keep_ask(ask, life.record.digest, writes);
  const Digest& digest = ask.document.digest;
  AuditEvent event = event_of("ask", &life, {{"ask", digest_text(digest)}, {"signed_by", names_of(ask.signers)}});
  Telling more = as_it_stands(life.record);
  more.document = more.ask = digest;
  return save_or_drop(std::move(writes),
                      {tell(std::move(event), word_of(life.record.state), &life, std::move(more))});
}

bool EngineImpl::told_again(const AskBehind& ask, const Error& error) {
  // What could not be judged now is handed in again, and no answer yet.
  return !another_time(error.code) && first_refusal(ask.document.digest, error.message);
}

AuditEvent EngineImpl::refused_ask(AuditEvent event, const AskBehind& ask, const WishInput& wish,
                                   const std::string& why) {
  const Digest& digest = ask.document.digest;
  event.fields.emplace("ask", digest_text(digest));
  event.fields.emplace("signed_by", names_of(ask.signers));
  Telling more{digest, why};
  more.ask = digest;
  more.user = event.fields["user"];
  more.role = wish.role;
  return tell(std::move(event), "refused", nullptr, std::move(more));
}

}  // namespace jit
