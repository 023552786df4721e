// SPDX-License-Identifier: MIT
#include "sphere/slip/packet.h"

#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sphere::slip {

namespace {

constexpr std::size_t kHeader = 20;
constexpr std::size_t kTotalLengthAt = 2;
constexpr std::size_t kFragmentAt = 6;
constexpr std::size_t kProtocolAt = 9;
constexpr std::size_t kCheckSumAt = 10;
constexpr std::size_t kSourceAt = 12;
constexpr std::size_t kDestinationAt = 16;

// RFC 791 3.1.
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNothing = 1;
constexpr std::uint8_t kLooseRoute = 131;
constexpr std::uint8_t kStrictRoute = 137;

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::uint8_t>(bytes[at]);
}

std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8U | byte_at(bytes, at + 1));
}

std::uint32_t address_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(word_at(bytes, at)) << 16U | word_at(bytes, at + 2);
}

void put_word(std::span<std::byte> bytes, std::size_t at, std::uint16_t word) {
  bytes[at] = static_cast<std::byte>(word >> 8U);
  bytes[at + 1] = static_cast<std::byte>(word & 0xFFU);
}

std::size_t header_length(std::span<const std::byte> packet) {
  return std::size_t{4} * (byte_at(packet, 0) & 0x0FU);
}

// Whether the options hold a source route, or are no options.
bool has_bad_options(std::span<const std::byte> options) {
  std::size_t at = 0;
  while (at < options.size() && byte_at(options, at) != kOptionEnd) {
    const std::uint8_t type = byte_at(options, at);
    if (type == kOptionNothing) {
      ++at;
      continue;
    }
    if (type == kLooseRoute || type == kStrictRoute || options.size() - at < 2) {
      return true;
    }
    const std::size_t length = byte_at(options, at + 1);
    if (length < 2 || length > options.size() - at) {
      return true;
    }
    at += length;
  }
  return false;
}

// RFC 1624, equation 3, for one 16-bit word.
std::uint16_t corrected(std::uint16_t sum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t total = static_cast<std::uint16_t>(~sum);
  total += static_cast<std::uint16_t>(~before);
  total += after;
  total = (total & 0xFFFFU) + (total >> 16U);
  total = (total & 0xFFFFU) + (total >> 16U);
  return static_cast<std::uint16_t>(~total);
}

// Where TCP or UDP keep their check sum, when this packet has it.
std::optional<std::size_t> transport_check_sum_at(std::span<const std::byte> packet) {
  constexpr std::uint16_t kOffsetMask = 0x1FFF;
  constexpr std::size_t kTcpCheckSum = 16;
  constexpr std::size_t kUdpCheckSum = 6;
  if ((word_at(packet, kFragmentAt) & kOffsetMask) != 0) {
    return std::nullopt;
  }
  const std::uint8_t protocol = byte_at(packet, kProtocolAt);
  const std::size_t at = header_length(packet) + (protocol == kTcp ? kTcpCheckSum : kUdpCheckSum);
  if ((protocol != kTcp && protocol != kUdp) || at + 2 > packet.size() ||
      (protocol == kUdp && word_at(packet, at) == 0)) {
    return std::nullopt;
  }
  return at;
}

void rewrite(std::span<std::byte> packet, std::size_t at, Address address) {
  const std::uint32_t before = address_at(packet, at);
  const auto correct = [&](std::size_t sum_at) {
    std::uint16_t sum = word_at(packet, sum_at);
    sum = corrected(sum, static_cast<std::uint16_t>(before >> 16U),
                    static_cast<std::uint16_t>(address >> 16U));
    sum = corrected(sum, static_cast<std::uint16_t>(before & 0xFFFFU),
                    static_cast<std::uint16_t>(address & 0xFFFFU));
    return sum;
  };
  if (const auto sum_at = transport_check_sum_at(packet)) {
    std::uint16_t sum = correct(*sum_at);
    if (sum == 0 && byte_at(packet, kProtocolAt) == kUdp) {
      sum = 0xFFFF;  // 0 would mean "none" (RFC 768).
    }
    put_word(packet, *sum_at, sum);
  }
  put_word(packet, kCheckSumAt, correct(kCheckSumAt));
  put_word(packet, at, static_cast<std::uint16_t>(address >> 16U));
  put_word(packet, at + 2, static_cast<std::uint16_t>(address & 0xFFFFU));
}

}  // namespace

