// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/app_end.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/sideload.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/executable_check.h"
#include "sphere/json/value.h"
#include "sphere/project/build.h"
#include "sphere/project/source_place.h"

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

bool is_arm_program(const std::filesystem::path& program) {
  constexpr std::size_t kLargest = std::size_t{256} << 20U;
  const auto bytes = read_file(program, kLargest);
  const auto elf = bytes ? image::read_elf(*bytes) : fail(Errc::not_found, "");
  return elf && elf->machine == image::kMachineArm;
}

// gdb's words: the program with its symbols, the libraries of its sysroot, the app.
std::vector<std::string> gdb_words(const Context& context, const std::filesystem::path& program,
                                   const std::string& address) {
  std::vector<std::string> words;
  const auto sysroot = project::newest_sysroot(context.sdk_directory);
  if (!sysroot.empty() && is_arm_program(program)) {
    words.insert(words.end(), {"-ex", "set sysroot " + sysroot.string()});
  }
  if (!program.empty()) {
    words.insert(words.end(), {"-ex", "file " + program.string()});
  }
  words.insert(words.end(), {"-ex", "target remote " + address});
  return words;
}

// The same for a person's shell.
std::string gdb_line(const std::vector<std::string>& words) {
  std::string line = "gdb-multiarch";
  for (const auto& word : words) {
    line += word == "-ex" ? " -ex" : fmt::format(" '{}'", word);
  }
  return line;
}

// Starts the deployed app under the debugger; gdb's words.
Result<std::vector<std::string>> add_debugger(const Context& context, DeviceSession& session,
                                              const Deployed& deployed,
                                              const std::filesystem::path& package,
                                              Output& output) {
  SPHERE_TRY_ASSIGN(const auto ports, session.rest.debug_app(deployed.component_id));
  const auto addresses = debug_addresses(session, ports);
  auto words = gdb_words(context, program_beside(package), addresses.gdb);
  const auto command = gdb_line(words);
  output.data.set("state", "debugging");
  output.data.set("gdbPort", ports.gdb);
  output.data.set("outPort", ports.output);
  output.data.set("gdbAddress", addresses.gdb);
  output.data.set("outAddress", addresses.output);
  output.data.set("gdbCommand", command);
  output.text = fmt::format("{} stands at its first instruction; its output is at {}.\nRun: {}",
                            escape_control(deployed.name), addresses.output, command);
  return words;
}

