// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/loop.h"
#include "device-agent/agent/sandbox/connection_list.h"
#include "device-agent/agent/sandbox/dns_message.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// The name server that one app sees, at an address of its own: who asks is known by whom it asks.
// Names of the app's AllowedConnections are looked up at the device's name servers; the addresses
// are opened in the firewall before the reply leaves. Every other name does not exist.
// UDP only: replies are cut to what fits. Belongs to the loop's thread; all it is given must
// outlive it.
class DnsStub {
 public:
  static constexpr std::chrono::seconds kLookupLimit{5};  // As musl waits.
  static constexpr std::size_t kMostLookups = 32;         // At a time; more get SERVFAIL.
  static constexpr std::chrono::seconds kShortest{60};    // The least time an address stays open,
  static constexpr std::chrono::seconds kGrace{30};       // and what is added to it.
  static constexpr std::uint32_t kLongestTtl = 86400;

  struct Server {
    IpAddress address;
    std::uint16_t port = 53;
  };
  struct Parts {
    Loop* loop;
    // The device's name servers, asked for at each lookup: they change with the network.
    std::function<std::vector<Server>()> servers;
    // Opens addresses. False: the reply is SERVFAIL.
    std::function<bool(std::span<const IpAddress>, std::chrono::seconds)> allow;
    // A name that was not resolved, and why; for the event log.
    std::function<void(std::string_view name, std::string_view reason)> refused;
    // The domain suffixes whose names may have private addresses ("local" always may).
    std::vector<std::string> local_suffixes = {};
  };

  // Listens on `address`. Error: as system_error().
  [[nodiscard]] static Result<std::unique_ptr<DnsStub>> start(Parts parts, ConnectionList list,
                                                              const Server& address);
  DnsStub(const DnsStub&) = delete;
  DnsStub& operator=(const DnsStub&) = delete;
  DnsStub(DnsStub&&) = delete;
  DnsStub& operator=(DnsStub&&) = delete;
  ~DnsStub();

 private:
  struct Lookup {
    DnsQuery query;  // Of the app.
    sockaddr_in client = {};
    std::string name;  // Asked for now: of the query, or what its aliases lead to.
    std::uint16_t id = 0;
    std::size_t aliases = 0;
    std::size_t server = 0;  // Number of the server asked.
    Descriptor socket;
    Loop::Timer timer = 0;
  };
  using Key = std::uint64_t;

  DnsStub(Parts parts, ConnectionList list, Descriptor socket);
  void on_query();
  void take_query(std::span<const std::byte> message, const sockaddr_in& client);
  [[nodiscard]] bool may_ask(const DnsQuestion& question) const;
  void begin(const DnsQuery& query, const sockaddr_in& client);
  void ask(Key key);
  // The socket that the answer comes to; empty when the server cannot be asked.
  [[nodiscard]] static Descriptor send_question(const Lookup& lookup, const Server& server);
  void on_answer(Key key);
  void take_answer(Key key, const DnsAnswer& answer);
  void finish(Key key, DnsCode code, std::span<const DnsAddress> addresses = {});
  void pass_on(Key key, std::span<std::byte> message);
  void reply(const DnsQuery& query, const sockaddr_in& client, DnsCode code,
             std::span<const DnsAddress> addresses = {}) const;
  void drop_socket(Lookup& lookup);
  [[nodiscard]] bool may_be_private(std::string_view name) const;

  Parts parts_;
  ConnectionList list_;
  Descriptor socket_;
  std::map<Key, Lookup> lookups_;
  Key next_ = 0;
};

// The servers of a resolv.conf(5).
[[nodiscard]] std::vector<DnsStub::Server> servers_in(std::string_view resolver_configuration);

}  // namespace sphere::agent
