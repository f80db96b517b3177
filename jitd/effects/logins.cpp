#include "jitd/effects/logins.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "jitd/sys/peer.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxFile = 32;
constexpr std::size_t kGrantId = 16;

std::string name_of(const std::string& grant, pid_t pid) {
  return grant + "." + std::to_string(pid);
}

}  // namespace

Result<void> Logins::note(const std::string& grant, pid_t pid) {
  const auto start = started_ms(pid);
  if (!start) return tl::unexpected(start.error());
  const auto dir = open_dir(dir_);
  if (!dir) return tl::unexpected(dir.error());
  return replace_file(files_, dir->get(), name_of(grant, pid), std::to_string(*start) + "\n", {0600, 0, 0}, false);
}

std::vector<Logins::Login> Logins::all() const {
  std::vector<Login> logins;
  const auto dir = open_dir(dir_);
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  if (!names) return logins;
  for (const std::string& name : *names) {
    if (name.size() <= kGrantId + 1 || name[kGrantId] != '.') continue;  // a temporary that a crash left
    const auto pid = parse_number(std::string_view(name).substr(kGrantId + 1), INT32_MAX);
    const auto text = read_file_at(dir->get(), name, kMaxFile);
    const auto start = text && text->ends_with('\n')
                           ? parse_number(std::string_view(*text).substr(0, text->size() - 1))
                           : fail(Errc::invalid, "");
    if (pid && *pid > 0 && start) logins.push_back({name.substr(0, kGrantId), static_cast<pid_t>(*pid), *start});
  }
  return logins;
}

void Logins::forget(pid_t pid) {
  const auto dir = open_dir(dir_);
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  if (!names) return;
  const std::string suffix = "." + std::to_string(pid);
  for (const std::string& name : *names) {
    if (name.size() == kGrantId + suffix.size() && name.ends_with(suffix))
      (void)files_.unlinkat(dir->get(), name.c_str(), 0);
  }
}

void Logins::drop(const std::function<bool(const std::string& grant)>& which) {
  const auto logins = all();
  if (logins.empty()) return;
  const auto dir = open_dir(dir_);
  for (const Login& login : logins)
    if (dir && which(login.grant)) (void)files_.unlinkat(dir->get(), name_of(login.grant, login.pid).c_str(), 0);
}

std::size_t Logins::warn(const std::string& grant) const {
  std::size_t told = 0;
  for (const Login& login : all()) {
    if (login.grant == grant && processes_.warn_login(login.pid, login.start)) ++told;
  }
  return told;
}

std::map<std::string, std::size_t> Logins::kill(const std::function<bool(const std::string& grant)>& over) {
  std::map<std::string, std::size_t> killed;
  const auto logins = all();
  if (logins.empty()) return killed;
  const auto dir = open_dir(dir_);
  for (const Login& login : logins) {
    if (!over(login.grant)) continue;
    if (const std::size_t count = processes_.kill_login(login.pid, login.start); count > 0)
      killed[login.grant] += count;
    if (dir) (void)files_.unlinkat(dir->get(), name_of(login.grant, login.pid).c_str(), 0);
  }
  return killed;
}

}  // namespace jit
