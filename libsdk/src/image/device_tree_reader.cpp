// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/device_tree.h"
#include "libsdk/src/image/device_tree_layout.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/section_reader.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPart = "device tree";

std::optional<std::uint32_t> big_endian(Reader& reader) {
  const auto word = reader.bytes(kDeviceTreeWord);
  if (!word) {
    return std::nullopt;
  }
  std::uint32_t value = 0;
  for (const auto byte : *word) {
    value = (value << 8U) | std::to_integer<std::uint32_t>(byte);
  }
  return value;
}

struct Header {
  std::size_t structure_at = 0, structure_size = 0;
  std::size_t strings_at = 0, strings_size = 0;
  std::size_t reservations_at = 0;
  std::size_t size = 0;  // Of the header itself.
};

bool is_inside(std::size_t at, std::size_t size, const Header& header, std::size_t total) {
  return at >= header.size && at <= total && size <= total - at;
}

Result<void> check_blocks(const Header& header, std::size_t total) {
  if (!is_inside(header.structure_at, header.structure_size, header, total) ||
      header.structure_at % kDeviceTreeWord != 0) {
    return corrupt(kPart, 8, "the structure does not lie in it, on a multiple of 4",
                   std::to_string(header.structure_at));
  }
  if (!is_inside(header.strings_at, header.strings_size, header, total)) {
    return corrupt(kPart, 12, "the strings do not lie in it", std::to_string(header.strings_at));
  }
  if (!is_inside(header.reservations_at, kReservation, header, total) ||
      header.reservations_at % 8 != 0) {
    return corrupt(kPart, 16, "the reservations do not lie in it, on a multiple of 8",
                   std::to_string(header.reservations_at));
  }
  return {};
}

Result<Header> read_header(Bytes bytes) {
  Reader reader{bytes};
  const auto next = [&reader] { return big_endian(reader).value_or(0); };
  if (const auto magic = next(); magic != kDeviceTreeMagic) {
    return corrupt(kPart, 0, "it has a wrong magic", fmt::format("{:#010x}", magic));
  }
  if (const auto total = next(); total != bytes.size()) {
    return corrupt(kPart, 4, fmt::format("its size is not {} but {}", total, bytes.size()),
                   std::to_string(total));
  }
  Header header;
  header.structure_at = next();
  header.strings_at = next();
  header.reservations_at = next();
  const auto version = next();
  const auto compatible = next();
  if (version < kOldestVersion || version > kNewestVersion || compatible > version) {
    return unsupported(fmt::format("unknown version {} (compatible with {}) of the device tree",
                                   version, compatible),
                       std::to_string(version));
  }
  next();  // The boot processor: any.
  header.strings_size = next();
  header.size = version == kOldestVersion ? kDeviceTreeHeader16 : kDeviceTreeHeader;
  header.structure_size = bytes.size() - std::min<std::size_t>(header.structure_at, bytes.size());
  if (version == kNewestVersion) {
    header.structure_size = next();
  }
  SPHERE_TRY(check_blocks(header, bytes.size()));
  return header;
}

Result<void> check_reservations(Bytes bytes, std::size_t at) {
  Reader reader{bytes.subspan(at)};
  while (const auto entry = reader.bytes(kReservation)) {
    if (std::ranges::all_of(*entry, [](std::byte b) { return b == std::byte{0}; })) {
      return {};
    }
  }
  return corrupt(kPart, at, "the reservations have no end");
}

// Reads the tokens of the structure. Nodes that are open stand in a stack, so that the depth of the
// tree does not become that of the calls.
class Structure {
 public:
  Structure(Bytes structure, Bytes strings, std::size_t start)
      : reader_{structure}, size_{structure.size()}, strings_{strings}, start_{start} {}

  Result<DeviceTreeNode> read() {
    while (true) {
      const auto at = offset();
      const auto token = big_endian(reader_);
      if (!token) {
        return corrupt(kPart, at, "the structure has no end");
      }
      if (*token == kEnd) {
        return finish(at);
      }
      SPHERE_TRY(apply(*token, at));
    }
  }
  [[nodiscard]] std::size_t left() const { return reader_.left(); }

 private:
  [[nodiscard]] std::size_t offset() const { return start_ + size_ - reader_.left(); }

  Result<void> apply(std::uint32_t token, std::size_t at) {
    switch (token) {
      case kBeginNode:
        return begin_node(at);
      case kEndNode:
        return end_node(at);
      case kProperty:
        return add_property(at);
      case kNothing:
        return {};
      default:
        return corrupt(kPart, at, "unknown token", std::to_string(token));
    }
  }

  Result<DeviceTreeNode> finish(std::size_t at) {
    if (!open_.empty() || !root_) {
      return corrupt(kPart, at, "the structure ends within a node");
    }
    return *std::move(root_);
  }

