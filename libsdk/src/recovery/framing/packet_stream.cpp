// SPDX-License-Identifier: MIT
#include "sphere/recovery/packet_stream.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sphere::recovery {

void append_packet_header(std::uint64_t size, std::vector<std::byte>& wire) {
  for (std::size_t i = 0; i < kPacketHeader; ++i) {
    wire.push_back(static_cast<std::byte>((size >> (8 * (kPacketHeader - 1 - i))) & 0xFF));
  }
}

std::optional<PacketStream::Piece> PacketStream::next(std::span<const std::byte>& input) {
  bool first = false;
  if (header_size_ < kPacketHeader) {
    while (header_size_ < kPacketHeader && !input.empty()) {
      header_.at(header_size_++) = input.front();
      input = input.subspan(1);
    }
    if (header_size_ < kPacketHeader) {
      return std::nullopt;
    }
    size_ = 0;
    for (const std::byte byte : header_) {
      size_ = size_ << 8 | std::to_integer<std::uint64_t>(byte);
    }
    left_ = size_;
    first = true;
  } else {
    first = left_ == size_;
  }
  if (input.empty() && left_ > 0) {
    return std::nullopt;
  }
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  const auto bytes = input.first(count);
  input = input.subspan(count);
  left_ -= count;
  if (left_ == 0) {
    header_size_ = 0;
  }
  return Piece{.bytes = bytes, .first = first, .last = left_ == 0};
}

}  // namespace sphere::recovery
