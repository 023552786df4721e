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
#include "cli/net/library.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

struct Area {
  std::string_view name;
  std::vector<doctor::Check> (*run)(Context& context);
};
constexpr std::array kAreas = {
    Area{.name = "link", .run = doctor::check_link},
    Area{.name = "sdk", .run = doctor::check_sdk},
    Area{.name = "virtual-board", .run = doctor::check_virtual_board},
    Area{.name = "device", .run = doctor::check_device},
    Area{.name = "clock", .run = doctor::check_clock},
    Area{.name = "ports", .run = doctor::check_ports},
    Area{.name = "crypto", .run = doctor::check_crypto},
};
constexpr std::array<std::string_view, 7> kAreaNames = {"link",  "sdk",   "virtual-board", "device",
                                                        "clock", "ports", "crypto"};

json::Value to_row(const doctor::Check& check) {
  json::Value row;
  row.set("check", check.name);
  row.set("result", doctor::to_text(check.verdict));
  row.set("detail", check.detail);
  row.set("next", check.next.empty() ? json::Value{} : json::Value{check.next});
  return row;
}

Result<Output> run(Context& context, const Arguments& arguments) {
  if (arguments.has("print-udev") || arguments.has("install-udev")) {
    SPHERE_TRY_ASSIGN(const Run udev, load_net_command(context.own_program, "doctor udev"));
    return udev(context, arguments);
  }
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

constexpr std::array kOptions = {
    OptionSpec{
        .name = "only", .value_name = "AREA", .help = "Check one area", .choices = kAreaNames},
    OptionSpec{.name = "print-udev",
               .kind = OptionKind::flag,
               .help = "Print the udev rule that lets users open boards on USB"},
    OptionSpec{
        .name = "install-udev", .kind = OptionKind::flag, .help = "Install that rule; needs root"}};
constexpr std::array<std::string_view, 3> kExamples = {
    "sphere doctor", "sudo sphere doctor --install-udev", "sphere doctor --only virtual-board"};
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

// Some rungs need network and USB code, which stands in libsphere_net.so.
std::vector<Check> net_checks(Context& context, std::string_view command, std::string_view area) {
  const auto failed = [area](const Error& error) {
    return std::vector{Check{.name = fmt::format("{}: library", area),
                             .verdict = Verdict::fail,
                             .detail = error.message(),
                             .next = error.hint().next}};
  };
  const auto run = load_net_command(context.own_program, command);
  if (!run) {
    return failed(run.error());
  }
  const auto output = (*run)(context, {});
  if (!output) {
    return failed(output.error());
  }
  std::vector<Check> checks;
  for (const json::Value& row : output->data.items()) {
    const std::string verdict = row.string_at("result").value_or("");
    checks.push_back({.name = row.string_at("check").value_or(""),
                      .verdict = verdict == "ok"     ? Verdict::ok
                                 : verdict == "warn" ? Verdict::warn
                                 : verdict == "fail" ? Verdict::fail
                                                     : Verdict::skip,
                      .detail = row.string_at("detail").value_or(""),
                      .next = row.string_at("next").value_or("")});
  }
  return checks;
}

std::vector<Check> check_link(Context& context) {
  return net_checks(context, "doctor link", "link");
}
}  // namespace doctor

std::span<const CommandSpec> doctor_commands() { return kCommands; }

}  // namespace sphere::cli