std::string to_text(Address address) {
  std::string text;
  for (unsigned shift = 32; shift > 0;) {
    shift -= 8;
    text += std::to_string(address >> shift & 0xFFU) + (shift > 0 ? "." : "");
  }
  return text;
}

std::optional<Address> parse_address(std::string_view text) {
  in_addr address = {};
  if (::inet_pton(AF_INET, std::string{text}.c_str(), &address) != 1) {
    return std::nullopt;
  }
  return ntohl(address.s_addr);
}

std::string_view to_text(Drop reason) {
  constexpr std::array<std::string_view, kDropReasons> kTexts = {
      "too-short", "not-ipv4",    "header-length", "total-length", "check-sum",
      "source",    "destination", "protocol",      "source-route"};
  return kTexts.at(static_cast<std::size_t>(reason));
}

std::uint16_t internet_check_sum(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) {
    sum += word_at(bytes, at);
  }
  if (at < bytes.size()) {
    sum += static_cast<std::uint64_t>(byte_at(bytes, at)) << 8U;
  }
  while (sum > 0xFFFFU) {
    sum = (sum & 0xFFFFU) + (sum >> 16U);
  }
  return static_cast<std::uint16_t>(~sum);
}

std::optional<Drop> check_packet(std::span<const std::byte> packet, const Route& route) {
  if (packet.size() < kHeader) {
    return Drop::too_short;
  }
  if (byte_at(packet, 0) >> 4U != 4) {
    return Drop::not_ipv4;
  }
  const std::size_t header = header_length(packet);
  if (header < kHeader || header > packet.size()) {
    return Drop::header_length;
  }
  if (word_at(packet, kTotalLengthAt) != packet.size()) {
    return Drop::total_length;
  }
  if (internet_check_sum(packet.first(header)) != 0) {
    return Drop::check_sum;
  }
  // From here all of the header lies within the packet.
  if (address_at(packet, kSourceAt) != route.source) {
    return Drop::source;
  }
  if (address_at(packet, kDestinationAt) != route.destination) {
    return Drop::destination;
  }
  const std::uint8_t protocol = byte_at(packet, kProtocolAt);
  if (protocol != kTcp && protocol != kUdp && protocol != kIcmp) {
    return Drop::protocol;
  }
  if (has_bad_options(packet.subspan(kHeader, header - kHeader))) {
    return Drop::source_route;
  }
  return std::nullopt;
}

void rewrite_source(std::span<std::byte> packet, Address address) {
  rewrite(packet, kSourceAt, address);
}

void rewrite_destination(std::span<std::byte> packet, Address address) {
  rewrite(packet, kDestinationAt, address);
}

bool is_answer(std::span<const std::byte> packet) {
  constexpr std::size_t kTcpFlags = 13;
  constexpr std::uint8_t kSyn = 0x02;
  constexpr std::uint8_t kAck = 0x10;
  constexpr std::uint8_t kEchoReply = 0;
  constexpr std::uint16_t kOffsetMask = 0x1FFF;
  const std::size_t header = header_length(packet);
  if ((word_at(packet, kFragmentAt) & kOffsetMask) != 0) {
    return true;  // Worth nothing without its first fragment.
  }
  switch (byte_at(packet, kProtocolAt)) {
    case kTcp:
      return packet.size() > header + kTcpFlags &&
             (byte_at(packet, header + kTcpFlags) & (kSyn | kAck)) != kSyn;
    case kIcmp:
      return packet.size() > header && byte_at(packet, header) == kEchoReply;
    default:
      return false;
  }
}

}  // namespace sphere::slip
