// Questions that may hang, asked of child processes (`jitd --helper`) with a deadline. Each child has one question at
// a time; up to kWorkers work side by side, so that one user's hanging directory does not hold up the next. Children
// that have nothing to do end by themselves.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "jitd/core/questions.hpp"
#include "jitd/server/helper_protocol.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

class Helper final : public Questions {
 public:
  static constexpr std::size_t kWorkers = 3;
  static constexpr std::size_t kMaxQueue = 256;

  struct Config {
    std::vector<std::string> argv = {"/proc/self/exe", "--helper"};
    std::uint64_t deadline_usec = 5'000'000;  // of one question once a child has it; readback asks several sudos:
    std::uint64_t readback_usec = 15'000'000;
    std::uint64_t still_allowed_usec = 500'000;    // who it is about stands still meanwhile
    std::function<void(const std::string&)> warn;  // a child hung, crashed or talked nonsense
  };

  Helper(Loop& loop, Config config);
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper() override;  // unanswered questions are dropped, children killed

  void account(std::uint32_t uid, Answer<Account> then) override;
  void account(const std::string& name, Answer<Account> then) override;
  void readback(const std::string& user, const Effects& effects, const std::string& grant_id,
                Answer<bool> then) override;
  void standing_rule(const std::string& user, Answer<bool> then) override;
  void still_allowed(const std::string& user, const std::string& as, const std::vector<std::string>& words,
                     Answer<bool> then) override;

  [[nodiscard]] std::size_t workers() const { return workers_.size(); }
  [[nodiscard]] std::uint64_t restarts() const { return restarts_; }

 private:
  struct Question {
    HelperMessage message;
    std::function<void(Result<std::vector<std::string>>)> then;
    std::uint64_t deadline_usec = 0;
    unsigned attempts = 0;
  };
  struct Worker {
    pid_t pid = -1;
    UniqueFd socket, pidfd;
    Source reading, exited;
    std::unique_ptr<Question> question;
    std::uint64_t until = 0;
  };

  void ask(Ask kind, std::vector<std::string> texts, std::uint64_t deadline_usec,
           std::function<void(Result<std::vector<std::string>>)> then);
  void hand_out();
  [[nodiscard]] Result<Worker*> spawn();
  void on_readable(Worker* worker);
  // The child is of no use any more: killed, its question asked again once (or failed when `hung`).
  void lose(Worker* worker, const std::string& why, bool hung);
  void bury(std::unique_ptr<Worker> worker);
  void answer(std::unique_ptr<Question> question, Result<std::vector<std::string>> result);
  void time_is_up();
  void arm();

  Loop& loop_;
  Config config_;
  std::deque<std::unique_ptr<Question>> queue_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::list<std::unique_ptr<Worker>> dying_;  // killed, not reaped yet
  std::uint32_t next_id_ = 1;
  std::uint64_t restarts_ = 0;
  Source deadline_;
  Source handing_out_;
};

}  // namespace jit
