// SPDX-License-Identifier: MIT
// Both ends of board_link.h against each other: sphered's client and the board's peripherals.
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/board_link_client.h"
#include "device-agent/applibs/src/broker_protocol.h"
#include "device-agent/virtual-board/board_clock.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/gpio_bank.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "device-agent/virtual-board/peripherals.h"
#include "device-agent/virtual-board/pins.h"
#include "sphere/core/clock.h"
#include "sphere/json/value.h"

using namespace std::chrono_literals;
namespace board = sphere::virtual_board;

namespace {

// The board's end runs in a thread of its own, as sphere-board is a process of its own.
class Link {
 public:
  Link() {
    auto pair = board::make_packet_pair();
    REQUIRE(pair);
    client.emplace(std::move(pair->first));
    thread_ = std::thread{
        [this, socket = std::move(pair->second)]() mutable { serve(std::move(socket)); }};
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  Link(Link&&) = delete;
  Link& operator=(Link&&) = delete;
  ~Link() {
    ended_ = true;
    thread_.join();
  }

  std::optional<sphere::agent::SocketBoardLink> client;

 private:
  void serve(sphere::Descriptor socket) {
    const sphere::SystemClock clock;
    const board::BoardClock board_clock{clock};
    auto loop = *board::EventLoop::create();
    board::Peripherals peripherals{loop,
                                   board_clock,
                                   {.board_id = "mt3620-rdb", .name = "desk"},
                                   board::GpioBank{*board::gpio_lines("mt3620-rdb")},
                                   "run-1"};
    const auto link = board::PacketSocket::open(
        loop, std::move(socket),
        [&](const board::Frame& frame) { return peripherals.serve(frame); }, [] {});
    while (!ended_) {
      static_cast<void>(loop.wait(2ms));
      peripherals.advance();
    }
  }

  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE_METHOD(Link, "the agent learns what board it runs on", "[virtual-board]") {
  const auto facts = client->info();
  REQUIRE(facts);
  CHECK(facts->board_id == "mt3620-rdb");
  CHECK(facts->name == "desk");
  CHECK(facts->pins.size() == 68);
}

TEST_CASE_METHOD(Link, "the agent opens pins and hears why not", "[virtual-board]") {
  const auto pin = client->open_pin({.pin = 8, .output = true, .component_id = "app"});
  CHECK(pin.status == 0);
  CHECK(pin.kind == SPHERE_KIND_GPIO);
  CHECK(pin.descriptor);
  CHECK(client->open_pin({.pin = 8, .component_id = "app"}).status == EBUSY);
  CHECK(client->open_pin({.pin = 24, .component_id = "app"}).status == ENODEV);
}

TEST_CASE_METHOD(Link, "the agent forwards requests, long answers included", "[virtual-board]") {
  const std::string component = "54acba7c-7719-461a-89db-49c807e0fa4d";
  std::vector<sphere::agent::PinAnswer> pins;
  const auto facts = client->info();
  REQUIRE(facts);
  for (const auto pin : facts->pins) {
    pins.push_back(
        client->open_pin({.pin = static_cast<std::int32_t>(pin), .component_id = component}));
  }

  const auto answer = client->forward("GET", "", "");

  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK_FALSE(answer->stream);
  const auto* const list = answer->body.find("peripherals");
  REQUIRE(list != nullptr);
  REQUIRE(list->items().size() == 68);
  CHECK(list->items()[67].string_at("usedBy") == component);
  CHECK(client->forward("PUT", "/gpio/99", R"({"level": 1})")->status == 404);
}

TEST_CASE_METHOD(Link, "the agent gets a stream to read from", "[virtual-board]") {
  const auto answer = client->forward("GET", "/gpio?follow=true", "");
  REQUIRE(answer);
  REQUIRE(answer->stream);
  std::array<char, 100> buffer = {};
  const ssize_t count = ::read(answer->stream.get(), buffer.data(), buffer.size());
  CHECK(std::string{buffer.data(), static_cast<std::size_t>(count)} == "{\"run\":\"run-1\"}\n");
}
