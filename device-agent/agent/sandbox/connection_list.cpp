// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/connection_list.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device-agent/agent/sandbox/dns_message.h"
#include "device-agent/agent/sandbox/ip_address.h"

namespace sphere::agent {
namespace {

// Where mDNS queries go (RFC 6762), which an app with a service below .local sends itself.
constexpr IpAddress kMulticastDns = {.v6 = false, .bytes = {224, 0, 0, 251}};
constexpr std::size_t kMostTargets = 64;

bool looks_like_service(std::string_view name) {
  return name.starts_with('_') && name.find("._") != std::string_view::npos;
}

}  // namespace

ConnectionList::ConnectionList(const std::vector<std::string>& entries) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    if (i >= kMostEntries) {
      dropped_.push_back(entry);
    } else if (const auto address = parse_address(entry)) {
      addresses_.push_back(*address);
    } else if (auto name = normalise_name(entry)) {
      if (looks_like_service(*name) && name->ends_with(".local")) {
        addresses_.push_back(kMulticastDns);
      }
      names_.insert(*std::move(name));
    } else {
      dropped_.push_back(entry);
    }
  }
}

bool ConnectionList::allows(std::string_view name) const { return names_.contains(name); }

bool ConnectionList::is_service(std::string_view name) const {
  return allows(name) && looks_like_service(name);
}

void ConnectionList::add_target(const std::string& name) {
  if (names_.size() < kMostEntries + kMostTargets) {
    names_.insert(name);
  }
}

}  // namespace sphere::agent
