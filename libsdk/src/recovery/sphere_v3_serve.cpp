// SPDX-License-Identifier: MIT
// The messages of a session of recovery v3, as the client takes them.
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
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/sphere_v3_client.h"
#include "libsdk/src/recovery/turn.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/recovery/device_errors.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSameRequests = 10;
constexpr Time kRebootLimit = 2s;
constexpr Time kLeastTimeout = 200ms;
constexpr Time kTurnaround = 20ms;  // Of a slow bridge.
constexpr std::uint16_t kManifestChanged = 303;
constexpr std::uint16_t kFirstOfSet = 300;
constexpr std::uint16_t kLastOfSet = 303;

// Three times what the blocks of a window take on the line.
Time timeout_for(std::uint32_t baud, std::uint32_t bytes) {
  constexpr std::uint64_t kBitsPerByte = 10;
  constexpr std::uint64_t kMicroseconds = 1'000'000;
  const Time wire{static_cast<std::int64_t>(bytes * kBitsPerByte * kMicroseconds / baud)};
  return std::max(kLeastTimeout, 3 * (wire + kTurnaround));
}

// Whether what the board does not like is in the set.
bool is_about_set(std::uint16_t code) {
  return code < kServerResponseTimedOut || code == kPartitionLayoutNotFound ||
         (code >= kFirstOfSet && code <= kLastOfSet);
}

// Whether a new session may go better.
bool is_passing(std::uint16_t code) {
  return code == kServerResponseTimedOut || code == kInvalidServerResponse || code == kBadState ||
         code == kFileTransferFailed || code == kManifestChanged;
}

Step step_of(v3::Phase phase) {
  switch (phase) {
    case v3::Phase::erase:
      return Step::erase;
    case v3::Phase::verify:
      return Step::verify;
    default:
      return Step::write;
  }
}

}  // namespace

void SphereV3Client::malformed(std::string_view what, std::span<const std::byte> data) {
  run_.fail(*turn_, Errc::corrupt,
            fmt::format("the board's {} makes no sense in step {}: {}", what, to_text(step_),
                        show_bytes(data)));
}

void SphereV3Client::take_message(const v3::Message& message) {
  using v3::Type;
  const auto type = static_cast<Type>(message.type);
  switch (type) {
    case Type::status_request:
      post(Type::server_ready, {});
      return;
    case Type::image_request_capability:
    case Type::image_request_manifest:
    case Type::image_request_by_filename:
      take_request(type, message.data);
      return;
    case Type::progress_update:
      take_progress(message.data);
      return;
    case Type::log_entry:
      if (!message.data.empty()) {
        turn_->emit(DeviceLog{.level = std::to_integer<std::uint8_t>(message.data.front()),
                              .text = show_text(message.data.subspan(1))});
      }
      return;
    case Type::recovery_event:
      take_event(message.data);
      return;
    case Type::recovery_error:
      take_error(message.data);
      return;
    case Type::recovery_complete:
      take_completion(message.data);
      return;
    case Type::inventory:
      take_inventory(message.data);
      return;
    case Type::image_verified:
      take_verified(message.data);
      return;
    default:
      turn_->emit(DeviceLog{.level = 1,
                            .text = fmt::format("message of unknown type {:#04x}: {}", message.type,
                                                show_bytes(message.data))});
  }
}

// --- Files. ---

std::optional<SphereV3Client::Source> SphereV3Client::find_source(v3::Type type,
                                                                  std::string_view name) const {
  if (type == v3::Type::image_request_manifest ||
      (type == v3::Type::image_request_by_filename && name == v3::kManifestFile)) {
    return Source{.name = std::string{v3::kManifestFile},
                  .size = config_.manifest_size,
                  .sha256 = config_.manifest_sha256};
  }
  if (type == v3::Type::image_request_capability) {
    if (!config_.capability) {
      return std::nullopt;
    }
    return Source{.name = std::string{kCapabilityFile},
                  .size = config_.capability->size,
                  .sha256 = config_.capability->sha256};
  }
  const auto& entries = config_.manifest.entries;
  const auto found = std::ranges::find(entries, name, &ManifestV4::Entry::file_name);
  if (found == entries.end()) {
    return std::nullopt;
  }
  return Source{.name = found->file_name,
                .size = found->file_size,
                .sha256 = found->sha256,
                .image = static_cast<std::size_t>(found - entries.begin())};
}

