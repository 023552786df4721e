// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <netinet/in.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"
#include "tests/support/pty.h"

namespace sphere::transport {
namespace {

using namespace std::chrono_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string read_text(ByteStream& stream, std::chrono::milliseconds limit = 20s) {
  std::array<std::byte, 256> bytes = {};
  const auto count = read_some(stream, bytes, limit);
  const void* const data = bytes.data();
  return count ? std::string{static_cast<const char*>(data), *count} : "error";
}

TEST_CASE("a pipe carries bytes both ways, and tells its end") {
  auto [near, far] = make_pipe().value();
  CHECK(near->serial() == nullptr);
  REQUIRE(write_all(*near, bytes_of("there"), 20s));
  CHECK(read_text(*far) == "there");
  REQUIRE(write_all(*far, bytes_of("back"), 20s));
  CHECK(read_text(*near) == "back");

  far.reset();
  std::array<std::byte, 4> bytes = {};
  const auto ended = read_some(*near, bytes, 20s);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code() == Errc::unavailable);
  CHECK(ended.error().hint().reason == "link.unplugged");
}

TEST_CASE("reading and writing have a limit") {
  auto [near, far] = make_pipe().value();
  std::array<std::byte, 4> bytes = {};
  const auto nothing = read_some(*near, bytes, 20ms);
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code() == Errc::timeout);

  const std::string much(std::size_t{8} << 20U, 'x');
  const auto full = write_all(*near, bytes_of(much), 20ms);
  REQUIRE_FALSE(full);
  CHECK(full.error().code() == Errc::timeout);
}

TEST_CASE("a pty is a serial device without control lines") {
  const test::Pty pty;
  auto stream = open_tty(pty.slave, kServiceLine).value();
  std::array<std::byte, 4> none = {};
  CHECK(stream->read(none) == std::size_t{0});  // Nothing yet is no end.
  REQUIRE(write_all(*stream, bytes_of("\xC0\x01\x0D\x0A\xC0"), 20s));
  std::array<char, 16> at_board = {};
  CHECK(::read(pty.master.get(), at_board.data(), at_board.size()) == 5);
  CHECK(std::string_view{at_board.data(), 5} == "\xC0\x01\x0D\x0A\xC0");
  CHECK(::write(pty.master.get(), "\x03\x11\x13\x7F", 4) == 4);
  CHECK(read_text(*stream) == "\x03\x11\x13\x7F");  // Nothing is cooked.

  REQUIRE(stream->serial() != nullptr);
  CHECK(stream->serial()->configure({.baud = 3000000, .flow = FlowControl::none}));
  const auto lines = stream->serial()->set_lines(true, false);
  REQUIRE_FALSE(lines);
  CHECK(lines.error().code() == Errc::unsupported);
  const auto parity = stream->serial()->configure({.parity = Parity::even});
  REQUIRE_FALSE(parity);
  CHECK(parity.error().code() == Errc::unsupported);
}

TEST_CASE("a serial device has one user at a time") {
  const test::Pty pty;
  const auto first = open_tty(pty.slave, kServiceLine).value();
  const auto second = open_tty(pty.slave, kServiceLine);
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::busy);
  CHECK(second.error().hint().reason == "link.busy");
}

TEST_CASE("a pty whose other end is gone is an unplugged board") {
  auto pty = std::make_unique<test::Pty>();
  const auto stream = open_tty(pty->slave, kServiceLine).value();
  pty.reset();
  std::array<std::byte, 4> bytes = {};
  const auto ended = read_some(*stream, bytes, 20s);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().hint().reason == "link.unplugged");
}

TEST_CASE("a TCP link is opened where somebody listens") {
  const auto listener = listen_at_loopback(0).value();
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const std::string target = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));

  auto stream = open_tcp(target).value();
  const Descriptor accepted{::accept(listener.get(), nullptr, nullptr)};
  REQUIRE(write_all(*stream, bytes_of("x"), 20s));
  char byte = 0;
  CHECK(::read(accepted.get(), &byte, 1) == 1);
  CHECK(byte == 'x');

  const auto taken = listen_at_loopback(ntohs(address.sin_port));
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code() == Errc::busy);
}

TEST_CASE("a TCP port where nobody listens has no board") {
  std::uint16_t port = 0;
  {
    const auto listener = listen_at_loopback(0).value();
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  const auto stream = open_tcp("127.0.0.1:" + std::to_string(port));
  REQUIRE_FALSE(stream);
  CHECK(stream.error().code() == Errc::unavailable);
  CHECK(stream.error().hint().reason == "link.no-board");
}

}  // namespace
}  // namespace sphere::transport
