#include "jitd/store/records.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "jitd/wire/codec.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::string_view kActive = "active";
constexpr std::string_view kEnded = "ended:";
constexpr std::size_t kMaxFile = kMaxRecords * kRecordSize;

const std::string& blank() {
  static const std::string text = std::string(kRecordSize - 1, ' ') + '\n';
  return text;
}

// A record that was never written: spaces, or zeros where a crash kept a grown size but not what was in it.
bool is_free(std::string_view bytes) {
  static const std::string zeros(kRecordSize, '\0');
  return bytes == blank() || bytes == zeros;
}

std::uint32_t checksum(std::string_view text) {
  return wire::crc32c(std::as_bytes(std::span(text)));
}

template <std::size_t N>
Result<std::string> seal(const std::array<std::string, N>& words) {
  std::string text(kVersion);
  for (const std::string& word : words) {
    if (word.empty()) return fail(Errc::invalid, "a record with an empty field");
    text += ' ' + word;
  }
  text += ' ' + std::to_string(checksum(text));
  if (text.size() >= kRecordSize)
    return fail(Errc::refused, "the names of user and group are too long together for a record of 1 KiB");
  text.append(kRecordSize - 1 - text.size(), ' ');
  return text + '\n';
}

// The N words of a record between version and CRC, and whether the CRC is right.
template <std::size_t N>
struct Opened {
  std::array<std::string, N> words;
  bool intact = false;
};

template <std::size_t N>
Result<Opened<N>> unseal(std::string_view bytes) {
  const auto torn = [] { return fail(Errc::invalid, "torn record"); };
  if (bytes.size() != kRecordSize || bytes.back() != '\n') return torn();
  const std::string_view text = bytes.substr(0, bytes.find_last_not_of(" \n") + 1);
  const auto fields = split(text, ' ');
  if (fields.size() != N + 2 || fields.front() != kVersion) return torn();
  const auto crc = parse_number(fields.back(), UINT32_MAX);
  if (!crc) return torn();
  Opened<N> opened;
  for (std::size_t i = 0; i < N; ++i) {
    auto word = unescape_word(fields[i + 1]);
    if (!word || word->empty()) return torn();
    opened.words[i] = std::move(*word);
  }
  opened.intact = *crc == checksum(text.substr(0, text.size() - fields.back().size() - 1));
  return opened;
}

std::optional<std::uint32_t> id(const std::string& word) {
  const auto number = parse_number(word, UINT32_MAX);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// What a record says, turned to the safe side unless it is intact.
Result<HeldRecord> open_held(std::string_view bytes, bool& intact) {
  auto opened = unseal<6>(bytes);
  if (!opened) return tl::unexpected(opened.error());
  const auto& [grant, group, gid_word, user, uid_word, state] = opened->words;
  const auto gid = id(gid_word);
  const auto uid = id(uid_word);
  intact = opened->intact && (state == "+" || state == "-");
  if (!gid || !uid) return fail(Errc::invalid, "torn record");
  return HeldRecord{grant, group, *gid, user, *uid, !intact || state == "+"};
}

Result<EndRecord> open_end(std::string_view bytes, bool& intact) {
  auto opened = unseal<6>(bytes);
  if (!opened) return tl::unexpected(opened.error());
  const auto& [grant, digest, not_after, boot_id, boot_ms, state] = opened->words;
  const auto wall = parse_number(not_after, INT64_MAX);
  const auto boot = parse_number(boot_ms);
  if (!wall || !boot) return fail(Errc::invalid, "torn record");
  EndRecord record{grant, digest, static_cast<std::int64_t>(*wall), boot_id, *boot, false, "torn"};
  if (state == kActive) {
    record.active = true;
    record.reason.clear();
  } else if (state.starts_with(kEnded)) {
    record.reason = state.substr(kEnded.size());
  }
  intact = opened->intact && record.reason != "torn";
  if (!intact) {
    record.active = false;
    record.reason = "torn";
  }
  return record;
}

Result<HeldRecord> open_any(std::string_view bytes, bool& intact, const HeldRecord* /*kind*/) {
  return open_held(bytes, intact);
}
Result<EndRecord> open_any(std::string_view bytes, bool& intact, const EndRecord* /*kind*/) {
  return open_end(bytes, intact);
}

template <class Record>
Result<std::optional<Record>> decode(std::string_view bytes) {
  if (is_free(bytes)) return std::optional<Record>{};
  bool intact = false;
  auto record = open_any(bytes, intact, static_cast<const Record*>(nullptr));
  if (!record) return tl::unexpected(record.error());
  if (!intact) return fail(Errc::invalid, "torn record");
  return std::optional<Record>(std::move(*record));
}

}  // namespace

