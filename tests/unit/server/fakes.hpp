// What the server's tests stand on: an engine that only remembers, a client of a SEQPACKET socket, a folder that goes
// away.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/server/control.hpp"
#include "jitd/server/dispatch.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/server/waiters.hpp"
#include "tests/unit/catch.hpp"

namespace jit::test {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "jit-server-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }

 private:
  std::string path_;
};

// Both clocks stand where the test puts them.
class FixedClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return at; }
  [[nodiscard]] const std::string& boot_id() const noexcept override { return id_; }
  Instant at{1795323600000, 5000000};

 private:
  std::string id_ = "11111111-2222-3333-4444-555555555555";
};

class FakeEngine final : public Engine {
 public:
  std::vector<std::string> calls;  // one word each
  std::vector<Caller> callers;     // of each call that has one
  std::map<std::string, GrantView> views;
  std::vector<ChainEntry> chain;
  std::vector<CheckReport> reports;
  std::string submitted;
  Result<Outcome> outcome = Outcome{"0123456789abcdef", GrantState::pending, "waiting for dba-leads (0 of 1)"};
  std::function<void(Reply<Outcome>)> on_request;  // keeps the reply for later
  std::string barred_by;
  std::vector<RoleView> own_roles;
  std::size_t rows = 1;  // of list

