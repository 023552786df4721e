// SPDX-License-Identifier: MIT
#include "sphere/device_api/telemetry.h"

#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/json/value.h"

namespace sphere::device_api {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kDropped = 1;
constexpr std::uint8_t kWaiting = 2;

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(Errc::corrupt, "malformed telemetry: " + what, {.reason = "device.error"});
}

}  // namespace

std::vector<std::byte> write_telemetry(const Telemetry& telemetry) {
  std::vector<std::string> lines;  // Newest first.
  std::size_t size = 0;
  bool dropped = telemetry.dropped;
  for (const auto& event : std::views::reverse(telemetry.events)) {
    auto line = json::to_compact(event) + "\n";
    if (line.size() > kTelemetryPayload - size) {
      dropped = true;
      break;
    }
    size += line.size();
    lines.push_back(std::move(line));
  }
  const auto flags = (dropped ? kDropped : 0) | (telemetry.waiting && size > 0 ? kWaiting : 0);
  Writer writer;
  writer.little_endian(kVersion)
      .little_endian(static_cast<std::uint8_t>(flags))
      .little_endian(std::uint8_t{0})
      .little_endian(static_cast<std::uint8_t>(size >> 8U))
      .little_endian(static_cast<std::uint8_t>(size & 0xFFU));
  for (const auto& line : std::views::reverse(lines)) {
    writer.text(line);
  }
  return std::move(writer).take();
}

Result<Telemetry> read_telemetry(std::span<const std::byte> bytes) {
  if (bytes.size() < kTelemetryHead) {
    return malformed("shorter than its head");
  }
  if (std::to_integer<int>(bytes[0]) != kVersion) {
    return fail(Errc::unsupported,
                "telemetry of version " + std::to_string(std::to_integer<int>(bytes[0])),
                {.reason = "device.error"});
  }
  const auto length =
      std::to_integer<std::size_t>(bytes[3]) << 8U | std::to_integer<std::size_t>(bytes[4]);
  if (length != bytes.size() - kTelemetryHead) {
    return malformed("its length is another than it says");
  }
  Telemetry telemetry;
  telemetry.dropped = (std::to_integer<unsigned>(bytes[1]) & kDropped) != 0;
  telemetry.waiting = (std::to_integer<unsigned>(bytes[1]) & kWaiting) != 0;
  std::string text;
  for (const auto byte : bytes.subspan(kTelemetryHead)) {
    text.push_back(std::to_integer<char>(byte));
  }
  for (const auto& line : split(text, '\n')) {
    if (line.empty()) {
      continue;
    }
    SPHERE_TRY_ASSIGN(auto event, json::parse(line));
    telemetry.events.push_back(std::move(event));
  }
  return telemetry;
}

}  // namespace sphere::device_api
