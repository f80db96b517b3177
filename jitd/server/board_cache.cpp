#include "jitd/server/board_cache.hpp"

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cstring>

namespace jit {
namespace {

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

}  // namespace

class BoardCache::Mapping final : public wire::BoardSource {
 public:
  explicit Mapping(const std::string& path)
      : file_(path.c_str(), boost::interprocess::read_only), region_(file_, boost::interprocess::read_only) {}

  bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept override {
    if (offset > region_.get_size() || into.size() > region_.get_size() - offset) return false;
    std::memcpy(into.data(), static_cast<const std::byte*>(region_.get_address()) + offset, into.size());
    return true;
  }

 private:
  boost::interprocess::file_mapping file_;
  boost::interprocess::mapped_region region_;
};

BoardCache::BoardCache(std::string path) : path_(std::move(path)) {}
BoardCache::~BoardCache() = default;

const wire::BoardSource* BoardCache::current() noexcept try {
  struct stat now {};
  if (::lstat(path_.c_str(), &now) != 0 || !S_ISREG(now.st_mode) || now.st_size == 0) {
    mapping_.reset();
    return nullptr;
  }
  if (mapping_ && same_file(now, seen_)) return mapping_.get();
  mapping_.reset();
  // Replaced once more between the two calls: then `seen_` is older than what is mapped, and the next call maps
  // again.
  mapping_ = std::make_unique<Mapping>(path_);
  seen_ = now;
  return mapping_.get();
} catch (...) {  // no descriptor, no memory, gone: pam_jit reads the file itself
  return mapping_.get();
}

}  // namespace jit
