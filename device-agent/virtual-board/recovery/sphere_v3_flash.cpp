// SPDX-License-Identifier: MIT
// What the virtual board with recovery v3 does with its flash.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/sphere_v3.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/device_errors.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::virtual_board {

namespace {

using namespace std::chrono_literals;
using recovery::ManifestV4;
using recovery::Time;
using recovery::v3::EventCode;
using recovery::v3::ImageState;
using recovery::v3::Type;

constexpr std::uint32_t kRecordMagic = 0x33425053;   // "SPB3"
constexpr std::uint32_t kJournalMagic = 0x334A5053;  // "SPJ3"
constexpr std::size_t kManifestSector = 1;
constexpr std::size_t kManifestSectors = 8;
constexpr std::size_t kJournalSector = 9;
constexpr std::size_t kJournalHead = 64;
constexpr std::size_t kExtent = std::size_t{64} * 1024;
constexpr std::size_t kErasePiece = std::size_t{64} * 1024;
constexpr Time kProceedLimit = 60s;  // The host may look at its files.
constexpr std::byte kErased{0xFF};
constexpr std::byte kDone{0x00};
constexpr std::uint16_t kWrongBoard = 300;
constexpr std::uint16_t kTooOld = 301;
constexpr std::uint16_t kLayoutInvalid = 302;
constexpr std::uint16_t kManifestChanged = 303;
constexpr std::uint16_t kUnsupportedVersion = 3;

std::size_t round_up(std::uint64_t size, std::size_t step) {
  return static_cast<std::size_t>((size + step - 1) / step * step);
}
std::size_t extents(std::uint64_t size) {
  return static_cast<std::size_t>((size + kExtent - 1) / kExtent);
}

bool is_erased(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == kErased; });
}

}  // namespace

// --- The manifest. ---

// The code of what is wrong with it.
std::optional<std::uint16_t> SphereV3Board::judge_manifest(std::span<const std::byte> file,
                                                           ManifestV4& manifest) const {
  auto package = image::parse_package(file);
  if (!package || package->metadata.identity.image_type != recovery::kRecoveryManifestType) {
    return recovery::kBadManifest;
  }
  const auto body = file.first(static_cast<std::size_t>(package->tail_offset()));
  if (!image::verify(*std::move(package), config_.trust)) {
    return recovery::kBadSignature;
  }
  auto parsed = recovery::parse_manifest_v4(body);
  if (!parsed) {
    return parsed.error().code() == Errc::unsupported ? kUnsupportedVersion
                                                      : recovery::kBadManifest;
  }
  if (parsed->board_id != config_.board_id) {
    return kWrongBoard;
  }
  if (parsed->security_version < config_.floor) {
    return kTooOld;
  }
  manifest = *std::move(parsed);
  return place(manifest) ? std::nullopt : std::optional{kLayoutInvalid};
}

// Where each image goes: where the manifest says, else behind the one before. Nothing: they do not
// fit, or one lies over another.
std::optional<std::vector<std::size_t>> SphereV3Board::place(const ManifestV4& manifest) const {
  const std::size_t start = kFirstImage;
  const std::size_t end = flash_.size() - (2 * reserve_size());
  std::vector<std::size_t> offsets;
  std::vector<std::pair<std::size_t, std::size_t>> taken;
  std::size_t next = start;
  std::size_t journal = kJournalHead;
  for (const ManifestV4::Entry& entry : manifest.entries) {
    const bool anywhere = entry.flash_offset == recovery::kPlacedByLoader;
    if (!anywhere && (entry.flash_offset % flash_.sector() != 0 || entry.flash_offset > end)) {
      return std::nullopt;
    }
    const std::size_t offset = anywhere ? next : static_cast<std::size_t>(entry.flash_offset);
    const std::size_t size = round_up(entry.file_size, flash_.sector());
    if (offset < start || offset > end || size > end - offset) {
      return std::nullopt;
    }
    offsets.push_back(offset);
    taken.emplace_back(offset, offset + size);
    next = offset + size;
    journal += extents(entry.file_size);
  }
  std::ranges::sort(taken);
  for (std::size_t i = 1; i < taken.size(); ++i) {
    if (taken[i].first < taken[i - 1].second) {
      return std::nullopt;
    }
  }
  return journal <= flash_.sector() ? std::optional{std::move(offsets)} : std::nullopt;
}

