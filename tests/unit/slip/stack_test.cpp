// SPDX-License-Identifier: MIT
#include "sphere/slip/stack.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/slip/packet.h"
#include "tests/support/wire.h"

namespace sphere::slip {
namespace {

using test::read_now;
using test::socket_pair;
using test::Wire;
using test::write_now;

// A connection over a wire, seen from both ends.
struct Bridged {
  Descriptor host;
  Descriptor board;
};

Bridged connect(Wire& wire) {
  Bridged ends;
  auto [board, board_far] = socket_pair();
  ends.board = std::move(board);
  auto target = std::make_shared<Descriptor>(std::move(board_far));
  REQUIRE(wire.board().listen(443, [target] { return std::move(*target); }));
  auto [host, host_far] = socket_pair();
  ends.host = std::move(host);
  wire.host().connect(443, std::move(host_far));
  return ends;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  unsigned state = 1;
  for (char& byte : text) {
    state = state * 1103515245U + 12345U;
    byte = static_cast<char>(state >> 16U);
  }
  return text;
}

TEST_CASE("a process has one network stack at a time") {
  {
    const auto first = Stack::create();
    REQUIRE(first);
    const auto second = Stack::create();
    REQUIRE_FALSE(second);
    CHECK(second.error().code() == Errc::busy);
  }
  CHECK(Stack::create());
}

TEST_CASE("bytes pass both ways, and each end is passed on") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  const Bridged ends = connect(wire);
  write_now(ends.host, "question");

  std::string at_board;
  REQUIRE(wire.run([&] { return (at_board += read_now(ends.board)) == "question"; }));
  CHECK(wire.host().counters().last == Attempt::connected);
  ::shutdown(ends.host.get(), SHUT_WR);
  bool ended = false;
  REQUIRE(wire.run([&] { return read_now(ends.board, &ended).empty() && ended; }));
  write_now(ends.board, "answer after the end");
  ::shutdown(ends.board.get(), SHUT_WR);
  std::string at_host;
  ended = false;
  REQUIRE(wire.run([&] {
    at_host += read_now(ends.host, &ended);
    return ended;
  }));
  CHECK(at_host == "answer after the end");
  CHECK(wire.run(
      [&] { return wire.host().counters().open == 0 && wire.board().counters().open == 0; }));
  CHECK(wire.host().counters().lost == 0);
}

TEST_CASE("a large transfer arrives whole over a wire with little room") {
  const auto stack = Stack::create().value();
  const std::size_t room = GENERATE(2, 6, 1000);
  Wire wire{*stack, room};
  const Bridged ends = connect(wire);
  const std::string sent = pattern(std::size_t{3} << 20U);
  std::size_t written = 0;
  std::string at_board;
  std::string at_host;
  std::size_t returned = 0;

  // Both directions at once.
  REQUIRE(wire.run([&] {
    written += write_now(ends.host, std::string_view{sent}.substr(written));
    returned += write_now(ends.board, std::string_view{sent}.substr(returned));
    at_board += read_now(ends.board);
    at_host += read_now(ends.host);
    return at_board.size() >= sent.size() && at_host.size() >= sent.size();
  }));
  CHECK(at_board == sent);
  CHECK(at_host == sent);
}

TEST_CASE("a reader that does not read stops the writer, not the memory") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  const Bridged ends = connect(wire);
  const std::string piece(65536, 'x');
  std::size_t written = 0;
  static_cast<void>(wire.run(
      [&] {
        written += write_now(ends.host, piece);
        return false;
      },
      std::chrono::milliseconds{300}));
  constexpr std::size_t kBuffers = std::size_t{2} << 20U;  // Of two sockets and two windows.
  CHECK(written < kBuffers);

  std::string read;
  REQUIRE(wire.run([&] {
    read += read_now(ends.board);
    return read.size() == written;
  }));
}

TEST_CASE("a closed port is refused, and the socket closed") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  auto [host, far] = socket_pair();
  wire.host().connect(2345, std::move(far));

  bool ended = false;
  REQUIRE(wire.run([&, &end = host] {
    read_now(end, &ended);
    return ended;
  }));
  CHECK(wire.host().counters().last == Attempt::refused);
  CHECK(wire.host().counters().refused == 1);
}

