// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"

namespace sphere::device {

// Whether the board in `directory` is broken; its files are told in the header of sphere-board's
// part, device-agent/virtual-board/board_recovery.h.
[[nodiscard]] bool is_broken(const std::filesystem::path& directory);
// Where its recovery loader listens, "tcp:HOST:PORT"; empty when it does not.
[[nodiscard]] std::string recovery_port(const std::filesystem::path& directory);
// Breaks a board that does not run. Sets signed with one of the keys for images bring it back.
// Errors: invalid_argument (a fault that is not known), those of files.
[[nodiscard]] Result<void> break_board(const std::filesystem::path& directory,
                                       std::span<const std::string> faults, crypto::KeyStore& keys);

}  // namespace sphere::device
