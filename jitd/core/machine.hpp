// What tells this machine from a copy of it. A host's key lies on its disk, and a disk can be copied: then two hosts
// have one key, and what approvers sign for one of them would count on both. So what the key was made on is noted
// beside it, in VAR/machine, and a start on another machine gives nothing new until root says which of the two it is
// (`jitctl enrol --keep-key` or `--new-key`).
//
// Two things are looked at: /etc/machine-id, which whoever clones a host is to make anew (machine-id(5)), and the
// UUID of the board (DMI), which a disk cannot take along. Each may be absent: not readable, not set, or, for the
// board, in a container, which can be moved to another one and be the same. What is absent now or was then says
// nothing; what was absent and is there now is noted. So a boot on which one of them cannot be read is no copy.
#pragma once

#include <optional>
#include <string>

#include "policy/digest.hpp"
#include "policy/result.hpp"

namespace jit {

// Where they are read; only tests say otherwise.
struct MachineSources {
  std::string id = "/etc/machine-id";
  std::string board = "/sys/class/dmi/id/product_uuid";
  // One of these is there: this is a container.
  std::string container[3] = {"/run/systemd/container", "/run/.containerenv", "/.dockerenv"};
};

// As they are now, hashed under a label of ours: neither is for others to know.
struct MachineFacts {
  std::optional<Digest> id, board;
  bool operator==(const MachineFacts&) const = default;
};
[[nodiscard]] MachineFacts read_machine(const MachineSources& sources = {});

// This machine, as every event says it.
struct Machine {
  Digest digest;        // of what was noted when the key was made; of what is here when that is another machine
  std::string unknown;  // why nothing new is given here, and what to do; empty: it is the machine of its key
};

// What VAR/machine says, held against `facts` and the fingerprint of the host key. None there (the first start, or a
// release before this file): it is written, and this is the machine. Errors of writing: it is the machine all the
// same, and is noted at a later start; `warning` says so.
[[nodiscard]] Machine known_machine(const std::string& var, const MachineFacts& facts, const std::string& host_key,
                                    std::string& warning);

// Notes this machine as that of the key, whatever was there.
[[nodiscard]] Result<Machine> enrol_machine(const std::string& var, const MachineFacts& facts,
                                            const std::string& host_key);

}  // namespace jit
