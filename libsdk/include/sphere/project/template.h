// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"

namespace sphere::project {

struct TemplateInfo {
  std::string name;                    // "hl-blink"
  std::string kind;                    // "highLevel"
  std::vector<std::string> languages;  // "c"
  std::string description;
  std::filesystem::path directory;
};

// The templates below <sdk>/Templates, sorted by name. Errors: not_found (local.sdk-missing).
[[nodiscard]] Result<std::vector<TemplateInfo>> list_templates(
    const std::filesystem::path& sdk_directory);

struct NewProject {
  std::filesystem::path directory;  // Made; must be absent or empty.
  std::string template_name;
  std::string name;  // Of the app; empty: the directory's name. Becomes a CMake target.
  std::string board = "mt3620_rdb";  // Folder of hardware definitions.
  std::string language = "c";
};

// Copies a template with its placeholders filled in and a fresh component id. Appears complete or
// not at all. Returns the relative paths of the files. Errors: exists, not_found (template, board,
// with near names), invalid_argument.
[[nodiscard]] Result<std::vector<std::string>> create_project(
    const NewProject& request, const std::filesystem::path& sdk_directory);

}  // namespace sphere::project
