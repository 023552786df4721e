// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/packet_stream.h"

namespace sphere::virtual_board {

struct FastbootPartition {
  std::string name;
  std::size_t offset = 0;  // A multiple of the flash's sector, as is the size.
  std::size_t size = 0;
};

// What the boot code looks for: the first `size` bytes of a partition have this hash.
struct FastbootNeeded {
  std::string partition;
  std::size_t size = 0;
  crypto::Sha256Digest sha256 = {};
};

struct FastbootBoard {
  bool tcp = false;  // FB01 and packets with lengths, as over TCP; else USB transfers.
  std::string product = "sphere-virtual";
  std::string serial = "0123456789";
  std::vector<FastbootPartition> partitions;
  std::vector<FastbootNeeded> needed = {};
  std::uint32_t max_download = 64U << 20U;
  bool locked = false;             // Refuses to write.
  bool hash_command = false;       // Knows "oem sha256 PARTITION SIZE".
  recovery::Time flash_time = {};  // That one flash or erase takes.
};

// A board in its fastboot loader, version 0.4: getvar, download, flash (raw images and sparse
// ones), erase, boot, continue, reboot, reboot-bootloader. The conversation and the sparse form are
// described in sphere/recovery/packet_stream.h and sparse.h. Refused with FAIL: other commands,
// other partitions, images that do not fit or are damaged, anything before its download, a locked
// board.
class FastbootDevice final : public DeviceSide {
 public:
  FastbootDevice(FastbootBoard board, Flash flash);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

 private:
  enum class State : std::uint8_t { off, greeting, command, data, flashing, booted };

  void power_on();
  void take_bytes(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> take_greeting(std::span<const std::byte> bytes);
  void take_piece(std::span<const std::byte> bytes, bool last);
  void take_data(std::span<const std::byte> bytes);
  void take_command(std::string_view command);
  void take_variable(std::string_view name);
  [[nodiscard]] std::optional<std::string> variable(std::string_view name) const;
  void list_variables();
  void begin_download(std::string_view size);
  void boot_download();
  void oem(std::string_view text);
  void change_flash(std::string_view partition, bool erase);
  [[nodiscard]] std::string write(const FastbootPartition& partition);
  [[nodiscard]] std::string write_sparse(const FastbootPartition& partition);
  [[nodiscard]] std::string erase(const FastbootPartition& partition);
  void restart(bool boot);
  [[nodiscard]] const FastbootPartition* find(std::string_view name) const;
  void answer(std::string_view code, std::string_view text);

  FastbootBoard board_;
  Flash flash_;
  State state_ = State::off;
  std::string greeting_;
  recovery::PacketStream packets_;
  std::vector<std::byte> command_;
  std::vector<std::byte> download_;
  std::size_t download_size_ = 0;
  std::string result_;                  // Of the flash or erase that runs; empty: good.
  device::Actions* actions_ = nullptr;  // Of the take() that runs.
  device::Time now_ = {};
};

}  // namespace sphere::virtual_board
