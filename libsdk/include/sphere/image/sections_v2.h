// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"

// The metadata sections that package v2 adds. Integers are little-endian; every field that must be
// zero is checked; a version, type or feature bit that is not known here is unsupported, any other
// broken rule is corrupt. What several sections say together is checked by check_v2_metadata() of
// package_v2.h.
namespace sphere::image {

inline constexpr std::uint64_t kMaxBodyV2 = std::uint64_t{1} << 30U;     // 1 GiB.
inline constexpr std::uint64_t kMaxPackageV2 = std::uint64_t{1} << 31U;  // 2 GiB.

// What the body of a package v2 is; the numbers stand in section v2.
enum class BodyFormat : std::uint8_t {
  asxipfs = 1,
  device_tree = 2,
  block_image = 4,  // Opaque: an OS slot, a partition.
  squashfs = 5,
  erofs = 6,
};

// "ASXipFS", "flattened device tree", "block image", "squashfs", "erofs".
[[nodiscard]] std::string_view to_text(BodyFormat format);

// Section v2 (40 bytes): sizes of the parts.
//
//   0   2  major version, 2
//   2   2  minor version; a higher one is accepted
//   4   4  body format
//   8   8  content size: bytes of the body before its padding, 1 to 1 GiB
//   16  8  body size: content size rounded up to 4096
//   24  8  stored size: body size, or with section cz the rounded-up sum of the chunks, then less
//   32  4  hash area size, a multiple of 4096
//   36  4  required features, 0: a bit that is set means a reader that does not know it must refuse
struct ContentHeader {
  std::uint16_t minor_version = 0;
  BodyFormat format = BodyFormat::asxipfs;
  std::uint64_t content_size = 0;
  std::uint64_t body_size = 0;
  std::uint64_t stored_size = 0;
  std::uint32_t hash_area_size = 0;
};

// Section mt (80 bytes): the hash tree over the uncompressed body.
//
//   0   2  hash type, 1 (the salt goes before the data)
//   2   2  algorithm, 1 (SHA-256)
//   4   1  log2 of the data block size, 12
//   5   1  log2 of the hash block size, 12
//   6   2  salt length, 32
//   8   4  data blocks
//   12  4  hash blocks without the superblock's
//   16  32 salt
//   48  32 root hash
struct TreeHeader {
  std::uint32_t data_blocks = 0;
  std::uint32_t tree_blocks = 0;
  std::array<std::byte, 32> salt = {};
  crypto::Sha256Digest root = {};
};

// Section cz (16 + 36 n bytes): the body area holds chunks of the body instead of the body.
//
//   0   4  algorithm, 2 (zstd)
//   4   4  chunk size in bytes of the body: 65,536, 131,072 or 262,144
//   8   4  n = ceil(body size / chunk size)
//   12  4  0
//   16     n times: u32 stored length, bit 31 set for a chunk that is not compressed;
//          32 bytes SHA-256 of the stored bytes
struct ChunkEntry {
  std::uint32_t stored_length = 0;  // At least 1; without bit 31.
  bool compressed = true;
  crypto::Sha256Digest digest = {};
};
struct ChunkTable {
  std::uint32_t chunk_size = 262'144;
  std::vector<ChunkEntry> chunks = {};
};
inline constexpr std::uint32_t kChunkSize = 262'144;  // What the packer writes.
inline constexpr std::size_t kMaxChunks = 1819;       // A section holds 65,535 bytes.

// Section sv (8 bytes); an absent one is 0, 0.
//
//   0   4  security version of this image
//   4   4  least security version of the OS that it needs; 0 = any
struct SecurityVersion {
  std::uint32_t image = 0;
  std::uint32_t least_os = 0;
};

// Section hw (4 + 32 n bytes): the boards that the image is for. Absent: every board that can run
// its code.
//
//   0   2  ELF machine of the code inside: 40 ARM, 62 x86-64, 183 AArch64, 0 none
//   2   2  n, 1 to 32
//   4      n board ids of 32 bytes, NUL-padded: [a-z0-9][a-z0-9._-]{0,30}, sorted, each once
struct TargetHardware {
  std::uint16_t machine = 0;
  std::vector<std::string> boards = {};
};
inline constexpr std::uint16_t kMachineNone = 0;  // The others stand in executable_check.h.
inline constexpr std::size_t kMaxBoards = 32;

[[nodiscard]] bool is_board_id(std::string_view text);
// Puts the board ids into the order of the section. Errors: invalid_argument for one that is no
// board id, one that is there twice, or more than kMaxBoards.
[[nodiscard]] Result<void> sort_boards(TargetHardware& hardware);

// Section bp (1 to 4096 bytes): lines "key=value" with LF at the end of each, keys [a-z0-9._-]+,
// sorted by byte value, each once; values are UTF-8 without control characters. A claim by the
// signer; nothing decides on it.
struct ProvenanceLine {
  std::string key;
  std::string value;
};
using Provenance = std::vector<ProvenanceLine>;
inline constexpr std::size_t kMaxProvenance = 4096;

// Reads the text of a section bp. `offset` is where it stands in the file, for messages.
// Error: corrupt.
[[nodiscard]] Result<Provenance> read_provenance(std::span<const std::byte> text,
                                                 std::size_t offset = 0);
// The text for `lines`, sorted. Errors, naming the line: invalid_argument for a key or value that
// read_provenance() would not take or a key that is there twice; too_large above 4096 bytes.
[[nodiscard]] Result<std::string> write_provenance(Provenance lines);

// Section sb (40 + n bytes): where the list of the software inside is.
//
//   0   2  format: 1 SPDX JSON, 2 CycloneDX JSON
//   2   2  place: 0 elsewhere, 1 a file in the body
//   4   2  n, 1 to 255
//   6   2  0
//   8   32 SHA-256 of the document
//   40  n  UTF-8 URI or path
struct SbomReference {
  enum class Format : std::uint8_t { spdx = 1, cyclonedx = 2 };
  Format format = Format::spdx;
  bool in_body = false;
  crypto::Sha256Digest digest = {};
  std::string locator = {};
};
inline constexpr std::size_t kMaxLocator = 255;

// What package v2 adds to the metadata. Section ki (32 bytes): SHA-256 of the signer's
// SubjectPublicKeyInfo. Section st (8 bytes): u64 Unix time at which a production signer signed.
struct SectionsV2 {
  std::optional<ContentHeader> content = {};        // v2
  std::optional<TreeHeader> tree = {};              // mt
  std::optional<ChunkTable> chunks = {};            // cz
  std::optional<SecurityVersion> security = {};     // sv
  std::optional<TargetHardware> hardware = {};      // hw
  std::optional<crypto::Sha256Digest> key_id = {};  // ki
  std::optional<Provenance> provenance = {};        // bp
  std::optional<SbomReference> sbom = {};           // sb
  std::optional<std::uint64_t> signing_time = {};   // st
};

}  // namespace sphere::image
