// `jitd --residue`: looks for what grants that are over left in files, and disarms it (effects/residue.hpp). Started
// by jit-residue.path whenever there is something to look for; jitd need not run.
#pragma once

#include <string>
#include <vector>

#include "jitd/core/host.hpp"
#include "jitd/effects/residue.hpp"
#include "jitd/sys/accounts.hpp"

namespace jit {

// Where these grants could have left something: /tmp, /var/tmp, /dev/shm, /run/user/UID, the homes of the user and of
// whom the commands ran as, by ETC/passwd, and `more` (jitd.toml).
[[nodiscard]] std::vector<std::string> residue_places(const std::vector<ResidueQuery>& queries,
                                                      const std::string& etc, const std::vector<std::string>& more);

// A command has the primary group of whom it runs as, and can make files setgid with it.
void add_own_groups(std::vector<ResidueQuery>& queries, const std::string& etc);

// What others would run or let in by, and was changed since the grant began: crontabs, jobs of at(1), keys to log in
// with, what a login starts with, lingering and units of the user's own manager, of those whom its commands ran as.
// Not undone: whether it is the grant's doing cannot be told.
[[nodiscard]] std::vector<ResidueFound> changed_meanwhile(const ResidueQuery& query, const LocalAccounts& accounts,
                                                          const std::string& root = "");

// What of the report is of this grant, for people: one line each, escaped, the first saying how much was looked at.
[[nodiscard]] std::string residue_text(const ResidueReport& report, const std::string& grant);

// Looks until nothing is waiting. Exit status 0, or 1 when reports cannot be written.
[[nodiscard]] int residue_main(const Paths& paths);

}  // namespace jit
