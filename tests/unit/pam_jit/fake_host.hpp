// A scripted outside for the logic: each question that may be asked is written down beforehand, and done() demands
// that all of them were, and nothing else.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "jitd/wire/check.hpp"
#include "jitd/wire/door.hpp"
#include "pam_jit/host.hpp"
#include "tests/unit/catch.hpp"

namespace jit::pam::test {

inline constexpr const char* kBoot = "01234567-89ab-cdef-0123-456789abcdef";
inline constexpr wire::Clocks kNow{1'800'000'000'000, 5'000'000};

// What jitd does with one question.
using Jitd = std::function<Reply(const wire::Frame& request, std::span<std::byte> reply)>;

inline Jitd answers(wire::Answer answer) {
  return [answer](const wire::Frame& request, std::span<std::byte> reply) {
    return Reply{wire::make_answer(reply, request.id(), answer).size(), nullptr};
  };
}
inline wire::Answer verdict(wire::Verdict value, const char* gate = "", const char* message = "") {
  wire::Answer out;
  out.verdict = value;
  wire::copy_text(out.gate, gate);
  wire::copy_text(out.message, message);
  return out;
}
inline Jitd silent() {
  return [](const wire::Frame&, std::span<std::byte>) { return Reply{0, "jitd did not answer in time"}; };
}

class FakeHost final : public Host {
 public:
  std::map<Item, std::string> items;
  std::uint32_t uid = 1000;
  std::uint64_t started = 4'000'000;
  std::string passwd = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
  std::string group = "root:x:0:\nbreakglass:x:990:carol,dave\n";
  bool accounts_readable = true;
  std::string boot = kBoot;

  // The script.
  std::deque<Jitd> jitd;       // asked so often, in this order
  bool expects_board = false;  // read at least once
  bool expects_accounts = false;
  bool expects_post = false;
  const std::string* board_bytes = nullptr;

  // At the door: what jitd says to each question, frame by frame, and what is typed at each prompt (nullopt: nobody).
  std::deque<std::deque<wire::DoorSaid>> talks;
  std::deque<std::optional<std::string>> typed;
  bool has_terminal = true;

  // What came.
  std::vector<std::string> told, logged, informed, prompted;
  std::vector<std::string> door_asked;  // frames
  bool talking = false;
  int audit_sessions = 0;
  std::vector<std::string> requests;
  unsigned timeout = 0;

  void done() const {
    CHECK(jitd.empty());
    CHECK(talks.empty());
    CHECK(typed.empty());
    CHECK_FALSE(talking);
    CHECK(board_read == expects_board);
    CHECK(accounts_read == expects_accounts);
    CHECK(posted == expects_post);
  }
  [[nodiscard]] wire::Query asked(std::size_t i = 0) const {
    REQUIRE(i < requests.size());
    const auto frame = wire::Frame::parse(std::as_bytes(std::span(requests[i])));
    REQUIRE(frame);
    const auto query = wire::read_query(*frame);
    REQUIRE(query);
    return *query;
  }

  const char* item(Item which) noexcept override {
    const auto found = items.find(which);
    return found == items.end() ? nullptr : found->second.c_str();
  }
  void tell(const char* text) noexcept override { told.emplace_back(text); }
  void inform(const char* text) noexcept override { informed.emplace_back(text); }
  std::ptrdiff_t prompt(const char* text, std::span<char> into) noexcept override {
    prompted.emplace_back(text);
    if (typed.empty()) {
      FAIL_CHECK("asked, against the script: " << text);
      return -1;
    }
    const auto answer = typed.front();
    typed.pop_front();
    if (!answer || answer->size() >= into.size()) return -1;
    std::memcpy(into.data(), answer->c_str(), answer->size() + 1);
    return static_cast<std::ptrdiff_t>(answer->size());
  }
  bool terminal() noexcept override { return has_terminal; }
  bool begin_talk(std::span<const std::byte> request) noexcept override {
    door_asked.emplace_back(reinterpret_cast<const char*>(request.data()), request.size());
    if (talks.empty()) return false;
    talking = true;
    return true;
  }
  Reply hear(std::span<std::byte> reply, unsigned timeout_ms) noexcept override {
    CHECK(talking);
    CHECK(timeout_ms <= 62'000);
    auto& talk = talks.front();
    if (talk.empty()) return {0, "jitd broke off"};
    const auto asked = wire::Frame::parse(std::as_bytes(std::span(door_asked.back())));
    const auto bytes = wire::make_door_said(reply, asked->id(), talk.front());
    talk.pop_front();
    return {bytes.size(), nullptr};
  }
  void end_talk() noexcept override {
    if (talking) talks.pop_front();
    talking = false;
  }
  [[nodiscard]] wire::DoorAsk door(std::size_t i) const {
    REQUIRE(i < door_asked.size());
    const auto frame = wire::Frame::parse(std::as_bytes(std::span(door_asked[i])));
    REQUIRE(frame);
    const auto ask = wire::read_door_ask(*frame);
    REQUIRE(ask);
    return *ask;
  }
  void log(Level, const char* text) noexcept override { logged.emplace_back(text); }
  std::uint32_t real_uid() noexcept override { return uid; }
  std::uint64_t started_ms() noexcept override { return started; }
  wire::Clocks clocks() noexcept override { return kNow; }

  std::ptrdiff_t read(AccountFile file, std::uint64_t offset, std::span<char> into) noexcept override {
    accounts_read = true;
    if (!accounts_readable) return -1;
    const std::string& text = file == AccountFile::passwd ? passwd : group;
    if (offset >= text.size()) return 0;
    return static_cast<std::ptrdiff_t>(text.copy(into.data(), std::min(into.size(), step), offset));
  }
  Reply ask(std::span<const std::byte> request, std::span<std::byte> reply, unsigned timeout_ms) noexcept override {
    requests.emplace_back(reinterpret_cast<const char*>(request.data()), request.size());
    timeout = timeout_ms;
    if (jitd.empty()) {
      FAIL_CHECK("jitd was asked, against the script");
      return {0, "unscripted"};
    }
    const Jitd next = jitd.front();
    jitd.pop_front();
    return next(*wire::Frame::parse(request), reply);
  }
  void post(std::span<const std::byte> request) noexcept override {
    requests.emplace_back(reinterpret_cast<const char*>(request.data()), request.size());
    posted = true;
  }
  const wire::BoardSource* board() noexcept override {
    board_read = true;
    if (board_bytes == nullptr) return nullptr;
    memory.emplace(std::as_bytes(std::span(*board_bytes)));
    return &*memory;
  }
  bool note_login(std::string_view grant) noexcept override {
    noted.emplace_back(grant);
    if (on_note) on_note(*this);
    return notes_work;
  }
  void take_audit_session() noexcept override { ++audit_sessions; }
  std::string_view boot_id() noexcept override { return boot; }

  bool notes_work = true;
  std::vector<std::string> noted;          // grants that let in a login
  std::function<void(FakeHost&)> on_note;  // what happens meanwhile

  std::size_t step = SIZE_MAX;  // bytes of an account file given at once
  bool accounts_read = false, board_read = false, posted = false;
  std::optional<wire::MemoryBoard> memory;
};

}  // namespace jit::pam::test
