// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/context.h"
#include "sphere/core/result.h"
#include "sphere/device/attached.h"
#include "sphere/device/direct_link.h"
#include "sphere/device/rest_client.h"
#include "sphere/device/virtual_board.h"
#include "sphere/transport/place.h"

namespace sphere::cli {

// The virtual boards of this user. Errors: permission without a home directory.
[[nodiscard]] Result<device::VirtualBoards> open_boards(Context& context);

// A device and the way to it, for the length of one command.
struct DeviceSession {
  device::AttachedDevice device;
  std::unique_ptr<device::DirectLink> link = {};  // Only of a SLIP link of this command's own.
  device::RestClient rest;
};

// All devices that can be reached: running virtual boards, boards on USB, the links of the
// configuration, and the link that --device names itself.
[[nodiscard]] Result<std::vector<device::AttachedDevice>> attached_devices(Context& context);

// The device that --device (or the environment, or the configuration) names, or the only one.
// Nothing is sent yet. Errors: as device::choose(); a stopped virtual board is told by its name.
[[nodiscard]] Result<std::unique_ptr<DeviceSession>> connect_device(Context& context);

// The link of the device that --device names, or of the only one with a link. Errors: as
// device::choose(); unsupported for a virtual board whose service UART is not a socket.
[[nodiscard]] Result<transport::Place> place_of_device(Context& context);

// A link of this command's own; waits for another command that holds it. Errors: as
// device::DirectLink::open().
[[nodiscard]] Result<std::unique_ptr<device::DirectLink>> open_link(Context& context,
                                                                    const transport::Place& place);

// The running virtual board `name`. Errors: not_found, unavailable (it does not run).
[[nodiscard]] Result<std::unique_ptr<DeviceSession>> connect_board(Context& context,
                                                                   std::string_view name);

// `result`, with the device's own number of a refusal kept for the json form of the error.
template <typename T>
[[nodiscard]] Result<T> noted(Context& context, const DeviceSession& session, Result<T> result) {
  if (!result) {
    context.device_error = session.rest.last_device_error();
  }
  return result;
}

}  // namespace sphere::cli
