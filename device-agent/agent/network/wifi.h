// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// What POST /wifi/config/networks asks for.
struct WifiRequest {
  device_api::WifiNetwork network;
  std::string psk = {};
};

// Reads and checks the body. Refusals by field: kJsonInvalid (kind, unknown word),
// kWifiSsidTooLong, kWifiPskTooShort, kWifiPskTooLong, kWifiCertificateMissing,
// kCertificateIdTooLong, kConfigNameLength, kWifiPropertiesInvalid, kWifiParameters.
[[nodiscard]] Answer<WifiRequest> read_wifi_request(const json::Value& body);

struct WifiChange {
  std::optional<std::string> config_state = {};  // enabled, disabled; nothing: as it is.
  std::optional<std::string> psk = {};
};
// Refusals: kJsonInvalid, kWifiPskTooShort, kWifiPskTooLong, kWifiPropertiesInvalid.
[[nodiscard]] Answer<WifiChange> read_wifi_change(const json::Value& body);

// The configured Wi-Fi networks of a board without a radio: a store whose networks never connect,
// since the simulated radio hears no access point. A new network gets the lowest free number; PSKs
// are stored sealed and never given out. Changes are on stable storage when a call returns. Any
// thread may call.
class WifiStore {
 public:
  static constexpr std::size_t kLimit = 32;

  // `seal` must outlive the store; null: no PSK can be stored.
  WifiStore(const std::filesystem::path& directory, const crypto::SealingKey* seal);

  [[nodiscard]] std::vector<device_api::WifiNetwork> list() const;
  [[nodiscard]] std::optional<device_api::WifiNetwork> find(std::int64_t id) const;
  // Gives the network with its id and connectionState "unknown". Refusals: kWifiTooMany,
  // kWifiNoSpace.
  [[nodiscard]] Answer<device_api::WifiNetwork> add(const WifiRequest& request);
  // Refusals: kWifiNotFound, kWifiNoSpace.
  [[nodiscard]] Answer<device_api::WifiNetwork> change(std::int64_t id, const WifiChange& change);
  [[nodiscard]] Answer<void> remove(std::int64_t id);

  [[nodiscard]] bool power_savings() const;
  [[nodiscard]] Answer<void> set_power_savings(bool on);
  void reload();  // Reads the stored configuration again.

 private:
  struct Stored {
    device_api::WifiNetwork network;
    std::string sealed_psk = {};  // Base64.
  };
  void load();
  [[nodiscard]] Answer<void> save(const std::vector<Stored>& networks, bool power_savings);
  [[nodiscard]] Answer<std::string> sealed(std::string_view psk) const;

  Document file_;
  const crypto::SealingKey* seal_;
  mutable std::mutex lock_;       // Guards what follows.
  std::vector<Stored> networks_;  // By id.
  bool power_savings_ = false;
};

}  // namespace sphere::agent
