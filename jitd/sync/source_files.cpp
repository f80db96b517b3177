#include "jitd/sync/source_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr std::size_t kMaxPassword = 1024;

Result<void> read_into(std::string& into, const std::string& path, Secrecy secrecy) {
  if (path.empty()) return {};
  auto text = read_source_file(path, secrecy);
  if (!text) return tl::unexpected(text.error());
  into = std::move(*text);
  return {};
}

}  // namespace

Result<std::string> read_source_file(const std::string& path, Secrecy secrecy) {
  const std::string where = shown(path);
  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(errno, where);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, where);
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, where + " is not a regular file");
  if (secrecy == Secrecy::secret && (status.st_mode & S_IRWXO) != 0)
    return fail(Errc::refused, where + " is secret, and others may read or write it: chmod o= takes that away");
  if ((status.st_mode & S_IWOTH) != 0)
    return fail(Errc::refused, where + " may be written by others: chmod o-w takes that away");
  return read_fd(fd.get(), kMaxFile, where);
}

Result<std::string> read_password_file(const std::string& path) {
  auto text = read_source_file(path, Secrecy::secret);
  if (!text) return text;
  std::string password = text->substr(0, text->find('\n'));
  if (password.ends_with('\r')) password.pop_back();
  if (password.empty() || password.size() > kMaxPassword || unclean(password))
    return fail(Errc::invalid, shown(path) + ": its first line must be a password of 1 to 1024 bytes");
  return password;
}

Result<SourceFiles> read_source_files(const SourceSpec& spec) {
  SourceFiles files;
  if (auto read = read_into(files.ca, spec.ca, Secrecy::open); !read) return tl::unexpected(read.error());
  if (auto read = read_into(files.certificate, spec.certificate, Secrecy::open); !read)
    return tl::unexpected(read.error());
  if (auto read = read_into(files.key, spec.key, Secrecy::secret); !read) return tl::unexpected(read.error());
  if (!spec.password_file.empty()) {
    auto password = read_password_file(spec.password_file);
    if (!password) return tl::unexpected(password.error());
    files.password = std::move(*password);
  }
  // libcurl reads this one itself, by its path, at each connection.
  if (!spec.crl.empty()) {
    if (auto crl = read_source_file(spec.crl, Secrecy::open); !crl) return tl::unexpected(crl.error());
  }
  return files;
}

}  // namespace jit
