// SPDX-License-Identifier: MIT
#include "sphere/image/verify_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/asxipfs_check.h"
#include "libsdk/src/image/body_source.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/manifest_check.h"
#include "libsdk/src/image/merkle_levels.h"
#include "libsdk/src/image/verify.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;
using Block = std::array<std::byte, kMerkleBlockSize>;

tl::unexpected<Error> untrusted(std::string message, const Metadata& metadata, std::string next) {
  return fail(Errc::unverified, std::move(message),
              {.reason = "package.untrusted",
               .value = to_hex(metadata.v2.key_id.value_or(crypto::Sha256Digest{})),
               .next = std::move(next)});
}

// The key that section ki names, with a role for this image type.
Result<TrustEntry> find_key(const Metadata& metadata, const TrustStore& trust) {
  const TrustEntry* unfit = nullptr;
  for (const auto& entry : trust.entries()) {
    if (entry.key.id() != metadata.v2.key_id) {
      continue;
    }
    if (may_sign(entry.role, metadata.identity.image_type)) {
      return entry;
    }
    unfit = &entry;
  }
  if (unfit != nullptr) {
    return untrusted(
        fmt::format("the key that signed the package is for another use: {}{} keys do not sign {}",
                    unfit->label.empty() ? std::string{} : escape_control(unfit->label) + ": ",
                    role_name(unfit->role), image_type_name(metadata.identity.image_type)),
        metadata, "sign it with a key for this kind of image");
  }
  return untrusted("no trusted key has signed the package", metadata,
                   "sign it with a trusted key: sphere image-package sign");
}

Result<void> check_signature(const Package& package, Bytes superblock,
                             const crypto::PublicKey& key) {
  crypto::Signature signature = {};
  std::ranges::copy(package.metadata.signature, signature.begin());
  if (!has_low_s(signature)) {
    return untrusted("the signature of the package has a high s, which package v2 does not allow",
                     package.metadata, "get or sign the package again");
  }
  const auto digest =
      signed_digest_v2(superblock.first<kVeritySuperblockSize>(),
                       std::span{*package.tail}.first(package.tail->size() - kSignatureSize));
  if (!key.verify(digest, signature)) {
    return untrusted("the package is damaged: its signature does not match the key it names",
                     package.metadata, "get or build the package again");
  }
  return {};
}

// Bytes from `begin` to `end`, less than a page, are zero.
Result<void> check_zero(const BlockSource& source, std::uint64_t begin, std::uint64_t end,
                        std::string_view part) {
  Block buffer = {};
  SPHERE_TRY_ASSIGN(
      const auto bytes,
      source.read(begin, std::span{buffer}.first(static_cast<std::size_t>(end - begin))));
  const auto wrong = std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{0}; });
  if (wrong != bytes.end()) {
    return corrupt(
        part, static_cast<std::size_t>(begin) + static_cast<std::size_t>(wrong - bytes.begin()),
        "the padding is not zero");
  }
  return {};
}

// The zeros behind the chunks of a compressed body.
Result<void> check_chunk_padding(const Package& package) {
  if (package.layout->expanded || !package.metadata.v2.chunks) {
    return {};
  }
  std::uint64_t end = 0;
  for (const auto& chunk : package.metadata.v2.chunks->chunks) {
    end += chunk.stored_length;
  }
  return check_zero(*package.source, end, package.layout->body_area, "body area");
}

Result<void> require_v2(const Package& package) {
  if (package.kind == PackageKind::package_v2 && package.layout != nullptr &&
      package.metadata.v2.content) {
    return {};
  }
  const auto kind = kind_text(package.metadata);
  return unsupported(fmt::format("this is no package v2 but: {}", kind), kind);
}

// The first bytes of a file system that the kernel mounts.
Result<void> check_magic(const BlockSource& body, BodyFormat format) {
  const bool is_squashfs = format == BodyFormat::squashfs;
  if (!is_squashfs && format != BodyFormat::erofs) {
    return {};
  }
  constexpr std::array<std::uint8_t, 4> kSquashfs = {0x68, 0x73, 0x71, 0x73};
  constexpr std::array<std::uint8_t, 4> kErofs = {0xE2, 0xE1, 0xF5, 0xE0};
  const std::uint64_t offset = is_squashfs ? 0 : 1024;
  std::array<std::byte, 4> buffer = {};
  SPHERE_TRY_ASSIGN(const auto magic, body.read(offset, buffer));
  if (!std::ranges::equal(magic, std::as_bytes(std::span{is_squashfs ? kSquashfs : kErofs}))) {
    return corrupt("body", static_cast<std::size_t>(offset),
                   fmt::format("no magic number of {}", to_text(format)), to_hex(magic));
  }
  return {};
}

using UseRun = decltype(MerkleCheck::use);

Result<void> prove_blocks(const Package& package, const Tools& tools, UseRun use = {}) {
  const auto body = stored_body(package.source, package.metadata, *package.layout);
  const OffsetBlocks hash_area{package.source, package.layout->body_area};
  return verify_merkle_tree({.engine = *tools.engine,
                             .pool = *tools.pool,
                             .tree = package.layout->tree,
                             .hash_area = hash_area,
                             .use = std::move(use)},
                            *body);
}

