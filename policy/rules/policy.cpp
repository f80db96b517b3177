#include "policy/rules/policy.hpp"

#include <algorithm>

namespace jit {

std::string to_text(const Subject& subject) {
  switch (subject.kind) {
    case Subject::Kind::user:
      return subject.name;
    case Subject::Kind::group:
      return "@" + subject.name;
    case Subject::Kind::everybody:
      return "*";
  }
  return "nobody";
}

bool Gate::guards_sudo() const {
  return std::find(services.begin(), services.end(), "sudo") != services.end();
}

const Role* Policy::role(std::string_view name) const {
  const auto it = roles.find(std::string(name));
  return it == roles.end() ? nullptr : &it->second;
}

const Gate* Policy::gate(std::string_view name) const {
  const auto it = std::find_if(gates.begin(), gates.end(), [&](const Gate& gate) { return gate.name == name; });
  return it == gates.end() ? nullptr : &*it;
}

}  // namespace jit
