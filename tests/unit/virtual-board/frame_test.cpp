// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/frame.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/encoding.h"
#include "sphere/core/writer.h"

using namespace sphere::virtual_board;

namespace {

struct Header {
  std::uint16_t version = 1;
  std::uint16_t verb = 0x0801;
  std::uint32_t id = 7;
  std::uint32_t status = 0;
  std::uint32_t length = 0;
};

std::vector<std::byte> packet(const Header& header, std::size_t payload) {
  sphere::Writer writer;
  writer.little_endian(header.version)
      .little_endian(header.verb)
      .little_endian(header.id)
      .little_endian(header.status)
      .little_endian(header.length)
      .zeros(payload);
  return std::move(writer).take();
}

}  // namespace

TEST_CASE("parse_request reads a frame", "[virtual-board]") {
  const auto bytes = packet({.length = 3}, 3);
  const auto frame = parse_request(bytes);
  CHECK(frame.valid);
  CHECK(frame.verb == 0x0801);
  CHECK(frame.id == 7);
  CHECK(frame.payload.size() == 3);
  CHECK(parse_request(packet({.length = SPHERE_PAYLOAD_MAX}, SPHERE_PAYLOAD_MAX)).valid);
}

TEST_CASE("parse_request refuses what is no frame", "[virtual-board]") {
  struct Case {
    std::string name;
    Header header;
    std::size_t payload;
  };
  const auto test = GENERATE(values<Case>({
      {"other version", {.version = 2}, 0},
      {"status in a request", {.status = 1}, 0},
      {"payload too short", {.length = 2}, 1},
      {"payload too long", {.length = 2}, 3},
      {"huge length", {.length = 0xFFFFFFFF}, 4},
      {"too long for a frame", {.length = SPHERE_PAYLOAD_MAX + 1}, SPHERE_PAYLOAD_MAX + 1},
  }));
  INFO(test.name);
  const auto bytes = packet(test.header, test.payload);

  const auto frame = parse_request(bytes);

  CHECK_FALSE(frame.valid);
  CHECK(frame.id == 7);
  CHECK(frame.verb == 0x0801);
}

TEST_CASE("parse_request refuses a frame cut anywhere", "[virtual-board]") {
  auto bytes = packet({.length = 4}, 4);
  while (!bytes.empty()) {
    bytes.pop_back();
    CHECK_FALSE(parse_request(bytes).valid);
  }
}

TEST_CASE("a reply repeats verb and id", "[virtual-board]") {
  const std::vector<std::byte> payload = {std::byte{0xAB}};
  const auto reply = encode_reply({.verb = 0x1002, .id = 0x01020304}, 16, payload);
  CHECK(sphere::to_hex(reply) == "01000210040302011000000001000000ab");
}
