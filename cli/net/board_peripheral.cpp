// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::string_view kGpio = "gpio";
constexpr std::string_view kPress = "press";
constexpr std::int64_t kPressMilliseconds = 100;
constexpr std::int64_t kLongestPress = 60'000;

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, ec] =
      std::from_chars(std::to_address(text.cbegin()), std::to_address(text.cend()), number);
  const bool whole = ec == std::errc{} && end == std::to_address(text.cend()) && number >= 0;
  return whole ? std::optional{number} : std::nullopt;
}

// The pin of "gpio8".
Result<std::int64_t> parse_pin(std::string_view name) {
  const auto pin = name.starts_with(kGpio) ? parse_number(name.substr(kGpio.size())) : std::nullopt;
  if (!pin) {
    return fail(
        Errc::invalid_argument,
        fmt::format("\"{}\" is not the name of a peripheral with a value", escape_control(name)),
        {.reason = "usage.bad-value",
         .value = std::string{name},
         .next = "see the names: sphere board peripheral list NAME"});
  }
  return *pin;
}

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value{} : json::Value{text};
}

json::Value gpio_row(std::int64_t pin, const device_api::GpioState& state) {
  return json::Value{}
      .set("name", fmt::format("{}{}", kGpio, pin))
      .set("kind", kGpio)
      .set("value", state.level)
      .set("usedBy", text_or_null(state.used_by))
      .set("direction", state.direction);
}

void set_columns(Output& output) {
  output.columns = {{.key = "name", .heading = "Name"},
                    {.key = "kind", .heading = "Kind"},
                    {.key = "value", .heading = "Value"},
                    {.key = "usedBy", .heading = "Used by"},
                    {.key = "direction", .heading = "Direction"}};
}

Result<json::Value> list_rows(DeviceSession& session) {
  SPHERE_TRY_ASSIGN(const auto peripherals, session.rest.peripherals());
  json::Value rows{json::Array{}};
  for (const device_api::VirtualPeripheral& peripheral : peripherals) {
    if (peripheral.kind == kGpio && peripheral.pins.size() == 1) {
      SPHERE_TRY_ASSIGN(const auto state, session.rest.gpio(peripheral.pins.front()));
      rows.push(gpio_row(peripheral.pins.front(), state));
    } else {
      rows.push(json::Value{}
                    .set("name", peripheral.name)
                    .set("kind", peripheral.kind)
                    .set("value", nullptr)
                    .set("usedBy", text_or_null(peripheral.used_by))
                    .set("direction", nullptr));
    }
  }
  return rows;
}

Result<Output> list(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_board(context, arguments.positional(0)));
  Output output;
  SPHERE_TRY_ASSIGN(output.data, noted(context, *session, list_rows(*session)));
  set_columns(output);
  return output;
}

Result<Output> get(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const std::int64_t pin, parse_pin(arguments.value("peripheral").value_or("")));
  SPHERE_TRY_ASSIGN(const auto session, connect_board(context, arguments.positional(0)));
  SPHERE_TRY_ASSIGN(const auto state, noted(context, *session, session->rest.gpio(pin)));
  Output output{.data = gpio_row(pin, state)};
  set_columns(output);
  return output;
}

// 0, 1, press or press:MILLISECONDS.
struct Value {
  std::int64_t level = 0;
  std::optional<std::chrono::milliseconds> pulse = {};
};

Result<Value> parse_value(std::string_view text) {
  if (text == "0" || text == "1") {
    return Value{.level = text == "1" ? 1 : 0};
  }
  const bool press = text == kPress || text.starts_with("press:");
  const auto length =
      text == kPress ? std::optional{kPressMilliseconds}
                     : parse_number(press ? text.substr(kPress.size() + 1) : std::string_view{});
  if (!press || !length || *length == 0 || *length > kLongestPress) {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is not a value of a pin", escape_control(text)),
                {.reason = "usage.bad-value",
                 .value = std::string{text},
                 .next = "use 0, 1, press or press:MILLISECONDS (1 to 60000)"});
  }
  // Buttons connect their line to ground.
  return Value{.level = 0, .pulse = std::chrono::milliseconds{*length}};
}

Result<void> apply(device::RestClient& rest, std::int64_t pin, const Value& value) {
  if (value.pulse) {
    return rest.pulse_gpio(pin, value.level, *value.pulse);
  }
  SPHERE_TRY(rest.set_gpio(pin, value.level));
  return {};
}

Result<Output> set(Context& context, const Arguments& arguments) {
  const std::string name = arguments.value("peripheral").value_or("");
  const std::string text = arguments.value("value").value_or("");
  SPHERE_TRY_ASSIGN(const std::int64_t pin, parse_pin(name));
  SPHERE_TRY_ASSIGN(const Value value, parse_value(text));
  SPHERE_TRY_ASSIGN(const auto session, connect_board(context, arguments.positional(0)));
  SPHERE_TRY(noted(context, *session, apply(session->rest, pin, value)));
  SPHERE_TRY_ASSIGN(const auto state, noted(context, *session, session->rest.gpio(pin)));
  Output output{.data = gpio_row(pin, state)};
  set_columns(output);
  output.text = value.pulse ? fmt::format("{} is pressed for {} ms.", name, value.pulse->count())
                            : fmt::format("{} is driven to {} from outside.", name, value.level);
  return output;
}

// "12.345678 s  gpio8  1"
std::string edge_text(const json::Value& edge) {
  constexpr std::int64_t kMicroseconds = 1'000'000;
  const std::int64_t at = edge.integer_at("atUs").value_or(0);
  return fmt::format("{}.{:06} s  {}  {}", at / kMicroseconds, at % kMicroseconds,
                     escape_control(edge.string_at("name").value_or("")),
                     edge.integer_at("level").value_or(0));
}

Result<Output> watch(Context& context, const Arguments& arguments) {
  std::optional<std::int64_t> only;
  if (const auto name = arguments.value("peripheral")) {
    SPHERE_TRY_ASSIGN(only, parse_pin(*name));
  }
  SPHERE_TRY_ASSIGN(auto opened, connect_board(context, arguments.positional(0)));
  // Shared with the stream function, which outlives this call.
  const std::shared_ptr<DeviceSession> session = std::move(opened);
  Output output;
  output.columns = {{.key = "atUs", .heading = "Microseconds"},
                    {.key = "name", .heading = "Name"},
                    {.key = "level", .heading = "Level"}};
  output.text_of = edge_text;
  output.stream = [&context, session, only](const Output::RowSink& sink) {
    return noted(context, *session,
                 session->rest.watch_gpio([&sink, only](const device_api::GpioEdge& edge) {
                   return (only && edge.pin != *only) ||
                          sink(json::Value{}
                                   .set("atUs", edge.at_us)
                                   .set("name", fmt::format("{}{}", kGpio, edge.pin))
                                   .set("pin", edge.pin)
                                   .set("level", edge.level));
                 }));
  };
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "board peripheral list", .run = list},
    NetCommand{.path = "board peripheral get", .run = get},
    NetCommand{.path = "board peripheral set", .run = set},
    NetCommand{.path = "board peripheral watch", .run = watch},
};

}  // namespace

std::span<const NetCommand> board_peripheral_net_commands() { return kCommands; }

}  // namespace sphere::cli
