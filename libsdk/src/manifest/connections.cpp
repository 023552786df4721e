// SPDX-License-Identifier: MIT
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/lists.h"
#include "libsdk/src/manifest/rules.h"
#include "sphere/core/guid.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

constexpr std::size_t kMostConnections = 64;

void read_connections(Draft& draft, const KeyRule& rule, const Place& place,
                      const json::Value& value) {
  const auto read = [&](const json::Value& item, const Place& here) {
    const auto* const text = item.string();
    if (text == nullptr) {
      draft.findings.error(rule.error, here, fmt::format("{} is not a string", shown(item)),
                           "write host names in quotes");
      return;
    }
    if (!is_connection_target(*text)) {
      draft.findings.warn("NotAHostName", here,
                          fmt::format("{} is no host name and no IP address", quoted(*text)),
                          "devices ignore it; write the name of the host without blanks or scheme");
    }
    draft.manifest.capabilities.allowed_connections.push_back(*text);
  };
  read_list(draft, rule, place, value, "a list of host names", read);
  if (value.items().size() > kMostConnections) {
    draft.findings.error(rule.error, place,
                         fmt::format("\"{}\" has {} entries; an app may have {}", rule.key,
                                     value.items().size(), kMostConnections),
                         "remove some");
  }
}

// kIllegal: the number of the error for a value outside 1...65535.
template <std::vector<std::uint16_t> Capabilities::* list, std::uint32_t kIllegal>
void read_ports(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  const auto read = [&](const json::Value& item, const Place& here) {
    const auto port = item.integer();
    if (!port) {
      draft.findings.error(rule.error, here, fmt::format("{} is not a port number", shown(item)),
                           "write an integer without quotes");
    } else if (*port < 1 || *port > 65535) {
      draft.findings.error(kIllegal, here, fmt::format("{} is not a port number", *port),
                           "ports are 1 to 65535");
    } else {
      (draft.manifest.capabilities.*list).push_back(static_cast<std::uint16_t>(*port));
    }
  };
  read_list(draft, rule, place, value, "a list of port numbers", read);
}

void read_partners(Draft& draft, const KeyRule& rule, const Place& place,
                   const json::Value& value) {
  const auto read = [&](const json::Value& item, const Place& here) {
    const auto* const text = item.string();
    const auto guid = text == nullptr ? std::nullopt : Guid::parse(*text);
    if (!guid) {
      draft.findings.error(rule.error, here, fmt::format("{} is not a component id", shown(item)),
                           "write the partner's ComponentId: 8-4-4-4-12 hexadecimal digits");
      return;
    }
    draft.manifest.capabilities.allowed_application_connections.push_back(*guid);
  };
  read_list(draft, rule, place, value, "a list of component ids", read);
}

constexpr std::array<KeyRule, 4> kRules = {{
    {.key = "AllowedConnections",
     .error = 9,
     .read = read_connections,
     .example = "[\"www.example.com\"]",
     .real_time = false},
    {.key = "AllowedTcpServerPorts",
     .error = 36,
     .read = read_ports<&Capabilities::allowed_tcp_server_ports, 38>,
     .example = "[11000]",
     .real_time = false},
    {.key = "AllowedUdpServerPorts",
     .error = 37,
     .read = read_ports<&Capabilities::allowed_udp_server_ports, 39>,
     .example = "[11000]",
     .real_time = false},
    {.key = "AllowedApplicationConnections",
     .error = 43,
     .read = read_partners,
     .example = "[\"<ComponentId of the partner>\"]"},
}};

bool is_label(const std::string& label) {
  constexpr std::size_t kMostBytes = 63;  // RFC 1035 section 2.3.4
  return !label.empty() && label.size() <= kMostBytes &&
         std::ranges::all_of(label, [](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                  (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
         });
}

}  // namespace

std::span<const KeyRule> connection_rules() { return kRules; }

bool is_connection_target(std::string_view entry) {
  constexpr std::size_t kMostBytes = 253;  // RFC 1035 section 2.3.4, without the root's dot
  if (entry.empty() || entry.size() > kMostBytes) {
    return false;
  }
  in6_addr ignored = {};
  if (inet_pton(AF_INET6, std::string{entry}.c_str(), &ignored) == 1) {
    return entry.find('\0') == std::string_view::npos;
  }
  const auto labels = split(entry, '.');  // An IPv4 address is four labels of digits.
  return std::ranges::all_of(labels, is_label);
}

}  // namespace sphere::manifest
