#include "jitd/effects/group_file.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kFields = 4;  // name:password:gid:members and name:password:administrators:members

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view without_blanks_before(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

// Calls visit(member, begin, end) for each element of a member list; begin and end are its place in `list`. nss_files
// takes no notice of blanks before a name.
template <class Visit>
void each_member(std::string_view list, Visit&& visit) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    visit(without_blanks_before(list.substr(begin, end - begin)), begin, end);
    begin = end + 1;
  }
}

bool lists(std::string_view list, std::string_view user) {
  bool found = false;
  each_member(list, [&](std::string_view member, std::size_t, std::size_t) { found = found || member == user; });
  return found;
}

// A member list under edit: many edits of one long list cost no more than one look at it each.
class MemberList {
 public:
  explicit MemberList(std::string_view list) {
    if (list.empty()) return;
    each_member(list, [&](std::string_view member, std::size_t begin, std::size_t end) {
      add(std::string(member), std::string(list.substr(begin, end - begin)));
    });
  }
  // Makes the list hold `user` or not; false when it did already.
  bool set(const std::string& user, bool member) {
    const auto found = places_.find(user);
    if ((found != places_.end()) == member) return false;
    if (member) {
      if (left_ == 1 && text().empty()) *this = MemberList("");  // what is left is an empty name
      add(user, user);
    } else {
      for (const std::size_t at : found->second) elements_[at].reset();
      left_ -= found->second.size();
      places_.erase(found);
    }
    return true;
  }
  [[nodiscard]] std::string text() const {
    std::string out;
    bool first = true;
    for (const auto& element : elements_) {
      if (!element) continue;
      if (!std::exchange(first, false)) out += ',';
      out += *element;
    }
    return out;
  }

 private:
  void add(const std::string& name, std::string element) {
    places_[name].push_back(elements_.size());
    elements_.emplace_back(std::move(element));
    ++left_;
  }

  std::vector<std::optional<std::string>> elements_;  // as written; nullopt: removed
  std::unordered_map<std::string, std::vector<std::size_t>> places_;
  std::size_t left_ = 0;
};

// One of the two files as lines, of which only member lists can be replaced.
class Lines {
 public:
  enum class Found { none, malformed, line };

  Lines(std::string_view text, bool third_is_number) : lines_(split(text, '\n')) {
    for (std::size_t i = 0; i < lines_.size(); ++i) index(i, third_is_number);
  }

  [[nodiscard]] Found find(std::string_view name, std::size_t& at) const {
    const auto entry = first_.find(name);
    if (entry == first_.end()) return Found::none;
    at = entry->second.line;
    return entry->second.malformed ? Found::malformed : Found::line;
  }
  [[nodiscard]] std::string_view field(std::size_t at, std::size_t number) const {
    return split(lines_[at], ':')[number];
  }

  [[nodiscard]] std::string_view members(std::size_t at) const { return field(at, kFields - 1); }
  // Makes the list hold `user` or not; false when it did already.
  bool set(std::size_t at, const std::string& user, bool member) {
    if (!edited_.try_emplace(at, members(at)).first->second.set(user, member)) return false;
    changed_ = true;
    return true;
  }

  // visit(name, line) for each group that can be read.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const auto& [name, entry] : first_)
      if (!entry.malformed) visit(name, entry.line);
  }

  [[nodiscard]] bool changed() const { return changed_; }
  [[nodiscard]] std::string text() const {
    std::string out;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (i != 0) out += '\n';
      const auto edited = edited_.find(i);
      if (edited == edited_.end()) {
        out += lines_[i];
      } else {
        out += lines_[i].substr(0, lines_[i].rfind(':') + 1);
        out += edited->second.text();
      }
    }
    return out;
  }

 private:
  struct Entry {
    std::size_t line = 0;
    bool malformed = false;
  };

  // The first line that can be read is the group: nss_files and shadow-utils skip what they cannot read. A line that
  // begins with a blank is a group to the one and none to the other, so what it names is left alone.
  void index(std::size_t at, bool third_is_number) {
    const std::string_view line = lines_[at];
    const std::string_view trimmed = without_blanks_before(line);
    const std::string_view name = trimmed.substr(0, trimmed.find(':'));
    if (name.empty() || name.front() == '#' || name.size() == trimmed.size()) return;
    const auto fields = split(line, ':');
    const bool readable =
        fields.size() == kFields && (!third_is_number || parse_number(fields[2], UINT32_MAX).has_value());
    const bool ambiguous = trimmed.size() != line.size();
    const auto [entry, fresh] = first_.try_emplace(name, Entry{at, !readable || ambiguous});
    if (fresh || !entry->second.malformed || ambiguous || !readable) return;
    if (is_blank(lines_[entry->second.line].front())) return;
    entry->second = {at, false};
  }

  std::vector<std::string_view> lines_;
  std::unordered_map<std::string_view, Entry> first_;
  std::unordered_map<std::size_t, MemberList> edited_;
  bool changed_ = false;
};

