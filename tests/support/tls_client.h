// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "sphere/core/descriptor.h"

struct ssl_ctx_st;
struct ssl_st;

namespace sphere::test {

// A connected socket; -1 inside when nobody listens.
[[nodiscard]] Descriptor connect_unix(const std::filesystem::path& path);
[[nodiscard]] Descriptor connect_tcp(std::uint16_t port);  // On 127.0.0.1.

// A TLS connection that sends the bytes it is told to: for requests no HTTP library would make. It
// checks no certificate.
class TlsClient {
 public:
  // Shakes hands over `socket`; ok() tells whether that worked. `maximum_version`: 0, or a TLS
  // version number such as 0x0303.
  explicit TlsClient(Descriptor socket, int maximum_version = 0);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  TlsClient(TlsClient&&) = delete;
  TlsClient& operator=(TlsClient&&) = delete;

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string version() const;  // "TLSv1.3"
  bool send(std::string_view bytes);
  // Reads until `end` has been seen, the peer closes, or the time is over; gives all that came.
  [[nodiscard]] std::string read_until(std::string_view end,
                                       std::chrono::milliseconds limit = std::chrono::seconds{5});
  // Reads until the peer closes.
  [[nodiscard]] std::string read_all(std::chrono::milliseconds limit = std::chrono::seconds{5});
  // Whether the last read ended with a proper end of the TLS connection.
  [[nodiscard]] bool closed_cleanly() const { return closed_cleanly_; }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  Descriptor socket_;
  ssl_ctx_st* context_ = nullptr;
  ssl_st* tls_ = nullptr;
  bool ok_ = false;
  bool closed_ = false;
  bool closed_cleanly_ = false;
};

}  // namespace sphere::test
