// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/sections_v2.h"

// Package v2: the container of v1 with a hash tree, so that hashing runs on all cores, a block can
// be trusted as soon as it arrives, and signing anew touches nothing but the metadata.
//
//   0                       body area   the body, or its compressed chunks, zero-padded to 4096
//   body area               hash area   dm-verity superblock (4096), then the tree's hash blocks
//   + hash area             metadata    "4X4M" ... length word: ID SG DB [TP] [ND] v2 mt [cz] [sv]
//                                       [hw] ki [bp] [sb] [st]
//   file size - 64          signature   r | s, big-endian, low s
//
// The signature is ECDSA P-256 with SHA-256 over the 80 bytes
//
//   "SPHERE-PACKAGE-2" | SHA-256(superblock, 512 bytes) | SHA-256(metadata block)
//
// Two forms have the same metadata and signature: the *compressed* one, whose body area holds the
// chunks of section cz, and the *expanded* one with the body in their place. Without cz there is
// the expanded form alone. The file's size tells which one it is.
namespace sphere::image {

// Where the parts lie, and the tree over the body.
struct LayoutV2 {
  MerkleTree tree;
  bool expanded = true;         // False: the body area holds compressed chunks.
  std::uint64_t body_area = 0;  // Bytes of the body area: where the hash area begins.

  // Where the metadata block begins.
  [[nodiscard]] std::uint64_t metadata_offset() const noexcept {
    return body_area + tree.shape.hash_area_size();
  }
};

// Checks what the sections of a package v2 say together, and against the size of the file;
// `tail_bytes` is metadata block and signature. What comes out needs no further check of sizes.
//
// Errors: unsupported unless the signing type is that of package v2; corrupt: v2, mt or ki missing,
// CM present, image type capability, a salt that is not the component's, sizes that do not agree,
// SG that is not the front of ki, a chunk of a wrong length, an "epoch" that is not the build time.
[[nodiscard]] Result<LayoutV2> check_v2_metadata(const Metadata& metadata, std::uint64_t tail_bytes,
                                                 std::uint64_t file_size);

// The digest that is signed. `metadata_block` is "4X4M" through the length word.
[[nodiscard]] crypto::Sha256Digest signed_digest_v2(
    std::span<const std::byte, kVeritySuperblockSize> superblock,
    std::span<const std::byte> metadata_block);

// Whether s <= n/2. Of the two values of s that make a good signature one is low: a rule that makes
// the bytes of a signature unique.
[[nodiscard]] bool has_low_s(const crypto::Signature& signature);
// The signature with n - s in place of a high s.
[[nodiscard]] crypto::Signature with_low_s(crypto::Signature signature);

// What a writer puts into the metadata block.
struct MetadataV2 {
  Identity identity;
  DebugInfo debug;
  std::optional<std::uint32_t> temporary = {};
  std::optional<std::vector<AbiDependency>> depends = {};
  SectionsV2 sections = {};  // content, tree and key_id are there.
};

// The block, "4X4M" through the length word, its sections in the order of the format.
// Errors: those of write_provenance().
[[nodiscard]] Result<std::vector<std::byte>> write_metadata_v2(const MetadataV2& metadata);

// The image id of a package v2 that names none: from component, root hash, content size and the
// sections DB, ND, sv and hw (version 8 of RFC 9562).
[[nodiscard]] Guid derived_image_id_v2(const MetadataV2& metadata);

}  // namespace sphere::image
