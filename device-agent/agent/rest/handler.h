// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/routes.h"
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
  [[nodiscard]] http::Decision decide(const http::Request& request,
                                      std::optional<std::uint64_t> content_length,
                                      std::string_view& logged);
  [[nodiscard]] std::optional<http::Response> refuse_origin(const http::Request& request);
  [[nodiscard]] Answer<void> take_capability(const http::Request& request, std::string_view route,
                                             Call& call);

  Services* services_;
};

}  // namespace sphere::agent
