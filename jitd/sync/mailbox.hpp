// A mailbox that documents travel through: one layout on every kind of source.
//
//   to/HOST/NAME            for one host: reviews, grants, asks, revocations, locks, policy, trust
//   to/segment/SEGMENT/NAME    for every host of a segment
//   from/HOST/NAME          what that host says: requests that wait, events
//
// Nothing that comes out of one is believed: names tell nothing, and what counts are the signatures on what they
// hold. Whoever runs a source, or may write there, can delay documents and drop them, and no more.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"
#include "policy/sources.hpp"
#include "policy/time.hpp"

namespace jit {

// One folder of a mailbox.
class Box {
 public:
  enum class Kind : std::uint8_t { to_host, to_segment, from_host };
  // Errors: no host's name, no segment's; a host called "segment", whose folder would be that of the segments.
  [[nodiscard]] static Result<Box> to_host(std::string host);
  [[nodiscard]] static Result<Box> to_segment(std::string segment);
  [[nodiscard]] static Result<Box> from_host(std::string host);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] const std::string& name() const { return name_; }  // of the host or segment
  [[nodiscard]] std::string path() const;                          // "to/db1", "to/segment/pci-db", "from/db1"
  auto operator<=>(const Box&) const = default;

 private:
  Box(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}
  Kind kind_;
  std::string name_;
};

// Something in a box. Its name may be any bytes that the source has it under.
struct Item {
  std::string name;
  std::uint64_t size = 0;
  std::string stamp;  // another one when the content may be another: what has been looked at is not fetched again
};

// Names that readers look at: they end with ".jit" and do not start with a dot; any others are somebody else's, or
// not complete yet. At most 255 bytes.
[[nodiscard]] bool document_name(std::string_view name);

// The name under which a document is posted by anybody but a host: ID-HASH.jit, the payload's id and the first 16 hex
// digits of the whole file's SHA-256. Nobody overwrites anybody, and the same file twice is one. Bytes that are no
// document have no name.
[[nodiscard]] Result<std::string> name_of_document(std::string_view file);

// The mailbox of one source. Not for two threads at once. Every call is bounded in time and memory, whatever the
// source does, but for a folder on a network file system that hangs. Errc::unavailable: it is not there now, trying
// again may help; Errc::refused: it says no, or is not who it should be; Errc::invalid: what it says makes no sense.
class Mailbox {
 public:
  virtual ~Mailbox() = default;

  // Everything that document_name() takes, each once, in no order, until `visit` says false. A box that is not there
  // is empty. What could not be listed besides is passed over.
  using Visit = std::function<bool(const Item&)>;
  [[nodiscard]] virtual Result<void> list(const Box& box, const Visit& visit) = 0;

  // The same without the first `passed` of them: for a box that holds more than one pass takes.
  [[nodiscard]] virtual Result<void> list_after(std::size_t passed, const Box& box, const Visit& visit);

  // The bytes of an item, at most kMaxDocument; more is Errc::invalid. Errc::not_found: it is gone.
  [[nodiscard]] virtual Result<std::string> get(const Box& box, const Item& item) = 0;

  // Puts a file there, whole or not at all; the same name again replaces it. After `until` nobody needs it any more:
  // a source that can forgets it then. Errc::refused: it takes nothing.
  [[nodiscard]] virtual Result<void> put(const Box& box, const std::string& name, std::string_view bytes,
                                         WallTime until) = 0;

  // Takes one away; one that is not there is no error.
  [[nodiscard]] virtual Result<void> remove(const Box& box, const std::string& name) = 0;

  // Returns when something in these boxes may have changed since they were last listed, when `other` (-1: none) is
  // readable, or after so long; at once when it cannot tell and its time to look again has come. `eager`: somebody
  // waits for an answer, so look more often.
  [[nodiscard]] virtual Result<void> wait(const std::vector<Box>& boxes, int other, std::chrono::milliseconds at_most,
                                          bool eager) = 0;
};

// Opens nothing yet: a source that is not there now may come. Errors: a file that the specification names cannot be
// used.
[[nodiscard]] Result<std::unique_ptr<Mailbox>> make_mailbox(const SourceSpec& spec);

}  // namespace jit
