// A host made of fakes around a real engine, a real database and real signatures: clocks that tests turn, an effector
// that remembers what it gave, answers that may come late, and a plug to pull at any call.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/core/host_facts.hpp"

namespace jit::test {

inline constexpr std::int64_t kStart = 1'800'000'000;  // 2027-01-15T08:00:00Z

// Thrown where the power goes out. Nothing in the engine catches it.
struct PowerLoss {};

// Counts the calls that leave the engine and cuts the power before or after one of them.
class Plug {
 public:
  void arm(std::size_t call, bool before) { call_ = call, before_ = before, calls_ = 0, armed_ = true; }
  void disarm() { armed_ = false; }
  [[nodiscard]] bool armed() const { return armed_; }
  template <class Call>
  auto through(Call call) {
    const bool now = armed_ && ++calls_ == call_;
    if (now && before_) cut();
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      if (now) cut();
    } else {
      auto result = call();
      if (now) cut();
      return result;
    }
  }

 private:
  [[noreturn]] void cut() {
    armed_ = false;
    throw PowerLoss{};
  }
  bool armed_ = false, before_ = false;
  std::size_t call_ = 0, calls_ = 0;
};

class FakeClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return at; }
  [[nodiscard]] const std::string& boot_id() const noexcept override { return boot; }
  void pass(std::int64_t ms) { at.wall_ms += ms, at.boot_ms += static_cast<std::uint64_t>(ms); }
  Instant at{kStart * 1000, 1'000'000};
  std::string boot = "11111111-1111-1111-1111-111111111111";
};

// The host: groups and drop-ins per grant, memberships of before, the board, and `ends` on disk.
class FakeEffector final : public Effector {
 public:
  explicit FakeEffector(Plug& plug) : plug_(plug) {}
  Result<void> prepare_all(const std::vector<Entitlement>& entitlements) override;
  Result<void> give_all(const std::vector<Entitlement>& entitlements) override;
  Result<void> move_ends(const std::vector<Entitlement>& entitlements) override;
  Taken take(const std::vector<EndOrder>& orders) override;
  Taken reconcile(const std::vector<Entitlement>& wanted) override;
  Result<void> publish(const std::vector<Entitlement>& wanted) override;
  Result<std::vector<EndRecord>> ends() override;
  Result<bool> elevate(const std::string& grant, bool leave, std::int32_t pid) override;
  Result<void> let_in(const std::string& grant, std::int32_t pid) override;
  void let_out(std::int32_t pid) override { logins.erase(pid); }
  std::map<std::string, std::string> residue() override { return std::exchange(found_in_files, {}); }
  Result<std::string> name_of(std::int32_t pid) override {
    if (!processes.contains(pid)) return jit::fail(Errc::not_found, "it is gone");
    return std::to_string(pid) + " 1000";
  }
  bool runs(const std::string& process) override { return processes.contains(std::stoi(process)); }
  bool same_login(std::int32_t pid, const std::string& process) override {
    return processes.contains(pid) && processes.at(pid) == std::stoi(process);
  }
  Result<void> spare_command(const Taken::HeldBack& command, bool leave) override;
  std::size_t end_command(const Taken::HeldBack& command) override { return held_back.erase(command.pid); }
  void warn(const std::vector<EndOrder>& soon) override {
    for (const EndOrder& order : soon) warned.push_back(order.grant);
  }
  void tell(std::uint32_t uid, const std::string& text) override { told.emplace_back(uid, text); }
  void settled(const std::vector<std::string>& grants) override;
  void forget(std::int64_t until) override;

  [[nodiscard]] bool member(const std::string& user, const std::string& group) const;
  [[nodiscard]] bool nothing_held() const { return given.empty() && board.empty(); }
  // A failure for the named call ("prepare", "give", "publish", "take", "reconcile", "move_ends"), so many times.
  void fail(const std::string& call, Errc code, int times) { failures[call] = {code, times}; }

