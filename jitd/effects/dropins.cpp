#include "jitd/effects/dropins.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "policy/digest.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxDropin = std::size_t{1} << 20U;
constexpr std::string_view kPrefix = "jit-";

// Names of files come from ids alone, and an id is 16 characters of Crockford base32: never a path, never a user's
// word.
Result<std::string> name_of(const std::string& grant_id) {
  const auto id = parse_id_prefix(grant_id);
  if (!id || *id != grant_id || id->size() != 16)
    return fail(Errc::invalid, "\"" + shown(grant_id, 40) + "\" is not a grant's id");
  return std::string(kPrefix) + *id;
}

// sudo skips a folder that others may write to, and so do we.
Result<UniqueFd> open_dropin_dir(const std::string& dir) {
  auto fd = open_dir(dir);
  if (!fd) return fd;
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, dir);
  if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Errc::refused, dir + " must belong to root and be writable by nobody else");
  return fd;
}

Result<void> check_with_visudo(Spawn& spawn, const SudoTool& tool, const std::string& path) {
  SpawnRequest request;
  request.argv = {tool.visudo, "-c", "-f", path};
  request.deadline = std::chrono::seconds(1);  // it takes 2 ms and asks nobody; the caller is the loop
  const auto outcome = spawn.run(request);
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->exit_status == 0) return {};
  return fail(Errc::refused, tool.visudo + " refuses the drop-in: " + shown(outcome->out + outcome->err, 500));
}

}  // namespace

Dropins::Dropins(Files& files, Spawn& spawn, std::string dir) : files_(files), spawn_(spawn), dir_(std::move(dir)) {}

Result<void> Dropins::put(const std::string& grant_id, const std::string& sudoers,
                          const std::vector<SudoTool>& tools) {
  const auto name = name_of(grant_id);
  if (!name) return tl::unexpected(name.error());
  if (tools.empty()) return fail(Errc::refused, "no sudo is installed that could read a drop-in");
  const auto dir = open_dropin_dir(dir_);
  if (!dir) return tl::unexpected(dir.error());
  // tmpfs: nothing to make durable, it is gone at boot and meant to be.
  constexpr bool kDurable = false;
  if (auto written = write_temporary(files_, dir->get(), *name, sudoers, FileMode{0440, 0, 0, -1}, kDurable);
      !written)
    return written;
  const std::string temporary = temporary_name(*name);
  const auto check = [&]() -> Result<void> {
    const auto back = read_file_at(dir->get(), temporary, kMaxDropin);
    if (!back) return tl::unexpected(back.error());
    if (*back != sudoers) return fail(Errc::system, dir_ + "/" + temporary + " does not read as it was written");
    const bool not_for_rs =
        sudoers.find("NOTAFTER=") != std::string::npos || sudoers.find(" iolog_dir=") != std::string::npos;
    for (const SudoTool& tool : tools) {
      if (tool.visudo.empty() || (tool.rs && not_for_rs)) continue;
      if (auto fine = check_with_visudo(spawn_, tool, dir_ + "/" + temporary); !fine) return fine;
    }
    if (files_.renameat(dir->get(), temporary.c_str(), dir->get(), name->c_str()) != 0)
      return fail_errno(errno, dir_ + "/" + *name);
    return {};
  };
  auto done = check();
  if (!done) (void)files_.unlinkat(dir->get(), temporary.c_str(), 0);
  return done;
}

Result<void> Dropins::remove(const std::string& grant_id) {
  const auto name = name_of(grant_id);
  if (!name) return tl::unexpected(name.error());
  const auto dir = open_dir(dir_);
  if (!dir) return dir.error().errnum == ENOENT ? Result<void>{} : tl::unexpected(dir.error());
  Result<void> done;
  for (const std::string& file : {*name, temporary_name(*name)})
    if (files_.unlinkat(dir->get(), file.c_str(), 0) != 0 && errno != ENOENT && done)
      done = fail_errno(errno, dir_ + "/" + file);
  return done;
}

Result<std::vector<std::string>> Dropins::present() const {
  const auto dir = open_dir(dir_);
  if (!dir) {
    if (dir.error().errnum == ENOENT) return std::vector<std::string>{};
    return tl::unexpected(dir.error());
  }
  const auto names = list_dir(dir->get());
  if (!names) return tl::unexpected(names.error());
  std::vector<std::string> ids;
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix)) continue;
    std::string id = name.substr(kPrefix.size());
    if (name_of(id)) ids.push_back(std::move(id));
  }
  return ids;
}

Result<std::string> Dropins::text(const std::string& grant_id) const {
  const auto name = name_of(grant_id);
  if (!name) return tl::unexpected(name.error());
  const auto dir = open_dir(dir_);
  if (!dir) return tl::unexpected(dir.error());
  return read_file_at(dir->get(), *name, kMaxDropin);
}

void Dropins::sweep() {
  const auto dir = open_dir(dir_);
  if (!dir) return;
  const auto names = list_dir(dir->get());
  if (!names) return;
  for (const std::string& name : *names)
    if (name.starts_with(".jit-") && name.ends_with(".tmp")) (void)files_.unlinkat(dir->get(), name.c_str(), 0);
}

}  // namespace jit
