// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "cli/context.h"
#include "sphere/device/attached.h"

namespace sphere::cli {

// Where `device capability apply` keeps the file that goes with each command for this device.
[[nodiscard]] inline std::filesystem::path applied_capability(
    const Context& context, const device::AttachedDevice& device) {
  const auto& name = device.device_id.empty() ? device.connection_path : device.device_id;
  return context.directories.state / "capabilities" / (name + ".cap");
}

}  // namespace sphere::cli
