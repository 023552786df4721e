// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/step.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

Step require(bool ok, std::string_view layer, std::string_view what) {
  if (ok) {
    return {};
  }
  return tl::unexpected<StepFailure>{
      StepFailure{.layer = layer, .what = std::string{what}, .number = errno}};
}

void send_message(int socket, const json::Value& message) {
  const auto text = json::to_compact(message);
  ssize_t sent = 0;
  do {
    sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
}

Result<json::Value> receive_message(int socket) {
  std::array<char, 4096> buffer = {};
  ssize_t count = 0;
  do {
    count = ::recv(socket, buffer.data(), buffer.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    return fail(Errc::unavailable, "the other side closed its socket");
  }
  return json::parse(std::string_view{buffer.data(), static_cast<std::size_t>(count)});
}

}  // namespace sphere::agent
