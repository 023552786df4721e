// SPDX-License-Identifier: MIT
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/applibs/fake_broker.h"

extern "C" {
#include "device-agent/applibs/src/frame.h"
}

using sphere::Descriptor;
using sphere::test::FakeBroker;
using sphere::test::Reply;
using sphere::test::u32;

namespace {

constexpr std::uint32_t kId = 7;

// Asks for 4 bytes.
int ask(int socket, std::array<std::uint8_t, 4>& reply, int timeout_ms = 2000,
        int* descriptor = nullptr) {
  const sphere_call call = {.verb = SPHERE_VERB_NET_COUNT,
                            .request = "ab",
                            .request_length = 2,
                            .reply = reply.data(),
                            .reply_length = reply.size(),
                            .descriptor = descriptor};
  return sphere_exchange(socket, kId, &call, timeout_ms);
}

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

std::size_t count_open() {
  std::size_t count = 0;
  for (int fd = 0; fd < 256; ++fd) {
    count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  }
  return count;
}

// True once as many descriptors are open as before; the fake closes its copies after sending them.
bool is_back_to(std::size_t before) {
  for (int i = 0; i < 200 && count_open() != before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return count_open() == before;
}

}  // namespace

TEST_CASE("exchange sends a frame and gives the payload of its reply", "[applibs]") {
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  std::array<std::uint8_t, 4> reply = {};
  broker.answer({.payload = u32(0x04030201)});

  REQUIRE(ask(socket.get(), reply) == 0);

  CHECK(reply == std::array<std::uint8_t, 4>{1, 2, 3, 4});
  const auto requests = broker.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].version == 1);
  CHECK(requests[0].verb == SPHERE_VERB_NET_COUNT);
  CHECK(requests[0].id == kId);
  CHECK(requests[0].length == 2);
  CHECK(requests[0].payload == "ab");
}

TEST_CASE("exchange gives the status of a refusal", "[applibs]") {
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  std::array<std::uint8_t, 4> reply = {9, 9, 9, 9};
  broker.answer({.status = EACCES});

  CHECK(ask(socket.get(), reply) == EACCES);
  CHECK(reply == std::array<std::uint8_t, 4>{9, 9, 9, 9});
}

TEST_CASE("exchange refuses malformed replies and keeps no descriptor of theirs", "[applibs]") {
  struct Case {
    std::string name;
    Reply reply;
  };
  const auto test = GENERATE(values<Case>({
      {"shorter than a header", {.raw = std::string(15, '\1')}},
      {"empty payload", {}},
      {"payload too short", {.payload = "abc"}},
      {"payload too long", {.payload = "abcde"}},
      {"length below the payload", {.payload = "abcd", .length = 3}},
      {"length above the payload", {.payload = "abcd", .length = 5}},
      {"huge length", {.payload = "abcd", .length = 0xFFFFFFFF}},
      {"other version", {.payload = "abcd", .version = 2}},
      {"other verb", {.payload = "abcd", .verb = std::uint16_t{SPHERE_VERB_NET_READY}}},
      {"negative status", {.status = -1, .payload = "abcd"}},
      {"status beyond errno", {.status = 4096}},
      {"larger than a frame", {.raw = std::string(5000, '\1')}},
  }));
  INFO(test.name);
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  std::array<std::uint8_t, 4> reply = {};
  const auto before = count_open();
  const bool has_descriptor = GENERATE(false, true);
  auto spoiled = test.reply;
  if (has_descriptor) {
    spoiled.descriptors = {open_null()};
  }
  broker.answer(spoiled);

  CHECK(ask(socket.get(), reply) == EPROTO);
  CHECK(is_back_to(before));
  CHECK(reply == std::array<std::uint8_t, 4>{});
}

TEST_CASE("exchange wants exactly one descriptor where one is due", "[applibs]") {
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  std::array<std::uint8_t, 4> reply = {};
  int descriptor = -1;
  const auto before = count_open();

  broker.answer({.payload = "abcd"});
  CHECK(ask(socket.get(), reply, 2000, &descriptor) == EPROTO);
  broker.answer({.payload = "abcd", .descriptors = {open_null(), open_null()}});
  CHECK(ask(socket.get(), reply, 2000, &descriptor) == EPROTO);
  broker.answer({.status = EBUSY, .descriptors = {open_null()}});
  CHECK(ask(socket.get(), reply, 2000, &descriptor) == EPROTO);
  CHECK(descriptor == -1);
  CHECK(is_back_to(before));

  broker.answer({.payload = "abcd", .descriptors = {open_null()}});
  REQUIRE(ask(socket.get(), reply, 2000, &descriptor) == 0);
  CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  ::close(descriptor);
  CHECK(is_back_to(before));
}

TEST_CASE("exchange discards replies to other requests with their descriptors", "[applibs]") {
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  std::array<std::uint8_t, 4> reply = {};
  const auto before = count_open();
  broker.answer({.payload = "late",
                 .descriptors = {open_null()},
                 .id_offset = 0xFFFFFFFF,
                 .is_followed = true});
  broker.answer({.payload = "good"});

  REQUIRE(ask(socket.get(), reply) == 0);
  CHECK(std::string(reply.begin(), reply.end()) == "good");
  CHECK(is_back_to(before));
}

TEST_CASE("exchange gives EAGAIN after its time and ECONNRESET when the peer is gone",
          "[applibs]") {
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  std::array<std::uint8_t, 4> reply = {};

  broker.answer({.is_silent = true});
  CHECK(ask(socket.get(), reply, 30) == EAGAIN);
  broker.answer({.is_hang_up = true});
  CHECK(ask(socket.get(), reply) == ECONNRESET);
  CHECK(ask(socket.get(), reply) == ECONNRESET);
}

TEST_CASE("exchange does not send more than a frame holds", "[applibs]") {
  FakeBroker broker;
  const Descriptor socket(broker.take_client());
  const std::string large(SPHERE_PAYLOAD_MAX + 1, 'x');
  sphere_call call = {};
  call.verb = SPHERE_VERB_HELLO;
  call.request = large.data();
  call.request_length = large.size();

  CHECK(sphere_exchange(socket.get(), 1, &call, 1000) == EMSGSIZE);
  call.request_length = SPHERE_PAYLOAD_MAX;
  broker.answer({});
  CHECK(sphere_exchange(socket.get(), 1, &call, 1000) == 0);
  REQUIRE(broker.requests().size() == 1);
  CHECK(broker.requests()[0].payload.size() == SPHERE_PAYLOAD_MAX);
}
