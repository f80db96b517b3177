// Questions whose answer may hang: name services and sudo itself. They are asked of the helper process with a
// deadline, never by the loop, and answered later by a callback on the loop (server/helper.hpp; fakes answer at
// once).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jitd/sys/accounts.hpp"
#include "policy/document/effects.hpp"
#include "policy/result.hpp"

namespace jit {

class Questions {
 public:
  template <class T>
  using Answer = std::function<void(Result<T>)>;
  virtual ~Questions() = default;

  // getpwuid / getpwnam and getgrouplist. Errc::not_found: no such account; Errc::unavailable: no answer in time.
  virtual void account(std::uint32_t uid, Answer<Account> then) = 0;
  virtual void account(const std::string& name, Answer<Account> then) = 0;
  // Is what stands in the drop-in what sudo gives? (effects/dropins.hpp, readback)
  virtual void readback(const std::string& user, const Effects& effects, const std::string& grant_id,
                        Answer<bool> then) = 0;
  // Has the user sudo rules besides ours? (opens = ["sudo"])
  virtual void standing_rule(const std::string& user, Answer<bool> then) = 0;
  // Would sudo run this for the user now, in the same way? (effects/still_allowed.hpp) Answered within half a second.
  virtual void still_allowed(const std::string& user, const std::string& as, const std::vector<std::string>& words,
                             Answer<bool> then) = 0;
};

}  // namespace jit
