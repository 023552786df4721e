// SPDX-License-Identifier: MIT
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/sandbox/ip_address.h"

namespace sphere::agent {

// AllowedConnections of a manifest, as the stub and the firewall use it.
class ConnectionList {
 public:
  static constexpr std::size_t kMostEntries = 64;

  ConnectionList() = default;
  // Entries that are neither a name nor an address, and those after the 64th, open nothing.
  explicit ConnectionList(const std::vector<std::string>& entries);

  // `name` as normalise_name() gives it. Never a suffix or a pattern.
  [[nodiscard]] bool allows(std::string_view name) const;
  // `_service._proto.domain` of the list: queries for PTR, SRV and TXT are answered, too.
  [[nodiscard]] bool is_service(std::string_view name) const;
  // The target of a service's SRV record.
  void add_target(const std::string& name);

  [[nodiscard]] const std::vector<IpAddress>& addresses() const noexcept { return addresses_; }
  [[nodiscard]] const std::vector<std::string>& dropped() const noexcept { return dropped_; }

 private:
  std::set<std::string, std::less<>> names_;
  std::vector<IpAddress> addresses_;
  std::vector<std::string> dropped_;
};

}  // namespace sphere::agent
