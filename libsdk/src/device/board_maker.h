// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"
#include "sphere/device/virtual_board.h"

namespace sphere::device {

// Fills the empty directory `directory` with the files of a new board
// (docs/how-to/virtual-board.md). `ca_file` holds the certificate of the device-API CA; it is made
// on first use.
[[nodiscard]] Result<void> fill_board_directory(const std::filesystem::path& directory,
                                                const BoardConfig& config, crypto::KeyStore& keys,
                                                const std::filesystem::path& ca_file);

// The device id of the board in `directory`, from its fuses. Errors: not_found, corrupt.
[[nodiscard]] Result<std::string> read_device_id(const std::filesystem::path& directory);

// The certificate authority of the board in `directory`: the second certificate of its TLS chain.
[[nodiscard]] Result<std::string> read_device_api_ca(const std::filesystem::path& directory);

}  // namespace sphere::device
