// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sphere::virtual_board {

// A model of NOR flash: erasing makes a sector FF, programming can only clear bits. What a board
// does wrong with it is refused and counted, as silicon would store garbage.
class Flash {
 public:
  enum class Access : std::uint8_t { ok, out_of_range, not_erased, bad_sector, no_power };
  struct Counters {
    std::uint64_t sectors_erased = 0;
    std::uint64_t bytes_programmed = 0;
    std::uint64_t refused = 0;
  };

  // `size` is a multiple of `sector`.
  Flash(std::size_t size, std::size_t sector);

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::size_t sector() const { return sector_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

  // Erases each sector that the range touches.
  [[nodiscard]] Access erase(std::size_t offset, std::size_t size);
  // Writes to erased bytes.
  [[nodiscard]] Access program(std::size_t offset, std::span<const std::byte> bytes);

  // --- Faults. ---
  void set_bad_sector(std::optional<std::size_t> sector) { bad_sector_ = sector; }
  // Cuts the power within the erase or program call after the next `calls`: that one is torn (half
  // of it, at 512 bytes, is done) and this and each later one gives no_power until restored.
  void cut_power_after(std::uint64_t calls) { calls_left_ = calls; }
  void restore_power() { calls_left_.reset(); }
  [[nodiscard]] bool has_power() const { return !calls_left_ || *calls_left_ > 0; }
  // Changes a byte behind the board's back.
  void flip(std::size_t offset);
  // What flash holds when a test begins; the rest stays.
  void load(std::size_t offset, std::span<const std::byte> bytes);

 private:
  [[nodiscard]] bool spend_power(bool& torn);
  [[nodiscard]] bool touches_bad_sector(std::size_t offset, std::size_t size) const;
  [[nodiscard]] Access refuse(Access why);

  std::vector<std::byte> bytes_;
  std::size_t sector_;
  std::optional<std::size_t> bad_sector_;
  std::optional<std::uint64_t> calls_left_;
  Counters counters_;
};

}  // namespace sphere::virtual_board
