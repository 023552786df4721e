// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sphere::slip {

// IPv4 packets of the link, before they reach a network stack. Offsets in bytes, numbers
// big-endian:
//
//    0  version 4 | header length in words (5 to 15)
//    2  total length          6  flags | fragment offset      9  protocol
//   10  header check sum     12  source                      16  destination
//   20  options (0 to 40 bytes)

// An IPv4 address as a number: 192.168.35.2 is 0xC0A82302.
using Address = std::uint32_t;

inline constexpr Address kHostAddress = 0xC0A82301;   // 192.168.35.1, the PC.
inline constexpr Address kBoardAddress = 0xC0A82302;  // 192.168.35.2, each board on its own wire.

[[nodiscard]] std::string to_text(Address address);
// "192.168.35.2"; nothing for any other form.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;

// Why a packet was not let in.
enum class Drop : std::uint8_t {
  too_short,  // Fewer bytes than a header.
  not_ipv4,
  header_length,  // Below 20, or above the packet's.
  total_length,   // Not the frame's.
  check_sum,      // Of the header.
  source,
  destination,
  protocol,      // None of TCP, UDP, ICMP.
  source_route,  // LSRR or SSRR option, or options that do not follow their form.
};
inline constexpr std::size_t kDropReasons = 9;
[[nodiscard]] std::string_view to_text(Drop reason);

// Whom a wire may carry packets between, and in which direction.
struct Route {
  Address source = kBoardAddress;
  Address destination = kHostAddress;
};

// What the ingress filter says about a packet: nothing when it may pass. It looks at the IPv4
// header only; the network stack checks what is behind it.
[[nodiscard]] std::optional<Drop> check_packet(std::span<const std::byte> packet,
                                               const Route& route);

// Packets passed and dropped, by reason.
struct FilterCounters {
  std::uint64_t passed = 0;
  std::array<std::uint64_t, kDropReasons> dropped = {};

  void count(std::optional<Drop> reason) {
    ++(reason ? dropped.at(static_cast<std::size_t>(*reason)) : passed);
  }
};

// Replaces the source or destination address and corrects the check sums of the IPv4 header and of
// TCP or UDP (RFC 1624; a UDP check sum of 0 stays 0; a later fragment has none). The packet must
// have passed check_packet().
void rewrite_source(std::span<std::byte> packet, Address address);
void rewrite_destination(std::span<std::byte> packet, Address address);

// Whether a packet from a board answers something: ICMP echo reply, or TCP that is no opening SYN.
// UDP has no such mark: `false`.
[[nodiscard]] bool is_answer(std::span<const std::byte> packet);

// The ones' complement sum over `bytes`, folded and inverted, as IPv4 headers carry it.
[[nodiscard]] std::uint16_t internet_check_sum(std::span<const std::byte> bytes);

}  // namespace sphere::slip
