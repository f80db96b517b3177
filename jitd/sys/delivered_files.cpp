#include "jitd/sys/delivered_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "jitd/sys/own_files.hpp"

namespace jit {
namespace {

std::string folder(const std::string& var) {
  return var + "/delivered";
}

}  // namespace

std::string delivered_path(const std::string& var, Kind kind) {
  return folder(var) + "/" + std::string(kind_name(kind));
}

DeliveredState read_delivered(const std::string& var, Kind kind, const Owners& owners) {
  DeliveredState state;
  const std::string path = delivered_path(var, kind);
  const auto broken = [&](const Error& error) {
    state.why_not = path + ": " + error.message;
    state.damaged = true;
    return state;
  };
  const auto dir = open_own_dir(folder(var));
  if (!dir && dir.error().code == Errc::not_found) return state;
  if (!dir) return broken(dir.error());
  const auto text = read_own_file(dir->get(), std::string(kind_name(kind)), kMaxDelivered, path);
  if (!text && text.error().code == Errc::not_found) return state;
  if (!text) return broken(text.error());
  const auto documents = decode_delivered(*text);
  if (!documents) return broken(documents.error());
  state.number = number_of(*documents);
  if (!owners.any()) {
    state.why_not = path + " counts for nothing: jitd.toml names no [owners]";
    return state;
  }
  auto delivered = put_together(*documents, kind, owners);
  if (delivered) {
    state.counts = std::move(*delivered);
  } else if (delivered.error().code == Errc::refused) {
    state.why_not = path + " counts for nothing: " + delivered.error().message;
  } else {
    return broken(delivered.error());
  }
  return state;
}

Result<void> keep_delivered(Files& files, const std::string& var, Kind kind,
                            const std::vector<std::string>& documents) {
  const std::string path = folder(var);
  if (::mkdir(path.c_str(), 0700) == 0) {
    const auto parent = open_dir(var);
    if (!parent) return tl::unexpected(parent.error());
    if (files.fsync(parent->get()) != 0) return fail_errno(errno, var);
  } else if (errno != EEXIST) {
    return fail_errno(errno, "cannot make " + path);
  }
  const auto dir = open_own_dir(path);
  if (!dir) return tl::unexpected(dir.error());
  auto kept = replace_file(files, dir->get(), std::string(kind_name(kind)), encode_delivered(documents),
                           FileMode{0600, ::geteuid(), ::getegid()});
  if (!kept) return within(path, kept.error());
  return {};
}

}  // namespace jit
