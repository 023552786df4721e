// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/sphere_v3.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/device_errors.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::virtual_board {

namespace {

using namespace std::chrono_literals;
using recovery::Time;
using recovery::v3::Type;

constexpr std::uint32_t kSlow = 115200;
constexpr Time kHelloInterval = 500ms;
constexpr Time kBeginLimit = 2s;
constexpr Time kHostLimit = 10s;  // Silence of the host where the board waits for it.
constexpr Time kErrorPause = 2s;
constexpr auto kOwnFaults =
    std::to_array<std::string_view>({"hello-lost", "lie-size", "lie-offset", "name", "no-credit",
                                     "slow-erase", "bad-sector", "flip-flash", "power-cut"});

recovery::v3::Nonce random_nonce() {
  recovery::v3::Nonce nonce{};
  crypto::random_bytes(nonce);
  return nonce;
}

}  // namespace

Result<void> SphereV3Board::check_faults(std::span<const Fault> faults) {
  for (const Fault& fault : faults) {
    if (!is_wire_fault(fault) && std::ranges::find(kOwnFaults, fault.kind) == kOwnFaults.end()) {
      return fail(Errc::invalid_argument,
                  fmt::format("a virtual board with recovery v3 has no fault '{}'", fault.kind),
                  {.reason = "usage.bad-value",
                   .value = fault.kind,
                   .next = "see sphere-board rom --help"});
    }
  }
  return {};
}

