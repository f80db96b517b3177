// An /etc of our own, in a mount namespace of our own, for tests that let the real tools loose on it: gpasswd, grpck,
// getent, visudo, sudo. Nothing of the machine's own /etc or /run is touched; the destructor goes back.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "tests/unit/sys/support.hpp"

namespace jit::hosttest {

class PrivateEtc {
 public:
  // nullptr when that is not allowed here (not root, or in a container without mounts).
  static std::unique_ptr<PrivateEtc> make() {
    std::unique_ptr<PrivateEtc> etc(new PrivateEtc);
    return etc->ready_ ? std::move(etc) : nullptr;
  }
  PrivateEtc(const PrivateEtc&) = delete;
  PrivateEtc& operator=(const PrivateEtc&) = delete;
  ~PrivateEtc() {
    if (!before_) return;
    (void)!::setns(before_.get(), CLONE_NEWNS);
    (void)!::fchdir(cwd_.get());
  }

 private:
  PrivateEtc() {
    if (::geteuid() != 0) return;
    UniqueFd before(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    cwd_.reset(::open(".", O_PATH | O_CLOEXEC));
    if (!before || ::unshare(CLONE_NEWNS) != 0) return;
    before_ = std::move(before);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    // A copy on tmpfs; /mnt is hidden by it in here, nothing is written there.
    if (::mount("etc", "/mnt", "tmpfs", 0, "mode=0755") != 0) return;
    if (run({"/bin/cp", "-a", "/etc/.", "/mnt/"})->exit_status != 0) return;
    if (::mount("/mnt", "/etc", nullptr, MS_BIND, nullptr) != 0) return;
    if (::mount("run", "/run", "tmpfs", 0, "mode=0755") != 0) return;
    (void)!::fchdir(cwd_.get());
    // sudo looks up the host that it runs on; no test waits for a name server.
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) == 0)
      std::ofstream("/etc/hosts", std::ios::app) << "127.0.1.1 " << name << '\n';
    ready_ = true;
  }

  UniqueFd before_, cwd_;
  bool ready_ = false;
};

}  // namespace jit::hosttest
