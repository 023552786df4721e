// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"

namespace sphere::image {

inline constexpr std::size_t kSignatureSize = 64;  // ECDSA P-256, r | s, big-endian.

// Known image types are listed in docs/formats/image-package.md; others are kept as numbers.
inline constexpr std::uint16_t kApplication = 10;
inline constexpr std::uint16_t kCapability = 13;
inline constexpr std::uint16_t kBoardConfiguration = 21;

inline constexpr std::uint32_t kSigningTypeEcdsaP256 = 1;

struct Identity {  // Section ID.
  std::uint16_t image_type = 0;
  Guid component_id = {};
  Guid image_id = {};
};

struct SignatureInfo {  // Section SG.
  crypto::Sha1Digest thumbprint = {};
  std::uint32_t signing_type = 0;
};

struct DebugInfo {               // Section DB.
  std::uint64_t build_time = 0;  // Unix seconds.
  std::string name = {};         // At most 31 bytes.
};

struct AbiDependency {  // One entry of section ND.
  std::uint32_t version = 0;
  std::uint32_t identity_type = 0;  // 1 secure world, 2 OS, 3 application runtime.
};

// Bits of section TP.
inline constexpr std::uint32_t kRemoveAtBoot = 1;
inline constexpr std::uint32_t kUnderDevelopment = 2;

// One section as it stands in the file; `payload` points into the caller's buffer.
struct Section {
  std::array<char, 2> id = {};
  std::span<const std::byte> payload = {};
};

struct Metadata {
  std::vector<Section> sections;  // All, unknown ones included, in file order.
  Identity identity;
  SignatureInfo signature_info;
  DebugInfo debug;
  std::optional<std::uint32_t> temporary;             // TP
  std::optional<std::vector<AbiDependency>> depends;  // ND
  bool compressed = false;                            // CM present: production wrapper.
  std::size_t body_size = 0;                          // Bytes before the block.
  std::span<const std::byte> signature;               // kSignatureSize bytes.
};

// Reads the metadata block at the end of a package; the layout is drawn in
// docs/formats/image-package.md.
//
//   body | "4X4M" u32 | count u32 | count * (id 2 bytes, length u16, payload) | block length u32
//        | signature (kSignatureSize bytes)
//
// Errors: corrupt, unsupported.
[[nodiscard]] Result<Metadata> read_metadata(std::span<const std::byte> package);

// The block of a development package: ID SG DB TP ND, "4X4M" through the length word.
[[nodiscard]] std::vector<std::byte> write_metadata(
    const Identity& identity, const SignatureInfo& signature_info, const DebugInfo& debug,
    std::optional<std::uint32_t> temporary,
    const std::optional<std::vector<AbiDependency>>& depends);

}  // namespace sphere::image
