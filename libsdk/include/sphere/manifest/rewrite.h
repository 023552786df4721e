// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {

// The value that stands for "$NAME" under capability `key` ("Gpio", ...): the text of a JSON value,
// `8` or `"ISU0"`. Errors: those of the hardware module.
using Resolver = std::function<Result<std::string>(std::string_view key, std::string_view name)>;

struct Rewrite {
  Resolver resolve = {};                      // Absent: a "$NAME" is an error.
  std::optional<std::uint32_t> api_set = {};  // High-level apps: appended as the last key.
  std::string beta_apis = {};                 // Appended after it when not empty.
};

// What packing stores as /app_manifest.json: compact JSON with the author's key order and spelling
// for high-level apps and for real-time apps with a resolver; the source byte for byte for a
// real-time app without one. `text` must have passed validate(). Errors: those of the resolver;
// invalid_argument (package.hardware-definition) for a $NAME without one; too_large above 64 KiB;
// invalid_argument (package.manifest, rule 35) when two entries share a pin.
[[nodiscard]] Result<std::string> rewrite(std::string_view text, const Manifest& manifest,
                                          const Rewrite& options);

// `text` with the value of ComponentId replaced by, or a ComponentId member added with, `id`; every
// other byte stays. Error: corrupt when `text` is not a JSON object.
[[nodiscard]] Result<std::string> with_component_id(std::string_view text, const Guid& id);

}  // namespace sphere::manifest
