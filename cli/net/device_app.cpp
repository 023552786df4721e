// SPDX-License-Identifier: MIT
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
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
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

Result<Output> show_status(Context& context, const Arguments& arguments) {
  return for_each_app(context, arguments, [](device::RestClient& rest, const Guid& component) {
    return rest.app_state(component);
  });
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
