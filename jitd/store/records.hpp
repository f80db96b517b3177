// `held` and `ends`: what must be known without a database, by boot cleanup, `--expire`, recovery and package
// removal. Preallocated files of 1 KiB text records, changed in place, fsynced before the effect. docs/PROTOCOL.md
// has the format:
//
//   held   1 GRANT GROUP GID USER UID STATE CRC32C         STATE + (we put it there) or - (taken away again)
//   ends   1 GRANT DIGEST NOT_AFTER BOOT_ID BOOTTIME_MS STATE CRC32C      STATE active or ended:REASON
//
// Decimal numbers (the CRC too; it covers all before the space in front of it), words escaped as in `effects`, padded
// with spaces, LF last. A free record is all spaces and LF. A record whose CRC is bad but whose fields can still be
// read counts as ended (ends) or as held (held): both are the safe side. One that cannot be read at all was torn
// while it was first written, before its effect: nothing hangs on it. No free record: no activation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jitd/sys/files.hpp"
#include "policy/result.hpp"

namespace jit {

inline constexpr std::size_t kRecordSize = 1024;
inline constexpr std::size_t kRecordsPreallocated = 1024;  // each file grows by as many before they run out
inline constexpr std::size_t kMaxRecords = 65536;

struct HeldRecord {
  std::string grant;  // id
  std::string group;
  std::uint32_t gid = 0;
  std::string user;
  std::uint32_t uid = 0;
  bool held = true;
  bool operator==(const HeldRecord&) const = default;
};

struct EndRecord {
  std::string grant;
  std::string digest;          // "sha256:..." of the document that gave it
  std::int64_t not_after = 0;  // seconds, wall
  std::string boot_id;
  std::uint64_t boot_ms = 0;  // boot-time deadline in that boot
  bool active = true;
  std::string reason;  // of the end, one word: expired, released, revoked, ...
  bool operator==(const EndRecord&) const = default;
};

// One record to its 1024 bytes and back. decode gives nullopt for a free record and an error for a torn one.
[[nodiscard]] Result<std::string> encode(const HeldRecord& record);
[[nodiscard]] Result<std::string> encode(const EndRecord& record);
[[nodiscard]] Result<std::optional<HeldRecord>> decode_held(std::string_view bytes);
[[nodiscard]] Result<std::optional<EndRecord>> decode_end(std::string_view bytes);

// One of the two files, open for the daemon's life (or for one --expire). Every writer holds kEffectsLock.
template <class Record>
class RecordFile {
 public:
  struct Slot {
    std::size_t index = 0;
    std::optional<Record> record;  // nullopt: torn beyond reading
    bool torn = false;             // bad CRC; `record`, if any, is turned to the safe side
  };

  // Opens DIR/NAME; with `make` also makes it (0600) and preallocates, else an absent file is Errc::not_found.
  [[nodiscard]] static Result<RecordFile> open(Files& files, const std::string& dir, const std::string& name,
                                               bool make = true);

  // Every record that is not free, read from the disk now. Torn ones come without a record.
  [[nodiscard]] Result<std::vector<Slot>> read() const;
  // Writes a record into a free slot (growing the file when there is none) and makes it durable. Returns the slot.
  [[nodiscard]] Result<std::size_t> add(const Record& record, bool durable = true);
  // The same for many, with one look for room and one fsync. On failure none of them is left.
  [[nodiscard]] Result<std::vector<std::size_t>> add_all(const std::vector<Record>& records, bool durable = true);
  [[nodiscard]] Result<void> write(std::size_t index, const Record& record, bool durable = true);
  // Free again. Not made durable by itself: a record that was closed before means the same when it comes back.
  [[nodiscard]] Result<void> clear(std::size_t index);
  // One fsync for several writes made with durable = false.
  [[nodiscard]] Result<void> sync();
  // Free slots without growing.
  [[nodiscard]] Result<std::size_t> free_slots() const;

 private:
  RecordFile(Files& files, UniqueFd fd, std::string path)
      : files_(&files), fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] Result<std::string> raw() const;
  [[nodiscard]] Result<void> grow(std::size_t size);
  [[nodiscard]] Result<void> put(std::size_t index, std::string_view bytes);

  Files* files_;
  UniqueFd fd_;
  std::string path_;
};

using HeldFile = RecordFile<HeldRecord>;
using EndsFile = RecordFile<EndRecord>;

}  // namespace jit
