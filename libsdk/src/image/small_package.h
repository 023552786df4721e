// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/pack.h"

namespace sphere::image {

// A package v1 around a small body that is no application: sections ID SG DB, and TP if wanted.
struct SmallPackage {
  std::span<const std::byte> body;
  std::uint16_t image_type = 0;
  Guid component_id = {};
  std::optional<Guid> image_id = {};  // Absent: derived with reproducible, else random.
  bool reproducible = false;
  std::uint64_t build_time = 0;
  std::string name = {};
  std::optional<std::uint32_t> temporary = {};
};

// Errors: those of the signer.
[[nodiscard]] Result<Packed> pack_small(const SmallPackage& package, const crypto::Signer& signer);

}  // namespace sphere::image
