// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/mt3620.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/encoding.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/device_errors.h"

namespace sphere::virtual_board {

namespace {

using namespace std::chrono_literals;
using recovery::Time;
using recovery::v2::EventCode;
using recovery::v2::Type;

constexpr std::size_t kSector = 4096;
constexpr std::uint32_t kSlow = 115200;
constexpr std::uint32_t kFast = 3000000;
constexpr std::uint64_t kLoaderSize = 16384;  // The ROM takes exactly this.
constexpr std::uint32_t kAskTries = 5;
constexpr std::string_view kBanner = "RECOVERY\r\n0000362000008A01020A00008FC8C833\r\n";
constexpr auto kOwnFaults =
    std::to_array<std::string_view>({"no-banner", "hello-lost", "nak", "lie-offset", "name",
                                     "slow-erase", "bad-sector", "flip-flash", "power-cut"});

transport::LineSettings line(std::uint32_t baud) { return {.baud = baud}; }

}  // namespace

Result<void> Mt3620::check_faults(std::span<const Fault> faults) {
  for (const Fault& fault : faults) {
    if (!is_wire_fault(fault) && std::ranges::find(kOwnFaults, fault.kind) == kOwnFaults.end()) {
      return fail(Errc::invalid_argument,
                  fmt::format("a virtual MT3620 has no fault '{}'", fault.kind),
                  {.reason = "usage.bad-value",
                   .value = fault.kind,
                   .next = "see sphere-board rom --help"});
    }
  }
  return {};
}

Mt3620::Mt3620(Config config)
    : config_{std::move(config)},
      flash_{config_.flash_size, kSector},
      decoder_{recovery::v2::kFrameLimit} {
  if (const Fault* const bad = fault("bad-sector")) {
    flash_.set_bad_sector(static_cast<std::size_t>(bad->number().value_or(0)));
  }
  if (const Fault* const cut = fault("power-cut")) {
    flash_.cut_power_after(cut->at + 1);
  }
  if (const Fault* const slow = fault("slow-erase")) {
    config_.erase_time = std::chrono::milliseconds{slow->number().value_or(0)};
  }
}

const Fault* Mt3620::fault(std::string_view kind) const {
  const auto found = std::ranges::find(config_.faults, kind, &Fault::kind);
  return found == config_.faults.end() ? nullptr : &*found;
}

void Mt3620::take(const device::Input& input, device::Time now, device::Actions& actions) {
  now_ = now;
  actions_ = &actions;
  std::visit([this](const auto& what) { on(what); }, input);
  actions_ = nullptr;
}

void Mt3620::on(const device::PowerOn& power) {
  if (!flash_.has_power()) {
    flash_.restore_power();
  }
  decoder_.reset();
  receiver_.reset();
  actions_->emplace_back(device::Disarm{});
  actions_->emplace_back(device::SetLine{.settings = line(kSlow)});
  if (!power.recovery_strap) {
    state_ = State::off;
    if (is_complete()) {
      actions_->emplace_back(device::Boot{});
    } else {
      say("[ROM] no boot record\r\n");
    }
    return;
  }
  state_ = State::rom;
  if (fault("no-banner") == nullptr) {
    say(kBanner);
  }
  receive_file(kLoaderSize);
}

void Mt3620::on(const device::ControlRequest& request) {
  actions_->emplace_back(
      device::ControlAnswer{.tag = request.tag, .result = recovery::UsbResult::stall});
}

// --- Sending. ---

void Mt3620::say(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  actions_->emplace_back(device::Send{.bytes = {bytes.begin(), bytes.end()}});
}

void Mt3620::tell(Type type, std::span<const std::byte> data) {
  std::vector<std::byte> wire;
  recovery::v2::append_message(type, data, wire);
  actions_->emplace_back(device::Send{.bytes = std::move(wire)});
}

void Mt3620::event(EventCode code) {
  const std::byte byte{static_cast<std::uint8_t>(code)};
  tell(Type::recovery_event, std::span{&byte, 1});
}

void Mt3620::error(std::uint16_t code) {
  tell(Type::recovery_error,
       std::move(Writer{}.little_endian(recovery::kRecoveryCategory).little_endian(code)).take());
  receiver_.reset();
  state_ = State::failed;
  actions_->emplace_back(device::Disarm{});
}

void Mt3620::ask(State state, Type type, std::span<const std::byte> data) {
  state_ = state;
  question_.clear();
  recovery::v2::append_message(type, data, question_);
  asked_ = 1;
  actions_->emplace_back(device::Send{.bytes = question_});
  arm(state == State::greeting ? Time{500ms} : Time{1s});
}

void Mt3620::ask_for(State state, const std::string& name, std::uint64_t offset,
                     std::uint64_t most) {
  wanted_name_ = name;
  wanted_offset_ = offset;
  if (offset == 0) {
    file_.clear();
  }
  Writer data;
  data.little_endian(static_cast<std::uint32_t>(offset))
      .little_endian(static_cast<std::uint32_t>(most))
      .text(name)
      .zeros(1);
  ask(state, Type::image_request_by_filename, data.data());
}

// --- Receiving. ---

void Mt3620::on(const device::Received& received) {
  auto bytes = received.bytes;
  while (!bytes.empty() && state_ != State::off && state_ != State::failed) {
    std::size_t taken = 0;
    if (receiver_) {
      std::vector<std::byte> out;
      taken = receiver_->receive(bytes, now_, out);
      if (!out.empty()) {
        actions_->emplace_back(device::Send{.bytes = std::move(out)});
      }
      file_step();
    } else if (bytes.front() == recovery::xmodem::kEot && !decoder_.in_frame()) {
      // The host missed the last ACK of the file before.
      actions_->emplace_back(device::Send{.bytes = {recovery::xmodem::kAck}});
      taken = 1;
    } else {
      taken = decoder_.decode(bytes, [this](std::span<const std::byte> frame) {
        if (const auto message = recovery::v2::parse_message(frame)) {
          take_message(*message);
        }
        return false;
      });
    }
    bytes = bytes.subspan(taken);
  }
}

void Mt3620::on(const device::TimerFired& /*timer*/) {
  if (receiver_) {
    std::vector<std::byte> out;
    receiver_->timer(now_, out);
    if (!out.empty()) {
      actions_->emplace_back(device::Send{.bytes = std::move(out)});
    }
    file_step();
    return;
  }
  switch (state_) {
    case State::off:
    case State::rom:
    case State::complete:
    case State::failed:
      return;
    case State::erasing:
      return erase_some();
    case State::quiet:
      return finish();
    case State::greeting:
      hello_lost_ = true;  // From now on it is heard.
      actions_->emplace_back(device::Send{.bytes = question_});
      return arm(500ms);
    default:
      break;
  }
  if (++asked_ > kAskTries) {
    return error(recovery::kServerResponseTimedOut);
  }
  actions_->emplace_back(device::Send{.bytes = question_});
  arm(1s);
}

void Mt3620::take_message(const recovery::v2::Message& message) {
  const auto type = static_cast<Type>(message.type);
  if (type == Type::abort_recovery) {
    state_ = State::failed;
    actions_->emplace_back(device::Disarm{});
  } else if (type == Type::image_request_ack) {
    take_file_answer(message.data);
  } else if (!take_setup_answer(type, message.data) && type == Type::image_request_error) {
    error(recovery::kImageNotFound);
  }
}

// The answers to all questions but those for files. False: it is none.
bool Mt3620::take_setup_answer(Type type, std::span<const std::byte> data) {
  if (state_ == State::greeting && type == Type::initialization_ack) {
    event(EventCode::initialized);
    ask(State::log_query, Type::log_config_query, {});
  } else if (state_ == State::log_query && type == Type::simple_query_ack) {
    file_.clear();
    ask(State::capability, Type::image_request_capability,
        std::move(Writer{}.little_endian(std::uint32_t{0}).little_endian(~std::uint32_t{0}))
            .take());
    wanted_name_.clear();
    wanted_offset_ = 0;
  } else if (state_ == State::capability && type == Type::image_request_error) {
    ask_for(State::runtime, std::string{recovery::v2::kRuntimeFile}, 0, ~std::uint32_t{0});
  } else if (state_ == State::runtime_log && type == Type::simple_query_ack) {
    event(EventCode::runtime_booted);
    ask(State::speed, Type::baudrate_switch_query, {});
  } else if (state_ == State::speed && type == Type::simple_query_ack) {
    take_speed_answer(data);
  } else if (state_ == State::status && type == Type::server_ready) {
    begin_erase();
  } else {
    return false;
  }
  return true;
}

void Mt3620::take_speed_answer(std::span<const std::byte> data) {
  if (data.empty() || data.front() == std::byte{0}) {
    begin_erase();
    return;
  }
  actions_->emplace_back(device::SetLine{.settings = line(kFast)});
  // The host needs a while for its switch: the first request may be lost, and comes again.
  ask(State::status, Type::status_request, {});
}

void Mt3620::take_file_answer(std::span<const std::byte> data) {
  const auto answer = recovery::v2::parse_file_answer(data);
  if (state_ != State::capability && state_ != State::runtime && state_ != State::manifest &&
      state_ != State::image) {
    return;
  }
  if (!answer || answer->offset != wanted_offset_ || answer->length == 0 ||
      answer->size > recovery::kImageFileLimit ||
      std::uint64_t{answer->offset} + answer->length > answer->size) {
    return error(recovery::kInvalidServerResponse);
  }
  file_size_ = answer->size;
  receive_file(answer->length);
}

void Mt3620::receive_file(std::uint64_t size) {
  if (wanted_offset_ == 0 || state_ == State::rom) {
    file_.clear();
  }
  receiver_.emplace(
      recovery::xmodem::Receiver::Config{.size = size}, [this](std::span<const std::byte> data) {
        file_.insert(file_.end(), data.begin(), data.end());
        const Fault* const nak = fault("nak");
        if (nak != nullptr && blocks_++ == nak->at) {
          receiver_->refuse_next(static_cast<std::uint32_t>(nak->number().value_or(1)));
        }
      });
  std::vector<std::byte> out;
  receiver_->start(now_, out);
  actions_->emplace_back(device::Send{.bytes = std::move(out)});
  file_step();
}

void Mt3620::file_step() {
  using XmodemState = recovery::xmodem::Receiver::State;
  if (!receiver_) {
    return;
  }
  if (receiver_->state() == XmodemState::failed) {
    receiver_.reset();
    if (state_ == State::rom) {
      receive_file(kLoaderSize);  // The ROM waits for ever.
      return;
    }
    error(recovery::kFileTransferFailed);
  } else if (receiver_->state() == XmodemState::done) {
    receiver_.reset();
    decoder_.reset();
    file_complete();
  } else {
    actions_->emplace_back(device::Arm{.deadline = receiver_->deadline()});
  }
}

}  // namespace sphere::virtual_board
