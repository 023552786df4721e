// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/asxipfs_layout.h"
#include "libsdk/src/image/asxipfs_plan.h"
#include "libsdk/src/image/crc32.h"
#include "libsdk/src/image/failure.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {
namespace {

struct Node {
  const PlannedFile* file = nullptr;  // Null: a directory.
  std::size_t index = 0;              // Of the file.
  std::map<std::string, Node, std::less<>> children;
  std::size_t offset = 0;  // Of the data or of the first entry.
  std::size_t size = 0;
};

tl::unexpected<Error> bad_path(std::string_view path, std::string_view why) {
  return fail(Errc::invalid_argument, fmt::format("{} {}", escape_control(path), why),
              {.reason = "local.file-unreadable", .value = escape_control(path)});
}

// Adds `path` to the tree and returns how many nodes that made.
Result<std::size_t> add_path(Node& root, std::size_t index, const PlannedFile& file) {
  const auto path = file.path;
  if (path.size() > kMaxPathBytes) {
    return too_large(fmt::format("the path {} has {} bytes; at most {} are allowed",
                                 escape_control(path), path.size(), kMaxPathBytes));
  }
  if (file.size > kMaxFileBytes) {
    return too_large(fmt::format("{} has {} bytes; a file in a package has at most {}",
                                 escape_control(path), file.size, kMaxFileBytes),
                     std::to_string(file.size));
  }
  const auto parts = split(path, '/');
  if (parts.size() > kMaxDepth + 1) {
    return too_large(
        fmt::format("{} is more than {} directories deep", escape_control(path), kMaxDepth));
  }
  std::size_t made = 0;
  auto* node = &root;
  for (const auto& part : parts) {
    if (!is_valid_name(part)) {
      return bad_path(path, "cannot be a path in a package");
    }
    if (node->file != nullptr) {
      return bad_path(path, "lies below a file");
    }
    const auto [child, is_new] = node->children.try_emplace(part);
    made += is_new ? 1 : 0;
    node = &child->second;
  }
  if (!node->children.empty()) {
    return bad_path(path, "is a file and a directory");
  }
  node->file = &file;
  node->index = index;
  return made;
}

std::size_t padded_name(std::string_view name) { return round_up(name.size(), 4); }

// Gives every directory the place of its entries: its own, then those of its subdirectories, depth
// first. Returns the end.
// NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
std::size_t place_directories(Node& directory, std::size_t at) {
  directory.size = 0;
  for (const auto& [name, child] : directory.children) {
    directory.size += kInodeSize + padded_name(name);
  }
  directory.offset = directory.size == 0 ? 0 : at;
  at += directory.size;
  for (auto& [name, child] : directory.children) {
    if (child.file == nullptr) {
      at = place_directories(child, at);
    }
  }
  return at;
}

// Gives every file its pages: depth first in name order, files and directories together.
// NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
std::size_t place_files(Node& directory, std::size_t at, std::vector<PlacedFile>& placed) {
  for (auto& [name, child] : directory.children) {
    if (child.file == nullptr) {
      at = place_files(child, at, placed);
    } else if (child.file->size != 0) {
      child.offset = at;
      child.size = child.file->size;
      at += round_up(child.size, kPageSize);
      placed.push_back({.index = child.index, .offset = child.offset});
    }
  }
  return at;
}

std::uint16_t mode_of(const Node& node) {
  if (node.file == nullptr) {
    return kDirectoryMode;
  }
  return node.file->executable ? kExecutableMode : kFileMode;
}

void write_inode(Writer& writer, const Node& node, std::size_t name_size) {
  writer.little_endian(mode_of(node))
      .little_endian(std::uint16_t{0})
      .little_endian(static_cast<std::uint32_t>(node.size))  // The top byte is the gid, 0.
      .little_endian(static_cast<std::uint32_t>((name_size / 4) | ((node.offset / 4) << 6U)));
}

// In the order of place_directories().
// NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
void write_directories(Writer& writer, const Node& directory) {
  for (const auto& [name, child] : directory.children) {
    write_inode(writer, child, padded_name(name));
    writer.text(name).zeros(padded_name(name) - name.size());
  }
  for (const auto& [name, child] : directory.children) {
    if (child.file == nullptr) {
      write_directories(writer, child);
    }
  }
}

void write_superblock(Writer& writer, const Node& root, std::size_t size, std::size_t inodes) {
  writer.little_endian(kFsMagic)
      .little_endian(static_cast<std::uint32_t>(size))
      .little_endian(kFsFlags)
      .zeros(4)
      .text(kFsSignature)
      .zeros(4 + 4 + 4)  // CRC, set at the end; edition; blocks.
      .little_endian(static_cast<std::uint32_t>(inodes))
      .text(kFsName)
      .zeros(kFsNameSize - kFsName.size());
  write_inode(writer, root, 0);
}

}  // namespace

Result<BodyPlan> plan_asxipfs(std::span<const PlannedFile> files) {
  Node root;
  std::size_t inodes = 1;
  for (std::size_t i = 0; i < files.size(); ++i) {
    SPHERE_TRY_ASSIGN(const auto made, add_path(root, i, files[i]));
    inodes += made;
    if (inodes > kMaxInodes) {
      return too_large(fmt::format("more than {} files and directories", kMaxInodes));
    }
  }
  BodyPlan plan;
  const auto first_page = round_up(place_directories(root, kSuperblockSize), kPageSize);
  plan.size = place_files(root, first_page, plan.files);
  if (plan.size > kMaxBodyBytes) {
    return too_large(
        fmt::format("the files need {} bytes; at most {} are allowed", plan.size, kMaxBodyBytes),
        std::to_string(plan.size));
  }
  Writer writer;
  write_superblock(writer, root, plan.size, inodes);
  write_directories(writer, root);
  plan.head = std::move(writer).take();
  plan.head.resize(first_page);
  return plan;
}

void set_crc(std::span<std::byte> head, std::uint32_t crc) {
  for (std::size_t i = 0; i < sizeof crc; ++i) {
    head[kCrcOffset + i] = static_cast<std::byte>(crc >> (8 * i));
  }
}

Result<std::vector<std::byte>> write_asxipfs(const std::map<std::string, FileSource>& files,
                                             std::size_t spare) {
  std::vector<PlannedFile> planned;
  std::vector<const FileSource*> sources;
  for (const auto& [path, file] : files) {
    planned.push_back({.path = path, .size = file.content.size(), .executable = file.executable});
    sources.push_back(&file);
  }
  SPHERE_TRY_ASSIGN(auto plan, plan_asxipfs(planned));
  auto body = std::move(plan.head);
  body.reserve(plan.size + spare);
  for (const auto& place : plan.files) {
    const auto& content = sources[place.index]->content;
    body.resize(place.offset);
    body.insert(body.end(), content.begin(), content.end());
  }
  body.resize(plan.size);
  set_crc(body, Crc32{}.update(body).value());
  return body;
}

}  // namespace sphere::image
