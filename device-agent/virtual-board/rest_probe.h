// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <functional>

#include "device-agent/virtual-board/event_loop.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// Finds out when sphered takes connections. The socket listens from before sphered runs, so that
// connecting proves nothing: the probe connects, says that it will not speak, and sees its
// connection closed once somebody has accepted it.
class RestProbe {
 public:
  // Calls `answered` once, from the loop. Errors: as system_error().
  [[nodiscard]] static Result<RestProbe> start(EventLoop& loop, const std::filesystem::path& socket,
                                               std::function<void()> answered);

 private:
  RestProbe(Descriptor connection, EventLoop::Watch watch)
      : connection_{std::move(connection)}, watch_{std::move(watch)} {}
  Descriptor connection_;
  EventLoop::Watch watch_;  // Goes first.
};

}  // namespace sphere::virtual_board
