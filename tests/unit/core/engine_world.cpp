#include "tests/unit/core/engine_world.hpp"

#include <algorithm>
#include <utility>

#include "policy/document/envelope.hpp"
#include "policy/rules/load.hpp"
#include "tests/unit/catch.hpp"

namespace jit::test {
namespace {

constexpr const char* kPolicy = R"toml(
[defaults]
max_duration = "4h"
[people.carol]
users = ["carol", "carol-adm"]
principals = ["carol@example.org"]
[approvers]
dba-leads = ["carol", "dave"]
security = ["erin"]
revokers = ["erin"]

[roles.dba]
eligible = ["@dba", "alice", "bob", "deploy", "carol-adm", "dave"]
groups = ["postgres"]
[[roles.dba.rules]]
then = "review"
approvals = [ { by = "dba-leads", count = 1 } ]

[roles.both]
eligible = ["*"]
groups = ["postgres", "www"]
[[roles.both.rules]]
then = "review"
approvals = [ { by = "dba-leads", count = 1 }, { by = "security", count = 1 } ]

[roles.auto]
eligible = ["alice", "bob"]
groups = ["www"]
[[roles.auto.rules]]
then = "approve"

[roles.shell]
eligible = ["alice"]
opens = ["sudo"]
dangerous = true
[[roles.shell.sudo]]
as = "postgres"
commands = ["/usr/bin/psql"]
[[roles.shell.rules]]
then = "review"
approvals = [ { by = "dba-leads", count = 1 } ]

[roles.never]
eligible = ["alice"]
groups = ["backup"]
[[roles.never.rules]]
then = "deny"
message = "Call the duty manager."

[[gates]]
name = "sudo"
services = ["sudo"]
users = ["*"]
except = ["root"]
mode = "enforce"
)toml";

// The real store, with a disk that can be full and a plug that can be pulled.
class WrappedStore final : public Store {
 public:
  WrappedStore(std::unique_ptr<Store> store, World& world) : store_(std::move(store)), world_(world) {}

  Result<std::unique_ptr<Transaction>> begin() override {
    Result<std::unique_ptr<Transaction>> inner = store_->begin();
    if (!inner) return inner;
    return std::make_unique<Wrapped>(std::move(*inner), world_);
  }
  Result<void> put(const StoredDocument& one) override { return store_->put(one); }
  Result<std::optional<StoredDocument>> document(const Digest& digest) override { return store_->document(digest); }
  Result<std::vector<StoredDocument>> reviews_of(const Digest& request) override {
    return store_->reviews_of(request);
  }
  Result<void> link_review(const Digest& request, const Digest& review) override {
    return store_->link_review(request, review);
  }
  Result<void> put(const GrantRecord& one) override { return store_->put(one); }
  Result<std::vector<GrantRecord>> grants(std::int64_t since) override { return store_->grants(since); }
  Result<std::optional<GrantRecord>> grant(const Digest& digest) override { return store_->grant(digest); }
  Result<std::vector<GrantRecord>> given_by_rules(std::uint32_t uid, const std::string& role,
                                                  std::int64_t since) override {
    if (world_.silent_store) return jit::fail(Errc::system, "database disk image is malformed");
    return store_->given_by_rules(uid, role, since);
  }
  Result<void> put(const LockRecord& one) override { return store_->put(one); }
  Result<std::vector<LockRecord>> locks() override { return store_->locks(); }
  Result<void> put(const RevocationRecord& one) override { return store_->put(one); }
  Result<std::vector<RevocationRecord>> revocations() override { return store_->revocations(); }
  Result<void> set_lists(const std::vector<ListRecord>& all) override { return store_->set_lists(all); }
  Result<std::vector<ListRecord>> lists() override { return store_->lists(); }
  Result<std::vector<StoredDocument>> documents_of(Kind kind) override { return store_->documents_of(kind); }
  Result<void> drop(const Digest& document) override { return store_->drop(document); }
  Result<void> append(const ChainEntry& one) override { return store_->append(one); }
  Result<std::vector<ChainEntry>> audit(std::uint64_t from, std::size_t limit) override {
    return store_->audit(from, limit);
  }
  Result<std::optional<ChainEntry>> audit_head() override { return store_->audit_head(); }
  Result<void> link_ask(const Digest& ask, const Digest& request) override { return store_->link_ask(ask, request); }
  Result<std::optional<Digest>> request_of_ask(const Digest& ask) override { return store_->request_of_ask(ask); }
  Result<void> put(const StoredEvent& one) override { return store_->put(one); }
  Result<std::vector<StoredEvent>> events(std::uint64_t from, std::size_t limit) override {
    return store_->events(from, limit);
  }
  Result<std::optional<EventRange>> event_range() override { return store_->event_range(); }
  Result<bool> answered(const Digest& document) override { return store_->answered(document); }
  Result<void> forget_events(std::uint64_t first, std::int64_t now) override {
    return store_->forget_events(first, now);
  }
  Result<std::optional<std::string>> value(const std::string& name) override { return store_->value(name); }
  Result<void> set_value(const std::string& name, const std::string& value) override {
    return store_->set_value(name, value);
  }
  Result<void> forget(std::int64_t now, Seconds retention) override { return store_->forget(now, retention); }
  Result<std::vector<std::string>> unread_files() override { return world_.unread; }

