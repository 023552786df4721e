// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/agent/sandbox/firewall_view.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// What the firewall lets one app do.
struct FirewallApp {
  std::uint32_t uid = 0;
  IpAddress stub = {};                    // Its DNS stub, port 53.
  std::vector<IpAddress> addresses = {};  // Of the manifest: always open.
  std::vector<std::uint16_t> tcp_server_ports = {}, udp_server_ports = {};
};

// Layer L11: which addresses an app's sockets reach. Apps are told apart by their uid.
class Firewall {
 public:
  virtual ~Firewall() = default;
  // Closes everything for the app but what `app` says. Error: io, with what the kernel said.
  [[nodiscard]] virtual Result<void> open(const FirewallApp& app) = 0;
  // Opens addresses for as long as `timeout`; those that are open already are given more time.
  [[nodiscard]] virtual Result<void> allow(std::uint32_t uid, std::span<const IpAddress> addresses,
                                           std::chrono::seconds timeout) = 0;
  // Takes the app's rules away; without rules its uid must not be used.
  virtual void close(std::uint32_t uid) = 0;
  // The app's rules as the kernel has them, one line. Error: not_found without any.
  [[nodiscard]] virtual Result<std::string> describe(std::uint32_t uid) = 0;
  // Packets turned away so far.
  [[nodiscard]] virtual std::uint64_t rejected(std::uint32_t uid) = 0;
  // Where to, and how many of them: TCP and UDP destinations of the last minute or longer, 64 of
  // each address family at most.
  [[nodiscard]] virtual std::map<RefusedDestination, std::uint64_t> refused(std::uint32_t uid) = 0;
  // What the kernel holds now, in the shape of GET /net/firewall/rulesets.
  [[nodiscard]] virtual Result<json::Value> rulesets() = 0;
};

// nf_tables through libnftables, which is opened when it is first needed: it and what it needs
// weigh more than the rest of an idle agent.
//
// One table, "inet sphere_<pid>", with a chain and four sets for each app: what it may reach, and
// what it was kept from. Packets of other users
// pass it untouched. The table goes with the agent; one of an agent that was killed is taken away
// by the next.
class NftFirewall final : public Firewall {
 public:
  // Makes the table in the network namespace of this process. Errors: unavailable, naming what is
  // missing: library, kernel support, rights.
  [[nodiscard]] static Result<std::unique_ptr<NftFirewall>> create();
  NftFirewall(const NftFirewall&) = delete;
  NftFirewall& operator=(const NftFirewall&) = delete;
  NftFirewall(NftFirewall&&) = delete;
  NftFirewall& operator=(NftFirewall&&) = delete;
  ~NftFirewall() override;

  [[nodiscard]] Result<void> open(const FirewallApp& app) override;
  [[nodiscard]] Result<void> allow(std::uint32_t uid, std::span<const IpAddress> addresses,
                                   std::chrono::seconds timeout) override;
  void close(std::uint32_t uid) override;
  [[nodiscard]] Result<std::string> describe(std::uint32_t uid) override;
  [[nodiscard]] std::uint64_t rejected(std::uint32_t uid) override;
  [[nodiscard]] std::map<RefusedDestination, std::uint64_t> refused(std::uint32_t uid) override;
  [[nodiscard]] Result<json::Value> rulesets() override;

 private:
  class Library;
  // What an app was opened with, and until when what it looked up meanwhile.
  struct Wished {
    FirewallApp app;
    std::map<std::string, std::chrono::steady_clock::time_point> until;
  };
  explicit NftFirewall(std::unique_ptr<Library> library);

  std::unique_ptr<Library> library_;
  std::string table_;
  std::map<std::uint32_t, Wished> wished_;
};

// Whether create() works, tried in a network namespace of its own: the fault, or empty. Loads the
// library, which takes some 40 ms.
[[nodiscard]] std::string probe_firewall();

// The rules of one app as text for nft.
[[nodiscard]] std::string firewall_rules(const std::string& table, const FirewallApp& app);

}  // namespace sphere::agent
