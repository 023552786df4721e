// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include "device-agent/agent/sandbox/policy.h"

namespace sphere::agent {

// Finds out what the kernel gives by doing it, each in a process of its own that ends at once.
// `staging` is an empty directory to mount on. To be called with the rights and in the mount
// namespace in which apps are started, before the first thread. Controllers and firewall are not
// looked at.
[[nodiscard]] KernelFeatures probe_kernel(const std::filesystem::path& staging);

}  // namespace sphere::agent