 private:
  class Wrapped final : public Transaction {
   public:
    Wrapped(std::unique_ptr<Transaction> inner, World& world) : inner_(std::move(inner)), world_(world) {}
    Result<void> commit() override {
      if (world_.full_disk) return jit::fail(Errc::system, "database or disk is full");
      return world_.plug.through([this] { return inner_->commit(); });
    }

   private:
    std::unique_ptr<Transaction> inner_;
    World& world_;
  };
  std::unique_ptr<Store> store_;
  World& world_;
};

}  // namespace

// --- world

World::World() : policy_text(kPolicy) {
  config.host = "db1";
  config.segments = {"pci-db"};
  std::uint32_t uid = kAlice;
  for (const char* name : {"alice", "bob", "carol", "dave", "erin", "deploy", "carol-adm"}) {
    questions.accounts[name] = {name, uid++, 100, {"users"}};
  }
  questions.accounts["root"] = {"root", 0, 0, {"root"}};
  questions.accounts["frank"] = {"frank", 1010, 100, {"users", "dba"}};
  trust("carol@example.org", "carol");
  trust("dave", "dave");
  trust("erin", "erin");
  trust("alice", "alice");
  host.boot = clock.boot;
  Result<std::unique_ptr<Store>> opened = Store::open(":memory:");
  REQUIRE(opened);
  store = std::make_unique<WrappedStore>(std::move(*opened), *this);
  start();
}

World::~World() {
  stop();
}

void World::start() {
  Engine::Ports ports{clock,
                      *store,
                      host,
                      questions,
                      [this](JournalLine line) { journal.push_back(std::move(line)); },
                      [this] { ++woken; },
                      facts,
                      lost,
                      told};
  ports.take_over = [this](Kind kind, const std::vector<std::string>& documents) {
    return plug.through([&] { return take_over(kind, documents); });
  };
  ports.reload = [this] { reload_due_ = true; };
  Result<std::unique_ptr<Engine>> started = Engine::start(std::move(ports), view());
  if (!started) FAIL(started.error().message);
  engine = std::move(*started);
}

void World::reboot(std::int64_t off_ms) {
  stop();
  host.given.clear();  // the boot unit took all away
  host.board.clear();
  clock.at.wall_ms += off_ms;
  clock.at.boot_ms = 20'000;
  clock.boot[0] = static_cast<char>(clock.boot[0] + 1);
  host.boot = clock.boot;
  start();
}

void World::pass(std::int64_t seconds) {
  const std::int64_t end = clock.at.wall_ms + seconds * 1000;
  while (clock.at.wall_ms < end) {
    std::int64_t step = end - clock.at.wall_ms;
    if (const std::optional<Instant> due = engine->next_due()) {
      const std::int64_t by_wall = due->wall_ms - clock.at.wall_ms;
      const auto by_boot = due->boot_ms > clock.at.boot_ms ? due->boot_ms - clock.at.boot_ms : 0;
      step = std::min({step, std::max<std::int64_t>(by_wall, 0),
                       by_boot > INT64_MAX ? step : static_cast<std::int64_t>(by_boot)});
      step = std::max<std::int64_t>(step, 1);  // what is due and stays due (a retry) must not stop time
    }
    clock.pass(step);
    engine->tick();
  }
}

