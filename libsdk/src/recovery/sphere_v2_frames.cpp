// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "libsdk/src/recovery/sphere_v2_client.h"
#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/device_errors.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/transport/usb.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kDeviceIdDigits = 128;
constexpr std::uint32_t kSameRequests = 10;
constexpr std::size_t kShown = 64;  // Bytes of what is not understood.
constexpr Time kEraseLimit = 300s;
constexpr Time kRequestLimit = 60s;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string shown(std::span<const std::byte> bytes) {
  return to_hex(bytes.first(std::min(bytes.size(), kShown)));
}

// Whether the device said that before it erased anything what it does not like is in the set.
bool is_about_set(std::uint16_t code) { return code < kServerResponseTimedOut; }

}  // namespace

std::size_t SphereV2Client::take_frames(std::span<const std::byte> bytes) {
  return decoder_.decode(bytes, [this](std::span<const std::byte> frame) {
    take_frame(frame);
    return false;  // What follows may be for a file.
  });
}

void SphereV2Client::take_frame(std::span<const std::byte> frame) {
  if (const auto message = v2::parse_message(frame)) {
    take_message(*message);
  }
}

// The board is there: the wait for its next message begins anew.
void SphereV2Client::alive() {
  if (phase_ == Phase::erasing) {
    wait(kEraseLimit, "waiting for the flash to be erased");
  } else {
    wait(kRequestLimit, "waiting for the board's next request");
  }
}

void SphereV2Client::take_message(const v2::Message& message) {
  using v2::Type;
  if (phase_ == Phase::switching || phase_ == Phase::fallback) {
    phase_ = Phase::imaging;
  }
  alive();
  const auto type = static_cast<Type>(message.type);
  switch (type) {
    case Type::initialization:
      return take_initialization(message.data);
    case Type::status_request:
      return send(Type::server_ready, {});
    case Type::baudrate_switch_query: {
      const std::byte answer{static_cast<std::uint8_t>(config_.fast ? 1 : 0)};
      constexpr Tag kSwitch = 1;
      constexpr Tag kFlow = 2;
      return send(Type::simple_query_ack, std::span{&answer, 1}, config_.fast ? kSwitch : kFlow);
    }
    case Type::log_config_query: {
      const std::byte answer{static_cast<std::uint8_t>(config_.device_log ? 1 : 0)};
      return send(Type::simple_query_ack, std::span{&answer, 1});
    }
    case Type::image_request_capability:
    case Type::image_request_manifest:
    case Type::image_request_recovery_app:
    case Type::image_request_by_filename:
      return take_request(type, message.data);
    case Type::progress_update:
      return;
    case Type::log_entry:
      return emit(DeviceLog{.level = 1, .text = text_of(message.data)});
    case Type::recovery_event:
      return take_event(message.data);
    case Type::recovery_error:
      return take_error(message.data);
    case Type::recovery_complete:
      return complete();
    default:
      emit(DeviceLog{.level = 1,
                     .text = fmt::format("message of unknown type {:#04x}: {}", message.type,
                                         shown(message.data))});
  }
}

void SphereV2Client::take_initialization(std::span<const std::byte> data) {
  Reader reader{data};
  const auto version = reader.little_endian<std::uint32_t>();
  const auto id = reader.bytes(kDeviceIdDigits);
  if (!version || !id) {
    return fail_with(Errc::corrupt, failure_reason(),
                     fmt::format("the board's greeting makes no sense: {}", shown(data)), again());
  }
  if (*version != kVersion) {
    return fail_with(Errc::unsupported, failure_reason(),
                     fmt::format("the board speaks recovery version {}, this is the client of "
                                 "version {}",
                                 *version, kVersion),
                     "choose another protocol with --protocol");
  }
  if (phase_ == Phase::greeting) {
    phase_ = Phase::loading;
    alive();
  }
  if (device_id_.empty()) {
    device_id_ = text_of(*id);
    emit(Identified{.chip = chip_, .device_id = device_id_});
  }
  send(v2::Type::initialization_ack, {});
}

