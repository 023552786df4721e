// SPDX-License-Identifier: MIT
// One request and its answer.
// NOLINTBEGIN(misc-include-cleaner): Asio's and Beast's headers stand for their impl/ ones
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): every coroutine is awaited
// by the one that owns what it refers to NOLINTBEGIN(cert-err33-c): calls with an error_code, whose
// result says the same NOLINTBEGIN(bugprone-exception-escape): Asio throws std::bad_alloc at most,
// which ends the program
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>

#include "libsdk/src/http/connection.h"
#include "libsdk/src/http/response_text.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"

namespace sphere::http {
namespace {

// So much of a body that nobody wants is read to keep the connection.
constexpr std::size_t kDrainToKeep = std::size_t{64} * 1024;

Request make_request(const Parser& parser) {
  Request request{.method = std::string{parser.get().method_string()},
                  .target = std::string{parser.get().target()},
                  .headers = {}};
  for (const auto& field : parser.get()) {
    request.headers.emplace_back(std::string{field.name_string()}, std::string{field.value()});
  }
  return request;
}

}  // namespace

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

}  // namespace sphere::http
// NOLINTEND(bugprone-exception-escape)
// NOLINTEND(cert-err33-c)
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
// NOLINTEND(misc-include-cleaner)