void World::trust(const std::string& principal, const std::string& name, const std::string& options) {
  const std::string text =
      principal + " " + options + (options.empty() ? "" : " ") + public_key_line(key(name).public_key()) + "\n";
  TrustFile file = parse_trust("approvers", text);
  REQUIRE(file.bad.empty());
  lines.push_back(file.lines.front());
}

void World::may_ask(const std::string& user, const std::string& name, const std::string& options) {
  const std::string text =
      user + " " + options + (options.empty() ? "" : " ") + public_key_line(key(name).public_key()) + "\n";
  TrustFile file = parse_trust("requesters", text);
  REQUIRE(file.bad.empty());
  askers.push_back(file.lines.front());
}

void World::distrust(const std::string& principal) {
  std::erase_if(lines, [&](const TrustLine& line) { return line.principal == principal; });
}

std::shared_ptr<const HostView> World::view() {
  auto made = std::make_shared<HostView>();
  made->config = config;
  made->key = &key("host");
  made->host_key = fingerprint(made->key->public_key());
  made->delivered_policy = state_of(Kind::policy);
  made->delivered_trust = state_of(Kind::trust);
  Result<Policy> policy = load_policy(policy_texts(delivered[Kind::policy]));
  if (!policy) FAIL(policy.error().message);
  made->policy = std::move(*policy);
  made->trust.owners = config.owners.keys;
  made->trust.approvers.lines = lines;
  made->trust.approvers.path = "approvers";
  made->trust.requesters.lines = askers;
  made->trust.requesters.path = "requesters";
  made->machine = machine;
  TrustFile own = parse_trust("hosts", config.host + " " + public_key_line(made->key->public_key()) + "\n");
  made->trust.hosts = own;
  return made;
}

void World::lose_database() {
  stop();
  Result<std::unique_ptr<Store>> opened = Store::open(":memory:");
  REQUIRE(opened);
  store = std::make_unique<WrappedStore>(std::move(*opened), *this);
}

void World::own(const std::vector<std::string>& owners, unsigned count) {
  config.owners.keys = {"[owners]", {}, {}};
  for (const std::string& name : owners) {
    Result<TrustLine> line = parse_trust_line(name + " " + public_key_line(key(name).public_key()));
    REQUIRE(line);
    config.owners.keys.lines.push_back(*line);
  }
  config.owners.count = count;
}

std::vector<PolicyText> World::policy_texts(const std::vector<std::string>& delivered_policy) const {
  std::vector<PolicyText> texts{{"test.toml", policy_text}};
  const auto together = put_together(delivered_policy, Kind::policy, config.owners);
  if (!together) return texts;
  for (const Delivery::File& file : together->files) texts.push_back({file.name, file.text});
  return texts;
}

DeliveredState World::state_of(Kind kind) const {
  DeliveredState state;
  const auto found = delivered.find(kind);
  if (found == delivered.end()) return state;
  state.number = number_of(found->second);
  if (auto together = put_together(found->second, kind, config.owners)) state.counts = std::move(*together);
  return state;
}

Result<void> World::take_over(Kind kind, const std::vector<std::string>& documents) {
  if (cannot_take_over) return tl::unexpected(*cannot_take_over);
  if (auto together = put_together(documents, kind, config.owners); !together)
    return tl::unexpected(together.error());
  if (kind == Kind::policy) {
    if (const auto policy = load_policy(policy_texts(documents)); !policy)
      return jit::fail(Errc::refused, policy.error().message);
  }
  delivered[kind] = documents;
  return {};
}

void World::reload() {
  do {
    reload_due_ = false;
    engine->reload(view());
  } while (reload_due_);
}

SigningKey& World::key(const std::string& name) {
  auto found = keys_.find(name);
  if (found == keys_.end()) {
    Result<SigningKey> made = SigningKey::generate();
    REQUIRE(made);
    found = keys_.emplace(name, std::move(*made)).first;
  }
  return found->second;
}

std::string World::sign(const Document& document, const std::vector<std::string>& names) {
  Envelope envelope{to_payload(document), {}};
  for (const std::string& name : names) {
    Result<std::string> signature = key(name).sign(envelope.payload, kind_namespace(kind_of(document)));
    REQUIRE(signature);
    envelope.signatures.push_back(*signature);
  }
  return to_text(envelope);
}

