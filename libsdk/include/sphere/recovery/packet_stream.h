// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sphere::recovery {

// Packets on a stream, each with its length in front:
//
//   u64, big-endian: n | n bytes
//
// as fastboot has them over TCP, in both directions.
inline constexpr std::size_t kPacketHeader = 8;

// Appends the header of a packet of `size` bytes.
void append_packet_header(std::uint64_t size, std::vector<std::byte>& wire);

// Takes packets off a stream without holding any: their bytes come in pieces. The length is
// whatever the other side wrote; a caller that collects pieces checks size() first.
class PacketStream {
 public:
  struct Piece {
    std::span<const std::byte> bytes;  // A part of the input.
    bool first = false;
    bool last = false;
  };

  // The next piece of `input`, which is shortened by what was used. Nothing when more input is
  // needed. A packet without bytes is one empty piece.
  [[nodiscard]] std::optional<Piece> next(std::span<const std::byte>& input);
  // Length of the packet that the last piece belongs to.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::array<std::byte, kPacketHeader> header_ = {};
  std::size_t header_size_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;
};

}  // namespace sphere::recovery
