// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/verified_file.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/refusal.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"

namespace sphere::agent {

namespace {

tl::unexpected<Refusal> refuse_unverified(const Error& error) {
  return refuse(error.code() == Errc::unverified ? device_api::kPackageUntrusted
                                                 : device_api::kPackageInvalid,
                error);
}

// Of package v2 verify() has proven the directories only.
Result<void> prove_body(const image::Package& package) {
  if (package.kind != image::PackageKind::package_v2) {
    return {};
  }
  SPHERE_TRY_ASSIGN(const auto engine, crypto::HashEngine::from_environment());
  ThreadPool pool{1};
  return image::check_body_v2(package, {.engine = &engine, .pool = &pool});
}

}  // namespace

bool VerifiedFile::is_compressed() const noexcept {
  return package_->layout != nullptr && !package_->layout->expanded;
}

Answer<VerifiedFile> VerifiedFile::open(const std::filesystem::path& path,
                                        const image::TrustStore& trust) {
  auto content = read_file(path, kMaxImageBytes);
  if (!content) {
    return refuse(device_api::kPackageInvalid, "the package cannot be read on the board",
                  "install it again");
  }
  auto bytes = std::make_unique<std::vector<std::byte>>(*std::move(content));
  auto package =
      image::open_package(std::make_shared<image::MemoryBlocks>(*bytes), bytes->size(),
                          {.package_bytes = kMaxImageBytes, .package_v2_bytes = kMaxImageBytes});
  if (!package) {
    return refuse(package.error().code() == Errc::too_large ? device_api::kPackageTooLarge
                                                            : device_api::kPackageInvalid,
                  package.error());
  }
  const bool is_v2 = package->kind == image::PackageKind::package_v2;
  if (const auto application = image::require_application(*package); !application && !is_v2) {
    return refuse(device_api::kPackageInvalid, application.error());
  }
  auto verified = image::verify(*std::move(package), trust);
  if (!verified) {
    return refuse_unverified(verified.error());
  }
  // A body of another kind has been opened by nobody.
  if (is_v2 && (*verified)->files.body == nullptr) {
    return refuse(device_api::kPackageInvalid, "the package holds no files of an app");
  }
  if (const auto body = prove_body(**verified); !body) {
    return refuse_unverified(body.error());
  }
  return VerifiedFile{std::move(bytes), *std::move(verified)};
}

}  // namespace sphere::agent
