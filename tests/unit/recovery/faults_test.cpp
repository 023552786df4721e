// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/faults.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace sphere::virtual_board {
namespace {

using test::from_hex;

WireFaults faults(const std::string& text) { return {std::vector{parse_fault(text).value()}, 1}; }

TEST_CASE("parse_fault reads kind, value and place") {
  const auto fault = parse_fault("unplug=500@out:byte=9000").value();

  CHECK(fault.kind == "unplug");
  CHECK(fault.number() == 500);
  CHECK(fault.where == Fault::Where::byte);
  CHECK(fault.side == WireSide::out);
  CHECK(fault.at == 9000);
  CHECK(parse_fault("slow-erase=40000").value().where == Fault::Where::always);
  CHECK(parse_fault("power-cut@step=erase").value().step == "erase");
}

TEST_CASE("parse_fault refuses what could never happen") {
  for (const char* text :
       {"", "@byte=1", "drop", "drop@byte=", "drop@byte=x", "drop@nowhere=1", "flip@byte=1",
        "flip=8@byte=1", "delay=soon@byte=1", "stray=C@byte=1", "storm=00,9999999@byte=1",
        "storm=00@byte=1", "drop@step=erase", "drop@step=", "unplug=x@byte=1"}) {
    INFO(text);
    const auto fault = parse_fault(text);
    REQUIRE_FALSE(fault);
    CHECK(fault.error().code() == Errc::invalid_argument);
    CHECK(fault.error().hint().reason == "usage.bad-value");
  }
}

TEST_CASE("a fault on the wire hits its byte, its direction and no other") {
  auto drop = faults("drop@in:byte=4");

  CHECK(drop.pass(WireSide::out, from_hex("01 02 03 04 05 06")).bytes.size() == 6);
  CHECK(drop.pass(WireSide::in, from_hex("01 02 03")).bytes == from_hex("01 02 03"));
  CHECK(drop.pass(WireSide::in, from_hex("04 05 06")).bytes == from_hex("04 06"));
  CHECK(drop.pass(WireSide::in, from_hex("04 05 06")).bytes == from_hex("04 05 06"));
}

TEST_CASE("each kind of wire fault does what it says") {
  const auto piece = from_hex("01 02 03");
  const auto pass = [&](const std::string& text) {
    auto spoilt = faults(text);
    return spoilt.pass(WireSide::in, piece);
  };

  CHECK(pass("drop@frame=0").bytes.empty());
  CHECK(pass("dup@frame=0").bytes == from_hex("01 02 03 01 02 03"));
  CHECK(pass("dup@byte=1").bytes == from_hex("01 02 02 03"));
  CHECK(pass("flip=7@byte=2").bytes == from_hex("01 02 83"));
  CHECK(pass("stray=43@byte=0").bytes == from_hex("43 01 02 03"));
  CHECK(pass("storm=00,2@byte=1").bytes == from_hex("01 00 00 02 03"));
  CHECK(pass("delay=20@byte=1").delay == std::chrono::milliseconds{20});
  CHECK(pass("unplug=20@byte=1").bytes == from_hex("01"));
  CHECK(pass("unplug=20@byte=1").back_after == std::chrono::milliseconds{20});
  CHECK(pass("unplug@byte=1").unplug);
  CHECK_FALSE(pass("unplug@byte=1").back_after.has_value());
}

TEST_CASE("a stalled direction passes nothing any more") {
  auto stall = faults("stall@out:byte=1");

  CHECK(stall.pass(WireSide::out, from_hex("01 02")).bytes == from_hex("01"));
  CHECK(stall.pass(WireSide::out, from_hex("01 02")).bytes.empty());
  CHECK(stall.pass(WireSide::in, from_hex("01 02")).bytes.size() == 2);
}

TEST_CASE("a rate hits about as often as it says, the same for one seed") {
  auto first = faults("drop@in:rate=100000");
  auto second = faults("drop@in:rate=100000");
  std::size_t lost = 0;
  for (int i = 0; i < 10000; ++i) {
    const auto passed = first.pass(WireSide::in, from_hex("55")).bytes;
    CHECK(second.pass(WireSide::in, from_hex("55")).bytes == passed);
    lost += 1 - passed.size();
  }

  CHECK(lost > 850);
  CHECK(lost < 1150);
}

}  // namespace
}  // namespace sphere::virtual_board
