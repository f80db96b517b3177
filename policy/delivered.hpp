// What the owners of a host delivered, as it lies on the host: the signed parts of one number, one after the other in
// one file, so that they are there or not at any instant, and so that what they are worth can be proven again
// whenever they are read, by the owners of then:
//
//   jit-delivered 1
//   document BYTES          for each part in its order, then its bytes
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/digest.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/owners.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

inline constexpr std::size_t kMaxDelivered = kMaxParts * (kMaxDocument + 32) + 32;  // bytes of such a file

[[nodiscard]] std::string encode_delivered(const std::vector<std::string>& documents);
// Errors: anything that encode_delivered would not have written.
[[nodiscard]] Result<std::vector<std::string>> decode_delivered(std::string_view text);

// What a document of kind policy or trust carries; null for any other.
[[nodiscard]] const Delivery* delivery_of(const Document& document);

struct Delivered {
  Kind kind = Kind::policy;  // or trust
  std::uint64_t number = 0;
  WallTime created{};                 // of the latest part
  std::string reason;                 // of the first
  std::vector<std::string> owners;    // principals who signed, of all parts
  std::vector<Digest> documents;      // of the parts, in their order
  std::vector<Delivery::File> files;  // in name order; one that stands in several parts goes on from one to the next
};

// "policy 12": for people.
[[nodiscard]] std::string name_of(const Delivered& delivered);

// The parts of one number, in whatever order, put together. Errors. Errc::refused: not enough of these owners have
// signed a part. Errc::invalid: they are no parts of one delivery of that kind, one is missing or stands there twice.
[[nodiscard]] Result<Delivered> put_together(const std::vector<std::string>& documents, Kind kind,
                                             const Owners& owners);

// The number of parts that lie on the host, whoever signed them; 0: it cannot be told.
[[nodiscard]] std::uint64_t number_of(const std::vector<std::string>& documents);

}  // namespace jit
