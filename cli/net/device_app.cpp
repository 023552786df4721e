// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
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
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

using device_api::AppState;
using device_api::OutputLine;

// The app that --component-id names, or all apps.
Result<std::vector<InstalledApp>> chosen_apps(DeviceSession& session, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto apps, installed_apps(session));
  const auto wanted = arguments.value("component-id");
  if (!wanted) {
    return apps;
  }
  SPHERE_TRY_ASSIGN(const Guid id, parse_component(*wanted));
  InstalledApp chosen{.component_id = id, .name = {}};
  for (const InstalledApp& app : apps) {
    if (app.component_id == id) {
      chosen.name = app.name;
    }
  }
  return std::vector<InstalledApp>{std::move(chosen)};
}

// Calls `act` for each chosen app and lists the states it gives.
template <typename Act>
Result<Output> for_each_app(Context& context, const Arguments& arguments, Act act) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto apps, noted(context, *session, chosen_apps(*session, arguments)));
  Output output;
  output.data = json::Array{};
  output.columns = {{.key = "componentId", .heading = "Component ID"},
                    {.key = "name", .heading = "Name"},
                    {.key = "state", .heading = "State"}};
  for (const InstalledApp& app : apps) {
    SPHERE_TRY_ASSIGN(const AppState state,
                      noted(context, *session, act(session->rest, app.component_id)));
    output.data.push(json::Value{}
                         .set("componentId", app.component_id.text())
                         .set("name", app.name.empty() ? json::Value{} : json::Value{app.name})
                         .set("state", to_text(state)));
  }
  return output;
}

// A file of symbols that is not there is told before anything else.
Result<void> check_readable(const std::string& file) {
  if (::access(file.c_str(), R_OK) != 0) {
    return fail(Errc::not_found, fmt::format("cannot read {}", escape_control(file)),
                {.reason = "local.file-not-found",
                 .value = file,
                 .next = "give the program with its symbols: out/ARM-Debug/NAME.out"});
  }
  return {};
}

// One app under the debugger.
Result<Output> start_debug(Context& context, const Arguments& arguments) {
  const auto wanted = arguments.value("component-id");
  if (!wanted) {
    return fail(Errc::invalid_argument, "--debug-mode needs --component-id",
                {.reason = "usage.missing-option",
                 .value = "--component-id",
                 .next = "see the ids: sphere device image list-installed"});
  }
  SPHERE_TRY_ASSIGN(const Guid component, parse_component(*wanted));
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto ports, noted(context, *session, session->rest.debug_app(component)));
  const auto addresses = debug_addresses(*session, ports);
  Output output;
  output.data = json::Array{};
  output.data.push(json::Value{}
                       .set("componentId", component.text())
                       .set("state", "debugging")
                       .set("gdbPort", ports.gdb)
                       .set("outPort", ports.output)
                       .set("gdbAddress", addresses.gdb)
                       .set("outAddress", addresses.output));
  output.columns = {{.key = "componentId", .heading = "Component ID"},
                    {.key = "state", .heading = "State"},
                    {.key = "gdbAddress", .heading = "GDB"},
                    {.key = "outAddress", .heading = "Output"}};
  return output;
}

Result<Output> start(Context& context, const Arguments& arguments) {
  if (arguments.has("debug-mode")) {
    return start_debug(context, arguments);
  }
  return for_each_app(context, arguments, [](device::RestClient& rest, const Guid& component) {
    return rest.start_app(component);
  });
}

Result<Output> stop(Context& context, const Arguments& arguments) {
  return for_each_app(context, arguments, [](device::RestClient& rest, const Guid& component) {
    return rest.stop_app(component);
  });
}

// Adds how the app ended last.
void add_last_end(json::Value& row, const device_api::App* app, const Symbols& symbols) {
  const bool ended = app != nullptr && app->last_exit;
  row.set("restarts", app != nullptr ? json::Value{app->restarts} : json::Value{})
      .set("lastEnd", ended ? json::Value{end_text(*app->last_exit, symbols)} : json::Value{})
      .set("lastEndAt", ended ? json::Value{app->last_exit->at} : json::Value{});
}

// Adds the ports of an app that is debugged.
void add_debug_ports(json::Value& row, DeviceSession& session, const Guid& component,
                     bool debugging) {
  row.set("gdbPort", {}).set("outPort", {}).set("gdbAddress", {}).set("outAddress", {});
  // The session may have ended since the state was read.
  const auto ports = debugging ? session.rest.debug_ports(component)
                               : Result<device::RestClient::DebugPorts>{fail(Errc::not_found, "")};
  if (!ports) {
    return;
  }
  const auto addresses = debug_addresses(session, *ports);
  row.set("gdbPort", ports->gdb)
      .set("outPort", ports->output)
      .set("gdbAddress", addresses.gdb)
      .set("outAddress", addresses.output);
}

Result<json::Value> status_row(DeviceSession& session, const InstalledApp& installed,
                               const std::vector<device_api::App>& apps, const Symbols& symbols) {
  SPHERE_TRY_ASSIGN(const AppState state, session.rest.app_state(installed.component_id));
  const auto id = installed.component_id.text();
  const auto app = std::ranges::find(apps, id, &device_api::App::component_id);
  auto row = json::Value{}
                 .set("componentId", id)
                 .set("name", installed.name.empty() ? json::Value{} : json::Value{installed.name})
                 .set("state", to_text(state));
  add_last_end(row, app == apps.end() ? nullptr : &*app, symbols);
  add_debug_ports(row, session, installed.component_id, state == AppState::debugging);
  return row;
}

