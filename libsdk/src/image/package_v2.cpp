// SPDX-License-Identifier: MIT
#include "sphere/image/package_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/failure.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

// Offset of the payload of a section in the file.
class Places {
 public:
  Places(const Metadata& metadata, std::uint64_t metadata_offset)
      : metadata_{&metadata}, offset_{metadata_offset} {}

  // `field` bytes into section `id`, which is there.
  [[nodiscard]] std::size_t of(std::string_view id, std::size_t field = 0) const {
    auto offset = static_cast<std::size_t>(offset_) + 8;
    for (const auto& section : metadata_->sections) {
      offset += 4;
      if (std::string_view{section.id.data(), section.id.size()} == id) {
        return offset + field;
      }
      offset += section.payload.size();
    }
    return static_cast<std::size_t>(offset_);
  }

 private:
  const Metadata* metadata_;
  std::uint64_t offset_;
};

Result<void> check_presence(const Metadata& metadata, std::size_t offset) {
  if (metadata.signature_info.signing_type != kSigningTypePackageV2) {
    return unsupported(fmt::format("the signing type {:#x} is not that of package v2",
                                   metadata.signature_info.signing_type));
  }
  const auto missing = [&](std::string_view id) {
    return corrupt("metadata", offset, fmt::format("there is no section {}", id));
  };
  if (!metadata.v2.content) {
    return missing("v2");
  }
  if (!metadata.v2.tree) {
    return missing("mt");
  }
  if (!metadata.v2.key_id) {
    return missing("ki");
  }
  if (metadata.compressed) {
    return corrupt("metadata", offset, "section CM does not belong into a package v2");
  }
  if (metadata.identity.image_type == kCapability) {
    return corrupt("section ID", offset, "a capability is never a package v2");
  }
  return {};
}

Result<void> check_tree(const Metadata& metadata, const ContentHeader& content,
                        const MerkleTree& tree, const Places& places) {
  if (tree.shape.data_blocks() != content.body_size / kMerkleBlockSize) {
    return corrupt("section mt", places.of("mt", 8),
                   "the number of data blocks is not that of the body",
                   std::to_string(tree.shape.data_blocks()));
  }
  if (content.hash_area_size != tree.shape.hash_area_size()) {
    return corrupt("section v2", places.of("v2", 32), "the hash area size is not that of the tree",
                   std::to_string(content.hash_area_size));
  }
  if (tree.salt != merkle_salt(metadata.identity.component_id)) {
    return corrupt("section mt", places.of("mt", 16), "the salt is not the component's",
                   to_hex(tree.salt));
  }
  return {};
}

// Chunks that cover the body, each of a length that it can have.
Result<void> check_chunk_lengths(const ChunkTable& table, const ContentHeader& content,
                                 const Places& places) {
  std::uint64_t left = content.body_size;
  std::uint64_t stored = 0;
  for (std::size_t i = 0; i < table.chunks.size(); ++i) {
    const auto& chunk = table.chunks[i];
    const auto size = std::min<std::uint64_t>(left, table.chunk_size);
    if (chunk.stored_length > size || (!chunk.compressed && chunk.stored_length != size)) {
      return corrupt("section cz", places.of("cz", 16 + (36 * i)),
                     fmt::format("chunk {} cannot have {} bytes", i, chunk.stored_length),
                     std::to_string(chunk.stored_length));
    }
    left -= size;
    stored += chunk.stored_length;
  }
  stored = (stored + kMerkleBlockSize - 1) / kMerkleBlockSize * kMerkleBlockSize;
  if (stored != content.stored_size || stored >= content.body_size) {
    return corrupt("section v2", places.of("v2", 24), "the stored size is not that of the chunks",
                   std::to_string(content.stored_size));
  }
  return {};
}

Result<void> check_chunks(const Metadata& metadata, const ContentHeader& content,
                          const Places& places) {
  if (!metadata.v2.chunks) {
    if (content.stored_size != content.body_size) {
      return corrupt("section v2", places.of("v2", 24),
                     "the stored size is not the body size, and there is no section cz",
                     std::to_string(content.stored_size));
    }
    return {};
  }
  const auto& table = *metadata.v2.chunks;
  const auto count = (content.body_size + table.chunk_size - 1) / table.chunk_size;
  if (table.chunks.size() != count) {
    return corrupt("section cz", places.of("cz", 8), "the number of chunks is not that of the body",
                   std::to_string(table.chunks.size()));
  }
  return check_chunk_lengths(table, content, places);
}

Result<void> check_claims(const Metadata& metadata, const Places& places) {
  const auto& thumbprint = metadata.signature_info.thumbprint;
  const auto key_id = metadata.v2.key_id.value_or(crypto::Sha256Digest{});
  if (!std::ranges::equal(thumbprint, std::span{key_id}.first<20>())) {
    return corrupt("section SG", places.of("SG"), "it is not the front of the key id in section ki",
                   to_hex(thumbprint));
  }
  for (const auto& line : metadata.v2.provenance.value_or(Provenance{})) {
    if (line.key == "epoch" && line.value != std::to_string(metadata.debug.build_time)) {
      return corrupt("section bp", places.of("bp"), "the epoch is not the build time of section DB",
                     line.value);
    }
  }
  return {};
}

}  // namespace

Result<LayoutV2> check_v2_metadata(const Metadata& metadata, std::uint64_t tail_bytes,
                                   std::uint64_t file_size) {
  const auto front = file_size - std::min(tail_bytes, file_size);
  SPHERE_TRY(check_presence(metadata, static_cast<std::size_t>(front)));
  const Places places{metadata, front};
  const auto content = metadata.v2.content.value_or(ContentHeader{});
  const auto tree = metadata.v2.tree.value_or(TreeHeader{});
  SPHERE_TRY_ASSIGN(auto shape, MerkleShape::of(tree.data_blocks));
  LayoutV2 layout{.tree = {.shape = std::move(shape), .salt = tree.salt, .root = tree.root}};
  SPHERE_TRY(check_tree(metadata, content, layout.tree, places));
  SPHERE_TRY(check_chunks(metadata, content, places));
  SPHERE_TRY(check_claims(metadata, places));
  layout.expanded = front == content.body_size + content.hash_area_size;
  layout.body_area = layout.expanded ? content.body_size : content.stored_size;
  if (front != layout.body_area + content.hash_area_size) {
    return corrupt("file", 0, fmt::format("{} bytes do not fit the sizes in section v2", file_size),
                   std::to_string(file_size));
  }
  return layout;
}

crypto::Sha256Digest signed_digest_v2(std::span<const std::byte, kVeritySuperblockSize> superblock,
                                      std::span<const std::byte> metadata_block) {
  constexpr std::string_view kLabel = "SPHERE-PACKAGE-2";
  return crypto::Sha256{}
      .update(std::as_bytes(std::span{kLabel}))
      .update(crypto::sha256(superblock))
      .update(crypto::sha256(metadata_block))
      .finish();
}

}  // namespace sphere::image
