// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/dns_stub.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/random.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/connection_list.h"
#include "device-agent/agent/sandbox/dns_message.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace {

// One turn of the loop answers at most so many: others wait, too.
constexpr int kQueriesATurn = 16;

const sockaddr* as_address(const void* storage) { return static_cast<const sockaddr*>(storage); }
sockaddr* as_address(void* storage) { return static_cast<sockaddr*>(storage); }

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
};

SocketAddress socket_address(const DnsStub::Server& server) {
  SocketAddress result;
  if (server.address.v6) {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(server.port);
    std::memcpy(&address.sin6_addr, server.address.bytes.data(), 16);
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = sizeof address;
  } else {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port);
    std::memcpy(&address.sin_addr, server.address.bytes.data(), 4);
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = sizeof address;
  }
  return result;
}

bool is_service_type(std::uint16_t type) {
  const auto kind = static_cast<DnsType>(type);
  return kind == DnsType::ptr || kind == DnsType::srv || kind == DnsType::txt;
}

std::uint16_t random_id() {
  std::uint16_t id = 0;
  // Cannot fail for two bytes once the kernel has started.
  [[maybe_unused]] const auto filled = ::getrandom(&id, sizeof id, 0);
  return id;
}

}  // namespace

std::vector<DnsStub::Server> servers_in(std::string_view resolver_configuration) {
  std::vector<DnsStub::Server> servers;
  for (const auto& line : split(resolver_configuration, '\n')) {
    constexpr std::string_view kServer = "nameserver";
    const auto text = trim(line);
    if (!text.starts_with(kServer)) {
      continue;
    }
    const auto word = trim(text.substr(kServer.size()));
    if (const auto address = parse_address(word.substr(0, word.find_first_of(" \t#%")))) {
      servers.push_back({.address = *address});
    }
  }
  return servers;
}

Result<std::unique_ptr<DnsStub>> DnsStub::start(Parts parts, ConnectionList list,
                                                const Server& address) {
  Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const auto own = socket_address(address);
  if (!socket || ::bind(socket.get(), as_address(&own.storage), own.size) != 0) {
    return tl::unexpected<Error>{
        system_error("listen for DNS on", to_text(address.address), errno)};
  }
  std::unique_ptr<DnsStub> stub{new DnsStub{
      std::move(parts), std::move(list),
      std::move(socket)}};  // NOLINT(cppcoreguidelines-owning-memory): private constructor
  return stub;
}

DnsStub::DnsStub(Parts parts, ConnectionList list, Descriptor socket)
    : parts_{std::move(parts)}, list_{std::move(list)}, socket_{std::move(socket)} {
  parts_.loop->watch(socket_.get(), POLLIN, [this](short) { on_query(); });
}

DnsStub::~DnsStub() {
  parts_.loop->forget(socket_.get());
  for (auto& [key, lookup] : lookups_) {
    drop_socket(lookup);
  }
}

void DnsStub::on_query() {
  for (int turn = 0; turn < kQueriesATurn; ++turn) {
    std::array<std::byte, kDnsMessageBytes> message = {};
    sockaddr_in client = {};
    socklen_t size = sizeof client;
    const auto count =
        ::recvfrom(socket_.get(), message.data(), message.size(), 0, as_address(&client), &size);
    if (count < 0) {
      return;
    }
    take_query(std::span{message}.first(static_cast<std::size_t>(count)), client);
  }
}

bool DnsStub::may_ask(const DnsQuestion& question) const {
  const auto type = static_cast<DnsType>(question.type);
  if (type == DnsType::a || type == DnsType::aaaa) {
    return list_.allows(question.name);
  }
  return is_service_type(question.type) && list_.is_service(question.name);
}

void DnsStub::take_query(std::span<const std::byte> message, const sockaddr_in& client) {
  const auto query = read_query(message);
  if (!query) {
    return;  // Not even an id to answer to can be trusted.
  }
  if (may_ask(query->question)) {
    begin(*query, client);
  } else if (list_.allows(query->question.name)) {
    reply(*query, client, DnsCode::no_error);  // The name is there; it has no such record.
  } else {
    parts_.refused(query->question.name, "not in AllowedConnections");
    reply(*query, client, DnsCode::no_such_name);
  }
}

void DnsStub::begin(const DnsQuery& query, const sockaddr_in& client) {
  if (lookups_.size() >= kMostLookups) {
    reply(query, client, DnsCode::failure);
    return;
  }
  const auto key = next_++;
  Lookup lookup{.query = query, .client = client, .name = query.question.name, .socket = {}};
  lookup.timer = parts_.loop->after(kLookupLimit, [this, key] { finish(key, DnsCode::failure); });
  lookups_.emplace(key, std::move(lookup));
  ask(key);
}

// Asks the next server that takes the question. A socket and an id of its own for every question:
// answers to others cannot be mistaken for its.
void DnsStub::ask(Key key) {
  auto& lookup = lookups_.at(key);
  drop_socket(lookup);
  const auto servers = parts_.servers();
  for (; lookup.server < servers.size(); ++lookup.server) {
    lookup.id = random_id();
    lookup.socket = send_question(lookup, servers[lookup.server]);
    if (lookup.socket) {
      parts_.loop->watch(lookup.socket.get(), POLLIN, [this, key](short) { on_answer(key); });
      return;
    }
  }
  finish(key, DnsCode::failure);
}

