#include "jitd/core/asking.hpp"

#include <set>
#include <string>
#include <utility>

namespace jit {
namespace {

constexpr std::uint64_t kGiftsKeptMs = 1000;  // `jitd --expire` takes away too, and we do not hear of it

void remove(Account& account, const Gifts& gifts) {
  const std::set<std::string> given = gifts.of(account.name, account.uid);
  std::erase_if(account.groups, [&](const std::string& group) { return given.contains(group); });
}

}  // namespace

std::shared_ptr<const Gifts> Asking::gifts() {
  const std::uint64_t now = clock_.now().boot_ms;
  if (!gifts_ || now - gifts_boot_ms_ > kGiftsKeptMs) {
    gifts_ = std::make_shared<const Gifts>(facts_.gifts());
    gifts_boot_ms_ = now;
  }
  return gifts_;
}

Questions::Answer<Account> Asking::own(Answer<Account> then) {
  return [alive = weak_from_this(), before = gifts(), then = std::move(then)](Result<Account> account) {
    const std::shared_ptr<Asking> self = alive.lock();
    if (!self) return;
    if (account) {
      remove(*account, *before);
      remove(*account, *self->gifts());
    }
    then(std::move(account));
  };
}

}  // namespace jit
