// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"

namespace sphere::image {

struct Limits {
  std::size_t package_bytes = std::size_t{256} * 1024 * 1024;
};

// A parsed package of format v1. Spans point into the buffer given to parse_package() and live no
// longer than it. Nothing is verified: see trust.h.
struct Package {
  std::span<const std::byte> bytes;  // The whole file.
  Metadata metadata;                 // Decoded sections, in file order.
  std::span<const std::byte> body;   // Before the metadata block.
  FileSystem files;                  // Content of an application (image type 10).
};

// Reads a whole package and checks its form: container, sections, superblock with CRC, every inode,
// names, ranges and padding; for an application also that /app_manifest.json is there. Checks no
// signature and no manifest.
//
// Errors: corrupt (part, offset and value in the message), unsupported (a kind, type or flag not
// known here), too_large (limits).
[[nodiscard]] Result<Package> parse_package(std::span<const std::byte> bytes,
                                            const Limits& limits = {});

// "application", "production package", "capability", "board configuration", "package v2",
// "image of type 8 (Root file system)": what `metadata` says the file is.
[[nodiscard]] std::string kind_text(const Metadata& metadata);

// SHA-256 of all bytes but the signature: what v1 signs.
[[nodiscard]] crypto::Sha256Digest signed_digest(const Package& package);

}  // namespace sphere::image
