// SPDX-License-Identifier: MIT
// Every message of the diagnostic log and every category. Numbers are never reused.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "sphere/device_api/device_log.h"

namespace sphere::device_api {
namespace {

using enum LogParameterType;

// NOLINTBEGIN(modernize-use-designated-initializers): the rows of tables.
constexpr std::array kBoot = {LogParameter{"version", string}};
constexpr std::array kRequest = {LogParameter{"method", string}, LogParameter{"route", string},
                                 LogParameter{"status", unsigned_integer},
                                 LogParameter{"milliseconds", unsigned_integer}};
constexpr std::array kRefusal = {LogParameter{"method", string}, LogParameter{"route", string},
                                 LogParameter{"status", unsigned_integer},
                                 LogParameter{"error", common_error}};
constexpr std::array kEvent = {LogParameter{"event", string}, LogParameter{"component", string}};
constexpr std::array kChange = {LogParameter{"what", string}, LogParameter{"result", string}};
constexpr std::array kState = {LogParameter{"state", string}};
constexpr std::array kCapabilityUse = {LogParameter{"file", string},
                                       LogParameter{"result", string}};

constexpr std::array kMessages = {
    LogMessage{3, 1, LogPriority::info, "AgentStarted", "agent {0} started", kBoot},
    LogMessage{3, 2, LogPriority::info, "ManufacturingState", "manufacturing state is now {0}",
               kState},
    LogMessage{6, 1, LogPriority::info, "Request", "{0} {1}: {2} in {3} ms", kRequest},
    LogMessage{6, 2, LogPriority::warning, "Refusal", "{0} {1}: {2}, error {3}", kRefusal},
    LogMessage{7, 1, LogPriority::info, "AppEvent", "{0} of {1}", kEvent},
    LogMessage{20, 1, LogPriority::info, "Restart", "the board restarts", {}},
    LogMessage{22, 1, LogPriority::info, "Interface", "interface {0}: {1}", kChange},
    LogMessage{22, 2, LogPriority::info, "Proxy", "proxy {0}: {1}", kChange},
    LogMessage{30, 1, LogPriority::info, "Certificate", "certificate {0}: {1}", kChange},
    LogMessage{34, 1, LogPriority::info, "WifiNetwork", "Wi-Fi network {0}: {1}", kChange},
    LogMessage{262, 1, LogPriority::info, "CapabilityUsed", "capability file {0}: {1}",
               kCapabilityUse},
};

struct Category {
  std::uint16_t number;
  std::string_view name;
};

// The first numbers are those of the public log parser's set.
constexpr std::array kCategories = {
    Category{2, "networkd"},
    Category{3, "appman_init"},
    Category{4, "netsocket"},
    Category{5, "testagentd"},
    Category{6, "gatewayd"},
    Category{7, "appman"},
    Category{8, "appmanifest"},
    Category{9, "rftest_server"},
    Category{10, "azured"},
    Category{11, "applaunch"},
    Category{12, "deviceauth"},
    Category{13, "firewall"},
    Category{14, "uidmap"},
    Category{15, "ipc"},
    Category{16, "appman_apps"},
    Category{17, "appman_handlers"},
    Category{18, "appman_permissions"},
    Category{19, "appman_util"},
    Category{20, "rebooter"},
    Category{21, "quota"},
    Category{22, "netconfig"},
    Category{24, "spi"},
    Category{25, "i2c"},
    Category{26, "firewall_rules"},
    Category{28, "adctool"},
    Category{29, "httpd"},
    Category{30, "certstorage"},
    Category{31, "appman_sysevent"},
    Category{32, "peripheral"},
    Category{33, "skuser"},
    Category{34, "libwifi"},
    Category{35, "async_request"},
    Category{256, "sandbox"},
    Category{257, "attestation"},
    Category{258, "updater"},
    Category{259, "rtcore"},
    Category{260, "virtual"},
    Category{261, "devicetls"},
    Category{262, "capability"},
};
// NOLINTEND(modernize-use-designated-initializers)

}  // namespace

std::span<const LogMessage> log_messages() { return kMessages; }

const LogMessage* find_log_message(std::uint16_t category, std::uint16_t id) {
  const auto* const found = std::ranges::find_if(kMessages, [&](const LogMessage& message) {
    return message.category == category && message.id == id;
  });
  return found == kMessages.end() ? nullptr : found;
}

std::string_view log_category_name(std::uint16_t category) {
  const auto* const found = std::ranges::find(kCategories, category, &Category::number);
  return found == kCategories.end() ? std::string_view{} : found->name;
}

}  // namespace sphere::device_api
