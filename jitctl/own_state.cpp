#include "jitctl/own_state.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "jitctl/paper.hpp"
#include "jitctl/parcels.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"

namespace jit::ctl {
namespace {

// Nobody asks about what has been over for so long.
constexpr Seconds kKeptAfter = std::chrono::days(7);

Result<UniqueFd> open_own(const Context& context, const std::string& folder, bool make) {
  const auto state = own_state(context);
  if (state.empty()) return fail(Errc::not_found, "no home directory to remember anything in");
  const auto path = state + "/" + folder;
  if (make) {
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(state).parent_path(), failed);
    for (const auto& one : {state, path}) {
      if (::mkdir(one.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, one);
    }
  }
  return open_dir(path);
}

std::optional<SentDocument> read_sent(std::string text) {
  const auto envelope = parse_envelope(text);
  if (!envelope) return std::nullopt;
  auto document = parse_document(envelope->payload, "a document of one's own");
  if (!document) return std::nullopt;
  return SentDocument{std::move(text), std::move(*document), sha256(envelope->payload)};
}

}  // namespace

std::string own_state(const Context& context) {
  if (const auto state = context.env("XDG_STATE_HOME"); state && state->starts_with('/')) return *state + "/jit";
  const auto home = home_of(context);
  return home.empty() ? "" : home + "/.local/state/jit";
}

Result<void> keep_own(const Context& context, const std::string& folder, const std::string& name,
                      std::string_view content) {
  const auto dir = open_own(context, folder, true);
  if (!dir) return tl::unexpected(dir.error());
  auto written =
      replace_file(system_files(), dir->get(), name, content, {0600, ::geteuid(), ::getegid()}, /*durable=*/false);
  if (!written) return within(own_state(context) + "/" + folder, written.error());
  return {};
}

Result<std::string> own_file(const Context& context, const std::string& folder, const std::string& name,
                             std::size_t limit) {
  const auto dir = open_own(context, folder, false);
  if (!dir) return tl::unexpected(dir.error());
  return read_file_at(dir->get(), name, limit);
}

Result<void> forget_own(const Context& context, const std::string& folder, const std::string& name) {
  const auto dir = open_own(context, folder, false);
  if (!dir) return tl::unexpected(dir.error());
  if (::unlinkat(dir->get(), name.c_str(), 0) != 0) return fail_errno(errno, name);
  return {};
}

Result<void> keep_sent(const Context& context, const std::string& folder, std::string_view text) {
  const auto sent = read_sent(std::string(text));
  if (!sent) return fail(Errc::invalid, "not a document");
  if (auto kept = keep_own(context, folder, id_of(sent->digest) + ".jit", text); !kept) return kept;
  const auto all = sent_documents(context, folder);
  for (std::size_t at = 0; at < all.size(); ++at) {
    const bool over = needed_until(all[at].document) + kKeptAfter <= context.now();
    if (!over && at < kMaxSent) continue;
    // One that stays is too old, no more.
    (void)forget_own(context, folder, id_of(all[at].digest) + ".jit");
  }
  return {};
}

std::vector<SentDocument> sent_documents(const Context& context, const std::string& folder) {
  std::vector<SentDocument> sent;
  const auto dir = open_own(context, folder, false);
  if (!dir) return sent;
  const auto names = list_dir(dir->get());
  for (const auto& name : names ? *names : std::vector<std::string>{}) {
    if (name.front() == '.' || !name.ends_with(".jit")) continue;
    auto text = read_file_at(dir->get(), name, kMaxDocument);
    auto document = text ? read_sent(std::move(*text)) : std::nullopt;
    if (document) sent.push_back(std::move(*document));
  }
  const auto newer = [](const SentDocument& one, const SentDocument& other) {
    return made_at(one.document) > made_at(other.document);
  };
  std::stable_sort(sent.begin(), sent.end(), newer);
  return sent;
}

}  // namespace jit::ctl