void SphereV2Client::take_request(v2::Type type, std::span<const std::byte> data) {
  const bool by_name = type == v2::Type::image_request_by_filename;
  const auto request = v2::parse_file_request(data, by_name);
  if (!request) {
    return refuse_request(
        kUnauthorizedAccess,
        fmt::format(
            "a name that no file may have: {}",
            escape_control(text_of(data.last(std::min<std::size_t>(data.size(), kShown))))));
  }
  const std::string key = fmt::format("{} {} {} {}", static_cast<int>(type), request->offset,
                                      request->most, request->name);
  same_requests_ = key == last_request_ ? same_requests_ + 1 : 1;
  last_request_ = key;
  if (same_requests_ > kSameRequests) {
    return refuse_request(kUnauthorizedAccess, "the same again and again");
  }
  if (type == v2::Type::image_request_manifest) {
    return serve(*request, std::string{v2::kManifestFile});
  }
  if (type == v2::Type::image_request_recovery_app) {
    return serve(*request, std::string{v2::kRuntimeFile});
  }
  if (by_name) {
    return serve(*request, std::string{request->name});
  }
  if (config_.capability_size) {
    return serve(*request, std::string{kCapabilityFile});
  }
  file_.reset();
  const auto code = std::move(Writer{}.little_endian(kImageNotFound)).take();
  send(v2::Type::image_request_error, code);
}

void SphereV2Client::serve(const v2::FileRequest& request, const std::string& name) {
  std::uint64_t size = 0;
  if (name == kCapabilityFile) {
    size = config_.capability_size.value_or(0);
  } else if (const SetFile* const file = find_file(name)) {
    size = file->size;
  } else {
    return refuse_request(kUnauthorizedAccess, fmt::format("{}, which is not of the set", name));
  }
  if (request.offset >= size || request.most == 0) {
    return refuse_request(kUnknownServerError,
                          fmt::format("{} bytes of {} at {}, which has {}", request.most, name,
                                      request.offset, size));
  }
  const std::uint64_t length = std::min<std::uint64_t>(request.most, size - request.offset);
  if (is_image(name)) {
    touched_ = true;
    phase_ = Phase::imaging;
    begin_step(Step::write);
    begun_images_.insert(name);
  } else if (!touched_) {
    begin_step(Step::loader);
  }
  std::vector<std::byte> wire;
  v2::append_file_answer({.offset = request.offset,
                          .length = static_cast<std::uint32_t>(length),
                          .size = static_cast<std::uint32_t>(size)},
                         wire);
  actions_->emplace_back(Send{.bytes = std::move(wire)});
  begin_file(name, request.offset, length, size);
}

void SphereV2Client::refuse_request(std::uint16_t code, std::string_view why) {
  file_.reset();
  send(v2::Type::image_request_error, std::move(Writer{}.little_endian(code)).take());
  fail_with(Errc::corrupt, failure_reason(), fmt::format("the board asked for {}", why), again());
}

void SphereV2Client::take_event(std::span<const std::byte> data) {
  if (data.empty()) {
    return;
  }
  switch (static_cast<v2::EventCode>(data.front())) {
    case v2::EventCode::erase_started:
      touched_ = true;
      phase_ = Phase::erasing;
      begin_step(Step::erase);
      alive();
      break;
    case v2::EventCode::erase_complete:
    case v2::EventCode::manifest_received:
      phase_ = Phase::imaging;
      alive();
      break;
    default:
      break;
  }
  emit(DeviceLog{.level = 0, .text = fmt::format("event {}", std::to_integer<int>(data.front()))});
}

void SphereV2Client::take_error(std::span<const std::byte> data) {
  Reader reader{data};
  const auto category = reader.little_endian<std::uint16_t>();
  const auto code = category ? reader.little_endian<std::uint16_t>() : std::nullopt;
  const DeviceError* const error = code ? find_device_error(*category, *code) : nullptr;
  if (error == nullptr) {
    return fail_with(
        Errc::io, failure_reason(),
        fmt::format("the board reports an error that is not known here: {}", shown(data)), again());
  }
  std::string_view reason = failure_reason();
  if (!touched_ && is_about_set(*code)) {
    reason = "recovery.image-refused";
  } else if (*code == kDataHashingFailed) {
    reason = "recovery.verify";
  }
  fail_with(Errc::io, reason, fmt::format("{} ({} {})", error->text, error->name, error->code),
            fmt::format("{}; {}", error->next, again()));
}

void SphereV2Client::complete() {
  begin_step(Step::reboot);
  actions_->emplace_back(RunLines{.steps = transport::reset_lines()});
  const bool all = sent_images_.size() == config_.images;
  finish({.written = Verdict::yes,
          .verified = all ? Verdict::yes : Verdict::unknown,
          .not_verified = all ? std::string{}
                              : fmt::format("the board asked for {} of {} images",
                                            sent_images_.size(), config_.images)});
}

}  // namespace sphere::recovery
