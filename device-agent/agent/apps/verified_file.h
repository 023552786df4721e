// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "device-agent/agent/refusal.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace sphere::agent {

// A package file in memory, parsed and verified: the bytes that were checked are the bytes used,
// whatever becomes of the file.
class VerifiedFile {
 public:
  // Refusals: kPackageInvalid, kPackageTooLarge, kPackageUntrusted.
  [[nodiscard]] static Answer<VerifiedFile> open(const std::filesystem::path& path,
                                                 const image::TrustStore& trust);
  [[nodiscard]] const image::Verified<image::Package>& package() const noexcept { return package_; }
  // Whether it is a package v2 that holds its body in chunks.
  [[nodiscard]] bool is_compressed() const noexcept;
  // The whole file.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return *bytes_; }

 private:
  VerifiedFile(std::unique_ptr<std::vector<std::byte>> bytes,
               image::Verified<image::Package> package)
      : bytes_{std::move(bytes)}, package_{std::move(package)} {}
  std::unique_ptr<std::vector<std::byte>> bytes_;  // The source of package_ reads it.
  image::Verified<image::Package> package_;
};

}  // namespace sphere::agent
