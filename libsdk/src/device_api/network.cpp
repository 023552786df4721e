// SPDX-License-Identifier: MIT
#include "sphere/device_api/network.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/device_api/list_reader.h"
#include "libsdk/src/device_api/object_reader.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::device_api {
namespace {

json::Value texts(const std::vector<std::string>& list) {
  json::Value value{json::Array{}};
  for (const auto& text : list) {
    value.push(text);
  }
  return value;
}

void set_unless_empty(json::Value& value, const char* key, const std::string& text) {
  if (!text.empty()) {
    value.set(key, text);
  }
}

std::optional<std::string> text_if_there(const ObjectReader& reader, std::string_view key) {
  const auto* const value = reader.optional(key);
  return value != nullptr && value->string() != nullptr ? std::optional{*value->string()}
                                                        : std::nullopt;
}

NetInterface read_interface(ObjectReader& outer, const json::Value& value, std::string where) {
  ObjectReader reader{value, std::move(where)};
  NetInterface interface{.name = reader.text("interfaceName"),
                         .up = reader.boolean("interfaceUp"),
                         .connected_to_network = reader.boolean("connectedToNetwork"),
                         .ip_acquired = reader.boolean("ipAcquired"),
                         .connected_to_internet = reader.boolean("connectedToInternet"),
                         .addresses = read_texts(reader, "ipAddresses"),
                         .ip_assignment = reader.text_or_empty("ipAssignment"),
                         .hardware_address = reader.text_or_empty("hardwareAddress")};
  outer.take_error(reader.done());
  return interface;
}

WifiNetwork read_network(ObjectReader& reader) {
  return {.id = reader.integer("id"),
          .ssid = reader.text("ssid"),
          .config_state = reader.text("configState"),
          .connection_state = reader.text("connectionState"),
          .security_state = reader.text("securityState"),
          .targeted_scan = reader.boolean("targetedScan"),
          .config_name = reader.text_or_empty("configName"),
          .client_certificate = reader.text_or_empty("clientCertStoreIdentifier"),
          .root_certificate = reader.text_or_empty("rootCaCertStoreIdentifier"),
          .client_identity = reader.text_or_empty("clientIdentity")};
}

WifiFailure read_failure(ObjectReader& outer, const json::Value& value, std::string where) {
  ObjectReader reader{value, std::move(where)};
  WifiFailure failure{.timestamp = reader.text("timestamp"),
                      .network_id = reader.integer("networkId"),
                      .ssid = reader.text("ssid"),
                      .config_state = reader.text("configState"),
                      .connection_state = reader.text("connectionState"),
                      .error = reader.text("error")};
  if (const auto* info = reader.optional("certInfo")) {
    ObjectReader inner{*info, reader.where("certInfo") + "."};
    failure.certificate = {.subject = inner.text("certSubject"),
                           .error = inner.text("certError"),
                           .depth = inner.integer("certDepth")};
    reader.take_error(inner.done());
  }
  outer.take_error(reader.done());
  return failure;
}

}  // namespace

json::Value to_json(const NetInterface& interface) {
  json::Value value = json::Value{}
                          .set("interfaceName", interface.name)
                          .set("interfaceUp", interface.up)
                          .set("connectedToNetwork", interface.connected_to_network)
                          .set("ipAcquired", interface.ip_acquired)
                          .set("connectedToInternet", interface.connected_to_internet)
                          .set("ipAddresses", texts(interface.addresses));
  set_unless_empty(value, "ipAssignment", interface.ip_assignment);
  set_unless_empty(value, "hardwareAddress", interface.hardware_address);
  return value;
}

json::Value to_json(const std::vector<NetInterface>& interfaces) {
  json::Value list{json::Array{}};
  for (const auto& interface : interfaces) {
    list.push(to_json(interface));
  }
  return json::Value{}.set("interfaces", std::move(list));
}

Result<std::vector<NetInterface>> interfaces_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto list = read_list<NetInterface>(reader, "interfaces",
                                      [&reader](const json::Value& item, std::string where) {
                                        return read_interface(reader, item, std::move(where));
                                      });
  return finish(reader, std::move(list));
}

json::Value to_json(const NetStatus& status) {
  return json::Value{}
      .set("deviceAuthenticationIsReady", status.device_authentication_ready)
      .set("networkTimeSync", status.time_sync)
      .set("proxy", status.proxy);
}