Result<std::string> encode(const HeldRecord& record) {
  return seal<6>({escape_word(record.grant), escape_word(record.group), std::to_string(record.gid),
                  escape_word(record.user), std::to_string(record.uid), record.held ? "+" : "-"});
}

Result<std::string> encode(const EndRecord& record) {
  if (record.not_after < 0) return fail(Errc::invalid, "an end before 1970");
  return seal<6>({escape_word(record.grant), escape_word(record.digest, "[],"), std::to_string(record.not_after),
                  escape_word(record.boot_id), std::to_string(record.boot_ms),
                  record.active ? std::string(kActive) : std::string(kEnded) + escape_word(record.reason)});
}

Result<std::optional<HeldRecord>> decode_held(std::string_view bytes) {
  return decode<HeldRecord>(bytes);
}
Result<std::optional<EndRecord>> decode_end(std::string_view bytes) {
  return decode<EndRecord>(bytes);
}

template <class Record>
Result<RecordFile<Record>> RecordFile<Record>::open(Files& files, const std::string& dir, const std::string& name,
                                                    bool make) {
  const auto folder = open_dir(dir);
  if (!folder) return tl::unexpected(folder.error());
  const std::string path = dir + "/" + name;
  auto fd = open_regular(folder->get(), name, O_RDWR, path);
  if (!fd && fd.error().errnum == ENOENT && make) {
    UniqueFd made(files.openat(folder->get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0));
    if (!made || files.fchmod(made.get(), 0600) != 0) return fail_errno(errno, path);
    fd = std::move(made);
  }
  if (!fd) return tl::unexpected(fd.error());
  RecordFile file(files, std::move(*fd), path);
  if (!make) return file;

  struct stat status {};
  if (::fstat(file.fd_.get(), &status) != 0) return fail_errno(errno, path);
  if (static_cast<std::size_t>(status.st_size) < kRecordsPreallocated * kRecordSize) {
    if (auto grown = file.grow(kRecordsPreallocated * kRecordSize); !grown) return tl::unexpected(grown.error());
    if (files.fsync(folder->get()) != 0) return fail_errno(errno, dir);
  }
  return file;
}

template <class Record>
Result<std::string> RecordFile<Record>::raw() const {
  if (::lseek(fd_.get(), 0, SEEK_SET) < 0) return fail_errno(errno, path_);
  return read_fd(fd_.get(), kMaxFile, path_);
}

// Makes the file `size` bytes long with free records at its end. A part of a record there is left of a crash while
// growing.
template <class Record>
Result<void> RecordFile<Record>::grow(std::size_t size) {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return fail_errno(errno, path_);
  const std::size_t whole = static_cast<std::size_t>(status.st_size) / kRecordSize;
  std::string blanks;
  for (std::size_t i = whole; i < size / kRecordSize; ++i) blanks += blank();
  if (auto written = write_at(*files_, fd_.get(), blanks, static_cast<off_t>(whole * kRecordSize), path_); !written)
    return written;
  return sync();
}

