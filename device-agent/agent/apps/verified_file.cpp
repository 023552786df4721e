// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/verified_file.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/refusal.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace sphere::agent {

Answer<VerifiedFile> VerifiedFile::open(const std::filesystem::path& path,
                                        const image::TrustStore& trust) {
  auto content = read_file(path, kMaxImageBytes);
  if (!content) {
    return refuse(device_api::kPackageInvalid, "the package cannot be read on the board",
                  "install it again");
  }
  auto bytes = std::make_unique<std::vector<std::byte>>(*std::move(content));
  auto package = image::open_package(std::make_shared<image::MemoryBlocks>(*bytes), bytes->size(),
                                     {.package_bytes = kMaxImageBytes});
  if (!package) {
    return refuse(package.error().code() == Errc::too_large ? device_api::kPackageTooLarge
                                                            : device_api::kPackageInvalid,
                  package.error());
  }
  if (const auto application = image::require_application(*package); !application) {
    return refuse(device_api::kPackageInvalid, application.error());
  }
  auto verified = image::verify(*std::move(package), trust);
  if (!verified) {
    return refuse(verified.error().code() == Errc::unverified ? device_api::kPackageUntrusted
                                                              : device_api::kPackageInvalid,
                  verified.error());
  }
  return VerifiedFile{std::move(bytes), *std::move(verified)};
}

}  // namespace sphere::agent
