// SPDX-License-Identifier: MIT
// The calls of RestClient for network, Wi-Fi, certificates, state and logs.
#include <charconv>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace api = device_api;

namespace {

tl::unexpected<Error> bad_answer(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("the device's answer has no proper {}", what),
              {.reason = "device.error", .value = std::string{what}});
}

std::string network_path(std::int64_t id) { return fmt::format("/wifi/config/networks/{}", id); }

// A segment of a path: what is not plain is escaped, so that it names nothing else.
std::string segment(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    escaped += plain ? std::string{c} : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return escaped;
}

Result<json::Value> list_in(const Result<json::Value>& answer, std::string_view key) {
  SPHERE_TRY(answer);
  const auto* list = answer->find(key);
  if (list == nullptr || list->kind() != json::Kind::array) {
    return bad_answer(key);
  }
  return *list;
}

}  // namespace

Result<RestClient::DebugPorts> RestClient::debug_app(const Guid& component) {
  SPHERE_TRY_ASSIGN(const auto answer, send_json("PATCH", "/app/status/" + component.text(),
                                                 json::Value{}.set("trigger", "startDebug")));
  const auto gdb = answer.integer_at("gdbPort");
  const auto output = answer.integer_at("outPort");
  if (!gdb || !output) {
    return bad_answer("gdbPort");
  }
  return DebugPorts{.gdb = *gdb, .output = *output};
}

Result<RestClient::DebugPorts> RestClient::debug_ports(const Guid& component) {
  SPHERE_TRY_ASSIGN(const auto answer, get("/sphere/v1/apps/" + component.text() + "/debug"));
  const auto port_of = [&answer](std::string_view name) {
    const json::Value* const part = answer.find(name);
    return part == nullptr ? std::nullopt : part->integer_at("port");
  };
  const auto gdb = port_of("gdb");
  const auto output = port_of("out");
  if (!gdb || !output) {
    return bad_answer("gdb.port");
  }
  return DebugPorts{.gdb = *gdb, .output = *output};
}

Result<RestClient::Quota> RestClient::app_quota(const Guid& component) {
  SPHERE_TRY_ASSIGN(const auto answer, get("/app/quota/" + component.text()));
  const auto used = answer.integer_at("UsageKB");
  const auto limit = answer.integer_at("LimitKB");
  if (!used || !limit) {
    return bad_answer("UsageKB");
  }
  return Quota{.used_kb = *used, .limit_kb = *limit};
}

Result<api::MemoryStats> RestClient::memory_stats() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/stats/memory/groups/applications"));
  return api::memory_stats_from_json(answer);
}

Result<json::Value> RestClient::sandbox(const Guid& component) {
  return list_in(get("/sphere/v1/apps/" + component.text() + "/sandbox"), "layers");
}

Result<void> RestClient::set_manufacturing_state(std::string_view state) {
  SPHERE_TRY(send_json("PUT", "/device/manufacturing_state",
                       json::Value{}.set("manufacturingState", state)));
  return {};
}

Result<json::Value> RestClient::capability_list() {
  return list_in(get("/sphere/v1/capability"), "capabilities");
}

Result<std::vector<api::NetInterface>> RestClient::interfaces() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/net/interfaces"));
  return api::interfaces_from_json(answer);
}

Result<void> RestClient::set_interface_up(const std::string& name, bool up) {
  SPHERE_TRY(
      send_json("PATCH", "/net/interfaces/" + segment(name), json::Value{}.set("interfaceUp", up)));
  return {};
}

Result<void> RestClient::set_hardware_address(const std::string& name, const std::string& address) {
  SPHERE_TRY(send_json("PATCH", "/net/interfaces/" + segment(name),
                       json::Value{}.set("hardwareAddress", address)));
  return {};
}

Result<api::NetStatus> RestClient::net_status() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/net/status"));
  return api::net_status_from_json(answer);
}

Result<std::optional<api::Proxy>> RestClient::proxy() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/net/proxy"));
  return api::proxy_from_json(answer);
}

Result<void> RestClient::set_proxy(const api::Proxy& proxy) {
  SPHERE_TRY(send_json("POST", "/net/proxy", api::to_json(proxy)));
  return {};
}

Result<void> RestClient::delete_proxy() {
  SPHERE_TRY(call({.method = "DELETE", .path = "/net/proxy"}));
  return {};
}

Result<json::Value> RestClient::firewall_rulesets() {
  return list_in(get("/net/firewall/rulesets"), "rulesets");
}

Result<std::vector<api::WifiNetwork>> RestClient::wifi_networks() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/wifi/config/networks"));
  return api::wifi_networks_from_json(answer);
}

