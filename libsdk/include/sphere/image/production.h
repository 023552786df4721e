// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

// Production packages of format v1: a signed package that holds another one, compressed.
//
//   0    compressed area   LZMA-alone, see compression.h; decodes to the inner package:
//                            its body | its metadata block | its signature
//   ...  metadata block    ID SG DB CM ND; CM has the size of the inner package
//   64   signature         over all bytes before it
//
// ID, ND and the name in DB are the same inside and outside. The inner package has no CM, so there
// is no nesting, and no TP; its DB keeps the time of the build, while that of the outer one is the
// time of signing. One key makes both signatures.
namespace sphere::image {

// The inner package of a production package, read into memory.
struct InnerPackage {
  Package package;         // Keeps its bytes alive.
  PackageDigests digests;  // Of it; its whole form has been checked.
};

// Decodes a production package. No signature is checked: verify() does that, the outer one before
// it decodes. Needs memory for the compressed area and for what it decodes to.
//
// Errors: corrupt: those of decode_lzma() and of open_package() and check_body() for the inner
// package; an inner package with TP or CM or of format v2; inner and outer ID, ND or name that
// differ. too_large: CM or the dictionary above the limits. invalid_argument: `outer` is of another
// kind.
[[nodiscard]] Result<InnerPackage> open_inner(const Package& outer, const Limits& limits = {});

// Makes the production package of an application: `upload` without TP and with the thumbprint of
// `signer` in SG, signed and compressed, then the outer block with `signing_time` in DB, signed.
// Every other section of `upload` stays as it is in the inner package.
//
// Errors: unsupported when `upload` is no application of format v1; those of its source and of the
// signer.
[[nodiscard]] Result<std::vector<std::byte>> sign_for_production(const Verified<Package>& upload,
                                                                 std::uint64_t signing_time,
                                                                 const crypto::Signer& signer);

}  // namespace sphere::image
