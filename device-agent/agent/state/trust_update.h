// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "device-agent/agent/board_state.h"
#include "device-agent/agent/refusal.h"
#include "sphere/core/guid.h"
#include "sphere/image/trust_image.h"

namespace sphere::agent {

// A trust store that may replace the one of the board.
struct TrustUpdate {
  image::TrustRecord record;
  Guid image;
};

// Whether an uploaded file says that it is a trust store.
[[nodiscard]] bool is_trust_store(const std::filesystem::path& file);

// Checks a trust-store package: form, a signature by a trust-store key of the store in force, a
// version above that one's, the kind of board. No rule is left out because the board trusts who
// brings it. When the store in force is damaged, the one before it says whose signature counts, and
// the version that is damaged may come again. Changes nothing. Refusals: kPackageUntrusted,
// kPackageInvalid, kPackageTooLarge.
[[nodiscard]] Answer<TrustUpdate> check_trust_update(std::span<const std::byte> package,
                                                     const BoardState& state,
                                                     const std::string& board);

}  // namespace sphere::agent
