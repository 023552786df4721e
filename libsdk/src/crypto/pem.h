// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/crypto/secret.h"

namespace sphere::crypto {

// One "-----BEGIN <label>-----" block of a text (RFC 7468), and where the next may begin.
struct PemBlock {
  std::string_view label;
  std::string_view text;      // The whole block, without a line break at the end.
  bool encrypted = false;     // Has a "Proc-Type: 4,ENCRYPTED" header (RFC 1421); not decoded then.
  std::optional<Secret> der;  // Nothing when the base64 is malformed.
  std::string_view rest;
};

// The first complete block of `text`; nothing when there is none.
[[nodiscard]] std::optional<PemBlock> next_pem_block(std::string_view text);

// Public bytes as one block, with a line break at the end.
[[nodiscard]] std::string to_pem(std::string_view label, std::span<const std::byte> der);

}  // namespace sphere::crypto
