// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::image {

inline constexpr std::size_t kMaxDeviceTree = 65'536;
inline constexpr std::size_t kMaxDeviceTreeDepth = 8;  // The root is at depth 1.

struct DeviceTreeProperty {
  std::string name;
  std::vector<std::byte> value = {};
};

struct DeviceTreeNode {
  std::string name = {};
  std::vector<DeviceTreeProperty> properties = {};
  std::vector<DeviceTreeNode> children = {};

  // Null when there is none.
  [[nodiscard]] const DeviceTreeNode* child(std::string_view child_name) const;
  [[nodiscard]] const DeviceTreeProperty* property(std::string_view property_name) const;
};

// Reads a flattened device tree (Devicetree Specification 0.4, chapter 5) and checks all of it. All
// integers are big-endian, in 40 bytes of header:
//
//   0   magic 0xD00DFEED            20  version, 16 or 17
//   4   total size: all bytes       24  last compatible version, at most 17
//   8   offset of the structure     28  boot processor
//   12  offset of the strings       32  size of the strings
//   16  offset of the reservations  36  size of the structure (version 17; 16 has no such field)
//
//   reservations  on 8: pairs of u64 address and size; 0, 0 ends them
//   structure     on 4: u32 tokens: 1 begin of a node, then its name with NUL, to 4;
//                 2 end of a node; 3 property, then u32 length, u32 offset of its name in the
//                 strings, the value, to 4; 4 nothing; 9 end
//   strings       names with NUL
//
// Errors: corrupt: a block or an offset beyond the bytes or not aligned, a total size that is not
// their number, an unknown token, a structure that does not hold one unnamed root and end with 9,
// a name without NUL, a second node or property of one name, a node in the wrong place.
// unsupported: another version. too_large: more than kMaxDeviceTree bytes or kMaxDeviceTreeDepth.
[[nodiscard]] Result<DeviceTreeNode> read_device_tree(std::span<const std::byte> bytes);

// Writes a tree as version 17 without reservations; each name stands once in the strings, in the
// order of first use. Names without NUL; a tree that read_device_tree() refuses is a bug.
[[nodiscard]] std::vector<std::byte> write_device_tree(const DeviceTreeNode& root);

}  // namespace sphere::image
