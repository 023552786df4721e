// SPDX-License-Identifier: MIT
#define _AZSPHERE_USE_OBSOLETE_API  // NOLINT: what a source for API set 4 says
#include <applibs/application.h>
#include <applibs/applications.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/applibs/fake_broker.h"

extern "C" {
#include "device-agent/applibs/src/broker_client.h"
}

using namespace std::string_literals;  // NOLINT(google-build-using-namespace): texts with NUL
using sphere::Descriptor;
using sphere::test::BrokerOfProcess;
using sphere::test::FakeBroker;
using sphere::test::hand_over;
using sphere::test::u32;

TEST_CASE("Application_Connect sends the id in stored order", "[applibs]") {
  BrokerOfProcess broker;
  FakeBroker partner;
  FakeBroker again;
  broker.answer(hand_over(partner.take_client(), SPHERE_KIND_RTCORE));
  broker.answer(hand_over(again.take_client(), SPHERE_KIND_RTCORE));

  const Descriptor first(Application_Connect("01020304-0506-0708-090a-0B0C0D0E0F10"));
  const Descriptor second(Application_Socket("01020304-0506-0708-090A-0b0c0d0e0f10"));

  CHECK(first.get() >= 0);
  CHECK(second.get() >= 0);
  const auto requests = broker.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].verb == SPHERE_VERB_CONNECT);
  CHECK(requests[0].payload == "\4\3\2\1\6\5\x8\7\x9\xA\xB\xC\xD\xE\xF\x10"s);
  CHECK(requests[1].payload == requests[0].payload);
}

TEST_CASE("Application_Connect refuses what is no component id", "[applibs]") {
  BrokerOfProcess broker;
  for (const char* id :
       {"", "01020304", "01020304-0506-0708-090a-0b0c0d0e0f1",
        "01020304-0506-0708-090a-0b0c0d0e0f100", "01020304-0506-0708-090a-0b0c0d0e0f1g",
        "01020304050-6-0708-090a-0b0c0d0e0f10", "{1020304-0506-0708-090a-0b0c0d0e0f1}",
        "010203-0405-0607-0809-0a0b0c0d0e0f10"}) {
    INFO(id);
    errno = 0;
    CHECK(Application_Connect(id) == -1);
    CHECK(errno == EINVAL);
  }
  CHECK(Application_Connect(nullptr) == -1);
  CHECK(errno == EINVAL);
  CHECK(broker.requests().empty());
}

TEST_CASE("Application_Connect fails with the broker's error", "[applibs]") {
  const int status = GENERATE(EACCES, ENOENT, ECONNREFUSED, EBUSY, EAGAIN);
  BrokerOfProcess broker;
  broker.answer({.status = status});

  CHECK(Application_Connect("01020304-0506-0708-090a-0b0c0d0e0f10") == -1);
  CHECK(errno == status);
}

TEST_CASE("IsDeviceAuthReady gives the agent's answer", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(1)});
  broker.answer({.payload = u32(0)});
  broker.answer({.status = EAGAIN});
  bool is_ready = false;

  CHECK(Application_IsDeviceAuthReady(&is_ready) == 0);
  CHECK(is_ready);
  CHECK(Application_IsDeviceAuthReady(&is_ready) == 0);
  CHECK_FALSE(is_ready);
  CHECK(Application_IsDeviceAuthReady(&is_ready) == -1);
  CHECK(errno == EAGAIN);
  CHECK(Application_IsDeviceAuthReady(nullptr) == -1);
  CHECK(errno == EFAULT);
}

TEST_CASE("Memory figures are in KiB, 0 on error", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(300) + u32(0)});
  broker.answer({.payload = u32(200) + u32(0)});
  broker.answer({.payload = u32(250) + u32(0)});
  broker.answer({.status = EAGAIN});

  CHECK(Applications_GetTotalMemoryUsageInKB() == 300);
  CHECK(Applications_GetUserModeMemoryUsageInKB() == 200);
  CHECK(Applications_GetPeakUserModeMemoryUsageInKB() == 250);
  CHECK(Applications_GetTotalMemoryUsageInKB() == 0);
  CHECK(errno == EAGAIN);
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(broker.requests().at(i).verb == SPHERE_VERB_MEMORY_INFO);
    CHECK(broker.requests().at(i).payload == u32(i));
  }
}

TEST_CASE("GetMemoryInfo checks its arguments", "[applibs]") {
  BrokerOfProcess broker;
  std::size_t value = 0;

  CHECK(z__Applications_GetMemoryInfo(0, nullptr, sizeof(value)) == -1);
  CHECK(errno == EFAULT);
  CHECK(z__Applications_GetMemoryInfo(0, &value, sizeof(value) - 1) == -1);
  CHECK(errno == ERANGE);
  CHECK(z__Applications_GetMemoryInfo(0, &value, sizeof(value) + 1) == -1);
  CHECK(errno == EINVAL);
  CHECK(z__Applications_GetMemoryInfo(3, &value, sizeof(value)) == -1);
  CHECK(errno == EINVAL);
  CHECK(broker.requests().empty());
}

TEST_CASE("GetOsVersion gives a text that ends", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = "26.11"s + std::string(11, '\0')});
  broker.answer({.payload = std::string(16, '9')});
  broker.answer({.status = EAGAIN});
  Applications_OsVersion version = {};

  CHECK(Applications_GetOsVersion(&version) == 0);
  CHECK(version.version == "26.11"s);
  CHECK(Applications_GetOsVersion(&version) == 0);
  CHECK(version.version == std::string(15, '9'));
  CHECK(Applications_GetOsVersion(&version) == -1);
  CHECK(errno == EAGAIN);
  CHECK(Applications_GetOsVersion(nullptr) == -1);
  CHECK(errno == EFAULT);
  CHECK(z__Applications_GetOsVersion(&version, 15) == -1);
  CHECK(errno == ERANGE);
}

TEST_CASE("After the agent is gone every broker call fails with EAGAIN", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.is_hang_up = true});
  bool is_ready = false;

  for (int i = 0; i < 3; ++i) {
    errno = 0;
    CHECK(Application_IsDeviceAuthReady(&is_ready) == -1);
    CHECK(errno == EAGAIN);
  }
}

TEST_CASE("A malformed answer fails one call only", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = "x"});
  broker.answer({.payload = u32(1)});
  bool is_ready = false;

  CHECK(Application_IsDeviceAuthReady(&is_ready) == -1);
  CHECK(errno == EPROTO);
  CHECK(Application_IsDeviceAuthReady(&is_ready) == 0);
  CHECK(is_ready);
}
