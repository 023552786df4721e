// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

// Error report data (GET /telemetry).
//
//   0  1  version, 1
//   1  1  flags: bit 0 oldest events were dropped, bit 1 payload waits for upload
//   2  1  0
//   3  2  payload length, big-endian
//   5  n  payload: one JSON object a line
namespace sphere::device_api {

inline constexpr std::size_t kTelemetryHead = 5;
inline constexpr std::size_t kTelemetryPayload = 65535;

struct Telemetry {
  bool dropped = false;
  bool waiting = false;
  std::vector<json::Value> events = {};
};

// The newest events that fit; `dropped` is set when older ones were left out.
[[nodiscard]] std::vector<std::byte> write_telemetry(const Telemetry& telemetry);
// Errors: corrupt, unsupported (version).
[[nodiscard]] Result<Telemetry> read_telemetry(std::span<const std::byte> bytes);

}  // namespace sphere::device_api
