// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/http/message.h"

namespace sphere::http {

// Where a server is and what makes its TLS certificate acceptable.
struct Endpoint {
  std::string url;                         // "https://192.168.35.2", without path.
  std::filesystem::path unix_socket = {};  // Connect here instead of to the URL's host.
  std::string ca_pem = {};                 // Trusted roots for this connection; nothing else is.
  // The certificate must be valid for this name; empty: the URL's host.
  std::string tls_name = {};
  // SHA-256 of the only public key (SubjectPublicKeyInfo) that the certificate may have, in
  // hexadecimal digits; empty: any. With another one the handshake ends and nothing is sent.
  std::string pinned_key = {};
};

struct ClientRequest {
  std::string method = "GET";
  std::string path = "/";
  Headers headers = {};
  std::string body = {};
  bool has_body = false;  // Sends Content-Length: 0 too.
  // Gives up after this long without a byte of progress.
  std::chrono::milliseconds idle_limit = std::chrono::seconds{30};
  std::size_t response_limit = std::size_t{16} * 1024 * 1024;  // Bytes of body.
  // When set, gets the body of a 2xx answer in pieces as it arrives (nothing is collected, no
  // response_limit); returning false ends the request with Errc::cancelled.
  std::function<bool(std::string_view)> sink = {};
  // Bytes of the request body sent so far and in all.
  std::function<void(std::size_t, std::size_t)> progress = {};
  // Asked several times a second while the request runs; true ends it with Errc::cancelled.
  std::function<bool()> cancelled = {};
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

// One HTTP/1.1 connection that is kept open between requests. Not for use from two threads at once.
// No proxy, no redirects, no cookies, no environment variables are used.
class Client {
 public:
  virtual ~Client() = default;
  // Errors: unavailable (nobody listens; device.refused), timeout (device.timeout), unverified
  // (TLS; device.tls, with OpenSSL's reason; another key than the pinned one:
  // device.identity-changed), too_large, cancelled, io (the other side ended the
  // connection; link.no-answer).
  [[nodiscard]] virtual Result<ClientResponse> send(const ClientRequest& request) = 0;
};

// Connects to nothing yet. Errors: invalid_argument (the URL is neither https nor http, an https
// one comes without ca_pem, or pinned_key is no digest).
[[nodiscard]] Result<std::unique_ptr<Client>> make_client(Endpoint endpoint);

}  // namespace sphere::http