Result<NetStatus> net_status_from_json(const json::Value& value) {
  ObjectReader reader{value};
  NetStatus status{.device_authentication_ready = reader.boolean("deviceAuthenticationIsReady"),
                   .time_sync = reader.text("networkTimeSync"),
                   .proxy = reader.text("proxy")};
  return finish(reader, std::move(status));
}

json::Value to_json(const Proxy& proxy) {
  json::Value value = json::Value{}
                          .set("enabled", proxy.enabled)
                          .set("address", proxy.address)
                          .set("port", proxy.port)
                          .set("noProxyAddresses", texts(proxy.no_proxy_addresses))
                          .set("authenticationType", proxy.authentication);
  set_unless_empty(value, "username", proxy.username);
  set_unless_empty(value, "password", proxy.password);
  return value;
}

Result<std::optional<Proxy>> proxy_from_json(const json::Value& value) {
  if (value.kind() == json::Kind::object && value.members().empty()) {
    return std::optional<Proxy>{};
  }
  ObjectReader reader{value};
  Proxy proxy{.enabled = reader.boolean("enabled"),
              .address = reader.text("address"),
              .port = reader.integer("port"),
              .no_proxy_addresses = read_texts(reader, "noProxyAddresses"),
              .authentication = reader.text("authenticationType"),
              .username = reader.text_or_empty("username"),
              .password = reader.text_or_empty("password")};
  return finish(reader, std::optional{std::move(proxy)});
}

json::Value to_json(const WifiNetwork& network) {
  json::Value value = json::Value{}
                          .set("ssid", network.ssid)
                          .set("configState", network.config_state)
                          .set("connectionState", network.connection_state)
                          .set("id", network.id)
                          .set("securityState", network.security_state)
                          .set("targetedScan", network.targeted_scan);
  set_unless_empty(value, "configName", network.config_name);
  set_unless_empty(value, "clientCertStoreIdentifier", network.client_certificate);
  set_unless_empty(value, "rootCaCertStoreIdentifier", network.root_certificate);
  set_unless_empty(value, "clientIdentity", network.client_identity);
  return value;
}

Result<WifiNetwork> wifi_network_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto network = read_network(reader);
  return finish(reader, std::move(network));
}

Result<std::vector<WifiNetwork>> wifi_networks_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto list = read_list<WifiNetwork>(reader, "values",
                                     [&reader](const json::Value& item, std::string where) {
                                       ObjectReader inner{item, std::move(where)};
                                       auto network = read_network(inner);
                                       reader.take_error(inner.done());
                                       return network;
                                     });
  return finish(reader, std::move(list));
}

json::Value to_json(const WifiStatus& status) {
  json::Value value = json::Value{}
                          .set("configState", status.config_state)
                          .set("connectionState", status.connection_state)
                          .set("securityState", status.security_state)
                          .set("mode", status.mode)
                          .set("key_mgmt", status.key_management)
                          .set("wpa_state", status.wpa_state)
                          .set("address", status.hardware_address)
                          .set("id", status.id)
                          .set("powerSavingsState", status.power_savings);
  set_unless_empty(value, "ssid", status.ssid.value_or(""));
  set_unless_empty(value, "configName", status.config_name.value_or(""));
  set_unless_empty(value, "ip_address", status.ip_address.value_or(""));
  if (status.frequency_mhz) {
    value.set("freq", *status.frequency_mhz);
  }
  return value;
}

Result<WifiStatus> wifi_status_from_json(const json::Value& value) {
  ObjectReader reader{value};
  WifiStatus status{.config_state = reader.text("configState"),
                    .connection_state = reader.text("connectionState"),
                    .security_state = reader.text("securityState"),
                    .mode = reader.text("mode"),
                    .key_management = reader.text("key_mgmt"),
                    .wpa_state = reader.text("wpa_state"),
                    .hardware_address = reader.text("address"),
                    .id = reader.integer("id"),
                    .power_savings = reader.text_or_empty("powerSavingsState")};
  status.ssid = text_if_there(reader, "ssid");
  status.config_name = text_if_there(reader, "configName");
  status.ip_address = text_if_there(reader, "ip_address");
  if (const auto* frequency = reader.optional("freq")) {
    status.frequency_mhz = frequency->integer();
  }
  return finish(reader, std::move(status));
}

