// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"

// Signing package v2 anew, and changing its form. Body area and hash area stay as they are when it
// is signed: the work does not depend on the size of the image.
namespace sphere::image {

struct SignV2 {
  // Present: for production, at this Unix time. Drops section TP and writes st. Absent: drops st.
  std::optional<std::uint64_t> production_time = {};
};

// Metadata block and signature that take the place of the package's tail, from Package::
// tail_offset() on. SG and ki become the signer's; all other sections stay byte for byte. Reads 512
// bytes beside the metadata that is open already. Whether the old signature is good is not looked
// at. Errors: unsupported for another kind; those of the source and the signer.
[[nodiscard]] Result<std::vector<std::byte>> sign_tail_v2(const Package& package,
                                                          const SignV2& options,
                                                          const crypto::Signer& signer);

}  // namespace sphere::image
