// SPDX-License-Identifier: MIT
// What the virtual MT3620 does with the files it got.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/virtual-board/recovery/mt3620.h"
#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/device_errors.h"

namespace sphere::virtual_board {

namespace {

using namespace std::chrono_literals;
using recovery::ManifestV3;
using recovery::Time;
using recovery::v2::EventCode;
using recovery::v2::Type;

constexpr std::uint32_t kMagic = 0x52425053;  // "SPBR"
constexpr std::size_t kManifestSector = 1;
constexpr std::size_t kFirstImageSector = 9;
constexpr std::size_t kErasePieces = 32;
constexpr std::uint32_t kVersion = 1;

std::size_t sectors(std::size_t bytes, std::size_t sector) { return (bytes + sector - 1) / sector; }

// The body of a manifest's package.
Result<ManifestV3> read_manifest(std::span<const std::byte> file) {
  SPHERE_TRY_ASSIGN(const auto package, image::parse_package(file));
  return recovery::parse_manifest_v3(file.first(static_cast<std::size_t>(package.tail_offset())));
}

}  // namespace

bool Mt3620::is_trusted(std::span<const std::byte> file) const {
  auto package = image::parse_package(file);
  return package && image::verify(*std::move(package), config_.trust);
}

std::size_t Mt3620::image_offset(std::size_t index) const {
  std::size_t sector = kFirstImageSector;
  for (std::size_t i = 0; i < index; ++i) {
    sector += sectors(manifest_.entries[i].file_size, flash_.sector());
  }
  return sector * flash_.sector();
}

// --- What has arrived. ---

void Mt3620::file_complete() {
  switch (state_) {
    case State::rom:
      return first_loader_complete();
    case State::capability:
      event(EventCode::capability_received);
      event(EventCode::capability_loaded);
      return ask_for(State::runtime, std::string{recovery::v2::kRuntimeFile}, 0, ~std::uint32_t{0});
    case State::runtime:
      if (!is_trusted(file_)) {
        return error(recovery::kBadSignature);
      }
      return ask(State::runtime_log, Type::log_config_query, {});
    case State::manifest:
      return manifest_complete();
    case State::image:
      return image_complete();
    default:
      return;
  }
}

void Mt3620::first_loader_complete() {
  if (!is_trusted(file_)) {
    say("-BAD\r\n");
    state_ = State::failed;
    actions_->emplace_back(device::Disarm{});
    return;
  }
  say("+GOOD\r\n");
  say("[1BL] BOOT: 380a0500/00000001/02000000\r\n");
  Writer data;
  data.little_endian(kVersion).text(to_hex(config_.device_id)).zeros(1);
  if (fault("hello-lost") != nullptr && !hello_lost_) {
    state_ = State::greeting;
    question_.clear();
    recovery::v2::append_message(Type::initialization, data.data(), question_);
    return arm(500ms);
  }
  ask(State::greeting, Type::initialization, data.data());
}

void Mt3620::begin_erase() {
  event(EventCode::erase_started);
  state_ = State::erasing;
  erased_ = 0;
  arm(config_.erase_time / kErasePieces);
}

void Mt3620::erase_some() {
  const std::size_t piece = flash_.size() / kErasePieces;
  if (!note(flash_.erase(erased_, piece), recovery::kFlashEraseFailed)) {
    return;
  }
  erased_ += piece;
  if (erased_ < flash_.size()) {
    arm(config_.erase_time / kErasePieces);
    return;
  }
  event(EventCode::erase_complete);
  ask_for(State::manifest, std::string{recovery::v2::kManifestFile}, 0, ~std::uint32_t{0});
}

// False: it went wrong, and what follows was done.
bool Mt3620::note(Flash::Access access, std::uint16_t code) {
  if (access == Flash::Access::ok) {
    return true;
  }
  if (access == Flash::Access::no_power) {
    state_ = State::off;
    actions_->emplace_back(device::Disarm{});
    actions_->emplace_back(device::Log{.text = "power lost"});
  } else {
    error(code);
  }
  return false;
}

bool Mt3620::program(std::size_t offset, std::span<const std::byte> bytes) {
  return note(flash_.program(offset, bytes), recovery::kFlashWriteFailed);
}

void Mt3620::manifest_complete() {
  if (!is_trusted(file_)) {
    return error(recovery::kBadSignature);
  }
  auto manifest = read_manifest(file_);
  if (!manifest) {
    return error(recovery::kBadManifest);
  }
  manifest_ = *std::move(manifest);
  manifest_bytes_ = file_;
  if (manifest_bytes_.size() > (kFirstImageSector - kManifestSector) * flash_.sector() ||
      image_offset(manifest_.entries.size()) > flash_.size()) {
    return error(recovery::kTooManyImages);
  }
  event(EventCode::manifest_received);
  event(EventCode::manifest_processed);
  if (!program(kManifestSector * flash_.sector(), manifest_bytes_)) {
    return;
  }
  image_ = 0;
  next_image();
}

void Mt3620::ask_for_image() {
  const auto& entry = manifest_.entries[image_];
  std::string name = entry.file_name();
  std::uint64_t offset = 0;
  if (const Fault* const other = fault("name")) {
    name = other->value;
  }
  if (const Fault* const lie = fault("lie-offset")) {
    offset = lie->number().value_or(0);
  }
  ask_for(State::image, name, offset,
          entry.file_size > config_.part ? config_.part : ~std::uint32_t{0});
}

void Mt3620::next_image() {
  Writer progress;
  std::uint64_t left = 0;
  for (std::size_t i = image_; i < manifest_.entries.size(); ++i) {
    left += manifest_.entries[i].file_size;
  }
  progress.little_endian(static_cast<std::uint32_t>(manifest_.entries.size() - image_))
      .little_endian(static_cast<std::uint32_t>(manifest_.entries.size()))
      .little_endian(static_cast<std::uint32_t>(left))
      .little_endian(static_cast<std::uint32_t>(manifest_.total_size()));
  tell(Type::progress_update, progress.data());
  if (image_ < manifest_.entries.size()) {
    return ask_for_image();
  }
  state_ = State::quiet;
  arm(1s);
}

// The code of what is wrong with an image.
std::optional<std::uint16_t> Mt3620::refuse_image(const ManifestV3::Entry& entry,
                                                  std::span<const std::byte> file) const {
  constexpr std::uint16_t kBadComponent = 6;
  constexpr std::uint16_t kBadId = 7;
  constexpr std::uint16_t kBadType = 9;
  if (file.size() != entry.file_size) {
    return recovery::kBadImageFileSize;
  }
  const auto package = image::parse_package(file);
  if (!package) {
    return recovery::kBadImage;
  }
  const image::Identity& identity = package->metadata.identity;
  if (identity.component_id != entry.component_id) {
    return kBadComponent;
  }
  if (identity.image_id != entry.image_id) {
    return kBadId;
  }
  if (identity.image_type != entry.image_type) {
    return kBadType;
  }
  return is_trusted(file) ? std::nullopt : std::optional{recovery::kBadSignature};
}

void Mt3620::image_complete() {
  const ManifestV3::Entry& entry = manifest_.entries[image_];
  if (file_size_ != entry.file_size) {
    return error(recovery::kBadImageFileSize);
  }
  if (file_.size() < entry.file_size) {  // The other part.
    return ask_for(State::image, entry.file_name(), file_.size(), ~std::uint32_t{0});
  }
  if (const auto code = refuse_image(entry, file_)) {
    return error(*code);
  }
  const std::size_t offset = image_offset(image_);
  if (!program(offset, file_)) {
    return;
  }
  if (const Fault* const flip = fault("flip-flash")) {
    flash_.flip(static_cast<std::size_t>(flip->number().value_or(0)) % flash_.size());
  }
  if (!std::ranges::equal(flash_.bytes().subspan(offset, file_.size()), file_)) {
    return error(recovery::kDataHashingFailed);
  }
  ++image_;
  next_image();
}

void Mt3620::finish() {
  Writer record;
  record.little_endian(kMagic)
      .little_endian(static_cast<std::uint32_t>(manifest_bytes_.size()))
      .bytes(crypto::sha256(manifest_bytes_));
  if (!program(0, record.data())) {
    return;
  }
  event(EventCode::complete);
  tell(Type::recovery_complete, {});
  state_ = State::complete;
}

bool Mt3620::is_complete() const {
  Reader record{flash_.bytes()};
  const auto magic = record.little_endian<std::uint32_t>();
  const auto size = record.little_endian<std::uint32_t>();
  const auto digest = record.bytes(crypto::Sha256Digest{}.size());
  const std::size_t start = kManifestSector * flash_.sector();
  if (magic != kMagic || !size || !digest || *size > flash_.size() - start) {
    return false;
  }
  const auto file = flash_.bytes().subspan(start, *size);
  const auto manifest = read_manifest(file);
  if (!manifest || !std::ranges::equal(crypto::sha256(file), *digest) || !is_trusted(file)) {
    return false;
  }
  std::size_t sector = kFirstImageSector;
  for (const ManifestV3::Entry& entry : manifest->entries) {
    const std::size_t offset = sector * flash_.sector();
    if (offset > flash_.size() || entry.file_size > flash_.size() - offset ||
        refuse_image(entry, flash_.bytes().subspan(offset, entry.file_size))) {
      return false;
    }
    sector += sectors(entry.file_size, flash_.sector());
  }
  return true;
}

}  // namespace sphere::virtual_board
