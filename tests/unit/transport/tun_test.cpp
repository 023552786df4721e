// SPDX-License-Identifier: MIT
#include "sphere/transport/tun.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/slip/packet.h"
#include "tests/support/bytes.h"

namespace sphere::transport {
namespace {

using Bytes = std::vector<std::byte>;
constexpr slip::Address kSecond = 0xC0A82303;

void put_word(Bytes& bytes, std::size_t at, std::uint32_t word) {
  bytes.at(at) = static_cast<std::byte>(word >> 8U & 0xFFU);
  bytes.at(at + 1) = static_cast<std::byte>(word & 0xFFU);
}

// With 20 bytes of TCP, or the first 8 of another protocol.
Bytes packet(std::uint8_t protocol, slip::Address from, slip::Address to, std::uint16_t source,
             std::uint16_t destination, std::uint8_t flags) {
  Bytes bytes(protocol == slip::kTcp ? 40 : 28);
  bytes[0] = std::byte{0x45};
  put_word(bytes, 2, static_cast<std::uint32_t>(bytes.size()));
  bytes[8] = std::byte{64};
  bytes[9] = std::byte{protocol};
  put_word(bytes, 12, from >> 16U);
  put_word(bytes, 14, from & 0xFFFFU);
  put_word(bytes, 16, to >> 16U);
  put_word(bytes, 18, to & 0xFFFFU);
  put_word(bytes, 10, slip::internet_check_sum(std::span{bytes}.first(20)));
  put_word(bytes, 20, source);
  put_word(bytes, 22, destination);
  if (protocol == slip::kTcp) {
    bytes[27] = std::byte{9};
    bytes[32] = std::byte{0x50};
    bytes[33] = std::byte{flags};
  }
  return bytes;
}

constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kSynAck = 0x12;

TEST_CASE("only what this PC began comes in") {
  FlowTable flows;
  const Bytes answer = packet(slip::kTcp, kSecond, slip::kHostAddress, 443, 40000, kSynAck);
  CHECK_FALSE(flows.admits(answer));
  flows.note_outgoing(packet(slip::kTcp, slip::kHostAddress, kSecond, 40000, 443, kSyn));
  CHECK(flows.admits(answer));

  CHECK_FALSE(flows.admits(packet(slip::kTcp, slip::kBoardAddress, slip::kHostAddress, 443, 40000,
                                  kSynAck)));  // Another board.
  CHECK_FALSE(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 443, 40001, kSynAck)));
  CHECK_FALSE(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 444, 40000, kSynAck)));
  CHECK_FALSE(flows.admits(packet(slip::kUdp, kSecond, slip::kHostAddress, 443, 40000, 0)));
}

TEST_CASE("a board's own connection request is dropped, also on the ports of a conversation") {
  FlowTable flows;
  flows.note_outgoing(packet(slip::kTcp, slip::kHostAddress, kSecond, 40000, 443, kSyn));
  CHECK_FALSE(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 443, 40000, kSyn)));
}

TEST_CASE("ports that the configuration opens take what boards begin") {
  const FlowTable flows{{8080}};
  CHECK(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 50000, 8080, kSyn)));
  CHECK_FALSE(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 50000, 8081, kSyn)));
  CHECK_FALSE(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 8080, 50000, kSyn)));
}

TEST_CASE("answers to UDP and to pings come in") {
  FlowTable flows;
  flows.note_outgoing(packet(slip::kUdp, slip::kHostAddress, kSecond, 1000, 12345, 0));
  CHECK(flows.admits(packet(slip::kUdp, kSecond, slip::kHostAddress, 12345, 1000, 0)));

  Bytes ping = packet(slip::kIcmp, slip::kHostAddress, kSecond, 0x0800, 0, 0);
  put_word(ping, 24, 77);
  flows.note_outgoing(ping);
  Bytes pong = packet(slip::kIcmp, kSecond, slip::kHostAddress, 0, 0, 0);
  put_word(pong, 24, 77);
  CHECK(flows.admits(pong));
  put_word(pong, 24, 78);
  CHECK_FALSE(flows.admits(pong));
}

TEST_CASE("old conversations make room for new ones") {
  FlowTable flows;
  for (unsigned i = 0; i < FlowTable::kLimit + 1; ++i) {
    flows.note_outgoing(packet(slip::kTcp, slip::kHostAddress, kSecond,
                               static_cast<std::uint16_t>(20000 + i), 443, kSyn));
  }
  CHECK_FALSE(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 443, 20000, kSynAck)));
  CHECK(flows.admits(packet(slip::kTcp, kSecond, slip::kHostAddress, 443, 20001, kSynAck)));
}

TEST_CASE("a connection request to no board is reset") {
  const auto answer = refuse(packet(slip::kTcp, slip::kHostAddress, kSecond, 40000, 443, kSyn));
  REQUIRE(answer.size() == 40);
  CHECK_FALSE(slip::check_packet(answer, {.source = kSecond, .destination = slip::kHostAddress}));
  CHECK(std::to_integer<unsigned>(answer[33]) == 0x14);
  CHECK(Bytes(answer.begin() + 20, answer.begin() + 24) == test::from_hex("01 BB 9C 40"));
  CHECK(Bytes(answer.begin() + 28, answer.begin() + 32) == test::from_hex("00 00 00 0A"));
  Bytes summed(answer.begin() + 12, answer.end());
  const Bytes rest = test::from_hex("00 06 00 14");
  summed.insert(summed.end(), rest.begin(), rest.end());
  CHECK(slip::internet_check_sum(summed) == 0);

  CHECK(refuse(packet(slip::kTcp, slip::kHostAddress, kSecond, 40000, 443, kSynAck)).empty());
  CHECK(refuse(packet(slip::kUdp, slip::kHostAddress, kSecond, 40000, 443, 0)).empty());
}

TEST_CASE("an interface needs a name that interfaces can have") {
  for (const std::string name : {"", "a/b", "much-too-long-name"}) {
    INFO(name);
    const auto tun = make_tun(name);
    REQUIRE_FALSE(tun);
    CHECK(tun.error().code() == Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace sphere::transport
