#include "policy/names.hpp"

#include <fmt/format.h>

#include "policy/text.hpp"

namespace jit {
namespace {

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Result<void> check_account_name(std::string_view name, std::string_view what) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("{} name \"{}\" {}", what, shown(name, 80), why));
  };
  if (name.empty()) return fail(Errc::invalid, fmt::format("a {} name is empty", what));
  if (name.size() > 256) return wrong("is longer than 256 bytes");
  if (name == "." || name == "..") return wrong("is a folder, not a name");
  if (name.find_first_of("-+#") == 0) return wrong("starts with '-', '+' or '#'");
  if (name.find('\n') != std::string_view::npos) return wrong("has a line break");
  if (const auto bad = unclean(name)) return wrong(fmt::format("has {}", *bad));
  if (const std::size_t at = name.find_first_of(":,/"); at != std::string_view::npos) {
    return wrong(fmt::format("has a '{}'", name[at]));
  }
  if (name.front() == ' ' || name.back() == ' ') return wrong("has a blank at its start or end");
  return {};
}

}  // namespace

Result<void> check_user_name(std::string_view name) {
  return check_account_name(name, "user");
}

Result<void> check_group_name(std::string_view name) {
  return check_account_name(name, "group");
}

Result<void> check_policy_name(std::string_view name, std::string_view what) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("{} \"{}\" {}", what, shown(name, 80), why));
  };
  if (name.empty()) return fail(Errc::invalid, fmt::format("{} is empty", what));
  if (name.size() > 64) return wrong("is longer than 64 characters");
  if (!letter_or_digit(name.front())) return wrong("does not start with a letter or digit");
  for (const char c : name) {
    if (!letter_or_digit(c) && std::string_view("._@-").find(c) == std::string_view::npos) {
      return wrong("may have letters, digits and . _ @ - only");
    }
  }
  return {};
}

Result<void> check_host_name(std::string_view name) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("host name \"{}\" {}", shown(name, 80), why));
  };
  if (name.empty()) return fail(Errc::invalid, "a host name is empty");
  if (name.size() > 253) return wrong("is longer than 253 characters");
  if (!letter_or_digit(name.front())) return wrong("does not start with a letter or digit");
  for (const char c : name) {
    if (!letter_or_digit(c) && std::string_view("._-").find(c) == std::string_view::npos) {
      return wrong("may have letters, digits and . _ - only");
    }
  }
  return {};
}

bool usable_id(std::uint32_t id) {
  return id != UINT32_MAX && id != 65534 && id != 65535;
}

bool dynamic_id(std::uint32_t id) {
  return id >= 61184 && id <= 65519;
}

}  // namespace jit
