// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/merkle.h"
#include "sphere/image/package_v2.h"

namespace sphere::image {

// Body and tree of a package stand in a file: adds superblock, metadata and signature. Section ki
// and, unless it is given, the image id are filled in here. Returns image id and size of the file.
struct Finished {
  Guid image_id;
  std::uint64_t bytes = 0;
};
[[nodiscard]] Result<Finished> finish_v2(const OutputFile& file, MetadataV2 metadata,
                                         std::optional<Guid> image_id,
                                         const crypto::Signer& signer);

// The metadata block with the low-s signature of a package that has this superblock.
[[nodiscard]] Result<std::vector<std::byte>> sign_block_v2(
    std::span<const std::byte, kVeritySuperblockSize> superblock, std::vector<std::byte> block,
    const crypto::Signer& signer);

}  // namespace sphere::image
