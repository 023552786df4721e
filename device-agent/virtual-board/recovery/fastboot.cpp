// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/fastboot.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/sparse_image.h"
#include "sphere/core/encoding.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/packet_stream.h"

namespace sphere::virtual_board {

namespace {

constexpr std::size_t kMaxCommand = 64;
constexpr std::size_t kMaxText = 60;  // Of an answer of 64 bytes.
constexpr std::string_view kGreeting = "FB01";

std::string_view text_of(std::span<const std::byte> bytes) {
  const void* const start = bytes.data();
  return {static_cast<const char*>(start), bytes.size()};
}

template <typename Int>
std::optional<Int> number_in(std::string_view text, int base) {
  Int value = 0;
  const char* const end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(std::to_address(text.begin()), end, value, base);
  return error == std::errc{} && stop == end ? std::optional{value} : std::nullopt;
}

// Takes `prefix` off the front of `text`.
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

FastbootDevice::FastbootDevice(FastbootBoard board, Flash flash)
    : board_{std::move(board)}, flash_{std::move(flash)} {}

void FastbootDevice::take(const device::Input& input, device::Time now, device::Actions& actions) {
  actions_ = &actions;
  now_ = now;
  if (std::holds_alternative<device::PowerOn>(input)) {
    power_on();
  } else if (const auto* const received = std::get_if<device::Received>(&input)) {
    take_bytes(received->bytes);
  } else if (std::holds_alternative<device::TimerFired>(input) && state_ == State::flashing) {
    state_ = State::command;
    answer(result_.empty() ? "OKAY" : "FAIL", result_);
  }
  actions_ = nullptr;
}

void FastbootDevice::power_on() {
  greeting_.clear();
  packets_ = {};
  command_.clear();
  download_.clear();
  download_size_ = 0;
  state_ = board_.tcp ? State::greeting : State::command;
  actions_->push_back(device::Disarm{});
}

void FastbootDevice::take_bytes(std::span<const std::byte> bytes) {
  if (state_ == State::greeting) {
    bytes = take_greeting(bytes);
  }
  if (state_ == State::off || state_ == State::booted) {
    return;
  }
  if (!board_.tcp) {
    take_piece(bytes, true);
    return;
  }
  while (const auto piece = packets_.next(bytes)) {
    take_piece(piece->bytes, piece->last);
  }
}

std::span<const std::byte> FastbootDevice::take_greeting(std::span<const std::byte> bytes) {
  const std::size_t count = std::min(bytes.size(), kGreeting.size() - greeting_.size());
  greeting_ += text_of(bytes.first(count));
  if (greeting_.size() == kGreeting.size()) {
    // Both sides go on with the lower version; there is no other than 01.
    state_ = greeting_.starts_with("FB") ? State::command : State::off;
    const auto own = std::as_bytes(std::span{kGreeting});
    actions_->push_back(device::Send{.bytes = {own.begin(), own.end()}});
  }
  return bytes.subspan(count);
}

// A part of a packet or, on USB, a transfer.
void FastbootDevice::take_piece(std::span<const std::byte> bytes, bool last) {
  if (state_ == State::data) {
    take_data(bytes);
    return;
  }
  // One byte more than a command has is kept, to tell that it was too long.
  const std::size_t room = kMaxCommand + 1 - command_.size();
  const auto kept = bytes.first(std::min(bytes.size(), room));
  command_.insert(command_.end(), kept.begin(), kept.end());
  if (!last) {
    return;
  }
  const std::string command{text_of(std::exchange(command_, {}))};
  if (state_ == State::flashing) {
    return;  // Nobody listens.
  }
  if (command.size() > kMaxCommand) {
    answer("FAIL", "command is longer than 64 bytes");
  } else {
    take_command(command);
  }
}

void FastbootDevice::take_data(std::span<const std::byte> bytes) {
  if (bytes.size() > download_size_ - download_.size()) {
    state_ = State::command;
    download_.clear();
    answer("FAIL", "more data than announced");
    return;
  }
  download_.insert(download_.end(), bytes.begin(), bytes.end());
  if (download_.size() == download_size_) {
    state_ = State::command;
    answer("OKAY", "");
  }
}

void FastbootDevice::take_command(std::string_view command) {
  actions_->push_back(device::Log{std::string{command}});
  if (take_prefix(command, "getvar:")) {
    take_variable(command);
  } else if (take_prefix(command, "download:")) {
    begin_download(command);
  } else if (take_prefix(command, "flash:")) {
    change_flash(command, false);
  } else if (take_prefix(command, "erase:")) {
    change_flash(command, true);
  } else if (take_prefix(command, "oem ")) {
    oem(command);
  } else if (command == "boot") {
    boot_download();
  } else if (command == "continue" || command == "reboot") {
    answer("OKAY", "");
    restart(true);
  } else if (command == "reboot-bootloader") {
    answer("OKAY", "");
    restart(false);
  } else {
    answer("FAIL", "unknown command");
  }
}

void FastbootDevice::take_variable(std::string_view name) {
  if (name == "all") {
    list_variables();
  } else if (const auto value = variable(name)) {
    answer("OKAY", *value);
  } else {
    answer("FAIL", "no such variable");
  }
}

std::optional<std::string> FastbootDevice::variable(std::string_view name) const {
  if (name == "version") {
    return "0.4";
  }
  if (name == "product") {
    return board_.product;
  }
  if (name == "serialno") {
    return board_.serial;
  }
  if (name == "max-download-size") {
    return fmt::format("0x{:08x}", board_.max_download);
  }
  if (name == "unlocked" || name == "secure") {
    return board_.locked == (name == "secure") ? "yes" : "no";
  }
  if (take_prefix(name, "has-slot:") || take_prefix(name, "is-logical:")) {
    return find(name) != nullptr ? std::optional<std::string>{"no"} : std::nullopt;
  }
  if (take_prefix(name, "partition-size:")) {
    const auto* const partition = find(name);
    return partition != nullptr ? std::optional{fmt::format("0x{:x}", partition->size)}
                                : std::nullopt;
  }
  if (take_prefix(name, "partition-type:")) {
    return find(name) != nullptr ? std::optional<std::string>{"raw"} : std::nullopt;
  }
  return std::nullopt;
}

void FastbootDevice::list_variables() {
  for (const std::string_view name :
       std::array<std::string_view, 4>{"version", "product", "serialno", "max-download-size"}) {
    answer("INFO", fmt::format("{}:{}", name, variable(name).value_or("")));
  }
  for (const auto& partition : board_.partitions) {
    answer("INFO", fmt::format("partition-size:{}:0x{:x}", partition.name, partition.size));
  }
  answer("OKAY", "");
}

void FastbootDevice::begin_download(std::string_view size) {
  constexpr std::size_t kDigits = 8;
  const auto bytes = size.size() == kDigits ? number_in<std::uint32_t>(size, 16) : std::nullopt;
  if (!bytes) {
    answer("FAIL", "bad download size");
    return;
  }
  if (*bytes == 0 || *bytes > board_.max_download) {
    answer("FAIL", "data too large");
    return;
  }
  download_.clear();
  download_size_ = *bytes;
  state_ = State::data;
  answer("DATA", fmt::format("{:08x}", *bytes));
}

void FastbootDevice::boot_download() {
  if (board_.locked) {
    answer("FAIL", "device is locked");
  } else if (download_.empty()) {
    answer("FAIL", "no download");
  } else {
    answer("OKAY", "");
    restart(true);
  }
}

void FastbootDevice::oem(std::string_view text) {
  if (!board_.hash_command || !take_prefix(text, "sha256 ")) {
    answer("FAIL", "unknown oem command");
    return;
  }
  const std::size_t name_size = text.rfind(' ');
  if (name_size == std::string_view::npos) {
    answer("FAIL", "usage: oem sha256 PARTITION SIZE");
    return;
  }
  const auto* const partition = find(text.substr(0, name_size));
  const auto size = number_in<std::size_t>(text.substr(name_size + 1), 10);
  if (partition == nullptr || !size || *size > partition->size) {
    answer("FAIL", "no such partition or size");
    return;
  }
  const std::string digits =
      to_hex(crypto::sha256(flash_.bytes().subspan(partition->offset, *size)));
  answer("INFO", std::string_view{digits}.substr(0, digits.size() / 2));
  answer("OKAY", std::string_view{digits}.substr(digits.size() / 2));
}

void FastbootDevice::change_flash(std::string_view name, bool erase_only) {
  const auto* const partition = find(name);
  if (partition == nullptr) {
    answer("FAIL", "no such partition");
    return;
  }
  if (board_.locked) {
    answer("FAIL", "device is locked");
    return;
  }
  if (!erase_only && download_.empty()) {
    answer("FAIL", "no download");
    return;
  }
  result_ = erase_only ? erase(*partition)
                       : (is_sparse(download_) ? write_sparse(*partition) : write(*partition));
  if (board_.flash_time == device::Time{}) {
    answer(result_.empty() ? "OKAY" : "FAIL", result_);
    return;
  }
  answer("INFO", erase_only ? "erasing" : "writing");
  state_ = State::flashing;
  actions_->push_back(device::Arm{now_ + board_.flash_time});
}

std::string FastbootDevice::erase(const FastbootPartition& partition) {
  return flash_.erase(partition.offset, partition.size) == Flash::Access::ok ? "" : "erase failed";
}

std::string FastbootDevice::write(const FastbootPartition& partition) {
  if (download_.size() > partition.size) {
    return "image is larger than the partition";
  }
  if (auto error = erase(partition); !error.empty()) {
    return error;
  }
  return flash_.program(partition.offset, download_) == Flash::Access::ok ? "" : "write failed";
}

// What a sparse image leaves out stays as it is: large images come in parts.
std::string FastbootDevice::write_sparse(const FastbootPartition& partition) {
  return expand_sparse(download_, partition.size,
                       [&](std::size_t offset, std::span<const std::byte> bytes) -> std::string {
                         if (offset % flash_.sector() != 0) {
                           return "sparse blocks do not fit the flash";
                         }
                         const std::size_t at = partition.offset + offset;
                         return flash_.erase(at, bytes.size()) == Flash::Access::ok &&
                                        flash_.program(at, bytes) == Flash::Access::ok
                                    ? ""
                                    : "write failed";
                       });
}

void FastbootDevice::restart(bool boot) {
  power_on();
  if (boot) {
    state_ = State::booted;
    actions_->push_back(device::Boot{});
  }
}

const FastbootPartition* FastbootDevice::find(std::string_view name) const {
  const auto found = std::find_if(board_.partitions.begin(), board_.partitions.end(),
                                  [&](const auto& partition) { return partition.name == name; });
  return found == board_.partitions.end() ? nullptr : &*found;
}

void FastbootDevice::answer(std::string_view code, std::string_view text) {
  text = text.substr(0, kMaxText);
  std::vector<std::byte> wire;
  if (board_.tcp) {
    recovery::append_packet_header(code.size() + text.size(), wire);
  }
  for (const std::string_view part : {code, text}) {
    const auto bytes = std::as_bytes(std::span{part});
    wire.insert(wire.end(), bytes.begin(), bytes.end());
  }
  actions_->push_back(device::Send{.bytes = std::move(wire)});
}

bool FastbootDevice::is_complete() const {
  return std::all_of(board_.needed.begin(), board_.needed.end(), [&](const FastbootNeeded& needed) {
    const auto* const partition = find(needed.partition);
    return partition != nullptr && needed.size <= partition->size &&
           crypto::sha256(flash_.bytes().subspan(partition->offset, needed.size)) == needed.sha256;
  });
}

}  // namespace sphere::virtual_board
