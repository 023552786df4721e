// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string_view>

namespace sphere::agent {

// The system calls an app may make. docs/sandbox.md explains the choice; every other call is
// answered EPERM. Names are those of the kernel; one that an ABI does not have is left out there.
enum class CallGroup : std::uint8_t {
  memory,
  files,
  waiting,
  time,
  threads,
  other,
  sockets,
  exec,
  emulator,  // Only for qemu-user itself.
};

struct PlainCall {
  std::string_view name;
  CallGroup group;
};

// Calls that are allowed whatever their arguments.
[[nodiscard]] std::span<const PlainCall> plain_calls();

// One comparison of an argument: (argument & mask) == value. The lower 32 bits, which are all that
// the kernel looks at of an int; with `whole` the upper half must be zero as well.
struct Condition {
  std::uint8_t argument;
  std::uint32_t mask;
  std::uint32_t value;
  bool whole = false;
};

// Device classes of the manifest: which requests their descriptors take.
struct IoctlClasses {
  bool gpio = false, uart = false, i2c = false, spi = false;
  friend auto operator<=>(const IoctlClasses&, const IoctlClasses&) = default;
};

// What makes one filter differ from another.
struct FilterKey {
  bool network = false;      // AF_INET and AF_INET6.
  bool emulated = false;     // For qemu-user.
  bool system_time = false;  // The clock may be set: the agent decides (user notification).
  IoctlClasses ioctls = {};
  bool debug_stub = false;  // The init is gdb's stub; nothing of the app's own.
  friend auto operator<=>(const FilterKey&, const FilterKey&) = default;
};

}  // namespace sphere::agent
