// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/firewall_view.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

// A rule as it is being read.
struct ReadRule {
  FirewallRule rule;
  std::string set = {};  // Of its destinations.
  bool has_verdict = false;
  bool understood = true;
};

std::string text_of(const json::Value* value) {
  const auto* text = value == nullptr ? nullptr : value->string();
  return text == nullptr ? std::string{} : *text;
}

const json::Value* at(const json::Value* value, std::string_view key) {
  return value == nullptr ? nullptr : value->find(key);
}

const json::Array& elements_of(const json::Value* set) {
  static const json::Array kNone;
  const auto* elements = at(set, "elem");
  return elements == nullptr ? kNone : elements->items();
}

std::optional<std::uint16_t> port_of(const json::Value* value) {
  const auto number = value == nullptr ? std::nullopt : value->integer();
  return number && *number > 0 && *number <= std::numeric_limits<std::uint16_t>::max()
             ? std::optional{static_cast<std::uint16_t>(*number)}
             : std::nullopt;
}

std::uint64_t count_of(const json::Value* counter, std::string_view key) {
  const auto number = counter == nullptr ? std::nullopt : counter->integer_at(key);
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

// {"payload": {"protocol": "tcp", "field": "dport"}}
bool read_payload(ReadRule& read, const json::Value& payload, const json::Value* right) {
  const auto protocol = payload.string_at("protocol").value_or("");
  const auto field = payload.string_at("field").value_or("");
  if (field == "daddr" && (protocol == "ip" || protocol == "ip6")) {
    read.rule.v6 = protocol == "ip6";
    auto text = text_of(right);
    (text.starts_with("@") ? read.set : read.rule.destination) = std::move(text);
    return true;
  }
  const auto port = port_of(right);
  if (!port || (protocol != "tcp" && protocol != "udp")) {
    return false;
  }
  read.rule.protocol = protocol;
  if (field == "sport") {
    read.rule.source_port = *port;
    return true;
  }
  read.rule.destination_port = *port;
  return field == "dport";
}

bool read_match(ReadRule& read, const json::Value& match) {
  const auto* left = match.find("left");
  const auto* right = match.find("right");
  if (const auto* payload = at(left, "payload")) {
    return read_payload(read, *payload, right);
  }
  if (const auto* meta = at(left, "meta")) {
    const auto key = meta->string_at("key").value_or("");
    if (key == "oif") {
      read.rule.interface = text_of(right);
      return !read.rule.interface.empty();
    }
    return key == "l4proto" || key == "nfproto";  // Of rules without a verdict.
  }
  const auto key = text_of(at(at(left, "ct"), "key"));
  const auto value = text_of(right);
  if (key == "direction" && (value == "original" || value == "reply")) {
    if (value == "reply") {
      read.rule.state = "established";
    }
    return true;
  }
  if (key == "state" && (value == "established" || value == "related")) {
    read.rule.state = value;
    return true;
  }
  return false;
}

bool read_expression(ReadRule& read, const json::Value& expression) {
  if (const auto* match = expression.find("match")) {
    return read_match(read, *match);
  }
  if (const auto* counter = expression.find("counter")) {
    read.rule.packets = count_of(counter, "packets");
    read.rule.bytes = count_of(counter, "bytes");
    return true;
  }
  const bool accepts = expression.find("accept") != nullptr;
  if (accepts || expression.find("reject") != nullptr) {
    read.rule.accept = accepts;
    read.has_verdict = true;
    return true;
  }
  return expression.find("set") != nullptr;  // Notes a refused destination.
}

ReadRule read_rule(const json::Value& rule) {
  ReadRule read;
  const auto* expressions = rule.find("expr");
  if (expressions == nullptr || expressions->items().empty()) {
    read.understood = false;
    return read;
  }
  for (const auto& expression : expressions->items()) {
    read.understood = read_expression(read, expression) && read.understood;
  }
  return read;
}

// An element is its key, or an object around it where it has a time or a counter.
struct Element {
  const json::Value* key = nullptr;
  const json::Value* counter = nullptr;
};

Element element_of(const json::Value& value) {
  const auto* wrapped = value.find("elem");
  return wrapped == nullptr
             ? Element{.key = &value}
             : Element{.key = wrapped->find("val"), .counter = wrapped->find("counter")};
}

// What the parts of a listing are, by name.
struct Listing {
  std::map<std::string, const json::Value*> sets;
  std::map<std::string, std::vector<const json::Value*>> rules;
  std::map<std::uint32_t, std::string> jumps;  // uid to chain
  bool hooked = false;
};

void take_map(Listing& listing, const json::Value& map) {
  for (const auto& pair : elements_of(&map)) {
    const auto uid = pair.items().empty() ? std::nullopt : pair.items().front().integer();
    const auto chain =
        pair.items().size() == 2 ? text_of(at(pair.items().back().find("jump"), "target")) : "";
    if (uid && *uid >= 0 && *uid <= std::numeric_limits<std::uint32_t>::max() && !chain.empty()) {
      listing.jumps[static_cast<std::uint32_t>(*uid)] = chain;
    }
  }
}

Listing sort_listing(const std::vector<json::Value>& objects) {
  Listing listing;
  for (const auto& object : objects) {
    if (const auto* set = object.find("set")) {
      listing.sets["@" + set->string_at("name").value_or("")] = set;
    } else if (const auto* map = object.find("map")) {
      take_map(listing, *map);
    } else if (const auto* chain = object.find("chain")) {
      listing.hooked = listing.hooked || (chain->string_at("hook") == "output" &&
                                          chain->string_at("name") == "output");
    } else if (const auto* rule = object.find("rule")) {
      listing.rules[rule->string_at("chain").value_or("")].push_back(rule);
    }
  }
  return listing;
}

// The one rule of the hook leads each user to the rules of its own.
bool leads_to_apps(const Listing& listing) {
  const auto found = listing.rules.find("output");
  if (!listing.hooked || found == listing.rules.end() || found->second.size() != 1) {
    return false;
  }
  const auto* expressions = found->second.front()->find("expr");
  return expressions != nullptr && expressions->items().size() == 1 &&
         text_of(at(expressions->items().front().find("vmap"), "data")) == "@apps";
}

void add_members(std::vector<FirewallRule>& rules, const FirewallRule& pattern,
                 const json::Value* set) {
  for (const auto& value : elements_of(set)) {
    const auto element = element_of(value);
    auto rule = pattern;
    rule.destination = text_of(element.key);
    rule.packets = count_of(element.counter, "packets");
    rule.bytes = count_of(element.counter, "bytes");
    rules.push_back(std::move(rule));
  }
}

std::vector<FirewallRule> rules_of(const Listing& listing, std::uint32_t uid,
                                   const std::string& chain, bool& understood) {
  std::vector<FirewallRule> rules;
  const auto found = listing.rules.find(chain);
  for (const auto* value :
       found == listing.rules.end() ? std::vector<const json::Value*>{} : found->second) {
    auto read = read_rule(*value);
    read.rule.uid = uid;
    understood = understood && read.understood;
    if (!read.set.empty()) {
      const auto set = listing.sets.find(read.set);
      understood = understood && set != listing.sets.end();
      add_members(rules, read.rule, set == listing.sets.end() ? nullptr : set->second);
    } else if (read.has_verdict) {
      rules.push_back(std::move(read.rule));
    }
  }
  return rules;
}

std::string mask_of(const FirewallRule& rule) {
  if (rule.destination.empty()) {
    return "0.0.0.0";
  }
  return rule.v6 ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "255.255.255.255";
}

json::Value range_of(std::uint16_t port) {
  constexpr int kLast = std::numeric_limits<std::uint16_t>::max();
  return json::Value{}
      .set("min", static_cast<int>(port))
      .set("max", port == 0 ? kLast : static_cast<int>(port));
}

}  // namespace