SphereV3Board::SphereV3Board(Config config)
    : config_{std::move(config)},
      flash_{config_.flash_size, kSector},
      decoder_{recovery::v3::kFrameLimit} {
  if (!config_.nonce) {
    config_.nonce = random_nonce;
  }
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

const Fault* SphereV3Board::fault(std::string_view kind) const {
  const auto found = std::ranges::find(config_.faults, kind, &Fault::kind);
  return found == config_.faults.end() ? nullptr : &*found;
}

void SphereV3Board::take(const device::Input& input, device::Time now, device::Actions& actions) {
  now_ = now;
  actions_ = &actions;
  std::visit([this](const auto& what) { on(what); }, input);
  if (state_ == State::off) {
    wire_.clear();
  }
  flush();
  std::optional<Time> first = deadline_;
  for (const auto& other :
       {channel_.deadline(), receiver_ ? receiver_->deadline() : std::nullopt}) {
    first = other && (!first || *other < *first) ? other : first;
  }
  if (first) {
    actions.emplace_back(device::Arm{.deadline = *first});
  } else {
    actions.emplace_back(device::Disarm{});
  }
  actions_ = nullptr;
}

void SphereV3Board::flush() {
  if (!wire_.empty()) {
    actions_->emplace_back(device::Send{.bytes = std::exchange(wire_, {})});
  }
}

// --- Sessions. ---

void SphereV3Board::on(const device::PowerOn& power) {
  if (!flash_.has_power()) {
    flash_.restore_power();
  }
  wire_.clear();
  last_error_ = 0;
  if (!power.recovery_strap && is_complete()) {
    state_ = State::off;
    deadline_.reset();
    actions_->emplace_back(device::Boot{});
    return;
  }
  announce();
}

void SphereV3Board::on(const device::ControlRequest& request) {
  actions_->emplace_back(
      device::ControlAnswer{.tag = request.tag, .result = recovery::UsbResult::stall});
}

void SphereV3Board::announce() {
  flush();
  state_ = State::announce;
  decoder_.reset();
  channel_.reset();
  receiver_.reset();
  transfer_ = 0;
  wants_answer_ = false;
  nonce_ = config_.nonce();
  actions_->emplace_back(device::SetLine{.settings = {.baud = kSlow}});
  if (fault("hello-lost") != nullptr && !std::exchange(hello_lost_, true)) {
    deadline_ = now_ + kHelloInterval;
    return;
  }
  say_hello();
}

void SphereV3Board::say_hello() {
  recovery::v3::Greeting greeting{.nonce = nonce_,
                                  .block = config_.block,
                                  .window = config_.window,
                                  .rates = config_.rates,
                                  .board_id = config_.board_id,
                                  .loader_version = 1,
                                  .floor = config_.floor,
                                  .flash_size = flash_.size(),
                                  .lifecycle = config_.identity ? 1 : 0};
  if (const Fault* const lie = fault("lie-size")) {
    greeting.flash_size = lie->number().value_or(0);
  }
  if (config_.identity) {
    greeting.device_id = to_hex(config_.identity->public_key().point());
  }
  if (last_error_ != 0) {
    greeting.last_error = last_error_;
  }
  recovery::v2::append_message(recovery::v2::Type::initialization,
                               recovery::v3::write_greeting(greeting), wire_);
  deadline_ = now_ + kHelloInterval;
}

void SphereV3Board::on(const device::Received& received) {
  if (state_ == State::off) {
    return;
  }
  decoder_.decode(received.bytes, [this](std::span<const std::byte> bytes) {
    take_frame(bytes);
    return state_ != State::off;
  });
}

void SphereV3Board::take_frame(std::span<const std::byte> bytes) {
  if (state_ != State::announce) {
    if (const auto frame = recovery::v3::parse_frame(bytes)) {
      take_v3(*frame);
    }
    return;
  }
  const auto message = recovery::v2::parse_message(bytes);
  if (message &&
      static_cast<recovery::v2::Type>(message->type) == recovery::v2::Type::initialization_ack) {
    take_choice(message->data);
  }
}

void SphereV3Board::take_choice(std::span<const std::byte> data) {
  const auto choice = recovery::v3::parse_choice(data);
  if (choice && choice->nonce != nonce_) {
    return;  // The answer to an earlier greeting.
  }
  const auto& rates = config_.rates;
  const bool good = choice && choice->block <= config_.block && choice->window <= config_.window &&
                    (!choice->rate || std::ranges::find(rates, *choice->rate) != rates.end());
  if (!good) {
    error(recovery::kInvalidServerResponse);
    return;
  }
  choice_ = *choice;
  if (choice_.rate) {
    actions_->emplace_back(device::SetLine{.settings = {.baud = *choice_.rate}});
  }
  state_ = State::switching;
  deadline_ = now_ + kBeginLimit;
  channel_.post(Type::status_request, {}, now_, wire_, true);
}

void SphereV3Board::take_v3(const recovery::v3::Frame& frame) {
  using recovery::v3::Kind;
  if (state_ == State::manifest || state_ == State::fetching) {
    deadline_ = now_ + kHostLimit;
  }
  switch (frame.kind) {
    case Kind::message:
      if (const auto message = channel_.take(frame, wire_)) {
        take_message(*message);
      }
      break;
    case Kind::message_ack:
      channel_.take_ack(frame, now_, wire_);
      break;
    case Kind::data:
      if (receiver_) {
        receiver_->take(frame, now_, wire_);
        const Fault* const stop = fault("no-credit");
        if (stop != nullptr && blocks_++ == stop->at && !receiver_->is_done()) {
          receiver_->pause(now_ + std::chrono::milliseconds{stop->number().value_or(0)}, wire_);
        }
        transfer_step();
      }
      break;
    case Kind::data_ack:
      break;
  }
}

void SphereV3Board::take_message(const recovery::v3::Message& message) {
  const auto type = static_cast<Type>(message.type);
  if (state_ == State::error) {
    return;
  }
  if (type == Type::abort_recovery) {
    go_to_error_state();
    return;
  }
  if (type == Type::server_ready && state_ == State::switching) {
    say_simulated();
    ask_for_manifest();
    return;
  }
  if (type == Type::image_request_ack && wants_answer_) {
    take_file_answer(message.data);
    return;
  }
  if (type == Type::image_request_error && wants_answer_) {
    take_request_error(message.data);
    return;
  }
  if (type == Type::proceed && state_ == State::inventory) {
    take_proceed(message.data);
    return;
  }
  if (type == Type::reboot && state_ == State::done) {
    take_reboot(message.data);
    return;
  }
  error(recovery::kBadState, fmt::format("message {:#04x}", message.type));
}

// Nobody should take this for silicon.
void SphereV3Board::say_simulated() {
  constexpr std::uint8_t kInformation = 2;
  if (choice_.log_level >= kInformation) {
    post(Type::log_entry,
         std::move(
             Writer{}.little_endian(kInformation).text("this board is simulated, its flash a file"))
             .take());
  }
}

void SphereV3Board::take_request_error(std::span<const std::byte> data) {
  const auto refused = recovery::v3::parse_request_error(data);
  error(refused ? refused->code : recovery::kInvalidServerResponse, wanted_name_);
}

void SphereV3Board::take_reboot(std::span<const std::byte> data) {
  if (data.size() != 1) {
    error(recovery::kInvalidServerResponse);
    return;
  }
  if (data.front() != std::byte{0} || !is_complete()) {
    announce();
    return;
  }
  flush();  // The host sees that it was understood.
  state_ = State::off;
  deadline_.reset();
  channel_.reset();
  actions_->emplace_back(device::Boot{});
}

void SphereV3Board::error(std::uint16_t code, std::string text) {
  post(Type::recovery_error,
       recovery::v3::write_error(
           {.category = recovery::kRecoveryCategory, .code = code, .text = std::move(text)}));
  last_error_ = code;
  go_to_error_state();
}

// From here the board greets again by itself.
void SphereV3Board::go_to_error_state() {
  failed_write_ = true;
  wants_answer_ = false;
  state_ = State::error;
  deadline_ = now_ + kErrorPause;
}

void SphereV3Board::on(const device::TimerFired& /*timer*/) {
  if (state_ == State::off) {
    if (deadline_ && now_ >= *deadline_) {
      on(device::PowerOn{});
    }
    return;
  }
  channel_.timer(now_, wire_);
  if (receiver_ && state_ != State::error) {
    receiver_->timer(now_, wire_);
  }
  if (channel_.has_failed() && state_ != State::error) {
    last_error_ = recovery::kServerResponseTimedOut;
    go_to_error_state();
    return;
  }
  if (deadline_ && now_ >= *deadline_) {
    time_passed();
  }
}

void SphereV3Board::time_passed() {
  switch (state_) {
    case State::announce:
      say_hello();
      return;
    case State::switching:
    case State::error:
      announce();
      return;
    case State::erasing:
      erase_some();
      return;
    case State::manifest:
    case State::inventory:
    case State::fetching:
      error(recovery::kServerResponseTimedOut);
      return;
    default:
      deadline_.reset();
  }
}

void SphereV3Board::event(recovery::v3::EventCode code) {
  const std::byte byte{static_cast<std::uint8_t>(code)};
  post(Type::recovery_event, std::span{&byte, 1});
}

void SphereV3Board::progress(recovery::v3::Phase phase, std::uint64_t left, std::uint64_t all,
                             Time next) {
  const auto images = static_cast<std::uint16_t>(manifest_.entries.size());
  const std::size_t open = to_write_.size() - std::min(current_, to_write_.size());
  post(Type::progress_update,
       recovery::v3::write_progress(
           {.phase = phase,
            .images_left = static_cast<std::uint16_t>(open),
            .images = images,
            .bytes_left = left,
            .bytes = all,
            .next_within_ms = static_cast<std::uint32_t>(std::clamp<Time>(next, 1s, 10s) / 1ms)}));
  told_ = now_;
}

// --- Files. ---

void SphereV3Board::ask_for_manifest() {
  state_ = State::manifest;
  file_.clear();
  request(Type::image_request_manifest, {}, 0);
}

void SphereV3Board::ask_for_image() {
  const std::size_t index = to_write_.at(current_);
  std::string name = manifest_.entries[index].file_name;
  if (const Fault* const other = fault("name")) {
    name = other->value;
  }
  std::uint64_t offset = resume_.at(index);
  if (const Fault* const lie = fault("lie-offset")) {
    offset = lie->number().value_or(0);
  }
  request(Type::image_request_by_filename, name, offset);
}

void SphereV3Board::request(Type type, const std::string& name, std::uint64_t offset) {
  wanted_name_ = name;
  wanted_offset_ = offset;
  wants_answer_ = true;
  failed_write_ = false;
  receiver_.reset();
  deadline_ = now_ + kHostLimit;
  post(type, recovery::v3::write_request({.transfer = ++transfer_,
                                          .offset = offset,
                                          .block = choice_.block,
                                          .window = choice_.window,
                                          .name = name},
                                         type == Type::image_request_by_filename));
}

void SphereV3Board::take_file_answer(std::span<const std::byte> data) {
  constexpr std::size_t kManifestRoom = 8 * SphereV3Board::kSector;
  const auto answer = recovery::v3::parse_file_answer(data);
  if (!answer || answer->transfer != transfer_ || answer->offset != wanted_offset_ ||
      answer->offset >= answer->size || answer->length != answer->size - answer->offset ||
      answer->wire_length != answer->length || answer->encoding != recovery::v3::kRaw ||
      answer->block > choice_.block || answer->window > choice_.window) {
    error(recovery::kInvalidServerResponse, wanted_name_);
    return;
  }
  if (state_ == State::manifest) {
    if (answer->size > kManifestRoom) {
      error(recovery::kTooManyImages);
      return;
    }
  } else if (const auto& entry = manifest_.entries[to_write_.at(current_)];
             answer->size != entry.file_size || answer->sha256 != entry.sha256) {
    error(recovery::kBadImageFileSize, entry.file_name);
    return;
  }
  wants_answer_ = false;
  receiver_.emplace(recovery::v3::BlockSender::Config{.transfer = transfer_,
                                                      .length = answer->length,
                                                      .block = answer->block,
                                                      .window = answer->window},
                    [this](std::uint64_t offset, std::span<const std::byte> bytes) {
                      take_bytes(offset, bytes);
                    });
}

// After something may have come in: the end of a file, or that it could not be written.
void SphereV3Board::transfer_step() {
  if (!receiver_ || failed_write_) {
    receiver_.reset();
    return;
  }
  if (!receiver_->is_done()) {
    return;
  }
  receiver_.reset();
  if (state_ == State::manifest) {
    manifest_complete();
  } else {
    image_complete();
  }
}

}  // namespace sphere::virtual_board
