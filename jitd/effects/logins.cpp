#include "jitd/effects/logins.hpp"

namespace jit {

void Logins::forget(pid_t pid) {
  notes_.drop([&](const NotedProcess& login) { return login.pid == pid; });
}

void Logins::drop(const std::function<bool(const std::string& grant)>& which) {
  notes_.drop([&](const NotedProcess& login) { return which(login.grant); });
}

std::size_t Logins::warn(const std::string& grant) const {
  std::size_t told = 0;
  for (const NotedProcess& login : notes_.all()) {
    if (login.grant == grant && processes_.warn_login(login.pid, login.start)) ++told;
  }
  return told;
}

std::map<std::string, std::size_t> Logins::kill(const std::function<bool(const std::string& grant)>& over) {
  std::map<std::string, std::size_t> killed;
  notes_.drop([&](const NotedProcess& login) {
    if (!over(login.grant)) return false;
    if (const std::size_t count = processes_.kill_login(login.pid, login.start); count > 0)
      killed[login.grant] += count;
    return true;
  });
  return killed;
}

}  // namespace jit
