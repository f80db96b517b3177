// A signed document on its way: into which boxes it goes, until when somebody needs it, and how one that names more
// hosts than a document may have becomes several.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policy/digest.hpp"
#include "policy/document/kinds.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit::ctl {

// Hosts and segments that it is for. A request or event is for nobody: it says of what host it is.
struct Destination {
  std::vector<std::string> hosts;
  std::vector<std::string> segments;
};
[[nodiscard]] Destination destination_of(const Document& document);
// Errors: a review, a request or an event, which names its host.
[[nodiscard]] Result<void> set_destination(Document& document, Destination destination);

[[nodiscard]] WallTime made_at(const Document& document);
// When nobody has a use for it any more: its own end, or else the absolute ceiling after it was made, when hosts
// refuse it for its age.
[[nodiscard]] WallTime needed_until(const Document& document);

inline constexpr std::size_t kMaxHostsNamed = 256;  // in one document (jit-documents(5))

// The same for all of `destination`, in as few documents as there can be, each with a nonce of its own.
[[nodiscard]] Result<std::vector<Document>> documents_for(const Document& document, const Destination& destination);

struct Parcel {
  std::string text;  // of the file
  Document document;
  Digest digest;
  [[nodiscard]] std::string id() const { return id_of(digest); }
};
// Takes a document's file apart. Nothing in it is verified: it is the caller's own, or goes to who verifies it.
[[nodiscard]] Result<Parcel> parcel_of(std::string text, const std::string& source);

}  // namespace jit::ctl
