// SPDX-License-Identifier: MIT
#include "sphere/slip/packet.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace sphere::slip {
namespace {

using Bytes = std::vector<std::byte>;

void put_word(Bytes& bytes, std::size_t at, std::uint16_t word) {
  bytes.at(at) = static_cast<std::byte>(word >> 8U);
  bytes.at(at + 1) = static_cast<std::byte>(word & 0xFFU);
}

std::uint16_t word_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes.at(at)) << 8U |
                                    std::to_integer<unsigned>(bytes.at(at + 1)));
}

void seal_header(Bytes& packet) {
  const std::size_t header = 4 * (std::to_integer<std::size_t>(packet.at(0)) & 15U);
  put_word(packet, 2, static_cast<std::uint16_t>(packet.size()));
  put_word(packet, 10, 0);
  put_word(packet, 10, internet_check_sum(std::span{packet}.first(header)));
}

// TCP and UDP sum over addresses, protocol, length and all that follows the header.
std::uint16_t transport_sum(const Bytes& packet) {
  Bytes summed{packet.begin() + 12, packet.begin() + 20};
  summed.push_back(std::byte{0});
  summed.push_back(packet.at(9));
  const auto length = static_cast<std::uint16_t>(packet.size() - 20);
  summed.push_back(static_cast<std::byte>(length >> 8U));
  summed.push_back(static_cast<std::byte>(length & 0xFFU));
  summed.insert(summed.end(), packet.begin() + 20, packet.end());
  return internet_check_sum(summed);
}

// From the board to the PC.
Bytes packet_of(std::uint8_t protocol, Bytes payload) {
  Bytes packet = test::from_hex("45 00 00 00 12 34 40 00 40 06 00 00 C0 A8 23 02 C0 A8 23 01");
  packet.at(9) = std::byte{protocol};
  packet.insert(packet.end(), payload.begin(), payload.end());
  seal_header(packet);
  return packet;
}

Bytes tcp_packet(std::uint8_t flags) {
  Bytes packet = packet_of(kTcp, test::from_hex("01 BB D0 00 00 00 00 01 00 00 00 02 50 00 FF FF "
                                                "00 00 00 00 68 65 6C 6C 6F"));
  packet.at(33) = std::byte{flags};
  put_word(packet, 36, transport_sum(packet));
  return packet;
}

TEST_CASE("a packet of the board passes the filter") {
  CHECK(check_packet(tcp_packet(0x10), {}) == std::nullopt);
  CHECK(check_packet(packet_of(kUdp, Bytes(8)), {}) == std::nullopt);
  CHECK(check_packet(packet_of(kIcmp, Bytes(8)), {}) == std::nullopt);
  Bytes with_options = test::from_hex(
      "46 00 00 00 00 00 00 00 40 01 00 00 C0 A8 23 02 C0 A8 23 01 01 01 01 00 08 00 00 00");
  seal_header(with_options);
  CHECK(check_packet(with_options, {}) == std::nullopt);
}

TEST_CASE("the filter drops what it should, and says why") {
  struct Case {
    Drop reason;
    std::size_t at;
    std::string bytes;
    bool sealed;
  };
  const auto test = GENERATE(values<Case>({
      {Drop::not_ipv4, 0, "65", true},
      {Drop::header_length, 0, "44", false},
      {Drop::header_length, 0, "4F", false},
      {Drop::total_length, 2, "00 1B", false},
      {Drop::total_length, 2, "00 1D", false},
      {Drop::check_sum, 10, "00 00", false},
      {Drop::check_sum, 8, "3F", false},
      {Drop::source, 12, "C0 A8 23 03", true},
      {Drop::source, 12, "7F 00 00 01", true},
      {Drop::destination, 16, "C0 A8 23 02", true},
      {Drop::destination, 16, "FF FF FF FF", true},
      {Drop::protocol, 9, "02", true},
      {Drop::protocol, 9, "29", true},
  }));
  INFO(to_text(test.reason) << " " << test.bytes);
  Bytes packet = packet_of(kUdp, Bytes(8));
  const Bytes change = test::from_hex(test.bytes);
  std::ranges::copy(change, packet.begin() + static_cast<std::ptrdiff_t>(test.at));
  if (test.sealed) {
    seal_header(packet);
  }
  CHECK(check_packet(packet, {}) == test.reason);
}

TEST_CASE("the filter drops source routes and broken options") {
  const auto options = GENERATE(values<std::string>(
      {"83 04 04 00", "89 04 04 00", "07 00 00 00", "07 01 00 00", "07 05 00 00", "01 01 01 07"}));
  INFO(options);
  Bytes packet = test::from_hex("46 00 00 00 00 00 00 00 40 11 00 00 C0 A8 23 02 C0 A8 23 01 " +
                                options + " 00 00 00 00");
  seal_header(packet);
  CHECK(check_packet(packet, {}) == Drop::source_route);
}

