// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "device-agent/agent/apps/output_log.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/core/descriptor.h"
#include "sphere/device_api/device_log.h"
#include "sphere/http/server.h"

namespace sphere::agent {

inline constexpr int kMaxFollowers = 4;

// The lines of an app after number `seq`. Numbers go on over restarts of app and board, so there is
// no line for a new run. With `follow` the answer goes on with what the app prints, a heartbeat
// after 15 s of silence, {"dropped": n} for lines that went faster than they were read, and ends
// with {"end": ...}. A fifth follower is refused with kBusy.
[[nodiscard]] http::Response output_lines(Services& services, const std::shared_ptr<OutputLog>& log,
                                          std::int64_t seq, bool follow);

struct LogFilter {
  std::int64_t after = 0;
  device_api::LogPriority priority = device_api::LogPriority::trace;  // And what is more urgent.
  std::string category = {};                                          // A name; "": all.
};
// The decoded diagnostic log, in the same way.
[[nodiscard]] http::Response log_lines(Services& services, const LogFilter& filter, bool follow);

// What can be read from `source`, until its end.
[[nodiscard]] http::Response copied_lines(Services& services, Descriptor source);

}  // namespace sphere::agent
