// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

// Bodies of the network, Wi-Fi and certificate calls. from_json() of a wrong shape gives
// Errc::corrupt naming the key.
namespace sphere::device_api {

struct NetInterface {  // GET /net/interfaces/{name}
  std::string name;
  bool up = false;
  bool connected_to_network = false;
  bool ip_acquired = false;
  bool connected_to_internet = false;
  std::vector<std::string> addresses = {};
  std::string ip_assignment = {};     // static, dynamic; "" where it does not apply.
  std::string hardware_address = {};  // 17 characters; "" where it does not apply.
};
[[nodiscard]] json::Value to_json(const NetInterface& interface);
[[nodiscard]] json::Value to_json(const std::vector<NetInterface>& interfaces);
[[nodiscard]] Result<std::vector<NetInterface>> interfaces_from_json(const json::Value& value);

struct NetStatus {  // GET /net/status
  bool device_authentication_ready = false;
  std::string time_sync = "incomplete";  // complete, incomplete, disabled
  std::string proxy = "disabled";        // disabled, enabled, resolvingProxyName, ready
};
[[nodiscard]] json::Value to_json(const NetStatus& status);
[[nodiscard]] Result<NetStatus> net_status_from_json(const json::Value& value);

struct Proxy {  // /net/proxy
  bool enabled = false;
  std::string address;
  std::int64_t port = 0;
  std::vector<std::string> no_proxy_addresses = {};
  std::string authentication = "anonymous";  // anonymous, basic
  std::string username = {};
  std::string password = {};  // In requests, and in the answer to POST.
};
[[nodiscard]] json::Value to_json(const Proxy& proxy);
// Nothing for the {} of a device without a proxy.
[[nodiscard]] Result<std::optional<Proxy>> proxy_from_json(const json::Value& value);

struct WifiNetwork {  // /wifi/config/networks/{id}
  std::int64_t id = 0;
  std::string ssid;
  std::string config_state = "enabled";      // unknown, enabled, disabled, temp-disabled
  std::string connection_state = "unknown";  // unknown, disconnected, connected
  std::string security_state = "open";       // open, psk, eaptls
  bool targeted_scan = false;
  std::string config_name = {};
  std::string client_certificate = {};
  std::string root_certificate = {};
  std::string client_identity = {};
};
[[nodiscard]] json::Value to_json(const WifiNetwork& network);
[[nodiscard]] Result<WifiNetwork> wifi_network_from_json(const json::Value& value);
[[nodiscard]] Result<std::vector<WifiNetwork>> wifi_networks_from_json(const json::Value& value);

struct WifiStatus {  // GET /wifi/interface
  std::string config_state = "unknown";
  std::string connection_state = "disconnected";
  std::string security_state = "unknown";
  std::string mode = "station";
  std::string key_management = "UNKNOWN";
  std::string wpa_state = "DISCONNECTED";
  std::string hardware_address = {};
  std::int64_t id = -1;
  std::string power_savings = "disabled";  // unknown, enabled, disabled
  std::optional<std::string> ssid = {}, config_name = {}, ip_address = {};
  std::optional<std::int64_t> frequency_mhz = {};
};
[[nodiscard]] json::Value to_json(const WifiStatus& status);
[[nodiscard]] Result<WifiStatus> wifi_status_from_json(const json::Value& value);

struct WifiScanEntry {  // GET /wifi/scan
  std::string bssid, ssid, security_state;
  std::int64_t frequency_mhz = 0, signal_level = 0;
};
[[nodiscard]] json::Value to_json(const std::vector<WifiScanEntry>& entries);
[[nodiscard]] Result<std::vector<WifiScanEntry>> wifi_scan_from_json(const json::Value& value);

struct CertificateFailure {
  std::string subject, error;
  std::int64_t depth = 0;
};
struct WifiFailure {      // GET /wifi/diagnostics/networks
  std::string timestamp;  // RFC 3339
  std::int64_t network_id = 0;
  std::string ssid, config_state, connection_state, error;
  std::optional<CertificateFailure> certificate = {};
};
[[nodiscard]] json::Value to_json(const WifiFailure& failure);
[[nodiscard]] Result<std::vector<WifiFailure>> wifi_failures_from_json(const json::Value& value);

struct StoredCertificate {  // GET /certstore/certs/{id}
  std::string id, not_before, not_after, subject, issuer;
};
[[nodiscard]] json::Value to_json(const StoredCertificate& certificate);
[[nodiscard]] Result<StoredCertificate> certificate_from_json(const json::Value& value);

struct MemoryStats {  // GET /stats/memory/groups/applications
  struct Process {
    std::string component_id;
    std::vector<std::int64_t> pids = {};
  };
  std::int64_t current_bytes = 0, user_bytes = 0, peak_user_bytes = 0;
  std::vector<Process> apps = {};
};
[[nodiscard]] json::Value to_json(const MemoryStats& stats);
[[nodiscard]] Result<MemoryStats> memory_stats_from_json(const json::Value& value);

}  // namespace sphere::device_api