void SphereV3Board::manifest_complete() {
  event(EventCode::manifest_received);
  ManifestV4 manifest;
  if (const auto code = judge_manifest(file_, manifest)) {
    error(*code);
    return;
  }
  manifest_ = std::move(manifest);
  manifest_bytes_ = file_;
  manifest_hash_ = crypto::sha256(file_);
  offsets_ = place(manifest_).value_or(std::vector<std::size_t>{});
  event(EventCode::manifest_accepted);
  send_inventory();
}

// --- What is there already. ---

std::span<const std::byte> SphereV3Board::image_bytes(std::size_t index) const {
  return flash_.bytes().subspan(offsets_.at(index),
                                static_cast<std::size_t>(manifest_.entries[index].file_size));
}

std::size_t SphereV3Board::journal_index(std::size_t image) const {
  std::size_t index = (kJournalSector * flash_.sector()) + kJournalHead;
  for (std::size_t i = 0; i < image; ++i) {
    index += extents(manifest_.entries[i].file_size);
  }
  return index;
}

bool SphereV3Board::journal_is_of(const crypto::Sha256Digest& manifest) const {
  Reader reader{flash_.bytes().subspan(kJournalSector * flash_.sector(), kJournalHead)};
  const auto magic = reader.little_endian<std::uint32_t>();
  const auto hash = reader.bytes(manifest.size());
  return magic == kJournalMagic && hash && std::ranges::equal(*hash, manifest);
}

// From the begin of an image on, without a gap.
std::size_t SphereV3Board::extents_done(std::size_t index) const {
  const auto bytes =
      flash_.bytes().subspan(journal_index(index), extents(manifest_.entries[index].file_size));
  const auto end = std::ranges::find_if(bytes, [](std::byte byte) { return byte != kDone; });
  return static_cast<std::size_t>(end - bytes.begin());
}

recovery::v3::InventoryEntry SphereV3Board::look_at(std::size_t index) const {
  const ManifestV4::Entry& entry = manifest_.entries[index];
  const auto bytes = image_bytes(index);
  recovery::v3::InventoryEntry found{.index = static_cast<std::uint16_t>(index)};
  if (crypto::sha256(bytes) == entry.sha256) {
    found.state = ImageState::verified;
  } else if (is_erased(bytes)) {
    found.state = ImageState::missing;
  } else {
    const std::size_t done = journal_is_of(manifest_hash_) ? extents_done(index) : 0;
    const bool partly = done > 0 && done < extents(entry.file_size);
    found.state = partly ? ImageState::partly : ImageState::wrong;
    found.resume = partly ? done * kExtent : 0;
  }
  return found;
}

void SphereV3Board::send_inventory() {
  std::vector<recovery::v3::InventoryEntry> entries;
  to_write_.clear();
  resume_.clear();
  retried_.clear();
  current_ = 0;
  images_written_ = 0;
  bytes_written_ = 0;
  for (std::size_t i = 0; i < manifest_.entries.size(); ++i) {
    entries.push_back(look_at(i));
    resume_.push_back(entries.back().resume);
    if (entries.back().state != ImageState::verified) {
      to_write_.push_back(i);
    }
  }
  state_ = State::inventory;
  deadline_ = now_ + kProceedLimit;
  post(Type::inventory, recovery::v3::write_inventory(entries));
}

bool SphereV3Board::has_boot_record() const {
  Reader record{flash_.bytes()};
  const auto magic = record.little_endian<std::uint32_t>();
  const auto size = record.little_endian<std::uint32_t>();
  const auto digest = record.bytes(manifest_hash_.size());
  const auto stored =
      flash_.bytes().subspan(kManifestSector * flash_.sector(), manifest_bytes_.size());
  return magic == kRecordMagic && size == manifest_bytes_.size() && digest &&
         std::ranges::equal(*digest, manifest_hash_) && std::ranges::equal(stored, manifest_bytes_);
}

// --- Writing. ---

void SphereV3Board::take_proceed(std::span<const std::byte> data) {
  const auto proceed = recovery::v3::parse_proceed(data);
  if (!proceed) {
    error(recovery::kInvalidServerResponse);
    return;
  }
  if (proceed->manifest != manifest_hash_) {
    error(kManifestChanged);
    return;
  }
  if (proceed->mode == recovery::v3::Mode::verify_only) {
    to_write_.clear();
    complete();
    return;
  }
  if (proceed->mode == recovery::v3::Mode::write_all) {
    to_write_.clear();
    for (std::size_t i = 0; i < manifest_.entries.size(); ++i) {
      to_write_.push_back(i);
      resume_[i] = 0;
    }
  }
  if (to_write_.empty() && has_boot_record()) {
    complete();
    return;
  }
  begin_writing(proceed->keep_data);
}

