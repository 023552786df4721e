// SPDX-License-Identifier: MIT
// The HTTP server. One thread does all input and output, as coroutines; handlers and sinks, which
// may block, run on the worker threads. Everything but those runs on the one thread: no locks.
//
// NOLINTBEGIN(misc-include-cleaner): Asio's and Beast's headers stand for their impl/ ones
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): every coroutine is awaited
// by the one that owns what it refers to NOLINTBEGIN(cert-err33-c): calls with an error_code, whose
// result says the same NOLINTBEGIN(bugprone-exception-escape): Asio throws std::bad_alloc at most,
// which ends the program NOLINTBEGIN(bugprone-casting-through-void): the generic address of the
// socket interface
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <fcntl.h>
#include <functional>
#include <list>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/none.hpp>
#include <boost/system/error_code.hpp>

#include "libsdk/src/http/head_scan.h"
#include "libsdk/src/http/response_text.h"
#include "libsdk/src/http/server_tls.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"

namespace sphere::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;
using Socket = asio::generic::stream_protocol::socket;
using Parser = beast::http::request_parser<beast::http::buffer_body>;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPiece = std::size_t{64} * 1024;  // Of a body, read or written at once.
// So much of a body that nobody wants is read to keep the connection.
constexpr std::size_t kDrainToKeep = std::size_t{64} * 1024;
// Connections that have been accepted and have no place yet.
constexpr std::size_t kAntechamber = 128;
// How long an ended connection may take to say goodbye: the peer must get to read the answer
// before unread bytes of its request make the kernel reset the connection.
constexpr std::chrono::seconds kGoodbye{2};

// Runs `work` on a thread of `pool`, then goes on where the caller runs.
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

// Whether a connection that has begun to speak may have a place; the longest idle one goes for it.
bool make_place(const Shared& shared) {
  return count_in(shared, Phase::busy, Phase::idle) < shared.options.connection_limit ||
         evict_oldest(shared, Phase::idle);
}

// Whether one more connection may be accepted. Those that say nothing cost little, and the oldest
// of them goes first: a flood of them keeps nobody out who speaks at once.
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

Request make_request(const Parser& parser) {
  Request request{.method = std::string{parser.get().method_string()},
                  .target = std::string{parser.get().target()},
                  .headers = {}};
  for (const auto& field : parser.get()) {
    request.headers.emplace_back(std::string{field.name_string()}, std::string{field.value()});
  }
  return request;
}

awaitable<bool> Connection::serve_request(Exchange& exchange) {
  answered_ = true;
  const Parser& parser = exchange.parser;
  const Request request = make_request(parser);
  exchange.continue_expected =
      beast::iequals(parser.get()[beast::http::field::expect], "100-continue");
  exchange.http_1_0 = parser.get().version() < 11;
  exchange.head_request = parser.get().method() == beast::http::verb::head;
  std::optional<std::uint64_t> length;
  if (!parser.chunked()) {
    length = parser.content_length() ? *parser.content_length() : 0;
  }
  Decision decision = Response{};
  Handler& handler = *shared_->handler;
  if (shared_->waiting >= shared_->options.queue_limit) {
    co_return co_await answer(exchange, shared_->options.busy, parser.is_done());
  }
  ++shared_->waiting;
  std::function<void()> ask = [&] {
    asio::post(shared_->io, [shared = shared_] { --shared->waiting; });
    decision = handler.on_request(request, length);
  };
  co_await run_on(shared_->workers, std::move(ask));
  if (auto* const response = std::get_if<Response>(&decision)) {
    co_return co_await answer(exchange, std::move(*response), parser.is_done());
  }
  co_return co_await take_body(exchange, *std::get<std::unique_ptr<BodySink>>(decision));
}

// Takes up to kPiece bytes of the body; an empty piece without error: the body is complete.
awaitable<error_code> Connection::read_piece(Exchange& exchange, std::string& piece) {
  auto& body = exchange.parser.get().body();
  error_code result;
  while (!exchange.parser.is_done()) {
    piece.resize(kPiece);
    body.data = piece.data();
    body.size = piece.size();
    watchdog_->arm(shared_->options.body_limit);
    auto [ec, count] =
        co_await beast::http::async_read_some(stream_, buffer_, exchange.parser, kToken);
    watchdog_->disarm();
    if (ec == beast::http::error::need_buffer) {
      ec = {};
    }
    piece.resize(piece.size() - body.size);
    if (ec || !piece.empty()) {
      co_return ec;
    }
  }
  piece.clear();
  co_return result;
}

awaitable<bool> Connection::take_body(Exchange& exchange, BodySink& sink) {
  if (exchange.continue_expected && !exchange.parser.is_done() && buffer_.size() == 0) {
    if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) {
      co_return false;
    }
  }
  exchange.continue_expected = false;
  bool wanted = true;
  std::string piece;
  while (wanted && !exchange.parser.is_done()) {
    if (const error_code ec = co_await read_piece(exchange, piece)) {
      // A chunk that is no chunk, or no progress: the connection cannot go on. A client that left
      // gets nothing.
      co_return watchdog_->expired() ||
              ec.category() == make_error_code(beast::http::error::bad_chunk).category()
          ? co_await refuse(shared_->options.malformed_head_headers)
          : false;
    }
    if (!piece.empty()) {
      std::function<void()> hand_over = [&] { wanted = sink.write(piece); };
      co_await run_on(shared_->workers, std::move(hand_over));
    }
  }
  Response response;
  std::function<void()> finish = [&] { response = sink.finish(); };
  co_await run_on(shared_->workers, std::move(finish));
  co_return co_await answer(exchange, std::move(response), exchange.parser.is_done());
}

