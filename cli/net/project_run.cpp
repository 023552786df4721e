// SPDX-License-Identifier: MIT
#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/sideload.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"
#include "sphere/project/build.h"

namespace sphere::cli {
namespace {

// Builds the project; its one package.
Result<std::filesystem::path> build_package(Context& context, const Arguments& arguments) {
  const std::string directory = arguments.positional(0).empty() ? "." : arguments.positional(0);
  const std::string preset = arguments.value("preset").value_or("");
  context.reporter.step(fmt::format("Building {} with preset {}", directory, preset));
  SPHERE_TRY_ASSIGN(auto absolute, absolute_path(directory));
  SPHERE_TRY_ASSIGN(const auto built, project::build({.directory = std::move(absolute),
                                                      .preset = preset,
                                                      .sdk_directory = context.sdk_directory,
                                                      .interrupted = &context.interrupted}));
  if (built.packages.size() != 1) {
    return fail(
        Errc::invalid_argument,
        fmt::format("the build makes {} packages, not one", built.packages.size()),
        {.reason = "usage.conflict",
         .value = preset,
         .next = "deploy what you want: sphere device sideload deploy --image-package FILE"});
  }
  return built.packages.front();
}

// Removes what an earlier run left: all apps but the debugger, as `device sideload delete` does.
// Apps that share peripherals with the new one could not run beside it.
Result<std::size_t> delete_apps(Context& context, DeviceSession& session) {
  SPHERE_TRY_ASSIGN(const auto apps, installed_apps(session));
  for (const InstalledApp& app : apps) {
    context.reporter.step(fmt::format("Deleting {}", escape_control(app.name)));
    SPHERE_TRY(session.rest.delete_app(app.component_id));
  }
  return apps.size();
}

json::Value step_row(const char* name, bool done) {
  json::Value row;
  row.set("name", name);
  row.set("result", done ? "done" : "skipped");
  row.set("reason", {});
  return row;
}

// The program with its symbols, which the build leaves beside the package.
std::filesystem::path program_beside(const std::filesystem::path& package) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry{package.parent_path(), error}, end;
       !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".out") {
      return entry->path();
    }
  }
  return {};
}

// Starts the deployed app under the debugger and says with which command gdb gets there.
Result<void> add_debugger(DeviceSession& session, const Deployed& deployed,
                          const std::filesystem::path& package, Output& output) {
  SPHERE_TRY_ASSIGN(const auto ports, session.rest.debug_app(deployed.component_id));
  const auto addresses = debug_addresses(session, ports);
  const auto program = program_beside(package);
  const auto command = fmt::format("gdb-multiarch {}{}-ex 'target remote {}'", program.string(),
                                   program.empty() ? "" : " ", addresses.gdb);
  output.data.set("state", "debugging");
  output.data.set("gdbAddress", addresses.gdb);
  output.data.set("outAddress", addresses.output);
  output.data.set("gdbCommand", command);
  output.text = fmt::format("{} stands at its first instruction.\nRun: {}",
                            escape_control(deployed.name), command);
  return {};
}

Output describe(const Deployed& deployed, const std::filesystem::path& package, bool deleted) {
  Output output;
  output.data.set("package", package.string());
  output.data.set("componentId", deployed.component_id.text());
  output.data.set("imageId", deployed.image_id.text());
  output.data.set("name", deployed.name);
  output.data.set("state", device_api::to_text(deployed.state));
  output.data.set("steps", json::Array{step_row("build", true), step_row("delete", deleted),
                                       step_row("deploy", true)});
  output.text = fmt::format("{} is {} on the device.", escape_control(deployed.name),
                            device_api::to_text(deployed.state));
  return output;
}

Result<Output> run(Context& context, const Arguments& arguments) {
  // First of all: without a device there is no need to build.
  SPHERE_TRY_ASSIGN(auto opened, connect_device(context));
  // Shared with the stream function, which outlives this call.
  const std::shared_ptr<DeviceSession> session = std::move(opened);
  SPHERE_TRY_ASSIGN(const auto package, build_package(context, arguments));
  SPHERE_TRY_ASSIGN(const auto deleted, noted(context, *session, delete_apps(context, *session)));
  const bool debug = arguments.has("debug-mode");
  SPHERE_TRY_ASSIGN(const auto deployed,
                    noted(context, *session, deploy_package(context, *session, package, debug)));
  Output output = describe(deployed, package, deleted > 0);
  if (debug) {
    SPHERE_TRY(noted(context, *session, add_debugger(*session, deployed, package, output)));
  }
  if (!arguments.has("follow")) {
    return output;
  }
  output.columns = {{.key = "seq", .heading = "Number"},
                    {.key = "at", .heading = "At"},
                    {.key = "text", .heading = "Text"},
                    {.key = "cut", .heading = "Cut"}};
  output.text_of = [](const json::Value& line) {
    return escape_control(line.string_at("text").value_or(""));
  };
  output.stream = [&context, session,
                   component = deployed.component_id](const Output::RowSink& sink) {
    return noted(
        context, *session,
        session->rest.app_output(component, true, [&sink](const device_api::OutputLine& line) {
          return sink(to_json(line));
        }));
  };
  return output;
}

constexpr std::array kCommands = {NetCommand{.path = "project run", .run = run}};

}  // namespace

std::span<const NetCommand> project_net_commands() { return kCommands; }

}  // namespace sphere::cli
