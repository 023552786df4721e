// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/device/direct_link.h"
#include "sphere/device/virtual_board.h"

namespace sphere::cli {

// A setting and where its value comes from: "SPHERE_OUTPUT", a file's path, or "" for none.
struct Setting {
  std::string value;
  std::string origin;
};

// What the environment and the configuration files say (docs/how-to/configuration.md). The
// environment wins over the project's file, that over the user's, that over the system's.
struct Settings {
  Setting output;
  Setting color;  // "auto", "always", "never"
  Setting device;
  Setting sdk_directory;
  Setting sign_key;
  Setting progress;
  // Files and directories of trusted keys, absolute. Never from a project's file.
  std::vector<std::string> trust;
  std::string token_module;  // pkcs11.module, absolute. Never from a project's file.
  device::LinkSettings link;
  std::vector<std::uint16_t> allow_inbound;  // link.allowInbound: ports that boards may reach.
  std::vector<std::string> warnings;
};

// Where settings come from; main fills it from the environment.
struct SettingsPlaces {
  std::filesystem::path system_file = "/etc/sphere/config.json";
  std::filesystem::path user_file;  // Empty: none.
  std::filesystem::path current_directory;
};

[[nodiscard]] SettingsPlaces settings_places();

// Errors: corrupt with file, line and column for a file that is no JSON or has a value of a wrong
// type; permission, io. Missing files are fine, unknown keys become warnings.
[[nodiscard]] Result<Settings> load_settings(const SettingsPlaces& places);

// The directories of this user; empty paths without HOME and XDG variables.
[[nodiscard]] device::UserDirectories user_directories();

// The SDK: what the settings name, else the folder beside the program, else /opt/azurespheresdk.
// Empty when none of them is there.
[[nodiscard]] std::filesystem::path find_sdk(const Settings& settings,
                                             const std::filesystem::path& program);

}  // namespace sphere::cli
