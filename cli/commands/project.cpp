// SPDX-License-Identifier: MIT
#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/project/build.h"
#include "sphere/project/template.h"

namespace sphere::cli {
namespace {

json::Value to_list(const std::vector<std::string>& texts) {
  return json::Array(texts.begin(), texts.end());
}

Result<Output> list_templates(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto templates, project::list_templates(context.sdk_directory));
  Output output{.data = json::Array{},
                .columns = {{.key = "name", .heading = "Name"},
                            {.key = "kind", .heading = "Kind"},
                            {.key = "language", .heading = "Language"},
                            {.key = "description", .heading = "Description"}}};
  for (const project::TemplateInfo& info : templates) {
    json::Value row;
    row.set("name", info.name);
    row.set("kind", info.kind);
    row.set("language", join(info.languages, ", "));
    row.set("description", info.description);
    output.data.push(row);
  }
  return output;
}

Result<Output> new_project(Context& context, const Arguments& arguments) {
  const std::filesystem::path directory = arguments.positional(0);
  SPHERE_TRY_ASSIGN(const auto absolute, absolute_path(directory));
  SPHERE_TRY_ASSIGN(
      const auto files,
      project::create_project({.directory = directory,
                               .template_name = arguments.value("template").value_or(""),
                               .name = arguments.value("name").value_or(""),
                               .board = arguments.value("board").value_or(""),
                               .language = arguments.value("language").value_or("")},
                              context.sdk_directory));
  Output output;
  output.data.set("directory", absolute.string());
  output.data.set("files", to_list(files));
  output.text = fmt::format("Made {} with {} files. Build it: sphere project build {}",
                            escape_control(directory.string()), files.size(),
                            escape_control(directory.string()));
  return output;
}

Result<Output> build(Context& context, const Arguments& arguments) {
  const std::string directory = arguments.positional(0).empty() ? "." : arguments.positional(0);
  const std::string preset = arguments.value("preset").value_or("");
  context.reporter.step(fmt::format("Building {} with preset {}", directory, preset));
  SPHERE_TRY_ASSIGN(auto absolute, absolute_path(directory));
  SPHERE_TRY_ASSIGN(const auto built, project::build({.directory = std::move(absolute),
                                                      .preset = preset,
                                                      .sdk_directory = context.sdk_directory,
                                                      .interrupted = &context.interrupted}));
  std::vector<std::string> packages;
  packages.reserve(built.packages.size());
  for (const auto& package : built.packages) {
    packages.push_back(package.string());
  }
  Output output;
  output.data.set("packages", to_list(packages));
  output.data.set("log", built.log.string());
  output.text = packages.empty() ? "Built; the preset makes no package."
                                 : escape_control(join(packages, ", "));
  return output;
}

constexpr OptionSpec kPreset = {.name = "preset",
                                .value_name = "NAME",
                                .help = "Configure preset of CMakePresets.json",
                                .default_text = "ARM-Debug"};

constexpr std::array kNewOptions = {
    OptionSpec{.name = "template",
               .short_name = "t",
               .value_name = "NAME",
               .help = "Template to start from, see list-templates",
               .default_text = "hl-blink"},
    OptionSpec{.name = "name",
               .short_name = "n",
               .value_name = "NAME",
               .help = "Name of the app; without it, that of the directory"},
    OptionSpec{.name = "board",
               .short_name = "b",
               .value_name = "BOARD",
               .help = "Board whose pins the names of the hardware definition stand for",
               .default_text = "mt3620_rdb"},
    OptionSpec{.name = "language",
               .short_name = "l",
               .value_name = "LANGUAGE",
               .help = "Language of the sources",
               .default_text = "c"},
};
constexpr std::array kNewPositionals = {
    PositionalSpec{.name = "DIR", .help = "Directory to make; absent or empty"}};
constexpr std::array<std::string_view, 2> kNewExamples = {
    "sphere project new blink",
    "sphere project new counter --template hl-mutable-storage --board avnet_mt3620_sk"};

constexpr std::array kDirectory = {PositionalSpec{
    .name = "DIR", .help = "Directory of the project (default .)", .required = false}};

constexpr std::array kBuildOptions = {kPreset};
constexpr std::array<std::string_view, 2> kBuildExamples = {
    "sphere project build", "sphere project build blink --preset ARM-Release"};

constexpr std::array kRunOptions = {
    kPreset,
    OptionSpec{.name = "follow",
               .short_name = "f",
               .kind = OptionKind::flag,
               .help = "Show the app's output until Ctrl-C"},
    OptionSpec{.name = "debug-mode",
               .kind = OptionKind::flag,
               .help = "Start the app under the debugger and show how gdb reaches it"},
    OptionSpec{.name = "gdb",
               .kind = OptionKind::flag,
               .help = "The same, and run gdb with the app's symbols, connected to it"},
};
constexpr std::array<std::string_view, 4> kRunExamples = {
    "sphere project run", "sphere project run blink --follow", "sphere project run --debug-mode",
    "sphere project run --gdb"};

constexpr std::array<std::string_view, 1> kListExamples = {"sphere project list-templates"};

constexpr std::array kCommands = {
    CommandSpec{.path = "project list-templates",
                .summary = "List the templates for new projects",
                .examples = kListExamples,
                .run = list_templates},
    CommandSpec{.path = "project new",
                .summary = "Make a project from a template",
                .options = kNewOptions,
                .positionals = kNewPositionals,
                .examples = kNewExamples,
                .run = new_project},
    CommandSpec{.path = "project build",
                .summary = "Configure, build and package a project with CMake",
                .options = kBuildOptions,
                .positionals = kDirectory,
                .examples = kBuildExamples,
                .run = build},
    CommandSpec{
        .path = "project run",
        .needs = Needs::device,
        .summary = "Build a project, put it on the device in place of its apps, and start it",
        .options = kRunOptions,
        .positionals = kDirectory,
        .examples = kRunExamples},
};

}  // namespace

std::span<const CommandSpec> project_commands() { return kCommands; }

}  // namespace sphere::cli
