// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/device/virtual_board.h"
#include "sphere/http/client.h"
#include "sphere/transport/place.h"

namespace sphere::device {

struct AttachedDevice {
  std::string device_id;
  std::string ip_address;       // 192.168.35.2 and up, by which old scripts name boards.
  std::string connection_path;  // "vb-<name>", or as transport::connection_path().
  std::string name;
  std::string state;  // ready, starting, ...
  bool is_virtual = false;
  http::Endpoint endpoint;
  // Set for a device at the end of a SLIP link, which DirectLink or LinkService opens.
  std::optional<transport::Place> place = {};
};

// How the tools reach a virtual board: through its Unix socket, with its own certificate authority
// and the name that only its leaf has (d-<first 32 digits of the device
// id>.device.sphere.internal).
[[nodiscard]] http::Endpoint endpoint_of(const BoardStatus& board);

// All boards that can be reached now: running virtual boards.
[[nodiscard]] Result<std::vector<AttachedDevice>> list_attached(const VirtualBoards& boards);

// The device that `wanted` names (connection path, IP address, board name, device id or its unique
// beginning of >= 8 digits), or the only one attached when `wanted` is empty.
// Errors: not_found (link.no-board), invalid_argument (link.ambiguous, candidates in the value).
[[nodiscard]] Result<AttachedDevice> choose(const std::vector<AttachedDevice>& attached,
                                            std::string_view wanted);

}  // namespace sphere::device
