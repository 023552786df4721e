/* SPDX-License-Identifier: MIT */
#include "abi.h"

#include <applibs/application.h>
#include <applibs/applications.h>
#include <applibs/eventloop.h>
#include <applibs/gpio.h>
#include <applibs/log.h>
#include <applibs/networking.h>
#include <applibs/storage.h>
#include <stddef.h>
#include <stdio.h>

struct expectation {
  const char* what;
  long long actual;
  long long expected;
};

#define SPHERE_EXPECT(expression, value) {#expression, (long long)(expression), value}

static const struct expectation expectations[] = {
    SPHERE_EXPECT(sizeof(EventLoop_Run_Result), 4),
    SPHERE_EXPECT(sizeof(EventLoop_IoEvents), 4),
    SPHERE_EXPECT(EventLoop_Run_Failed, -1),
    SPHERE_EXPECT(EventLoop_Run_FinishedEmpty, 0),
    SPHERE_EXPECT(EventLoop_Run_Finished, 1),
    SPHERE_EXPECT(EventLoop_None, 0),
    SPHERE_EXPECT(EventLoop_Input, 1),
    SPHERE_EXPECT(EventLoop_Output, 4),
    SPHERE_EXPECT(EventLoop_Error, 8),
    SPHERE_EXPECT(sizeof(GPIO_Id), 4),
    SPHERE_EXPECT(sizeof(GPIO_Value_Type), 1),
    SPHERE_EXPECT(sizeof(GPIO_OutputMode_Type), 1),
    SPHERE_EXPECT(GPIO_Value_Low, 0),
    SPHERE_EXPECT(GPIO_Value_High, 1),
    SPHERE_EXPECT(GPIO_OutputMode_PushPull, 0),
    SPHERE_EXPECT(GPIO_OutputMode_OpenDrain, 1),
    SPHERE_EXPECT(GPIO_OutputMode_OpenSource, 2),
    SPHERE_EXPECT(sizeof(Networking_InterfaceConnectionStatus), 4),
    SPHERE_EXPECT(Networking_InterfaceConnectionStatus_InterfaceUp, 1),
    SPHERE_EXPECT(Networking_InterfaceConnectionStatus_ConnectedToNetwork, 2),
    SPHERE_EXPECT(Networking_InterfaceConnectionStatus_IpAvailable, 4),
    SPHERE_EXPECT(Networking_InterfaceConnectionStatus_ConnectedToInternet, 8),
    SPHERE_EXPECT(sizeof(Networking_IpType_Type), 1),
    SPHERE_EXPECT(Networking_IpType_DhcpNone, 0),
    SPHERE_EXPECT(Networking_IpType_DhcpClient, 1),
    SPHERE_EXPECT(sizeof(Networking_InterfaceMedium_Type), 1),
    SPHERE_EXPECT(Networking_InterfaceMedium_Unspecified, 0),
    SPHERE_EXPECT(Networking_InterfaceMedium_Wifi, 1),
    SPHERE_EXPECT(Networking_InterfaceMedium_Ethernet, 2),
    SPHERE_EXPECT(HARDWARE_ADDRESS_LENGTH, 6),
    SPHERE_EXPECT(sizeof(Networking_Interface_HardwareAddress), 6),
    SPHERE_EXPECT(sizeof(Networking_NetworkInterface), 32),
    SPHERE_EXPECT(offsetof(Networking_NetworkInterface, z__magicAndVersion), 0),
    SPHERE_EXPECT(offsetof(Networking_NetworkInterface, isEnabled), 4),
    SPHERE_EXPECT(offsetof(Networking_NetworkInterface, interfaceName), 5),
    SPHERE_EXPECT(offsetof(Networking_NetworkInterface, reserved), 24),
    SPHERE_EXPECT(offsetof(Networking_NetworkInterface, ipConfigurationType), 28),
    SPHERE_EXPECT(offsetof(Networking_NetworkInterface, interfaceMediumType), 29),
    SPHERE_EXPECT(sizeof(Applications_OsVersion), 16),
    SPHERE_EXPECT(z__Applications_MemoryInfo_Total, 0),
    SPHERE_EXPECT(z__Applications_MemoryInfo_UserMode, 1),
    SPHERE_EXPECT(z__Applications_MemoryInfo_PeakUserMode, 2),
};

int sphere_abi_failures(void) {
  int failures = 0;
  for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); ++i) {
    const struct expectation* at = &expectations[i];
    if (at->actual != at->expected) {
      printf("%s is %lld, not %lld\n", at->what, at->actual, at->expected);
      ++failures;
    }
  }
  return failures;
}