template <class Record>
Result<void> RecordFile<Record>::put(std::size_t index, std::string_view bytes) {
  if (index >= kMaxRecords) return fail(Errc::invalid, path_ + " has no record " + std::to_string(index));
  return write_at(*files_, fd_.get(), bytes, static_cast<off_t>(index * kRecordSize), path_);
}

template <class Record>
Result<std::vector<typename RecordFile<Record>::Slot>> RecordFile<Record>::read() const {
  const auto text = raw();
  if (!text) return tl::unexpected(text.error());
  std::vector<Slot> slots;
  for (std::size_t at = 0; at + kRecordSize <= text->size(); at += kRecordSize) {
    const auto bytes = std::string_view(*text).substr(at, kRecordSize);
    if (is_free(bytes)) continue;
    Slot slot{at / kRecordSize, std::nullopt, true};
    bool intact = false;
    if (auto record = open_any(bytes, intact, static_cast<const Record*>(nullptr)); record) {
      slot.record = std::move(*record);
      slot.torn = !intact;
    }
    slots.push_back(std::move(slot));
  }
  return slots;
}

template <class Record>
Result<std::size_t> RecordFile<Record>::add(const Record& record, bool durable) {
  return add_all({record}, durable).map([](const std::vector<std::size_t>& slots) { return slots.front(); });
}

template <class Record>
Result<std::vector<std::size_t>> RecordFile<Record>::add_all(const std::vector<Record>& records, bool durable) {
  std::vector<std::string> texts;
  for (const Record& record : records) {
    auto bytes = encode(record);
    if (!bytes) return tl::unexpected(bytes.error());
    texts.push_back(std::move(*bytes));
  }
  if (texts.empty()) return std::vector<std::size_t>{};
  const auto text = raw();
  if (!text) return tl::unexpected(text.error());
  const std::size_t have = text->size() / kRecordSize;
  std::vector<std::size_t> slots;
  for (std::size_t i = 0; i < have && slots.size() < texts.size(); ++i)
    if (is_free(std::string_view(*text).substr(i * kRecordSize, kRecordSize))) slots.push_back(i);
  if (const std::size_t missing = texts.size() - slots.size(); missing > 0) {
    if (have + missing > kMaxRecords) return fail(Errc::refused, path_ + " is full");
    const std::size_t size = std::min(have + std::max(missing, kRecordsPreallocated), kMaxRecords) * kRecordSize;
    if (auto grown = grow(size); !grown) return tl::unexpected(grown.error());
    for (std::size_t i = 0; i < missing; ++i) slots.push_back(have + i);
  }
  Result<void> done;
  for (std::size_t i = 0; i < texts.size() && done; ++i) done = put(slots[i], texts[i]);
  if (done && durable) done = sync();
  if (done) return slots;
  for (const std::size_t slot : slots) (void)clear(slot);
  return tl::unexpected(done.error());
}

template <class Record>
Result<void> RecordFile<Record>::write(std::size_t index, const Record& record, bool durable) {
  const auto bytes = encode(record);
  if (!bytes) return tl::unexpected(bytes.error());
  if (auto written = put(index, *bytes); !written) return written;
  return durable ? sync() : Result<void>{};
}

template <class Record>
Result<void> RecordFile<Record>::clear(std::size_t index) {
  return put(index, blank());
}

template <class Record>
Result<void> RecordFile<Record>::sync() {
  if (files_->fsync(fd_.get()) != 0) return fail_errno(errno, path_ + ": fsync");
  return {};
}

template <class Record>
Result<std::size_t> RecordFile<Record>::free_slots() const {
  const auto text = raw();
  if (!text) return tl::unexpected(text.error());
  std::size_t count = 0;
  for (std::size_t at = 0; at + kRecordSize <= text->size(); at += kRecordSize)
    if (is_free(std::string_view(*text).substr(at, kRecordSize))) ++count;
  return count;
}

template class RecordFile<HeldRecord>;
template class RecordFile<EndRecord>;

}  // namespace jit
