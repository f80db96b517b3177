#include "jitd/sync/shown_outbox.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "jitd/sync/mailbox_lines.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxHostFile = 64 * 1024;
constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

// Another one whenever the name may stand for other bytes.
std::string stamp_of(const struct stat& status) {
  return std::to_string(status.st_ino) + "." + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec) + "." + std::to_string(status.st_size);
}

// "host NAME" in the file of that name.
Result<std::string> host_of(int folder) {
  const auto text = read_file_at(folder, "host", kMaxHostFile);
  if (!text) return tl::unexpected(text.error());
  for (const std::string_view line : split(*text, '\n')) {
    if (!line.starts_with("host ")) continue;
    const auto box = Box::from_host(std::string(line.substr(5)));
    if (!box) return tl::unexpected(box.error());
    return box->name();
  }
  return fail(Errc::invalid, "the file host names none");
}

tl::unexpected<Error> not_there() {
  return fail(Errc::not_found, "no such document");
}

}  // namespace

Result<ShownOutbox> ShownOutbox::open(const std::string& folder, Visitor visitor) {
  const auto unavailable = [](const Error& why) {
    return fail(Errc::unavailable, "this host has nothing to say yet (" + why.message + "): is jitd running?");
  };
  ShownOutbox outbox(std::move(visitor));
  auto opened = open_dir(folder);
  if (!opened) return unavailable(opened.error());
  outbox.folder_ = std::move(*opened);
  auto host = host_of(outbox.folder_.get());
  if (!host) return unavailable(host.error());
  outbox.host_ = std::move(*host);
  outbox.notify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!outbox.notify_ || ::inotify_add_watch(outbox.notify_.get(), folder.c_str(), kChanges) < 0)
    return fail_errno(errno, "inotify");
  return outbox;
}

Result<ShownOutbox::Folder> ShownOutbox::look() const {
  const auto names = list_dir(folder_.get(), kMaxMailboxItems);
  if (!names) return tl::unexpected(names.error());
  Folder now;
  for (const std::string& name : *names) {
    if (!mailbox_name(name)) continue;
    const auto file = open_regular(folder_.get(), name, O_RDONLY, name);
    struct stat status {};
    if (!file || ::fstat(file->get(), &status) != 0) continue;
    Seen seen{stamp_of(status), static_cast<std::uint64_t>(status.st_size), false};
    const auto before = seen_.find(name);
    if (before != seen_.end() && before->second.stamp == seen.stamp) {
      seen.shown = before->second.shown;
    } else if (const auto text = read_fd(file->get(), kMaxDocument, name)) {
      seen.shown = may_see(visitor_, *text);
    }
    now.emplace(name, std::move(seen));
  }
  return now;
}

Result<bool> ShownOutbox::changed() {
  // Read away before the look, so that what comes during it makes the descriptor readable again.
  std::array<char, 16384> events{};
  while (::read(notify_.get(), events.data(), events.size()) > 0) {
  }
  auto now = look();
  if (!now) return tl::unexpected(now.error());
  seen_ = std::move(*now);
  Folder shown_now = seen_;
  std::erase_if(shown_now, [](const auto& one) { return !one.second.shown; });
  return shown_now != listed_;
}

Result<std::vector<Item>> ShownOutbox::list() {
  if (const auto looked = changed(); !looked) return tl::unexpected(looked.error());
  listed_ = seen_;
  std::erase_if(listed_, [](const auto& one) { return !one.second.shown; });
  std::vector<Item> items;
  for (const auto& [name, seen] : listed_) items.push_back({name, seen.size, seen.stamp});
  return items;
}

Result<std::string> ShownOutbox::get(const std::string& name) const {
  if (!mailbox_name(name)) return not_there();
  auto text = read_file_at(folder_.get(), name, kMaxDocument);
  if (!text || !may_see(visitor_, *text)) return not_there();
  return text;
}

}  // namespace jit
