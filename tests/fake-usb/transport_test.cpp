// SPDX-License-Identifier: MIT
// The libusb side of the transports against a model of the FT4232H, through umockdev.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <poll.h>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/ft4232h.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"
#include "tests/support/usb-skin/fake_usb.h"
#include "tests/support/wire.h"

namespace sphere::transport {
namespace {

using namespace std::chrono_literals;
using test::FakeUsb;
using virtual_board::ControlLines;
using virtual_board::Ft4232h;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

TEST_CASE("a board is found by its product text, without being opened") {
  const FakeUsb usb;
  const auto devices = list_usb().value();
  REQUIRE(devices.size() == 1);
  CHECK(devices.front().location == "1-1");
  CHECK(devices.front().product == kBoardProductText);
  CHECK(devices.front().serial == "AS000001");
  CHECK(devices.front().is_board);
  CHECK(devices.front().access == UsbAccess::allowed);
  CHECK(connection_path({.kind = PlaceKind::usb, .target = devices.front().location}) == "11");
}

TEST_CASE("an FT4232H of somebody else is seen, and is no board") {
  const FakeUsb usb{"Quad RS232-HS"};
  const auto devices = list_usb().value();
  REQUIRE(devices.size() == 1);
  CHECK_FALSE(devices.front().is_board);
}

TEST_CASE("opening the service port sets the chip up for SLIP") {
  FakeUsb usb;
  const auto stream = open({.kind = PlaceKind::usb, .target = "1-1"}).value();
  const auto port = usb.with_chip([](const Ft4232h& chip) { return chip.port(2); });
  CHECK(port.divisor == 0x2000D);
  CHECK(port.line == 0x0008);
  CHECK(port.flow == 1);
  CHECK(port.event == 0x01C0);
  CHECK(port.latency == 1);
  CHECK(port.dtr);
  CHECK(port.rts);
  REQUIRE(stream->serial() != nullptr);
  CHECK(stream->serial()->configure({.baud = 115200, .flow = FlowControl::none}));
  CHECK(stream->serial()->set_lines(false, true));
  const auto changed = usb.with_chip([](const Ft4232h& chip) { return chip.port(2); });
  CHECK(changed.divisor == 0x2C068);
  CHECK(changed.flow == 0);
  CHECK_FALSE(changed.dtr);
}

TEST_CASE("bytes pass both ways through packets with status bytes") {
  FakeUsb usb;
  auto [board, far] = test::socket_pair();
  usb.connect_service(std::move(far));
  const auto stream = open({.kind = PlaceKind::usb, .target = "1-1"}).value();
  std::mt19937 random{1};
  std::string sent(20'000, '\0');
  for (char& byte : sent) {
    byte = static_cast<char>(random());
  }
  std::string at_board;
  std::string at_host;
  std::size_t written = 0;
  std::size_t returned = 0;
  const auto until = std::chrono::steady_clock::now() + 20s;
  while ((at_board.size() < sent.size() || at_host.size() < sent.size()) &&
         std::chrono::steady_clock::now() < until) {
    written += stream->write(bytes_of(std::string_view{sent}.substr(written))).value();
    returned += test::write_now(board, std::string_view{sent}.substr(returned));
    at_board += test::read_now(board);
    std::array<std::byte, 4096> piece = {};
    const auto count = stream->read(piece).value();
    const void* const data = piece.data();
    at_host.append(static_cast<const char*>(data), count);
    ::poll(nullptr, 0, 1);
  }
  CHECK(at_board == sent);
  CHECK(at_host == sent);
  const auto status = stream->serial()->status();
  REQUIRE(status);
  CHECK(status->cts);
}

TEST_CASE("an unplugged board ends reading with its port's name") {
  FakeUsb usb;
  const auto stream = open({.kind = PlaceKind::usb, .target = "1-1"}).value();
  usb.unplug();
  std::array<std::byte, 16> piece = {};
  const auto read = read_some(*stream, piece, 2s);
  REQUIRE_FALSE(read);
  CHECK(read.error().hint().reason == "link.unplugged");
  CHECK(read.error().message().find("11") != std::string::npos);
  CHECK_FALSE(stream->serial()->set_lines(true, true));
}

TEST_CASE("a port is opened and closed again and again") {
  FakeUsb usb;
  for (int i = 0; i < 10; ++i) {
    CHECK(open({.kind = PlaceKind::usb, .target = "1-1"}));
  }
}

TEST_CASE("the recovery strap is high at the end of the reset, and then let go") {
  FakeUsb usb;
  REQUIRE(run_lines("1-1", recovery_lines()));
  CHECK(usb.with_chip([](const Ft4232h& chip) { return chip.lines(); }) ==
        std::vector<ControlLines>{{},
                                  {.reset = false, .recovery = true, .led = false},
                                  {.reset = true, .recovery = true, .led = false},
                                  {.reset = false, .recovery = true, .led = false},
                                  {}});
  CHECK(usb.with_chip([](const Ft4232h& chip) { return chip.port(3).outputs; }) == 0);
}

TEST_CASE("a plain reset leaves the strap alone") {
  FakeUsb usb;
  REQUIRE(run_lines("1-1", reset_lines()));
  CHECK(usb.with_chip([](const Ft4232h& chip) { return chip.lines(); }) ==
        std::vector<ControlLines>{{}, {.reset = true, .recovery = false, .led = false}, {}});
}

TEST_CASE("a place without a device has no board") {
  const FakeUsb usb;
  const auto stream = open({.kind = PlaceKind::usb, .target = "1-2"});
  REQUIRE_FALSE(stream);
  CHECK(stream.error().hint().reason == "link.no-board");
}

}  // namespace
}  // namespace sphere::transport
