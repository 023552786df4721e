// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::project {

struct BuildRequest {
  std::filesystem::path directory;
  std::string preset = "ARM-Debug";
  std::filesystem::path sdk_directory;
  // Set while it runs (by a signal): the tools are stopped and the build ends as cancelled.
  const std::atomic<bool>* interrupted = nullptr;
};

struct Built {
  // *.imagepackage below the build folder, sorted; those that were made before and are still right
  // included.
  std::vector<std::filesystem::path> packages;
  std::filesystem::path log;
};

// Runs `cmake --preset` and `cmake --build` of a project with AzureSphereDefaultSDKDir set. The
// tools' output goes to <directory>/out/<preset>/sphere-build.log and, on failure, its last lines
// into the error. Errors: not_found (no CMakePresets.json, preset with near names, cmake, SDK), io
// (configuring or building failed), cancelled.
[[nodiscard]] Result<Built> build(const BuildRequest& request);

}  // namespace sphere::project
