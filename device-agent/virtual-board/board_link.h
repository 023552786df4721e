// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

// The wire between sphered and the virtual board it runs on: what stands in place of the SoC's
// registers. AF_UNIX SOCK_SEQPACKET with the frame header of broker_protocol.h (version 1, verb,
// id, status, length <= 4080). sphered asks, sphere-board answers in order.
//
// sphere-board starts sphered with these descriptors and closes all others:
//
//   0 /dev/null   1, 2 the board's log   3 this link   4 listening Unix socket of the REST API
//   5 listening TCP socket, when board.json names a port
//
// and with the command line `sphered --state DIR --runtime DIR --sdk-runtime DIR --board-link 3
// --listen 4[,5]`; the SDK's runtime folder holds the libraries of apps.
// The end of the link is the end of power: sphered kills its apps and exits. sphered exits with
// kExitRestart when POST /restart was answered; any other end is a crash. In both cases the board
// starts it again; after a crash with the back-off of the board's supervisor.
namespace sphere::board_link {

inline constexpr int kLinkDescriptor = 3;
inline constexpr int kExitRestart = 64;

enum class Verb : std::uint16_t {
  // - -> JSON {"boardId": text, "name": text, "pins": [int], "trustPublicTestKey": bool}
  info = 0x1001,
  // i32 pin, u8 direction (0 in, 1 out), u8 output mode, u8 first value, text component id
  // -> u8 kind (SPHERE_KIND_GPIO) + descriptor: SEQPACKET socket to the pin. Closing it (all
  // duplicates) releases the pin, which keeps its direction and level. Errors: ENODEV, EBUSY.
  open_gpio = 0x1002,
  // JSON {"method": text, "path": text below /sphere/v1/virtual, "body": text}
  // -> JSON {"status": int, "body": JSON}; with a descriptor when the answer is a stream of
  // ndjson lines to read from it. A body that does not fit a frame comes as a file:
  // {"status": int, "bodyBytes": int} with a descriptor to read that many bytes from. This is how
  // /sphere/v1/virtual reaches the board.
  virtual_request = 0x1003,
};

}  // namespace sphere::board_link