// What a table has no room for: empty when it has.
std::string status_text(const json::Value& rows) {
  std::vector<std::string> lines;
  bool more = false;
  for (const json::Value& row : rows.items()) {
    const auto id = row.string_at("componentId").value_or("");
    lines.push_back(fmt::format("{} {} is {}", id,
                                escape_control(row.string_at("name").value_or("")),
                                row.string_at("state").value_or("")));
    if (const auto gdb = row.string_at("gdbAddress")) {
      more = true;
      lines.push_back(fmt::format("  gdb: {}", *gdb));
      lines.push_back(fmt::format("  output: {}", row.string_at("outAddress").value_or("")));
    }
    if (const auto end = row.string_at("lastEnd")) {
      more = true;
      lines.push_back(fmt::format("  last end: {}", *end));
      lines.push_back(fmt::format("  at {}; restarts: {}",
                                  escape_control(row.string_at("lastEndAt").value_or("")),
                                  row.integer_at("restarts").value_or(0)));
    }
  }
  return more ? join(lines, "\n") : std::string{};
}

Result<Output> describe_apps(Context& context, DeviceSession& session, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto chosen, chosen_apps(session, arguments));
  // A board without our additions to the API has states only.
  const auto listed = session.rest.apps();
  const Symbols symbols{.program = arguments.value("symbols").value_or(""),
                        .sdk_directory = context.sdk_directory};
  Output output{.data = json::Array{},
                .columns = {{.key = "componentId", .heading = "Component ID"},
                            {.key = "name", .heading = "Name"},
                            {.key = "state", .heading = "State"}}};
  for (const InstalledApp& app : chosen) {
    SPHERE_TRY_ASSIGN(
        auto row,
        status_row(session, app, listed ? *listed : std::vector<device_api::App>{}, symbols));
    output.data.push(std::move(row));
  }
  output.text = status_text(output.data);
  return output;
}

Result<Output> show_status(Context& context, const Arguments& arguments) {
  if (const auto symbols = arguments.value("symbols")) {
    SPHERE_TRY(check_readable(*symbols));
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  return noted(context, *session, describe_apps(context, *session, arguments));
}

Result<std::size_t> line_count(const Arguments& arguments) {
  const auto text = arguments.value("lines");
  if (!text) {
    return SIZE_MAX;
  }
  std::size_t count = 0;
  const auto [end, ec] =
      std::from_chars(std::to_address(text->cbegin()), std::to_address(text->cend()), count);
  if (ec != std::errc{} || end != std::to_address(text->cend())) {
    return fail(Errc::invalid_argument, fmt::format("--lines {} is not a number", *text),
                {.reason = "usage.bad-value", .value = *text, .next = "give a number of lines"});
  }
  return count;
}

std::string text_of(const json::Value& line) {
  return escape_control(line.string_at("text").value_or(""));
}

// The last `count` lines that the device has kept.
Result<std::deque<OutputLine>> stored_lines(DeviceSession& session, const Guid& component,
                                            std::size_t count) {
  std::deque<OutputLine> lines;
  SPHERE_TRY(session.rest.app_output(component, false, [&lines, count](const OutputLine& line) {
    lines.push_back(line);
    if (lines.size() > count) {
      lines.pop_front();
    }
    return true;
  }));
  return lines;
}

// Stored lines first, then what comes.
Result<void> follow(DeviceSession& session, const Guid& component, std::size_t count,
                    const Output::RowSink& sink) {
  std::int64_t skip_to = -1;
  if (count != SIZE_MAX) {
    SPHERE_TRY_ASSIGN(const auto stored, stored_lines(session, component, count));
    for (const OutputLine& line : stored) {
      if (!sink(to_json(line))) {
        return {};
      }
      skip_to = line.seq;
    }
  }
  return session.rest.app_output(component, true, [&sink, skip_to](const OutputLine& line) {
    const bool known = line.seq != 0 && line.seq <= skip_to;
    return known || sink(to_json(line));
  });
}

Result<Output> show_output(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const std::size_t count, line_count(arguments));
  SPHERE_TRY_ASSIGN(auto opened, connect_device(context));
  // Shared with the stream function, which outlives this call.
  const std::shared_ptr<DeviceSession> session = std::move(opened);
  SPHERE_TRY_ASSIGN(const Guid component, noted(context, *session, one_app(*session, arguments)));
  Output output;
  output.columns = {{.key = "seq", .heading = "Number"},
                    {.key = "at", .heading = "At"},
                    {.key = "text", .heading = "Text"},
                    {.key = "cut", .heading = "Cut"}};
  if (arguments.has("follow")) {
    output.text_of = text_of;
    output.stream = [&context, session, component, count](const Output::RowSink& sink) {
      return noted(context, *session, follow(*session, component, count, sink));
    };
    return output;
  }
  SPHERE_TRY_ASSIGN(const auto lines,
                    noted(context, *session, stored_lines(*session, component, count)));
  output.data = json::Array{};
  for (const OutputLine& line : lines) {
    output.data.push(to_json(line));
    output.text += escape_control(line.text) + "\n";
  }
  if (lines.empty()) {
    output.text = "The app has printed nothing.";
  }
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "device app start", .run = start},
    NetCommand{.path = "device app stop", .run = stop},
    NetCommand{.path = "device app show-status", .run = show_status},
    NetCommand{.path = "device app show-output", .run = show_output},
};

}  // namespace

std::span<const NetCommand> device_app_net_commands() { return kCommands; }

}  // namespace sphere::cli
