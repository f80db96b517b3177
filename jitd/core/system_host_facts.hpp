// HostFacts of the real host: /etc/passwd, /etc/group, sudoers, pam.d, the commands' paths, the installed sudos and
// `held`.
#pragma once

#include <string>
#include <vector>

#include "jitd/core/host.hpp"
#include "jitd/core/host_facts.hpp"
#include "jitd/sys/spawn.hpp"

namespace jit {

class SystemHostFacts final : public HostFacts {
 public:
  // `root` is the directory that command paths start at: "/" but in tests.
  SystemHostFacts(Paths paths, Spawn& spawn, std::string root = "/")
      : paths_(std::move(paths)), spawn_(spawn), root_(std::move(root)) {}

  [[nodiscard]] Result<std::uint32_t> gid_of(const std::string& group) const override;
  [[nodiscard]] Result<std::uint32_t> uid_of(const std::string& user) const override;
  [[nodiscard]] bool local_member(const std::string& user, const std::string& group) const override;
  [[nodiscard]] Result<bool> root_equivalent(const std::string& group, std::uint32_t gid) const override;
  [[nodiscard]] Result<void> check_command(const Command& command) const override;
  [[nodiscard]] Result<std::string> resolved(const Command& command) const override;
  [[nodiscard]] std::vector<std::string> exempt_groups() const override;
  [[nodiscard]] SudoStack sudo_stack() const override;
  [[nodiscard]] SudoDialect dialect() const override;
  // Name services list a gid's groups by one of its names, whichever they take: each local name of a gid that we gave
  // counts as given, but for one whose own line lists the user and is not ours. When `held` cannot be read, every
  // local group that lists the user: then no membership makes anybody eligible.
  [[nodiscard]] Gifts gifts() const override;

 private:
  Paths paths_;
  Spawn& spawn_;
  std::string root_;
};

}  // namespace jit
