// SPDX-License-Identifier: MIT
// NOLINTBEGIN(misc-include-cleaner): Asio's and Beast's headers stand for their impl/ ones
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): every coroutine is awaited
// by the one that owns what it refers to NOLINTBEGIN(cert-err33-c): calls with an error_code, whose
// result says the same NOLINTBEGIN(bugprone-exception-escape): Asio throws std::bad_alloc at most,
// which ends the program
#include "libsdk/src/http/connection.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/none.hpp>
#include <openssl/ssl.h>

#include "libsdk/src/http/head_scan.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"

namespace sphere::http {
namespace {

// Connections that have been accepted and have no place yet.
constexpr std::size_t kAntechamber = 128;
// How long an ended connection may take to say goodbye: the peer must get to read the answer
// before unread bytes of its request make the kernel reset the connection.
constexpr std::chrono::seconds kGoodbye{2};

std::size_t count_in(const Shared& shared, Phase one, Phase other) {
  return static_cast<std::size_t>(
      std::ranges::count_if(shared.connections, [one, other](const auto& connection) {
        return connection->phase() == one || connection->phase() == other;
      }));
}

// Asks the connection that has been in `phase` for longest to go; false when there is none.
bool evict_oldest(const Shared& shared, Phase phase) {
  Connection* oldest = nullptr;
  for (const auto& connection : shared.connections) {
    if (connection->phase() == phase &&
        (oldest == nullptr || connection->since() < oldest->since())) {
      oldest = connection.get();
    }
  }
  if (oldest != nullptr) {
    oldest->evict();
  }
  return oldest != nullptr;
}

// Whether the head leaves no doubt about where the body ends, beyond what the parser checks.
bool is_framing_clear(const Parser& parser) {
  const auto& fields = parser.get();
  const auto coded = fields.find(beast::http::field::transfer_encoding);
  if (coded == fields.end()) {
    return true;
  }
  return parser.chunked() && parser.get().version() == 11 &&
         fields.count(beast::http::field::content_length) == 0 &&
         fields.count(beast::http::field::transfer_encoding) == 1 &&
         beast::iequals(coded->value(), "chunked");
}

// RFC 9112 section 3.2: a request of HTTP/1.1 names its host once.
bool has_host(const Parser& parser) {
  return parser.get().version() < 11 || parser.get().count(beast::http::field::host) == 1;
}

// Whether everything has been read that the peer ever sends.
bool has_ended(Socket& socket) {
  char next = 0;
  return ::recv(socket.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace

awaitable<void> run_on(asio::thread_pool& pool, std::function<void()> work) {
  auto initiate = [&pool](auto handler, std::function<void()> job) {
    asio::post(pool, [handler = std::move(handler), job = std::move(job)]() mutable {
      job();
      auto executor = asio::get_associated_executor(handler);
      asio::post(executor, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      initiate, asio::use_awaitable, std::move(work));
}

bool make_place(const Shared& shared) {
  return count_in(shared, Phase::busy, Phase::idle) < shared.options.connection_limit ||
         evict_oldest(shared, Phase::idle);
}

bool may_accept(const Shared& shared) {
  return count_in(shared, Phase::silent, Phase::waiting) < kAntechamber ||
         evict_oldest(shared, Phase::silent);
}

awaitable<bool> Connection::handshake() {
  watchdog_->arm(shared_->options.header_limit);
  const auto [waited] = co_await stream_.next_layer().async_wait(Socket::wait_read, kToken);
  watchdog_->disarm();
  if (waited || phase_ == Phase::ending) {
    co_return false;
  }
  enter(Phase::waiting);
  while (!make_place(*shared_)) {
    co_await shared_->room.async_wait(kToken);
    if (phase_ == Phase::ending || SteadyClock::now() - since_ > shared_->options.idle_limit) {
      co_return false;
    }
  }
  enter(Phase::busy);
  watchdog_->arm(shared_->options.header_limit);
  const auto [ec] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kToken);
  watchdog_->disarm();
  encrypted_ = !ec;
  if (!encrypted_ && phase_ != Phase::ending) {
    co_await slow_down();
  }
  co_return encrypted_;
}

// Keeps a client that fails again and again waiting, in none of the places for connections.
awaitable<void> Connection::slow_down() {
  constexpr std::chrono::minutes kWindow{1};
  constexpr std::chrono::seconds kDelay{1};
  auto& failed = shared_->failed_handshakes;
  const auto now = SteadyClock::now();
  while (!failed.empty() && now - failed.front() > kWindow) {
    failed.pop_front();
  }
  failed.push_back(now);
  if (failed.size() <= shared_->options.failed_handshake_limit) {
    co_return;
  }
  failed.pop_front();
  enter(Phase::ending);
  asio::steady_timer pause{shared_->io, kDelay};
  co_await pause.async_wait(kToken);
}

awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  if (co_await handshake()) {
    while (phase_ != Phase::ending && co_await serve_one()) {
    }
  }
  co_await goodbye(std::exchange(after_goodbye_, {}));
}

// Reads until the head is complete or known to be bad; `incomplete`: the client left, or the time
// is over.
awaitable<HeadScan> Connection::read_head() {
  const HeadLimits limits{.bytes = shared_->options.header_bytes,
                          .lines = shared_->options.header_lines,
                          .target_bytes = shared_->options.target_bytes};
  // Idle is who has been answered before. The first request is on its way when the handshake ends:
  // its connection may not be ended for a newcomer.
  enter(buffer_.size() == 0 && answered_ ? Phase::idle : Phase::busy);
  watchdog_->arm(phase_ == Phase::idle ? shared_->options.idle_limit
                                       : shared_->options.header_limit);
  HeadScan scan;
  while (true) {
    const auto received = buffer_.cdata();
    scan = scan_head({static_cast<const char*>(received.data()), received.size()}, limits);
    if (scan.state != HeadState::incomplete) {
      break;
    }
    const auto [ec, count] = co_await stream_.async_read_some(buffer_.prepare(4096), kToken);
    if (ec || phase_ == Phase::ending || watchdog_->expired()) {
      break;
    }
    buffer_.commit(count);
    if (phase_ == Phase::idle) {
      enter(Phase::busy);
      watchdog_->arm(shared_->options.header_limit);
    }
  }
  watchdog_->disarm();
  co_return scan;
}

awaitable<bool> Connection::serve_one() {
  const HeadScan scan = co_await read_head();
  if (phase_ == Phase::ending || scan.state == HeadState::incomplete) {
    co_return false;
  }
  if (scan.state != HeadState::complete) {
    co_return co_await refuse(scan.state == HeadState::malformed
                                  ? shared_->options.malformed_head_headers
                                  : shared_->options.large_head_headers);
  }
  Exchange exchange;
  exchange.parser.header_limit(static_cast<std::uint32_t>(shared_->options.header_bytes));
  exchange.parser.body_limit(boost::none);  // Limits of bodies are the handler's.
  error_code ec;
  const std::size_t used =
      exchange.parser.put(asio::buffer(buffer_.cdata().data(), scan.length), ec);
  if (ec || !exchange.parser.is_header_done() || !is_framing_clear(exchange.parser) ||
      !has_host(exchange.parser)) {
    co_return co_await refuse(shared_->options.malformed_head_headers);
  }
  buffer_.consume(used);
  co_return co_await serve_request(exchange);
}

awaitable<bool> Connection::refuse(const Headers& headers) {
  const Response response{.status = 400, .headers = headers};
  const std::string text = head_text(response, 0, true);
  co_await write(text);
  co_return false;
}

awaitable<bool> Connection::write(std::string_view text) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, kPiece);
    watchdog_->arm(shared_->options.body_limit);
    const auto [ec, count] =
        co_await asio::async_write(stream_, asio::buffer(piece.data(), piece.size()), kToken);
    watchdog_->disarm();
    if (ec) {
      co_return false;
    }
    text.remove_prefix(piece.size());
  }
  co_return true;
}

// Ends the connection so that the peer gets all that was sent: close_notify and FIN, then reads
// what it still sends until it ends, too. An end that was read already is not waited for again:
// Asio reads on after an edge of epoll(7) only, and a peer that has half closed makes no more.
awaitable<void> Connection::goodbye(std::function<void()> after) {
  phase_ = Phase::ending;
  Socket& socket = stream_.next_layer();
  error_code ignored;
  if (encrypted_ && socket.is_open()) {
    watchdog_->arm(kGoodbye);
    if (has_ended(socket)) {
      SSL* const tls = stream_.native_handle();
      ::SSL_set_shutdown(tls, ::SSL_get_shutdown(tls) | SSL_RECEIVED_SHUTDOWN);
    }
    co_await stream_.async_shutdown(kToken);
    socket.shutdown(Socket::shutdown_send, ignored);
    std::array<char, 4096> dropped = {};
    for (bool open = !watchdog_->expired() && !has_ended(socket); open;) {
      const auto [ec, count] = co_await socket.async_read_some(asio::buffer(dropped), kToken);
      open = !ec && count > 0 && !watchdog_->expired();
    }
  }
  watchdog_->disarm();
  socket.close(ignored);
  if (after) {
    co_await run_on(shared_->workers, std::move(after));
  }
}

}  // namespace sphere::http
// NOLINTEND(bugprone-exception-escape)
// NOLINTEND(cert-err33-c)
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
// NOLINTEND(misc-include-cleaner)
