// The mailbox of this host over ssh (jit-mailbox(8)), as sshd, PAM and the account files have it. Shared by `source
// ssh`, `gate` and doctor.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// sshd's effective settings for a user, as `sshd -T -C user=...` prints them: keywords in lower case, each with its
// values in order.
using SshdSettings = std::multimap<std::string, std::string>;
[[nodiscard]] Result<SshdSettings> sshd_settings(Context& context, const std::string& user);
[[nodiscard]] std::string sshd_program(const Context& context);

// The file of ours in sshd_config.d, and the packaged text that becomes it.
[[nodiscard]] std::string mailbox_drop_in(const Context& context);
[[nodiscard]] std::string mailbox_template(const Context& context);

// Whether `source ssh on` was said here.
[[nodiscard]] bool mailbox_is_on(const Context& context);

// Each keyword of a drop-in with its value, those between its two Match lines.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> drop_in_settings(std::string_view text);
// The drop-in without the lines whose keyword sshd, by its settings for anybody, does not know.
[[nodiscard]] std::string known_settings(std::string_view text, const SshdSettings& known);

// What keeps the account itself, its programs and folders from being a mailbox. Lines for people; empty: nothing.
[[nodiscard]] std::vector<std::string> account_problems(const Context& context);
// What in sshd's own configuration keeps the account out, or is not as the drop-in has it.
[[nodiscard]] std::vector<std::string> access_problems(const Context& context, const SshdSettings& settings);
[[nodiscard]] std::vector<std::string> setting_problems(std::string_view drop_in, const SshdSettings& settings);

// All that is not as it should be with a mailbox that is on; also a role that gives a group which the account is in.
[[nodiscard]] std::vector<std::string> mailbox_problems(Context& context);

// exempt= of the gate on `service`, as it is to be: with the mailbox's account where the mailbox is on and the
// service is sshd.
[[nodiscard]] std::string exempt_with_mailbox(const Context& context, const std::string& service,
                                              const std::string& exempt);
// True when sshd's lines gate the account.
[[nodiscard]] Result<bool> mailbox_is_gated(const Context& context);

inline constexpr std::string_view kMailboxAccount = "jit";

}  // namespace jit::ctl
