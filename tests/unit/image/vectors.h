// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/digest.h"
#include "tests/unit/image/golden.h"

namespace sphere::test {

// The outside package with this SHA-256, wherever it lies in the folder of vectors.
[[nodiscard]] inline std::optional<Bytes> find_outside_vector(std::string_view sha256) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry{SPHERE_VECTORS_DIR, error}, end;
       !error && entry != end; entry.increment(error)) {
    auto bytes = read_file(entry->path(), 1U << 20U);
    if (bytes && to_hex(crypto::sha256(*bytes)) == sha256) {
      return *std::move(bytes);
    }
  }
  return std::nullopt;
}

}  // namespace sphere::test
