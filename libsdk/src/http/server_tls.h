// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "sphere/core/result.h"
#include "sphere/http/server.h"

namespace sphere::http {

// TLS 1.3 and 1.2 with the suites and groups of docs/protocols/device-rest-api.md, with the
// certificate and key of `options`. Errors: invalid_argument.
[[nodiscard]] Result<void> configure_tls(boost::asio::ssl::context& context,
                                         const ServerOptions& options);

}  // namespace sphere::http