  void request(const Caller& caller, const WishInput& wish, Reply<Outcome> reply) override {
    called("request", caller);
    last_wish = wish;
    if (on_request) return on_request(std::move(reply));
    reply(outcome);
  }
  void submit(const Caller* caller, std::string text, Reply<Outcome> reply) override {
    calls.emplace_back("submit");
    if (caller != nullptr) callers.push_back(*caller);
    submitted = std::move(text);
    reply(outcome);
  }
  void release(const Caller& caller, const std::string& id_prefix, bool all,
               Reply<std::vector<Outcome>> reply) override {
    called("release " + id_prefix + (all ? " all" : ""), caller);
    reply(std::vector<Outcome>{{"0123456789abcdef", GrantState::ended, "released"}});
  }
  void roles(const Caller& caller, Reply<std::vector<RoleView>> reply) override {
    called("roles", caller);
    if (!own_roles.empty()) return reply(own_roles);
    RoleView role;
    role.name = "dba";
    role.commands = many_commands;
    role.opens = role_opens;
    role.eligible = role_eligible;
    reply(std::vector<RoleView>{role});
  }
  void list(const Caller& caller, bool, bool, Reply<std::vector<GrantView>> reply) override {
    called("list", caller);
    std::vector<GrantView> all(rows, view("0123456789abcdef"));
    reply(all);
  }
  void pending(const Caller& caller, Reply<std::vector<GrantView>> reply) override {
    called("pending", caller);
    reply(std::vector<GrantView>{view("0123456789abcdef")});
  }
  void elevate(const Elevation& what, Reply<Elevated> reply) override {
    calls.push_back("elevate " + std::to_string(what.uid) + " " + what.target + " " + what.opened_by);
    argv = what.argv;
    reply(elevated.map([this](const std::string& grant) { return Elevated{grant, recorded}; }));
  }
  void let_in(const std::string& grant, std::int32_t pid, Reply<std::string> reply) override {
    calls.push_back("let_in " + grant + " " + std::to_string(pid));
    reply(elevated);
  }
  void let_out(std::int32_t pid) override { calls.push_back("let_out " + std::to_string(pid)); }
  void residue_found() override {}
  std::vector<std::string> argv;          // of the last that was elevated
  std::optional<std::uint32_t> loginuid;  // of the last who came
  Result<std::string> elevated = std::string();
  bool recorded = false;
  void comer(const Comer& who, Reply<Caller> reply) override {
    calls.push_back("comer " + who.user);
    loginuid = who.loginuid;
    if (who.user == "nobody") return reply(fail(Errc::refused, "there is no such account"));
    reply(Caller{who.uid.value_or(1001), who.loginuid, 0});
  }
  std::vector<std::string> role_opens;
  bool role_eligible = false;
  void barred(const Caller& caller, Reply<std::string> reply) override {
    called("barred", caller);
    reply(barred_by);
  }
  void show(const Caller& caller, const std::string& id_prefix, Reply<GrantView> reply) override {
    called("show", caller);
    const auto it = views.find(id_prefix);
    if (it == views.end()) return reply(fail(Errc::not_found, "no such request or grant"));
    reply(it->second);
  }
  void document(const Caller& caller, const std::string&, Reply<std::string> reply) override {
    called("document", caller);
    reply(std::string("jit = 1\n"));
  }
  void lift(const Caller& caller, const std::string& user, Reply<Outcome> reply) override {
    called("lift " + user, caller);
    reply(Outcome{"", GrantState::ended, "lifted"});
  }
  void accept_clock(const Caller& caller, Reply<Outcome> reply) override {
    called("accept_clock", caller);
    reply(Outcome{"", GrantState::ended, "taken over"});
  }
  Result<std::vector<ChainEntry>> audit(std::uint64_t from, std::size_t limit) override {
    calls.emplace_back("audit");
    std::vector<ChainEntry> out;
    for (const auto& entry : chain)
      if (entry.sequence >= from && out.size() < limit) out.push_back(entry);
    return out;
  }
  void tick() override { calls.emplace_back("tick"); }
  std::optional<Instant> next_due() const override { return std::nullopt; }
  void reload(std::shared_ptr<const HostView>) override { calls.emplace_back("reload"); }
  void accounts_changed() override { calls.emplace_back("accounts"); }
  void groups_changed() override { calls.emplace_back("groups"); }
  void gates_changed() override { calls.emplace_back("gates_changed"); }
  void reconcile() override { calls.emplace_back("reconcile"); }
  void checked(const std::vector<CheckReport>& batch) override { reports = batch; }
  void outbox(bool there, std::uint64_t sequence) override {
    calls.push_back(there ? "outbox " + std::to_string(sequence) : "no outbox");
  }
  std::uint64_t news() const override { return news_now; }
  Outgoing outgoing() const override {
    ++asked_outgoing;
    Outgoing out;
    for (const auto& [digest, text] : waiting) out.waiting.push_back(digest);
    out.events = {first_event, first_event + told.size() - 1};
    return out;
  }
  Result<std::string> waiting_text(const Digest& request) override {
    if (database_fails) return fail(Errc::system, "the database does not read");
    const auto found = waiting.find(request);
    if (found == waiting.end()) return fail(Errc::not_found, "no such request");
    return found->second;
  }
  Result<std::vector<StoredEvent>> events(std::uint64_t from, std::size_t limit) override {
    std::vector<StoredEvent> some;
    for (std::uint64_t i = std::max(from, first_event); i < first_event + told.size() && some.size() < limit; ++i)
      some.push_back({i, 0, 0, std::nullopt, told[i - first_event]});
    return some;
  }
  Result<std::string> alive() override { return "alive " + std::to_string(++beats); }
  void enrolled(const Caller& caller, std::shared_ptr<const HostView>, bool new_key) override {
    called(new_key ? "enrolled new" : "enrolled", caller);
  }
  std::uint64_t news_now = 1, first_event = 1;
  std::map<Digest, std::string> waiting;
  std::vector<std::string> told;
  mutable int asked_outgoing = 0;
  int beats = 0;
  bool database_fails = false;
  Health health() const override {
    Health health;
    health.active = 1;
    health.audit_sequence = chain.empty() ? 0 : chain.back().sequence;
    return health;
  }

  static GrantView view(const std::string& id, GrantState state = GrantState::pending,
                        const std::string& why = "waiting") {
    GrantView view;
    view.record.id = id;
    view.record.user = "alice";
    view.record.uid = 1001;
    view.record.role = "dba";
    view.record.reason = "vacuum";
    view.record.state = state;
    view.record.why = why;
    view.record.created = 1795323600;
    view.host = "db1";
    return view;
  }

  WishInput last_wish;
  std::vector<std::string> many_commands;

 private:
  void called(std::string what, const Caller& caller) {
    calls.push_back(std::move(what));
    callers.push_back(caller);
  }
};

