#include "jitd/sync/confine.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace jit {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;  // no filter: what rlimits do stays
#endif

// A list of what is refused, not of what is allowed: the C library may use another call for the same any day.
constexpr std::array kRefused = {
    SYS_execve,
    SYS_execveat,
    SYS_clone,
    SYS_clone3,
    SYS_socket,
    SYS_socketpair,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    SYS_kill,
    SYS_tkill,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_mount,
    SYS_umount2,
    SYS_move_mount,
    SYS_fsopen,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
#endif
};

Result<void> refuse_calls() {
  if (kArchitecture == 0) return {};
  constexpr auto load = [](std::size_t offset) {
    return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
  };
  std::vector<sock_filter> program = {
      load(offsetof(seccomp_data, arch)),
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
      load(offsetof(seccomp_data, nr)),
      // The same calls by other numbers: x32 on x86-64.
      {BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000U},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
  };
  for (const long call : kRefused) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
    program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return fail_errno(errno, "seccomp");
  return {};
}

}  // namespace

Result<void> confine() {
  struct Limit {
    __rlimit_resource what;
    rlim_t most;
  };
  constexpr rlim_t kMiB = rlim_t{1} << 20;
  // Processor time: what an endless loop of ours may take; ten minutes of service take a fraction of it.
  constexpr std::array<Limit, 6> limits = {{{RLIMIT_CORE, 0},
                                            {RLIMIT_NPROC, 0},
                                            {RLIMIT_NOFILE, 32},
                                            {RLIMIT_FSIZE, kMiB / 8},
                                            {RLIMIT_AS, 512 * kMiB},
                                            {RLIMIT_CPU, 120}}};
  for (const Limit& limit : limits) {
    const rlimit value{limit.most, limit.most};
    if (::setrlimit(limit.what, &value) != 0) return fail_errno(errno, "setrlimit");
  }
  if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail_errno(errno, "prctl");
  return refuse_calls();
}

}  // namespace jit
