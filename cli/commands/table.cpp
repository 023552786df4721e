// SPDX-License-Identifier: MIT
#include "cli/commands/table.h"

#include <array>
#include <span>
#include <vector>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"

namespace sphere::cli {
namespace {

constexpr std::array kNouns = {
    Noun{.name = "board", .summary = "Make and run virtual boards", .commands = board_commands},
    Noun{.name = "device",
         .summary = "Work with an attached device: apps, packages, state",
         .commands = device_commands},
    Noun{.name = "hardware-definition",
         .summary = "Make and check the C headers of hardware definitions",
         .commands = hardware_definition_commands},
    Noun{.name = "image-package",
         .summary = "Make, show, check, sign and unpack image packages",
         .commands = image_package_commands},
    Noun{.name = "key", .summary = "Make and list signing keys", .commands = key_commands},
    Noun{.name = "link",
         .summary = "Reach boards over USB, serial lines and TCP",
         .commands = link_commands},
    Noun{.name = "project",
         .summary = "Make, build and run app projects",
         .commands = project_commands},
    Noun{.name = "doctor", .summary = "Check what this PC needs", .commands = doctor_commands},
    Noun{.name = "completion",
         .summary = "Print a completion script for bash, zsh or fish",
         .commands = completion_commands},
    Noun{.name = "show-sdk-version",
         .summary = "Show the version and the folder of the SDK",
         .commands = show_sdk_version_commands},
};

}  // namespace

std::span<const Noun> nouns() { return kNouns; }

std::vector<const CommandSpec*> all_commands() {
  std::vector<const CommandSpec*> result;
  for (const Noun& noun : nouns()) {
    for (const CommandSpec& command : noun.commands()) {
      result.push_back(&command);
    }
  }
  return result;
}

}  // namespace sphere::cli
