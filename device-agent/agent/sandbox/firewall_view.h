// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

// What nf_tables says that it holds: the JSON of libnftables 1.0 and up, read into the rules of the
// REST API and into refused destinations.
namespace sphere::agent {

struct FirewallApp;

struct FirewallRule {
  std::string destination = {};  // Address as text; "" is any.
  bool v6 = false;               // Of the destination.
  std::uint32_t uid = 0;
  bool accept = false;         // Else it drops.
  std::string interface = {};  // Outgoing; "" is any.
  std::string state = "none";  // none, established, related
  std::string protocol = "any";
  std::uint16_t source_port = 0, destination_port = 0;  // 0 is any.
  std::uint64_t packets = 0, bytes = 0;

  // Counters count for nothing.
  friend bool operator==(const FirewallRule& a, const FirewallRule& b);
};
[[nodiscard]] json::Value to_json(const FirewallRule& rule);

// The rules that packets of apps pass, app by app, in the kernel's order; an address set is a rule
// an address.
struct FirewallView {
  std::map<std::uint32_t, std::vector<FirewallRule>> apps;
  bool understood = true;  // False: it holds something that no agent put there.
};
// `listing` is what "list table" gives. Error: corrupt for what is no listing.
[[nodiscard]] Result<FirewallView> read_firewall(const json::Value& listing);

// The rules that an app should have; those of `opened` addresses come and go by themselves.
struct FirewallWish {
  std::vector<FirewallRule> rules;
  std::set<std::string> opened;
};
[[nodiscard]] FirewallWish wish_of(const FirewallApp& app);
// Whether the kernel holds what is wished for, and nothing more.
[[nodiscard]] bool fulfils(const FirewallView& view,
                           const std::map<std::uint32_t, FirewallWish>& wishes);
// GET /net/firewall/rulesets.
[[nodiscard]] json::Value rulesets_of(const FirewallView& view, bool valid);

// A destination that an app was kept from.
struct RefusedDestination {
  std::string address;
  std::uint16_t port = 0;
  std::string protocol;  // tcp, udp
  friend auto operator<=>(const RefusedDestination&, const RefusedDestination&) = default;
};
// Packets by destination, from what "list set" gives.
[[nodiscard]] Result<std::map<RefusedDestination, std::uint64_t>> read_refused(
    const json::Value& listing);

}  // namespace sphere::agent
