// Exempt logins: the way back in when jitd, its board and all approvers are gone. Judged from local files alone, as
// pam_jit does.
#pragma once

#include <string>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// "root,@rescue": the words of exempt=. Error: an empty word, or a name that no account may have.
[[nodiscard]] Result<std::vector<std::string>> parse_exempt(const std::string& text);

struct ExemptLogin {
  std::string user;
  std::string why_not;  // empty: it can log in, as far as files tell
};

// Every local account that `words` cover, each with whether it could log in: a shell that is one, and a password that
// is not locked or a file of authorized keys. `root_by_ssh` is sshd's PermitRootLogin, empty where that does not
// matter.
[[nodiscard]] Result<std::vector<ExemptLogin>> exempt_logins(const Context& context,
                                                             const std::vector<std::string>& words,
                                                             const std::string& root_by_ssh);

// sshd's effective value of a keyword (`sshd -T`), in lower case; empty when there is no sshd or it does not say.
[[nodiscard]] std::string sshd_value(Context& context, const std::string& keyword);

// Refuses unless at least one exempt account can log in.
[[nodiscard]] Result<void> need_exempt_login(Context& context, const std::string& service, const std::string& exempt);

}  // namespace jit::ctl
