// SPDX-License-Identifier: MIT
#include <applibs/networking.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/applibs/fake_broker.h"

extern "C" {
#include "device-agent/applibs/src/broker_protocol.h"
}

using namespace std::string_literals;  // NOLINT(google-build-using-namespace): texts with NUL
using sphere::test::BrokerOfProcess;
using sphere::test::Reply;
using sphere::test::u32;

namespace {

std::string padded(std::string name) {
  name.resize(SPHERE_INTERFACE_NAME_MAX);
  return name;
}

Reply interface(const std::string& name, char is_enabled, char ip_type, char medium) {
  Reply reply;
  reply.payload = padded(name) + is_enabled + ip_type + medium;
  return reply;
}

}  // namespace

TEST_CASE("IsNetworkingReady gives the agent's answer", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(1)});
  broker.answer({.payload = u32(0)});
  broker.answer({.status = EAGAIN});
  bool is_ready = false;

  CHECK(Networking_IsNetworkingReady(&is_ready) == 0);
  CHECK(is_ready);
  CHECK(Networking_IsNetworkingReady(&is_ready) == 0);
  CHECK_FALSE(is_ready);
  CHECK(Networking_IsNetworkingReady(&is_ready) == -1);
  CHECK(errno == EAGAIN);
  CHECK(Networking_IsNetworkingReady(nullptr) == -1);
  CHECK(errno == EFAULT);
  CHECK(broker.requests().size() == 3);
}

TEST_CASE("GetInterfaceCount gives the count or an error", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(2)});
  broker.answer({.status = EAGAIN});
  broker.answer({.payload = u32(0xFFFFFFFF)});

  CHECK(Networking_GetInterfaceCount() == 2);
  CHECK(Networking_GetInterfaceCount() == -1);
  CHECK(errno == EAGAIN);
  CHECK(Networking_GetInterfaceCount() == -1);
  CHECK(errno == EPROTO);
}

TEST_CASE("GetInterfaces fills the array", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(2)});
  broker.answer(interface("wlan0", 1, 1, 1));
  broker.answer(interface("eth0", 0, 0, 2));
  std::array<Networking_NetworkInterface, 3> interfaces = {};
  std::memset(interfaces.data(), 0xAA, sizeof(interfaces));

  REQUIRE(Networking_GetInterfaces(interfaces.data(), interfaces.size()) == 2);

  CHECK(interfaces[0].z__magicAndVersion == 0xFA9A0001);
  CHECK(interfaces[0].interfaceName == "wlan0"s);
  CHECK(interfaces[0].isEnabled);
  CHECK(interfaces[0].ipConfigurationType == Networking_IpType_DhcpClient);
  CHECK(interfaces[0].interfaceMediumType == Networking_InterfaceMedium_Wifi);
  CHECK(interfaces[1].interfaceName == "eth0"s);
  CHECK_FALSE(interfaces[1].isEnabled);
  CHECK(interfaces[1].ipConfigurationType == Networking_IpType_DhcpNone);
  CHECK(interfaces[1].interfaceMediumType == Networking_InterfaceMedium_Ethernet);
  CHECK(interfaces[2].z__magicAndVersion == 0xAAAAAAAA);
  CHECK(broker.requests().at(1).payload == u32(0));
  CHECK(broker.requests().at(2).payload == u32(1));
}

TEST_CASE("GetInterfaces fills as many as fit", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(2)});
  broker.answer(interface("wlan0", 1, 1, 1));
  Networking_NetworkInterface one = {};

  CHECK(Networking_GetInterfaces(&one, 1) == 1);
  CHECK(broker.requests().size() == 2);
}

