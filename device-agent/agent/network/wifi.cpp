// SPDX-License-Identifier: MIT
#include "device-agent/agent/network/wifi.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/refusal.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kPurpose = "wifi psk";

auto malformed(std::string_view key, std::string_view expected) {
  return refuse(device_api::kJsonInvalid, fmt::format("{} is not {}", key, expected));
}

// A member that is a text, or absent.
Answer<std::optional<std::string>> text_of(const json::Value& body, std::string_view key) {
  const auto* value = body.find(key);
  if (value == nullptr || value->is_null()) {
    return std::nullopt;
  }
  if (value->string() == nullptr) {
    return malformed(key, "a text");
  }
  return *value->string();
}

Answer<void> check_psk(std::string_view psk) {
  constexpr std::size_t kShortest = 8;
  constexpr std::size_t kLongest = 63;
  if (psk.size() < kShortest) {
    return refuse(device_api::kWifiPskTooShort, fmt::format("a PSK of {} characters", psk.size()));
  }
  if (psk.size() > kLongest) {
    return refuse(device_api::kWifiPskTooLong, fmt::format("a PSK of {} characters", psk.size()));
  }
  return {};
}

Answer<std::string> read_config_state(const std::optional<std::string>& text) {
  if (text == "temp-disabled") {
    return refuse(device_api::kWifiPropertiesInvalid, "configState temp-disabled cannot be set");
  }
  if (text && text != "enabled" && text != "disabled" && text != "unknown") {
    return malformed("configState", "enabled or disabled");
  }
  return text.value_or("unknown");
}

Answer<void> read_names(const json::Value& body, WifiRequest& request) {
  constexpr std::size_t kSsid = 32;
  constexpr std::size_t kConfigName = 16;
  SPHERE_TRY_ASSIGN(const auto ssid, text_of(body, "ssid"));
  if (!ssid) {
    return malformed("ssid", "there");
  }
  if (ssid->empty()) {
    return refuse(device_api::kWifiPropertiesInvalid, "ssid is empty");
  }
  if (ssid->size() > kSsid) {
    return refuse(device_api::kWifiSsidTooLong, fmt::format("an SSID of {} bytes", ssid->size()));
  }
  request.network.ssid = *ssid;
  SPHERE_TRY_ASSIGN(const auto name, text_of(body, "configName"));
  if (name && (name->empty() || name->size() > kConfigName)) {
    return refuse(device_api::kConfigNameLength,
                  fmt::format("configName has {} characters, 1 to 16 are needed", name->size()));
  }
  request.network.config_name = name.value_or("");
  return {};
}

Answer<void> read_certificates(const json::Value& body, WifiRequest& request) {
  constexpr std::size_t kIdentifier = 16;
  constexpr std::size_t kIdentity = 254;
  SPHERE_TRY_ASSIGN(const auto client, text_of(body, "clientCertStoreIdentifier"));
  SPHERE_TRY_ASSIGN(const auto root, text_of(body, "rootCaCertStoreIdentifier"));
  SPHERE_TRY_ASSIGN(const auto identity, text_of(body, "clientIdentity"));
  if (client.value_or("").size() > kIdentifier || root.value_or("").size() > kIdentifier) {
    return refuse(device_api::kCertificateIdTooLong,
                  "a certificate identifier has at most 16 characters");
  }
  if (identity.value_or("").size() > kIdentity) {
    return refuse(device_api::kWifiPropertiesInvalid, "clientIdentity has at most 254 characters");
  }
  request.network.client_certificate = client.value_or("");
  request.network.root_certificate = root.value_or("");
  request.network.client_identity = identity.value_or("");
  return {};
}

Answer<void> read_security(const json::Value& body, WifiRequest& request) {
  SPHERE_TRY_ASSIGN(const auto security, text_of(body, "securityState"));
  SPHERE_TRY_ASSIGN(const auto psk, text_of(body, "psk"));
  if (security != "open" && security != "psk" && security != "eaptls") {
    return malformed("securityState", "open, psk or eaptls");
  }
  if (security == "psk") {
    SPHERE_TRY(check_psk(psk.value_or("")));
  } else if (psk && !psk->empty()) {
    return refuse(device_api::kWifiParameters, fmt::format("a PSK does not go with {}", *security));
  }
  if (security == "eaptls" && request.network.client_certificate.empty()) {
    return refuse(device_api::kWifiCertificateMissing, "eaptls needs clientCertStoreIdentifier");
  }
  request.network.security_state = *security;
  request.psk = psk.value_or("");
  return {};
}

Answer<void> read_scan(const json::Value& body, WifiRequest& request) {
  for (const auto* key : {"targetedScan", "targetScan"}) {
    const auto* value = body.find(key);
    if (value == nullptr || value->is_null()) {
      continue;
    }
    if (!value->boolean()) {
      return malformed(key, "true or false");
    }
    request.network.targeted_scan = request.network.targeted_scan || *value->boolean();
  }
  return {};
}

}  // namespace

Answer<WifiRequest> read_wifi_request(const json::Value& body) {
  if (body.kind() != json::Kind::object) {
    return malformed("the body", "an object");
  }
  WifiRequest request;
  SPHERE_TRY(read_names(body, request));
  SPHERE_TRY(read_certificates(body, request));
  SPHERE_TRY(read_security(body, request));
  SPHERE_TRY(read_scan(body, request));
  SPHERE_TRY_ASSIGN(const auto text, text_of(body, "configState"));
  SPHERE_TRY_ASSIGN(const auto state, read_config_state(text));
  request.network.config_state = state == "unknown" ? "enabled" : state;
  return request;
}

