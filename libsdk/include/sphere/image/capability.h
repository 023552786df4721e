// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/pack.h"

namespace sphere::image {

inline constexpr std::size_t kDeviceIdSize = 64;  // Its text has 128 hexadecimal digits.
inline constexpr std::size_t kCapabilitySlots = 32;
inline constexpr std::size_t kCapabilitySize = 204;    // Record of version 1,
inline constexpr std::size_t kCapabilitySizeV2 = 336;  // and of version 2.
inline constexpr std::size_t kCapabilityPurpose = 60;

// What a device may be asked to allow.
inline constexpr std::uint32_t kAppDevelopment = 11;
inline constexpr std::uint32_t kEnableRfTestMode = 12;
inline constexpr std::uint32_t kFieldServicing = 13;

// Bits of CapabilityTerms::flags.
inline constexpr std::uint32_t kSessionOnly = 1;
inline constexpr std::uint32_t kMayBeStored = 2;
inline constexpr std::uint32_t kNeedsOnlineCheck = 4;

// What record version 2 adds.
struct CapabilityTerms {
  Guid file_id = {};
  std::uint64_t owner_epoch = 0;
  std::uint64_t counter = 0;
  std::uint64_t not_before = 0;  // Unix seconds.
  std::uint64_t not_after = 0;
  std::uint32_t maximum_uses = 0;  // 0: no limit.
  std::uint32_t flags = 0;
  Guid catalog_id = {};
  std::string purpose = {};  // UTF-8, at most kCapabilityPurpose bytes.
};

struct Capability {
  std::array<std::byte, kDeviceIdSize> device_id = {};
  std::vector<std::uint32_t> numbers = {};    // At most kCapabilitySlots, none of them 0.
  std::optional<CapabilityTerms> terms = {};  // Present: record version 2.
};

// Reads the body of a capability package. All integers are little-endian, nothing is aligned:
//
//   0    4   magic 0x5CFD5CFD
//   4    4   version, 1 or 2
//   8    4   size of the record, 204 or 336: the whole body
//   12   64  device id
//   76   128 32 capability numbers of 4 bytes; the used ones first, then zeros
//   --------- version 2 goes on:
//   204  16  file id, GUID in RFC 4122 order
//   220  8   owner epoch
//   228  8   counter
//   236  8   not before, Unix seconds
//   244  8   not after, Unix seconds, not less
//   252  4   maximum uses, 0 = no limit
//   256  4   flags: 1 session only, 2 may be stored on the device, 4 needs online check
//   260  16  catalog id, GUID in RFC 4122 order
//   276  60  purpose, UTF-8 without control characters, padded with NUL
//
// Form only. Still to be checked by the caller: that a capability key signed the package, that the
// device id is its own, catalog and epoch, the time, counter and number of uses.
//
// Errors: corrupt: magic, size, a number after an empty slot, the purpose or its padding, not
// before after not after. unsupported: another version, an unknown flag.
[[nodiscard]] Result<Capability> read_capability(std::span<const std::byte> body);

// The record, of version 2 if there are terms. Errors: invalid_argument for what read_capability()
// would refuse.
[[nodiscard]] Result<std::vector<std::byte>> write_capability(const Capability& capability);

// "appDevelopment" for 11; empty for a number without a known name.
[[nodiscard]] std::string_view capability_name(std::uint32_t number);

struct CapabilityRequest {
  Capability capability;
  Guid component_id = {};
  std::optional<Guid> image_id = {};  // Absent: random.
  std::uint64_t build_time = 0;
};

// The package of a capability, named fw_config, signed by `signer`, whose key must have the role
// capability where the file is to be used. Errors: those of write_capability() and of the signer.
[[nodiscard]] Result<Packed> pack_capability(const CapabilityRequest& request,
                                             const crypto::Signer& signer);

}  // namespace sphere::image
