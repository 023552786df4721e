// SPDX-License-Identifier: MIT
// One connection of the HTTP server, and what all of them share. Everything here runs on the
// server's one thread of input and output, as coroutines, but for handlers and sinks, which may
// block and run on the worker threads: no locks.
#pragma once

// NOLINTBEGIN(misc-include-cleaner): Asio's and Beast's headers stand for their impl/ ones
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): every coroutine is awaited
// by the one that owns what it refers to NOLINTBEGIN(cert-err33-c): calls with an error_code, whose
// result says the same NOLINTBEGIN(bugprone-exception-escape): Asio throws std::bad_alloc at most,
// which ends the program
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/system/error_code.hpp>

#include "libsdk/src/http/head_scan.h"
#include "sphere/core/clock.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"

namespace sphere::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;
using Socket = asio::generic::stream_protocol::socket;
using Parser = beast::http::request_parser<beast::http::buffer_body>;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kPiece = std::size_t{64} * 1024;  // Of a body, read or written at once.

// Runs `work` on a thread of `pool`, then goes on where the caller runs.
awaitable<void> run_on(asio::thread_pool& pool, std::function<void()> work);

// Cancels what a socket does when a time limit has passed. Repeats that while it is armed, because
// an operation of several steps may just be between two of them.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  Watchdog(Socket& socket, const Socket::executor_type& executor)
      : socket_{&socket}, timer_{executor} {}

  void arm(SteadyClock::duration limit) {
    expired_ = false;
    wait(SteadyClock::now() + limit);
  }
  void disarm() { timer_.cancel(), ++round_; }
  [[nodiscard]] bool expired() const { return expired_; }

 private:
  void wait(SteadyClock::time_point until) {
    const std::uint64_t round = ++round_;
    timer_.expires_at(until);
    timer_.async_wait([self = shared_from_this(), round](const error_code& ec) {
      if (!ec && round == self->round_) {
        self->fire();
      }
    });
  }
  void fire() {
    expired_ = true;
    error_code ignored;
    socket_->cancel(ignored);
    wait(SteadyClock::now() + std::chrono::milliseconds{50});
  }

  Socket* socket_;
  asio::steady_timer timer_;
  std::uint64_t round_ = 0;
  bool expired_ = false;
};

class Connection;

// What all connections share.
struct Shared {
  asio::io_context io{1};
  asio::ssl::context tls{asio::ssl::context::tls_server};
  asio::thread_pool workers;
  std::list<std::shared_ptr<Connection>> connections = {};
  asio::steady_timer room{io};  // Cancelled when a connection ends or changes its phase.
  ServerOptions options;
  Handler* handler;
  SystemClock clock = {};
  bool stopping = false;
  std::size_t waiting = 0;                                     // Requests that no worker has begun.
  std::deque<SteadyClock::time_point> failed_handshakes = {};  // Of the last minute.

  Shared(ServerOptions given, Handler& with)
      : workers{std::max<std::size_t>(given.worker_threads, 1)},
        options{std::move(given)},
        handler{&with} {
    room.expires_at(SteadyClock::time_point::max());
  }
};

// silent: no byte has come. waiting: bytes have come, but all places are taken. Only busy and idle
// connections have one of the ServerOptions::connection_limit places.
enum class Phase : std::uint8_t { silent, waiting, busy, idle, ending };

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared& shared, Socket socket)
      : shared_{&shared},
        stream_{std::move(socket), shared.tls},
        watchdog_{std::make_shared<Watchdog>(stream_.next_layer(), shared.io.get_executor())} {}
  ~Connection() { watchdog_->disarm(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  Connection(Connection&&) = delete;
  Connection& operator=(Connection&&) = delete;

  awaitable<void> run();
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] SteadyClock::time_point since() const { return since_; }
  // Makes room for a newcomer.
  void evict() {
    enter(Phase::ending);
    error_code ignored;
    stream_.next_layer().cancel(ignored);
  }
  void close() {
    phase_ = Phase::ending;
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  struct Exchange {
    Parser parser;
    bool continue_expected = false;
    bool http_1_0 = false;
    bool head_request = false;
  };

  void enter(Phase phase) {
    phase_ = phase;
    since_ = SteadyClock::now();
    shared_->room.cancel();
  }
  awaitable<bool> handshake();
  awaitable<void> slow_down();
  awaitable<HeadScan> read_head();
  awaitable<bool> serve_one();
  awaitable<bool> serve_request(Exchange& exchange);
  awaitable<bool> take_body(Exchange& exchange, BodySink& sink);
  awaitable<error_code> read_piece(Exchange& exchange, std::string& piece);
  awaitable<bool> drain(Exchange& exchange, std::size_t limit);
  awaitable<bool> refuse(const Headers& headers);
  awaitable<bool> answer(Exchange& exchange, Response response, bool body_read);
  awaitable<bool> send_stream(Exchange& exchange, BodyStream stream);
  awaitable<bool> write(std::string_view text);
  awaitable<void> watch_for_leaving();
  awaitable<void> goodbye(std::function<void()> after);
  std::string head_text(const Response& response, std::optional<std::size_t> length, bool close);

  Shared* shared_;
  asio::ssl::stream<Socket> stream_;
  std::shared_ptr<Watchdog> watchdog_;  // Shared with the timer that runs.
  beast::flat_buffer buffer_;
  Phase phase_ = Phase::silent;
  SteadyClock::time_point since_ = SteadyClock::now();
  bool encrypted_ = false;
  bool answered_ = false;                // A request, at least.
  bool watching_ = false;                // A coroutine reads to see the client leave...
  bool left_ = false;                    // ...and it did.
  std::function<void()> after_goodbye_;  // Response::after of an answer that ends the connection.
};

// Whether a connection that has begun to speak may have a place; the longest idle one goes for it.
[[nodiscard]] bool make_place(const Shared& shared);
// Whether one more connection may be accepted. Those that say nothing cost little, and the oldest
// of them goes first: a flood of them keeps nobody out who speaks at once.
[[nodiscard]] bool may_accept(const Shared& shared);

}  // namespace sphere::http
// NOLINTEND(bugprone-exception-escape)
// NOLINTEND(cert-err33-c)
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
// NOLINTEND(misc-include-cleaner)
