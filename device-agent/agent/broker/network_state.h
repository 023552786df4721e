// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::agent {

struct NetworkInterface {
  std::string name;          // Shorter than SPHERE_INTERFACE_NAME_MAX.
  std::uint8_t ip_type = 0;  // 0 none, 1 DHCP client.
  std::uint8_t medium = 0;   // 0 unspecified, 1 Wi-Fi, 2 Ethernet.
  bool is_service_link = false;
  bool enabled = false;
  std::uint32_t status = 0;  // Bits: 1 up, 2 connected, 4 address, 8 internet.
  std::array<std::uint8_t, 6> hardware_address = {};
};

// The network as apps of a virtual board see it: the service link, and a simulated wlan0 that knows
// no access point and is therefore never connected. Interfaces are constant; which are enabled is
// not. Belongs to the loop's thread.
class NetworkState {
 public:
  NetworkState();

  [[nodiscard]] const std::vector<NetworkInterface>& interfaces() const { return interfaces_; }
  [[nodiscard]] NetworkInterface* find(std::string_view name);
  // An interface that is up, connected and has an address, and a synchronised clock.
  [[nodiscard]] bool ready() const;
  static void set_enabled(NetworkInterface& interface, bool enabled);

 private:
  std::vector<NetworkInterface> interfaces_;
};

}  // namespace sphere::agent
