// VAR/outbox as one visitor of the mailbox sees it. jitd writes it, as root and by rename; here it is only read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "jitd/sync/mailbox.hpp"
#include "jitd/sync/mailbox_keys.hpp"
#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

class ShownOutbox {
 public:
  // Errc::unavailable: there is no outbox, or jitd has not said there yet whose it is.
  [[nodiscard]] static Result<ShownOutbox> open(const std::string& folder, Visitor visitor);

  [[nodiscard]] const std::string& host() const { return host_; }

  // What the visitor may see, by name. What cannot be read, or has gone meanwhile, is passed over.
  [[nodiscard]] Result<std::vector<Item>> list();

  // Errc::not_found alike for what is not there and for what is not for the visitor.
  [[nodiscard]] Result<std::string> get(const std::string& name) const;

  // Readable when something in the folder may have changed since changed() or list() was called.
  [[nodiscard]] int changes() const { return notify_.get(); }
  // Whether list() would give something else than it did the last time.
  [[nodiscard]] Result<bool> changed();

 private:
  struct Seen {
    std::string stamp;
    std::uint64_t size = 0;
    bool shown = false;
    bool operator==(const Seen&) const = default;
  };
  using Folder = std::map<std::string, Seen>;

  explicit ShownOutbox(Visitor visitor) : visitor_(std::move(visitor)) {}
  [[nodiscard]] Result<Folder> look() const;

  Visitor visitor_;
  std::string host_;
  UniqueFd folder_, notify_;
  Folder seen_;    // at the last look, so that what stands is not parsed again
  Folder listed_;  // of that, what the last list gave
};

}  // namespace jit