  std::map<std::string, Entitlement> given;              // by grant
  std::map<std::string, Entitlement> board;              // by grant
  std::set<std::string> announced;                       // on the board, and not in force yet
  std::set<std::pair<std::string, std::string>> before;  // memberships that are not ours
  std::set<std::int32_t> recorded;                       // processes whose sudo records
  std::map<std::string, EndRecord> disk;                 // `ends`
  std::map<std::string, std::pair<Errc, int>> failures;
  std::string cannot_be_given;                  // a user
  std::map<std::int32_t, std::string> running;  // process: its grant, "left ID" where it is left alone
  std::map<std::int32_t, std::string> logins;
  std::map<std::string, std::string> open_by;         // users let in without the grant that ends: by that one, or ""
  std::map<std::int32_t, std::string> held_back;      // processes that stand still, and the grant that ended
  std::map<std::string, std::string> found_in_files;  // reports, by grant
  std::map<std::int32_t, std::int32_t> processes;  // that run, and the process of the login that each is in; 0: none
  std::vector<std::string> warned;                 // grants whose processes got SIGTERM
  std::vector<std::pair<std::uint32_t, std::string>> told;  // uid, line
  std::vector<std::string> to_note;                         // what the next take notes
  std::vector<std::string> calls;
  std::string boot;

 private:
  [[nodiscard]] Result<void> failing(const std::string& call);
  [[nodiscard]] Result<void> record_end(const Entitlement& entitlement);
  Plug& plug_;
};

class FakeQuestions final : public Questions {
 public:
  void account(std::uint32_t uid, Answer<Account> then) override;
  void account(const std::string& name, Answer<Account> then) override;
  void readback(const std::string& user, const Effects& effects, const std::string& grant_id,
                Answer<bool> then) override;
  void standing_rule(const std::string& user, Answer<bool> then) override;
  void still_allowed(const std::string& user, const std::string& as, const std::vector<std::string>& words,
                     Answer<bool> then) override;
  void answer_all();  // those that were held back, in order; new ones too

  std::map<std::string, Account> accounts;
  bool late = false;    // answers wait for answer_all()
  bool silent = false;  // name services do not answer
  Result<bool> readback_says = true;
  Result<bool> standing_says = false;
  Result<bool> still_says = false;
  std::vector<std::string> still_asked;  // "USER AS: WORDS"
  std::deque<std::function<void()>> waiting;

 private:
  void say(std::function<void()> answer);
};

class FakeFacts final : public HostFacts {
 public:
  explicit FakeFacts(const FakeEffector& host) : host_(host) {}
  Result<std::uint32_t> gid_of(const std::string& group) const override;
  Result<std::uint32_t> uid_of(const std::string& user) const override;
  bool local_member(const std::string& user, const std::string& group) const override;
  Result<bool> root_equivalent(const std::string&, std::uint32_t) const override { return false; }
  Result<void> check_command(const Command&) const override { return {}; }
  SudoStack sudo_stack() const override { return {true, true, true, ""}; }
  SudoDialect dialect() const override { return SudoDialect::classic; }
  Gifts gifts() const override;
  std::map<std::string, std::uint32_t> gids{{"postgres", 120}, {"www", 121}, {"backup", 34}};

 private:
  const FakeEffector& host_;
};

