// Documents and other small files as jitctl reads and writes them, and the trust files beside them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/trust.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// A document file, "-" for standard input, where it may come in pieces (typed.hpp); more than kMaxDocument bytes is
// an error.
[[nodiscard]] Result<std::string> read_document(Context& context, const std::string& path);

// Of an argument that may be an id or a file, such as "-": that it is a file.
[[nodiscard]] bool looks_like_file(const std::string& what);

// The *.jit files of a directory, sorted, as paths. An empty directory is an error.
[[nodiscard]] Result<std::vector<std::string>> documents_in(const std::string& directory);
[[nodiscard]] bool is_directory(const std::string& path);

// Writes a file that was not there before (O_EXCL), 0644; "-" is standard output. Nothing is ever overwritten: what
// stands there may be the only copy of a signature.
[[nodiscard]] Result<void> write_new(Context& context, const std::string& path, std::string_view content);

// The kind that a payload says it is of, without believing anything else in it: parsed strictly.
[[nodiscard]] Result<Document> read_payload(std::string_view payload, const std::string& source);

// A trust file; absent is empty. Bad lines are in `bad`.
[[nodiscard]] Result<TrustFile> read_trust(const std::string& path);

// Where this person's own files are: $XDG_CONFIG_HOME/jit or ~/.config/jit; empty without a home.
[[nodiscard]] std::string own_config(const Context& context);
[[nodiscard]] std::string home_of(const Context& context);

// The hosts this person knows: `option` when given, else what approver.toml names, else ~/.config/jit/hosts and
// /etc/jit/trust/hosts together.
[[nodiscard]] Result<TrustFile> known_hosts(const Context& context, const std::string& option);

// What this host says of itself (verb inspect).
struct HostInfo {
  std::string host;
  std::string host_key;    // fingerprint
  std::string public_key;  // "ssh-ed25519 AAAA..."
  std::vector<std::string> segments;
  std::uint64_t newest_list = 0;                  // number of the newest revocation list that is there; 0: none
  std::optional<Seconds> view_age, max_view_age;  // of revocations: how old, and the host's own bound
};
[[nodiscard]] Result<HostInfo> inspect(Context& context);

// The line by which an approver elsewhere knows this host, for ~/.config/jit/hosts; empty when the key does not read.
[[nodiscard]] std::string hosts_line(const HostInfo& info);

// A directory of our own under $XDG_RUNTIME_DIR or /tmp, 0700, gone with everything in it at the end.
class ScratchDir {
 public:
  [[nodiscard]] static Result<ScratchDir> make(const Context& context);
  ScratchDir(ScratchDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDir& operator=(ScratchDir&&) = delete;
  ScratchDir(const ScratchDir&) = delete;
  ~ScratchDir();
  [[nodiscard]] const std::string& path() const { return path_; }
  // DIR/NAME with this content, 0600.
  [[nodiscard]] Result<std::string> put(const std::string& name, std::string_view content) const;

 private:
  explicit ScratchDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace jit::ctl