// Reads the rest of the body and drops it; false when it is longer than `limit`.
awaitable<bool> Connection::drain(Exchange& exchange, std::size_t limit) {
  std::string piece;
  std::size_t total = 0;
  while (!exchange.parser.is_done() && total <= limit) {
    if (co_await read_piece(exchange, piece)) {
      co_return false;
    }
    total += piece.size();
  }
  co_return exchange.parser.is_done();
}

std::string Connection::head_text(const Response& response, std::optional<std::size_t> length,
                                  bool close) {
  const auto reason = beast::http::obsolete_reason(
      beast::http::int_to_status(static_cast<unsigned>(response.status)));
  return to_text({.status = response.status,
                  .reason = {reason.data(), reason.size()},
                  .common = &shared_->options.common_headers,
                  .own = &response.headers,
                  .content_length = length,
                  .close = close,
                  .date = http_date(shared_->clock.unix_seconds())});
}

awaitable<bool> Connection::refuse(const Headers& headers) {
  const Response response{.status = 400, .headers = headers};
  const std::string text = head_text(response, 0, true);
  co_await write(text);
  co_return false;
}

// Sends the answer and tells whether the connection goes on. `body_read`: the request's body has
// been taken.
awaitable<bool> Connection::answer(Exchange& exchange, Response response, bool body_read) {
  if (response.hang_up) {
    co_return false;
  }
  if (response.delay.count() > 0) {
    asio::steady_timer pause{shared_->io, response.delay};
    co_await pause.async_wait(kToken);
  }
  if (auto* const stream = std::get_if<BodyStream>(&response.body)) {
    const std::string head = head_text(response, {}, true);
    if (co_await write(head)) {
      co_await send_stream(exchange, std::move(*stream));
    }
    after_goodbye_ = std::move(response.after);
    co_return false;
  }
  const auto length = exchange.parser.content_length();
  const bool small_rest = length && *length <= kDrainToKeep && !exchange.continue_expected;
  const bool close = response.close || exchange.http_1_0 || !exchange.parser.keep_alive() ||
                     shared_->stopping || phase_ == Phase::ending || !(body_read || small_rest);
  const auto& body = std::get<std::string>(response.body);
  std::string text = head_text(response, body.size(), close);
  if (!exchange.head_request) {
    text += body;
  }
  if (!co_await write(text)) {
    co_return false;
  }
  if (close) {
    after_goodbye_ = std::move(response.after);
    co_return false;
  }
  if (response.after) {
    co_await run_on(shared_->workers, std::move(response.after));
  }
  co_return body_read || co_await drain(exchange, kDrainToKeep);
}

// Sends what `stream` gives until its end or the client's leaving. Streams end their connection:
// what the client sends meanwhile is read only to see it leave.
awaitable<bool> Connection::send_stream(Exchange& exchange, BodyStream stream) {
  const auto self = shared_from_this();
  watching_ = true;
  asio::co_spawn(shared_->io, [self] { return self->watch_for_leaving(); }, asio::detached);
  {
    asio::thread_pool own_thread{1};
    std::optional<std::string> piece = std::string{};
    while (piece && !left_ && phase_ != Phase::ending && !exchange.head_request) {
      if (!piece->empty()) {
        const std::string chunk = exchange.http_1_0 ? *piece : to_chunk(*piece);
        if (!co_await write(chunk)) {
          break;
        }
      }
      std::function<void()> next = [&] { piece = stream(); };
      co_await run_on(own_thread, std::move(next));
    }
    if (!piece && !left_ && !exchange.http_1_0) {
      co_await write(to_chunk({}));
    }
    own_thread.join();
  }
  while (watching_) {
    error_code ignored;
    stream_.next_layer().cancel(ignored);
    asio::steady_timer pause{shared_->io, std::chrono::milliseconds{1}};
    co_await pause.async_wait(kToken);
  }
  co_return false;
}

awaitable<void> Connection::watch_for_leaving() {
  const auto self = shared_from_this();
  std::array<char, 256> dropped = {};
  while (true) {
    const auto [ec, count] = co_await stream_.async_read_some(asio::buffer(dropped), kToken);
    if (ec) {
      break;
    }
  }
  left_ = true;
  watching_ = false;
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
// what it still sends until it ends, too.
awaitable<void> Connection::goodbye(std::function<void()> after) {
  phase_ = Phase::ending;
  Socket& socket = stream_.next_layer();
  error_code ignored;
  if (encrypted_ && socket.is_open()) {
    watchdog_->arm(kGoodbye);
    co_await stream_.async_shutdown(kToken);
    socket.shutdown(Socket::shutdown_send, ignored);
    std::array<char, 4096> dropped = {};
    for (bool open = !watchdog_->expired(); open;) {
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