json::Value to_json(const std::vector<WifiScanEntry>& entries) {
  json::Value list{json::Array{}};
  for (const auto& entry : entries) {
    list.push(json::Value{}
                  .set("bssid", entry.bssid)
                  .set("freq", entry.frequency_mhz)
                  .set("signal_level", entry.signal_level)
                  .set("ssid", entry.ssid)
                  .set("securityState", entry.security_state));
  }
  return json::Value{}.set("values", std::move(list));
}

Result<std::vector<WifiScanEntry>> wifi_scan_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto list = read_list<WifiScanEntry>(
      reader, "values", [&reader](const json::Value& item, std::string where) {
        ObjectReader inner{item, std::move(where)};
        WifiScanEntry entry{.bssid = inner.text("bssid"),
                            .ssid = inner.text("ssid"),
                            .security_state = inner.text("securityState"),
                            .frequency_mhz = inner.integer("freq"),
                            .signal_level = inner.integer("signal_level")};
        reader.take_error(inner.done());
        return entry;
      });
  return finish(reader, std::move(list));
}

json::Value to_json(const WifiFailure& failure) {
  json::Value value = json::Value{}
                          .set("timestamp", failure.timestamp)
                          .set("networkId", failure.network_id)
                          .set("ssid", failure.ssid)
                          .set("configState", failure.config_state)
                          .set("connectionState", failure.connection_state)
                          .set("error", failure.error);
  if (failure.certificate) {
    value.set("certInfo", json::Value{}
                              .set("certSubject", failure.certificate->subject)
                              .set("certDepth", failure.certificate->depth)
                              .set("certError", failure.certificate->error));
  }
  return value;
}

Result<std::vector<WifiFailure>> wifi_failures_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto list = read_list<WifiFailure>(reader, "values",
                                     [&reader](const json::Value& item, std::string where) {
                                       return read_failure(reader, item, std::move(where));
                                     });
  return finish(reader, std::move(list));
}

json::Value to_json(const StoredCertificate& certificate) {
  return json::Value{}
      .set("id", certificate.id)
      .set("notBefore", certificate.not_before)
      .set("notAfter", certificate.not_after)
      .set("subjectName", certificate.subject)
      .set("issuerName", certificate.issuer);
}

Result<StoredCertificate> certificate_from_json(const json::Value& value) {
  ObjectReader reader{value};
  StoredCertificate certificate{.id = reader.text("id"),
                                .not_before = reader.text("notBefore"),
                                .not_after = reader.text("notAfter"),
                                .subject = reader.text("subjectName"),
                                .issuer = reader.text("issuerName")};
  return finish(reader, std::move(certificate));
}

json::Value to_json(const MemoryStats& stats) {
  json::Value apps{json::Array{}};
  for (const auto& app : stats.apps) {
    json::Value processes{json::Array{}};
    for (const auto pid : app.pids) {
      processes.push(
          json::Value{}.set("pid", pid).set("heapUsageByCaller", json::Value{json::Array{}}));
    }
    apps.push(
        json::Value{}.set("componentId", app.component_id).set("processes", std::move(processes)));
  }
  return json::Value{}
      .set("memoryStats", json::Value{}
                              .set("currentMemoryUsageInBytes", stats.current_bytes)
                              .set("userModeMemoryUsageInBytes", stats.user_bytes)
                              .set("peakUserModeMemoryUsageInBytes", stats.peak_user_bytes))
      .set("apps", std::move(apps));
}

Result<MemoryStats> memory_stats_from_json(const json::Value& value) {
  ObjectReader reader{value};
  ObjectReader sums{reader.object("memoryStats"), "memoryStats."};
  MemoryStats stats{.current_bytes = sums.integer("currentMemoryUsageInBytes"),
                    .user_bytes = sums.integer("userModeMemoryUsageInBytes"),
                    .peak_user_bytes = sums.integer("peakUserModeMemoryUsageInBytes")};
  reader.take_error(sums.done());
  stats.apps = read_list<MemoryStats::Process>(
      reader, "apps", [&reader](const json::Value& item, std::string where) {
        ObjectReader inner{item, std::move(where)};
        MemoryStats::Process app{.component_id = inner.text("componentId")};
        app.pids = read_list<std::int64_t>(inner, "processes",
                                           [&inner](const json::Value& process, std::string place) {
                                             ObjectReader row{process, std::move(place)};
                                             const auto pid = row.integer("pid");
                                             inner.take_error(row.done());
                                             return pid;
                                           });
        reader.take_error(inner.done());
        return app;
      });
  return finish(reader, std::move(stats));
}

}  // namespace sphere::device_api
