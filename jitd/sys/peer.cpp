#include "jitd/sys/peer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "jitd/sys/files.hpp"
#include "jitd/sys/pidfd.hpp"
#include "policy/text.hpp"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5, asm-generic/socket.h
#endif

namespace jit {
namespace {

constexpr uid_t kUnmapped = 65534;  // the kernel's overflowuid: a uid that this user namespace has no name for
constexpr std::uint64_t kNoLoginUid = 4294967295;  // audit's "unset"

Result<ucred> credentials(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return fail_errno(errno, "peer of the socket");
  if (size != sizeof peer || peer.uid == kUnmapped || peer.uid == static_cast<uid_t>(-1))
    return fail(Errc::refused, "the socket's peer has no user here (uid " + std::to_string(peer.uid) + ")");
  return peer;
}

std::string proc_file(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

// Without SO_PEERPIDFD a pid may have been taken over by another process meanwhile: one that does not even run as the
// peer's user is certainly not it.
Result<void> check_uid(const ucred& peer) {
  auto status = read_file(proc_file(peer.pid, "status"), 64 * 1024);
  if (!status) return fail(Errc::refused, "the peer has gone");
  const auto at = status->find("\nUid:");
  if (at == std::string::npos) return fail(Errc::refused, "no Uid in " + proc_file(peer.pid, "status"));
  const auto line = std::string_view(*status).substr(at + 5, status->find('\n', at + 1) - at - 5);
  const auto ids = split(line, '\t');
  const std::string uid = std::to_string(peer.uid);
  if (std::find(ids.begin(), ids.end(), uid) == ids.end())
    return fail(Errc::refused, "the peer is another process by now");
  return {};
}

Result<UniqueFd> pidfd_of(int socket, const ucred& peer) {
  int fd = -1;
  socklen_t size = sizeof fd;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0 && fd >= 0) return UniqueFd(fd);
  if (errno != ENOPROTOOPT) return fail(Errc::refused, "the peer has gone");
  UniqueFd opened = open_pidfd(peer.pid);
  if (!opened) return fail(Errc::refused, "the peer has gone");
  if (auto same = check_uid(peer); !same) return tl::unexpected(same.error());
  return opened;
}

Result<std::optional<uid_t>> login_uid(pid_t pid) {
  auto text = read_file(proc_file(pid, "loginuid"), 32);
  if (!text) {
    // A kernel without audit has none; that the process is still there is checked afterwards, by its pidfd.
    if (text.error().errnum == ENOENT) return std::optional<uid_t>{};
    return tl::unexpected(text.error());
  }
  const auto number = parse_number(*text, kNoLoginUid);
  if (!number) return tl::unexpected(number.error());
  if (*number == kNoLoginUid) return std::optional<uid_t>{};
  return std::optional<uid_t>(static_cast<uid_t>(*number));
}

}  // namespace

Result<Peer> peer_of(int socket) {
  const auto peer = credentials(socket);
  if (!peer) return tl::unexpected(peer.error());
  if (peer->pid <= 0) return fail(Errc::refused, "the socket's peer is in another pid namespace");
  auto pidfd = pidfd_of(socket, *peer);
  if (!pidfd) return tl::unexpected(pidfd.error());
  const auto loginuid = login_uid(peer->pid);
  if (has_ended(*pidfd)) return fail(Errc::refused, "the peer has gone");
  if (!loginuid) return tl::unexpected(loginuid.error());
  return Peer{peer->pid, peer->uid, peer->gid, *loginuid, std::move(*pidfd)};
}

Result<uid_t> server_uid(int socket) {
  const auto peer = credentials(socket);
  if (!peer) return tl::unexpected(peer.error());
  return peer->uid;
}

Result<std::uint64_t> started_ms(pid_t pid, const std::string& proc) {
  const std::string path = proc + "/" + std::to_string(pid) + "/stat";
  auto text = read_file(path, 4096);
  if (!text) return tl::unexpected(text.error());
  const auto name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 2 > text->size())
    return fail(Errc::invalid, path + " is malformed");
  const auto fields = split(std::string_view(*text).substr(name_end + 2), ' ');
  constexpr std::size_t kStartTime = 22 - 3;  // proc(5): field 22, and the first one here is field 3
  if (fields.size() <= kStartTime) return fail(Errc::invalid, path + " is malformed");
  const auto ticks = parse_number(fields[kStartTime]);
  if (!ticks) return tl::unexpected(ticks.error());
  const auto per_second = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  return *ticks / per_second * 1000 + *ticks % per_second * 1000 / per_second;
}

}  // namespace jit