  // Bytes up to a NUL, which is taken with its padding.
  Result<std::string> name(std::size_t at) {
    std::string text;
    while (true) {
      const auto word = reader_.bytes(kDeviceTreeWord);
      if (!word) {
        return corrupt(kPart, at, "the name of a node has no end");
      }
      const auto part = as_text(*word);
      const auto end = part.find('\0');
      text += part.substr(0, end);
      if (end == std::string_view::npos) {
        continue;
      }
      if (part.find_first_not_of('\0', end) != std::string_view::npos) {
        return corrupt(kPart, at, "the padding of a name is not zero", escape_control(text));
      }
      return text;
    }
  }

  Result<void> begin_node(std::size_t at) {
    if (root_) {
      return corrupt(kPart, at, "a second root");
    }
    if (open_.size() == kMaxDeviceTreeDepth) {
      return too_large(fmt::format("the device tree is deeper than {} nodes", kMaxDeviceTreeDepth));
    }
    DeviceTreeNode node;
    SPHERE_TRY_ASSIGN(node.name, name(at));
    if (open_.empty() != node.name.empty()) {
      return corrupt(kPart, at, "the root, and nothing else, has an empty name",
                     escape_control(node.name));
    }
    if (!open_.empty() && open_.back().child(node.name) != nullptr) {
      return corrupt(kPart, at, "a second node of one name", escape_control(node.name));
    }
    open_.push_back(std::move(node));
    return {};
  }

  Result<void> end_node(std::size_t at) {
    if (open_.empty()) {
      return corrupt(kPart, at, "the end of no node");
    }
    auto node = std::move(open_.back());
    open_.pop_back();
    if (open_.empty()) {
      root_ = std::move(node);
    } else {
      open_.back().children.push_back(std::move(node));
    }
    return {};
  }

  Result<void> add_property(std::size_t at) {
    if (open_.empty() || !open_.back().children.empty()) {
      return corrupt(kPart, at, "a property outside of a node, or after its nodes");
    }
    const auto length = big_endian(reader_);
    const auto name_at = big_endian(reader_);
    const auto value = length ? reader_.bytes(*length) : std::nullopt;
    if (!name_at || !value || !reader_.bytes((kDeviceTreeWord - *length % 4) % 4)) {
      return corrupt(kPart, at, "a property goes beyond the structure");
    }
    const auto strings = as_text(strings_);
    const auto end = strings.find('\0', std::min<std::size_t>(*name_at, strings.size()));
    if (end == std::string_view::npos) {
      return corrupt(kPart, at, "the name of a property has no end", std::to_string(*name_at));
    }
    DeviceTreeProperty property{.name = std::string{strings.substr(*name_at, end - *name_at)},
                                .value = {value->begin(), value->end()}};
    if (property.name.empty() || open_.back().property(property.name) != nullptr) {
      return corrupt(kPart, at, "a property without a name, or a second of its name",
                     escape_control(property.name));
    }
    open_.back().properties.push_back(std::move(property));
    return {};
  }

  Reader reader_;
  std::size_t size_;
  Bytes strings_;
  std::size_t start_;
  std::vector<DeviceTreeNode> open_;
  std::optional<DeviceTreeNode> root_;
};

}  // namespace

const DeviceTreeNode* DeviceTreeNode::child(std::string_view child_name) const {
  const auto found = std::ranges::find(children, child_name, &DeviceTreeNode::name);
  return found == children.end() ? nullptr : &*found;
}

const DeviceTreeProperty* DeviceTreeNode::property(std::string_view property_name) const {
  const auto found = std::ranges::find(properties, property_name, &DeviceTreeProperty::name);
  return found == properties.end() ? nullptr : &*found;
}

Result<DeviceTreeNode> read_device_tree(Bytes bytes) {
  if (bytes.size() < kDeviceTreeHeader) {
    return corrupt(kPart, 0, fmt::format("{} bytes are too short", bytes.size()),
                   std::to_string(bytes.size()));
  }
  if (bytes.size() > kMaxDeviceTree) {
    return too_large(fmt::format("the device tree has {} bytes; at most {} are allowed",
                                 with_thousands(bytes.size()), with_thousands(kMaxDeviceTree)),
                     std::to_string(bytes.size()));
  }
  SPHERE_TRY_ASSIGN(const auto header, read_header(bytes));
  // All three blocks lie within the bytes.
  SPHERE_TRY(check_reservations(bytes, header.reservations_at));
  Structure structure{bytes.subspan(header.structure_at, header.structure_size),
                      bytes.subspan(header.strings_at, header.strings_size), header.structure_at};
  auto root = structure.read();
  if (root && header.size == kDeviceTreeHeader && structure.left() != 0) {
    return corrupt(kPart, header.structure_at + header.structure_size - structure.left(),
                   fmt::format("{} bytes after the end of the structure", structure.left()),
                   std::to_string(structure.left()));
  }
  return root;
}

}  // namespace sphere::image