// One frame as a client reads it.
struct Got {
  wire::Verb verb{};
  std::uint32_t id = 0;
  std::multimap<wire::Tag, std::string> fields;
  [[nodiscard]] std::string text(wire::Tag tag) const {
    const auto it = fields.find(tag);
    return it == fields.end() ? "" : it->second;
  }
  [[nodiscard]] std::uint64_t number(wire::Tag tag) const {
    const auto it = fields.find(tag);
    return it == fields.end() || it->second.size() != 8 ? UINT64_MAX : wire::load_u64(it->second.data());
  }
  [[nodiscard]] wire::Status status() const { return static_cast<wire::Status>(number(wire::Tag::status)); }
};

class Client {
 public:
  explicit Client(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  using Fields = std::function<void(wire::Writer&)>;
  bool send(wire::Verb verb, const Fields& fields = nullptr, std::uint32_t id = 7) {
    std::vector<std::byte> buffer(wire::kMaxFrame);
    wire::Writer writer(buffer, verb, id);
    if (fields) fields(writer);
    const auto bytes = writer.finish();
    REQUIRE(!bytes.empty());
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  bool raw(std::string_view bytes) {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // The next frame that is there; nullopt: nothing (yet) or closed().
  std::optional<Got> next() {
    std::vector<std::byte> buffer(wire::kMaxFrame);
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno == ECONNRESET)) closed_ = true;
    if (size <= 0) return std::nullopt;
    const auto frame = wire::Frame::parse(std::span(buffer).first(static_cast<std::size_t>(size)));
    REQUIRE(frame);
    Got got{frame->verb(), frame->id(), {}};
    frame->each([&](wire::Tag tag, std::string_view value) { got.fields.emplace(tag, std::string(value)); });
    return got;
  }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  UniqueFd fd_;
  bool connected_ = false, closed_ = false;
};

// A control server with everything behind it faked, and identities as the test says.
class Bench {
 public:
  explicit Bench(ControlLimits limits = {}) {
    auto made = Loop::make();
    REQUIRE(made);
    loop = std::move(*made);
    auto view = std::make_shared<HostView>();
    view->config.host = "db1";
    view->host_key = "SHA256:abc";
    host = view;
    waiters = std::make_unique<Waiters>(*loop, clock);
    ports = std::make_unique<VerbPorts>(VerbPorts{
        engine, clock, *waiters, [this] { return host; }, [this] { return sessions; },
        [] { return std::vector<std::pair<std::string, std::string>>{}; }, [] { return std::vector<std::string>{}; },
        [this](const Caller& caller, bool new_key) -> Result<void> {
          engine.enrolled(caller, host, new_key);
          return enrolling;
        }});
    auto listener = listen_at(path(), 0666);
    REQUIRE(listener);
    server = std::make_unique<ControlServer>(
        *loop, std::move(*listener),
        [this](const Caller& caller, const wire::Frame& frame, Responder reply) {
          dispatch(*ports, caller, frame, reply);
        },
        limits,
        [this](int) -> Result<Peer> {
          if (!credentials) return fail(Errc::unavailable, "the peer is gone");
          return Peer{.pid = 4242, .uid = uid, .gid = uid, .loginuid = loginuid, .pidfd = UniqueFd()};
        });
  }
  [[nodiscard]] std::string path() const { return folder / "control.sock"; }
  void turn(int times = 8) {
    for (int i = 0; i < times; ++i) loop->turn(0);
  }
  // Turns the loop until `done` or about `ms` have passed.
  bool until(const std::function<bool()>& done, int ms = 2000) {
    for (int i = 0; i < ms; ++i) {
      if (done()) return true;
      loop->turn(1000);
    }
    return false;
  }
  // One whole reply.
  std::vector<Got> call(Client& client, wire::Verb verb, const Client::Fields& fields = nullptr) {
    std::vector<Got> all;
    if (!client.send(verb, fields)) return all;
    (void)until([&] {
      while (auto got = client.next()) {
        all.push_back(std::move(*got));
        if (all.back().verb == wire::Verb::result) return true;
      }
      return client.closed();
    });
    return all;
  }

  Folder folder;
  FixedClock clock;
  FakeEngine engine;
  std::vector<SessionSeen> sessions;
  std::shared_ptr<const HostView> host;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Waiters> waiters;
  std::unique_ptr<VerbPorts> ports;
  std::unique_ptr<ControlServer> server;
  std::uint32_t uid = 1001;
  std::optional<uid_t> loginuid;
  bool credentials = true;
  Result<void> enrolling;
};

}  // namespace jit::test
