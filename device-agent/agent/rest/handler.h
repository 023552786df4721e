// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "device-agent/agent/rest/services.h"
#include "sphere/http/server.h"

namespace sphere::agent {

// The device REST API: checks origin, path, rights and body of a request, in this order and before
// the body is read, then hands it to its route. `services` must outlive it.
class RestHandler final : public http::Handler {
 public:
  explicit RestHandler(Services& services) : services_{&services} {}
  [[nodiscard]] http::Decision on_request(const http::Request& request,
                                          std::optional<std::uint64_t> content_length) override;

 private:
  Services* services_;
};

}  // namespace sphere::agent