// False: it went wrong, and what follows was done.
bool SphereV3Board::note(Flash::Access access, std::uint16_t code) {
  if (access == Flash::Access::ok) {
    return true;
  }
  failed_write_ = true;
  if (access == Flash::Access::no_power) {
    state_ = State::off;
    deadline_ = config_.power_returns ? std::optional{now_ + 1s} : std::nullopt;
    channel_.reset();
    wire_.clear();
    actions_->emplace_back(device::Log{.text = "power lost"});
  } else {
    error(code);
  }
  return false;
}

bool SphereV3Board::erase_now(std::size_t offset, std::size_t size) {
  return is_erased(flash_.bytes().subspan(offset, size)) ||
         note(flash_.erase(offset, size), recovery::kFlashEraseFailed);
}

bool SphereV3Board::program(std::size_t offset, std::span<const std::byte> bytes) {
  return note(flash_.program(offset, bytes), recovery::kFlashWriteFailed);
}

// The old boot record goes first: from here on the board does not boot until all is there. Then
// journal and manifest, so that what is written from now on counts after a loss of power.
bool SphereV3Board::write_heads() {
  const std::size_t sector = flash_.sector();
  if (!erase_now(0, sector) || !erase_now(kJournalSector * sector, sector)) {
    return false;
  }
  Writer journal;
  journal.little_endian(kJournalMagic).bytes(manifest_hash_);
  journal.zeros(kJournalHead - journal.size());
  for (std::size_t i = 0; i < manifest_.entries.size(); ++i) {
    const std::size_t all = extents(manifest_.entries[i].file_size);
    const bool writes = std::ranges::find(to_write_, i) != to_write_.end();
    const auto kept = writes ? static_cast<std::size_t>(resume_[i] / kExtent) : all;
    std::vector<std::byte> states(all, kErased);
    std::fill_n(states.begin(), kept, kDone);
    journal.bytes(states);
  }
  if (!program(kJournalSector * sector, journal.data())) {
    return false;
  }
  const std::size_t place = kManifestSector * sector;
  const auto stored = flash_.bytes().subspan(place, manifest_bytes_.size());
  return std::ranges::equal(stored, manifest_bytes_) ||
         (erase_now(place, kManifestSectors * sector) && program(place, manifest_bytes_));
}

void SphereV3Board::queue_erase(std::size_t offset, std::size_t size) {
  while (size > 0) {
    const std::size_t piece = std::min(size, kErasePiece);
    if (!is_erased(flash_.bytes().subspan(offset, piece))) {
      erase_queue_.emplace_back(offset, piece);
      erase_left_ += piece;
    }
    offset += piece;
    size -= piece;
  }
}

void SphereV3Board::begin_writing(bool keep_data) {
  event(EventCode::erase_started);
  state_ = State::erasing;
  failed_write_ = false;
  erase_queue_.clear();
  erase_left_ = 0;
  if (!write_heads()) {
    return;
  }
  for (const std::size_t index : to_write_) {
    const auto kept = static_cast<std::size_t>(resume_[index]);
    const std::size_t size = round_up(manifest_.entries[index].file_size, flash_.sector());
    queue_erase(offsets_[index] + kept, size - kept);
  }
  if (!keep_data && !to_write_.empty()) {
    queue_erase(flash_.size() - (2 * reserve_size()), 2 * reserve_size());
  }
  erase_all_ = erase_left_;
  told_ = {};
  deadline_ = now_;
}

void SphereV3Board::erase_some() {
  const auto time_of = [&](std::size_t size) {
    return Time{config_.erase_time.count() * static_cast<std::int64_t>(size) /
                static_cast<std::int64_t>(flash_.size())};
  };
  if (erase_queue_.empty()) {
    event(EventCode::erase_complete);
    next_image();
    return;
  }
  const auto [offset, size] = erase_queue_.front();
  erase_queue_.erase(erase_queue_.begin());
  if (!note(flash_.erase(offset, size), recovery::kFlashEraseFailed)) {
    return;
  }
  erase_left_ -= size;
  const Time piece = time_of(size);
  if (now_ - told_ >= 500ms && channel_.is_idle()) {
    progress(recovery::v3::Phase::erase, erase_left_, erase_all_, 2 * piece);
  }
  deadline_ = now_ + piece;
}

