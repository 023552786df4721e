// SPDX-License-Identifier: MIT
#include "device-agent/agent/state/trust_update.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/board_state.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/trust_slots.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "sphere/image/verify_v2.h"

namespace sphere::agent {
namespace {

tl::unexpected<Refusal> refuse_package(const Error& error) {
  switch (error.code()) {
    case Errc::unverified:
      return refuse(device_api::kPackageUntrusted, error);
    case Errc::too_large:
      return refuse(device_api::kPackageTooLarge, error);
    default:
      return refuse(device_api::kPackageInvalid, error);
  }
}

// Signature by a key of `trust`, then every byte.
Result<image::TrustRecord> verify_store(image::Package package, const image::TrustStore& trust) {
  SPHERE_TRY_ASSIGN(const auto verified, image::verify(std::move(package), trust));
  SPHERE_TRY_ASSIGN(const auto engine, crypto::HashEngine::from_environment());
  ThreadPool pool{1};
  SPHERE_TRY(image::check_body_v2(*verified, {.engine = &engine, .pool = &pool}));
  return image::open_trust_record(*verified);
}

Answer<void> check_version(std::uint32_t version, const BoardState& state) {
  const auto present = state.trust_slots().version();
  if (!present) {
    return refuse_trust(present.error());
  }
  // A damaged store may be put back.
  const auto least = state.trust_slots().active() ? std::uint64_t{*present} + 1 : *present;
  if (version < least) {
    return refuse(device_api::kPackageUntrusted,
                  fmt::format("trust store version {} is not above {}, which the board has had",
                              version, least - 1),
                  "install a newer one");
  }
  return {};
}

}  // namespace

bool is_trust_store(const std::filesystem::path& file) {
  auto blocks = image::FileBlocks::open(file);
  if (!blocks) {
    return false;
  }
  const auto size = blocks->size();
  const auto package =
      image::open_container(std::make_shared<image::FileBlocks>(*std::move(blocks)), size);
  return package && package->metadata.identity.image_type == image::kTrustedKeyStore;
}

Answer<TrustUpdate> check_trust_update(std::span<const std::byte> bytes, const BoardState& state,
                                       const std::string& board) {
  auto package = image::parse_package(bytes);
  if (!package) {
    return refuse_package(package.error());
  }
  if (package->kind != image::PackageKind::package_v2) {
    return refuse(device_api::kPackageInvalid, "a trust store comes as a package of format v2",
                  "make it with: sphere image-package pack-trust-store");
  }
  const auto trust = state.store_trust();
  if (!trust) {
    return refuse_trust(trust.error());
  }
  const auto image_id = package->metadata.identity.image_id;
  const std::array<std::string, 1> boards = {board};
  const std::array<std::uint16_t, 1> machines = {image::kMachineNone};
  const auto fits = image::check_hardware(package->metadata, boards, machines);
  const auto new_enough = image::check_rollback(package->metadata, {});
  auto record = verify_store(*std::move(package), *trust);
  if (!record) {
    return refuse_package(record.error());
  }
  if (!fits || !new_enough) {
    return refuse_package(!fits ? fits.error() : new_enough.error());
  }
  SPHERE_TRY(check_version(record->version, state));
  return TrustUpdate{.record = *std::move(record), .image = image_id};
}

}  // namespace sphere::agent