// Proves every block and checks, in the same pass, what needs all bytes of a file system.
Result<void> prove_files(const Package& package, const Tools& tools) {
  AsxipfsRunCheck check{package.files, kRunBlocks * kMerkleBlockSize};
  SPHERE_TRY(prove_blocks(package, tools, [&check](std::uint64_t offset, Bytes run) {
    return check.take(offset, run);
  }));
  return check.finish();
}

// What a body that is no file system of an app must have: its magic number, zeros at its end, and
// the form of a trust store if it is one.
Result<void> check_content(const Package& package) {
  const auto content = package.metadata.v2.content.value_or(ContentHeader{});
  SPHERE_TRY_ASSIGN(const auto proven, open_body(package));
  SPHERE_TRY(check_magic(*proven, content.format));
  SPHERE_TRY(check_zero(*proven, content.content_size, content.body_size, "body"));
  if (package.metadata.identity.image_type == kTrustedKeyStore) {
    SPHERE_TRY(open_trust_record(package));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const BlockSource>> open_body(const Package& package) {
  SPHERE_TRY(require_v2(package));
  SPHERE_TRY_ASSIGN(auto engine, crypto::HashEngine::from_environment());
  return std::make_shared<ProvenBody>(
      std::make_shared<crypto::HashEngine>(std::move(engine)), package.layout,
      stored_body(package.source, package.metadata, *package.layout),
      std::make_shared<OffsetBlocks>(package.source, package.layout->body_area));
}

Result<void> open_files(Package& package) {
  SPHERE_TRY_ASSIGN(auto body, open_body(package));
  const auto content = package.metadata.v2.content.value_or(ContentHeader{});
  SPHERE_TRY(check_magic(*body, content.format));
  if (content.format != BodyFormat::asxipfs) {
    return {};
  }
  SPHERE_TRY_ASSIGN(package.files, open_asxipfs(std::move(body), content.body_size));
  return package.metadata.identity.image_type == kApplication ? check_manifest(package.files)
                                                              : Result<void>{};
}

Result<void> open_application(Package& package) {
  const bool is_v2 = package.kind == PackageKind::package_v2 && package.metadata.v2.content &&
                     package.metadata.v2.content->format == BodyFormat::asxipfs &&
                     package.metadata.identity.image_type == kApplication;
  return is_v2 ? open_files(package) : require_application(package);
}

Result<TrustEntry> verify_head_v2(const Package& package,
                                  std::span<const std::byte, kMerkleBlockSize> superblock,
                                  const TrustStore& trust) {
  SPHERE_TRY(require_v2(package));
  SPHERE_TRY_ASSIGN(auto entry, find_key(package.metadata, trust));
  SPHERE_TRY(check_signature(package, superblock, entry.key));
  // From here on metadata, sizes, root hash and chunk hashes are trusted.
  SPHERE_TRY(check_verity_superblock(superblock, package.layout->tree,
                                     package.metadata.identity.image_id));
  return entry;
}

Result<TrustEntry> verify_v2(Package& package, const TrustStore& trust) {
  SPHERE_TRY(require_v2(package));
  Block buffer = {};
  SPHERE_TRY_ASSIGN(const auto superblock, package.source->read(package.layout->body_area, buffer));
  SPHERE_TRY_ASSIGN(auto entry,
                    verify_head_v2(package, superblock.first<kMerkleBlockSize>(), trust));
  SPHERE_TRY(check_chunk_padding(package));
  SPHERE_TRY(open_files(package));
  return entry;
}

Result<void> check_body_v2(const Package& package, const Tools& tools) {
  SPHERE_TRY(require_v2(package));
  SPHERE_TRY(check_chunk_padding(package));
  if (package.files.body != nullptr) {
    SPHERE_TRY(prove_files(package, tools));
  } else {
    SPHERE_TRY(prove_blocks(package, tools));
    SPHERE_TRY(check_content(package));
  }
  return package.source->check_unchanged();
}

Result<void> check_rollback(const Metadata& metadata, const RollbackState& state) {
  const auto version = metadata.v2.security.value_or(SecurityVersion{});
  if (version.image < state.least_image) {
    return fail(Errc::unverified,
                fmt::format("security version {} of the image is below {}, which the device has "
                            "had of this component",
                            version.image, state.least_image),
                {.reason = "package.untrusted",
                 .value = std::to_string(version.image),
                 .next = "install a version that is not older"});
  }
  if (version.least_os > state.os) {
    return fail(Errc::unsupported,
                fmt::format("the image needs an OS of security version {}; the device has {}",
                            version.least_os, state.os),
                {.reason = "package.unsupported",
                 .value = std::to_string(version.least_os),
                 .next = "update the OS of the device first"});
  }
  return {};
}

Result<void> check_hardware(const Metadata& metadata, std::span<const std::string> boards,
                            std::span<const std::uint16_t> machines) {
  if (!metadata.v2.hardware) {
    return {};
  }
  const auto& hardware = *metadata.v2.hardware;
  const bool fits = std::ranges::any_of(hardware.boards, [&](const std::string& board) {
    return std::ranges::find(boards, board) != boards.end();
  });
  if (!fits) {
    return unsupported(
        fmt::format("the image is for other boards: {}", join(hardware.boards, ", ")),
        join(hardware.boards, ", "));
  }
  if (hardware.machine != kMachineNone &&
      std::ranges::find(machines, hardware.machine) == machines.end()) {
    return unsupported(fmt::format("the device cannot run the code of the image, which is for {}",
                                   machine_text(hardware.machine)),
                       machine_text(hardware.machine));
  }
  return {};
}

}  // namespace sphere::image