TEST_CASE("the filter drops a packet cut anywhere") {
  const Bytes packet = tcp_packet(0x10);
  for (std::size_t size = 0; size < packet.size(); ++size) {
    INFO(size);
    CHECK(check_packet(std::span{packet}.first(size), {}) ==
          (size < 20 ? Drop::too_short : Drop::total_length));
  }
}

TEST_CASE("each bit of an IPv4 header matters to the filter") {
  const Bytes packet = tcp_packet(0x10);
  for (std::size_t bit = 0; bit < 20 * 8; ++bit) {
    INFO(bit);
    Bytes damaged = packet;
    damaged.at(bit / 8) ^= static_cast<std::byte>(1U << bit % 8);
    CHECK(check_packet(damaged, {}) != std::nullopt);
  }
}

TEST_CASE("rewriting an address keeps the check sums right") {
  const Address other = 0xC0A823FE;
  Bytes udp = packet_of(kUdp, test::from_hex("30 39 00 35 00 0C 00 00 01 02 03 04"));
  put_word(udp, 26, transport_sum(udp));
  for (const Bytes& original : {tcp_packet(0x12), udp}) {
    Bytes packet = original;
    rewrite_source(packet, other);
    rewrite_destination(packet, 0x0A000001);
    CHECK(internet_check_sum(std::span{packet}.first(20)) == 0);
    CHECK(transport_sum(packet) == 0);
    CHECK(check_packet(packet, {.source = other, .destination = 0x0A000001}) == std::nullopt);

    rewrite_source(packet, kBoardAddress);
    rewrite_destination(packet, kHostAddress);
    CHECK(packet == original);
  }
}

TEST_CASE("rewriting leaves check sums alone that are not there") {
  SECTION("UDP without one") {
    Bytes packet = packet_of(kUdp, test::from_hex("30 39 00 35 00 0C 00 00 01 02 03 04"));
    rewrite_source(packet, 0xC0A82309);
    CHECK(word_at(packet, 26) == 0);
  }
  SECTION("a later fragment") {
    Bytes packet = packet_of(kTcp, Bytes(40, std::byte{0x55}));
    put_word(packet, 6, 0x0010);
    seal_header(packet);
    rewrite_source(packet, 0xC0A82309);
    CHECK(Bytes(packet.begin() + 20, packet.end()) == Bytes(40, std::byte{0x55}));
    CHECK(internet_check_sum(std::span{packet}.first(20)) == 0);
  }
  SECTION("ICMP") {
    Bytes packet = packet_of(kIcmp, Bytes(40, std::byte{0x55}));
    rewrite_source(packet, 0xC0A82309);
    CHECK(Bytes(packet.begin() + 20, packet.end()) == Bytes(40, std::byte{0x55}));
  }
  SECTION("TCP cut short") {
    Bytes packet = packet_of(kTcp, Bytes(17, std::byte{0x55}));
    rewrite_source(packet, 0xC0A82309);
    CHECK(Bytes(packet.begin() + 20, packet.end()) == Bytes(17, std::byte{0x55}));
  }
}

TEST_CASE("only answers of a board pass into the PC") {
  constexpr std::uint8_t kSyn = 0x02;
  CHECK_FALSE(is_answer(tcp_packet(kSyn)));
  CHECK_FALSE(is_answer(tcp_packet(kSyn | 0x40)));
  CHECK(is_answer(tcp_packet(0x12)));
  CHECK(is_answer(tcp_packet(0x10)));
  CHECK(is_answer(tcp_packet(0x04)));
  CHECK_FALSE(is_answer(packet_of(kTcp, Bytes(13))));
  CHECK(is_answer(packet_of(kIcmp, Bytes(8))));
  CHECK_FALSE(is_answer(packet_of(kIcmp, Bytes(8, std::byte{8}))));
  CHECK_FALSE(is_answer(packet_of(kUdp, Bytes(8))));
}

TEST_CASE("addresses are read and written as four numbers") {
  CHECK(to_text(kBoardAddress) == "192.168.35.2");
  CHECK(parse_address("192.168.35.254") == 0xC0A823FE);
  CHECK(parse_address("192.168.35") == std::nullopt);
  CHECK(parse_address("192.168.35.256") == std::nullopt);
  CHECK(parse_address("") == std::nullopt);
}

TEST_CASE("the counters tell each reason apart") {
  FilterCounters counters;
  counters.count(std::nullopt);
  counters.count(Drop::source);
  counters.count(Drop::source_route);
  CHECK(counters.passed == 1);
  CHECK(counters.dropped.at(static_cast<std::size_t>(Drop::source)) == 1);
  CHECK(to_text(Drop::source_route) == "source-route");
  CHECK(to_text(Drop::too_short) == "too-short");
}

}  // namespace
}  // namespace sphere::slip
