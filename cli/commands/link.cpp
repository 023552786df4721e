// SPDX-License-Identifier: MIT
// The rows of `sphere link`; the run functions stand in cli/net/link.cpp.
#include <array>
#include <span>
#include <string_view>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"

namespace sphere::cli {
namespace {

constexpr std::array kServeOptions = {
    OptionSpec{.name = "port",
               .value_name = "PORT",
               .help = "Port on 127.0.0.1 of the enumeration service",
               .default_text = "48938"},
    OptionSpec{.name = "no-http",
               .kind = OptionKind::flag,
               .help = "Serve boards without the enumeration service"},
    OptionSpec{.name = "until-down",
               .kind = OptionKind::flag,
               .help = "End when link down takes the interface away, as link up starts it"}};
constexpr std::array kUpOptions = {OptionSpec{.name = "interface",
                                              .value_name = "NAME",
                                              .help = "Name of the interface",
                                              .default_text = "sl0"}};
constexpr std::array kForwardOptions = {
    OptionSpec{.name = "local",
               .required = true,
               .value_name = "PORT",
               .help = "Port on 127.0.0.1; 0 takes a free one"},
    OptionSpec{
        .name = "remote", .required = true, .value_name = "PORT", .help = "Port of the board"}};
constexpr std::array kTraceOptions = {OptionSpec{.name = "output-file",
                                                 .short_name = "of",
                                                 .required = true,
                                                 .value_name = "FILE",
                                                 .help = "The pcap file, of raw IP packets"}};

constexpr std::array<std::string_view, 1> kListExamples = {"sphere link list"};
constexpr std::array<std::string_view, 2> kServeExamples = {"sphere link serve",
                                                            "sphere link serve --no-http"};
constexpr std::array<std::string_view, 1> kStatusExamples = {"sphere link status"};
constexpr std::array<std::string_view, 1> kUpExamples = {"sudo -E sphere link up"};
constexpr std::array<std::string_view, 1> kDownExamples = {"sphere link down"};
constexpr std::array<std::string_view, 1> kForwardExamples = {
    "sphere link forward --local 2345 --remote 2345 --device 1243"};
constexpr std::array<std::string_view, 1> kTraceExamples = {
    "sphere link trace --output-file board.pcap --device 1243"};

constexpr std::array kCommands = {
    CommandSpec{.path = "link list",
                .summary = "List the boards and links that can be used, and who holds them",
                .examples = kListExamples},
    CommandSpec{.path = "link serve",
                .summary = "Hold the boards for all commands and programs until Ctrl-C",
                .options = kServeOptions,
                .examples = kServeExamples},
    CommandSpec{.path = "link status",
                .summary = "Show the boards that link serve holds, with their counters",
                .examples = kStatusExamples},
    CommandSpec{.path = "link up",
                .summary = "Make the network interface with 192.168.35.1, which reaches the boards",
                .options = kUpOptions,
                .examples = kUpExamples},
    CommandSpec{.path = "link down",
                .summary = "Take the network interface away",
                .examples = kDownExamples},
    CommandSpec{.path = "link forward",
                .needs = Needs::device,
                .summary = "Lead a port of this PC to a port of the board until Ctrl-C",
                .options = kForwardOptions,
                .examples = kForwardExamples},
    CommandSpec{.path = "link trace",
                .needs = Needs::device,
                .summary = "Record the packets of a board that link serve holds until Ctrl-C",
                .options = kTraceOptions,
                .examples = kTraceExamples},
};

}  // namespace

std::span<const CommandSpec> link_commands() { return kCommands; }

}  // namespace sphere::cli
