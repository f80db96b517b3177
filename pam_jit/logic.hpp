// The decision: what each of the module's entry points returns, given everything that it is told. No calls to the
// outside but through Host; driven by scripted fakes in tests. pam_jit(8) has all of it as a table.
#pragma once

#include "pam_jit/host.hpp"
#include "pam_jit/options.hpp"

namespace jit::pam {

// pam_sm_acct_mgmt. PAM_SUCCESS: every enforced gate is open. PAM_IGNORE: none of our business, or only observed.
// PAM_PERM_DENIED: a gate is shut, or a sudo waited while its grant ended. PAM_AUTHINFO_UNAVAIL: on an enforcing
// line, nobody can say. With `silent` nothing is told to the user, but in sudo: it says PAM_SILENT to keep
// pam_lastlog quiet, and without our word its user would see "Permission denied" alone.
[[nodiscard]] int account(Host& host, const Options& options, bool silent) noexcept;

// pam_sm_open_session. As account, but every refusal is PAM_SYSTEM_ERR: sudo takes PAM_SESSION_ERR for a success.
// Asks jitd only for subjects of an enforced gate, or in sudo with a live sudo entitlement, so that it knows of the
// session.
[[nodiscard]] int open_session(Host& host, const Options& options, bool silent) noexcept;

// pam_sm_close_session. Tells jitd, without waiting. Nothing is decided: never a failure.
[[nodiscard]] int close_session(Host& host, const Options& options) noexcept;

}  // namespace jit::pam
