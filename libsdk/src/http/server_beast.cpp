// SPDX-License-Identifier: MIT
// The HTTP server: accepts connections and ends with them.
// NOLINTBEGIN(misc-include-cleaner): Asio's and Beast's headers stand for their impl/ ones
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): every coroutine is awaited
// by the one that owns what it refers to NOLINTBEGIN(cert-err33-c): calls with an error_code, whose
// result says the same NOLINTBEGIN(bugprone-exception-escape): Asio throws std::bad_alloc at most,
// which ends the program NOLINTBEGIN(bugprone-casting-through-void): the generic address of the
// socket interface
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <list>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "libsdk/src/http/connection.h"
#include "libsdk/src/http/server_tls.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/http/server.h"

namespace sphere::http {
namespace {

class BeastServer final : public Server {
 public:
  BeastServer(ServerOptions options, Handler& handler) : shared_{std::move(options), handler} {}
  ~BeastServer() override { BeastServer::stop(); }
  BeastServer(const BeastServer&) = delete;
  BeastServer& operator=(const BeastServer&) = delete;
  BeastServer(BeastServer&&) = delete;
  BeastServer& operator=(BeastServer&&) = delete;

  [[nodiscard]] Result<void> prepare() { return configure_tls(shared_.tls, shared_.options); }
  void listen(std::vector<Descriptor> listeners) {
    for (Descriptor& listener : listeners) {
      // Accepting must never block the one thread.
      ::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK);
      listeners_.emplace_back(shared_.io, listener.release());
    }
    for (asio::posix::stream_descriptor& listener : listeners_) {
      asio::co_spawn(
          shared_.io, [this, &listener] { return accept_from(listener); }, asio::detached);
    }
    thread_ = std::thread{[this] { shared_.io.run(); }};
  }
  void stop() override;

 private:
  awaitable<void> accept_from(asio::posix::stream_descriptor& listener);
  awaitable<void> serve(std::shared_ptr<Connection> connection);
  [[nodiscard]] bool accept_one(int listener);
  void finish_if_done();

  Shared shared_;
  std::list<asio::posix::stream_descriptor> listeners_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{
      asio::make_work_guard(shared_.io)};
  std::thread thread_;
};

awaitable<void> BeastServer::accept_from(asio::posix::stream_descriptor& listener) {
  while (!shared_.stopping) {
    const auto [ec] =
        co_await listener.async_wait(asio::posix::stream_descriptor::wait_read, kToken);
    if (ec) {
      break;
    }
    while (!shared_.stopping && !may_accept(shared_)) {
      co_await shared_.room.async_wait(kToken);
    }
    if (!shared_.stopping && !accept_one(listener.native_handle())) {
      // No descriptor is left, perhaps: it must not become a busy loop.
      asio::steady_timer pause{shared_.io, std::chrono::milliseconds{20}};
      co_await pause.async_wait(kToken);
    }
  }
}

bool BeastServer::accept_one(int listener) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  // The generic address of the socket interface.
  auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  const int number = ::accept4(listener, generic, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (number < 0) {
    return false;
  }
  const int family = address.ss_family;
  if (family == AF_INET || family == AF_INET6) {
    const int on = 1;
    ::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  Socket socket{shared_.io};
  error_code ec;
  socket.assign(asio::generic::stream_protocol{family, 0}, number, ec);
  if (ec) {
    ::close(number);
    return false;
  }
  auto connection = std::make_shared<Connection>(shared_, std::move(socket));
  shared_.connections.push_back(connection);
  asio::co_spawn(shared_.io, [this, connection] { return serve(connection); }, asio::detached);
  return true;
}

awaitable<void> BeastServer::serve(std::shared_ptr<Connection> connection) {
  co_await connection->run();
  shared_.connections.remove(connection);
  shared_.room.cancel();
  finish_if_done();
}

void BeastServer::finish_if_done() {
  if (shared_.stopping && shared_.connections.empty()) {
    work_.reset();
  }
}

void BeastServer::stop() {
  if (!thread_.joinable()) {
    return;
  }
  asio::post(shared_.io, [this] {
    shared_.stopping = true;
    for (asio::posix::stream_descriptor& listener : listeners_) {
      error_code ignored;
      listener.close(ignored);
    }
    for (const auto& connection : shared_.connections) {
      connection->close();
    }
    shared_.room.cancel();
    finish_if_done();
  });
  thread_.join();
  shared_.workers.join();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(std::vector<Descriptor> listeners,
                                              ServerOptions options, Handler& handler) {
  auto server = std::make_unique<BeastServer>(std::move(options), handler);
  SPHERE_TRY(server->prepare());
  server->listen(std::move(listeners));
  return server;
}

}  // namespace sphere::http
// NOLINTEND(bugprone-casting-through-void)
// NOLINTEND(bugprone-exception-escape)
// NOLINTEND(cert-err33-c)
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
// NOLINTEND(misc-include-cleaner)
