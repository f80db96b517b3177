// /etc/group and /etc/gshadow as texts: pure editing of member lists, unknown lines byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "policy/result.hpp"

namespace jit {

// One wish for the group file: `user` shall be a member of `group`, or not.
struct MembershipEdit {
  std::string group;
  std::uint32_t gid = 0;  // must still be the group's gid: a renumbered group is told, not touched (CVE-2026-6970)
  std::string user;
  bool member = true;
  bool operator==(const MembershipEdit&) const = default;
};

enum class EditResult : std::uint8_t { changed, already, no_group, other_gid, malformed };

struct GroupEdits {
  std::string group_text;           // the new /etc/group
  std::string gshadow_text;         // the new /etc/gshadow (as it came when there is none)
  std::vector<EditResult> results;  // one for each edit
  bool group_changed = false;
  bool gshadow_changed = false;
};

// Applies all edits in one pass. Only member lists change; comments, malformed lines, order, blank lines and a
// missing last newline stay. The first line of a name that can be read (four fields, a decimal gid) is the group, as
// nss_files and shadow-utils have it; a name with no such line, or one that stands behind blanks before, is
// `malformed`. gshadow lines are kept in step where the group has one: a removal cleans them even when the group
// itself did not list the user, an addition of somebody who is a member already touches nothing. Errors: a name that
// could not stand in the file.
[[nodiscard]] Result<GroupEdits> edit_groups(std::string_view group_text, std::string_view gshadow_text,
                                             const std::vector<MembershipEdit>& edits);

// Where a membership of `user` in a group that is not any more what it was may stand now: the group of that name with
// another gid, and groups of another name with that gid, as far as they list the user.
struct MovedGroup {
  std::string group;
  std::uint32_t gid = 0;
  bool operator==(const MovedGroup&) const = default;
};
[[nodiscard]] std::vector<MovedGroup> moved_groups(std::string_view group_text, std::string_view group,
                                                   std::uint32_t gid, std::string_view user);

// Whether the first readable line of `group` lists `user`.
[[nodiscard]] bool is_member(std::string_view group_text, std::string_view group, std::string_view user);

// The same for many questions about one text.
class Memberships {
 public:
  explicit Memberships(std::string_view group_text);
  [[nodiscard]] bool lists(const std::string& group, const std::string& user) const;

 private:
  std::unordered_map<std::string, std::unordered_set<std::string>> members_;
};

}  // namespace jit
