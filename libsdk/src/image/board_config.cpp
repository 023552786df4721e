// SPDX-License-Identifier: MIT
#include "sphere/image/board_config.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/device_tree.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/section_reader.h"
#include "libsdk/src/image/small_package.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPart = "board configuration";
constexpr std::string_view kNode = "azconfig";
constexpr std::string_view kVersion = "version";
constexpr std::string_view kPreset = "preset";
constexpr std::string_view kDescription = "desc";
constexpr std::array<std::byte, 4> kVersion1 = {std::byte{0}, std::byte{0}, std::byte{0},
                                                std::byte{1}};
constexpr std::size_t kComponentDigits = 6;  // Of the component id, in the name of a package.

constexpr std::array<BoardPreset, 1> kPresets = {{
    {.name = "lan-enc28j60-isu0-int5",
     .component_id = "67b80798-d771-4774-977a-2cd18491865f",
     .description = "Ethernet controller using SPI on ISU0 and interrupt on GPIO5"},
}};

Result<const DeviceTreeProperty*> find_property(const DeviceTreeNode& node, std::string_view name) {
  const auto* property = node.property(name);
  if (property == nullptr) {
    return corrupt(kPart, 0, fmt::format("{} has no property {}", kNode, name), std::string{name});
  }
  return property;
}

Result<std::string> read_text(const DeviceTreeNode& node, std::string_view name) {
  SPHERE_TRY_ASSIGN(const auto* property, find_property(node, name));
  const auto text = as_text(property->value);
  if (text.empty() || text.find('\0') != text.size() - 1 ||
      !is_plain_text(text.substr(0, text.size() - 1))) {
    return corrupt(kPart, 0, fmt::format("the property {} is no text", name), escape_control(text));
  }
  return std::string{text.substr(0, text.size() - 1)};
}

DeviceTreeProperty text_property(std::string_view name, std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  DeviceTreeProperty property{.name = std::string{name}, .value = {bytes.begin(), bytes.end()}};
  property.value.push_back(std::byte{0});
  return property;
}

std::string preset_names() {
  std::vector<std::string> names;
  names.reserve(kPresets.size());
  for (const auto& preset : kPresets) {
    names.emplace_back(preset.name);
  }
  return join(names, ", ");
}

}  // namespace

Result<BoardConfiguration> read_board_configuration(Bytes body) {
  SPHERE_TRY_ASSIGN(const auto root, read_device_tree(body));
  const auto* node = root.child(kNode);
  if (node == nullptr) {
    return corrupt(kPart, 0, fmt::format("there is no node {}", kNode));
  }
  SPHERE_TRY_ASSIGN(const auto* version, find_property(*node, kVersion));
  if (version->value.size() != kVersion1.size()) {
    return corrupt(kPart, 0, "the property version is no number",
                   std::to_string(version->value.size()));
  }
  if (!std::ranges::equal(version->value, kVersion1)) {
    return unsupported("unknown version of the board configuration");
  }
  BoardConfiguration configuration;
  SPHERE_TRY_ASSIGN(configuration.preset, read_text(*node, kPreset));
  SPHERE_TRY_ASSIGN(configuration.description, read_text(*node, kDescription));
  if (configuration.preset.empty()) {
    return corrupt(kPart, 0, "the preset is empty");
  }
  return configuration;
}

std::vector<std::byte> write_board_configuration(const BoardConfiguration& configuration) {
  DeviceTreeNode root;
  root.children.push_back({.name = std::string{kNode},
                           .properties = {{.name = std::string{kVersion},
                                           .value = {kVersion1.begin(), kVersion1.end()}},
                                          text_property(kPreset, configuration.preset),
                                          text_property(kDescription, configuration.description)}});
  return write_device_tree(root);
}

std::span<const BoardPreset> board_presets() { return kPresets; }

Result<BoardPreset> find_board_preset(std::string_view name) {
  const auto* preset = std::ranges::find(kPresets, name, &BoardPreset::name);
  if (preset == kPresets.end()) {
    return fail(Errc::invalid_argument,
                fmt::format("there is no preset \"{}\"", escape_control(name)),
                {.reason = "usage.bad-value",
                 .value = std::string{name},
                 .next = "choose one of: " + preset_names()});
  }
  return *preset;
}

Result<Packed> pack_board_configuration(const BoardConfigurationRequest& request,
                                        const crypto::Signer& signer) {
  SPHERE_TRY_ASSIGN(const auto preset, find_board_preset(request.preset));
  const auto body = write_board_configuration(
      {.preset = request.preset, .description = std::string{preset.description}});
  return pack_small(
      {.body = body,
       .image_type = kBoardConfiguration,
       .component_id = Guid::parse(preset.component_id).value_or(Guid{}),
       .image_id = request.image_id,
       .reproducible = request.reproducible,
       .build_time = request.build_time,
       .name = fmt::format("{}_{}", preset.name, preset.component_id.substr(0, kComponentDigits)),
       .temporary = kUnderDevelopment},
      signer);
}

}  // namespace sphere::image
