// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <span>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

#include "device-agent/agent/sandbox/call_filter.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

FilterProgram read_filter(off_t offset, std::size_t most) {
  FilterProgram program(std::min<std::size_t>(most, BPF_MAXINSNS));
  const auto count =
      ::pread(kFilterDescriptor, program.data(), program.size() * sizeof(sock_filter), offset);
  program.resize(count > 0 ? static_cast<std::size_t>(count) / sizeof(sock_filter) : 0);
  return program;
}

Step load_filter(std::span<const sock_filter> program) {
  std::vector<sock_filter> copy{program.begin(), program.end()};
  const sock_fprog whole = {.len = static_cast<unsigned short>(copy.size()), .filter = copy.data()};
  return require(!copy.empty() && copy.size() <= BPF_MAXINSNS &&
                     ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &whole) == 0,
                 "L10", "load the system-call filter");
}

}  // namespace sphere::agent