TEST_CASE("GetInterfaces checks its arguments and the answers", "[applibs]") {
  BrokerOfProcess broker;
  Networking_NetworkInterface one = {};
  auto* base = reinterpret_cast<z__Networking_NetworkInterface_Base*>(&one);  // NOLINT: the ABI

  CHECK(Networking_GetInterfaces(nullptr, 1) == -1);
  CHECK(errno == EFAULT);
  CHECK(Networking_GetInterfaces(&one, 0) == -1);
  CHECK(errno == ERANGE);
  CHECK(z__Networking_GetInterfaces(base, 1, 2) == -1);
  CHECK(errno == EINVAL);
  CHECK(broker.requests().empty());

  broker.answer({.status = EAGAIN});
  CHECK(Networking_GetInterfaces(&one, 1) == -1);
  CHECK(errno == EAGAIN);
  broker.answer({.payload = u32(1)});
  broker.answer({.payload = std::string(19, 'x')});  // A name without end.
  CHECK(Networking_GetInterfaces(&one, 1) == -1);
  CHECK(errno == EPROTO);
  broker.answer({.payload = u32(1)});
  broker.answer({.status = EAGAIN});
  CHECK(Networking_GetInterfaces(&one, 1) == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("GetInterfaceConnectionStatus gives the mask", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = u32(0xF)});
  Networking_InterfaceConnectionStatus status = 0;

  CHECK(Networking_GetInterfaceConnectionStatus("wlan0", &status) == 0);
  CHECK(status == (Networking_InterfaceConnectionStatus_InterfaceUp |
                   Networking_InterfaceConnectionStatus_ConnectedToNetwork |
                   Networking_InterfaceConnectionStatus_IpAvailable |
                   Networking_InterfaceConnectionStatus_ConnectedToInternet));
  CHECK(broker.requests().at(0).verb == SPHERE_VERB_NET_STATUS);
  CHECK(broker.requests().at(0).payload == padded("wlan0"));
}

TEST_CASE("Interface names are checked", "[applibs]") {
  BrokerOfProcess broker;
  Networking_InterfaceConnectionStatus status = 0;
  Networking_Interface_HardwareAddress address = {};

  CHECK(Networking_GetInterfaceConnectionStatus(nullptr, &status) == -1);
  CHECK(errno == EFAULT);
  CHECK(Networking_GetInterfaceConnectionStatus("wlan0", nullptr) == -1);
  CHECK(errno == EFAULT);
  CHECK(Networking_SetInterfaceState(nullptr, true) == -1);
  CHECK(errno == EFAULT);
  CHECK(Networking_GetHardwareAddress(nullptr, &address) == -1);
  CHECK(errno == EFAULT);
  CHECK(Networking_GetHardwareAddress("wlan0", nullptr) == -1);
  CHECK(errno == EFAULT);
  for (const char* name : {"", "a-name-of-16-chrs"}) {
    errno = 0;
    CHECK(Networking_SetInterfaceState(name, true) == -1);
    CHECK(errno == ENOENT);
  }
  CHECK(broker.requests().empty());
}

TEST_CASE("SetInterfaceState sends name and state", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({});

  CHECK(Networking_SetInterfaceState("eth0", true) == 0);
  CHECK(broker.requests().at(0).verb == SPHERE_VERB_NET_SET_STATE);
  CHECK(broker.requests().at(0).payload == padded("eth0") + '\1');
}

TEST_CASE("Interface calls fail with the broker's error", "[applibs]") {
  const int status = GENERATE(EACCES, ENOENT, EPERM, EAGAIN);
  BrokerOfProcess broker;
  Networking_InterfaceConnectionStatus mask = 0;
  Networking_Interface_HardwareAddress address = {};
  for (int i = 0; i < 3; ++i) {
    broker.answer({.status = status});
  }

  CHECK(Networking_SetInterfaceState("eth0", false) == -1);
  CHECK(errno == status);
  errno = 0;
  CHECK(Networking_GetInterfaceConnectionStatus("eth0", &mask) == -1);
  CHECK(errno == status);
  errno = 0;
  CHECK(Networking_GetHardwareAddress("eth0", &address) == -1);
  CHECK(errno == status);
}

TEST_CASE("GetHardwareAddress gives six bytes", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({.payload = "\2\0\0\0\0\x5F"s});
  Networking_Interface_HardwareAddress address = {};

  CHECK(Networking_GetHardwareAddress("wlan0", &address) == 0);
  CHECK(address.address[0] == 2);
  CHECK(address.address[5] == 0x5F);
}

TEST_CASE("GetInterfaceOpt tells sizes and refuses unknown attributes", "[applibs]") {
  BrokerOfProcess broker;
  std::array<char, 8> buffer = {};

  CHECK(z__Networking_GetInterfaceOpt("wlan0", 1, nullptr, 0) == 6);
  CHECK(z__Networking_GetInterfaceOpt("wlan0", 1, nullptr, 6) == -1);
  CHECK(errno == EFAULT);
  CHECK(z__Networking_GetInterfaceOpt("wlan0", 1, buffer.data(), 5) == -1);
  CHECK(errno == ERANGE);
  CHECK(z__Networking_GetInterfaceOpt("wlan0", 2, buffer.data(), 8) == -1);
  CHECK(errno == EINVAL);
  CHECK(broker.requests().empty());
}