Review World::review_of(const std::string& id) const {
  Review review;
  review.host = config.host;
  const Result<std::vector<GrantRecord>> records = store->grants(0);
  REQUIRE(records);
  for (const GrantRecord& one : *records) {
    if (one.id == id) review.request = one.digest;
  }
  review.approve = true;
  review.created = now();
  review.expires = now() + kHour;
  review.nonce = make_nonce();
  return review;
}

std::string World::review(const std::string& id, const std::string& by, bool approve,
                          std::optional<Seconds> duration) {
  Review made = review_of(id);
  made.approve = approve;
  made.duration = duration;
  return sign(made, {by});
}

GrantDocument World::grant_of(const std::string& user, const std::string& role) const {
  GrantDocument grant;
  grant.hosts = {config.host};
  grant.user = user;
  grant.role = role;
  grant.reason = "night shift";
  grant.created = now();
  grant.duration = kHour;
  grant.activate_by = now() + kHour * 10;
  grant.nonce = make_nonce();
  return grant;
}

AskDocument World::ask_of(const std::string& user, const std::string& role) const {
  AskDocument ask;
  ask.hosts = {config.host};
  ask.user = user;
  ask.role = role;
  ask.duration = kHour;
  ask.reason = "vacuum stuck";
  ask.created = now();
  ask.expires = now() + kHour * 10;
  ask.nonce = make_nonce();
  return ask;
}

Revocation World::revocation() const {
  Revocation made;
  made.hosts = {config.host};
  made.created = now();
  made.reason = "enough";
  made.nonce = make_nonce();
  return made;
}

Lock World::lock() const {
  Lock made;
  made.hosts = {config.host};
  made.created = now();
  made.reason = "laptop lost";
  made.nonce = make_nonce();
  return made;
}

Revocation World::list(std::uint64_t number) const {
  Revocation made = revocation();
  made.number = number;
  made.next_update = made.created + kHour;
  return made;
}

PolicyDocument World::delivery(std::uint64_t number, const std::string& text, std::uint64_t part,
                               std::uint64_t parts) const {
  PolicyDocument made;
  made.hosts = {config.host};
  made.number = number;
  made.part = part;
  made.parts = parts;
  made.created = now();
  made.reason = "more roles";
  made.files = {{"50-delivered-" + std::to_string(part) + ".toml", text}};
  made.nonce = make_nonce();
  return made;
}

std::optional<Result<Outcome>> World::ask(std::uint32_t uid, const std::string& role, std::optional<Seconds> duration,
                                          const std::string& why, std::optional<std::uint32_t> loginuid) {
  return wish(uid, {role, duration, why, ""}, loginuid);
}

std::optional<Result<Outcome>> World::wish(std::uint32_t uid, const WishInput& wish,
                                           std::optional<std::uint32_t> loginuid) {
  auto answer = std::make_shared<std::optional<Result<Outcome>>>();
  engine->request({uid, loginuid, 1}, wish, [answer](Result<Outcome> outcome) { *answer = std::move(outcome); });
  return *answer;
}

Outcome World::wished(std::uint32_t uid, const WishInput& what) {
  const std::optional<Result<Outcome>> answer = wish(uid, what);
  REQUIRE(answer);
  if (!*answer) FAIL((*answer).error().message);
  return **answer;
}

std::string World::wish_refused(std::uint32_t uid, const WishInput& what) {
  const std::optional<Result<Outcome>> answer = wish(uid, what);
  REQUIRE(answer);
  return *answer ? "accepted: " + (**answer).message : answer->error().message;
}

Outcome World::asked(std::uint32_t uid, const std::string& role, std::optional<Seconds> duration,
                     const std::string& why) {
  const std::optional<Result<Outcome>> answer = ask(uid, role, duration, why);
  REQUIRE(answer);
  if (!*answer) FAIL((*answer).error().message);
  return **answer;
}

std::string World::request_refused(std::uint32_t uid, const std::string& role, std::optional<Seconds> duration) {
  const std::optional<Result<Outcome>> answer = ask(uid, role, duration);
  REQUIRE(answer);
  REQUIRE_FALSE(answer->has_value());
  return answer->error().message;
}

std::optional<Result<Outcome>> World::submit(const std::string& text) {
  auto answer = std::make_shared<std::optional<Result<Outcome>>>();
  engine->submit(nullptr, text, [answer](Result<Outcome> outcome) { *answer = std::move(outcome); });
  if (reload_due_) reload();
  return *answer;
}

