// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

// Bodies of the device REST API as C++ types, JSON both ways: agent and tools share them so that
// the two sides cannot drift. from_json() of a wrong shape gives Errc::corrupt naming the key.
namespace sphere::device_api {

inline constexpr std::string_view kRestApiVersion = "4.6.0";
inline constexpr std::string_view kSphereApiVersion = "1.0.0";

struct ErrorBody {  // {"error": n, "message": "...", "next": "...", "name": "..."}
  ErrorCode error = 0;
  std::string message, next, name;
};
[[nodiscard]] json::Value to_json(const ErrorBody& body);
[[nodiscard]] Result<ErrorBody> error_from_json(const json::Value& value);

struct Image {
  std::string uid;
  std::int64_t length_in_bytes = 0;
  std::int64_t uncompressed_length_in_bytes = 0;
  std::int64_t replica_type = 0;  // 0 in use, 1 backup.
};
struct Component {
  std::string uid;
  std::int64_t image_type = 0;
  bool is_update_staged = false;
  bool does_image_type_require_restart = false;
  std::string name;
  std::vector<Image> images;
};
struct Images {  // GET /images
  bool has_staged_updates = false;
  bool is_ota_update_in_progress = false;
  bool restart_required = false;
  std::vector<Component> components;
};
[[nodiscard]] json::Value to_json(const Images& images);
[[nodiscard]] Result<Images> images_from_json(const json::Value& value);

enum class AppState : std::uint8_t { running, not_present, stopped, debugging };
[[nodiscard]] std::string_view to_text(AppState state);  // "running", "notPresent", ...
[[nodiscard]] Result<AppState> parse_app_state(std::string_view text);

// A place in the code of an app; numbers are hexadecimal, "0x1f40".
struct CodePlace {
  std::string address;
  // The file that was mapped there and the place in it; empty when it was no file.
  std::string module, offset;
};
// Where a signal met an app. Emulated apps have none: the emulator tells the signal only.
struct Crash {
  CodePlace at, caller;  // `caller`: from the stack or the link register; may be empty.
  std::string fault_address;
  std::int64_t signal_code = 0;  // si_code
  std::string thread, build_id;  // Of the app's program; empty: it has none.
};
// What an app that was killed for want of memory had.
struct MemoryEnd {
  std::int64_t budget_bytes = 0;  // What an app may use,
  std::int64_t limit_bytes = 0;   // and with what the kernel charges beside it: where it is killed.
  std::int64_t used_bytes = 0;    // At most, of the latter; 0: not known.
};
struct LastExit {
  std::string kind;  // exit, signal, limit, watchdog
  std::int64_t code = 0;
  std::string at;  // RFC 3339
  std::optional<Crash> crash = {};
  std::optional<MemoryEnd> memory = {};
};
struct App {  // GET /sphere/v1/apps
  std::string component_id, image_id, name;
  std::string type = "highLevel";
  AppState state = AppState::stopped;
  bool temporary = false;
  std::string signed_by;  // production, development
  std::int64_t restarts = 0;
  std::optional<LastExit> last_exit = {};
  std::int64_t memory_bytes = 0;
  std::optional<std::string> started_at = {};
};
[[nodiscard]] json::Value to_json(const std::vector<App>& apps);
[[nodiscard]] Result<std::vector<App>> apps_from_json(const json::Value& value);

struct BoardInfo {  // GET /sphere/v1
  std::string api = std::string{kSphereApiVersion};
  std::string agent, os_version;
  std::string board_id, board_name;
  bool is_virtual = false;
  std::vector<std::string> features;
  std::int64_t max_image_bytes = 0, max_connections = 0, max_followers = 0;
};
[[nodiscard]] json::Value to_json(const BoardInfo& info);
[[nodiscard]] Result<BoardInfo> board_info_from_json(const json::Value& value);

struct SecurityState {  // GET /device/security_state
  std::string security_state, device_identifier, device_identity_public_key;
};
[[nodiscard]] json::Value to_json(const SecurityState& state);
[[nodiscard]] Result<SecurityState> security_state_from_json(const json::Value& value);

struct OutputLine {  // GET /sphere/v1/apps/{uid}/output, one JSON object a line
  std::int64_t seq = 0;
  std::string at;
  std::string text;
  bool cut = false;
};
[[nodiscard]] json::Value to_json(const OutputLine& line);
[[nodiscard]] Result<OutputLine> output_line_from_json(const json::Value& value);

struct VirtualPeripheral {  // GET /sphere/v1/virtual
  std::string name;         // "gpio8"
  std::string kind;         // gpio, uart, i2c, spi, adc, pwm
  std::vector<std::int64_t> pins;
  std::string used_by;  // Component id, empty when free.
};
[[nodiscard]] json::Value to_json(const std::vector<VirtualPeripheral>& peripherals);
[[nodiscard]] Result<std::vector<VirtualPeripheral>> virtual_peripherals_from_json(
    const json::Value& value);

struct GpioState {        // GET, PUT /sphere/v1/virtual/gpio/{pin}
  std::string direction;  // in, out, unused
  std::int64_t level = 0;
  std::string used_by;
};
[[nodiscard]] json::Value to_json(const GpioState& state);
[[nodiscard]] Result<GpioState> gpio_state_from_json(const json::Value& value);

struct GpioEdge {  // GET /sphere/v1/virtual/gpio?follow=true, one JSON object a line
  std::int64_t at_us = 0;
  std::int64_t pin = 0;
  std::int64_t level = 0;
};
[[nodiscard]] json::Value to_json(const GpioEdge& edge);
[[nodiscard]] Result<GpioEdge> gpio_edge_from_json(const json::Value& value);

}  // namespace sphere::device_api
