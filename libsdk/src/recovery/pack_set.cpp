// SPDX-License-Identifier: MIT
#include "sphere/recovery/pack_set.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPiece = std::size_t{256} * 1024;
constexpr std::uint16_t kOther = 28;    // Image type.
constexpr std::uint16_t kFirmware = 1;  // Partition types.
constexpr std::uint16_t kApplications = 4;
constexpr std::string_view kName = "recovery-manifest";

tl::unexpected<Error> refuse(Errc code, std::string message, std::string_view value,
                             std::string next) {
  return fail(code, std::move(message),
              {.reason = "usage.bad-value", .value = std::string{value}, .next = std::move(next)});
}

// A random GUID's form, from a digest.
Guid guid_of(const crypto::Sha256Digest& digest) {
  std::array<std::byte, Guid::kSize> bytes{};
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  constexpr std::size_t kVersionAt = 7;  // Stored order: of the third group, the high byte.
  constexpr std::size_t kVariantAt = 8;
  bytes[kVersionAt] = (bytes[kVersionAt] & std::byte{0x0F}) | std::byte{0x80};
  bytes[kVariantAt] = (bytes[kVariantAt] & std::byte{0x3F}) | std::byte{0x80};
  return Guid::from_stored(bytes);
}

Guid guid_of(std::string_view text) {
  return guid_of(crypto::sha256(std::as_bytes(std::span{text})));
}

// Trusted keys go before what they check, apps behind everything.
int rank(std::uint16_t type) {
  switch (type) {
    case image::kTrustedKeyStore:
      return 0;
    case image::kApplication:
      return 3;
    case kOther:
      return 2;
    default:
      return 1;
  }
}

Result<crypto::Sha256Digest> hash(const image::BlockSource& source, std::uint64_t size) {
  crypto::Sha256 sum;
  std::vector<std::byte> buffer(kPiece);
  for (std::uint64_t at = 0; at < size;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(size - at, kPiece));
    SPHERE_TRY_ASSIGN(const auto bytes, source.read(at, std::span{buffer}.first(piece)));
    sum.update(bytes);
    at += piece;
  }
  SPHERE_TRY(source.check_unchanged());
  return sum.finish();
}

Result<ManifestV4::Entry> describe(const fs::path& path, const std::string& name) {
  SPHERE_TRY_ASSIGN(auto opened, image::FileBlocks::open(path));
  const auto source = std::make_shared<const image::FileBlocks>(std::move(opened));
  const std::uint64_t size = source->size();
  if (size == 0 || size > kManifestV4FileLimit) {
    return refuse(Errc::too_large,
                  fmt::format("{} has {} bytes, not 1 to {}", name, with_thousands(size),
                              with_thousands(kManifestV4FileLimit)),
                  name, "leave it out of the directory, or make it smaller");
  }
  ManifestV4::Entry entry{
      .file_size = size, .flash_offset = kPlacedByLoader, .sha256 = {}, .file_name = name};
  SPHERE_TRY_ASSIGN(entry.sha256, hash(*source, size));
  if (const auto package = image::open_container(source, size)) {
    const image::Identity& identity = package->metadata.identity;
    entry.image_id = identity.image_id;
    entry.component_id = identity.component_id;
    entry.image_type = identity.image_type;
  } else {
    entry.image_id = guid_of(entry.sha256);
    entry.component_id = guid_of(name);
    entry.image_type = kOther;
  }
  entry.partition_type = entry.image_type == image::kApplication ? kApplications : kFirmware;
  return entry;
}

Result<std::vector<ManifestV4::Entry>> describe_all(const fs::path& directory) {
  std::error_code error;
  const fs::directory_iterator files{directory, error};
  if (error) {
    return tl::make_unexpected(system_error("open", directory, error.value()));
  }
  std::vector<ManifestV4::Entry> entries;
  for (const auto& file : files) {
    const std::string name = file.path().filename().string();
    if (name == v3::kManifestFile || name.starts_with('.')) {
      continue;
    }
    if (!v2::is_file_name(name) || file.is_symlink(error) || !file.is_regular_file(error)) {
      return refuse(Errc::invalid_argument,
                    fmt::format("{} cannot be a file of a recovery set", escape_control(name)),
                    escape_control(name),
                    "use regular files with names of letters, digits, '.', '_' and '-', at most 63 "
                    "of them");
    }
    if (entries.size() == kManifestV4Limit) {
      return refuse(Errc::too_large,
                    fmt::format("{} has more than {} files", directory.string(), kManifestV4Limit),
                    directory.string(), "leave files out that no board needs");
    }
    SPHERE_TRY_ASSIGN(auto entry, describe(file.path(), name));
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, [](const ManifestV4::Entry& entry) {
    return std::tuple{rank(entry.image_type), entry.file_name};
  });
  return entries;
}

}  // namespace

Result<PackedSet> pack_set(const SetToPack& set, const crypto::Signer& signer) {
  const bool good_board =
      !set.board_id.empty() && set.board_id.size() <= kManifestV4BoardId &&
      std::ranges::all_of(set.board_id, [](char c) { return c > ' ' && c < '\x7F'; });
  if (!good_board) {
    return refuse(Errc::invalid_argument,
                  fmt::format("\"{}\" is no id of a board", escape_control(set.board_id)),
                  escape_control(set.board_id), "use 1 to 32 letters, digits and signs");
  }
  PackedSet packed{.manifest = {.build_date = set.build_time,
                                .board_id = set.board_id,
                                .security_version = set.security_version},
                   .image_id = {},
                   .bytes = {}};
  SPHERE_TRY_ASSIGN(packed.manifest.entries, describe_all(set.directory));
  if (packed.manifest.entries.empty()) {
    return fail(Errc::not_found, fmt::format("{} holds no files", set.directory.string()),
                {.reason = "recovery.image-missing",
                 .value = set.directory.string(),
                 .next = "put the images of the board into it"});
  }
  packed.bytes = write_manifest_v4(packed.manifest);
  packed.image_id = set.image_id.value_or(guid_of(crypto::sha256(packed.bytes)));
  const auto block = image::write_metadata(
      {.image_type = kRecoveryManifestType,
       .component_id = guid_of(set.board_id),
       .image_id = packed.image_id},
      {.thumbprint = signer.thumbprint(), .signing_type = image::kSigningTypeEcdsaP256},
      {.build_time = set.build_time, .name = std::string{kName}}, std::nullopt, std::nullopt);
  packed.bytes.insert(packed.bytes.end(), block.begin(), block.end());
  const std::vector<crypto::Sha256Digest> digests = {crypto::sha256(packed.bytes)};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  packed.bytes.insert(packed.bytes.end(), signatures.front().begin(), signatures.front().end());
  return packed;
}

}  // namespace sphere::recovery
