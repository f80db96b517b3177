// What the logic asks of the outside: PAM and its application, the calling process, the account files, jitd and its
// board. One interface, so that tests can play all of it. The real one is in system.hpp and glue.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "jitd/wire/answer.hpp"

namespace jit::pam {

enum class Item : std::uint8_t { service, user, ruser, tty, rhost };
enum class Level : std::uint8_t { error, warning, notice };
enum class AccountFile : std::uint8_t { passwd, group };

// What came of asking jitd.
struct Reply {
  std::size_t size = 0;           // bytes of the reply; 0: there is none
  const char* failure = nullptr;  // then: why, for the log
};

class Host {
 public:
  // A PAM item; nullptr: not set.
  virtual const char* item(Item which) noexcept = 0;
  // A message to the user; a line to the log. Neither is ever a format.
  virtual void tell(const char* text) noexcept = 0;
  virtual void log(Level level, const char* text) noexcept = 0;
  // A message that is no refusal.
  virtual void inform(const char* text) noexcept = 0;
  // A question, its answer shown as it is typed: the length of what was typed, NUL-terminated in `into`. -1: nobody
  // answers here, or what came does not fit.
  virtual std::ptrdiff_t prompt(const char* text, std::span<char> into) noexcept = 0;
  // Whether standard input is a terminal: login and su read their answers from it.
  virtual bool terminal() noexcept = 0;

  virtual std::uint32_t real_uid() noexcept = 0;
  virtual std::uint64_t started_ms() noexcept = 0;  // boot-time clock at which this process started; 0: unknown
  virtual wire::Clocks clocks() noexcept = 0;

  // Bytes of /etc/passwd or /etc/group themselves (no name service) from `offset` on: how many; 0 at the end; -1:
  // unreadable.
  virtual std::ptrdiff_t read(AccountFile file, std::uint64_t offset, std::span<char> into) noexcept = 0;

  // One question and its answer within the deadline, from a jitd that is root's. `post` does not wait for an answer.
  virtual Reply ask(std::span<const std::byte> request, std::span<std::byte> reply, unsigned timeout_ms) noexcept = 0;
  virtual void post(std::span<const std::byte> request) noexcept = 0;
  // One question with several answers, from a jitd that is root's: begins, gives the next of them, ends. One at a
  // time.
  virtual bool begin_talk(std::span<const std::byte> request) noexcept = 0;
  virtual Reply hear(std::span<std::byte> reply, unsigned timeout_ms) noexcept = 0;
  virtual void end_talk() noexcept = 0;

  // The board as it stands now, nullptr: none to read; and the id of this boot, empty: unknown.
  virtual const wire::BoardSource* board() noexcept = 0;
  // Writes down that this grant lets in what this process opens, where whoever ends the grant finds it: what jitd
  // does itself when it answers (effects/logins.hpp). False: it cannot be.
  virtual bool note_login(std::string_view grant) noexcept = 0;
  // Gives this process, and all that it starts, an audit session (pam_loginuid(8)) of its own, where jitd finds by it
  // what it cannot put into a cgroup (effects/noted_commands.hpp); elsewhere, and where the kernel refuses, nothing.
  virtual void take_audit_session() noexcept = 0;
  virtual std::string_view boot_id() noexcept = 0;

 protected:
  ~Host() = default;
};

}  // namespace jit::pam
