// SPDX-License-Identifier: MIT
// Listings of the kernel's packet filter, read into the rules of the REST API.
#include "device-agent/agent/sandbox/firewall_view.h"

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

constexpr std::string_view kHook =
    R"({"chain":{"family":"inet","name":"output","hook":"output","policy":"accept"}},
       {"rule":{"chain":"output","expr":[{"vmap":{"key":{"meta":{"key":"skuid"}},"data":"@apps"}}]}},
       {"map":{"name":"apps","elem":[[7,{"jump":{"target":"app_7"}}]]}},)";
constexpr std::string_view kSets =
    R"({"set":{"name":"allow_7_v4","elem":[{"elem":{"val":"1.2.3.4","counter":{"packets":3,"bytes":180}}},
       {"elem":{"val":"5.6.7.8","timeout":90,"expires":89,"counter":{"packets":1,"bytes":60}}}]}},
       {"set":{"name":"allow_7_v6"}},)";
constexpr std::string_view kRules =
    R"({"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"ct":{"key":"direction"}},"right":"original"}},
         {"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"established"}},{"counter":{"packets":9,"bytes":900}},{"accept":null}]}},
       {"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"ct":{"key":"direction"}},"right":"original"}},
         {"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"related"}},{"counter":{"packets":0,"bytes":0}},{"accept":null}]}},
       {"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"ct":{"key":"direction"}},"right":"reply"}},
         {"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"sport"}},"right":443}},{"counter":{"packets":0,"bytes":0}},{"accept":null}]}},
       {"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"meta":{"key":"oif"}},"right":"lo"}},
         {"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"127.53.0.7"}},
         {"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":53}},{"counter":{"packets":0,"bytes":0}},{"accept":null}]}},
       {"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"@allow_7_v4"}},{"accept":null}]}},
       {"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip6","field":"daddr"}},"right":"@allow_7_v6"}},{"accept":null}]}},
       {"rule":{"chain":"app_7","expr":[{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":{"set":["tcp","udp"]}}},
         {"set":{"op":"update","elem":{"concat":[]},"set":"@refused_7_v4","stmt":[{"counter":null}]}}]}})";
constexpr std::string_view kLast =
    R"({"rule":{"chain":"app_7","expr":[{"counter":{"packets":2,"bytes":58}},{"reject":{"type":"icmpx","expr":"admin-prohibited"}}]}})";

std::string listing(std::string_view more = kLast) {
  std::string text = R"({"nftables":[)";
  text.append(kHook).append(kSets).append(kRules).append(",").append(more).append("]}");
  return text;
}

FirewallView view_of(const std::string& text) {
  return read_firewall(json::parse(text).value()).value();
}

std::map<std::uint32_t, FirewallWish> wishes(bool looked_up = true) {
  auto wish = wish_of({.uid = 7,
                       .stub = *parse_address("127.53.0.7"),
                       .addresses = {*parse_address("1.2.3.4")},
                       .tcp_server_ports = {443},
                       .udp_server_ports = {}});
  if (looked_up) {
    wish.opened = {"5.6.7.8"};
  }
  return {{7, wish}};
}

}  // namespace

TEST_CASE("a listing becomes rules with addresses, ports, states and counters") {
  const auto view = view_of(listing());
  CHECK(view.understood);
  CHECK(fulfils(view, wishes()));
  const auto sets = rulesets_of(view, true);
  const auto& set = sets.find("rulesets")->items().at(0);
  const auto& rules = set.find("rules")->items();
  REQUIRE(rules.size() == 7);
  CHECK(rules[0].string_at("state") == "established");
  CHECK(rules[0].integer_at("bytes") == 900);
  CHECK(rules[1].string_at("state") == "related");
  CHECK(rules[2].find("sourcePortRange")->integer_at("min") == 443);
  CHECK(rules[2].find("destinationPortRange")->integer_at("max") == 65535);
  CHECK(json::to_compact(rules[3]) ==
        R"({"sourceIP":"0.0.0.0","sourceMask":"0.0.0.0","destinationIP":"127.53.0.7",)"
        R"("destinationMask":"255.255.255.255","uid":7,"action":"accept","interfaceInName":"",)"
        R"("interfaceOutName":"lo","state":"none","tcpMask":[],"tcpCmp":[],"tcpInv":false,)"
        R"("protocol":"udp","sourcePortRange":{"min":0,"max":65535},)"
        R"("destinationPortRange":{"min":53,"max":53},"packets":0,"bytes":0})");
  CHECK(rules[5].string_at("destinationIP") == "5.6.7.8");
  CHECK(rules[5].integer_at("packets") == 1);
  CHECK(rules[6].string_at("action") == "drop");
  CHECK(rules[6].integer_at("packets") == 2);
}

TEST_CASE("what the kernel holds beside or without what was wished for is not valid") {
  CHECK_FALSE(fulfils(view_of(listing()), wishes(false)));  // An address nobody asked for.
  CHECK_FALSE(fulfils(view_of(listing()), {}));
  CHECK_FALSE(fulfils(view_of(R"({"nftables":[]})"), wishes()));
  const auto last = std::string{kLast};
  constexpr std::string_view kOpen = R"({"rule":{"chain":"app_7","expr":[{"accept":null}]}})";
  CHECK_FALSE(fulfils(view_of(listing(std::string{kOpen} + "," + last)), wishes()));
  CHECK_FALSE(fulfils(view_of(listing(last + "," + std::string{kOpen})), wishes()));
  CHECK_FALSE(fulfils(view_of(listing(kOpen)), wishes()));  // No reject.
  constexpr std::string_view kStrange =
      R"({"rule":{"chain":"app_7","expr":[{"match":{"left":{"rt":{"key":"mtu"}},"right":1}},{"accept":null}]}})";
  CHECK_FALSE(fulfils(view_of(listing(std::string{kStrange} + "," + last)), wishes()));
  // Each part of the listing taken away once.
  for (const std::string_view gone :
       {R"("data":"@apps")", R"("hook":"output")", R"(7,{"jump")", R"("val":"1.2.3.4")",
        R"("right":443)", R"("right":"lo")", R"("right":53)", R"("right":"@allow_7_v4")"}) {
    INFO(gone);
    auto text = listing();
    const auto at = text.find(gone);
    REQUIRE(at != std::string::npos);
    text.replace(at + 1, 1, gone[1] == '"' || gone[1] == ',' ? ",0," : "X");
    const auto parsed = json::parse(text);
    CHECK((!parsed || !fulfils(read_firewall(*parsed).value(), wishes())));
  }
}

TEST_CASE("refused destinations are read with their packets") {
  const auto refused = read_refused(
      json::parse(R"({"nftables":[{"metainfo":{}},{"set":{"name":"refused_7_v4","elem":[
        {"elem":{"val":{"concat":["9.9.9.9","udp",53]},"expires":59,"counter":{"packets":2,"bytes":58}}},
        {"elem":{"val":{"concat":["9.9.9.9","tcp",80]},"expires":59,"counter":{"packets":1,"bytes":29}}},
        {"elem":{"val":{"concat":["9.9.9.9"]}}}, 7]}}]})")
          .value());
  REQUIRE(refused);
  REQUIRE(refused->size() == 2);
  CHECK(refused->at({.address = "9.9.9.9", .port = 53, .protocol = "udp"}) == 2);
  CHECK_FALSE(read_refused(json::parse("[]").value()));
  CHECK_FALSE(read_firewall(json::parse(R"({"nftables":1})").value()));
}
