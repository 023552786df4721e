// SPDX-License-Identifier: MIT
#include "device-agent/agent/network/interfaces.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/refusal.h"
#include "sphere/core/encoding.h"
#include "sphere/core/text.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kServiceLink = "azspheresvc";
constexpr std::string_view kLoopback = "lo";
constexpr std::string_view kWifi = "wlan0";
constexpr std::string_view kEthernet = "eth0";

// Locally administered addresses of the board's own: 02 or 06, then digits of its id.
std::string simulated_address(std::string_view device_id, std::string_view first) {
  constexpr std::size_t kDigits = 10;
  std::string digits = std::string{first} + std::string{device_id.substr(0, kDigits)};
  digits.resize(kDigits + 2, '0');
  std::string address;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    address += (address.empty() ? "" : ":") + digits.substr(at, 2);
  }
  return address;
}

}  // namespace

bool is_hardware_address(std::string_view text) {
  constexpr std::size_t kLength = 17;
  if (text.size() != kLength) {
    return false;
  }
  std::string digits;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool colon = at % 3 == 2;
    if (colon != (text[at] == ':')) {
      return false;
    }
    digits += colon ? "" : std::string{text[at]};
  }
  const auto bytes = from_hex(digits);
  const auto zero = [](std::byte byte) { return byte == std::byte{0}; };
  return bytes && (bytes->front() & std::byte{1}) == std::byte{0} &&
         !std::ranges::all_of(*bytes, zero);
}

InterfaceStore::InterfaceStore(const std::filesystem::path& directory, std::string_view device_id,
                               std::function<void(std::string_view, bool)> changed)
    : file_{directory / "interfaces.json"}, changed_{std::move(changed)} {
  interfaces_.push_back({.name = std::string{kServiceLink}});
  interfaces_.push_back({.name = std::string{kLoopback}});
  interfaces_.push_back({.name = std::string{kWifi},
                         .hardware_address = simulated_address(device_id, "02"),
                         .can_switch = true});
  interfaces_.push_back({.name = std::string{kEthernet},
                         .hardware_address = simulated_address(device_id, "06"),
                         .can_switch = true,
                         .can_set_address = true});
  load();
}

void InterfaceStore::load() {
  const auto stored = file_.load();
  for (auto& interface : interfaces_) {
    const auto* row = stored.find(interface.name);
    if (row == nullptr || !interface.can_switch) {
      continue;
    }
    interface.up = row->boolean_at("up").value_or(true);
    const auto address = row->string_at("hardwareAddress");
    if (interface.can_set_address && address && is_hardware_address(*address)) {
      interface.hardware_address = *address;
    }
    if (changed_) {
      changed_(interface.name, interface.up);
    }
  }
}

device_api::NetInterface InterfaceStore::describe(const Interface& interface) {
  device_api::NetInterface described{.name = interface.name, .up = interface.up};
  if (interface.name == kServiceLink) {
    described.addresses = {"192.168.35.2"};
  } else if (interface.name == kLoopback) {
    described.ip_acquired = true;
    described.addresses = {"127.0.0.1"};
  } else {
    described.ip_assignment = "dynamic";
    described.hardware_address = interface.hardware_address;
  }
  return described;
}

std::vector<device_api::NetInterface> InterfaceStore::list() const {
  const std::lock_guard guard{lock_};
  std::vector<device_api::NetInterface> all;
  for (const auto& interface : interfaces_) {
    all.push_back(describe(interface));
  }
  return all;
}

std::optional<device_api::NetInterface> InterfaceStore::find(std::string_view name) const {
  const std::lock_guard guard{lock_};
  const auto found = std::ranges::find(interfaces_, name, &Interface::name);
  return found == interfaces_.end() ? std::nullopt : std::optional{describe(*found)};
}

bool InterfaceStore::wifi_up() const {
  const auto wifi = find(kWifi);
  return wifi && wifi->up;
}

Answer<void> InterfaceStore::check(const Interface& interface, const Change& change) const {
  if ((change.up && !interface.can_switch) ||
      (change.hardware_address && !interface.can_set_address)) {
    return refuse(device_api::kInterfaceNotPermitted,
                  fmt::format("interface {} cannot be changed so", interface.name));
  }
  if (change.hardware_address && !is_hardware_address(*change.hardware_address)) {
    return refuse(device_api::kHardwareAddressInvalid,
                  fmt::format("{} is no hardware address", *change.hardware_address),
                  "give six pairs of digits with colons: 02:00:00:00:00:01");
  }
  return {};
}

Answer<void> InterfaceStore::change(std::string_view name, const Change& change) {
  std::unique_lock guard{lock_};
  const auto found = std::ranges::find(interfaces_, name, &Interface::name);
  if (found == interfaces_.end()) {
    return refuse(device_api::kNotFound, fmt::format("no interface {}", name));
  }
  SPHERE_TRY(check(*found, change));
  json::Value document{json::Object{}};
  for (const auto& interface : interfaces_) {
    const bool changes = &interface == &*found;
    json::Value row;
    row.set("up", changes ? change.up.value_or(interface.up) : interface.up);
    row.set("hardwareAddress",
            changes ? to_lower(change.hardware_address.value_or(interface.hardware_address))
                    : interface.hardware_address);
    document.set(interface.name, std::move(row));
  }
  if (const auto saved = file_.save(document); !saved) {
    return refuse(device_api::kInternal, saved.error());
  }
  found->up = change.up.value_or(found->up);
  found->hardware_address = to_lower(change.hardware_address.value_or(found->hardware_address));
  guard.unlock();
  if (change.up && changed_) {
    changed_(name, *change.up);
  }
  return {};
}

}  // namespace sphere::agent