bool operator==(const FirewallRule& a, const FirewallRule& b) {
  const auto key = [](const FirewallRule& rule) {
    return std::tie(rule.destination, rule.v6, rule.uid, rule.accept, rule.interface, rule.state,
                    rule.protocol, rule.source_port, rule.destination_port);
  };
  return key(a) == key(b);
}

json::Value to_json(const FirewallRule& rule) {
  return json::Value{}
      .set("sourceIP", "0.0.0.0")
      .set("sourceMask", "0.0.0.0")
      .set("destinationIP", rule.destination.empty() ? "0.0.0.0" : rule.destination)
      .set("destinationMask", mask_of(rule))
      .set("uid", static_cast<std::int64_t>(rule.uid))
      .set("action", rule.accept ? "accept" : "drop")
      .set("interfaceInName", "")
      .set("interfaceOutName", rule.interface)
      .set("state", rule.state)
      .set("tcpMask", json::Value{json::Array{}})
      .set("tcpCmp", json::Value{json::Array{}})
      .set("tcpInv", false)
      .set("protocol", rule.protocol)
      .set("sourcePortRange", range_of(rule.source_port))
      .set("destinationPortRange", range_of(rule.destination_port))
      .set("packets", rule.packets)
      .set("bytes", rule.bytes);
}

