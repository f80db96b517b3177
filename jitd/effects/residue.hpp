// What a grant may have left in files: programs made setuid or setgid, or given capabilities, with what it gave. They
// would hand its rights to anybody who runs them, long after its end. A process of its own looks for them when a
// grant is over (jitd --residue, jit-residue.service): no end ever waits for it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jitd/sys/files.hpp"

namespace jit {

// What is to be looked for after one grant.
struct ResidueQuery {
  std::string grant;
  std::uint32_t user = 0;
  std::int64_t since = 0;  // wall seconds: what was changed before (ctime) is not of this grant
  std::set<uid_t> owners;  // whom its commands run as: setuid files of theirs; of root, file capabilities too
  std::set<gid_t> groups;  // that it gave, and those of whom its commands run as: setgid files
  [[nodiscard]] bool empty() const { return owners.empty() && groups.empty(); }
};

// One line a field. What is no query reads as nullopt.
[[nodiscard]] std::string to_text(const ResidueQuery& query);
[[nodiscard]] std::optional<ResidueQuery> parse_residue_query(const std::string& grant, std::string_view text);

struct ResidueFound {
  std::string grant;
  std::string path;      // as it was found; raw
  std::string what;      // "setuid root", "setgid of gid 116", "capabilities"
  std::string not_done;  // why it stands as it was; empty: it was disarmed
};

struct ResidueLimits {
  std::chrono::milliseconds time{60'000};
  std::size_t entries = 2'000'000;
  std::size_t found = 100;  // reported; what is beyond is disarmed too, and counted
};

struct ResidueReport {
  std::vector<ResidueFound> found;
  std::size_t more = 0;    // disarmed and not listed
  std::size_t looked = 0;  // entries
  std::string cut_short;   // why not everything was looked at; empty: it was
};

// Walks `places` for all of `queries` at once. Local file systems alone, none below is entered that is not; links are
// not followed; an entry that moves meanwhile is found in one place, in both, or, if it keeps moving, in none.
//
// Disarmed is: the mode bits are removed, the capabilities too, through a descriptor of that very file. Not disarmed
// is a file that has a further name below `system` (a link to the system's own sudo would take that along).
[[nodiscard]] ResidueReport find_residue(const std::vector<ResidueQuery>& queries,
                                         const std::vector<std::string>& places, const ResidueLimits& limits,
                                         const std::vector<std::string>& system = {"/usr", "/bin", "/sbin", "/opt"});

// RUN/residue, what the engine and that process tell each other: live/GRANT is written when a grant is given,
// over/GRANT it is called from its end on (a systemd.path(5) unit then starts the process), found/GRANT is what came
// of it.
class ResidueNotes {
 public:
  ResidueNotes(Files& files, std::string dir) : files_(files), dir_(std::move(dir)) {}

  [[nodiscard]] Result<void> note(const ResidueQuery& query);
  // These grants are over; those without a note had nothing to leave. How many are to be looked for now.
  std::size_t over(const std::function<bool(const std::string& grant)>& which);
  [[nodiscard]] std::vector<ResidueQuery> to_look_for() const;
  // The report, and its query is done with.
  [[nodiscard]] Result<void> report(const std::string& grant, const std::string& text);
  // Takes all reports: text by grant. They are gone then.
  [[nodiscard]] std::map<std::string, std::string> take_reports();

 private:
  [[nodiscard]] std::vector<std::string> names(const char* below) const;
  Files& files_;
  std::string dir_;
};

}  // namespace jit
