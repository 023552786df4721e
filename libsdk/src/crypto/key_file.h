// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"
#include "sphere/crypto/secret.h"

// The form of one file of KeyStore.
namespace sphere::crypto {

// What a key file says without its private half. Errors: corrupt, naming the file.
[[nodiscard]] Result<KeyDescription> read_key_file(std::string_view text, std::string_view name,
                                                   const std::filesystem::path& path);

// Writes the file of a key; `key_block` is its private half as PEM and empty for a token. It
// appears complete, readable by its owner only, or not at all. Errors: exists.
[[nodiscard]] Result<void> write_key_file(const KeyDescription& key, std::string_view key_block);

}  // namespace sphere::crypto
