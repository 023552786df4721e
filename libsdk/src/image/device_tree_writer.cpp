// SPDX-License-Identifier: MIT
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/image/device_tree.h"
#include "libsdk/src/image/device_tree_layout.h"
#include "sphere/core/writer.h"

namespace sphere::image {
namespace {

void big_endian(Writer& writer, std::size_t value) {
  const auto word = static_cast<std::uint32_t>(value);
  writer.little_endian(static_cast<std::uint32_t>((word >> 24U) | ((word >> 8U) & 0xFF00U) |
                                                  ((word << 8U) & 0xFF0000U) | (word << 24U)));
}

void align(Writer& writer) { writer.zeros((kDeviceTreeWord - writer.size() % 4) % 4); }

struct Blocks {
  Writer structure = {};
  std::string strings = {};

  // Offset of `name` in the strings.
  std::size_t intern(std::string_view name) {
    std::size_t at = 0;
    while (at < strings.size()) {
      const auto rest = std::string_view{strings}.substr(at);
      const auto found = rest.substr(0, rest.find('\0'));
      if (found == name) {
        return at;
      }
      at += found.size() + 1;
    }
    strings.append(name).push_back('\0');
    return at;
  }

  // NOLINTNEXTLINE(misc-no-recursion): the tree is the caller's own.
  void add(const DeviceTreeNode& node) {
    big_endian(structure, kBeginNode);
    structure.text(node.name).zeros(1);
    align(structure);
    for (const auto& property : node.properties) {
      big_endian(structure, kProperty);
      big_endian(structure, property.value.size());
      big_endian(structure, intern(property.name));
      structure.bytes(property.value);
      align(structure);
    }
    for (const auto& child : node.children) {
      add(child);
    }
    big_endian(structure, kEndNode);
  }
};

}  // namespace

std::vector<std::byte> write_device_tree(const DeviceTreeNode& root) {
  Blocks blocks;
  blocks.add(root);
  big_endian(blocks.structure, kEnd);
  const auto structure_at = kDeviceTreeHeader + kReservation;
  const auto strings_at = structure_at + blocks.structure.size();
  Writer writer;
  for (const std::size_t field :
       {std::size_t{kDeviceTreeMagic}, strings_at + blocks.strings.size(), structure_at, strings_at,
        kDeviceTreeHeader, std::size_t{kNewestVersion}, std::size_t{kOldestVersion}, std::size_t{0},
        blocks.strings.size(), blocks.structure.size()}) {
    big_endian(writer, field);
  }
  assert(writer.size() == kDeviceTreeHeader);
  writer.zeros(kReservation).bytes(blocks.structure.data()).text(blocks.strings);
  return std::move(writer).take();
}

}  // namespace sphere::image
