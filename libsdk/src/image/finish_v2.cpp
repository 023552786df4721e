// SPDX-License-Identifier: MIT
#include "libsdk/src/image/finish_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/merkle.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {

Result<std::vector<std::byte>> sign_block_v2(
    std::span<const std::byte, kVeritySuperblockSize> superblock, std::vector<std::byte> block,
    const crypto::Signer& signer) {
  const std::array<crypto::Sha256Digest, 1> digests = {signed_digest_v2(superblock, block)};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  const auto signature = with_low_s(signatures.at(0));
  block.insert(block.end(), signature.begin(), signature.end());
  return block;
}

Result<Finished> finish_v2(const OutputFile& file, MetadataV2 metadata,
                           std::optional<Guid> image_id, const crypto::Signer& signer) {
  auto& v2 = metadata.sections;
  const auto content = v2.content.value_or(ContentHeader{});
  const auto header = v2.tree.value_or(TreeHeader{});
  v2.key_id = signer.public_key().id();
  metadata.identity.image_id = image_id ? *image_id : derived_image_id_v2(metadata);

  SPHERE_TRY_ASSIGN(auto shape, MerkleShape::of(header.data_blocks));
  std::array<std::byte, kMerkleBlockSize> block = {};
  const auto superblock =
      verity_superblock({.shape = std::move(shape), .salt = header.salt, .root = header.root},
                        metadata.identity.image_id);
  std::ranges::copy(superblock, block.begin());
  SPHERE_TRY_ASSIGN(auto metadata_block, write_metadata_v2(metadata));
  SPHERE_TRY_ASSIGN(const auto tail, sign_block_v2(superblock, std::move(metadata_block), signer));
  SPHERE_TRY(write_at(file, content.stored_size, block));
  const auto metadata_offset = content.stored_size + content.hash_area_size;
  SPHERE_TRY(write_at(file, metadata_offset, tail));
  SPHERE_TRY(set_size(file, metadata_offset + tail.size()));
  return Finished{.image_id = metadata.identity.image_id, .bytes = metadata_offset + tail.size()};
}

}  // namespace sphere::image
