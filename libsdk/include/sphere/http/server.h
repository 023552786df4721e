// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/http/message.h"

namespace sphere::http {

struct Request {
  std::string method;
  std::string target;  // As on the wire: path and query.
  Headers headers;
};

// Gives the body of a streamed answer. Called on a server thread of its own for this request;
// returns the next piece, blocking at most about a second, "" for "nothing yet", or nothing at the
// end. It ends when the client leaves. The connection ends with the answer.
using BodyStream = std::function<std::optional<std::string>()>;

struct Response {
  int status = 200;
  Headers headers = {};  // Content-Length, Date and Connection are the server's.
  std::variant<std::string, BodyStream> body = std::string{};
  bool close = false;                  // Ends the connection after this answer.
  bool hang_up = false;                // Ends the connection in place of an answer.
  std::chrono::milliseconds delay{0};  // Before the answer leaves; it holds no worker.
  // Runs on a server thread after the last byte has left and, with `close`, the connection has
  // ended (restart: first the answer, then the deed). It must not stop the server itself.
  std::function<void()> after = {};
};

// Takes the request body in pieces, so that no body is ever held whole unless its taker does so.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Returns false to refuse the rest; then finish() is called at once.
  [[nodiscard]] virtual bool write(std::string_view piece) = 0;
  // The body is complete (or was refused): the answer. Not called when the client leaves early.
  [[nodiscard]] virtual Response finish() = 0;
};

// What to do with a request whose head has arrived: an answer now (the body is not read), or a
// sink.
using Decision = std::variant<Response, std::unique_ptr<BodySink>>;

// Called on a server thread, several at once.
class Handler {
 public:
  virtual ~Handler() = default;
  // `content_length`: nothing when the body comes in chunks, 0 when there is none.
  [[nodiscard]] virtual Decision on_request(const Request& request,
                                            std::optional<std::uint64_t> content_length) = 0;
};

struct ServerOptions {
  std::string certificate_chain_pem = {};  // Leaf first. TLS 1.2 and 1.3.
  std::string private_key_pem = {};
  std::size_t connection_limit = 16;  // The longest idle one is closed for a newcomer.
  std::size_t worker_threads = 4;     // Requests at work at one time.
  std::size_t queue_limit = 16;       // Requests that wait for a worker; further ones get `busy`.
  Response busy = {.status = 503};
  std::size_t header_bytes = 8192;
  std::size_t header_lines = 64;
  std::size_t target_bytes = 1024;
  std::chrono::seconds header_limit{10};  // TLS handshake, and request head from its first byte.
  std::chrono::seconds body_limit{30};    // Without progress, reading or writing.
  std::chrono::seconds idle_limit{60};    // Keep-alive.
  // After so many handshakes that failed within a minute each further one ends a second later.
  std::size_t failed_handshake_limit = 50;
  Headers common_headers = {};  // In every answer, the server's own refusals included.
  // Beside those in the server's own 400 answers: a malformed head or body framing, and a head that
  // passes header_bytes, header_lines or target_bytes.
  Headers malformed_head_headers = {};
  Headers large_head_headers = {};
};

// An HTTP/1.1 server over TLS on sockets that the caller has bound and set to listen (TCP or Unix).
// HTTP/1.0 is answered and closed. A malformed head, and a request of HTTP/1.1 without exactly one
// Host, is answered 400 with an empty body and closed.
class Server {
 public:
  // Takes the sockets. `handler` must outlive the server. Errors: invalid_argument (certificate,
  // key).
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(std::vector<Descriptor> listeners,
                                                             ServerOptions options,
                                                             Handler& handler);
  virtual ~Server() = default;  // Stops as stop() does.
  // Accepts no further connection, ends all open ones, joins the threads.
  virtual void stop() = 0;
};

// Binds and listens. Errors: busy when the address is taken (link.busy, value host:port),
// permission.
[[nodiscard]] Result<Descriptor> listen_tcp(const std::string& address, std::uint16_t port);
// Mode 0600; an existing socket file is replaced when nobody listens on it, else busy.
[[nodiscard]] Result<Descriptor> listen_unix(const std::filesystem::path& path);

}  // namespace sphere::http
