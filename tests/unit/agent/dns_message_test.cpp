// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/dns_message.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/connection_list.h"
#include "device-agent/agent/sandbox/dns_stub.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "tests/support/dns_reply.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::DnsReply;

constexpr std::uint16_t kA = 1;

DnsQuery query_for(const std::string& name, std::uint16_t type = kA) {
  return {.id = 0x1234, .question = {.name = name, .type = type}};
}

std::string chain_name(std::size_t number) { return "n" + std::to_string(number) + ".example"; }

std::vector<std::byte> chain(std::size_t aliases) {
  DnsReply reply{query_for(chain_name(0)), 0};
  for (std::size_t i = 0; i < aliases; ++i) {
    reply.alias(chain_name(i), chain_name(i + 1));
  }
  return reply.address(chain_name(aliases), "93.184.216.34").bytes();
}

}  // namespace

TEST_CASE("a query is read back as it was written") {
  const auto query = read_query(write_query(query_for("www.example.com", 28)));

  REQUIRE(query);
  CHECK(query->id == 0x1234);
  CHECK(query->question.name == "www.example.com");
  CHECK(query->question.type == 28);
}

TEST_CASE("names compare in lower case and without the last dot, whatever is no name is refused") {
  CHECK(normalise_name("WWW.Example.COM.") == "www.example.com");
  CHECK(normalise_name("_http._tcp.local") == "_http._tcp.local");
  CHECK(normalise_name("xn--bcher-kva.example") == "xn--bcher-kva.example");
  for (const auto* bad : {"", ".", "a..b", "a b", "<your-hub>.example", "*.example.com",
                          "b\xC3\xBC"
                          "cher.example",
                          "a/b"}) {
    INFO(bad);
    CHECK_FALSE(normalise_name(bad));
  }
  CHECK(normalise_name(std::string(63, 'a')));
  CHECK_FALSE(normalise_name(std::string(64, 'a')));
  std::string longest;
  for (int i = 0; i < 127; ++i) {
    longest += "a.";
  }
  CHECK(normalise_name(longest));  // 253 characters without the last dot
  CHECK_FALSE(normalise_name(longest + "a"));
}

TEST_CASE("upper case in a query is read as lower case") {
  auto message = write_query(query_for("example.com"));
  message[13] = std::byte{'E'};

  CHECK(read_query(message)->question.name == "example.com");
}

TEST_CASE("addresses of a reply are those of the name that the aliases end at") {
  const auto reply = DnsReply{query_for("www.example.com"), 0}
                         .alias("www.example.com", "cdn.example.net")
                         .address("cdn.example.net", "93.184.216.34", 300)
                         .address("other.example.net", "10.0.0.1")
                         .bytes();

  const auto answer = read_answer(reply);

  REQUIRE(answer);
  REQUIRE(answer->addresses.size() == 1);
  CHECK(to_text(answer->addresses[0].address) == "93.184.216.34");
  CHECK(answer->addresses[0].ttl == 300);
  CHECK(answer->alias == "cdn.example.net");
  CHECK(answer->aliases == 1);
}

TEST_CASE("eight aliases are followed, nine and a circle are refused") {
  CHECK(read_answer(chain(8))->addresses.size() == 1);
  CHECK_FALSE(read_answer(chain(9)));
  CHECK_FALSE(read_answer(DnsReply{query_for("a.example"), 0}
                              .alias("a.example", "b.example")
                              .alias("b.example", "a.example")
                              .bytes()));
}

TEST_CASE("a name pointer leads backward only") {
  auto message = write_query(query_for("example.com"));
  const std::array<std::byte, 2> self = {std::byte{0xC0}, std::byte{12}};
  std::ranges::copy(self, message.begin() + 12);
  CHECK_FALSE(read_query(message));
  message[13] = std::byte{200};
  CHECK_FALSE(read_query(message));
}

TEST_CASE("messages cut off or changed anywhere are read or refused, never overrun") {
  const auto reply = DnsReply{query_for("www.example.com"), 0}
                         .alias("www.example.com", "cdn.example.net")
                         .address("cdn.example.net", "93.184.216.34")
                         .bytes();
  for (std::size_t size = 0; size < reply.size(); ++size) {
    INFO(size);
    CHECK_FALSE(read_answer(std::span{reply}.first(size)));
  }
  for (std::size_t at = 0; at < reply.size(); ++at) {
    for (const unsigned value : {0x00U, 0x3FU, 0x40U, 0xC0U, 0xFFU}) {
      auto changed = reply;
      changed[at] = static_cast<std::byte>(value);
      if (const auto answer = read_answer(changed)) {
        CHECK(answer->addresses.size() <= 1);
      }
    }
  }
}