TEST_CASE("a target without a socket resets the connection") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  REQUIRE(wire.board().listen(443, [] { return Descriptor{}; }));
  auto [host, far] = socket_pair();
  wire.host().connect(443, std::move(far));

  bool ended = false;
  REQUIRE(wire.run([&, &end = host] {
    read_now(end, &ended);
    return ended;
  }));
  CHECK(wire.host().counters().open == 0);
}

TEST_CASE("a wire without an answer is told apart from a refusal") {
  const auto stack = Stack::create().value();
  Wire wire{*stack, 1000, std::chrono::milliseconds{100}};
  wire.cut = true;
  auto [host, far] = socket_pair();
  wire.host().connect(443, std::move(far));

  bool ended = false;
  REQUIRE(wire.run([&, &end = host] {
    read_now(end, &ended);
    return ended;
  }));
  CHECK(wire.host().counters().last == Attempt::silent);
  CHECK(wire.host().counters().silent == 1);
}

TEST_CASE("two boards with the same address are used at the same time") {
  const auto stack = Stack::create().value();
  Wire first{*stack};
  Wire second{*stack, 1000, std::chrono::seconds{5}, kBoardAddress + 1};
  const Bridged one = connect(first);
  const Bridged two = connect(second);
  write_now(one.host, "for one");
  write_now(two.host, "for two");

  std::string at_one;
  std::string at_two;
  REQUIRE(first.run([&] { return (at_one += read_now(one.board)).size() == 7; }));
  REQUIRE(second.run([&] { return (at_two += read_now(two.board)).size() == 7; }));
  CHECK(at_one == "for one");
  CHECK(at_two == "for two");
}

TEST_CASE("the end of one board leaves the connections of another") {
  const auto stack = Stack::create().value();
  Wire stays{*stack};
  const Bridged ends = connect(stays);
  {
    Wire goes{*stack, 1000, std::chrono::seconds{5}, kBoardAddress + 1};
    const Bridged lost = connect(goes);
    write_now(lost.host, "x");
    REQUIRE(goes.run([&] { return read_now(lost.board) == "x"; }));
  }
  write_now(ends.host, "still here");

  std::string at_board;
  CHECK(stays.run([&] { return (at_board += read_now(ends.board)) == "still here"; }));
}

TEST_CASE("when the wire is gone all sockets close at once") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  const Bridged ends = connect(wire);
  write_now(ends.host, "x");
  REQUIRE(wire.run([&] { return read_now(ends.board) == "x"; }));

  wire.host().abort_all();
  bool ended = false;
  read_now(ends.host, &ended);
  CHECK(ended);
}

TEST_CASE("a small question and its answer do not wait for a timer") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  const Bridged ends = connect(wire);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    write_now(ends.host, "q");
    REQUIRE(wire.run([&] { return !read_now(ends.board).empty(); }));
    write_now(ends.board, "a");
    REQUIRE(wire.run([&] { return !read_now(ends.host).empty(); }));
  }
  // With lwIP's delay of up to 250 ms it would be some 5 s.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{3});
}

TEST_CASE("a port listens once") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  REQUIRE(wire.board().listen(443, [] { return Descriptor{}; }));
  const auto again = wire.board().listen(443, [] { return Descriptor{}; });
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == Errc::busy);
}

TEST_CASE("connections over the limit are closed") {
  const auto stack = Stack::create().value();
  Wire wire{*stack};
  wire.cut = true;
  std::vector<Descriptor> kept;
  for (std::size_t i = 0; i < Interface::kMaxConnections; ++i) {
    auto [host, far] = socket_pair();
    wire.host().connect(443, std::move(far));
    kept.push_back(std::move(host));
  }
  auto [host, far] = socket_pair();
  wire.host().connect(443, std::move(far));

  bool ended = false;
  read_now(host, &ended);
  CHECK(ended);
  CHECK(wire.host().counters().open == Interface::kMaxConnections);
}

}  // namespace
}  // namespace sphere::slip
