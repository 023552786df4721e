// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/metadata.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/sphere_v3.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::test {

// A recovery set for boards that speak recovery v3; its manifest is signed with a key of its own.
class RecoverySetV3 {
 public:
  using Files = std::map<std::string, std::vector<std::byte>, std::less<>>;

  explicit RecoverySetV3(const std::vector<std::size_t>& sizes, std::uint32_t seed = 1)
      : key_{std::make_shared<crypto::PrivateKey>(crypto::PrivateKey::generate().value())} {
    manifest_.build_date = 1588000000;
    manifest_.board_id = "sphere-virtual";
    manifest_.security_version = 7;
    std::mt19937 random{seed};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      std::vector<std::byte> bytes(sizes[i]);
      for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(random());
      }
      ManifestEntry entry{.image_id = guid(static_cast<int>(i)),
                          .component_id = guid(static_cast<int>(i) + 50),
                          .image_type = 8,
                          .partition_type = 1,
                          .file_size = bytes.size(),
                          .flash_offset = recovery::kPlacedByLoader,
                          .sha256 = crypto::sha256(bytes),
                          .file_name = "image-" + std::to_string(i) + ".bin"};
      files_[entry.file_name] = std::move(bytes);
      manifest_.entries.push_back(std::move(entry));
    }
    sign();
  }

  [[nodiscard]] const Files& files() const { return files_; }
  [[nodiscard]] recovery::ManifestV4& manifest() { return manifest_; }
  [[nodiscard]] const recovery::ManifestV4& manifest() const { return manifest_; }
  [[nodiscard]] const crypto::PrivateKey& key() const { return *key_; }
  void use_key(std::shared_ptr<const crypto::PrivateKey> key) { key_ = std::move(key); }

  // After a change of the manifest.
  void sign() {
    auto bytes = recovery::write_manifest_v4(manifest_);
    const auto block = image::write_metadata({.image_type = recovery::kRecoveryManifestType,
                                              .component_id = guid(200),
                                              .image_id = guid(201)},
                                             {.thumbprint = crypto::sha1(key_->public_key().spki()),
                                              .signing_type = image::kSigningTypeEcdsaP256},
                                             {.build_time = 1588000000, .name = "recovery test"},
                                             std::nullopt, std::nullopt);
    bytes.insert(bytes.end(), block.begin(), block.end());
    const auto signature = key_->sign(crypto::sha256(bytes)).value();
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    files_[std::string{recovery::v3::kManifestFile}] = std::move(bytes);
  }

  [[nodiscard]] image::TrustStore trust() const {
    image::TrustStore trust;
    trust.add({.key = key_->public_key(), .thumbprints = {}, .role = image::Role::os});
    return trust;
  }
  [[nodiscard]] recovery::SphereV3Config config() const {
    const auto& manifest = files_.at(std::string{recovery::v3::kManifestFile});
    return {.manifest = manifest_,
            .manifest_sha256 = crypto::sha256(manifest),
            .manifest_size = manifest.size()};
  }

 private:
  using ManifestEntry = recovery::ManifestV4::Entry;

  [[nodiscard]] static Guid guid(int number) {
    const auto digits = std::to_string(1000 + number).substr(1);
    return Guid::parse("11111111-2222-4333-8444-555555555" + digits).value();
  }

  std::shared_ptr<const crypto::PrivateKey> key_;  // Shared by copies of the set.
  Files files_;
  recovery::ManifestV4 manifest_;
};

}  // namespace sphere::test
