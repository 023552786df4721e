// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/device/attached.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/metadata.h"
#include "sphere/json/value.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kRestartLimit{60};
constexpr std::chrono::milliseconds kPoll{50};

Result<Output> list_attached(Context& context, const Arguments& /*arguments*/) {
  Output output;
  output.data = json::Array{};
  output.columns = {{.key = "deviceId", .heading = "Device ID"},
                    {.key = "ipAddress", .heading = "IP address"},
                    {.key = "connectionPath", .heading = "Connection path"},
                    {.key = "name", .heading = "Name"},
                    {.key = "state", .heading = "State"},
                    {.key = "virtual", .heading = "Virtual"}};
  SPHERE_TRY_ASSIGN(const auto attached, attached_devices(context));
  for (const device::AttachedDevice& device : attached) {
    output.data.push(json::Value{}
                         .set("deviceId", device.device_id)
                         .set("ipAddress", device.ip_address)
                         .set("connectionPath", device.connection_path)
                         .set("name", device.name)
                         .set("state", device.state)
                         .set("virtual", device.is_virtual));
  }
  return output;
}

// What the device says about itself, each from its own call.
Result<json::Value> describe(DeviceSession& session) {
  SPHERE_TRY_ASSIGN(const auto uptime, session.rest.uptime_seconds());
  SPHERE_TRY_ASSIGN(const auto os_version, session.rest.os_version());
  SPHERE_TRY_ASSIGN(const auto security, session.rest.security_state());
  SPHERE_TRY_ASSIGN(const auto manufacturing, session.rest.manufacturing_state());
  SPHERE_TRY_ASSIGN(const auto numbers, session.rest.capabilities());
  SPHERE_TRY_ASSIGN(const auto info, session.rest.board_info());
  json::Value capabilities{json::Array{}};
  for (const std::int64_t number : numbers) {
    capabilities.push(number);
  }
  const bool test_key = std::ranges::find(info.features, "public-test-key") != info.features.end();
  return json::Value{}
      .set("deviceId", security.device_identifier)
      .set("ipAddress", session.device.ip_address)
      .set("connectionPath", session.device.connection_path)
      .set("name", session.device.name)
      .set("virtual", info.is_virtual)
      .set("osVersion", os_version)
      .set("apiVersion", session.rest.api_version())
      .set("securityState", security.security_state)
      .set("manufacturingState", manufacturing)
      .set("capabilities", std::move(capabilities))
      .set("publicTestKeyTrusted", test_key)
      .set("uptimeSeconds", uptime);
}

Result<Output> show_attached(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  Output output;
  SPHERE_TRY_ASSIGN(output.data, noted(context, *session, describe(*session)));
  output.columns = {{.key = "deviceId", .heading = "Device ID"},
                    {.key = "ipAddress", .heading = "IP address"},
                    {.key = "connectionPath", .heading = "Connection path"},
                    {.key = "name", .heading = "Name"},
                    {.key = "virtual", .heading = "Virtual"},
                    {.key = "osVersion", .heading = "OS version"},
                    {.key = "apiVersion", .heading = "API version"},
                    {.key = "securityState", .heading = "Security state"},
                    {.key = "manufacturingState", .heading = "Manufacturing state"},
                    {.key = "capabilities", .heading = "Capabilities"},
                    {.key = "publicTestKeyTrusted", .heading = "Public test key trusted"},
                    {.key = "uptimeSeconds", .heading = "Uptime in seconds"}};
  return output;
}

Result<Output> show_os_version(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto version, noted(context, *session, session->rest.os_version()));
  Output output{.columns = {{.key = "osVersion", .heading = "OS version"}}};
  output.data.set("osVersion", version);
  return output;
}

// Waits for the first answer of the new run: the old one gives none after the restart's answer.
Result<void> wait_for_answer(Context& context, DeviceSession& session,
                             SteadyClock::time_point until) {
  while (true) {
    auto uptime = session.rest.uptime_seconds();
    if (uptime) {
      return {};
    }
    if (uptime.error().code() == Errc::cancelled || context.interrupted.load()) {
      return fail(Errc::cancelled, "interrupted while the device restarts");
    }
    if (SteadyClock::now() >= until) {
      return fail(Errc::timeout, "the device has not come back after its restart",
                  {.reason = "device.restarting",
                   .value = uptime.error().message(),
                   .next = "look again: sphere device list-attached"});
    }
    std::this_thread::sleep_for(kPoll);
  }
}

