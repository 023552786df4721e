// SPDX-License-Identifier: MIT
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/doctor/check.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

struct Area {
  std::string_view name;
  std::vector<doctor::Check> (*run)(const Context& context);
};
constexpr std::array kAreas = {
    Area{.name = "sdk", .run = doctor::check_sdk},
    Area{.name = "virtual-board", .run = doctor::check_virtual_board},
    Area{.name = "device", .run = doctor::check_device},
    Area{.name = "clock", .run = doctor::check_clock},
    Area{.name = "ports", .run = doctor::check_ports},
};
constexpr std::array<std::string_view, 5> kAreaNames = {"sdk", "virtual-board", "device", "clock",
                                                        "ports"};

json::Value to_row(const doctor::Check& check) {
  json::Value row;
  row.set("check", check.name);
  row.set("result", doctor::to_text(check.verdict));
  row.set("detail", check.detail);
  row.set("next", check.next.empty() ? json::Value{} : json::Value{check.next});
  return row;
}

Result<Output> run(Context& context, const Arguments& arguments) {
  Output output{.data = json::Array{},
                .columns = {{.key = "check", .heading = "Check"},
                            {.key = "result", .heading = "Result"},
                            {.key = "detail", .heading = "Detail"},
                            {.key = "next", .heading = "Next"}}};
  const auto only = arguments.value("only");
  for (const Area& area : kAreas) {
    if (only && *only != area.name) {
      continue;
    }
    if (context.interrupted) {
      return fail(Errc::cancelled, "stopped");
    }
    context.reporter.step(fmt::format("Checking {}", area.name));
    for (const doctor::Check& check : area.run(context)) {
      output.data.push(to_row(check));
      output.verdict_failed = output.verdict_failed || check.verdict == doctor::Verdict::fail;
    }
  }
  return output;
}

constexpr std::array kOptions = {OptionSpec{
    .name = "only", .value_name = "AREA", .help = "Check one area", .choices = kAreaNames}};
constexpr std::array<std::string_view, 2> kExamples = {"sphere doctor",
                                                       "sphere doctor --only virtual-board"};
constexpr std::array kCommands = {
    CommandSpec{.path = "doctor",
                .summary = "Check what this PC needs to build apps and run virtual boards",
                .options = kOptions,
                .examples = kExamples,
                .run = run},
};

}  // namespace

namespace doctor {
std::string_view to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::fail:
      return "fail";
    case Verdict::skip:
      break;
  }
  return "skip";
}
}  // namespace doctor

std::span<const CommandSpec> doctor_commands() { return kCommands; }

}  // namespace sphere::cli
