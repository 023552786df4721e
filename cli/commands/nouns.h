// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "cli/commands/command.h"

// The commands of each noun, defined in cli/commands/<noun>.cpp; listed in table.cpp.
namespace sphere::cli {

[[nodiscard]] std::span<const CommandSpec> board_commands();
[[nodiscard]] std::span<const CommandSpec> completion_commands();
[[nodiscard]] std::span<const CommandSpec> device_commands();
// A part of them that has a file of its own.
[[nodiscard]] std::span<const CommandSpec> device_settings_commands();
[[nodiscard]] std::span<const CommandSpec> doctor_commands();
[[nodiscard]] std::span<const CommandSpec> hardware_definition_commands();
[[nodiscard]] std::span<const CommandSpec> image_package_commands();
[[nodiscard]] std::span<const CommandSpec> key_commands();
[[nodiscard]] std::span<const CommandSpec> link_commands();
[[nodiscard]] std::span<const CommandSpec> project_commands();
[[nodiscard]] std::span<const CommandSpec> show_sdk_version_commands();

}  // namespace sphere::cli
