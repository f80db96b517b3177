// How many descriptors we may have.
#pragma once

#include <sys/resource.h>

namespace jit {

// As many as the hard limit allows (getrlimit(2)): the soft one is for programs that go by select(2).
inline void use_all_descriptors() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace jit
