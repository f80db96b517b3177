// The real outside, but for PAM's own handle: files, the calling process, clocks. No heap, nothing kept between
// calls.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "jitd/wire/answer.hpp"

namespace jit::pam {

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  void take(int fd) noexcept;
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A regular file of the trusted uid that nobody else can write, for reading by pread: a file that is cut under us is
// a short read, never a signal.
class TrustedFile final : public wire::BoardSource {
 public:
  // Opens once, until it is closed; asked again it returns the first outcome. With `follow` a symbolic link is
  // followed.
  [[nodiscard]] bool open(const char* path, uid_t owner, bool follow) noexcept;
  void close() noexcept;
  bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept override;
  // Up to the size of `into`; 0 at the end, -1: failed.
  [[nodiscard]] ssize_t read_some(std::uint64_t offset, std::span<char> into) const noexcept;

 private:
  Descriptor fd_;
  bool tried_ = false;
};

// The whole of a small file of /proc; its length, 0: unreadable.
[[nodiscard]] std::size_t read_small(const char* path, std::span<char> into) noexcept;

// Boot-time clock at which this process started, from field 22 of /proc/self/stat, found behind the last ')': the
// process chooses its own name (CVE-2017-1000367). 0: unknown.
[[nodiscard]] std::uint64_t process_started_ms() noexcept;
[[nodiscard]] std::uint64_t parse_started_ms(std::string_view stat, long ticks_per_second) noexcept;

[[nodiscard]] wire::Clocks read_clocks() noexcept;

// Writes "STARTED\n" into the new file DIR/GRANT.PID, 0600 and whole when it is there: a login that this process
// opens by this grant. False: it could not be, or this is no id of a grant.
[[nodiscard]] bool write_login_note(const char* dir, std::string_view grant, std::uint32_t pid,
                                    std::uint64_t started_ms) noexcept;

// Where `marker` exists: writes the audit login uid in the file `loginuid` once more, `uid` where none is set, for
// which the kernel begins a new audit session. It refuses one that is set without CAP_AUDIT_CONTROL.
void renew_audit_session(const char* marker, const char* loginuid, std::uint32_t uid) noexcept;

}  // namespace jit::pam
