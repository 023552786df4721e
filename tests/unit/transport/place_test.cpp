// SPDX-License-Identifier: MIT
#include "sphere/transport/place.h"

#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {
namespace {

TEST_CASE("connection paths are what scripts expect") {
  struct Case {
    PlaceKind kind;
    std::string target;
    std::string path;
  };
  const auto test = GENERATE(values<Case>({{PlaceKind::usb, "1-2.4.3", "1243"},
                                           {PlaceKind::usb, "1-1", "11"},
                                           {PlaceKind::usb, "1-2.4.13", "1-2-4-13"},
                                           {PlaceKind::usb, "12-1", "12-1"},
                                           {PlaceKind::tty, "/dev/ttyUSB2", "tty-ttyUSB2"},
                                           {PlaceKind::tty, "/dev/pts/4", "tty-pts-4"},
                                           {PlaceKind::tty, "/run/x/y", "tty-run-x-y"},
                                           {PlaceKind::tcp, "localhost:5000", "tcp-localhost-5000"},
                                           {PlaceKind::tcp, "a-b.c:1", "tcp-a-b.c-1"}}));
  INFO(test.target);
  CHECK(connection_path({.kind = test.kind, .target = test.target}) == test.path);
}

TEST_CASE("a connection path names its place again") {
  const auto tcp = parse_connection_path("tcp-my-host-5000");
  REQUIRE(tcp);
  CHECK(tcp->kind == PlaceKind::tcp);
  CHECK(tcp->target == "my-host:5000");
  const auto tty = parse_connection_path("tty-ttyUSB9");
  REQUIRE(tty);
  CHECK(tty->target == "/dev/ttyUSB9");
  // A folder below /dev that every Linux has.
  CHECK(parse_connection_path("tty-pts-ptmx")->target == "/dev/pts/ptmx");
}

TEST_CASE("other texts name no place") {
  const auto text = GENERATE(values<std::string>(
      {"", "1243", "vb-demo", "tcp-", "tcp-host", "tcp-host-", "tcp-host-0", "tcp-host-65536",
       "tcp-host-5x", "tcp--5", "tty-", "tty-../x", "192.168.35.2"}));
  INFO(text);
  CHECK_FALSE(parse_connection_path(text));
}

TEST_CASE("a TCP target needs host and port") {
  CHECK(parse_tcp_target("localhost:5000"));
  CHECK(parse_tcp_target("[::1]:5000"));
  for (const char* const text : {"localhost", ":5000", "localhost:", "localhost:0", "x:99999"}) {
    INFO(text);
    const auto place = parse_tcp_target(text);
    REQUIRE_FALSE(place);
    CHECK(place.error().hint().reason == "usage.bad-value");
  }
}

TEST_CASE("what is not there is named with what to do") {
  const auto tty = open({.kind = PlaceKind::tty, .target = "/dev/tty-that-is-not-there"});
  REQUIRE_FALSE(tty);
  CHECK(tty.error().hint().reason == "link.no-board");
  CHECK(tty.error().message().find("/dev/tty-that-is-not-there") != std::string::npos);
  CHECK_FALSE(tty.error().hint().next.empty());

  const auto usb = open({.kind = PlaceKind::usb, .target = "250-7"});
  REQUIRE_FALSE(usb);
  CHECK(usb.error().hint().reason == "link.no-board");

  const auto file = open({.kind = PlaceKind::tty, .target = "/dev/null"});
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == Errc::invalid_argument);
}

TEST_CASE("the udev rule names the board, not every FT4232H") {
  const std::string rules{udev_rules()};
  CHECK(rules.find("0403") != std::string::npos);
  CHECK(rules.find("6011") != std::string::npos);
  CHECK(rules.find(kBoardProductText) != std::string::npos);
  CHECK(rules.find("uaccess") != std::string::npos);
}

}  // namespace
}  // namespace sphere::transport
