// The module's arguments, as they stand on the PAM line. pam_jit(8) has them; what is not understood is logged and
// falls to the safe side: a mode that is none enforces, a line without services= is for every service that the module
// knows.
#pragma once

#include <span>
#include <string_view>

namespace jit::pam {

struct Options {
  std::span<const char* const> arguments;  // as PAM gave them; they outlive the call
  bool enforce = false;
  bool has_services = false;
  bool has_exempt = false;
  bool request = false;  // who is refused for want of a grant is asked whether to ask for one
  unsigned timeout_ms = 500;
  const char* mistake = nullptr;  // the first argument that was not understood

  // Whether services= lists it. Arguments of the same name add up.
  [[nodiscard]] bool lists_service(std::string_view service) const noexcept;
  // Whether exempt= lists the user by name, or the group as @name.
  [[nodiscard]] bool exempts_user(std::string_view user) const noexcept;
  [[nodiscard]] bool exempts_group(std::string_view group) const noexcept;
  [[nodiscard]] bool exempts_groups() const noexcept;  // any
};

inline constexpr unsigned kMinTimeoutMs = 50;
inline constexpr unsigned kMaxTimeoutMs = 5000;

[[nodiscard]] Options parse_options(std::span<const char* const> arguments) noexcept;

}  // namespace jit::pam