EditResult apply(const MembershipEdit& edit, Lines& group, Lines& gshadow) {
  std::size_t at = 0;
  switch (group.find(edit.group, at)) {
    case Lines::Found::none:
      return EditResult::no_group;
    case Lines::Found::malformed:
      return EditResult::malformed;
    case Lines::Found::line:
      break;
  }
  if (group.field(at, 2) != std::to_string(edit.gid)) return EditResult::other_gid;
  const bool changed = group.set(at, edit.user, edit.member);
  // A membership that was there before is somebody else's, gshadow's side of it too. A removal always cleans gshadow:
  // a crash between the two files leaves a name there alone.
  if (changed || !edit.member) {
    std::size_t shadow_at = 0;
    if (gshadow.find(edit.group, shadow_at) == Lines::Found::line) gshadow.set(shadow_at, edit.user, edit.member);
  }
  return changed ? EditResult::changed : EditResult::already;
}

}  // namespace

Result<GroupEdits> edit_groups(std::string_view group_text, std::string_view gshadow_text,
                               const std::vector<MembershipEdit>& edits) {
  for (const MembershipEdit& edit : edits) {
    if (auto ok = check_group_name(edit.group); !ok) return tl::unexpected(ok.error());
    if (auto ok = check_user_name(edit.user); !ok) return tl::unexpected(ok.error());
  }
  Lines group(group_text, true);
  Lines gshadow(gshadow_text, false);
  GroupEdits done;
  for (const MembershipEdit& edit : edits) done.results.push_back(apply(edit, group, gshadow));
  done.group_text = group.text();
  done.gshadow_text = gshadow.text();
  // Edits may cancel each other out.
  done.group_changed = group.changed() && done.group_text != group_text;
  done.gshadow_changed = gshadow.changed() && done.gshadow_text != gshadow_text;
  return done;
}

std::vector<MovedGroup> moved_groups(std::string_view group_text, std::string_view group, std::uint32_t gid,
                                     std::string_view user) {
  const Lines lines(group_text, true);
  std::vector<MovedGroup> moved;
  lines.each([&](std::string_view name, std::size_t at) {
    const auto number = parse_number(lines.field(at, 2), UINT32_MAX);
    if (!number || (name == group) == (*number == gid) || !lists(lines.members(at), user)) return;
    moved.push_back({std::string(name), static_cast<std::uint32_t>(*number)});
  });
  std::sort(moved.begin(), moved.end(), [](const auto& a, const auto& b) { return a.group < b.group; });
  return moved;
}

bool is_member(std::string_view group_text, std::string_view group, std::string_view user) {
  const Lines lines(group_text, true);
  std::size_t at = 0;
  return lines.find(group, at) == Lines::Found::line && lists(lines.members(at), user);
}

Memberships::Memberships(std::string_view group_text) {
  const Lines lines(group_text, true);
  lines.each([&](std::string_view name, std::size_t at) {
    auto& members = members_[std::string(name)];
    each_member(lines.members(at),
                [&](std::string_view member, std::size_t, std::size_t) { members.emplace(member); });
  });
}

bool Memberships::lists(const std::string& group, const std::string& user) const {
  const auto found = members_.find(group);
  return found != members_.end() && found->second.contains(user);
}

}  // namespace jit