TEST_CASE("a reply says what it is given and fits every client") {
  std::vector<DnsAddress> many(100, {.address = *parse_address("93.184.216.34"), .ttl = 60});

  const auto message = write_reply(query_for("www.example.com"), DnsCode::no_error, many);
  const auto none = write_reply(query_for("www.example.com"), DnsCode::no_such_name, {});

  CHECK(message.size() <= kDnsReplyBytes);
  CHECK(read_answer(message)->addresses.size() > 20);
  CHECK(read_answer(none)->code == DnsCode::no_such_name);
  CHECK(read_answer(none)->id == 0x1234);
}

TEST_CASE("addresses that a public name must not lead to") {
  for (const auto* closed : {"127.0.0.1",    "10.0.0.1",        "172.16.5.5",      "172.31.255.255",
                             "192.168.35.2", "169.254.1.1",     "0.0.0.0",         "100.64.0.1",
                             "224.0.0.1",    "255.255.255.255", "198.18.0.1",      "::",
                             "::1",          "fe80::1",         "fc00::1",         "fd12::1",
                             "ff02::1",      "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
                             "::127.0.0.1"}) {
    INFO(closed);
    CHECK_FALSE(is_public(parse_address(closed).value()));
  }
  for (const auto* open : {"93.184.216.34", "172.32.0.1", "11.0.0.1", "2606:2800:220::1",
                           "::ffff:93.184.216.34", "1.1.1.1"}) {
    INFO(open);
    CHECK(is_public(parse_address(open).value()));
  }
  CHECK_FALSE(parse_address("1.2.3"));
  CHECK_FALSE(parse_address("example.com"));
  CHECK(to_text(*parse_address("2606:2800:0220:0::1")) == "2606:2800:220::1");
}

TEST_CASE("entries of AllowedConnections are names, addresses or nothing, never more") {
  ConnectionList list{{"Example.com.", "93.184.216.34", "2606:2800:220::1", "<your hub>.example",
                       "255.255.255.255", "_http._tcp.local", "_mqtt._tcp.example.com"}};

  CHECK(list.allows("example.com"));
  CHECK_FALSE(list.allows("www.example.com"));
  CHECK_FALSE(list.allows("com"));
  CHECK(list.dropped() == std::vector<std::string>{"<your hub>.example"});
  CHECK(list.addresses().size() == 4);  // With that of mDNS.
  CHECK(list.is_service("_mqtt._tcp.example.com"));
  CHECK_FALSE(list.is_service("example.com"));
  list.add_target("broker.example.com");
  CHECK(list.allows("broker.example.com"));

  const ConnectionList many{std::vector<std::string>(65, "example.com")};
  CHECK(many.dropped().size() == 1);
}

TEST_CASE("name servers are read from the device's configuration") {
  const auto servers = servers_in(
      "# comment\nsearch x\nnameserver 192.0.2.1 # one\n"
      "nameserver  2001:db8::1%eth0\nnameserver junk\n");

  REQUIRE(servers.size() == 2);
  CHECK(to_text(servers[0].address) == "192.0.2.1");
  CHECK(to_text(servers[1].address) == "2001:db8::1");
}

TEST_CASE("an app's rules end with a reject and name its ports and its uid only") {
  const auto rules = firewall_rules("sphere_1", {.uid = 100003,
                                                 .stub = *parse_address("127.53.0.3"),
                                                 .addresses = {*parse_address("93.184.216.34")},
                                                 .tcp_server_ports = {80, 443},
                                                 .udp_server_ports = {}});

  CHECK(rules.find("tcp sport 80 counter accept") != std::string::npos);
  CHECK(rules.find("tcp sport 443 counter accept") != std::string::npos);
  CHECK(rules.find("udp sport") == std::string::npos);
  CHECK(rules.find("allow_100003_v4 { 93.184.216.34 }") != std::string::npos);
  CHECK(rules.find("ip daddr 127.53.0.3 udp dport 53 counter accept") != std::string::npos);
  CHECK(rules.find("reject with icmpx type admin-prohibited\nadd element inet sphere_1 apps") !=
        std::string::npos);
}
