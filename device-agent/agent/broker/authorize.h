// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/guid.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {

// What of the manifest a verb needs.
enum class Need : std::uint8_t {
  nothing,
  gpio_pin,         // The pin in Gpio.
  uart_port,        // The port in Uart.
  mutable_storage,  // MutableStorage with SizeKB > 0.
  peer,             // The component in AllowedApplicationConnections.
  network_config,   // NetworkConfig.
};

struct VerbRule {
  sphere_broker_verb verb;
  Need need;
  std::uint32_t payload;  // Bytes a request must have, exactly.
  std::string_view call;  // How an app's author knows it.
};

// Every verb an app may send.
// NOLINTBEGIN(modernize-use-designated-initializers): rows of a table
inline constexpr std::array kVerbRules = {
    VerbRule{SPHERE_VERB_HELLO, Need::nothing, 0, "hello"},
    VerbRule{SPHERE_VERB_GPIO_IN, Need::gpio_pin, 4, "GPIO_OpenAsInput"},
    VerbRule{SPHERE_VERB_GPIO_OUT, Need::gpio_pin, 6, "GPIO_OpenAsOutput"},
    VerbRule{SPHERE_VERB_UART_OPEN, Need::uart_port, 13, "UART_Open"},
    VerbRule{SPHERE_VERB_FILE_OPEN, Need::mutable_storage, 0, "Storage_OpenMutableFile"},
    VerbRule{SPHERE_VERB_FILE_DELETE, Need::mutable_storage, 0, "Storage_DeleteMutableFile"},
    VerbRule{SPHERE_VERB_FILE_USAGE, Need::mutable_storage, 0, "mutable storage usage"},
    VerbRule{SPHERE_VERB_CONNECT, Need::peer, 16, "Application_Connect"},
    VerbRule{SPHERE_VERB_DEVICE_AUTH_READY, Need::nothing, 0, "Application_IsDeviceAuthReady"},
    VerbRule{SPHERE_VERB_NET_READY, Need::nothing, 0, "Networking_IsNetworkingReady"},
    VerbRule{SPHERE_VERB_NET_COUNT, Need::nothing, 0, "Networking_GetInterfaceCount"},
    VerbRule{SPHERE_VERB_NET_INTERFACE, Need::nothing, 4, "Networking_GetInterfaces"},
    VerbRule{SPHERE_VERB_NET_STATUS, Need::nothing, 16, "Networking_GetInterfaceConnectionStatus"},
    VerbRule{SPHERE_VERB_NET_HARDWARE_ADDRESS, Need::nothing, 16, "Networking_GetHardwareAddress"},
    VerbRule{SPHERE_VERB_NET_SET_STATE, Need::network_config, 17, "Networking_SetInterfaceState"},
    VerbRule{SPHERE_VERB_MEMORY_INFO, Need::nothing, 4, "Applications_GetTotalMemoryUsageInKB"},
    VerbRule{SPHERE_VERB_OS_VERSION, Need::nothing, 0, "Applications_GetOsVersion"},
};
// NOLINTEND(modernize-use-designated-initializers)

// Null for a verb that does not exist.
[[nodiscard]] const VerbRule* find_rule(std::uint16_t verb);

// What a request is about, for needs that name one thing of a list.
struct Subject {
  std::int64_t number = -1;  // Pin or port.
  Guid peer = {};
};

// The one place that decides what an app may ask for.
[[nodiscard]] bool authorize(const manifest::Capabilities& capabilities, Need need,
                             const Subject& subject);

}  // namespace sphere::agent
