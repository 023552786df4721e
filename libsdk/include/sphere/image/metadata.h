// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {

inline constexpr std::size_t kSignatureSize = 64;  // ECDSA P-256, r | s, big-endian.

// Known image types are listed in docs/formats/image-package.md; others are kept as numbers.
inline constexpr std::uint16_t kApplication = 10;
inline constexpr std::uint16_t kCapability = 13;
inline constexpr std::uint16_t kTrustedKeyStore = 19;
inline constexpr std::uint16_t kBoardConfiguration = 21;

inline constexpr std::uint32_t kSigningTypeEcdsaP256 = 1;            // Package v1.
inline constexpr std::uint32_t kSigningTypePackageV2 = 0x80000002U;  // Package v2.

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

inline constexpr std::uint32_t kApplicationRuntime = 3;  // Identity type in ND.

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
  SectionsV2 v2;                                      // The sections of package v2.
  bool compressed = false;                            // CM present: production wrapper.
  std::uint32_t uncompressed_size = 0;                // From CM.
  std::size_t body_size = 0;                          // Bytes before the block.
  std::span<const std::byte> signature;               // kSignatureSize bytes.
};

// Reads the metadata block at the end of a package. All integers are little-endian, nothing is
// aligned, and there is no padding between the parts:
//
//   body                       everything before the block
//   block  0   4  magic "4X4M" (0x4D345834)
//          4   4  number of sections, 1 to 64
//          8      sections: 2 bytes id, u16 length (1 to 65,535), payload
//          n-4  4  n, the length of the block from the magic through this word
//   64 bytes      signature, r | s, big-endian
//
//   ID  36      u16 image type, u16 0, component GUID, image GUID (stored order)   required
//   SG  24      20 bytes SHA-1 of the signer's certificate, u32 signing type       required
//   DB  40      u64 Unix time of the build, 32 bytes name, NUL-padded              required
//   TP  4       u32 bits: 1 remove at boot, 2 under development
//   ND  4 + 8n  u32 n; n times u32 version, u32 identity type
//   CM  8       u32 uncompressed size, u32 type (1 LZMA)
//   NP  4 + 8n  as ND; RV  4  u32. Their meaning is not known here.
//   v2 mt cz sv hw ki bp sb st   package v2: sections_v2.h
//   any other   kept as it is
//
// The reader takes sections in any order. A block has at most 65,536 bytes (package v1) or 131,072
// (v2). Parsing proves nothing: the signature is not checked, the body not looked at. Spans in the
// result point into `package`. With `offset`, `package` is the file from there on, and holds at
// least tail_size() bytes.
//
// Errors: corrupt (the message names part, offset and value): the file is shorter than 76 bytes;
// the block is not inside it; wrong magic; the sections do not fill the block exactly; a section of
// length 0 or of a wrong length for its id; two with one id; ID, SG or DB missing; a reserved field
// or the name's padding is not zero; the component id is zero. unsupported: a signing type, TP bit
// or CM type that is not known here. too_large: block or number of sections.
[[nodiscard]] Result<Metadata> read_metadata(std::span<const std::byte> package,
                                             std::uint64_t offset = 0);

// Bytes of the metadata block and the signature together, from the last bytes of a file of
// `file_size` bytes: all of a small file, 68 or more of a larger one. At most kMaxTailBytes.
// Errors: corrupt, too_large.
inline constexpr std::size_t kMaxTailBytes = 131'072 + kSignatureSize;
[[nodiscard]] Result<std::size_t> tail_size(std::span<const std::byte> end,
                                            std::uint64_t file_size);

// Writes a block of any sections, in their order, "4X4M" through the length word. Payloads of 1 to
// 65,535 bytes; anything else is a bug.
[[nodiscard]] std::vector<std::byte> write_sections(std::span<const Section> sections);

// The block of a development package: ID SG DB TP ND, "4X4M" through the length word. The name is
// cut to 31 bytes without splitting a character.
[[nodiscard]] std::vector<std::byte> write_metadata(
    const Identity& identity, const SignatureInfo& signature_info, const DebugInfo& debug,
    std::optional<std::uint32_t> temporary,
    const std::optional<std::vector<AbiDependency>>& depends);

// One fact of a section, for people and for JSON.
struct SectionField {
  std::string key;    // "imageType": fixed, camelCase.
  std::string label;  // "Image type"
  std::string text;   // "Application (10)"; control characters are not escaped.
};

// What is known about a section id: "Identity" for ID. Empty for an unknown one.
[[nodiscard]] std::string_view section_name(std::array<char, 2> id);

// The fields of a section that read_metadata() has accepted; empty for an id that is not decoded.
[[nodiscard]] std::vector<SectionField> describe_section(const Section& section);

// "Application" for 10; empty for a number without a known name.
[[nodiscard]] std::string_view image_type_name(std::uint16_t image_type);

}  // namespace sphere::image
