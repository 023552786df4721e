// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "sphere/core/descriptor.h"

namespace sphere::test {

// A pseudo-terminal, whose slave stands for a serial device.
struct Pty {
  Descriptor master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  std::string slave = [this] {
    ::grantpt(master.get());
    ::unlockpt(master.get());
    const char* const name = ::ptsname(master.get());  // NOLINT(concurrency-mt-unsafe)
    return std::string{name == nullptr ? "" : name};
  }();
};

}  // namespace sphere::test