// Failures in which the board is there and does not answer.
bool is_silent(const Error& error) {
  constexpr std::array<std::string_view, 4> kSilent = {"link.no-answer", "link.not-slip",
                                                       "device.refused", "device.timeout"};
  return std::ranges::find(kSilent, error.hint().reason) != kSilent.end();
}

// Restarts by the device API; a board on USB that does not answer, by the reset line of its
// interface. True: by the line.
Result<bool> restart_board(Context& context, std::unique_ptr<DeviceSession>& session) {
  auto asked = noted(context, *session, session->rest.restart());
  if (asked) {
    return false;
  }
  const auto place = session->device.place;
  if (!is_silent(asked.error()) || !place || place->kind != transport::PlaceKind::usb) {
    return tl::make_unexpected(std::move(asked).error());
  }
  context.reporter.warn(
      fmt::format("{}: resetting it by the line of its USB interface", asked.error().message()));
  session.reset();  // The line belongs to the same device.
  SPHERE_TRY(transport::run_lines(place->target, transport::reset_lines()));
  context.device_error.reset();
  SPHERE_TRY_ASSIGN(session, connect_device(context));
  return true;
}

Result<Output> restart(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const bool by_line, restart_board(context, session));
  const auto begin = SteadyClock::now();
  Output output{.text = by_line ? "The device was reset by its line." : "The device restarts."};
  output.data.set("restartingSystem", true).set("method", by_line ? "resetLine" : "deviceApi");
  if (arguments.has("wait")) {
    context.reporter.step("Waiting for the device, up to 60 s");
    SPHERE_TRY(
        wait_for_answer(context, *session, begin + context.time_limit.value_or(kRestartLimit)));
    const std::chrono::duration<double> passed = SteadyClock::now() - begin;
    const std::string seconds = fmt::format("{:.1f}", passed.count());
    SPHERE_TRY_ASSIGN(json::Value number, json::parse(seconds));
    output.data.set("backAfterSeconds", std::move(number));
    output.text = fmt::format("The device has restarted in {} s.", seconds);
  }
  return output;
}

// "Application", or the number of a type without a name.
std::string type_name(std::int64_t type) {
  const auto name = type >= 0 && type <= UINT16_MAX
                        ? image::image_type_name(static_cast<std::uint16_t>(type))
                        : std::string_view{};
  return name.empty() ? std::to_string(type) : std::string{name};
}

Result<Output> list_installed(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto images, noted(context, *session, session->rest.images()));
  Output output;
  output.data = json::Array{};
  output.columns = {{.key = "componentId", .heading = "Component ID"},
                    {.key = "imageId", .heading = "Image ID"},
                    {.key = "name", .heading = "Name"},
                    {.key = "imageType", .heading = "Image type"},
                    {.key = "lengthBytes", .heading = "Bytes"},
                    {.key = "replicaType", .heading = "Replica"}};
  for (const device_api::Component& component : images.components) {
    if (component.image_type != image::kApplication && !arguments.has("all")) {
      continue;
    }
    for (const device_api::Image& image : component.images) {
      output.data.push(json::Value{}
                           .set("componentId", component.uid)
                           .set("imageId", image.uid)
                           .set("name", component.name)
                           .set("imageType", type_name(component.image_type))
                           .set("lengthBytes", image.length_in_bytes)
                           .set("replicaType", image.replica_type));
    }
  }
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "device list-attached", .run = list_attached},
    NetCommand{.path = "device show-attached", .run = show_attached},
    NetCommand{.path = "device show-os-version", .run = show_os_version},
    NetCommand{.path = "device restart", .run = restart},
    NetCommand{.path = "device image list-installed", .run = list_installed},
};

}  // namespace

std::span<const NetCommand> device_net_commands() { return kCommands; }

}  // namespace sphere::cli
