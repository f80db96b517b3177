#include "pam_jit/accounts.hpp"

#include <optional>

namespace jit::pam {
namespace {

// No account file is longer; reading stops there.
constexpr std::uint64_t kMaxFile = 64U << 20U;
constexpr std::size_t kMaxField = 256;

// The fields of a file, one after the other.
class Fields {
 public:
  Fields(Host& host, AccountFile file) noexcept : host_(host), file_(file) {}

  // The next field, or with `commas` the next part of one; false at the end of the file or when it cannot be read on.
  bool next(bool commas) noexcept {
    bool any = end_ != '\n';  // a line was begun: its last field may be empty, with no LF behind it
    length_ = 0;
    overlong_ = false;
    for (;;) {
      if (at_ == filled_ && !fill()) {
        end_ = '\n';
        return any && !failed_;
      }
      const char c = buffer_[at_++];
      if (c == ':' || c == '\n' || (c == ',' && commas)) {
        end_ = c;
        return true;
      }
      any = true;
      if (length_ < kMaxField) {
        field_[length_++] = c;
      } else {
        overlong_ = true;
      }
    }
  }
  [[nodiscard]] bool is(std::string_view text) const noexcept {
    return !overlong_ && text == std::string_view(field_, length_);
  }
  [[nodiscard]] std::string_view text() const noexcept { return {field_, overlong_ ? 0 : length_}; }
  [[nodiscard]] bool ends_line() const noexcept { return end_ == '\n'; }
  [[nodiscard]] bool ends_field() const noexcept { return end_ != ','; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  // A decimal id. -1 (4294967295) is nobody.
  [[nodiscard]] std::optional<std::uint32_t> id() const noexcept {
    if (length_ == 0 || length_ > 10 || overlong_) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : std::string_view(field_, length_)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (value >= UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(value);
  }

 private:
  bool fill() noexcept {
    if (failed_) return false;
    const std::ptrdiff_t got = offset_ < kMaxFile ? host_.read(file_, offset_, buffer_) : -1;
    failed_ = got < 0 || static_cast<std::size_t>(got) > sizeof buffer_;
    at_ = 0;
    filled_ = failed_ ? 0 : static_cast<std::size_t>(got);
    offset_ += filled_;
    return filled_ > 0;
  }

  Host& host_;
  AccountFile file_;
  bool failed_ = false, overlong_ = false;
  char end_ = '\n';
  std::size_t at_ = 0, filled_ = 0, length_ = 0;
  std::uint64_t offset_ = 0;
  char field_[kMaxField] = {};
  char buffer_[4096] = {};
};

// NAME:PASSWORD:GID:MEMBER,MEMBER  (group(5))
bool in_exempt_group(Host& host, const Options& options, std::string_view name, std::uint32_t gid) noexcept {
  Fields fields(host, AccountFile::group);
  unsigned column = 0;
  bool listed = false;
  bool member = false;
  while (fields.next(column == 3)) {
    if (column == 0) {
      listed = !fields.text().empty() && options.exempts_group(fields.text());
      member = false;
    } else if (column == 2) {
      member = fields.id() == gid;
      // A gid that is no number makes the line nobody's.
      listed = listed && fields.id().has_value();
    } else if (column == 3) {
      member = member || fields.is(name);
    }
    if (fields.ends_line()) {
      if (listed && member && column == 3) return true;
      column = 0;
    } else if (fields.ends_field()) {
      ++column;
    }
  }
  return false;
}

}  // namespace

// NAME:PASSWORD:UID:GID:GECOS:HOME:SHELL  (passwd(5))
LocalAccount local_account(Host& host, std::string_view name, std::uint32_t uid_to_find) noexcept {
  LocalAccount account;
  Fields fields(host, AccountFile::passwd);
  unsigned column = 0;
  bool ours = false;
  std::optional<std::uint32_t> uid;
  while (fields.next(false)) {
    if (column == 0) {
      ours = fields.is(name);
      uid.reset();
    } else if (column == 2) {
      uid = fields.id();
      if (!ours && uid == uid_to_find) account.uid_is_anothers = true;
    } else if (column == 3 && ours && uid && fields.id()) {
      account.readable = account.found = true;
      account.uid = *uid;
      account.gid = *fields.id();
      return account;
    }
    column = fields.ends_line() ? 0 : column + 1;
  }
  account.readable = !fields.failed();
  return account;
}

bool exempt(Host& host, const Options& options, std::string_view name, const LocalAccount& account) noexcept {
  if (!account.found || !options.has_exempt) return false;
  if (options.exempts_user(name)) return true;
  return options.exempts_groups() && in_exempt_group(host, options, name, account.gid);
}

}  // namespace jit::pam
