// SPDX-License-Identifier: MIT
#include <array>
#include <span>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/library.h"

namespace sphere::cli {
namespace {

// One row for each noun with commands in this library.
constexpr std::array kNouns = {board_net_commands,
                               board_peripheral_net_commands,
                               device_net_commands,
                               device_app_net_commands,
                               device_network_net_commands,
                               device_wifi_net_commands,
                               device_certificate_net_commands,
                               device_recover_net_commands,
                               device_state_net_commands,
                               device_sideload_net_commands,
                               doctor_net_commands,
                               doctor_device_net_commands,
                               link_net_commands,
                               project_net_commands};

std::vector<NetCommand> collect() {
  std::vector<NetCommand> result;
  for (const auto& noun : kNouns) {
    const auto commands = noun();
    result.insert(result.end(), commands.begin(), commands.end());
  }
  return result;
}

}  // namespace
}  // namespace sphere::cli

const sphere::cli::NetTable* sphere_net_table() {
  static const std::vector<sphere::cli::NetCommand> commands = sphere::cli::collect();
  static const sphere::cli::NetTable table = {.version = sphere::cli::kNetVersion,
                                              .context_size = sizeof(sphere::cli::Context),
                                              .commands = commands.data(),
                                              .count = commands.size()};
  return &table;
}
