// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/app_network.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/connection_list.h"
#include "device-agent/agent/sandbox/dns_stub.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {
namespace {

// How often the counter of refused packets is read.
constexpr std::chrono::seconds kCountPeriod{10};
constexpr std::size_t kReported = 8;  // Destinations at a time.

}  // namespace

IpAddress stub_address(std::uint32_t user) {
  return {.v6 = false,
          .bytes = {127, 53, static_cast<std::uint8_t>(user >> 8U & 0xFFU),
                    static_cast<std::uint8_t>(user & 0xFFU)}};
}

Result<std::unique_ptr<AppNetwork>> AppNetwork::open(const Parts& parts, App app,
                                                     const manifest::Capabilities& capabilities) {
  ConnectionList list{capabilities.allowed_connections};
  const auto uid = kFirstAppUid + app.user;
  const FirewallApp rules = {.uid = uid,
                             .stub = stub_address(app.user),
                             .addresses = list.addresses(),
                             .tcp_server_ports = capabilities.allowed_tcp_server_ports,
                             .udp_server_ports = capabilities.allowed_udp_server_ports};
  std::unique_ptr<AppNetwork> network{
      new AppNetwork{parts, std::move(app)}};  // NOLINT(cppcoreguidelines-owning-memory): private
  for (const auto& entry : list.dropped()) {
    network->note("ConnectionRefused", entry, "AllowedConnections: neither a name nor an address");
  }
  SPHERE_TRY(parts.firewall->open(rules));
  SPHERE_TRY_ASSIGN(network->found_, parts.firewall->describe(uid));
  SPHERE_TRY_ASSIGN(
      network->stub_,
      DnsStub::start({.loop = parts.loop,
                      .servers = parts.servers,
                      .allow =
                          [firewall = parts.firewall, uid](std::span<const IpAddress> addresses,
                                                           std::chrono::seconds timeout) {
                            return firewall->allow(uid, addresses, timeout).has_value();
                          },
                      .refused =
                          [self = network.get()](std::string_view name, std::string_view reason) {
                            self->note("DnsRefused", name, reason);
                          }},
                     std::move(list), {.address = rules.stub, .port = parts.stub_port}));
  network->timer_ =
      parts.loop->after(kCountPeriod, [self = network.get()] { self->count_rejects(); });
  return network;
}

AppNetwork::~AppNetwork() {
  parts_.loop->cancel(timer_);
  stub_.reset();
  if (!found_.empty()) {  // It was open.
    report_rejects();
  }
  parts_.firewall->close(kFirstAppUid + app_.user);
}

void AppNetwork::note(std::string_view category, std::string_view name, std::string_view reason) {
  parts_.events->add(category, app_.component_id, app_.image_id,
                     json::Value{}.set("name", name).set("reason", reason));
}

// A destination is an event of its own, equal ones are counted by the log; of a scan the first
// kReported and the number of packets.
void AppNetwork::report_rejects() {
  const auto uid = kFirstAppUid + app_.user;
  const auto rejected = parts_.firewall->rejected(uid);
  const auto before = std::exchange(rejected_, rejected);
  if (rejected == before) {
    return;
  }
  const auto refused = parts_.firewall->refused(uid);
  std::size_t reported = 0;
  for (const auto& [destination, packets] : refused) {
    const auto known = refused_.find(destination);
    if ((known == refused_.end() || known->second != packets) && reported < kReported) {
      ++reported;
      parts_.events->add("ConnectionRefused", app_.component_id, app_.image_id,
                         json::Value{}
                             .set("address", destination.address)
                             .set("port", static_cast<int>(destination.port))
                             .set("protocol", destination.protocol));
    }
  }
  refused_ = refused;
  if (reported == 0 || reported == kReported) {
    parts_.events->add("ConnectionRefused", app_.component_id, app_.image_id,
                       json::Value{}
                           .set("reason", "packets to addresses that no allowed name leads to")
                           .set("packets", rejected));
  }
}

void AppNetwork::count_rejects() {
  report_rejects();
  timer_ = parts_.loop->after(kCountPeriod, [this] { count_rejects(); });
}

std::string AppNetwork::describe_rejects() const {
  const auto uid = kFirstAppUid + app_.user;
  const auto rejected = parts_.firewall->rejected(uid);
  if (rejected == 0) {
    return {};
  }
  auto text = fmt::format("{} packet{} refused", rejected, rejected == 1 ? "" : "s");
  std::size_t named = 0;
  for (const auto& [destination, packets] : parts_.firewall->refused(uid)) {
    if (++named > kReported) {
      return text + ", ...";
    }
    text += fmt::format("{} {} port {}/{}", named == 1 ? ", in the last minute:" : ",",
                        destination.address, destination.port, destination.protocol);
  }
  return text;
}

}  // namespace sphere::agent