void SphereV3Client::take_request(v3::Type type, std::span<const std::byte> data) {
  serving_.reset();
  const auto request = v3::parse_request(data, type == v3::Type::image_request_by_filename);
  if (!request) {
    malformed("request for a file", data);
    return;
  }
  if (request->transfer <= transfer_) {
    refuse_request(request->transfer, kUnauthorizedAccess, "a file under an old number");
    return;
  }
  transfer_ = request->transfer;
  const std::string key =
      fmt::format("{} {} {}", static_cast<int>(type), request->offset, request->name);
  same_requests_ = key == last_request_ ? same_requests_ + 1 : 1;
  last_request_ = key;
  if (same_requests_ > kSameRequests) {
    refuse_request(transfer_, kUnauthorizedAccess, "the same again and again");
    return;
  }
  const auto source = find_source(type, request->name);
  if (!source && type == v3::Type::image_request_capability) {
    post(v3::Type::image_request_error,
         v3::write_request_error({.transfer = transfer_, .code = kImageNotFound}));
    return;
  }
  if (!source) {
    refuse_request(transfer_, kUnauthorizedAccess,
                   fmt::format("{}, which is not of the set", request->name));
    return;
  }
  if (request->offset >= source->size || request->most == 0) {
    refuse_request(transfer_, kUnknownServerError,
                   fmt::format("{} bytes of {} at {}, which has {}", request->most, source->name,
                               request->offset, source->size));
    return;
  }
  serve(*request, *source);
}

void SphereV3Client::serve(const v3::Request& request, const Source& source) {
  const std::uint64_t length = std::min(request.most, source.size - request.offset);
  const std::uint16_t block = std::min(request.block, choice_.block);
  const std::uint16_t window = std::min(request.window, choice_.window);
  post(v3::Type::image_request_ack, v3::write_file_answer({.transfer = transfer_,
                                                           .offset = request.offset,
                                                           .length = length,
                                                           .size = source.size,
                                                           .wire_length = length,
                                                           .block = block,
                                                           .window = window,
                                                           .sha256 = source.sha256}));
  constexpr std::uint32_t kFastLine = 100'000'000;  // No UART.
  const Time timeout = timeout_for(choice_.rate.value_or(kFastLine), std::uint32_t{block} * window);
  serving_.emplace(Serving{.name = source.name,
                           .offset = request.offset,
                           .image = source.image,
                           .sender = v3::BlockSender{{.transfer = transfer_,
                                                      .length = length,
                                                      .block = block,
                                                      .window = window,
                                                      .timeout = timeout}},
                           .block = block});
  if (source.image) {
    begin_step(Step::write);
    begun_images_.insert(*source.image);
    good_images_.erase(*source.image);
  }
  reason_ = fmt::format("sending {}", source.name);
}

void SphereV3Client::refuse_request(std::uint32_t transfer, std::uint16_t code,
                                    const std::string& why) {
  post(v3::Type::image_request_error,
       v3::write_request_error({.transfer = transfer, .code = code}));
  flush();
  run_.fail(*turn_, Errc::corrupt, fmt::format("the board asked for {}", why));
}

// --- What the board tells. ---

void SphereV3Client::take_progress(std::span<const std::byte> data) {
  const auto note = v3::parse_progress(data);
  if (!note) {
    malformed("progress", data);
    return;
  }
  promise_ = std::chrono::milliseconds{note->next_within_ms};
  const Step step = step_of(note->phase);
  constexpr std::array<std::string_view, 4> kReasons = {
      "waiting for the flash to be erased", "waiting for the flash to be written",
      "waiting for the board to check its flash", "waiting for the boot record"};
  wait(std::max<Time>(5s, 2 * promise_), kReasons.at(static_cast<std::size_t>(note->phase) - 1));
  if (note->phase == v3::Phase::erase) {
    begin_step(Step::erase);
  }
  turn_->emit(Progress{.step = step,
                       .images = note->images,
                       .bytes_done = note->bytes - std::min(note->bytes, note->bytes_left),
                       .bytes_total = note->bytes});
}

void SphereV3Client::take_event(std::span<const std::byte> data) {
  if (data.empty()) {
    malformed("event", data);
    return;
  }
  const auto code = static_cast<v3::EventCode>(data.front());
  if (code == v3::EventCode::erase_started) {
    run_.outcome.flash_touched = true;
    begin_step(Step::erase);
    reason_ = "waiting for the flash to be erased";
  } else if (code == v3::EventCode::images_verified) {
    begin_step(Step::verify);
  }
  turn_->emit(
      DeviceLog{.level = 0, .text = fmt::format("event {}", std::to_integer<int>(data.front()))});
}

void SphereV3Client::take_error(std::span<const std::byte> data) {
  const auto note = v3::parse_error(data);
  if (!note) {
    malformed("error", data);
    return;
  }
  const DeviceError* const error = find_device_error(note->category, note->code);
  const std::string text =
      error == nullptr ? fmt::format("the board reports an error that is not known here: {} {}",
                                     note->category, note->code)
                       : fmt::format("{} ({} {})", error->text, error->name, error->code);
  const std::string about =
      note->text.empty()
          ? text
          : fmt::format("{}: {}", text, show_text(std::as_bytes(std::span{note->text})));
  if (error != nullptr && is_passing(note->code)) {
    restart(about);
    return;
  }
  std::string_view reason;
  if (!run_.outcome.flash_touched && is_about_set(note->code)) {
    reason = "recovery.image-refused";
  } else if (note->code == kDataHashingFailed) {
    reason = "recovery.verify";
  }
  run_.fail(*turn_, Errc::io, about, reason);
}

