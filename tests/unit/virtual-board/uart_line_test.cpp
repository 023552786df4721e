// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/uart_line.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/service_uart.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "tests/support/wire.h"

namespace sphere::virtual_board {
namespace {

using Clock = std::chrono::steady_clock;

bool wait_until(const std::function<bool()>& done) {
  const auto until = Clock::now() + std::chrono::seconds{20};
  while (!done()) {
    if (Clock::now() > until) {
      return false;
    }
    ::poll(nullptr, 0, 1);
  }
  return true;
}

struct Line {
  Descriptor far;
  std::unique_ptr<UartLine> line;
  Descriptor near;

  explicit Line(std::uint32_t baud, LineFaults faults = {}) {
    auto [ours, its] = test::socket_pair();
    far = std::move(ours);
    line = UartLine::start(std::move(its), baud, faults).value();
    near = line->take_near();
  }
  // What arrives of `sent` from far to near.
  std::string pass(const std::string& sent) {
    std::size_t written = 0;
    std::string arrived;
    bool ended = false;
    auto last = Clock::now();
    wait_until([&] {
      written += test::write_now(far, std::string_view{sent}.substr(written));
      const auto piece = test::read_now(near, &ended);
      last = piece.empty() ? last : Clock::now();
      arrived += piece;
      // All of it, or nothing more for as long as no machine stops a thread.
      return written == sent.size() && (arrived.size() == sent.size() ||
                                        Clock::now() - last > std::chrono::milliseconds{1000});
    });
    return arrived;
  }
};

TEST_CASE("a line passes bytes unchanged in both directions") {
  Line line{0};
  const std::string text(100'000, 'a');
  CHECK(line.pass(text) == text);
  test::write_now(line.near, "back");
  std::string back;
  CHECK(wait_until([&] { return (back += test::read_now(line.far)) == "back"; }));
}

TEST_CASE("a line is as slow as its baud rate") {
  Line line{115200};
  const std::string sent(5760, 'x');  // Half a second.
  const auto begin = Clock::now();
  std::size_t written = 0;
  std::string arrived;
  REQUIRE(wait_until([&] {
    written += test::write_now(line.far, std::string_view{sent}.substr(written));
    return (arrived += test::read_now(line.near)).size() == sent.size();
  }));
  // At most the slack too early; late is the machine's matter.
  CHECK(Clock::now() - begin >= std::chrono::milliseconds{480});
}

TEST_CASE("a line loses and damages about as many bytes as it should") {
  const std::string sent(200'000, 'x');
  Line dropping{0, {.drop = 10'000}};
  const std::string kept = dropping.pass(sent);
  CHECK(kept.size() < sent.size() - 1500);
  CHECK(kept.size() > sent.size() - 2500);

  Line flipping{0, {.flip = 10'000}};
  const std::string flipped = flipping.pass(sent);
  REQUIRE(flipped.size() == sent.size());
  const auto wrong = std::ranges::count_if(flipped, [](char byte) { return byte != 'x'; });
  CHECK(wrong > 1500);
  CHECK(wrong < 2500);
}

TEST_CASE("the end of one side is the end of the other") {
  Line line{0};
  line.far.reset();
  bool ended = false;
  CHECK(wait_until([&] {
    test::read_now(line.near, &ended);
    return ended;
  }));
}

TEST_CASE("faults of a line are read and refused") {
  const auto faults = parse_line_faults("drop=5,flip=7,seed=9");
  REQUIRE(faults);
  CHECK(faults->drop == 5);
  CHECK(faults->flip == 7);
  CHECK(faults->seed == 9);
  for (const char* const text :
       {"", "drop", "drop=", "drop=x", "drop=1000001", "loss=5", "drop=-1"}) {
    INFO(text);
    CHECK_FALSE(parse_line_faults(text));
  }
}

TEST_CASE("the place of the service UART is read and refused") {
  using Kind = ServiceUartPlan::Kind;
  CHECK(parse_service_uart("")->kind == Kind::socket);
  CHECK(parse_service_uart("pty")->kind == Kind::pty);
  CHECK(parse_service_uart("tcp:5000")->port == 5000);
  for (const char* const text : {"com1", "tcp:", "tcp:0", "tcp:70000", "tcp:5x", "pty:1"}) {
    INFO(text);
    CHECK_FALSE(parse_service_uart(text));
  }
}

}  // namespace
}  // namespace sphere::virtual_board
