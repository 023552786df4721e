// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/device_api/network.h"

namespace sphere::agent {

// The network interfaces of a board without a radio: azspheresvc and lo, and a simulated wlan0 and
// eth0 that can be switched and have no network to connect to. What was set is kept over restarts.
// Any thread may call.
class InterfaceStore {
 public:
  // `changed` hears of each interface that was switched, for apps that look at it. `device_id`
  // gives the simulated hardware addresses.
  InterfaceStore(const std::filesystem::path& directory, std::string_view device_id,
                 std::function<void(std::string_view name, bool up)> changed);

  [[nodiscard]] std::vector<device_api::NetInterface> list() const;
  [[nodiscard]] std::optional<device_api::NetInterface> find(std::string_view name) const;
  [[nodiscard]] bool wifi_up() const;

  struct Change {
    std::optional<bool> up = {};
    std::optional<std::string> hardware_address = {};
  };
  // All of `change`, or nothing. The change is on stable storage when it returns. Refusals:
  // kNotFound, kInterfaceNotPermitted (azspheresvc, lo; an address for wlan0),
  // kHardwareAddressInvalid, kInternal.
  [[nodiscard]] Answer<void> change(std::string_view name, const Change& change);

 private:
  struct Interface {
    std::string name;
    bool up = true;
    std::string hardware_address = {};  // "" where there is none.
    bool can_switch = false;
    bool can_set_address = false;
  };
  [[nodiscard]] static device_api::NetInterface describe(const Interface& interface);
  void load();
  [[nodiscard]] Answer<void> check(const Interface& interface, const Change& change) const;

  Document file_;
  std::function<void(std::string_view, bool)> changed_;
  mutable std::mutex lock_;  // Guards what follows.
  std::vector<Interface> interfaces_;
};

// "aa:bb:cc:dd:ee:ff" in either case, neither multicast nor zero.
[[nodiscard]] bool is_hardware_address(std::string_view text);

}  // namespace sphere::agent
