// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"

namespace sphere::agent {

// Why the agent refuses a request, in the numbers of the device REST API.
struct [[nodiscard]] Refusal {
  device_api::ErrorCode code = 0;
  std::string message;  // Names the thing and the value refused.
  std::string next = {};
};

template <typename T>
using Answer = tl::expected<T, Refusal>;

[[nodiscard]] inline tl::unexpected<Refusal> refuse(device_api::ErrorCode code, std::string message,
                                                    std::string next = {}) {
  return tl::unexpected<Refusal>{
      Refusal{.code = code, .message = std::move(message), .next = std::move(next)}};
}

// `error` under the number that stands for it on the wire.
[[nodiscard]] inline tl::unexpected<Refusal> refuse(device_api::ErrorCode code,
                                                    const Error& error) {
  return refuse(code, error.message(), error.hint().next);
}

[[nodiscard]] inline tl::unexpected<Refusal> refuse_trust(const Error& error) {
  return refuse(device_api::kPackageUntrusted,
                "the board's trust store cannot be read: " + error.message(),
                "repair or remove that file");
}

}  // namespace sphere::agent