Answer<WifiChange> read_wifi_change(const json::Value& body) {
  if (body.kind() != json::Kind::object) {
    return malformed("the body", "an object");
  }
  WifiChange change;
  SPHERE_TRY_ASSIGN(change.psk, text_of(body, "psk"));
  if (change.psk) {
    SPHERE_TRY(check_psk(*change.psk));
  }
  SPHERE_TRY_ASSIGN(const auto text, text_of(body, "configState"));
  SPHERE_TRY_ASSIGN(const auto state, read_config_state(text));
  if (state != "unknown") {
    change.config_state = state;
  }
  return change;
}

WifiStore::WifiStore(const std::filesystem::path& directory, const crypto::SealingKey* seal)
    : file_{directory / "wifi.json"}, seal_{seal} {
  load();
}

void WifiStore::load() {
  const auto document = file_.load();
  networks_.clear();
  power_savings_ = document.boolean_at("powerSavings").value_or(false);
  const auto* rows = document.find("networks");
  for (const auto& row : rows != nullptr ? rows->items() : json::Array{}) {
    auto network = device_api::wifi_network_from_json(row);
    if (network && networks_.size() < kLimit) {
      networks_.push_back(
          {.network = *std::move(network), .sealed_psk = row.string_at("sealedPsk").value_or("")});
    }
  }
}

void WifiStore::reload() {
  const std::lock_guard guard{lock_};
  load();
}

std::vector<device_api::WifiNetwork> WifiStore::list() const {
  const std::lock_guard guard{lock_};
  std::vector<device_api::WifiNetwork> networks;
  for (const auto& stored : networks_) {
    networks.push_back(stored.network);
  }
  return networks;
}

std::optional<device_api::WifiNetwork> WifiStore::find(std::int64_t id) const {
  const std::lock_guard guard{lock_};
  for (const auto& stored : networks_) {
    if (stored.network.id == id) {
      return stored.network;
    }
  }
  return std::nullopt;
}

Answer<std::string> WifiStore::sealed(std::string_view psk) const {
  if (psk.empty()) {
    return std::string{};
  }
  if (seal_ == nullptr) {
    return refuse(device_api::kInternal, "the board has no key to keep secrets with");
  }
  const auto bytes = seal_->seal(std::as_bytes(std::span{psk}), kPurpose);
  if (!bytes) {
    return refuse(device_api::kInternal, bytes.error());
  }
  return to_base64(*bytes);
}

Answer<device_api::WifiNetwork> WifiStore::add(const WifiRequest& request) {
  const std::lock_guard guard{lock_};
  if (networks_.size() >= kLimit) {
    return refuse(device_api::kWifiTooMany,
                  fmt::format("{} networks are configured already", networks_.size()),
                  "forget one of them");
  }
  SPHERE_TRY_ASSIGN(auto psk, sealed(request.psk));
  Stored stored{.network = request.network, .sealed_psk = std::move(psk)};
  stored.network.id = 0;
  auto place = networks_.begin();
  while (place != networks_.end() && place->network.id == stored.network.id) {
    ++place;
    ++stored.network.id;
  }
  stored.network.connection_state = "disconnected";
  auto next = networks_;
  next.insert(next.begin() + (place - networks_.begin()), stored);
  SPHERE_TRY(save(next, power_savings_));
  networks_ = std::move(next);
  stored.network.connection_state = "unknown";
  return stored.network;
}

Answer<device_api::WifiNetwork> WifiStore::change(std::int64_t id, const WifiChange& change) {
  const std::lock_guard guard{lock_};
  auto next = networks_;
  const auto found =
      std::ranges::find_if(next, [id](const Stored& stored) { return stored.network.id == id; });
  if (found == next.end()) {
    return refuse(device_api::kWifiNotFound, fmt::format("no Wi-Fi network {}", id));
  }
  if (change.psk) {
    if (found->network.security_state != "psk") {
      return refuse(device_api::kWifiParameters, fmt::format("Wi-Fi network {} has no PSK", id));
    }
    SPHERE_TRY_ASSIGN(found->sealed_psk, sealed(*change.psk));
  }
  found->network.config_state = change.config_state.value_or(found->network.config_state);
  const auto network = found->network;
  SPHERE_TRY(save(next, power_savings_));
  networks_ = std::move(next);
  return network;
}

Answer<void> WifiStore::remove(std::int64_t id) {
  const std::lock_guard guard{lock_};
  auto next = networks_;
  if (std::erase_if(next, [id](const Stored& stored) { return stored.network.id == id; }) == 0) {
    return refuse(device_api::kWifiNotFound, fmt::format("no Wi-Fi network {}", id));
  }
  SPHERE_TRY(save(next, power_savings_));
  networks_ = std::move(next);
  return {};
}

bool WifiStore::power_savings() const {
  const std::lock_guard guard{lock_};
  return power_savings_;
}

Answer<void> WifiStore::set_power_savings(bool on) {
  const std::lock_guard guard{lock_};
  SPHERE_TRY(save(networks_, on));
  power_savings_ = on;
  return {};
}

Answer<void> WifiStore::save(const std::vector<Stored>& networks, bool power_savings) {
  json::Value rows{json::Array{}};
  for (const auto& stored : networks) {
    auto row = device_api::to_json(stored.network);
    row.set("sealedPsk", stored.sealed_psk);
    rows.push(std::move(row));
  }
  const auto saved =
      file_.save(json::Value{}.set("powerSavings", power_savings).set("networks", std::move(rows)));
  if (!saved) {
    return saved.error().code() == Errc::no_space ? refuse(device_api::kWifiNoSpace, saved.error())
                                                  : refuse(device_api::kInternal, saved.error());
  }
  return {};
}

}  // namespace sphere::agent
