// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"

namespace sphere::image {

struct LayoutV2;  // package_v2.h

struct Limits {
  std::uint64_t package_bytes = std::uint64_t{256} * 1024 * 1024;  // Format v1.
  std::uint64_t package_v2_bytes = std::uint64_t{2} * 1024 * 1024 * 1024;
};

enum class PackageKind : std::uint8_t {
  application,          // Format v1, image type 10, not compressed.
  production,           // Format v1 with a compressed package inside (section CM).
  capability,           // Format v1, image type 13.
  board_configuration,  // Format v1, image type 21.
  package_v2,           // Format v2 of any image type.
  other,                // Format v1 of another image type.
};

// A package whose head and tail are in memory and whose rest is read from `source` when it is
// wanted, so that a package of any size needs the same little memory. Copies share the source and
// the tail. Nothing is verified: see trust.h.
struct Package {
  std::shared_ptr<const BlockSource> source = {};  // The whole file.
  std::uint64_t size = 0;                          // Of the file.
  PackageKind kind = PackageKind::other;
  Metadata metadata = {};  // Decoded sections, in file order; spans point into `tail`.
  std::shared_ptr<const std::vector<std::byte>> tail = {};  // Metadata block and signature.
  FileSystem files = {};  // Of an application: its directories, from the front of `source`.
  // Of a package v2: where its parts lie. Its `files` are opened by verify() or open_files().
  std::shared_ptr<const LayoutV2> layout = {};
  std::shared_ptr<const Package> inner = {};  // Of a production package, set by verify().

  // Where the metadata block begins.
  [[nodiscard]] std::uint64_t tail_offset() const noexcept { return size - tail->size(); }
};

// Opens the package of `size` bytes that `source` gives: checks the container and the sections, and
// for an application the superblock, every inode, name and range, that /app_manifest.json is there,
// and that its EntryPoint, when it has one, names a file that is executable. Reads the end of the
// file, the directories and the manifest, at most 1.3 MiB, and nothing else: whether the CRC is
// right and the padding zero is found by check_body() and verify(). Checks no signature and nothing
// else of the manifest. The bodies of the other kinds are not looked at.
//
// Errors: corrupt (part, offset and value in the message), unsupported (a type or flag not known
// here), too_large (limits), those of the source.
[[nodiscard]] Result<Package> open_package(std::shared_ptr<const BlockSource> source,
                                           std::uint64_t size, const Limits& limits = {});

// Only the first step of open_package(): container and sections. `files` stays empty, and
// check_body() gives the digests alone. For looking at a file whose body may be damaged.
[[nodiscard]] Result<Package> open_container(std::shared_ptr<const BlockSource> source,
                                             std::uint64_t size, const Limits& limits = {});

// open_package() for a file, which stays open as long as the package. Errors: also those of
// FileBlocks::open().
[[nodiscard]] Result<Package> open_package(const std::filesystem::path& path,
                                           const Limits& limits = {});

// open_package() and check_body() for bytes in memory, which must outlive the package.
[[nodiscard]] Result<Package> parse_package(std::span<const std::byte> bytes,
                                            const Limits& limits = {});

struct PackageDigests {
  crypto::Sha256Digest signed_bytes = {};  // All but the signature: what format v1 signs.
  crypto::Sha256Digest file = {};
};

// Reads the file once from begin to end, in pieces of kReadBytes, and gives its digests; of an
// application it also checks the CRC and that every byte that belongs to nothing is zero. Errors:
// corrupt; io when the source changed after open_package(); those of the source.
[[nodiscard]] Result<PackageDigests> check_body(const Package& package);

// The body of a kind whose body is small, all bytes before the metadata block. Errors: too_large
// above `limit`, those of the source.
[[nodiscard]] Result<std::vector<std::byte>> read_body(const Package& package, std::size_t limit);

[[nodiscard]] PackageKind package_kind(const Metadata& metadata);

// "application", "production package", "capability", "board configuration", "package v2",
// "image of type 8 (Root file system)": what `metadata` says the file is.
[[nodiscard]] std::string kind_text(const Metadata& metadata);

// unsupported, naming the kind, unless the package is an application.
[[nodiscard]] Result<void> require_application(const Package& package);

}  // namespace sphere::image
