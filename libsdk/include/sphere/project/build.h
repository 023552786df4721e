// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::project {

struct BuildRequest {
  std::filesystem::path directory;
  std::string preset = "ARM-Debug";
  std::filesystem::path sdk_directory;
  std::filesystem::path tool;  // The sphere program that packs; empty: the SDK's.
};

struct Built {
  std::vector<std::filesystem::path> packages;  // *.imagepackage of this build, newest last.
  std::filesystem::path log;
};

// Runs `cmake --preset` and `cmake --build` of a project with AzureSphereDefaultSDKDir set. The
// tools' output goes to a log file in the build folder and, on failure, its last lines into the
// error. Errors: not_found (no CMakePresets.json, preset, cmake, ninja), io (build failed).
[[nodiscard]] Result<Built> build(const BuildRequest& request);

}  // namespace sphere::project
