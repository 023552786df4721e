// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "sphere/core/result.h"

namespace sphere::recovery {

// Time since a start that the caller chose. Drivers read no clock: they are told.
using Time = std::chrono::microseconds;

// The steps of a recovery in their order. Up to `inventory` nothing in the board's flash changes.
enum class Step : std::uint8_t {
  find,
  claim,
  enter,
  identify,
  preflight,
  loader,
  inventory,
  erase,
  write,
  verify,
  reboot,
  confirm,
};
[[nodiscard]] std::string_view to_text(Step step);

enum class Verdict : std::uint8_t { no, yes, unknown };
[[nodiscard]] std::string_view to_text(Verdict verdict);

// What is known about the board once it has answered. Texts of the device: escape before printing.
struct Identified {
  std::string chip = {};
  std::string board_id = {};
  std::string device_id = {};
  std::string lifecycle = {};
  std::string banner = {};
};
struct StepBegun {
  Step step = Step::find;
};
struct Progress {
  Step step = Step::write;
  std::string image = {};
  std::uint32_t image_index = 0;  // From 1; 0: not about one image.
  std::uint32_t images = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};
struct DeviceLog {
  std::uint8_t level = 0;
  std::string text = {};
};
struct Retry {
  std::string what = {};
  std::uint32_t attempt = 0;
  std::uint32_t of = 0;
  std::string why = {};
};
struct Warning {
  std::string code = {};
  std::string text = {};
  std::string next = {};
};

struct Found {
  std::string location = {};  // "1243", "tty-ttyUSB3", "tcp-localhost-5000"
  std::string product = {};
  std::string serial = {};
  std::string protocol = {};
};
struct Waiting {
  std::string reason = {};
  Time since = {};  // How long so far.
  Time limit = {};  // How long at most.
};
struct Preflight {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::string signer = {};
};

// What happens during a recovery. Drivers give the first six; the engine and the runner the rest.
using Event = std::variant<Identified, StepBegun, Progress, DeviceLog, Retry, Warning, Found,
                           Waiting, Preflight>;

// How a driver's part of a recovery ended. Whether the board then boots is found out by others.
struct Outcome {
  Verdict written = Verdict::no;    // The device acknowledged the last byte and its completion.
  Verdict verified = Verdict::no;   // Each image's hash was confirmed.
  std::string not_verified = {};    // Why `verified` is unknown.
  bool flash_touched = false;       // The erase may have begun: the board may be incomplete.
  std::optional<Error> error = {};  // Set: it failed, with a hint.reason of recovery.*.
  std::uint32_t images_written = 0;
  std::uint32_t images_skipped = 0;  // They were right already.
  std::uint64_t bytes_written = 0;
};

}  // namespace sphere::recovery