Outcome World::submitted(const std::string& text) {
  const std::optional<Result<Outcome>> answer = submit(text);
  REQUIRE(answer);
  if (!*answer) FAIL((*answer).error().message);
  return **answer;
}

std::string World::refused(const std::string& text) {
  const std::optional<Result<Outcome>> answer = submit(text);
  REQUIRE(answer);
  if (*answer) return "accepted: " + (**answer).message;
  return answer->error().message;
}

Outcome World::active(std::uint32_t uid, const std::string& role) {
  const Outcome pending = asked(uid, role);
  const Outcome granted = submitted(review(pending.id, "carol"));
  INFO(granted.message);
  REQUIRE(granted.state == GrantState::active);
  return granted;
}

std::optional<GrantView> World::shown_to(std::uint32_t uid, const std::string& id) {
  std::optional<GrantView> view;
  engine->show({uid, std::nullopt, 1}, id, [&](Result<GrantView> shown) {
    if (shown) view = std::move(*shown);
  });
  return view;
}

GrantRecord World::record(const std::string& id) {
  const std::optional<GrantView> view = shown_to(0, id);
  REQUIRE(view);
  return view->record;
}

std::vector<ChainEntry> World::audit() {
  Result<std::vector<ChainEntry>> entries = store->audit(1, 100000);
  REQUIRE(entries);
  const Result<void> whole = verify_chain(*entries, Digest{}, 1);
  if (!whole) FAIL(whole.error().message);
  return std::move(*entries);
}

std::vector<ChainEntry> World::audit(const std::string& event) {
  std::vector<ChainEntry> entries = audit();
  std::erase_if(entries, [&](const ChainEntry& entry) { return entry.event != event; });
  return entries;
}

std::vector<EventDocument> World::events() {
  const std::vector<ChainEntry> chain = audit();
  Result<std::vector<StoredEvent>> stored = store->events(1, 100000);
  REQUIRE(stored);
  std::vector<EventDocument> found;
  for (const StoredEvent& one : *stored) {
    Result<Envelope> envelope = parse_envelope(one.text);
    REQUIRE(envelope);
    Result<Verified> verified = verify_document(std::move(*envelope), view()->trust, "an event");
    if (!verified) FAIL(verified.error().message);
    found.push_back(std::get<EventDocument>(verified->document));
    const EventDocument& event = found.back();
    CHECK(event.sequence == one.sequence);
    CHECK(event.document == one.document);
    if (found.size() > 1) CHECK(event.sequence == found[found.size() - 2].sequence + 1);
    REQUIRE(event.entry >= 1);
    REQUIRE(event.entry <= chain.size());
    CHECK(event.head == chain[event.entry - 1].hash);
  }
  return found;
}

std::vector<EventDocument> World::events(const std::string& what) {
  std::vector<EventDocument> found = events();
  std::erase_if(found, [&](const EventDocument& event) { return event.what != what; });
  return found;
}

std::string World::inconsistency() {
  std::map<std::string, GrantRecord> in_force, on_the_way;
  std::vector<GrantView> views;
  engine->list({0, std::nullopt, 1}, true, false,
               [&](Result<std::vector<GrantView>> got) { views = std::move(*got); });
  for (const GrantView& one : views) {
    const std::string id = entitlement_id(one.record);
    if (one.record.state == GrantState::active) in_force[id] = one.record;
    if (one.record.state == GrantState::activating) on_the_way[id] = one.record;
  }
  for (const auto& [grant, entitlement] : host.given) {
    // What is on the way has been given already, and is in force once it is proven and on the board.
    const auto& known = on_the_way.contains(grant) ? on_the_way : in_force;
    if (!known.contains(grant)) return grant + " is held, and no grant in force says so";
    if (to_text(entitlement.effects) != known.at(grant).effects) return grant + " holds something else";
    if (clock.at.wall_ms >= entitlement.ends_at() * 1000) return grant + " is held past its end by the wall clock";
    if (clock.at.boot_ms >= entitlement.ends_at_boot_ms()) return grant + " is held past its end by the boot clock";
  }
  for (const auto& [grant, one] : in_force) {
    if (!host.given.contains(grant)) return grant + " is in force and not held";
    if (!host.board.contains(grant)) return grant + " is in force and not on the board";
  }
  if (host.board.size() != in_force.size()) return "the board has more than is in force";
  return "";
}

}  // namespace jit::test
