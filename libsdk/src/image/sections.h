// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/image/metadata.h"

namespace sphere::image {

// One kind of metadata section. A new kind is one row of the table and a row in
// docs/formats/image-package.md.
struct SectionRule {
  std::array<char, 2> id;
  std::string_view name;
  bool (*fits)(std::size_t length);  // Null: any length.
  // Decodes into `metadata`; null: kept only. Called with a payload whose length fits.
  Result<void> (*decode)(std::span<const std::byte> payload, std::size_t offset,
                         Metadata& metadata);
  std::vector<SectionField> (*describe)(std::span<const std::byte> payload);  // May be null.
};

// The rule of `id`, or null for an unknown section.
[[nodiscard]] const SectionRule* find_rule(std::array<char, 2> id);

// "ID", with control characters escaped.
[[nodiscard]] std::string id_text(std::array<char, 2> id);

}  // namespace sphere::image
