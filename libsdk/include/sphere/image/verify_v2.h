// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sphere/core/result.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

// What a package v2 offers beyond verify() of trust.h, which checks its signature and superblock
// and reads nothing of the body but the directories of an application. Every byte of the body that
// is read through a verified package (its `files`, or open_body()) is proven against the signed
// root hash first.
namespace sphere::image {

// The body of a package v2, expanded, each block proven when it is read. Bytes are as trustworthy
// as the metadata: of a package that was not verified they prove nothing but that they are not
// damaged. Errors: unsupported for another kind.
[[nodiscard]] Result<std::shared_ptr<const BlockSource>> open_body(const Package& package);

// Opens the directories of an ASXipFS body and, of an application, checks the manifest's presence
// and entry point, as open_package() does for v1. verify() does it; for looking at a package that
// is not verified. Nothing for other bodies. Errors: as open_asxipfs() and open_body().
[[nodiscard]] Result<void> open_files(Package& package);

// open_files() for an application of format v2, nothing for one of v1, whose files are open. Error:
// unsupported, naming the kind, for everything else.
[[nodiscard]] Result<void> open_application(Package& package);

// Proves every block of the body, on all cores, and checks the padding: behind the content, and
// behind compressed chunks; of an ASXipFS body also its CRC, of a trust store its form. Errors:
// unverified, naming the first block or chunk that does not match; corrupt; io when the source
// changed meanwhile; those of the source; unsupported for another kind.
[[nodiscard]] Result<void> check_body_v2(const Package& package, const Tools& tools);

// What a device keeps for an image's component, and what it is.
struct RollbackState {
  std::uint32_t least_image = 0;  // The component's counter.
  std::uint32_t os = 0;           // Security version of the running OS.
};

// Refuses an image whose security version is below the component's counter (package v1 counts as
// version 0), or that needs a later OS. Errors: unverified (package.untrusted), unsupported.
[[nodiscard]] Result<void> check_rollback(const Metadata& metadata, const RollbackState& state);

// Refuses an image that names its boards and none of `boards`: the device's own id and those that
// its definition extends; or that has code for none of `machines` (ELF machine numbers that the
// device can run). Error: unsupported.
[[nodiscard]] Result<void> check_hardware(const Metadata& metadata,
                                          std::span<const std::string> boards,
                                          std::span<const std::uint16_t> machines);

}  // namespace sphere::image