// Becomes gdb: the terminal, Ctrl-C and the exit status are gdb's from then on.
Result<Output> become_gdb(Context& context, const std::vector<std::string>& words) {
  for (const char* const program : {"gdb-multiarch", "gdb"}) {
    std::vector<std::string> texts{program};
    texts.insert(texts.end(), words.begin(), words.end());
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (auto& text : texts) {
      pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    context.reporter.verbose("running " + gdb_line(words));
    ::execvp(program, pointers.data());
  }
  return fail(Errc::not_found, "there is no gdb that could be run",
              {.reason = "local.tool-missing",
               .value = "gdb-multiarch",
               .next = "install the Debian package gdb-multiarch; the app waits ten minutes"});
}

// A look at the app after its first moments: an app that has ended by then is told with the reason.
Result<void> add_end(Context& context, DeviceSession& session, const Deployed& deployed,
                     const Symbols& symbols, Output& output) {
  constexpr std::chrono::milliseconds kMoment{500};
  constexpr std::chrono::milliseconds kPause{50};
  const auto until = context.clock.monotonic() + kMoment;
  while (!context.interrupted) {
    SPHERE_TRY_ASSIGN(const auto apps, session.rest.apps());
    const auto app =
        std::ranges::find(apps, deployed.component_id.text(), &device_api::App::component_id);
    const auto end = app == apps.end() ? std::nullopt : app->last_exit;
    if (end) {
      const auto text = end_text(*end, symbols);
      output.data.set("state", device_api::to_text(app->state)).set("lastEnd", text);
      output.text = fmt::format("{} has ended: {}", escape_control(deployed.name), text);
      output.verdict_failed = end->kind != "exit" || end->code != 0;
      return {};
    }
    if (context.clock.monotonic() > until) {
      break;
    }
    std::this_thread::sleep_for(kPause);
  }
  return {};
}

// Lines of the app's output, and between them how it ended, should it.
void follow(Context& context, std::shared_ptr<DeviceSession> session, const Guid& component,
            Symbols symbols, Output& output) {
  output.columns = {{.key = "seq", .heading = "Number"},
                    {.key = "at", .heading = "At"},
                    {.key = "text", .heading = "Text"},
                    {.key = "cut", .heading = "Cut"}};
  output.text_of = [](const json::Value& line) {
    return escape_control(line.string_at("text").value_or(""));
  };
  output.stream = [&context, session = std::move(session), component,
                   symbols = std::move(symbols)](const Output::RowSink& sink) -> Result<void> {
    SPHERE_TRY_ASSIGN(auto created, EndWatch::create(context, *session, component, symbols));
    const auto watch = std::shared_ptr<EndWatch>{std::move(created)};
    session->rest.set_cancelled([&context, watch] {
      watch->look();
      return context.interrupted.load();
    });
    auto done = noted(
        context, *session,
        session->rest.app_output(component, true, [&sink](const device_api::OutputLine& line) {
          return sink(to_json(line));
        }));
    watch->look_now();
    return done;
  };
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

// What follows the deployment, as the options say.
Result<Output> go_on(Context& context, const Arguments& arguments,
                     std::shared_ptr<DeviceSession> session, const Deployed& deployed,
                     const std::filesystem::path& package, Output output) {
  if (arguments.has("debug-mode") || arguments.has("gdb")) {
    SPHERE_TRY_ASSIGN(
        const auto words,
        noted(context, *session, add_debugger(context, *session, deployed, package, output)));
    if (arguments.has("gdb")) {
      session.reset();  // What it made for itself goes with it.
      return become_gdb(context, words);
    }
  }
  Symbols symbols{.program = program_beside(package), .sdk_directory = context.sdk_directory};
  if (arguments.has("follow")) {
    follow(context, std::move(session), deployed.component_id, std::move(symbols), output);
  } else if (deployed.is_app && !arguments.has("debug-mode")) {
    SPHERE_TRY(noted(context, *session, add_end(context, *session, deployed, symbols, output)));
  }
  return output;
}

Result<Output> run(Context& context, const Arguments& arguments) {
  const bool gdb = arguments.has("gdb");
  if (gdb && arguments.has("follow")) {
    return fail(Errc::invalid_argument, "--gdb and --follow contradict each other",
                {.reason = "usage.conflict",
                 .value = "--gdb",
                 .next = "give only one of them; the output of a debugged app is at its own port"});
  }
  // First of all: without a device there is no need to build.
  SPHERE_TRY_ASSIGN(auto opened, connect_device(context));
  // Shared with the stream function, which outlives this call.
  std::shared_ptr<DeviceSession> session = std::move(opened);
  SPHERE_TRY_ASSIGN(const auto package, build_package(context, arguments));
  SPHERE_TRY_ASSIGN(const auto deleted, noted(context, *session, delete_apps(context, *session)));
  SPHERE_TRY_ASSIGN(const auto deployed,
                    noted(context, *session,
                          deploy_package(context, *session, package,
                                         {.manual_start = gdb || arguments.has("debug-mode")})));
  return go_on(context, arguments, std::move(session), deployed, package,
               describe(deployed, package, deleted > 0));
}

constexpr std::array kCommands = {NetCommand{.path = "project run", .run = run}};

}  // namespace

std::span<const NetCommand> project_net_commands() { return kCommands; }

}  // namespace sphere::cli
