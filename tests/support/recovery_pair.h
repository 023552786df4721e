// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"

namespace sphere::test {

using Bytes = std::vector<std::byte>;

// A piece of a conversation: what one side gave to the wire.
struct WireLine {
  bool to_device = false;
  recovery::Time time = {};
  Bytes bytes;

  [[nodiscard]] bool operator==(const WireLine&) const = default;
};

// What a wire makes of a piece: pieces with the time each needs.
struct Delivery {
  Bytes bytes;
  recovery::Time after = {};
};
using WireFault = std::function<std::vector<Delivery>(const WireLine& line)>;

struct PairOptions {
  std::map<std::string, Bytes> files = {};
  recovery::Time latency = std::chrono::microseconds{100};
  WireFault fault = {};                       // Of bytes. Nothing: all arrives.
  std::optional<std::size_t> unplug_at = {};  // The link is lost at this piece.
  std::optional<std::size_t> cancel_at = {};  // Ctrl-C at this piece.
  bool keep_power = false;                    // The board runs already.
  bool leaves_at_boot = false;                // As a USB device or a TCP server does.
  // Of control transfers: changes the answer.
  std::function<void(std::size_t index, virtual_board::device::ControlAnswer&)> control_fault = {};
  recovery::Time limit = std::chrono::hours{2};
};

struct PairResult {
  std::optional<recovery::Outcome> outcome;  // Nothing: no end within the limit.
  recovery::Time time = {};
  std::vector<WireLine> log;  // As sent, before faults. Control transfers: setup, then data.
  std::vector<recovery::Event> events;
  std::size_t boots = 0;
  bool waited_without_limit = false;  // A driver that broke its rule.
};

// Joins a client and a device side in virtual time and runs them to the client's end. Begins with
// PowerOn and Start.
[[nodiscard]] PairResult run_pair(recovery::Driver& driver, virtual_board::DeviceSide& device,
                                  const PairOptions& options = {});

// A wire that does each of these with `per_million` of its pieces, from a seeded generator.
struct FaultRates {
  unsigned drop = 0;
  unsigned flip = 0;
  unsigned duplicate = 0;
  unsigned delay = 0;
  unsigned split = 0;
  unsigned lose_byte = 0;
  recovery::Time delay_time = std::chrono::seconds{2};
};
[[nodiscard]] WireFault random_faults(const FaultRates& rates, std::uint32_t seed);

// The log as text, one line a piece: "> 0A0B" to the device, "< 0C" from it. Pieces with more than
// 64 bytes show their size and SHA-256.
[[nodiscard]] std::string to_text(const std::vector<WireLine>& log);

[[nodiscard]] Bytes random_bytes(std::size_t size, std::uint32_t seed);

}  // namespace sphere::test
