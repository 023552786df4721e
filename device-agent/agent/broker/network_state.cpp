// SPDX-License-Identifier: MIT
#include "device-agent/agent/broker/network_state.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace sphere::agent {
namespace {

constexpr std::uint32_t kUp = 1;
constexpr std::uint32_t kConnected = 2;
constexpr std::uint32_t kAddress = 4;

}  // namespace

// Locally administered addresses of the simulation.
NetworkState::NetworkState()
    : interfaces_{{.name = "azspheresvc",
                   .is_service_link = true,
                   .enabled = true,
                   .status = kUp | kConnected | kAddress,
                   .hardware_address = {0x02, 0x53, 0x50, 0x48, 0x00, 0x01}},
                  {.name = "wlan0",
                   .ip_type = 1,
                   .medium = 1,
                   .hardware_address = {0x02, 0x53, 0x50, 0x48, 0x00, 0x02}}} {}

NetworkInterface* NetworkState::find(std::string_view name) {
  const auto found = std::ranges::find_if(
      interfaces_, [&](const auto& interface) { return interface.name == name; });
  return found == interfaces_.end() ? nullptr : &*found;
}

bool NetworkState::ready() const {
  return std::ranges::any_of(interfaces_, [](const auto& interface) {
    return !interface.is_service_link &&
           (interface.status & (kUp | kConnected | kAddress)) == (kUp | kConnected | kAddress);
  });
}

void NetworkState::set_enabled(NetworkInterface& interface, bool enabled) {
  interface.enabled = enabled;
  interface.status = enabled ? kUp : 0;
}

}  // namespace sphere::agent
