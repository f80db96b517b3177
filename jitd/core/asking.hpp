// The engine's questions. What comes back of an account is without the memberships that we gave: they make nobody
// eligible.
#pragma once

#include <cstdint>
#include <memory>

#include "jitd/core/host_facts.hpp"
#include "jitd/core/questions.hpp"
#include "jitd/sys/clock.hpp"

namespace jit {

class Asking final : public Questions, public std::enable_shared_from_this<Asking> {
 public:
  Asking(Questions& questions, const HostFacts& facts, const Clock& clock)
      : questions_(questions), facts_(facts), clock_(clock) {}

  // An answer tells of some moment between the question and now: what was ours at either is left out.
  void account(std::uint32_t uid, Answer<Account> then) override { questions_.account(uid, own(std::move(then))); }
  void account(const std::string& name, Answer<Account> then) override {
    questions_.account(name, own(std::move(then)));
  }
  void readback(const std::string& user, const Effects& effects, const std::string& grant_id,
                Answer<bool> then) override {
    questions_.readback(user, effects, grant_id, std::move(then));
  }
  void standing_rule(const std::string& user, Answer<bool> then) override {
    questions_.standing_rule(user, std::move(then));
  }
  void still_allowed(const std::string& user, const std::string& as, const std::vector<std::string>& words,
                     Answer<bool> then) override {
    questions_.still_allowed(user, as, words, std::move(then));
  }

  // Something was given or taken: what `held` said before is not so any more.
  void gifts_changed() { gifts_.reset(); }

 private:
  [[nodiscard]] Answer<Account> own(Answer<Account> then);
  [[nodiscard]] std::shared_ptr<const Gifts> gifts();

  Questions& questions_;
  const HostFacts& facts_;
  const Clock& clock_;
  std::shared_ptr<const Gifts> gifts_;  // as read at:
  std::uint64_t gifts_boot_ms_ = 0;
};

}  // namespace jit
