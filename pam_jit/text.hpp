// Text in a fixed buffer: what pam_jit says to users and logs, without a heap. What does not fit is cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jit::pam {

// Appends `from` to into[used..] and returns the new length. Bytes that are not printable UTF-8 become '?': control
// characters (LF is kept where `lines`, tab becomes a space), C1, bidi and zero-width characters, broken sequences.
// What does not fit whole is left out. Never writes past into[size - 1].
std::size_t append_clean(char* into, std::size_t size, std::size_t used, std::string_view from, bool lines) noexcept;

template <std::size_t Size>
class Text {
 public:
  Text& add(std::string_view from) noexcept { return append(from, false); }
  Text& add_lines(std::string_view from) noexcept { return append(from, true); }
  [[nodiscard]] const char* c_str() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return used_ == 0; }

 private:
  Text& append(std::string_view from, bool lines) noexcept {
    used_ = append_clean(bytes_, Size, used_, from, lines);
    bytes_[used_] = '\0';
    return *this;
  }
  char bytes_[Size] = {};
  std::size_t used_ = 0;
};

}  // namespace jit::pam
