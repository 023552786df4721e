// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/agent/event_log.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/sandbox/dns_stub.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/firewall_view.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/result.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {

// The address of the DNS stub of the app with number `user`: 127.53.(user >> 8).(user & 255).
[[nodiscard]] IpAddress stub_address(std::uint32_t user);

// One app's way to the network: its firewall rules and its name server. Both end with it.
class AppNetwork {
 public:
  struct Parts {
    Loop* loop;
    Firewall* firewall;
    EventLog* events;
    std::function<std::vector<DnsStub::Server>()> servers;
    std::uint16_t stub_port = 53;
  };
  struct App {
    std::uint32_t user = 0;  // Its number; the uid is kFirstAppUid more.
    std::string component_id, image_id;
  };

  // Opens what the capabilities name, before the app is started. An entry that is neither name nor
  // address is an event and opens nothing. Errors: those of firewall and stub.
  [[nodiscard]] static Result<std::unique_ptr<AppNetwork>> open(
      const Parts& parts, App app, const manifest::Capabilities& capabilities);
  AppNetwork(const AppNetwork&) = delete;
  AppNetwork& operator=(const AppNetwork&) = delete;
  AppNetwork(AppNetwork&&) = delete;
  AppNetwork& operator=(AppNetwork&&) = delete;
  ~AppNetwork();

  // The app's rules as the kernel has them.
  [[nodiscard]] const std::string& found() const noexcept { return found_; }
  // Packets turned away so far, with some destinations; "" without any.
  [[nodiscard]] std::string describe_rejects() const;

 private:
  AppNetwork(Parts parts, App app) : parts_{std::move(parts)}, app_{std::move(app)} {}
  void note(std::string_view category, std::string_view name, std::string_view reason);
  void count_rejects();
  void report_rejects();

  Parts parts_;
  App app_;
  std::string found_;
  std::unique_ptr<DnsStub> stub_;
  std::uint64_t rejected_ = 0;
  std::map<RefusedDestination, std::uint64_t> refused_;  // As last reported.
  Loop::Timer timer_ = 0;
};

}  // namespace sphere::agent