Result<api::WifiNetwork> RestClient::wifi_network(std::int64_t id) {
  SPHERE_TRY_ASSIGN(const auto answer, get(network_path(id)));
  return api::wifi_network_from_json(answer);
}

Result<api::WifiNetwork> RestClient::add_wifi(const api::WifiNetwork& network,
                                              const std::string& psk) {
  json::Value body;
  body.set("ssid", network.ssid)
      .set("securityState", network.security_state)
      .set("configState", network.config_state)
      .set("targetedScan", network.targeted_scan);
  const auto add = [&body](const char* key, const std::string& text) {
    if (!text.empty()) {
      body.set(key, text);
    }
  };
  add("psk", psk);
  add("configName", network.config_name);
  add("clientCertStoreIdentifier", network.client_certificate);
  add("rootCaCertStoreIdentifier", network.root_certificate);
  add("clientIdentity", network.client_identity);
  SPHERE_TRY_ASSIGN(const auto answer, send_json("POST", "/wifi/config/networks", body));
  return api::wifi_network_from_json(answer);
}

Result<api::WifiNetwork> RestClient::enable_wifi(std::int64_t id, bool on) {
  SPHERE_TRY_ASSIGN(const auto answer,
                    send_json("PATCH", network_path(id),
                              json::Value{}.set("configState", on ? "enabled" : "disabled")));
  return api::wifi_network_from_json(answer);
}

Result<void> RestClient::forget_wifi(std::int64_t id) {
  SPHERE_TRY(call({.method = "DELETE", .path = network_path(id)}));
  return {};
}

Result<std::vector<api::WifiFailure>> RestClient::wifi_failures() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/wifi/diagnostics/networks"));
  return api::wifi_failures_from_json(answer);
}

Result<std::vector<api::WifiScanEntry>> RestClient::wifi_scan() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/wifi/scan"));
  return api::wifi_scan_from_json(answer);
}

Result<api::WifiStatus> RestClient::wifi_status() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/wifi/interface"));
  return api::wifi_status_from_json(answer);
}

Result<void> RestClient::reload_wifi() {
  SPHERE_TRY(send_json("PATCH", "/wifi/interface", json::Value{}.set("reloadConfig", true)));
  return {};
}

Result<std::vector<std::string>> RestClient::certificates() {
  SPHERE_TRY_ASSIGN(const auto list, list_in(get("/certstore/certs"), "identifiers"));
  std::vector<std::string> ids;
  for (const auto& item : list.items()) {
    if (item.string() == nullptr) {
      return bad_answer("identifiers");
    }
    ids.push_back(*item.string());
  }
  return ids;
}

Result<api::StoredCertificate> RestClient::certificate(const std::string& id) {
  SPHERE_TRY_ASSIGN(const auto answer, get("/certstore/certs/" + segment(id)));
  return api::certificate_from_json(answer);
}

Result<void> RestClient::add_certificate(const std::string& id, const NewCertificate& certificate) {
  json::Value body;
  body.set("certType", certificate.type).set("publicCert", certificate.certificate_pem);
  if (!certificate.key_pem.empty()) {
    body.set("privateKey", certificate.key_pem);
  }
  if (!certificate.password.empty()) {
    body.set("password", certificate.password);
  }
  SPHERE_TRY(send_json("POST", "/certstore/certs/" + segment(id), body));
  return {};
}

Result<void> RestClient::delete_certificate(const std::string& id) {
  SPHERE_TRY(call({.method = "DELETE", .path = "/certstore/certs/" + segment(id)}));
  return {};
}

Result<std::int64_t> RestClient::certificate_space() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/certstore/space"));
  const auto text = answer.string_at("AvailableSpace").value_or("");
  std::int64_t bytes = -1;
  const char* const end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(text.data(), end, bytes);
  if (error != std::errc{} || stop != end || bytes < 0) {
    return bad_answer("AvailableSpace");
  }
  return bytes;
}

Result<std::string> RestClient::diagnostic_log() {
  SPHERE_TRY_ASSIGN(auto response, exchange({.path = "/log"}));
  return std::move(response.body);
}

Result<std::string> RestClient::telemetry() {
  SPHERE_TRY_ASSIGN(auto response, exchange({.path = "/telemetry"}));
  return std::move(response.body);
}

Result<void> RestClient::log_lines(const std::string& query, const JsonSink& sink) {
  return stream("/sphere/v1/log" + (query.empty() ? "" : "?" + query),
                [&sink](const json::Value& value) -> Result<bool> { return sink(value); });
}

}  // namespace sphere::device
