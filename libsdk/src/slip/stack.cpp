// SPDX-License-Identifier: MIT
#include "sphere/slip/stack.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <poll.h>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/slip/connection.h"
#include "libsdk/src/slip/lwip.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/slip/codec.h"
#include "sphere/slip/packet.h"

namespace sphere::slip {

namespace {

constexpr std::size_t kMaxInterfaces = 250;  // lwIP numbers them with a byte.

// lwIP starts a thread for its timers and cannot be stopped again.
void initialise_once() {
  static std::once_flag done;
  std::call_once(done, [] {
    std::promise<void> started;
    tcpip_init([](void* promise) { static_cast<std::promise<void>*>(promise)->set_value(); },
               &started);
    started.get_future().wait();
  });
}

// Whether a Stack lives: lwIP's state is the process's, so this is, too.
std::atomic<bool>& stack_lives() {
  static std::atomic<bool> lives = false;
  return lives;
}

ip_addr_t to_lwip(Address address) {
  ip_addr_t result = {};
  ip_addr_set_ip4_u32_val(result, lwip_htonl(address));
  return result;
}

}  // namespace

// A network interface of lwIP. It is never removed: lwIP would reset every connection from its
// address, those of other boards included. An unused one is down.
struct Wire {
  netif interface = {};
  Interface::Config* config = nullptr;  // Null while unused.
};

struct Stack::State {
  std::vector<std::unique_ptr<Wire>> wires;
};

Stack::Stack(std::unique_ptr<State> state) : state_{std::move(state)} {}

Stack::~Stack() {
  // lwIP keeps pointers to the interfaces; nothing else of them is used any more.
  const CoreLock lock;
  for (const auto& wire : state_->wires) {
    netif_remove(&wire->interface);
  }
  stack_lives() = false;
}

Result<std::unique_ptr<Stack>> Stack::create() {
  if (stack_lives().exchange(true)) {
    return fail(Errc::busy, "this process has a network stack already", {.reason = "internal.bug"});
  }
  initialise_once();
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  return std::unique_ptr<Stack>{new Stack{std::make_unique<State>()}};
}

struct Interface::State {
  struct Listener {
    State* owner = nullptr;
    tcp_pcb* pcb = nullptr;
    std::uint16_t port = 0;
    std::function<Descriptor()> target;
  };

  Config config;
  Wire* wire = nullptr;
  std::vector<std::unique_ptr<Connection>> connections = {};
  std::vector<std::unique_ptr<Listener>> listeners = {};
  ConnectionCounters counters = {};
  std::size_t first_served = 0;

