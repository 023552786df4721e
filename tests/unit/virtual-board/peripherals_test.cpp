// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/peripherals.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/applibs/src/broker_protocol.h"
#include "device-agent/virtual-board/board_link.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "device-agent/virtual-board/pins.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/json/value.h"

using namespace sphere::virtual_board;
using namespace std::chrono_literals;
using sphere::Descriptor;
using sphere::board_link::Verb;

namespace {

const std::string kApp = "54acba7c-7719-461a-89db-49c807e0fa4d";

struct Answer {
  std::int32_t status = -1;
  std::vector<std::byte> payload;
  Descriptor descriptor;

  [[nodiscard]] std::string text() const {
    std::string result;
    for (const auto byte : payload) {
      result.push_back(static_cast<char>(byte));
    }
    return result;
  }
};

// A board's peripherals with a link to them, all in this thread.
class Board {
 public:
  Board() {
    auto pair = make_packet_pair();
    REQUIRE(pair);
    agent_ = std::move(pair->first);
    auto link = PacketSocket::open(
        loop_, std::move(pair->second),
        [this](const Frame& frame) { return peripherals_.serve(frame); },
        [this] {
          link_.reset();
          link_ended_ = true;
        });
    REQUIRE(link);
    link_.emplace(*std::move(link));
  }

  // One request over `socket` and its answer; nothing when the socket was closed instead.
  std::optional<Answer> ask(int socket, std::uint16_t verb, std::span<const std::byte> payload) {
    sphere::Writer writer;
    writer.little_endian<std::uint16_t>(SPHERE_BROKER_VERSION)
        .little_endian(verb)
        .little_endian(++id_)
        .little_endian<std::uint32_t>(0)
        .little_endian(static_cast<std::uint32_t>(payload.size()))
        .bytes(payload);
    return exchange(socket, writer.data());
  }

