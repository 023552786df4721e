// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace sphere::image {

// The entry whose key signed `digest` with the signature of `metadata`, and whose role may sign its
// image type. Errors: unverified, as verify().
[[nodiscard]] Result<TrustEntry> find_signer(const crypto::Sha256Digest& digest,
                                             const Metadata& metadata, const TrustStore& trust);

// The signature of a package v2 whose hash area begins with `superblock`, and that this is the one
// of its metadata. Errors: as verify().
[[nodiscard]] Result<TrustEntry> verify_head_v2(
    const Package& package, std::span<const std::byte, kMerkleBlockSize> superblock,
    const TrustStore& trust);

// Signature, superblock and directories of a package v2, whose `files` are opened. Errors: as
// verify().
[[nodiscard]] Result<TrustEntry> verify_v2(Package& package, const TrustStore& trust);

// Checks both signatures of a production package, the outer one before anything is decoded, and all
// that open_inner() checks; then sets `outer.inner`. Errors: as verify().
[[nodiscard]] Result<TrustEntry> verify_production(Package& outer, const TrustStore& trust);

}  // namespace sphere::image
