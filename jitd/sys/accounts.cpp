#include "jitd/sys/accounts.hpp"

#include <algorithm>

#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxAccountFile = std::size_t{64} << 20U;

// Lines with their fields, as nss_files takes them: blank lines, comments and compat entries ("+", "-") are none.
template <class Take>
void each_line(std::string_view text, Take&& take) {
  for (std::string_view line : split(text, '\n')) {
    if (line.empty() || line.front() == '#' || line.front() == '+' || line.front() == '-') continue;
    take(split(line, ':'));
  }
}

std::optional<std::uint32_t> id_of_field(std::string_view field) {
  const auto number = parse_number(field, UINT32_MAX - 1);  // (uid_t)-1 means "nobody" to the kernel
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

template <class Entry, class Match>
const Entry* first(const std::vector<Entry>& entries, Match&& match) {
  const auto found = std::find_if(entries.begin(), entries.end(), match);
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

LocalAccounts LocalAccounts::parse(std::string_view passwd, std::string_view group) {
  LocalAccounts accounts;
  each_line(passwd, [&](const std::vector<std::string_view>& fields) {
    if (fields.size() != 7 || fields[0].empty()) return;
    const auto uid = id_of_field(fields[2]);
    const auto gid = id_of_field(fields[3]);
    if (uid && gid)
      accounts.users_.push_back({std::string(fields[0]), *uid, *gid, std::string(fields[6]), std::string(fields[5])});
  });
  each_line(group, [&](const std::vector<std::string_view>& fields) {
    if (fields.size() != 4 || fields[0].empty()) return;
    const auto gid = id_of_field(fields[2]);
    if (!gid) return;
    LocalGroup entry{std::string(fields[0]), *gid, {}};
    for (std::string_view member : split(fields[3], ','))
      if (!member.empty()) entry.members.emplace_back(member);
    accounts.groups_.push_back(std::move(entry));
  });
  return accounts;
}

Result<LocalAccounts> LocalAccounts::read(const std::string& etc) {
  auto passwd = read_file(etc + "/passwd", kMaxAccountFile);
  if (!passwd) return tl::unexpected(passwd.error());
  auto group = read_file(etc + "/group", kMaxAccountFile);
  if (!group) return tl::unexpected(group.error());
  return parse(*passwd, *group);
}

const LocalUser* LocalAccounts::user(std::string_view name) const {
  return first(users_, [&](const LocalUser& entry) { return entry.name == name; });
}
const LocalUser* LocalAccounts::user(std::uint32_t uid) const {
  return first(users_, [&](const LocalUser& entry) { return entry.uid == uid; });
}
const LocalGroup* LocalAccounts::group(std::string_view name) const {
  return first(groups_, [&](const LocalGroup& entry) { return entry.name == name; });
}
const LocalGroup* LocalAccounts::group(std::uint32_t gid) const {
  return first(groups_, [&](const LocalGroup& entry) { return entry.gid == gid; });
}

std::vector<std::string> LocalAccounts::members(std::string_view name) const {
  const LocalGroup* entry = group(name);
  if (entry == nullptr) return {};
  std::vector<std::string> names = entry->members;
  for (const LocalUser& person : users_)
    if (person.gid == entry->gid) names.push_back(person.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace jit
