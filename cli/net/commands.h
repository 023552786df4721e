// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "cli/commands/command.h"

// The commands of each noun whose run functions stand in libsphere_net.so, defined in
// cli/net/<noun>.cpp; listed in cli/net/table.cpp.
namespace sphere::cli {

[[nodiscard]] std::span<const NetCommand> board_net_commands();
[[nodiscard]] std::span<const NetCommand> board_peripheral_net_commands();
[[nodiscard]] std::span<const NetCommand> device_net_commands();
[[nodiscard]] std::span<const NetCommand> device_app_net_commands();
[[nodiscard]] std::span<const NetCommand> device_network_net_commands();
[[nodiscard]] std::span<const NetCommand> device_wifi_net_commands();
[[nodiscard]] std::span<const NetCommand> device_certificate_net_commands();
[[nodiscard]] std::span<const NetCommand> device_recover_net_commands();
[[nodiscard]] std::span<const NetCommand> device_state_net_commands();
[[nodiscard]] std::span<const NetCommand> device_sideload_net_commands();
[[nodiscard]] std::span<const NetCommand> doctor_net_commands();
[[nodiscard]] std::span<const NetCommand> doctor_device_net_commands();
[[nodiscard]] std::span<const NetCommand> link_net_commands();
[[nodiscard]] std::span<const NetCommand> project_net_commands();

}  // namespace sphere::cli
