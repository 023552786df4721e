// SPDX-License-Identifier: MIT
#include "tests/support/tls_client.h"

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <utility>

#include <openssl/ssl.h>

#include "sphere/core/descriptor.h"

namespace sphere::test {

namespace {

const sockaddr* generic(const void* address) { return static_cast<const sockaddr*>(address); }

}  // namespace

Descriptor connect_unix(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.native().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  return ::connect(socket.get(), generic(&address), sizeof(address)) == 0 ? std::move(socket)
                                                                          : Descriptor{};
}

Descriptor connect_tcp(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  return ::connect(socket.get(), generic(&address), sizeof(address)) == 0 ? std::move(socket)
                                                                          : Descriptor{};
}

TlsClient::TlsClient(Descriptor socket, int maximum_version) : socket_{std::move(socket)} {
  // OpenSSL writes with write(): a peer that has left must not end the test program.
  (void)std::signal(SIGPIPE, SIG_IGN);
  context_ = SSL_CTX_new(TLS_client_method());
  tls_ = SSL_new(context_);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ok_ = SSL_set_max_proto_version(tls_, maximum_version) == 1 &&
        SSL_set_fd(tls_, socket_.get()) == 1 && SSL_connect(tls_) == 1;
}

TlsClient::~TlsClient() {
  SSL_free(tls_);
  SSL_CTX_free(context_);
}

std::string TlsClient::version() const { return SSL_get_version(tls_); }

bool TlsClient::send(std::string_view bytes) {
  return bytes.empty() || SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())) > 0;
}

std::string TlsClient::read_until(std::string_view end, std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  std::string text;
  std::array<char, 16384> piece = {};
  while (end.empty() || text.find(end) == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (SSL_pending(tls_) == 0 &&
        (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0)) {
      break;
    }
    const int count = SSL_read(tls_, piece.data(), static_cast<int>(piece.size()));
    if (count <= 0) {
      closed_ = true;
      closed_cleanly_ = SSL_get_error(tls_, count) == SSL_ERROR_ZERO_RETURN;
      break;
    }
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
  return text;
}

std::string TlsClient::read_all(std::chrono::milliseconds limit) { return read_until({}, limit); }

}  // namespace sphere::test
