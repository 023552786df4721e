// SPDX-License-Identifier: MIT
#include "device-agent/agent/broker/authorize.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sphere/manifest/manifest.h"

namespace sphere::agent {
namespace {

bool lists_number(const std::vector<manifest::PeripheralRef>& list, std::int64_t number) {
  return std::ranges::any_of(list, [number](const auto& entry) { return entry.number == number; });
}

}  // namespace

const VerbRule* find_rule(std::uint16_t verb) {
  for (const auto& rule : kVerbRules) {
    if (rule.verb == verb) {
      return &rule;
    }
  }
  return nullptr;
}

bool authorize(const manifest::Capabilities& capabilities, Need need, const Subject& subject) {
  switch (need) {
    case Need::nothing:
      return true;
    case Need::gpio_pin:
      return lists_number(capabilities.gpio, subject.number);
    case Need::uart_port: {
      const auto name = "ISU" + std::to_string(subject.number);
      return lists_number(capabilities.uart, subject.number) ||
             std::ranges::any_of(capabilities.uart,
                                 [&](const auto& entry) { return entry.text == name; });
    }
    case Need::mutable_storage:
      return capabilities.mutable_storage_kb.value_or(0) > 0;
    case Need::peer:
      return std::ranges::find(capabilities.allowed_application_connections, subject.peer) !=
             capabilities.allowed_application_connections.end();
    case Need::network_config:
      return capabilities.network_config;
  }
  return false;
}

}  // namespace sphere::agent
