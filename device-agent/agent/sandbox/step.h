// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// Why the launcher gave up: the layer it could not have.
struct [[nodiscard]] StepFailure {
  std::string_view layer;  // "L4"
  std::string what;        // "mount /proc"
  int number = 0;          // errno
};
using Step = tl::expected<void, StepFailure>;

// `ok`, or the failure of `what` with the current errno.
[[nodiscard]] Step require(bool ok, std::string_view layer, std::string_view what);

// One JSON message on a SEQPACKET socket. send_message() tells nobody about a closed peer: its
// reader is gone then and ends us.
void send_message(int socket, const json::Value& message);
[[nodiscard]] Result<json::Value> receive_message(int socket);

}  // namespace sphere::agent
