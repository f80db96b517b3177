#include "jitctl/exempt.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "jitd/sys/accounts.hpp"
#include "jitd/sys/files.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxAccountFile = 64 * 1024 * 1024;

// The home directory and the encrypted password field of a local account.
struct Details {
  std::string home;
  std::string password;
};

std::string field_of(std::string_view file, std::string_view user, std::size_t field) {
  for (const auto line : split(file, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() > field && fields[0] == user) return std::string(fields[field]);
  }
  return {};
}

bool locked_password(const std::string& password) {
  return password.empty() || password.front() == '!' || password.front() == '*';
}

bool has_authorized_keys(const std::string& home) {
  struct stat status {};
  const auto file = home + "/.ssh/authorized_keys";
  return !home.empty() && ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
}

std::string judge(const LocalUser& user, const Details& details, const std::string& root_by_ssh) {
  if (user.shell.ends_with("/nologin") || user.shell.ends_with("/false")) return "its shell is " + user.shell;
  if (!user.shell.empty() && ::access(user.shell.c_str(), X_OK) != 0) return user.shell + " cannot be run";
  const bool password = !locked_password(details.password);
  const bool keys = has_authorized_keys(details.home);
  if (user.uid == 0 && root_by_ssh == "no") return "sshd says PermitRootLogin no";
  if (user.uid == 0 && !root_by_ssh.empty() && root_by_ssh != "yes") {
    return keys ? "" : "sshd takes root with a key only, and it has no authorized_keys";
  }
  return password || keys ? "" : "its password is locked and it has no authorized_keys";
}

}  // namespace

Result<std::vector<std::string>> parse_exempt(const std::string& text) {
  std::vector<std::string> words;
  for (const auto word : split(text, ',')) {
    const bool group = word.starts_with('@');
    const auto name = group ? word.substr(1) : word;
    if (auto good = group ? check_group_name(name) : check_user_name(name); !good) {
      return within(fmt::format("exempt={}", shown(text)), good.error());
    }
    if (name.find(' ') != std::string_view::npos || name.find(']') != std::string_view::npos) {
      return fail(Errc::invalid, fmt::format("exempt={}: {} cannot stand on a PAM line", shown(text), shown(name)));
    }
    words.emplace_back(word);
  }
  return words;
}

Result<std::vector<ExemptLogin>> exempt_logins(const Context& context, const std::vector<std::string>& words,
                                               const std::string& root_by_ssh) {
  const auto& etc = context.places.etc;
  const auto accounts = LocalAccounts::read(etc);
  if (!accounts) return tl::unexpected(accounts.error());
  const auto passwd = read_file(etc + "/passwd", kMaxAccountFile);
  if (!passwd) return tl::unexpected(passwd.error());
  const auto shadow = read_file(etc + "/shadow", kMaxAccountFile);
  std::vector<ExemptLogin> logins;
  const auto add = [&](const std::string& name) {
    const auto* user = accounts->user(name);
    if (user == nullptr) {
      logins.push_back({name, fmt::format("no such account in {}/passwd", etc)});
      return;
    }
    auto password = field_of(*passwd, name, 1);
    if (password == "x") password = shadow ? field_of(*shadow, name, 1) : "";
    logins.push_back({name, judge(*user, {field_of(*passwd, name, 5), password}, root_by_ssh)});
  };
  for (const auto& word : words) {
    if (!word.starts_with('@')) {
      add(word);
      continue;
    }
    const auto group = word.substr(1);
    if (accounts->group(group) == nullptr) {
      logins.push_back({word, fmt::format("no such group in {}/group", etc)});
      continue;
    }
    const auto members = accounts->members(group);
    if (members.empty()) logins.push_back({word, "the group has no member"});
    for (const auto& member : members) add(member);
  }
  return logins;
}

std::string sshd_value(Context& context, const std::string& keyword) {
  SpawnRequest request;
  request.argv = {context.places.usr + "/sbin/sshd", "-T"};
  if (::access(request.argv[0].c_str(), X_OK) != 0) return {};
  const auto outcome = context.spawn.run(request);
  if (!outcome || outcome->exit_status != 0) return {};
  for (const auto line : split(outcome->out, '\n')) {
    const auto blank = line.find(' ');
    if (blank != std::string_view::npos && line.substr(0, blank) == keyword)
      return std::string(line.substr(blank + 1));
  }
  return {};
}

Result<void> need_exempt_login(Context& context, const std::string& service, const std::string& exempt) {
  const auto words = parse_exempt(exempt);
  if (!words) return tl::unexpected(words.error());
  const auto logins = exempt_logins(context, *words, service == "sshd" ? sshd_value(context, "permitrootlogin") : "");
  if (!logins) return tl::unexpected(logins.error());
  std::vector<std::string> why;
  for (const auto& login : *logins) {
    if (login.why_not.empty()) return {};
    why.push_back(fmt::format("{}: {}", login.user, login.why_not));
  }
  return fail(Errc::refused,
              fmt::format("no exempt account could log in when nothing else works ({}); make a rescue account "
                          "and name it with --exempt NAME",
                          joined(why, ", ")));
}

}  // namespace jit::ctl
