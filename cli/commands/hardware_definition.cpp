// SPDX-License-Identifier: MIT
#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "cli/output/reporter.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"
#include "sphere/hardware/header.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::string_view kFileOption = "hardware-definition-file";

// Follows imports and mappings, too: a header with a name that leads nowhere would only fail in the
// C compiler. Imports may lie in folders that only the project's CMakeLists.txt names, so a missing
// one is a warning.
Result<void> check_mappings(Context& context, const std::filesystem::path& file) {
  std::vector<std::filesystem::path> directories;
  if (!context.sdk_directory.empty()) {
    directories.push_back(context.sdk_directory / "HardwareDefinitions");
  }
  std::error_code ignored;
  const auto set =
      hardware::DefinitionSet::load(std::filesystem::absolute(file, ignored), directories);
  if (!set) {
    if (set.error().code() != Errc::not_found) {
      return tl::make_unexpected(set.error());
    }
    context.reporter.warn(fmt::format("names are not checked: {}", set.error().message()));
    return {};
  }
  for (const auto& warning : set->warnings()) {
    context.reporter.warn(warning);
  }
  return {};
}

Result<std::vector<hardware::Definition>> read_all(Context& context, const Arguments& arguments) {
  std::vector<hardware::Definition> definitions;
  for (const auto& name : arguments.list(kFileOption)) {
    SPHERE_TRY_ASSIGN(const auto text, read_text_file(name, hardware::kMaxDefinitionBytes));
    SPHERE_TRY_ASSIGN(auto definition, hardware::read_definition(text, name));
    SPHERE_TRY(check_mappings(context, name));
    definitions.push_back(std::move(definition));
  }
  return definitions;
}

Result<Output> generate_header(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto definitions, read_all(context, arguments));
  Output output;
  json::Array files;
  for (const auto& definition : definitions) {
    const auto path = hardware::header_path(definition.path);
    SPHERE_TRY(make_directories(path.parent_path()));
    SPHERE_TRY(write_file(path, hardware::header_text(definition)));
    output.text += fmt::format("{}Wrote {}.", output.text.empty() ? "" : "\n", path.string());
    files.emplace_back(path.string());
  }
  output.data.set("files", std::move(files));
  return output;
}

Result<Output> test_header(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto definitions, read_all(context, arguments));
  Output output{.data = json::Array{},
                .columns = {{.key = "file", .heading = "File"},
                            {.key = "upToDate", .heading = "Up to date"}}};
  for (const auto& definition : definitions) {
    SPHERE_TRY_ASSIGN(const auto comparison, hardware::compare_header(definition));
    const auto path = hardware::header_path(definition.path).string();
    json::Value row;
    row.set("file", path).set("upToDate", comparison.up_to_date);
    row.set("difference",
            comparison.up_to_date ? json::Value{} : json::Value{comparison.difference});
    output.data.push(std::move(row));
    output.verdict_failed = output.verdict_failed || !comparison.up_to_date;
    output.text +=
        comparison.up_to_date ? fmt::format("{} is up to date.\n", path) : comparison.difference;
  }
  return output;
}

constexpr std::array kOptions = {
    OptionSpec{.name = kFileOption,
               .kind = OptionKind::list,
               .required = true,
               .value_name = "FILE",
               .help = "The hardware definition, a JSON file; may be given several times"},
};
constexpr std::array<std::string_view, 1> kGenerateExamples = {
    "sphere hardware-definition generate-header --hardware-definition-file my_board.json"};
constexpr std::array<std::string_view, 1> kTestExamples = {
    "sphere hardware-definition test-header --hardware-definition-file my_board.json"};
constexpr std::array kCommands = {
    CommandSpec{.path = "hardware-definition generate-header",
                .summary = "Write the C header of a hardware definition to inc/hw beside it",
                .options = kOptions,
                .examples = kGenerateExamples,
                .run = generate_header},
    CommandSpec{.path = "hardware-definition test-header",
                .summary = "Compare the C header of a hardware definition with what it should be",
                .options = kOptions,
                .examples = kTestExamples,
                .run = test_header},
};

}  // namespace

std::span<const CommandSpec> hardware_definition_commands() { return kCommands; }

}  // namespace sphere::cli
