// SPDX-License-Identifier: MIT
#include "sphere/device/link_service.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/device/enumeration_http.h"
#include "libsdk/src/device/link_boards.h"
#include "libsdk/src/device/link_errors.h"
#include "libsdk/src/device/pcap.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/place.h"
#include "sphere/transport/tun.h"

namespace sphere::device {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kScan{500};
constexpr int kTickMilliseconds = 100;
constexpr std::size_t kMaxClients = 32;  // Of each kind.
constexpr std::size_t kLineLimit = std::size_t{64} * 1024;
constexpr std::size_t kOutputLimit = std::size_t{4} << 20U;

// A connection to link.sock or to the enumeration service.
struct Peer {
  Descriptor socket;
  bool http = false;
  bool close = false;  // After `out`.
  std::string in = {};
  std::string out = {};
  std::function<void()> at_end = {};
};

std::uint16_t port_of(const Descriptor& listener) {
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

json::Value ok() { return json::Value{}.set("ok", true); }

tl::unexpected<Error> bad_request(std::string message, std::string value) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = "usage.bad-value", .value = std::move(value), .next = "sphere link list"});
}

}  // namespace

struct LinkService::State {
  Config config;
  FileLock lock;
  Descriptor control;
  std::vector<Descriptor> http = {};
  LinkBoards boards;
  std::unique_ptr<transport::TunRouter> router = {};
  // Between the router's thread and this one: where packets for an address go.
  std::mutex routes_mutex = {};
  std::vector<std::pair<slip::Address, transport::BoardLink*>> routes = {};
  std::string interface = {};
  std::vector<std::unique_ptr<Peer>> peers = {};
  SteadyClock::time_point next_scan = {};
  bool ended = false;

  using Operation = Result<json::Value> (State::*)(Peer&, const json::Value&);

  void scan();
  void listen_http();
  void accept_from(const Descriptor& listener, bool is_http);
  void read_peer(Peer& peer);
  void take_lines(Peer& peer);
  void take_http(Peer& peer);
  [[nodiscard]] Result<json::Value> answer(Peer& peer, std::string_view line);
  [[nodiscard]] Result<LinkBoards::Board*> board_of(const json::Value& request);

