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

// Writes a package v2 with body, image id and metadata of a development package v1; `extra` gives
// what only v2 can say (security, hardware, provenance, sbom, compress). Reads the body twice.
// Errors: unsupported unless `package` is an application of format v1; as pack_application_v2().
[[nodiscard]] Result<PackedV2> convert_to_v2(const Package& package, const ImageInfo& extra,
                                             const crypto::Signer& signer, const Tools& tools,
                                             const PackOutput& output);

// Writes a package v1 with body, image id and the common metadata of an ASXipFS package v2, every
// block proven on the way; returns its size. What only v2 can say is lost. Errors: unsupported for
// another kind or body; unverified; those of source, output and signer.
[[nodiscard]] Result<std::uint64_t> convert_to_v1(const Package& package,
                                                  const crypto::Signer& signer,
                                                  const PackOutput& output);

// Writes the expanded form of a package v2, every block proven on the way: the same metadata and
// signature. Returns its size. Errors: unsupported for another kind; unverified; those of source
// and output.
[[nodiscard]] Result<std::uint64_t> write_expanded_form(const Package& package,
                                                        const PackOutput& output);

// Writes a package v2 with the same body in compressed chunks, signed anew: the image id stays. The
// result has no chunks if they would not be smaller. Errors: as write_expanded_form(), and those of
// the signer.
[[nodiscard]] Result<PackedV2> compress_package(const Package& package,
                                                const crypto::Signer& signer, const Tools& tools,
                                                const PackOutput& output);

}  // namespace sphere::image