  std::optional<Answer> exchange(int socket, std::span<const std::byte> packet) {
    if (::send(socket, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
      return std::nullopt;
    }
    turn();
    return receive(socket);
  }

  Answer ask_link(Verb verb, std::string_view text) {
    auto answer =
        ask(agent_.get(), static_cast<std::uint16_t>(verb), std::as_bytes(std::span{text}));
    REQUIRE(answer);
    return *std::move(answer);
  }

  Answer open_gpio(int pin, int direction, int value = 0) {
    sphere::Writer writer;
    writer.little_endian(static_cast<std::uint32_t>(pin))
        .little_endian(static_cast<std::uint8_t>(direction))
        .little_endian<std::uint8_t>(0)
        .little_endian(static_cast<std::uint8_t>(value))
        .text(kApp);
    auto answer = ask(agent_.get(), static_cast<std::uint16_t>(Verb::open_gpio), writer.data());
    REQUIRE(answer);
    return *std::move(answer);
  }

  Answer request(std::string_view method, std::string_view path, std::string_view body = "") {
    sphere::json::Value value;
    value.set("method", method).set("path", path).set("body", body);
    return ask_link(Verb::virtual_request, sphere::json::to_compact(value));
  }

  void turn() {
    REQUIRE(loop_.wait(0ms));
    peripherals_.advance();
  }

  [[nodiscard]] int agent() const { return agent_.get(); }
  [[nodiscard]] bool link_ended() const { return link_ended_; }
  [[nodiscard]] Peripherals& peripherals() { return peripherals_; }

 private:
  static std::optional<Answer> receive(int socket) {
    std::array<std::byte, 8192> buffer = {};
    iovec part = {.iov_base = buffer.data(), .iov_len = buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(socket, &message, MSG_DONTWAIT);
    if (size < SPHERE_FRAME_HEADER) {
      return std::nullopt;
    }
    Answer answer;
    sphere::Reader reader{std::span{buffer}.first(static_cast<std::size_t>(size))};
    REQUIRE(reader.bytes(8));
    answer.status = static_cast<std::int32_t>(*reader.little_endian<std::uint32_t>());
    const auto length = *reader.little_endian<std::uint32_t>();
    REQUIRE(length == reader.left());
    const auto payload = *reader.bytes(length);
    answer.payload.assign(payload.begin(), payload.end());
    if (const auto* const header = CMSG_FIRSTHDR(&message); header != nullptr) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
      answer.descriptor.reset(descriptor);
    }
    return answer;
  }

  sphere::SystemClock clock_;
  BoardClock board_clock_{clock_};
  EventLoop loop_ = *EventLoop::create();
  Peripherals peripherals_{loop_,
                           board_clock_,
                           {.board_id = "mt3620-rdb", .name = "desk"},
                           GpioBank{*gpio_lines("mt3620-rdb")},
                           "run-1"};
  Descriptor agent_;
  std::optional<PacketSocket> link_;
  bool link_ended_ = false;
  std::uint32_t id_ = 0;
};

// What can be read without waiting; "<nothing>" when there is neither text nor the end.
std::string read_available(int descriptor) {
  std::string text;
  pollfd polled = {.fd = descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&polled, 1, 0) == 0) {
    return "<nothing>";
  }
  std::array<char, 65536> buffer = {};
  const auto count = ::read(descriptor, buffer.data(), buffer.size());
  text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

const std::vector<std::byte> kOne = {std::byte{1}};
const std::vector<std::byte> kZero = {std::byte{0}};

}  // namespace

TEST_CASE_METHOD(Board, "info answers over the link", "[virtual-board]") {
  const auto answer = ask_link(Verb::info, "");
  CHECK(answer.status == 0);
  const auto info = sphere::json::parse(answer.text());
  REQUIRE(info);
  CHECK(info->string_at("name") == "desk");
}

TEST_CASE_METHOD(Board, "an open pin is a socket that sets and gets", "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  REQUIRE(pin.status == 0);
  REQUIRE(pin.payload == std::vector<std::byte>{std::byte{SPHERE_KIND_GPIO}});
  REQUIRE(pin.descriptor);
  const int socket = pin.descriptor.get();

  CHECK(ask(socket, SPHERE_VERB_GPIO_GET, {})->payload == std::vector<std::byte>(4));
  CHECK(ask(socket, SPHERE_VERB_GPIO_SET, kOne)->status == 0);
  CHECK(ask(socket, SPHERE_VERB_GPIO_GET, {})->payload[0] == std::byte{1});
  CHECK(open_gpio(8, 0).status == EBUSY);
  CHECK(open_gpio(24, 0).status == ENODEV);
}

TEST_CASE_METHOD(Board, "closing the last end frees the pin and keeps its level",
                 "[virtual-board]") {
  auto pin = open_gpio(8, 1, 0);
  Descriptor copy{::dup(pin.descriptor.get())};
  pin.descriptor.reset();
  turn();
  CHECK(open_gpio(8, 1).status == EBUSY);
  copy.reset();
  turn();
  CHECK(peripherals().bank().find(8)->level == 0);
  CHECK_FALSE(peripherals().bank().find(8)->open);
  CHECK(open_gpio(8, 0).status == 0);
}

TEST_CASE_METHOD(Board, "an input reads what the outside drives", "[virtual-board]") {
  const auto button = open_gpio(12, 0);
  CHECK(ask(button.descriptor.get(), SPHERE_VERB_GPIO_GET, {})->payload[0] == std::byte{1});
  CHECK(request("PUT", "gpio/12", R"({"level": 0})").status == 0);
  CHECK(ask(button.descriptor.get(), SPHERE_VERB_GPIO_SET, kOne)->status == 0);
  CHECK(ask(button.descriptor.get(), SPHERE_VERB_GPIO_GET, {})->payload[0] == std::byte{0});
}

TEST_CASE_METHOD(Board, "three malformed requests in a row close a pin and nothing else",
                 "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  const int socket = pin.descriptor.get();
  const std::vector<std::byte> two = {std::byte{2}};
  const std::vector<std::byte> garbage(5000);

  CHECK(ask(socket, 0x0999, {})->status == EPROTO);
  CHECK(ask(socket, SPHERE_VERB_GPIO_SET, two)->status == EINVAL);  // Not malformed.
  CHECK(exchange(socket, garbage)->status == EPROTO);
  CHECK(ask(socket, SPHERE_VERB_GPIO_GET, kZero)->status == EPROTO);
  CHECK(ask(socket, SPHERE_VERB_GPIO_SET, {})->status == EPROTO);
  CHECK_FALSE(ask(socket, SPHERE_VERB_GPIO_GET, {}));

  CHECK_FALSE(link_ended());
  CHECK(open_gpio(8, 1).status == 0);
}

TEST_CASE_METHOD(Board, "a REST client cannot end the link with what it sends", "[virtual-board]") {
  for (int i = 0; i < 2 * kMalformedLimit; ++i) {
    const auto answer = ask_link(Verb::virtual_request, "{\"path\": \"\xFF\"}");
    CHECK(answer.status == 0);
    CHECK(sphere::json::parse(answer.text())->integer_at("status") == 400);
  }
  CHECK_FALSE(link_ended());
}

TEST_CASE_METHOD(Board, "malformed requests end the link", "[virtual-board]") {
  CHECK(ask(agent(), 0x0101, {})->status == EPROTO);
  CHECK(ask(agent(), 0x2000, {})->status == EPROTO);
  CHECK(ask_link(Verb::info, "x").status == EPROTO);
  CHECK(link_ended());
}

TEST_CASE_METHOD(Board, "who sends without reading loses the socket", "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  sphere::Writer get;
  get.little_endian<std::uint16_t>(1).little_endian<std::uint16_t>(SPHERE_VERB_GPIO_GET).zeros(12);
  for (int i = 0; i < 2000 && peripherals().bank().find(8)->open; ++i) {
    ::send(pin.descriptor.get(), get.data().data(), get.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    turn();
  }
  CHECK_FALSE(peripherals().bank().find(8)->open);
}

TEST_CASE_METHOD(Board, "release_all frees the pins of an agent that has gone", "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  peripherals().release_all();
  CHECK_FALSE(peripherals().bank().find(8)->open);
  CHECK(peripherals().bank().find(8)->direction == Direction::out);
  CHECK_FALSE(ask(pin.descriptor.get(), SPHERE_VERB_GPIO_GET, {}));
}

TEST_CASE_METHOD(Board, "an answer too long for a frame comes as a file", "[virtual-board]") {
  std::vector<Answer> pins;
  for (const auto& [pin, line] : peripherals().bank().lines()) {
    pins.push_back(open_gpio(pin, 0));
  }
  const auto answer = request("GET", "");
  const auto head = sphere::json::parse(answer.text());
  REQUIRE(head);
  CHECK(head->integer_at("status") == 200);
  CHECK(head->find("body") == nullptr);
  const auto text = read_available(answer.descriptor.get());
  CHECK(head->integer_at("bodyBytes") == static_cast<std::int64_t>(text.size()));
  const auto body = sphere::json::parse(text);
  REQUIRE(body);
  CHECK(body->find("peripherals")->items()[67].string_at("usedBy") == kApp);
}

TEST_CASE_METHOD(Board, "edges reach a follower as lines", "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  const auto stream = request("GET", "gpio?follow=true");
  REQUIRE(stream.descriptor);
  CHECK(sphere::json::parse(stream.text())->integer_at("status") == 200);

  CHECK(ask(pin.descriptor.get(), SPHERE_VERB_GPIO_SET, kOne));
  CHECK(ask(pin.descriptor.get(), SPHERE_VERB_GPIO_SET, kZero));

  const auto text = read_available(stream.descriptor.get());
  CHECK_THAT(text, Catch::Matchers::StartsWith("{\"run\":\"run-1\"}\n"));
  CHECK_THAT(text, Catch::Matchers::Contains("\"pin\":8,\"level\":1"));
  CHECK_THAT(text, Catch::Matchers::Contains("\"pin\":8,\"level\":0"));
  peripherals().end_streams("power off");
  CHECK(read_available(stream.descriptor.get()) == "{\"end\":\"power off\"}\n");
}

TEST_CASE_METHOD(Board, "a follower that does not read loses edges, not the board",
                 "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  const auto stream = request("GET", "gpio?follow=true");
  for (int i = 0; i < 6000; ++i) {
    CHECK(ask(pin.descriptor.get(), SPHERE_VERB_GPIO_SET, i % 2 == 0 ? kOne : kZero));
  }
  std::string text;
  for (int i = 0; i < 20 && text.find("\"seq\":6001}") == std::string::npos; ++i) {
    text += read_available(stream.descriptor.get());
    turn();
  }
  CHECK_THAT(text, Catch::Matchers::Contains("\"seq\":6001}"));
  CHECK_THAT(text, Catch::Matchers::Contains("{\"dropped\":"));
}

TEST_CASE_METHOD(Board, "four may follow at a time and leaving makes room", "[virtual-board]") {
  std::vector<Answer> streams;
  for (std::size_t i = 0; i < Peripherals::kFollowerLimit; ++i) {
    streams.push_back(request("GET", "gpio?follow=true"));
    CHECK(streams.back().descriptor);
  }
  const auto fifth = request("GET", "gpio?follow=true");
  CHECK_FALSE(fifth.descriptor);
  CHECK(sphere::json::parse(fifth.text())->integer_at("status") == 409);
  streams.pop_back();
  turn();
  CHECK(request("GET", "gpio?follow=true").descriptor);
}

TEST_CASE_METHOD(Board, "the stored edges come once without follow", "[virtual-board]") {
  const auto pin = open_gpio(8, 1, 0);
  const auto stream = request("GET", "gpio");
  turn();
  const auto text = read_available(stream.descriptor.get());
  CHECK_THAT(text, Catch::Matchers::Contains("\"pin\":8,\"level\":0"));
  CHECK(read_available(stream.descriptor.get()).empty());  // The end, not "nothing yet".
}

TEST_CASE_METHOD(Board, "a pulse wakes the loop when it is over", "[virtual-board]") {
  CHECK(request("POST", "gpio/12/pulse", R"({"level": 0, "microseconds": 2000})").status == 0);
  const auto due = peripherals().until_due();
  REQUIRE(due);
  CHECK(*due <= 2000us);
  ::usleep(3000);
  turn();
  CHECK(peripherals().bank().find(12)->level == 1);
}
