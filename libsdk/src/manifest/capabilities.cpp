// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/rules.h"
#include "sphere/core/guid.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

constexpr std::size_t kMostTenantBytes = 63;  // Devices keep 64 bytes with the end mark.
constexpr std::int64_t kMostStorageKb = 64;

template <bool Capabilities::* flag>
void read_flag(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  if (!value.boolean()) {
    report_form(draft, rule, place, value, "true or false");
    return;
  }
  draft.manifest.capabilities.*flag = value.boolean().value_or(false);
}

template <bool Capabilities::* flag>
constexpr KeyRule flag_rule(std::string_view key, std::uint32_t error) {
  return {
      .key = key, .error = error, .read = read_flag<flag>, .example = "true", .real_time = false};
}

bool is_digits(const json::Value& value) {
  const auto& text = value.number_text();
  return value.kind() == json::Kind::number &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

void read_size(Draft& draft, const Place& place, const json::Value& size) {
  constexpr std::uint32_t kNotASize = 33;
  constexpr std::uint32_t kTooLarge = 34;
  const auto kb = size.integer();
  if (!is_digits(size)) {
    draft.findings.error(kNotASize, place,
                         fmt::format("\"SizeKB\" is {}, not an integer from 0 on", shown(size)),
                         "write \"SizeKB\": 8");
  } else if (!kb || *kb > kMostStorageKb) {
    draft.findings.error(
        kTooLarge, place,
        fmt::format("\"SizeKB\" is {}; a device has {} for an app", shown(size), kMostStorageKb),
        fmt::format("write {} or less", kMostStorageKb));
  } else {
    draft.manifest.capabilities.mutable_storage_kb = static_cast<std::uint32_t>(*kb);
  }
}

void read_storage(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  constexpr std::uint32_t kNoSize = 32;
  if (value.kind() != json::Kind::object) {
    report_form(draft, rule, place, value, "an object");
    return;
  }
  for (const auto& member : value.members()) {
    if (member.key == "SizeKB") {
      read_size(draft, place.member(member), member.value);
      continue;
    }
    const std::array<std::string, 1> known = {"SizeKB"};
    draft.findings.warn("UnknownKey", place.member(member),
                        fmt::format("{} is no key of \"{}\"", quoted(member.key), rule.key),
                        suggestion(member.key, known));
  }
  if (value.find("SizeKB") == nullptr) {
    draft.findings.error(kNoSize, place, fmt::format(R"("{}" has no "SizeKB")", rule.key),
                         fmt::format("write \"{}\": {}", rule.key, rule.example));
  }
}

void read_device_authentication(Draft& draft, const KeyRule& rule, const Place& place,
                                const json::Value& value) {
  constexpr std::uint32_t kTooLong = 29;
  const auto* const text = value.string();
  if (text == nullptr) {
    report_form(draft, rule, place, value, "a catalog id");
    return;
  }
  if (text->size() > kMostTenantBytes) {
    draft.findings.error(kTooLong, place,
                         fmt::format("\"{}\" has {} bytes; devices keep {}", rule.key, text->size(),
                                     kMostTenantBytes),
                         "write the catalog's id, a GUID");
    return;
  }
  if (!Guid::parse(*text)) {
    draft.findings.warn(
        "NotACatalogId", place,
        fmt::format("\"{}\" is {}, not the id of a catalog", rule.key, quoted(*text)),
        "write the id that 'sphere catalog show-selected' prints");
  }
  draft.manifest.capabilities.device_authentication = *text;
}

void read_power_controls(Draft& draft, const KeyRule& rule, const Place& place,
                         const json::Value& value) {
  constexpr std::uint32_t kEmpty = 49;
  constexpr std::uint32_t kUnknown = 50;
  const std::array<std::string, 3> known = {"ForceReboot", "ForcePowerDown", "SetPowerProfile"};
  if (value.kind() != json::Kind::array) {
    report_form(draft, rule, place, value, "a list");
    return;
  }
  if (value.items().empty()) {
    draft.findings.error(kEmpty, place, "\"PowerControls\" is an empty list",
                         "name a control, or remove the key");
  }
  auto& controls = draft.manifest.capabilities.power_controls;
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    const auto& item = value.items()[i];
    const auto* const text = item.string();
    if (text == nullptr || std::ranges::find(known, *text) == known.end()) {
      auto hint = text == nullptr ? std::string{} : suggestion(*text, known);
      draft.findings.error(
          kUnknown, place.item(i, item), fmt::format("{} is no power control", shown(item)),
          hint.empty() ? "write ForceReboot, ForcePowerDown or SetPowerProfile" : hint);
    } else if (std::ranges::find(controls, *text) != controls.end()) {
      draft.findings.error(rule.error, place.item(i, item),
                           fmt::format("{} stands twice in \"{}\"", quoted(*text), rule.key),
                           "remove one");
    } else {
      controls.push_back(*text);
    }
  }
}

