// A child that we speak with for as long as we like, such as ssh: one socket is its standard input and output. Its
// standard error is ours and so is its terminal, for questions that it has for a person.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

namespace spawning {
class Child;
}

class Dialogue {
 public:
  // argv[0] by its absolute path; nothing but `environment`; signals as a new process expects them.
  [[nodiscard]] static Result<std::unique_ptr<Dialogue>> start(std::vector<std::string> argv,
                                                               std::vector<std::string> environment);
  ~Dialogue();  // end()
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;

  // Readable when it has said something, or has ended.
  [[nodiscard]] int descriptor() const { return socket_.get(); }

  // Says all of it, by `until_ms` of the boot-time clock. Errc::unavailable: it does not listen, or is gone.
  [[nodiscard]] Result<void> say(std::string_view bytes, std::uint64_t until_ms);

  // Waits for what it says, and returns it as it comes, at most 64 KiB. Errc::unavailable: nothing came by then, or
  // nothing more will.
  [[nodiscard]] Result<std::string> hear(std::uint64_t until_ms);

  // Hangs up. A child that does not end within a second is told to (SIGTERM), and another second later killed. Its
  // exit status, 128 + signal; the same again when called again.
  int end() noexcept;

 private:
  Dialogue(UniqueFd socket, std::unique_ptr<spawning::Child> child, std::string program);
  UniqueFd socket_;
  std::unique_ptr<spawning::Child> child_;
  std::string program_;
  int status_ = -1;
};

// The boot-time clock (CLOCK_BOOTTIME), ms.
[[nodiscard]] std::uint64_t boot_time_ms() noexcept;

}  // namespace jit
