// SPDX-License-Identifier: MIT
#include "cli/commands/image_package_tree.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "sphere/core/text.h"
#include "sphere/image/asxipfs.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

// A directory, or with `file` a file.
struct Node {
  std::map<std::string, Node, std::less<>> children;
  const image::FileEntry* file = nullptr;
  std::uint64_t bytes = 0;  // In and below it.
  std::uint64_t files = 0;
};

// The node of `path`, made with those above it; each of them counts `bytes` and `files`.
Node& node_at(Node& root, std::string_view path, std::uint64_t bytes, std::uint64_t files) {
  auto* node = &root;
  for (const auto& name : split(path, '/')) {
    node->bytes += bytes;
    node->files += files;
    node = &node->children[name];
  }
  return *node;
}

Node tree_of(const image::FileSystem& files) {
  Node root;
  for (const auto& directory : files.directories) {
    node_at(root, directory.path, 0, 0);
  }
  for (const auto& file : files.files) {
    auto& node = node_at(root, file.path, file.size, 1);
    node.file = &file;
    node.bytes = file.size;
  }
  return root;
}

// NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
void add_lines(const Node& node, std::string_view name, std::size_t depth, std::string& text) {
  std::string_view mode = "dir";
  if (node.file != nullptr) {
    mode = node.file->executable ? "0755" : "0644";
  }
  text += fmt::format("  {:<4}{:>11}  {:{}}{}{}\n", mode, node.bytes, "", 2 * depth,
                      escape_control(name), node.file == nullptr ? "/" : "");
  for (const auto& [child_name, child] : node.children) {
    add_lines(child, child_name, depth + 1, text);
  }
}

// NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
void add_values(const Node& node, const std::string& path, json::Value& list) {
  list.push(json::Value{}.set("path", path).set("files", node.files).set("bytes", node.bytes));
  for (const auto& [name, child] : node.children) {
    if (child.file == nullptr) {
      add_values(child, path + name + "/", list);
    }
  }
}

}  // namespace

std::string tree_lines(const image::FileSystem& files) {
  std::string text;
  add_lines(tree_of(files), "", 0, text);
  return text;
}

json::Value directory_values(const image::FileSystem& files) {
  json::Value list = json::Array{};
  add_values(tree_of(files), "/", list);
  return list;
}

}  // namespace sphere::cli
