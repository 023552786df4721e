// SPDX-License-Identifier: MIT
#include "sphere/device/attached.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/virtual_board.h"
#include "sphere/http/client.h"

namespace sphere::device {

namespace {

constexpr std::size_t kFirstAddress = 2;  // 192.168.35.2
constexpr std::size_t kLastAddress = 254;
constexpr std::size_t kShortestPrefix = 8;  // Digits of a device id.

// One line for each board: path, address, id, name.
std::string candidates(const std::vector<const AttachedDevice*>& devices) {
  std::vector<std::string> lines;
  lines.reserve(devices.size());
  for (const AttachedDevice* const device : devices) {
    // A device at the end of a link has not told its id yet.
    lines.push_back(device->device_id.empty()
                        ? device->connection_path
                        : fmt::format("{} ({}, {}...)", device->connection_path, device->ip_address,
                                      device->device_id.substr(0, 16)));
  }
  return join(lines, ", ");
}

template <typename Matches>
std::vector<const AttachedDevice*> filter(const std::vector<AttachedDevice>& devices,
                                          Matches matches) {
  std::vector<const AttachedDevice*> found;
  for (const AttachedDevice& device : devices) {
    if (matches(device)) {
      found.push_back(&device);
    }
  }
  return found;
}

// The devices that the first form of name which fits any names.
std::vector<const AttachedDevice*> find(const std::vector<AttachedDevice>& attached,
                                        std::string_view wanted) {
  for (const auto member :
       {&AttachedDevice::connection_path, &AttachedDevice::ip_address, &AttachedDevice::name}) {
    auto found =
        filter(attached, [&](const AttachedDevice& device) { return device.*member == wanted; });
    if (!found.empty()) {
      return found;
    }
  }
  const std::string id = to_lower(wanted);
  return filter(attached, [&id](const AttachedDevice& device) {
    return id.size() >= kShortestPrefix && device.device_id.starts_with(id);
  });
}

}  // namespace

http::Endpoint endpoint_of(const BoardStatus& board) {
  return {.url = "https://192.168.35.2",
          .unix_socket = board.rest_socket,
          .ca_pem = board.device_api_ca_pem,
          .tls_name = fmt::format("d-{}.device.sphere.internal", board.device_id.substr(0, 32))};
}

namespace {

std::string attached_state(BoardState state) {
  return state == BoardState::running ? "ready" : std::string{to_text(state)};
}

}  // namespace

Result<std::vector<AttachedDevice>> list_attached(const VirtualBoards& boards) {
  SPHERE_TRY_ASSIGN(const std::vector<BoardStatus> all, boards.list());
  std::vector<AttachedDevice> attached;
  for (const BoardStatus& board : all) {
    const std::size_t address = kFirstAddress + attached.size();
    if (board.state == BoardState::stopped || address > kLastAddress) {
      continue;
    }
    attached.push_back({.device_id = board.device_id,
                        .ip_address = fmt::format("192.168.35.{}", address),
                        .connection_path = "vb-" + board.config.name,
                        .name = board.config.name,
                        .state = attached_state(board.state),
                        .is_virtual = true,
                        .endpoint = endpoint_of(board)});
  }
  return attached;
}

Result<AttachedDevice> choose(const std::vector<AttachedDevice>& attached,
                              std::string_view wanted) {
  const auto found = wanted.empty()
                         ? filter(attached, [](const AttachedDevice& /*any*/) { return true; })
                         : find(attached, wanted);
  if (found.size() == 1) {
    return *found.front();
  }
  if (!found.empty()) {
    return fail(Errc::invalid_argument,
                wanted.empty() ? fmt::format("{} devices are attached", found.size())
                               : fmt::format("{} attached devices are named {}", found.size(),
                                             escape_control(wanted)),
                {.reason = "link.ambiguous",
                 .value = candidates(found),
                 .next = "name one: --device " + found.front()->connection_path});
  }
  if (wanted.empty()) {
    return fail(Errc::not_found, "no device is attached",
                {.reason = "link.no-board",
                 .value = "looked for running virtual boards, USB 0403:6011, configured links",
                 .next = "start one: sphere board start NAME (or make one: sphere board create "
                         "NAME)"});
  }
  return fail(Errc::not_found,
              fmt::format("no attached device is named {}", escape_control(wanted)),
              {.reason = "link.no-board",
               .value = std::string{wanted},
               .next = "list the attached devices: sphere device list-attached"});
}

}  // namespace sphere::device
