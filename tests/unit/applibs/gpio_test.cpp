// SPDX-License-Identifier: MIT
#include <applibs/gpio.h>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/applibs/fake_broker.h"

extern "C" {
#include "device-agent/applibs/src/descriptor_table.h"
}

using sphere::Descriptor;
using sphere::test::BrokerOfProcess;
using sphere::test::FakeBroker;
using sphere::test::hand_over;
using sphere::test::u32;

namespace {

// Opens pin 8 as an output that `pin` simulates.
Descriptor open_pin(BrokerOfProcess& broker, FakeBroker& pin) {
  broker.answer(hand_over(pin.take_client(), SPHERE_KIND_GPIO));
  Descriptor opened(GPIO_OpenAsOutput(8, GPIO_OutputMode_PushPull, GPIO_Value_High));
  REQUIRE(opened.get() >= 0);
  return opened;
}

}  // namespace

TEST_CASE("Opening a pin sends number, mode and value", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker input;
  FakeBroker output;
  broker.answer(hand_over(input.take_client(), SPHERE_KIND_GPIO));
  broker.answer(hand_over(output.take_client(), SPHERE_KIND_GPIO));

  const Descriptor in(GPIO_OpenAsInput(12));
  const Descriptor out(GPIO_OpenAsOutput(0x01020304, GPIO_OutputMode_OpenSource, GPIO_Value_High));

  CHECK(in.get() >= 0);
  CHECK(out.get() >= 0);
  CHECK((::fcntl(out.get(), F_GETFD) & FD_CLOEXEC) != 0);
  const auto requests = broker.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].verb == SPHERE_VERB_GPIO_IN);
  CHECK(requests[0].payload == u32(12));
  CHECK(requests[1].verb == SPHERE_VERB_GPIO_OUT);
  CHECK(requests[1].payload == std::string("\4\3\2\1\2\1"));
}

TEST_CASE("Opening a pin fails with the broker's error", "[applibs]") {
  const int status = GENERATE(EACCES, ENODEV, EBUSY, EINVAL, EAGAIN);
  BrokerOfProcess broker;
  broker.answer({.status = status});
  broker.answer({.status = status});

  CHECK(GPIO_OpenAsInput(1) == -1);
  CHECK(errno == status);
  errno = 0;
  CHECK(GPIO_OpenAsOutput(1, GPIO_OutputMode_PushPull, GPIO_Value_Low) == -1);
  CHECK(errno == status);
}

TEST_CASE("GPIO_OpenAsOutput refuses unknown modes and values without asking", "[applibs]") {
  BrokerOfProcess broker;

  CHECK(GPIO_OpenAsOutput(1, 3, GPIO_Value_Low) == -1);
  CHECK(errno == EINVAL);
  CHECK(GPIO_OpenAsOutput(1, GPIO_OutputMode_PushPull, 2) == -1);
  CHECK(errno == EINVAL);
  CHECK(broker.requests().empty());
}

TEST_CASE("A descriptor of another kind is refused and closed", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker pin;
  const int end = pin.take_client();
  broker.answer(hand_over(end, SPHERE_KIND_FILE));

  CHECK(GPIO_OpenAsInput(1) == -1);
  CHECK(errno == EPROTO);
}

TEST_CASE("A simulated pin is read and set over its socket", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker simulator;
  const auto pin = open_pin(broker, simulator);
  GPIO_Value_Type value = GPIO_Value_Low;
  simulator.answer({.payload = u32(1)});
  simulator.answer({.payload = u32(0)});
  simulator.answer({.payload = u32(0)});

  errno = 77;
  CHECK(GPIO_GetValue(pin.get(), &value) == 0);
  CHECK(value == GPIO_Value_High);
  CHECK(GPIO_GetValue(pin.get(), &value) == 0);
  CHECK(value == GPIO_Value_Low);
  CHECK(GPIO_SetValue(pin.get(), GPIO_Value_High) == 0);
  CHECK(errno == 77);  // Untouched by success.
  const auto requests = simulator.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].verb == SPHERE_VERB_GPIO_GET);
  CHECK(requests[0].payload.empty());
  CHECK(requests[2].verb == SPHERE_VERB_GPIO_SET);
  CHECK(requests[2].payload == "\1");
  CHECK(requests[0].id != requests[1].id);
}

TEST_CASE("Setting an input does nothing and succeeds", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker simulator;
  const auto pin = open_pin(broker, simulator);
  simulator.answer({.status = EPERM});

  CHECK(GPIO_SetValue(pin.get(), GPIO_Value_High) == 0);
}

TEST_CASE("Pin calls check pointers, values and descriptors", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker simulator;
  const auto pin = open_pin(broker, simulator);
  std::array<int, 2> pipe = {};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const Descriptor reading(pipe[0]);
  const Descriptor writing(pipe[1]);
  const Descriptor duplicate(::dup(pin.get()));
  std::array<int, 2> pair = {};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0);
  const Descriptor foreign(pair[0]);
  const Descriptor peer(pair[1]);
  GPIO_Value_Type value = 5;

  CHECK(GPIO_GetValue(pin.get(), nullptr) == -1);
  CHECK(errno == EFAULT);
  CHECK(GPIO_SetValue(pin.get(), 2) == -1);
  CHECK(errno == EINVAL);
  for (const int fd : {-1, 1000, reading.get(), duplicate.get(), foreign.get()}) {
    INFO(fd);
    errno = 0;
    CHECK(GPIO_GetValue(fd, &value) == -1);
    CHECK(errno == EBADF);
    errno = 0;
    CHECK(GPIO_SetValue(fd, GPIO_Value_Low) == -1);
    CHECK(errno == EBADF);
  }
  CHECK(value == 5);
  CHECK(simulator.requests().empty());
}

TEST_CASE("A reused descriptor number is no pin", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker simulator;
  auto pin = open_pin(broker, simulator);
  const int number = pin.get();
  FakeBroker other;
  const Descriptor unrelated(other.take_client());
  REQUIRE(::dup3(unrelated.get(), number, O_CLOEXEC) == number);
  GPIO_Value_Type value = 0;

  CHECK(GPIO_GetValue(number, &value) == -1);
  CHECK(errno == EBADF);
  CHECK(other.requests().empty());
}

TEST_CASE("A pin whose simulator is gone gives EBADF, a malformed answer EPROTO", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker simulator;
  const auto pin = open_pin(broker, simulator);
  GPIO_Value_Type value = 0;

  simulator.answer({.payload = "abc"});
  CHECK(GPIO_GetValue(pin.get(), &value) == -1);
  CHECK(errno == EPROTO);
  simulator.answer({.is_hang_up = true});
  CHECK(GPIO_GetValue(pin.get(), &value) == -1);
  CHECK(errno == EBADF);
  CHECK(GPIO_SetValue(pin.get(), GPIO_Value_High) == -1);
  CHECK(errno == EBADF);
}

TEST_CASE("A descriptor number beyond the table is closed and gives EMFILE", "[applibs]") {
  FakeBroker pin;
  const int end = pin.take_client();
  REQUIRE(::fcntl(end, F_DUPFD_CLOEXEC, SPHERE_DESCRIPTOR_COUNT) >= SPHERE_DESCRIPTOR_COUNT);
  const int high = ::fcntl(end, F_DUPFD_CLOEXEC, SPHERE_DESCRIPTOR_COUNT);
  ::close(end);

  CHECK(sphere_descriptor_add(high, SPHERE_KIND_GPIO) == -1);
  CHECK(errno == EMFILE);
  CHECK(::fcntl(high, F_GETFD) == -1);
}