Descriptor DnsStub::send_question(const Lookup& lookup, const Server& server) {
  Descriptor socket{::socket(server.address.v6 ? AF_INET6 : AF_INET,
                             SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const auto to = socket_address(server);
  const auto message = write_query(
      {.id = lookup.id, .question = {.name = lookup.name, .type = lookup.query.question.type}});
  const bool sent = socket && ::connect(socket.get(), as_address(&to.storage), to.size) == 0 &&
                    ::send(socket.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0;
  return sent ? std::move(socket) : Descriptor{};
}

void DnsStub::on_answer(Key key) {
  auto& lookup = lookups_.at(key);
  std::array<std::byte, kDnsMessageBytes> message = {};
  const auto count = ::recv(lookup.socket.get(), message.data(), message.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count < 0) {  // No server there.
    ++lookup.server;
    ask(key);
    return;
  }
  const auto answer = read_answer(std::span{message}.first(static_cast<std::size_t>(count)));
  const DnsQuestion asked = {.name = lookup.name, .type = lookup.query.question.type};
  if (!answer || answer->id != lookup.id || answer->question != asked) {
    return;
  }
  if (is_service_type(asked.type) && answer->code == DnsCode::no_error) {
    for (const auto& target : answer->targets) {
      list_.add_target(target);
    }
    pass_on(key, std::span{message}.first(static_cast<std::size_t>(count)));
    return;
  }
  take_answer(key, *answer);
}

bool DnsStub::may_be_private(std::string_view name) const {
  const auto below = [&](std::string_view suffix) {
    return name.ends_with(suffix) && name.size() > suffix.size() &&
           name[name.size() - suffix.size() - 1] == '.';
  };
  return below("local") || std::ranges::any_of(parts_.local_suffixes, below);
}

void DnsStub::take_answer(Key key, const DnsAnswer& answer) {
  auto& lookup = lookups_.at(key);
  if (answer.code != DnsCode::no_error) {
    finish(key, answer.code == DnsCode::no_such_name ? DnsCode::no_such_name : DnsCode::failure);
    return;
  }
  lookup.aliases += answer.aliases;
  if (answer.addresses.empty() && !answer.alias.empty()) {
    if (lookup.aliases > kMostAliases) {
      parts_.refused(lookup.query.question.name, "more than 8 aliases");
      finish(key, DnsCode::failure);
      return;
    }
    lookup.name = answer.alias;  // The server did not follow it.
    ask(key);
    return;
  }
  std::vector<DnsAddress> addresses;
  for (auto address : answer.addresses) {
    // A public name that leads into the device or its own network: rebinding.
    if (!is_public(address.address) && !may_be_private(lookup.query.question.name)) {
      parts_.refused(lookup.query.question.name,
                     "leads to " + to_text(address.address) + ", which is not public");
      continue;
    }
    address.ttl = std::min(address.ttl, kLongestTtl);
    addresses.push_back(address);
  }
  finish(key, answer.addresses.empty() || !addresses.empty() ? DnsCode::no_error : DnsCode::refused,
         addresses);
}

void DnsStub::finish(Key key, DnsCode code, std::span<const DnsAddress> addresses) {
  const auto found = lookups_.find(key);
  if (found == lookups_.end()) {
    return;
  }
  auto& lookup = found->second;
  std::vector<IpAddress> open;
  std::uint32_t ttl = 0;
  for (const auto& address : addresses) {
    open.push_back(address.address);
    ttl = std::max(ttl, address.ttl);
  }
  // Before the reply: the first packet after it must pass.
  if (!open.empty() &&
      !parts_.allow(open, std::max(std::chrono::seconds{ttl}, kShortest) + kGrace)) {
    code = DnsCode::failure;
    addresses = {};
  }
  reply(lookup.query, lookup.client, code, addresses);
  parts_.loop->cancel(lookup.timer);
  drop_socket(lookup);
  lookups_.erase(found);
}

// Records of a service open nothing by themselves, and read_answer() has found them well formed:
// the message goes on under the id of the app.
void DnsStub::pass_on(Key key, std::span<std::byte> message) {
  const auto found = lookups_.find(key);
  auto& lookup = found->second;
  message[0] = static_cast<std::byte>(lookup.query.id >> 8U);
  message[1] = static_cast<std::byte>(lookup.query.id & 0xFFU);
  ::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL, as_address(&lookup.client),
           sizeof lookup.client);
  parts_.loop->cancel(lookup.timer);
  drop_socket(lookup);
  lookups_.erase(found);
}

void DnsStub::reply(const DnsQuery& query, const sockaddr_in& client, DnsCode code,
                    std::span<const DnsAddress> addresses) const {
  const auto message = write_reply(query, code, addresses);
  // A client that is gone asks no more; one that misses the reply asks again.
  ::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL, as_address(&client),
           sizeof client);
}

void DnsStub::drop_socket(Lookup& lookup) {
  if (lookup.socket) {
    parts_.loop->forget(lookup.socket.get());
    lookup.socket.reset();
  }
}

}  // namespace sphere::agent
