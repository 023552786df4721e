// SPDX-License-Identifier: MIT
// The rows of `sphere board`; the run functions stand in cli/net/board.cpp and
// cli/net/board_peripheral.cpp.
#include <array>
#include <span>
#include <string_view>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"

namespace sphere::cli {
namespace {

constexpr std::array kName = {PositionalSpec{.name = "NAME", .help = "Name of the board"}};

constexpr std::array<std::string_view, 2> kProfiles = {"development", "production"};
constexpr std::array kCreateOptions = {
    OptionSpec{.name = "board",
               .value_name = "ID",
               .help = "Kind of board, as its hardware definition is named",
               .default_text = "mt3620-rdb"},
    OptionSpec{.name = "profile",
               .value_name = "PROFILE",
               .help = "development takes packages of your developer key; production is locked",
               .default_text = "development",
               .choices = kProfiles},
    OptionSpec{.name = "port",
               .value_name = "PORT",
               .help = "TCP port on 127.0.0.1 for other clients of the device REST API"},
    OptionSpec{.name = "service-uart",
               .value_name = "PLACE",
               .help = "Service UART with its SLIP link: pty, or tcp:PORT on 127.0.0.1; without it "
                       "`sphere link` finds the board by itself"},
    OptionSpec{.name = "service-baud",
               .value_name = "BAUD",
               .help = "Modelled rate of the service UART, such as 921600; as fast as it goes "
                       "without it"},
    OptionSpec{.name = "service-faults",
               .value_name = "FAULTS",
               .help = "Faults of that line: drop=N,flip=N (per million bytes),seed=N"},
};
// As device::kBoardFaults has them; the command line links nothing of it.
constexpr std::array<std::string_view, 9> kFaults = {
    "erased-flash", "no-boot-record", "half-written", "flipped-bit", "lost-bytes",
    "noisy-line",   "slow-erase",     "unplugged",    "power-cut"};
constexpr std::array kFaultOptions = {
    OptionSpec{.name = "fault",
               .kind = OptionKind::list,
               .required = true,
               .value_name = "FAULT",
               .help = "What is wrong with the board, its flash or its recovery line",
               .choices = kFaults}};
constexpr OptionSpec kPeripheral = {
    .name = "peripheral", .required = true, .value_name = "NAME", .help = "Pin, such as gpio8"};
constexpr std::array kGetOptions = {kPeripheral};
constexpr std::array kSetOptions = {
    kPeripheral,
    OptionSpec{.name = "value",
               .required = true,
               .value_name = "VALUE",
               .help = "0, 1, press or press:MILLISECONDS (a button connects to ground)"}};
constexpr std::array kWatchOptions = {
    OptionSpec{.name = "peripheral", .value_name = "NAME", .help = "Only this pin"},
    OptionSpec{.name = "follow",
               .kind = OptionKind::flag,
               .help = "Go on until Ctrl-C, which watch does anyway"}};

constexpr std::array<std::string_view, 3> kCreateExamples = {
    "sphere board create demo", "sphere board create lab --board mt3620-rdb --port 4430",
    "sphere board create wire --service-uart pty --service-baud 921600"};
constexpr std::array<std::string_view, 1> kListExamples = {"sphere board list"};
constexpr std::array<std::string_view, 1> kShowExamples = {"sphere board show demo"};
constexpr std::array<std::string_view, 1> kStartExamples = {"sphere board start demo"};
constexpr std::array<std::string_view, 1> kStopExamples = {"sphere board stop demo"};
constexpr std::array<std::string_view, 1> kRestartExamples = {"sphere board restart demo"};
constexpr std::array<std::string_view, 2> kFaultExamples = {
    "sphere board inject-fault demo --fault erased-flash",
    "sphere board inject-fault demo --fault half-written noisy-line"};
constexpr std::array<std::string_view, 1> kDeleteExamples = {"sphere board delete demo --yes"};
constexpr std::array<std::string_view, 1> kPeripheralListExamples = {
    "sphere board peripheral list demo"};
constexpr std::array<std::string_view, 1> kGetExamples = {
    "sphere board peripheral get demo --peripheral gpio8"};
constexpr std::array<std::string_view, 2> kSetExamples = {
    "sphere board peripheral set demo --peripheral gpio12 --value 0",
    "sphere board peripheral set demo --peripheral gpio12 --value press:200"};
constexpr std::array<std::string_view, 2> kWatchExamples = {
    "sphere board peripheral watch demo",
    "sphere board peripheral watch demo --peripheral gpio8 --output json"};

constexpr std::array kCommands = {
    CommandSpec{.path = "board create",
                .summary = "Make a virtual board with a device identity of its own",
                .options = kCreateOptions,
                .positionals = kName,
                .examples = kCreateExamples},
    CommandSpec{.path = "board list",
                .summary = "List your virtual boards and whether they run",
                .examples = kListExamples},
    CommandSpec{.path = "board show",
                .summary = "Show one virtual board",
                .positionals = kName,
                .examples = kShowExamples},
    CommandSpec{.path = "board start",
                .summary = "Switch a virtual board on and wait until it answers",
                .positionals = kName,
                .examples = kStartExamples},
    CommandSpec{.path = "board stop",
                .summary = "Switch a virtual board off",
                .positionals = kName,
                .examples = kStopExamples},
    CommandSpec{.path = "board restart",
                .summary = "Switch a virtual board off and on",
                .positionals = kName,
                .examples = kRestartExamples},
    CommandSpec{.path = "board inject-fault",
                .summary = "Break a virtual board, to bring it back with sphere device recover",
                .options = kFaultOptions,
                .positionals = kName,
                .examples = kFaultExamples},
    CommandSpec{.path = "board delete",
                .summary = "Remove a stopped virtual board with its apps and its identity",
                .positionals = kName,
                .examples = kDeleteExamples,
                .confirm = "Delete board {0} with its apps, its storage and its device identity?",
                .confirm_without_terminal = true},
    CommandSpec{.path = "board peripheral list",
                .needs = Needs::device,
                .summary = "List the simulated peripherals of a running board",
                .positionals = kName,
                .examples = kPeripheralListExamples},
    CommandSpec{.path = "board peripheral get",
                .needs = Needs::device,
                .summary = "Show the level of a pin and which app uses it",
                .options = kGetOptions,
                .positionals = kName,
                .examples = kGetExamples},
    CommandSpec{.path = "board peripheral set",
                .needs = Needs::device,
                .summary = "Drive a pin from outside, or press a button",
                .options = kSetOptions,
                .positionals = kName,
                .examples = kSetExamples},
    CommandSpec{.path = "board peripheral watch",
                .needs = Needs::device,
                .summary = "Show each change of the pins until Ctrl-C",
                .options = kWatchOptions,
                .positionals = kName,
                .examples = kWatchExamples},
};

}  // namespace

std::span<const CommandSpec> board_commands() { return kCommands; }

}  // namespace sphere::cli
