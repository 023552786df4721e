// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "sphere/core/reader.h"
#include "sphere/recovery/driver.h"

// A side of a recovery protocol against an adversary. The input is a row of steps:
//
//   u8 kind | u8 size | that many bytes, for the kinds that have some
//
// kind & 3: 0 bytes of the stream, or answer or request of the control pipe; 1 a report; 2 time
// passes to the timer; 3 other.
namespace sphere::fuzz {

inline void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct FuzzStep {
  unsigned kind = 0;
  std::span<const std::byte> bytes;
};

inline std::optional<FuzzStep> next_step(Reader& reader) {
  const auto kind = reader.little_endian<std::uint8_t>();
  const auto size = reader.little_endian<std::uint8_t>();
  if (!kind || !size) {
    return std::nullopt;
  }
  return FuzzStep{.kind = *kind,
                  .bytes = *reader.bytes(std::min<std::size_t>(*size, reader.left()))};
}

// The host of a hostile device: carries out what the driver wants and checks that it keeps the
// rules of sphere/recovery/driver.h.
class Host {
 public:
  Host(recovery::Driver& driver, const std::map<std::string, std::vector<std::byte>>& files)
      : driver_{&driver}, files_{&files} {}

  void run(std::span<const std::byte> input) {
    give(recovery::Start{});
    Reader reader{input};
    while (!over_) {
      const auto step = next_step(reader);
      if (!step) {
        break;
      }
      take(*step);
    }
    // Without a device, a run comes to an end.
    for (int i = 0; i < 10'000 && !over_; ++i) {
      fire();
    }
    require(over_);
    give(recovery::TimerFired{});
    give(recovery::Received{input});
  }

 private:
  void take(const FuzzStep& step) {
    now_ += std::chrono::milliseconds{1};
    switch (step.kind & 3U) {
      case 0:
        if (!controls_.empty()) {
          answer_control(step);
        } else {
          give(recovery::Received{step.bytes});
        }
        break;
      case 1:
        if (!step.bytes.empty()) {
          give(recovery::ReportIn{.id = std::to_integer<std::uint8_t>(step.bytes[0]),
                                  .bytes = step.bytes.subspan(1)});
        }
        break;
      case 2:
        fire();
        break;
      default:
        other(step.kind >> 2U);
        break;
    }
  }

  void answer_control(const FuzzStep& step) {
    const auto [tag, length] = controls_.front();
    controls_.pop_front();
    const auto result = static_cast<recovery::UsbResult>(step.kind >> 6U);
    give(recovery::ControlReply{
        .tag = tag,
        .result = result,
        .bytes = step.bytes.first(std::min<std::size_t>(step.bytes.size(), length))});
  }

  void fire() {
    require(deadline_.has_value());
    now_ = std::max(now_, *std::exchange(deadline_, std::nullopt));
    give(recovery::TimerFired{});
  }

  void other(unsigned kind) {
    if (kind == 1) {
      give(recovery::LinkLost{});
    } else if (kind == 2) {
      give(recovery::LinkBack{.vendor = 0x0483, .product = 0xDF11, .location = "1-1"});
    } else if (kind == 3) {
      give(recovery::Cancelled{});
    }
  }

  void give(const recovery::Input& input) {
    recovery::Actions actions;
    driver_->take(input, now_, actions);
    require(!over_ || actions.empty());
    for (const auto& action : actions) {
      note(action);
    }
    require(over_ || deadline_.has_value());
    answer();
  }

  void note(const recovery::Action& action) {
    require(!over_);
    if (const auto* const arm = std::get_if<recovery::Arm>(&action)) {
      require(!arm->reason.empty());
      deadline_ = arm->deadline;
    } else if (const auto* const need = std::get_if<recovery::NeedFile>(&action)) {
      needs_.push_back(*need);
    } else if (const auto* const send = std::get_if<recovery::Send>(&action)) {
      if (send->drain) {
        drains_.push_back(send->tag);
      }
    } else if (const auto* const control = std::get_if<recovery::ControlTransfer>(&action)) {
      require((control->setup.request_type & 0x80U) != 0 ||
              control->setup.length == control->bytes.size());
      const bool in = (control->setup.request_type & 0x80U) != 0;
      controls_.emplace_back(control->tag, in ? control->setup.length : 0);
    } else if (const auto* const report = std::get_if<recovery::SetReport>(&action)) {
      controls_.emplace_back(report->tag, std::uint16_t{0});
    } else if (std::holds_alternative<recovery::Finish>(action)) {
      over_ = true;
    }
  }

  // What the operating system answers at once.
  void answer() {
    while (!over_ && !needs_.empty()) {
      const auto need = std::move(needs_.front());
      needs_.pop_front();
      const auto& bytes = files_->at(need.name);
      require(need.offset <= bytes.size() && need.length <= bytes.size() - need.offset &&
              need.length <= 1U << 20U);
      give(recovery::FileData{.tag = need.tag,
                              .bytes = std::span{bytes}.subspan(need.offset, need.length)});
    }
    while (!over_ && !drains_.empty()) {
      const auto tag = drains_.front();
      drains_.pop_front();
      give(recovery::Sent{tag});
    }
  }

  recovery::Driver* driver_;
  const std::map<std::string, std::vector<std::byte>>* files_;
  recovery::Time now_ = {};
  std::optional<recovery::Time> deadline_;
  std::deque<recovery::NeedFile> needs_;
  std::deque<recovery::Tag> drains_;
  std::deque<std::pair<recovery::Tag, std::uint16_t>> controls_;
  bool over_ = false;
};

// A device of a hostile host. For the control pipe the first eight bytes are the setup packet.
inline void run_device(virtual_board::DeviceSide& side, std::span<const std::byte> input,
                       bool control) {
  namespace device = virtual_board::device;
  device::Time now = {};
  std::optional<device::Time> deadline;
  const auto give = [&](const device::Input& what) {
    device::Actions actions;
    side.take(what, now, actions);
    for (const auto& action : actions) {
      if (const auto* const arm = std::get_if<device::Arm>(&action)) {
        deadline = arm->deadline;
      } else if (std::holds_alternative<device::Disarm>(action)) {
        deadline.reset();
      }
    }
  };
  give(device::PowerOn{});
  Reader reader{input};
  while (const auto step = next_step(reader)) {
    now += std::chrono::milliseconds{1};
    Reader bytes{step->bytes};
    if ((step->kind & 3U) == 2) {
      if (deadline) {
        now = std::max(now, *std::exchange(deadline, std::nullopt));
        give(device::TimerFired{});
      }
    } else if ((step->kind & 3U) == 1) {
      const auto id = bytes.little_endian<std::uint8_t>();
      give(device::ReportOut{.id = id.value_or(0), .bytes = *bytes.bytes(bytes.left())});
    } else if ((step->kind & 3U) == 3) {
      give(device::PowerOn{.recovery_strap = (step->kind & 4U) == 0});
    } else if (!control) {
      give(device::Received{step->bytes});
    } else if (step->bytes.size() >= 8) {
      const device::UsbSetup setup{.request_type = *bytes.little_endian<std::uint8_t>(),
                                   .request = *bytes.little_endian<std::uint8_t>(),
                                   .value = *bytes.little_endian<std::uint16_t>(),
                                   .index = *bytes.little_endian<std::uint16_t>(),
                                   .length = *bytes.little_endian<std::uint16_t>()};
      give(device::ControlRequest{.setup = setup, .bytes = *bytes.bytes(bytes.left()), .tag = 1});
    }
  }
  static_cast<void>(side.is_complete());
}

}  // namespace sphere::fuzz
