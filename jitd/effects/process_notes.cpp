#include "jitd/effects/process_notes.hpp"

#include "jitd/sys/peer.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxFile = 64;
constexpr std::size_t kGrantId = 16;

std::string name_of(const std::string& grant, pid_t pid, std::uint32_t audit_session) {
  const std::string name = grant + "." + std::to_string(pid);
  return audit_session == 0 ? name : name + "." + std::to_string(audit_session);
}

}  // namespace

Result<void> ProcessNotes::note(const std::string& grant, pid_t pid, std::uint32_t audit_session) {
  const auto start = started_ms(pid);
  if (!start) return tl::unexpected(start.error());
  const auto dir = open_dir(dir_);
  if (!dir) return tl::unexpected(dir.error());
  return replace_file(files_, dir->get(), name_of(grant, pid, audit_session), std::to_string(*start) + "\n",
                      {0600, 0, 0}, false);
}

std::vector<NotedProcess> ProcessNotes::all() const {
  std::vector<NotedProcess> noted;
  const auto dir = open_dir(dir_);
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  if (!names) return noted;
  for (const std::string& name : *names) {
    if (name.size() <= kGrantId + 1 || name[kGrantId] != '.') continue;  // a temporary that a crash left
    const auto words = split(std::string_view(name).substr(kGrantId + 1), '.');
    const auto pid = parse_number(words[0], INT32_MAX);
    const auto session = words.size() > 1 ? parse_number(words[1], UINT32_MAX) : Result<std::uint64_t>(0);
    const auto text = read_file_at(dir->get(), name, kMaxFile);
    if (!pid || *pid == 0 || !session || words.size() > 2 || !text || !text->ends_with('\n')) continue;
    const auto start = parse_number(std::string_view(*text).substr(0, text->size() - 1));
    if (start)
      noted.push_back(
          {name.substr(0, kGrantId), static_cast<pid_t>(*pid), *start, static_cast<std::uint32_t>(*session)});
  }
  return noted;
}

void ProcessNotes::drop(const std::function<bool(const NotedProcess&)>& which) {
  const auto noted = all();
  if (noted.empty()) return;
  const auto dir = open_dir(dir_);
  for (const NotedProcess& one : noted)
    if (dir && which(one))
      (void)files_.unlinkat(dir->get(), name_of(one.grant, one.pid, one.audit_session).c_str(), 0);
}

void ProcessNotes::move(const std::function<bool(const NotedProcess&)>& which, const std::string& grant) {
  const auto dir = open_dir(dir_);
  for (const NotedProcess& one : all())
    if (dir && which(one))
      (void)files_.renameat(dir->get(), name_of(one.grant, one.pid, one.audit_session).c_str(), dir->get(),
                            name_of(grant, one.pid, one.audit_session).c_str());
}

}  // namespace jit
