// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"

namespace sphere::image {

// A section that is about to be written.
struct OwnedSection {
  std::array<char, 2> id = {};
  std::vector<std::byte> payload = {};
};

[[nodiscard]] OwnedSection identity_section(const Identity& identity);
[[nodiscard]] OwnedSection signature_section(const SignatureInfo& info);
// Section SG of package v2: the front of the key id.
[[nodiscard]] SignatureInfo signature_info_v2(const crypto::Sha256Digest& key_id);
// The name is cut to 31 bytes without splitting a character.
[[nodiscard]] OwnedSection debug_section(const DebugInfo& debug);
[[nodiscard]] OwnedSection temporary_section(std::uint32_t bits);
[[nodiscard]] OwnedSection depends_section(const std::vector<AbiDependency>& depends);

// ID SG DB TP ND: the front of every block.
[[nodiscard]] std::vector<OwnedSection> common_sections(
    const Identity& identity, const SignatureInfo& signature_info, const DebugInfo& debug,
    std::optional<std::uint32_t> temporary,
    const std::optional<std::vector<AbiDependency>>& depends);

[[nodiscard]] std::vector<std::byte> write_sections(std::span<const OwnedSection> sections);

// The front of a digest as a GUID of version 8 of RFC 9562.
[[nodiscard]] Guid guid_of_digest(const crypto::Sha256Digest& digest);

}  // namespace sphere::image
