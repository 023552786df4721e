// SPDX-License-Identifier: MIT
// The rows of `sphere device`; the run functions stand in cli/net/device*.cpp.
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"

namespace sphere::cli {
namespace {

constexpr OptionSpec kComponent = {.name = "component-id",
                                   .short_name = "i",
                                   .value_name = "ID",
                                   .help = "The app; without it, all apps"};

constexpr std::array kRestartOptions = {OptionSpec{
    .name = "wait", .kind = OptionKind::flag, .help = "Wait until the device answers again"}};
constexpr std::array kListInstalledOptions = {
    OptionSpec{.name = "all", .kind = OptionKind::flag, .help = "Not only apps"}};
constexpr std::array kDeployOptions = {
    OptionSpec{.name = "image-package",
               .short_name = "p",
               .required = true,
               .value_name = "FILE",
               .help = "Package to send"},
    OptionSpec{.name = "manual-start",
               .short_name = "m",
               .kind = OptionKind::flag,
               .help = "Leave the app stopped"},
    OptionSpec{.name = "force",
               .kind = OptionKind::flag,
               .help = "Also send a package for a beta API set, or one whose program this "
                       "PC takes for unfit for the board"},
};
constexpr std::array kDeleteOptions = {kComponent, OptionSpec{.name = "except-component-ids",
                                                              .short_name = "e",
                                                              .kind = OptionKind::list,
                                                              .value_name = "ID",
                                                              .help = "Apps that stay"}};
constexpr std::array kAppOptions = {kComponent};
constexpr std::array kStatusOptions = {
    kComponent, OptionSpec{.name = "symbols",
                           .value_name = "FILE",
                           .help = "The app's program with its symbols (NAME.out of the build "
                                   "folder): names the function and line of a crash"}};
constexpr std::array kStartOptions = {
    kComponent, OptionSpec{.name = "debug-mode",
                           .kind = OptionKind::flag,
                           .help = "Start the app under the debugger; it waits for gdb"}};
constexpr std::array kOutputOptions = {
    OptionSpec{.name = "component-id",
               .short_name = "i",
               .value_name = "ID",
               .help = "The app; needed when several are installed"},
    OptionSpec{.name = "follow",
               .kind = OptionKind::flag,
               .help = "Show what the app prints from now on, too, until Ctrl-C"},
    OptionSpec{.name = "lines", .value_name = "N", .help = "At most the last N stored lines"}};

constexpr std::array kRecoverOptions = {
    OptionSpec{.name = "images",
               .short_name = "i",
               .required = true,
               .value_name = "DIR|ZIP",
               .help = "The recovery set: a folder or a zip archive"},
    OptionSpec{.name = "capability",
               .short_name = "c",
               .value_name = "FILE",
               .help = "Capability file for the board"},
    OptionSpec{.name = "dry-run",
               .kind = OptionKind::flag,
               .help = "Check the set and print the plan; nothing is sent"},
    OptionSpec{.name = "verify-only",
               .kind = OptionKind::flag,
               .help = "Compare what the board holds with the set; nothing is written"},
    OptionSpec{.name = "protocol",
               .value_name = "ID",
               .help = "Recovery protocol; without it, as the set says"},
    OptionSpec{
        .name = "board", .value_name = "ID", .help = "Refuse a set that is for another board"},
    OptionSpec{.name = "all",
               .kind = OptionKind::flag,
               .help = "Recover every board that is found, all at the same time"},
    OptionSpec{.name = "port",
               .kind = OptionKind::list,
               .value_name = "DEV|tcp:H:P",
               .help = "Serial device or TCP port of the recovery UART, instead of USB; give it "
                       "again for more boards"},
    OptionSpec{.name = "manual",
               .kind = OptionKind::flag,
               .help = "A person works the recovery strap and the reset button"},
    OptionSpec{.name = "write-all",
               .kind = OptionKind::flag,
               .help = "Write also what the board holds already"},
    OptionSpec{.name = "keep-data",
               .kind = OptionKind::flag,
               .help = "Leave apps and data on boards whose loader can"},
    OptionSpec{.name = "allow-mass-erase",
               .kind = OptionKind::flag,
               .help = "Permit erasing all of a chip that is protected against reading"},
    OptionSpec{.name = "no-resume",
               .kind = OptionKind::flag,
               .help = "Do not look at what the last run on this board left"},
    OptionSpec{.name = "no-wait-boot",
               .kind = OptionKind::flag,
               .help = "Do not wait until the board has booted"},
    OptionSpec{.name = "events",
               .value_name = "FILE",
               .help = "Append all events as lines of JSON; - is standard error"},
    OptionSpec{.name = "log-frames",
               .value_name = "FILE",
               .help = "Append what passes between board and PC, with times"}};

constexpr std::array<std::string_view, 3> kRecoverExamples = {
    "sphere device recover --images mt3620an.zip",
    "sphere device recover -i mt3620an.zip --dry-run",
    "sphere device recover -i set --port tcp:127.0.0.1:5000 --no-wait-boot"};
constexpr std::array<std::string_view, 2> kListExamples = {
    "sphere device list-attached", "sphere device list-attached --output json"};
constexpr std::array<std::string_view, 2> kShowExamples = {
    "sphere device show-attached", "sphere device show-attached --device vb-demo"};
constexpr std::array<std::string_view, 1> kOsExamples = {"sphere device show-os-version"};
constexpr std::array<std::string_view, 1> kRestartExamples = {"sphere device restart --wait"};
constexpr std::array<std::string_view, 2> kInstalledExamples = {
    "sphere device image list-installed", "sphere device image list-installed --all"};
constexpr std::array<std::string_view, 2> kDeployExamples = {
    "sphere device sideload deploy --image-package blink.imagepackage",
    "sphere device sideload deploy -p blink.imagepackage --manual-start"};
constexpr std::array<std::string_view, 2> kDeleteExamples = {
    "sphere device sideload delete",
    "sphere device sideload delete --component-id 005180bc-402f-4cb3-a662-72937dbcde47"};
constexpr std::array<std::string_view, 2> kStartExamples = {
    "sphere device app start",
    "sphere device app start --component-id 005180bc-402f-4cb3-a662-72937dbcde47"};
constexpr std::array<std::string_view, 1> kStopExamples = {
    "sphere device app stop --component-id 005180bc-402f-4cb3-a662-72937dbcde47"};
constexpr std::array<std::string_view, 2> kStatusExamples = {
    "sphere device app show-status",
    "sphere device app show-status --symbols out/ARM-Debug/blink.out"};
constexpr std::array<std::string_view, 2> kOutputExamples = {
    "sphere device app show-output", "sphere device app show-output --follow --lines 10"};

constexpr std::array kCommands = {
    CommandSpec{.path = "device list-attached",
                .summary = "List the devices that can be reached now",
                .examples = kListExamples},
    CommandSpec{.path = "device show-attached",
                .needs = Needs::device,
                .summary = "Show what the device says about itself",
                .examples = kShowExamples},
    CommandSpec{.path = "device show-os-version",
                .needs = Needs::device,
                .summary = "Show the version of the device's OS",
                .examples = kOsExamples},
    CommandSpec{.path = "device restart",
                .needs = Needs::device,
                .summary = "Restart the device",
                .options = kRestartOptions,
                .examples = kRestartExamples},
    CommandSpec{
        .path = "device recover",
        .needs = Needs::device,
        .summary = "Bring a board back that does not start: erase it and write all its software",
        .options = kRecoverOptions,
        .examples = kRecoverExamples,
        .confirm = "Recovery erases the board: all its apps and Wi-Fi settings. Go on?"},
    CommandSpec{.path = "device image list-installed",
                .needs = Needs::device,
                .summary = "List the images on the device",
                .options = kListInstalledOptions,
                .examples = kInstalledExamples},
    CommandSpec{.path = "device sideload deploy",
                .needs = Needs::device,
                .summary = "Check a package, send it to the device, install and start it",
                .options = kDeployOptions,
                .examples = kDeployExamples},
    CommandSpec{.path = "device sideload delete",
                .needs = Needs::device,
                .summary = "Delete one app or all apps from the device",
                .options = kDeleteOptions,
                .examples = kDeleteExamples},
    CommandSpec{.path = "device app start",
                .needs = Needs::device,
                .summary = "Start one app or all apps",
                .options = kStartOptions,
                .examples = kStartExamples},
    CommandSpec{.path = "device app stop",
                .needs = Needs::device,
                .summary = "Stop one app or all apps",
                .options = kAppOptions,
                .examples = kStopExamples},
    CommandSpec{.path = "device app show-status",
                .needs = Needs::device,
                .summary = "Show whether apps run, how they ended last, and their debug ports",
                .options = kStatusOptions,
                .examples = kStatusExamples},
    CommandSpec{.path = "device app show-output",
                .needs = Needs::device,
                .summary = "Show what an app has printed",
                .options = kOutputOptions,
                .examples = kOutputExamples},
};

}  // namespace

std::span<const CommandSpec> device_commands() {
  static const std::vector<CommandSpec> all = [] {
    std::vector<CommandSpec> rows{kCommands.begin(), kCommands.end()};
    const auto more = device_settings_commands();
    rows.insert(rows.end(), more.begin(), more.end());
    return rows;
  }();
  return all;
}

}  // namespace sphere::cli