Result<FirewallView> read_firewall(const json::Value& listing) {
  const auto* objects = listing.find("nftables");
  if (objects == nullptr || objects->kind() != json::Kind::array) {
    return fail(Errc::corrupt, "nf_tables gave no listing");
  }
  const auto sorted = sort_listing(objects->items());
  FirewallView view;
  view.understood = leads_to_apps(sorted);
  for (const auto& [uid, chain] : sorted.jumps) {
    view.apps[uid] = rules_of(sorted, uid, chain, view.understood);
  }
  return view;
}

FirewallWish wish_of(const FirewallApp& app) {
  FirewallWish wish;
  const auto add = [&](FirewallRule rule) {
    rule.uid = app.uid;
    wish.rules.push_back(std::move(rule));
  };
  add({.accept = true, .state = "established"});
  add({.accept = true, .state = "related"});
  for (const auto port : app.tcp_server_ports) {
    add({.accept = true, .state = "established", .protocol = "tcp", .source_port = port});
  }
  for (const auto port : app.udp_server_ports) {
    add({.accept = true, .state = "established", .protocol = "udp", .source_port = port});
  }
  add({.destination = to_text(app.stub),
       .accept = true,
       .interface = "lo",
       .protocol = "udp",
       .destination_port = 53});
  for (const bool v6 : {false, true}) {
    for (const auto& address : app.addresses) {
      if (address.v6 == v6) {
        add({.destination = to_text(address), .v6 = v6, .accept = true});
      }
    }
  }
  add({.accept = false});
  return wish;
}

bool fulfils(const FirewallView& view, const std::map<std::uint32_t, FirewallWish>& wishes) {
  if (!view.understood || view.apps.size() != wishes.size()) {
    return false;
  }
  return std::ranges::all_of(wishes, [&](const auto& entry) {
    const auto& [uid, wish] = entry;
    const auto found = view.apps.find(uid);
    if (found == view.apps.end()) {
      return false;
    }
    const auto is_wished = [&](const FirewallRule& rule) {
      return std::ranges::find(wish.rules, rule) != wish.rules.end() ||
             (rule ==
                  FirewallRule{
                      .destination = rule.destination, .v6 = rule.v6, .uid = uid, .accept = true} &&
              wish.opened.contains(rule.destination));
    };
    const auto is_there = [&](const FirewallRule& rule) {
      return std::ranges::find(found->second, rule) != found->second.end();
    };
    return !found->second.empty() && found->second.back() == wish.rules.back() &&
           std::ranges::all_of(found->second, is_wished) &&
           std::ranges::all_of(wish.rules, is_there);
  });
}

json::Value rulesets_of(const FirewallView& view, bool valid) {
  json::Value rules{json::Array{}};
  for (const auto& [uid, list] : view.apps) {
    for (const auto& rule : list) {
      rules.push(to_json(rule));
    }
  }
  json::Value sets{json::Array{}};
  sets.push(json::Value{}.set("hook", "OUTPUT").set("isValid", valid).set("rules", rules));
  return json::Value{}.set("rulesets", sets);
}

Result<std::map<RefusedDestination, std::uint64_t>> read_refused(const json::Value& listing) {
  const auto* objects = listing.find("nftables");
  if (objects == nullptr) {
    return fail(Errc::corrupt, "nf_tables gave no listing");
  }
  std::map<RefusedDestination, std::uint64_t> refused;
  for (const auto& object : objects->items()) {
    for (const auto& value : elements_of(object.find("set"))) {
      const auto element = element_of(value);
      const auto* parts = at(element.key, "concat");
      if (parts == nullptr || parts->items().size() != 3) {
        continue;
      }
      const auto port = port_of(&parts->items()[2]);
      refused[{.address = text_of(parts->items().data()),
               .port = port.value_or(0),
               .protocol = text_of(&parts->items()[1])}] = count_of(element.counter, "packets");
    }
  }
  return refused;
}

}  // namespace sphere::agent
