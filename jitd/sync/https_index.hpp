// The file `index` of a box on an HTTPS source, since a static server lists no folders (docs/PROTOCOL.md):
//
//   SHA256HEX SIZE NAME LF
//
// one line a document, sorted by the bytes of NAME, which is all between the second blank and LF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sync/mailbox.hpp"
#include "policy/result.hpp"

namespace jit {

inline constexpr std::size_t kMaxIndex = std::size_t{4} << 20;  // bytes
inline constexpr std::size_t kMaxIndexLines = 65536;
inline constexpr const char* kIndexName = "index";

// Names that an index may have: document_name(), without slash and control characters.
[[nodiscard]] bool index_name(std::string_view name);

// What an index says of these bytes: their size, and their SHA-256 as 64 lower-case hex digits for the stamp.
[[nodiscard]] Item index_item(std::string name, std::string_view bytes);

// Sorted by name, each once. One line that is not as it should be makes the whole of it Errc::invalid.
[[nodiscard]] Result<std::vector<Item>> parse_index(std::string_view text);

// The text of sorted items; what parse_index took is written again byte by byte. Errc::refused: more than an index
// may have.
[[nodiscard]] Result<std::string> index_text(const std::vector<Item>& items);

// Puts an item where it belongs, in place of one of that name; takes one out. False: nothing had to change.
[[nodiscard]] bool put_item(std::vector<Item>& items, Item item);
[[nodiscard]] bool remove_item(std::vector<Item>& items, std::string_view name);

// What write_index did. `problems` are what it passed over and why, a line each for people.
struct IndexReport {
  std::size_t boxes = 0;
  std::size_t documents = 0;
  std::vector<std::string> written;  // boxes whose index is new: "to/db1"
  std::vector<std::string> problems;
};

// Makes or refreshes the index of every box below a mailbox folder that a static server serves. Links are never
// followed, an index is replaced whole and only when it changes; one that is new can be read by everybody. Documents
// over kMaxDocument are passed over. Errors: `folder` cannot be read.
[[nodiscard]] Result<IndexReport> write_index(const std::string& folder);

}  // namespace jit
