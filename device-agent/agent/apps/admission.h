// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device-agent/agent/apps/executable.h"
#include "device-agent/agent/refusal.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {

inline constexpr std::uint32_t kHighestApiSet = 15;
inline constexpr std::uint32_t kRuntimeIdentity = 3;  // Identity type of a dependency entry.
inline constexpr std::uint32_t kStorageLimitKb = 64;

// A pin or peripheral that another app, installed or to be installed beside this one, has.
struct PinClaim {
  std::string app;  // Its name, for the message.
  std::int64_t pin = -1;
  std::string peripheral = {};  // "ISU0", "PWM-CONTROLLER-1", "ADC-CONTROLLER-0".
};

struct Admitted {
  manifest::Manifest manifest;
  Executable executable;
};

// Checks what a verified package asks of this board: type, component id, manifest, API set, entry
// point, pins (against those the board has and those others have), storage. Changes nothing.
[[nodiscard]] Answer<Admitted> admit(const image::Verified<image::Package>& package,
                                     const std::vector<std::int64_t>& board_pins,
                                     const std::vector<PinClaim>& claims);

// Refuses an image for other boards than `board`, and one whose security version is below
// `installed`, that of the version of its component which the board has (0: none, or package v1).
// Refusals: kPackageInvalid, kPackageUntrusted.
[[nodiscard]] Answer<void> admit_version(const image::Package& package, const std::string& board,
                                         std::uint32_t installed);

// The checks of admit() that need nothing but the metadata: what is refused when staged.
[[nodiscard]] Answer<void> admit_to_stage(const image::Package& package);

[[nodiscard]] std::vector<PinClaim> claims_of(const manifest::Manifest& manifest);

}  // namespace sphere::agent
