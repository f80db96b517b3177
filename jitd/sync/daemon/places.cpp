#include "jitd/sync/daemon/places.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "jitd/sys/files.hpp"
#include "jitd/sys/own_files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{64} * 1024;
constexpr std::size_t kMaxHost = std::size_t{256} * 1024;

}  // namespace

void log_to_stderr(int priority, const std::string& message) noexcept try {
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&room, 1, 0) <= 0) return;
  // systemd takes the number for the line's priority (sd-daemon(3)); a person at a terminal has no use for it.
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;  // NOLINT(concurrency-mt-unsafe): one thread
  const std::string line = (journal ? "<" + std::to_string(std::clamp(priority, 0, 7)) + ">" : "jitd-sync: ") +
                           shown(message, 2048) + "\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
} catch (...) {
  // Out of memory: the line is lost.
}

Result<std::vector<SourceSpec>> read_source_config(const SyncPlaces& places) {
  const std::string path = places.etc_jit + "/jitd.toml";
  const auto dir = open_own_dir(places.etc_jit);
  if (!dir) return tl::unexpected(dir.error());
  const auto text = read_own_file(dir->get(), "jitd.toml", kMaxConfig, path);
  if (!text && text.error().code == Errc::not_found) return std::vector<SourceSpec>{};
  if (!text) return tl::unexpected(text.error());
  return parse_sources(*text, path);
}

Result<OutboxHost> read_outbox_host(const SyncPlaces& places) {
  const auto dir = open_dir(places.outbox);
  if (!dir) return tl::unexpected(dir.error());
  const auto text = read_file_at(dir->get(), kOutboxHost, kMaxHost);
  if (!text) return within(places.outbox, text.error());
  return parse_outbox_host(*text);
}

}  // namespace jit