  [[nodiscard]] Result<json::Value> list(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> rescan(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> forward(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> trace(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> release(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> up(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> down(Peer& peer, const json::Value& request);
  [[nodiscard]] Result<json::Value> end(Peer& peer, const json::Value& request);
  void step();
  bool send_to(slip::Address address, std::span<const std::byte> packet);
  void drop_interface();
};

LinkService::LinkService(std::unique_ptr<State> state) : state_{std::move(state)} {}

LinkService::~LinkService() {
  for (const auto& peer : state_->peers) {
    if (peer->at_end) {
      peer->at_end();
    }
  }
  state_->drop_interface();
  ::unlink((state_->config.runtime / "link.sock").c_str());
}

Result<std::unique_ptr<LinkService>> LinkService::start(slip::Stack& stack, Config config) {
  SPHERE_TRY(make_directories(config.runtime, 0700));
  const auto file = config.runtime / "link.lock";
  auto lock = FileLock::try_acquire(file);
  if (!lock) {
    constexpr std::size_t kLongestPid = 32;
    const auto text = read_text_file(file, kLongestPid);
    return lock.error().code() == Errc::busy
               ? fail(Errc::busy,
                      fmt::format("sphere link serve runs already (process {})",
                                  text ? std::string{*text, 0, text->find('\n')} : "?"),
                      {.reason = "link.busy", .next = "use it: sphere link status"})
               : tl::make_unexpected(std::move(lock).error());
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock->descriptor(), 0) != 0) {
    return tl::make_unexpected(system_error("write", file, errno));
  }
  SPHERE_TRY(write_all(lock->descriptor(), std::as_bytes(std::span{pid}), file));
  SPHERE_TRY_ASSIGN(auto control, transport::listen_at(config.runtime / "link.sock"));
  LinkBoards boards{stack, config.runtime, config.say};
  auto state = std::unique_ptr<State>{new State{.config = std::move(config),
                                                .lock = *std::move(lock),
                                                .control = std::move(control),
                                                .boards = std::move(boards)}};
  state->listen_http();
  state->scan();
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  return std::unique_ptr<LinkService>{new LinkService{std::move(state)}};
}

void LinkService::State::listen_http() {
  if (config.http_port == 0) {
    return;
  }
  auto listener = transport::listen_at_loopback(config.http_port);
  if (!listener) {
    config.say(
        fmt::format("no enumeration service: {}; see who holds it: sphere doctor --only "
                    "ports",
                    listener.error().message()));
    return;
  }
  http.push_back(*std::move(listener));
  // Clients that take "localhost" for ::1; a machine without IPv6 has none.
  Descriptor six{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const int on = 1;
  ::setsockopt(six.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(six.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(config.http_port);
  address.sin6_addr = in6addr_loopback;
  constexpr int kBacklog = 64;
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::bind(six.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(six.get(), kBacklog) == 0) {
    http.push_back(std::move(six));
  }
}

void LinkService::State::scan() {
  next_scan = SteadyClock::now() + kScan;
  const auto places = config.places();
  boards.update(places ? *places : std::vector<transport::Place>{});
}

void LinkService::State::accept_from(const Descriptor& listener, bool is_http) {
  Descriptor socket{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  const auto of_kind =
      std::ranges::count_if(peers, [is_http](const auto& peer) { return peer->http == is_http; });
  if (socket && static_cast<std::size_t>(of_kind) < kMaxClients) {
    peers.push_back(std::make_unique<Peer>(Peer{.socket = std::move(socket), .http = is_http}));
  }
}

Result<LinkBoards::Board*> LinkService::State::board_of(const json::Value& request) {
  const std::string path = request.string_at("board").value_or("");
  LinkBoards::Board* const board = boards.find(path);
  if (board == nullptr) {
    return fail(Errc::not_found, fmt::format("no board is at {}", path),
                {.reason = "link.no-board", .value = path, .next = "sphere link list"});
  }
  return board;
}

Result<json::Value> LinkService::State::list(Peer& /*peer*/, const json::Value& /*request*/) {
  return json::Value{}
      .set("boards", boards.describe())
      .set("pid", static_cast<std::int64_t>(::getpid()))
      .set("interface", interface.empty() ? json::Value{} : json::Value{interface})
      .set("httpPort", http.empty() ? json::Value{} : json::Value{std::int64_t{config.http_port}});
}

Result<json::Value> LinkService::State::rescan(Peer& /*peer*/, const json::Value& /*request*/) {
  scan();
  return json::Value{}.set("count", static_cast<std::int64_t>(boards.open_boards().size()));
}

Result<json::Value> LinkService::State::forward(Peer& peer, const json::Value& request) {
  constexpr std::int64_t kLargest = 65535;
  SPHERE_TRY_ASSIGN(LinkBoards::Board* const board, board_of(request));
  const auto port = request.integer_at("port").value_or(0);
  const auto local = request.integer_at("local").value_or(0);
  if (port < 1 || port > kLargest || local < 0 || local > kLargest) {
    return bad_request("not a TCP port", std::to_string(port));
  }
  SPHERE_TRY_ASSIGN(auto listener,
                    transport::listen_at_loopback(static_cast<std::uint16_t>(local)));
  const std::uint16_t chosen = port_of(listener);
  const int number = listener.get();
  board->link->forward(std::move(listener), static_cast<std::uint16_t>(port));
  peer.at_end = [link = board->link.get(), number] { link->stop_forward(number); };
  return json::Value{}.set("local", std::int64_t{chosen});
}

Result<json::Value> LinkService::State::trace(Peer& peer, const json::Value& request) {
  SPHERE_TRY_ASSIGN(LinkBoards::Board* const board, board_of(request));
  const int descriptor = peer.socket.get();
  peer.out += json::to_compact(ok()) + "\n" + pcap_header();
  // A reader that is too slow loses packets, whole ones: a socket takes a record or nothing only
  // if it is small, so room is made sure of first.
  constexpr int kBuffer = 1 << 20;
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof(kBuffer));
  [[maybe_unused]] const ssize_t sent =
      ::send(descriptor, peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
  peer.out.clear();
  board->link->set_tap([descriptor, broken = false](transport::Direction,
                                                    std::span<const std::byte> packet) mutable {
    if (broken) {
      return;
    }
    const std::string record = pcap_record(packet);
    const ssize_t count =
        ::send(descriptor, record.data(), record.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    broken = count >= 0 && static_cast<std::size_t>(count) != record.size();
  });
  peer.at_end = [link = board->link.get()] { link->set_tap({}); };
  return json::Value{};  // Sent already.
}

Result<json::Value> LinkService::State::release(Peer& peer, const json::Value& request) {
  SPHERE_TRY_ASSIGN(LinkBoards::Board* const board, board_of(request));
  board->link->pause();
  peer.at_end = [link = board->link.get()] { link->resume(); };
  return ok();
}

Result<json::Value> LinkService::State::up(Peer& /*peer*/, const json::Value& request) {
  const std::string name = request.string_at("interface").value_or("sl0");
  if (!interface.empty() && interface != name) {
    return fail(Errc::busy, fmt::format("the interface {} is up already", interface),
                {.reason = "link.busy", .value = interface, .next = "sphere link down"});
  }
  if (interface.empty()) {
    SPHERE_TRY_ASSIGN(auto tun, transport::make_tun(name));
    router = std::make_unique<transport::TunRouter>(
        std::move(tun), config.allow_inbound,
        [this](slip::Address address, std::span<const std::byte> packet) {
          return send_to(address, packet);
        });
    interface = name;
    boards.on_each([this](LinkBoards::Board& board) {
      {
        const std::scoped_lock guard{routes_mutex};
        routes.emplace_back(board.address, board.link.get());
      }
      board.link->set_taker(
          [router = router.get(), address = board.address](std::span<const std::byte> packet) {
            return router->take(address, packet);
          });
    });
    config.say(fmt::format("interface {} is up: {}/24", name, slip::to_text(slip::kHostAddress)));
  }
  return json::Value{}.set("interface", name).set("address", slip::to_text(slip::kHostAddress));
}

// On the router's thread.
bool LinkService::State::send_to(slip::Address address, std::span<const std::byte> packet) {
  const std::scoped_lock guard{routes_mutex};
  const auto found =
      std::ranges::find(routes, address, [](const auto& route) { return route.first; });
  if (found == routes.end() || !found->second->is_open()) {
    return false;
  }
  // No room is a lost packet: TCP sends it again.
  static_cast<void>(found->second->send_packet(packet));
  return true;
}

void LinkService::State::drop_interface() {
  boards.on_each([](LinkBoards::Board& board) { board.link->set_taker({}); });
  boards.on_each({});
  router.reset();
  const std::scoped_lock guard{routes_mutex};
  routes.clear();
  interface.clear();
}

Result<json::Value> LinkService::State::down(Peer& /*peer*/, const json::Value& /*request*/) {
  if (!interface.empty()) {
    config.say(fmt::format("interface {} is down", interface));
    drop_interface();
    ended = config.end_with_interface;
  }
  return ok();
}

Result<json::Value> LinkService::State::end(Peer& /*peer*/, const json::Value& /*request*/) {
  if (!config.end_with_interface || !interface.empty()) {
    return bad_request("this service is not to be ended by others", "end");
  }
  ended = true;
  return ok();
}

Result<json::Value> LinkService::State::answer(Peer& peer, std::string_view line) {
  struct Row {
    std::string_view name;
    Operation run;
  };
  static constexpr std::array kOperations = {
      Row{.name = "list", .run = &State::list},       Row{.name = "rescan", .run = &State::rescan},
      Row{.name = "forward", .run = &State::forward}, Row{.name = "trace", .run = &State::trace},
      Row{.name = "release", .run = &State::release}, Row{.name = "up", .run = &State::up},
      Row{.name = "down", .run = &State::down},       Row{.name = "end", .run = &State::end}};
  const auto request = json::parse(line);
  const std::string name = request ? request->string_at("op").value_or("") : "";
  const auto* const found = std::ranges::find(kOperations, name, &Row::name);
  if (found == kOperations.end()) {
    return bad_request("not a request of link.sock", name);
  }
  if (peer.at_end) {
    return bad_request("this connection has its purpose already", name);
  }
  return (this->*found->run)(peer, *request);
}

void LinkService::State::take_lines(Peer& peer) {
  for (auto end = peer.in.find('\n'); end != std::string::npos; end = peer.in.find('\n')) {
    const auto result = answer(peer, std::string_view{peer.in}.substr(0, end));
    peer.in.erase(0, end + 1);
    if (!result) {
      peer.out += json::to_compact(json::Value{}.set("error", to_json(result.error()))) + "\n";
    } else if (!result->is_null()) {
      peer.out += json::to_compact(*result) + "\n";
    }
  }
  peer.close = peer.close || peer.in.size() > kLineLimit;
}

void LinkService::State::take_http(Peer& peer) {
  const EnumerationActions actions{.boards = [this] { return boards.open_boards(); },
                                   .rescan =
                                       [this] {
                                         scan();
                                         return boards.open_boards().size();
                                       },
                                   .port = config.http_port};
  while (!peer.close) {
    const auto step = answer_enumeration(peer.in, actions);
    if (step.answer.empty()) {
      return;
    }
    peer.in.erase(0, step.taken);
    peer.out += step.answer;
    peer.close = step.close;
  }
}

void LinkService::State::read_peer(Peer& peer) {
  std::array<char, 16384> piece = {};
  ssize_t count = 0;
  while ((count = ::recv(peer.socket.get(), piece.data(), piece.size(), 0)) > 0) {
    peer.in.append(piece.data(), static_cast<std::size_t>(count));
    if (peer.in.size() > 2 * kLineLimit) {
      break;
    }
  }
  peer.http ? take_http(peer) : take_lines(peer);
  const bool gone = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
  if (!peer.out.empty()) {
    const ssize_t sent = ::send(peer.socket.get(), peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
    peer.out.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
  }
  if (gone || (peer.close && peer.out.empty()) || peer.out.size() > kOutputLimit) {
    if (peer.at_end) {
      peer.at_end();
      peer.at_end = {};
    }
    peer.socket.reset();
  }
}

void LinkService::State::step() {
  std::vector<pollfd> polls;
  polls.push_back({.fd = control.get(), .events = POLLIN, .revents = 0});
  for (const Descriptor& listener : http) {
    polls.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
  }
  for (const auto& peer : peers) {
    polls.push_back({.fd = peer->socket.get(),
                     .events = static_cast<short>(POLLIN | (peer->out.empty() ? 0 : POLLOUT)),
                     .revents = 0});
  }
  ::poll(polls.data(), polls.size(), kTickMilliseconds);
  const std::size_t first_peer = 1 + http.size();
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (polls[first_peer + i].revents != 0) {
      read_peer(*peers[i]);
    }
  }
  std::erase_if(peers, [](const auto& peer) { return !peer->socket; });
  if (polls.front().revents != 0) {
    accept_from(control, false);
  }
  for (std::size_t i = 0; i < http.size(); ++i) {
    if (polls[1 + i].revents != 0) {
      accept_from(http[i], true);
    }
  }
  if (SteadyClock::now() >= next_scan) {
    scan();
  }
}

void LinkService::run(const std::function<bool()>& cancelled) {
  while (!cancelled() && !state_->ended) {
    state_->step();
  }
}

}  // namespace sphere::device
