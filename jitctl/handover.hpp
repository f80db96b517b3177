// Documents of many files handed to jitd one by one, and what became of each: a line a file, or one JSON list.
#pragma once

#include <string>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

class Handover {
 public:
  explicit Handover(Context& context) : context_(context) {}

  // Hands over what was read of `file` and says what it did. What jitd refuses, or could not be read, is told and
  // counts; an error: jitd is not there, and the rest need not be tried.
  [[nodiscard]] Result<void> take(const std::string& file, const Result<std::string>& text);

  // Something that is no document's fault went wrong: it is told on standard error, and counts.
  void complain_of(const std::string& message);

  [[nodiscard]] std::size_t files() const { return files_; }

  // The JSON list where that is asked for. Exit::done, or the last file's trouble.
  [[nodiscard]] Exit finish();

 private:
  Context& context_;
  Exit worst_ = Exit::done;
  std::size_t files_ = 0;
  std::vector<std::string> objects_;
};

}  // namespace jit::ctl
