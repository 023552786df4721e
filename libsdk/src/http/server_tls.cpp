// SPDX-License-Identifier: MIT
#include "libsdk/src/http/server_tls.h"

#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/context_base.hpp>
#include <boost/system/error_code.hpp>
#include <openssl/ssl.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/http/server.h"

namespace sphere::http {

namespace {

constexpr const char* kSuites =  // TLS 1.2; those of 1.3 are OpenSSL's.
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256";

tl::unexpected<Error> tls_error(std::string_view what, const std::string& reason) {
  return fail(Errc::invalid_argument, std::string{what} + ": " + reason,
              {.reason = "device.tls", .next = "make the board's certificate again"});
}

}  // namespace

Result<void> configure_tls(boost::asio::ssl::context& context, const ServerOptions& options) {
  SSL_CTX* const handle = context.native_handle();
  SSL_CTX_set_options(
      handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Tickets hold what resumes a session, so the server need not keep one for each handshake.
  SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
  // Without it a kept connection would hold 34 kB of buffers while it is idle.
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_min_proto_version(handle, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(handle, kSuites) != 1 ||
      SSL_CTX_set1_groups_list(handle, kGroups) != 1) {
    return tls_error("cannot set the TLS suites", "OpenSSL refuses them");
  }
  boost::system::error_code ec;
  // The same code is in `ec`.
  (void)context.use_certificate_chain(boost::asio::buffer(options.certificate_chain_pem), ec);
  if (ec) {
    return tls_error("the TLS certificate is no PEM certificate chain", ec.message());
  }
  (void)context.use_private_key(boost::asio::buffer(options.private_key_pem),
                                boost::asio::ssl::context_base::pem, ec);
  if (ec) {
    return tls_error("the TLS key is not the certificate's key in PEM form", ec.message());
  }
  if (SSL_CTX_check_private_key(handle) != 1) {
    return tls_error("the TLS key does not belong to the certificate", "they do not match");
  }
  return {};
}

}  // namespace sphere::http
