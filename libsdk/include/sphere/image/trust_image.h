// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

// A trust store as an image: the keys that a device accepts, and those that it never accepts again.
// It replaces the device's store as a whole, so keys are added, retired and revoked by one signed
// file. It travels as a package v2 of image type 19 whose body is the record below.
namespace sphere::image {

inline constexpr std::size_t kMaxTrustKeys = 64;
inline constexpr std::size_t kMaxRevokedKeys = 256;
inline constexpr std::size_t kMaxTrustThumbprints = 4;  // Of one key.
inline constexpr std::size_t kMaxTrustLabel = 63;       // Bytes.
inline constexpr std::size_t kMaxTrustRecord =
    20 + (kMaxTrustKeys * (4 + 91 + 80 + 63)) + (kMaxRevokedKeys * 32);

// The component of every trust store: a device has one.
[[nodiscard]] const Guid& trust_store_component();

struct TrustRecord {
  std::uint32_t version = 1;                // Rises with each store; never 0.
  std::vector<TrustEntry> entries = {};     // Sorted by role, then key id.
  std::vector<crypto::KeyId> revoked = {};  // Sorted.
};

// Reads the record. All integers are little-endian, nothing is aligned:
//
//   0    4   magic "SPTS"
//   4    2   layout version, 1
//   6    2   0
//   8    4   version of the store, 1 or more
//   12   2   number of keys, 1 to 64
//   14   2   number of revoked keys, 0 to 256
//   16   4   size of the record: the whole body
//   20       the keys, in ascending order of role and key id:
//              0    1   role: 1 production, 2 development, 3 capability, 4 board configuration,
//                       5 os, 6 trust store
//              1    1   number of thumbprints, 0 to 4
//              2    1   bytes of the label, 0 to 63
//              3    1   0
//              4    91  SubjectPublicKeyInfo, DER, P-256, named curve, uncompressed point
//              95       thumbprints, 20 bytes each, ascending
//                       label, UTF-8 without control characters
//            the ids of the revoked keys, 32 bytes each, ascending
//
// One store has one form: what is read is written as the same bytes. A key may have several roles,
// but one with role trust store has no other. A store has at least one key with role trust store,
// else nothing could ever replace it. A key in it is not revoked by it. The key of the published
// test vectors is refused, and the public test key in any role but development.
//
// Form only. Still to be checked by the caller: that a trust-store key of the store before signed
// the package, and that the version is higher than that one's.
//
// Errors: corrupt (part, offset and value in the message; package.corrupt), unsupported (layout
// version), too_large.
[[nodiscard]] Result<TrustRecord> read_trust_record(std::span<const std::byte> body);

// The record; entries, thumbprints and revoked keys in any order. Errors: invalid_argument for what
// read_trust_record() would refuse.
[[nodiscard]] Result<std::vector<std::byte>> write_trust_record(const TrustRecord& record);

// The record of a package, every byte proven against its root hash. Of a package that verify() has
// not seen it proves nothing. Errors: unsupported (no package v2 of image type 19; another body
// format); corrupt (another component, a security version that is not the record's version,
// section TP there); those of read_trust_record().
[[nodiscard]] Result<TrustRecord> open_trust_record(const Package& package);

struct TrustImage {
  TrustRecord record;
  std::optional<Guid> image_id = {};  // Absent: derived.
  std::uint64_t build_time = 0;
  std::vector<std::string> boards = {};  // Kinds of boards it is for; empty: all.
  Provenance provenance = {};
};

// Makes the signed package; its security version is the record's version. `signer` must have the
// role trust store where the image is to be used. Errors: those of write_trust_record() and of
// pack_raw_image().
[[nodiscard]] Result<PackedV2> pack_trust_image(const TrustImage& image,
                                                const crypto::Signer& signer, const Tools& tools,
                                                const PackOutput& output);

}  // namespace sphere::image
