// group and gshadow files with anything in them: adding somebody and taking them away again gives the same bytes, and
// no line but the group's changes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "jitd/effects/group_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The part behind the first NUL, if any, is the gshadow.
  const auto cut = text.find('\0');
  const auto group = text.substr(0, cut);
  const auto gshadow = cut == std::string_view::npos ? std::string_view{} : text.substr(cut + 1);
  const std::vector<jit::MembershipEdit> add = {{"dba", 100, "jit", true}};
  const std::vector<jit::MembershipEdit> remove = {{"dba", 100, "jit", false}};
  const bool before = jit::is_member(group, "dba", "jit");
  const auto with = jit::edit_groups(group, gshadow, add);
  if (!with) std::abort();
  if (with->results[0] == jit::EditResult::changed) {
    if (before || !jit::is_member(with->group_text, "dba", "jit")) std::abort();
    const auto without = jit::edit_groups(with->group_text, with->gshadow_text, remove);
    if (!without || without->group_text != group) std::abort();
    if (with->gshadow_changed && without->gshadow_text != gshadow) std::abort();
  } else if (with->group_text != group || with->gshadow_text != gshadow) {
    std::abort();
  }
  const auto gone = jit::edit_groups(group, gshadow, remove);
  if (!gone) std::abort();
  const bool ours = gone->results[0] == jit::EditResult::changed || gone->results[0] == jit::EditResult::already;
  if (ours && (gone->results[0] == jit::EditResult::changed) != before) std::abort();
  if (ours ? jit::is_member(gone->group_text, "dba", "jit") : gone->group_text != group) std::abort();
  return 0;
}