class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Start, stop (as kill -9 does), both, and a reboot.
  void start();
  void stop() { engine.reset(); }
  void restart() { stop(), start(); }
  void reboot(std::int64_t off_ms);
  // Time goes on, and the engine hears of it whenever it wants to.
  void pass(std::int64_t seconds);

  // Policy and trust as files would say; reload() hands them to the engine.
  void set_policy(const std::string& text) { policy_text = text; }
  void trust(const std::string& principal, const std::string& key, const std::string& options = "");
  void may_ask(const std::string& user, const std::string& key, const std::string& options = "");  // from elsewhere
  void distrust(const std::string& principal);
  void reload();
  [[nodiscard]] std::shared_ptr<const HostView> view();
  void lose_database();                                              // restart() is to follow
  void own(const std::vector<std::string>& owners, unsigned count);  // of [owners]; reload() is to follow

  SigningKey& key(const std::string& name);  // made when first named
  [[nodiscard]] std::string sign(const Document& document, const std::vector<std::string>& keys);
  [[nodiscard]] std::string review(const std::string& id, const std::string& by, bool approve = true,
                                   std::optional<Seconds> duration = std::nullopt);
  [[nodiscard]] Review review_of(const std::string& id) const;
  [[nodiscard]] GrantDocument grant_of(const std::string& user, const std::string& role) const;
  [[nodiscard]] AskDocument ask_of(const std::string& user, const std::string& role) const;
  [[nodiscard]] Revocation revocation() const;
  [[nodiscard]] Lock lock() const;
  [[nodiscard]] Revocation list(std::uint64_t number) const;  // that names nothing
  [[nodiscard]] PolicyDocument delivery(std::uint64_t number, const std::string& text, std::uint64_t part = 1,
                                        std::uint64_t parts = 1) const;
  [[nodiscard]] WallTime now() const { return clock.at.wall(); }

  // Calls, with the answer or nothing when it did not come.
  std::optional<Result<Outcome>> ask(std::uint32_t uid, const std::string& role,
                                     std::optional<Seconds> duration = std::nullopt, const std::string& why = "why",
                                     std::optional<std::uint32_t> loginuid = std::nullopt);
  std::optional<Result<Outcome>> wish(std::uint32_t uid, const WishInput& wish,
                                      std::optional<std::uint32_t> loginuid = std::nullopt);
  Outcome wished(std::uint32_t uid, const WishInput& what);            // that must succeed
  std::string wish_refused(std::uint32_t uid, const WishInput& what);  // that must not; why
  Outcome asked(std::uint32_t uid, const std::string& role, std::optional<Seconds> duration = std::nullopt,
                const std::string& why = "why");  // that must succeed
  std::optional<Result<Outcome>> submit(const std::string& text);
  Outcome submitted(const std::string& text);    // that must succeed
  std::string refused(const std::string& text);  // that must not; why
  std::string request_refused(std::uint32_t uid, const std::string& role,
                              std::optional<Seconds> duration = std::nullopt);
  Outcome active(std::uint32_t uid, const std::string& role);  // asked for and approved by carol
  std::optional<GrantView> shown_to(std::uint32_t uid, const std::string& id);
  [[nodiscard]] GrantRecord record(const std::string& id);
  [[nodiscard]] GrantState state(const std::string& id) { return record(id).state; }
  std::vector<ChainEntry> audit();  // fails when the chain is not whole
  [[nodiscard]] std::vector<ChainEntry> audit(const std::string& event);
  // Fails when one is not signed by this host, has a number out of its turn, or speaks of no entry of the chain.
  std::vector<EventDocument> events();
  [[nodiscard]] std::vector<EventDocument> events(const std::string& what);
  // What is on the host is what the grants in force say, and nothing is held past its end on either clock.
  [[nodiscard]] std::string inconsistency();

  Plug plug;
  FakeClock clock;
  FakeEffector host{plug};
  FakeQuestions questions;
  FakeFacts facts{host};
  bool full_disk = false;           // commits fail
  std::vector<std::string> unread;  // locks and revocations that the database does not know
  bool silent_store = false;        // the database does not say what rules gave
  std::string policy_text;
  std::vector<TrustLine> lines, askers;
  std::optional<std::uint64_t> told;  // there is an outbox at the next start, and it has told so far
  Machine machine;
  std::string lost;  // the database before this one
  HostConfig config;
  std::map<Kind, std::vector<std::string>> delivered;  // what lies in VAR/delivered, by kind
  std::optional<Error> cannot_take_over;
  std::vector<JournalLine> journal;
  int woken = 0;
  std::unique_ptr<Store> store;
  std::unique_ptr<Engine> engine;

 private:
  [[nodiscard]] Result<void> take_over(Kind kind, const std::vector<std::string>& documents);
  [[nodiscard]] std::vector<PolicyText> policy_texts(const std::vector<std::string>& delivered_policy) const;
  [[nodiscard]] DeliveredState state_of(Kind kind) const;
  bool reload_due_ = false;  // the engine wants everything read again
  std::map<std::string, SigningKey> keys_;
};

inline constexpr std::uint32_t kAlice = 1001, kBob = 1002, kCarol = 1003, kDave = 1004, kErin = 1005, kDeploy = 1006,
                               kCarolAdm = 1007;
inline constexpr Seconds kMinute{60}, kHour{3600};

}  // namespace jit::test