constexpr std::array<KeyRule, 17> kRules = {{
    {.key = "MutableStorage",
     .error = 31,
     .read = read_storage,
     .example = "{\"SizeKB\": 8}",
     .real_time = false},
    {.key = "DeviceAuthentication",
     .error = 24,
     .read = read_device_authentication,
     .example = "\"<catalog id>\"",
     .real_time = false},
    {.key = "PowerControls",
     .error = 48,
     .read = read_power_controls,
     .example = "[\"ForceReboot\"]",
     .real_time = false},
    flag_rule<&Capabilities::network_config>("NetworkConfig", 11),
    flag_rule<&Capabilities::wifi_config>("WifiConfig", 15),
    flag_rule<&Capabilities::enterprise_wifi_config>("EnterpriseWifiConfig", 45),
    flag_rule<&Capabilities::system_time>("SystemTime", 30),
    flag_rule<&Capabilities::time_sync_config>("TimeSyncConfig", 40),
    flag_rule<&Capabilities::cert_store>("CertStore", 44),
    flag_rule<&Capabilities::dhcp_service>("DhcpService", 41),
    flag_rule<&Capabilities::sntp_service>("SntpService", 42),
    flag_rule<&Capabilities::read_network_proxy_config>("ReadNetworkProxyConfig", 56),
    flag_rule<&Capabilities::system_event_notifications>("SystemEventNotifications", 46),
    flag_rule<&Capabilities::software_update_deferral>("SoftwareUpdateDeferral", 47),
    flag_rule<&Capabilities::hardware_address_config>("HardwareAddressConfig", 51),
    flag_rule<&Capabilities::reset_memory_watermarks>("ResetMemoryWatermarks", 57),
    flag_rule<&Capabilities::heap_mem_stats>("HeapMemStats", 58),
}};

std::vector<KeyRule> all_rules() {
  std::vector<KeyRule> all(kRules.begin(), kRules.end());
  for (const auto rules : {peripheral_rules(), connection_rules()}) {
    all.insert(all.end(), rules.begin(), rules.end());
  }
  return all;
}

void report_unknown_capability(Draft& draft, const Place& place, const json::Member& member) {
  std::vector<std::string> known;
  for (const auto& rule : all_rules()) {
    known.emplace_back(rule.key);
  }
  auto message = fmt::format("{} is no capability", quoted(member.key));
  auto hint = suggestion(member.key, known);
  if (draft.reader == Reader::device) {
    draft.findings.error(1, 24, "IllegalCapabilityInManifest", place, std::move(message),
                         std::move(hint));
  } else {
    draft.findings.warn("UnknownCapability", place, message + "; devices refuse the app",
                        std::move(hint));
  }
}

bool is_requested(const json::Value& value) {
  return value.boolean() != false && (value.kind() != json::Kind::array || !value.items().empty());
}

// Capabilities of the other kind of app.
void warn_of_no_effect(Draft& draft, const Place& place, const json::Value& capabilities) {
  const auto rules = all_rules();
  const bool real_time = draft.manifest.type == ApplicationType::real_time;
  for (const auto& member : capabilities.members()) {
    const auto rule =
        std::ranges::find_if(rules, [&](const KeyRule& row) { return row.key == member.key; });
    if (rule == rules.end() || !is_requested(member.value) ||
        (real_time ? rule->real_time : rule->high_level)) {
      continue;
    }
    draft.findings.warn(real_time ? "NoEffectInRealTimeApp" : "NoEffectInHighLevelApp",
                        place.member(member),
                        fmt::format("\"{}\" has no effect in a {} app", rule->key,
                                    real_time ? "real-time" : "high-level"),
                        "remove it");
  }
}

void warn_of_lone_flags(Draft& draft, const Place& place, const json::Value& capabilities) {
  const auto requested = [&](std::string_view key) {
    return capabilities.boolean_at(key).value_or(false);
  };
  struct Pair {
    std::string_view key, needs, rule;
  };
  constexpr std::array<Pair, 2> kPairs = {
      {{.key = "EnterpriseWifiConfig", .needs = "WifiConfig", .rule = "EnterpriseWifiConfigAlone"},
       {.key = "SoftwareUpdateDeferral",
        .needs = "SystemEventNotifications",
        .rule = "SoftwareUpdateDeferralAlone"}}};
  for (const auto& member : capabilities.members()) {
    for (const auto& pair : kPairs) {
      if (member.key == pair.key && requested(pair.key) && !requested(pair.needs)) {
        draft.findings.warn(pair.rule, place.member(member),
                            fmt::format(R"("{}" is of no use without "{}")", pair.key, pair.needs),
                            fmt::format("add \"{}\": true", pair.needs));
      }
    }
  }
}

}  // namespace

void read_capabilities(Draft& draft, const KeyRule& rule, const Place& place,
                       const json::Value& value) {
  if (value.kind() != json::Kind::object) {
    report_form(draft, rule, place, value, "an object");
    return;
  }
  read_members(draft, all_rules(), place, value, report_unknown_capability);
  warn_of_no_effect(draft, place, value);
  warn_of_lone_flags(draft, place, value);
  check_pins(draft, place, value);
}

}  // namespace sphere::manifest