void SphereV3Board::next_image() {
  if (current_ < to_write_.size()) {
    state_ = State::fetching;
    ask_for_image();
    return;
  }
  event(EventCode::images_verified);
  commit();
}

// Bytes of a file, in order.
void SphereV3Board::take_bytes(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (failed_write_) {
    return;
  }
  if (state_ == State::manifest) {
    file_.insert(file_.end(), bytes.begin(), bytes.end());
    return;
  }
  const std::size_t index = to_write_.at(current_);
  const std::uint64_t before = wanted_offset_ + offset;
  if (!program(offsets_[index] + static_cast<std::size_t>(before), bytes)) {
    return;
  }
  bytes_written_ += bytes.size();
  const std::uint64_t after = before + bytes.size();
  const bool whole = after == manifest_.entries[index].file_size;
  const auto first = static_cast<std::size_t>(before / kExtent);
  const auto last = whole ? extents(after) : static_cast<std::size_t>(after / kExtent);
  constexpr std::array kMark = {kDone};
  for (std::size_t extent = first; extent < last; ++extent) {
    if (!program(journal_index(index) + extent, kMark)) {
      return;
    }
  }
}

void SphereV3Board::image_complete() {
  const std::size_t index = to_write_.at(current_);
  const ManifestV4::Entry& entry = manifest_.entries[index];
  if (const Fault* const flip = fault("flip-flash");
      flip != nullptr && (flip->where == Fault::Where::always || flip->at == read_back_)) {
    flash_.flip(static_cast<std::size_t>(flip->number().value_or(0)) % flash_.size());
  }
  ++read_back_;
  const auto hash = crypto::sha256(image_bytes(index));
  const bool good = hash == entry.sha256;
  post(Type::image_verified,
       recovery::v3::write_image_verified({.index = static_cast<std::uint16_t>(index),
                                           .result = static_cast<std::uint8_t>(good ? 0 : 1),
                                           .sha256 = hash}));
  if (good) {
    ++images_written_;
    ++current_;
    next_image();
    return;
  }
  if (!retried_.insert(index).second) {
    error(recovery::kDataHashingFailed, entry.file_name);
    return;
  }
  // Once more, from its begin; those before it are written and stay.
  to_write_.erase(to_write_.begin(), to_write_.begin() + static_cast<std::ptrdiff_t>(current_));
  current_ = 0;
  resume_[index] = 0;
  begin_writing(true);
}

void SphereV3Board::commit() {
  if (!has_boot_record()) {
    Writer record;
    record.little_endian(kRecordMagic)
        .little_endian(static_cast<std::uint32_t>(manifest_bytes_.size()))
        .bytes(manifest_hash_);
    if (!program(0, record.data())) {
      return;
    }
  }
  event(EventCode::boot_record_written);
  complete();
}

void SphereV3Board::complete() {
  recovery::v3::Completion completion{
      .manifest = manifest_hash_,
      .written = images_written_,
      .skipped = static_cast<std::uint32_t>(manifest_.entries.size() - images_written_),
      .bytes = bytes_written_};
  if (config_.identity) {
    const auto signature =
        config_.identity->sign(recovery::v3::completion_digest(nonce_, completion));
    if (!signature) {
      error(recovery::kBadState);
      return;
    }
    completion.signature = *signature;
  }
  state_ = State::done;
  deadline_.reset();
  post(Type::recovery_complete, recovery::v3::write_completion(completion));
}

bool SphereV3Board::is_complete() const {
  Reader record{flash_.bytes()};
  const auto magic = record.little_endian<std::uint32_t>();
  const auto size = record.little_endian<std::uint32_t>();
  const auto digest = record.bytes(crypto::Sha256Digest{}.size());
  if (magic != kRecordMagic || !size || !digest || *size > kManifestSectors * flash_.sector()) {
    return false;
  }
  const auto file = flash_.bytes().subspan(kManifestSector * flash_.sector(), *size);
  ManifestV4 manifest;
  if (!std::ranges::equal(crypto::sha256(file), *digest) || judge_manifest(file, manifest)) {
    return false;
  }
  const auto offsets = place(manifest).value_or(std::vector<std::size_t>{});
  for (std::size_t i = 0; i < manifest.entries.size(); ++i) {
    const auto bytes =
        flash_.bytes().subspan(offsets[i], static_cast<std::size_t>(manifest.entries[i].file_size));
    if (crypto::sha256(bytes) != manifest.entries[i].sha256) {
      return false;
    }
  }
  return true;
}

}  // namespace sphere::virtual_board