  void add(tcp_pcb* pcb, Descriptor socket, bool established) {
    connections.push_back(
        std::make_unique<Connection>(pcb, std::move(socket), established, config.wake));
  }
  void note_end(const Connection& connection);
  void give_up_late();
};

namespace {

err_t send_packet(netif* interface, pbuf* data, const ip4_addr_t* /*next_hop*/) {
  const auto* const wire = static_cast<const Wire*>(interface->state);
  std::array<std::byte, kMtu> packet = {};
  if (wire->config == nullptr || data->tot_len > packet.size()) {
    return ERR_IF;
  }
  pbuf_copy_partial(data, packet.data(), data->tot_len, 0);
  return wire->config->output(std::span{packet}.first(data->tot_len)) ? ERR_OK : ERR_MEM;
}

err_t set_up_interface(netif* interface) {
  interface->name[0] = 's';
  interface->name[1] = 'l';
  interface->mtu = kMtu;
  interface->output = send_packet;
  return ERR_OK;
}

// An unused wire, or a new one. Under the lock.
Wire* take_wire(std::vector<std::unique_ptr<Wire>>& wires) {
  const auto free = std::ranges::find_if(
      wires, [](const std::unique_ptr<Wire>& wire) { return wire->config == nullptr; });
  if (free != wires.end()) {
    return free->get();
  }
  if (wires.size() == kMaxInterfaces) {
    return nullptr;
  }
  auto wire = std::make_unique<Wire>();
  if (netif_add(&wire->interface, nullptr, nullptr, nullptr, wire.get(), set_up_interface,
                ip4_input) == nullptr) {
    return nullptr;
  }
  wires.push_back(std::move(wire));
  return wires.back().get();
}

// lwIP's own choice of a port is the same in every process, and the board may still hold the
// connection of the last one.
bool bind_anywhere(tcp_pcb* pcb, const ip_addr_t& own) {
  constexpr std::uint32_t kFirst = 49152;
  constexpr std::uint32_t kPorts = 16384;
  std::random_device random;
  for (std::size_t tries = 0; tries < 2 * Interface::kMaxConnections; ++tries) {
    if (tcp_bind(pcb, &own, static_cast<std::uint16_t>(kFirst + random() % kPorts)) == ERR_OK) {
      return true;
    }
  }
  return false;
}

void set_addresses(netif& interface, Address own, Address peer) {
  constexpr Address kWholeAddress = 0xFFFFFFFF;  // No other address is "local" to a wire.
  const ip_addr_t address = to_lwip(own);
  const ip_addr_t mask = to_lwip(kWholeAddress);
  // The peer as gateway gives resets for closed ports a way back. A PC with several boards needs
  // none, and the first board would get them.
  const ip_addr_t gateway = to_lwip(own == kHostAddress ? 0 : peer);
  if (!ip4_addr_cmp(netif_ip4_addr(&interface), ip_2_ip4(&address))) {
    netif_set_addr(&interface, ip_2_ip4(&address), ip_2_ip4(&mask), ip_2_ip4(&gateway));
  }
}

}  // namespace

Interface::Interface(std::unique_ptr<State> state) : state_{std::move(state)} {}

Result<std::unique_ptr<Interface>> Interface::create(Stack& stack, Config config) {
  auto state = std::make_unique<State>(State{.config = std::move(config)});
  {
    const CoreLock lock;
    state->wire = take_wire(stack.state_->wires);
    if (state->wire == nullptr) {
      return fail(Errc::too_large, fmt::format("no more than {} boards at once", kMaxInterfaces),
                  {.reason = "link.busy", .value = std::to_string(kMaxInterfaces)});
    }
    set_addresses(state->wire->interface, state->config.own, state->config.peer);
    state->wire->config = &state->config;
    netif_set_link_up(&state->wire->interface);
    netif_set_up(&state->wire->interface);
  }
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  return std::unique_ptr<Interface>{new Interface{std::move(state)}};
}

Interface::~Interface() {
  abort_all();
  const CoreLock lock;
  for (const auto& listener : state_->listeners) {
    tcp_close(listener->pcb);
  }
  netif_set_down(&state_->wire->interface);
  netif_set_link_down(&state_->wire->interface);
  state_->wire->config = nullptr;
}

void Interface::input(std::span<const std::byte> packet) {
  const CoreLock lock;
  // PBUF_POOL of Debian's build is smaller than its header says.
  pbuf* const data = pbuf_alloc(PBUF_RAW, static_cast<std::uint16_t>(packet.size()), PBUF_RAM);
  if (data == nullptr) {
    return;  // As if the wire had lost it.
  }
  pbuf_take(data, packet.data(), static_cast<std::uint16_t>(packet.size()));
  if (ip4_input(data, &state_->wire->interface) != ERR_OK) {
    pbuf_free(data);
  }
}

std::size_t Interface::room() const {
  const CoreLock lock;
  return kMaxConnections - std::min(state_->connections.size(), kMaxConnections);
}

void Interface::connect(std::uint16_t port, Descriptor socket) {
  const CoreLock lock;
  if (state_->connections.size() >= kMaxConnections) {
    return;
  }
  tcp_pcb* const pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
  if (pcb == nullptr) {
    return;
  }
  const ip_addr_t own = to_lwip(state_->config.own);
  const ip_addr_t peer = to_lwip(state_->config.peer);
  tcp_bind_netif(pcb, &state_->wire->interface);
  if (!bind_anywhere(pcb, own)) {
    tcp_abort(pcb);
    return;
  }
  state_->add(pcb, std::move(socket), false);
  if (tcp_connect(pcb, &peer, port, &Connection::on_connected) != ERR_OK) {
    state_->connections.back()->abort();
  }
}

Result<void> Interface::listen(std::uint16_t port, std::function<Descriptor()> target) {
  const CoreLock lock;
  const auto busy = [port] {
    return fail(Errc::busy, fmt::format("port {} is taken", port),
                {.reason = "link.busy", .value = std::to_string(port)});
  };
  tcp_pcb* const pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
  if (pcb == nullptr) {
    return busy();
  }
  tcp_bind_netif(pcb, &state_->wire->interface);
  const ip_addr_t own = to_lwip(state_->config.own);
  tcp_pcb* const listening = tcp_bind(pcb, &own, port) == ERR_OK ? tcp_listen(pcb) : nullptr;
  if (listening == nullptr) {
    tcp_abort(pcb);
    return busy();
  }
  state_->listeners.push_back(std::make_unique<State::Listener>(State::Listener{
      .owner = state_.get(), .pcb = listening, .port = port, .target = std::move(target)}));
  tcp_arg(listening, state_->listeners.back().get());
  tcp_accept(listening, [](void* user, tcp_pcb* accepted, err_t error) -> err_t {
    if (error != ERR_OK || accepted == nullptr) {
      return ERR_VAL;
    }
    auto& listener = *static_cast<State::Listener*>(user);
    Descriptor socket =
        listener.owner->connections.size() < kMaxConnections ? listener.target() : Descriptor{};
    if (!socket) {
      tcp_abort(accepted);
      return ERR_ABRT;
    }
    listener.owner->add(accepted, std::move(socket), true);
    listener.owner->config.wake();
    return ERR_OK;
  });
  return {};
}

void Interface::add_poll(std::vector<pollfd>& polls) const {
  const CoreLock lock;
  for (const auto& connection : state_->connections) {
    if (const short events = connection->wanted_events(); events != 0) {
      polls.push_back({.fd = connection->socket(), .events = events, .revents = 0});
    }
  }
}

void Interface::State::note_end(const Connection& connection) {
  if (connection.established()) {
    counters.lost += connection.lost() ? 1 : 0;
  } else if (connection.refused()) {
    ++counters.refused;
    counters.last = Attempt::refused;
  } else {
    ++counters.silent;
    counters.last = Attempt::silent;
  }
}

void Interface::State::give_up_late() {
  const auto now = Connection::Clock::now();
  for (const auto& connection : connections) {
    if (!connection->established() && !connection->done() &&
        now - connection->opened() > config.connect_limit) {
      connection->abort();
    }
  }
}

void Interface::serve() {
  const CoreLock lock;
  auto& connections = state_->connections;
  // Each round begins with another one, so that none keeps the wire for itself.
  const std::size_t first = connections.empty() ? 0 : state_->first_served++ % connections.size();
  for (std::size_t i = 0; i < connections.size(); ++i) {
    auto& connection = *connections[(first + i) % connections.size()];
    const bool was_established = connection.counted();
    connection.serve();
    if (connection.established() && !was_established) {
      connection.set_counted();
      ++state_->counters.connected;
      state_->counters.last = Attempt::connected;
    }
  }
  state_->give_up_late();
  for (const auto& connection : connections) {
    if (connection->done()) {
      state_->note_end(*connection);
    }
  }
  std::erase_if(connections, [](const auto& connection) { return connection->done(); });
}

void Interface::resume() {
  const CoreLock lock;
  for (const auto& connection : state_->connections) {
    connection->flush();
  }
}

void Interface::abort_all() {
  const CoreLock lock;
  state_->connections.clear();
}

ConnectionCounters Interface::counters() const {
  const CoreLock lock;
  ConnectionCounters counters = state_->counters;
  counters.open = state_->connections.size();
  return counters;
}

}  // namespace sphere::slip