// The board's flash as it is; the answer is what is to be done.
void SphereV3Client::take_inventory(std::span<const std::byte> data) {
  const auto& images = config_.manifest.entries;
  const auto entries = v3::parse_inventory(data);
  const bool fits =
      entries && entries->size() == images.size() &&
      std::ranges::all_of(*entries, [&](const v3::InventoryEntry& entry) {
        return entry.index < images.size() && entry.resume <= images[entry.index].file_size;
      });
  if (!fits) {
    malformed("inventory", data);
    return;
  }
  begin_step(Step::inventory);
  good_images_.clear();
  begun_images_.clear();
  total_bytes_ = 0;
  sent_bytes_ = 0;
  for (const v3::InventoryEntry& entry : *entries) {
    if (entry.state == v3::ImageState::verified) {
      good_images_.insert(entry.index);
    }
    if (entry.state != v3::ImageState::verified || config_.mode == v3::Mode::write_all) {
      total_bytes_ +=
          images[entry.index].file_size - (config_.mode == v3::Mode::write_all ? 0 : entry.resume);
    }
  }
  if (total_bytes_ > 0 && config_.mode != v3::Mode::verify_only) {
    run_.outcome.flash_touched = true;  // From here on the board may erase.
  }
  post(v3::Type::proceed, v3::write_proceed({.mode = config_.mode,
                                             .keep_data = config_.keep_data,
                                             .manifest = config_.manifest_sha256}));
}

void SphereV3Client::take_verified(std::span<const std::byte> data) {
  const auto verified = v3::parse_image_verified(data);
  if (!verified || verified->index >= config_.manifest.entries.size()) {
    malformed("report on an image", data);
    return;
  }
  const ManifestV4::Entry& entry = config_.manifest.entries[verified->index];
  if (verified->result == 0 && verified->sha256 == entry.sha256) {
    good_images_.insert(verified->index);
    return;
  }
  good_images_.erase(verified->index);
  turn_->emit(Warning{.code = "recovery.verify",
                      .text = fmt::format("{} is not in flash as it was sent", entry.file_name),
                      .next = "the board asks for it once more"});
}

// --- The end. ---

void SphereV3Client::take_completion(std::span<const std::byte> data) {
  const auto completion = v3::parse_completion(data);
  if (!completion || completion->manifest != config_.manifest_sha256) {
    malformed("last report", data);
    return;
  }
  judge(*completion);
  begin_step(Step::reboot);
  phase_ = Phase::rebooting;
  serving_.reset();
  constexpr std::array kNormal = {std::byte{0}};
  post(v3::Type::reboot, kNormal);
  wait(kRebootLimit, "waiting for the board to restart");
}

void SphereV3Client::judge(const v3::Completion& completion) {
  Outcome& outcome = run_.outcome;
  outcome.images_written = completion.written;
  outcome.images_skipped = completion.skipped;
  outcome.bytes_written = completion.bytes;
  outcome.written = config_.mode == v3::Mode::verify_only ? Verdict::unknown : Verdict::yes;
  const auto fail_verify = [&](std::string why) {
    outcome.verified = Verdict::no;
    outcome.error =
        Error{Errc::unverified,
              std::move(why),
              {.reason = "recovery.verify",
               .next = config_.mode == v3::Mode::verify_only ? "recover it without --verify-only"
                                                             : "run the command again"}};
  };
  std::uint32_t missing = 0;
  for (std::size_t i = 0; i < config_.manifest.entries.size(); ++i) {
    missing += good_images_.contains(i) ? 0 : 1;
  }
  if (missing > 0) {
    fail_verify(
        fmt::format("{} of {} images are not in the board's flash as the set has "
                    "them",
                    missing, config_.manifest.entries.size()));
    return;
  }
  outcome.verified = Verdict::yes;
  if (greeting_.device_id.find_first_not_of('0') == std::string::npos) {
    turn_->emit(Warning{.code = "recovery.verify",
                        .text = "the board has no identity: nothing proves its report",
                        .next = "give it one when it is manufactured"});
    return;
  }
  const auto point = from_hex(greeting_.device_id);
  constexpr std::size_t kPoint = 64;
  const auto key = point && point->size() == kPoint
                       ? crypto::PublicKey::from_point(std::span{*point}.first<kPoint>())
                       : Result<crypto::PublicKey>{fail(Errc::corrupt, "no key")};
  if (!key ||
      !key->verify(v3::completion_digest(greeting_.nonce, completion), completion.signature)) {
    fail_verify("the board's last report is not signed with its identity");
  }
}

}  // namespace sphere::recovery
