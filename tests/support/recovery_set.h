// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/crypto/key.h"
#include "sphere/image/metadata.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::test {

// A recovery set of a virtual MT3620: everything in it is signed with a key of its own.
class RecoverySet {
 public:
  using Files = std::map<std::string, std::vector<std::byte>, std::less<>>;

  // `bodies` are the sizes of the images without their metadata.
  explicit RecoverySet(const std::vector<std::size_t>& bodies)
      : key_{std::make_shared<crypto::PrivateKey>(crypto::PrivateKey::generate().value())} {
    files_[std::string{recovery::v2::kLoaderFile}] =
        package(16384 - kTail, 1, guid(100), guid(100));
    files_[std::string{recovery::v2::kRuntimeFile}] = package(6000, 2, guid(101), guid(101));
    recovery::ManifestV3 manifest{.build_date = 1588000000, .entries = {}};
    int number = 0;
    for (const std::size_t size : bodies) {
      ++number;
      const auto type = static_cast<std::uint16_t>(number == 1 ? image::kTrustedKeyStore : 9);
      const recovery::ManifestV3::Entry entry = {
          .image_id = guid(number),
          .component_id = guid(number + 50),
          .image_type = type,
          .partition_type = 1,
          .file_size = static_cast<std::uint32_t>(size + kTail)};
      manifest.entries.push_back(entry);
      files_[entry.file_name()] = package(size, type, entry.component_id, entry.image_id);
    }
    manifest_ = manifest;
    sign_manifest();
  }

  static constexpr std::size_t kTail = 188;

  [[nodiscard]] image::TrustStore trust() const {
    image::TrustStore trust;
    for (const auto role : {image::Role::os, image::Role::trust_store}) {
      trust.add({.key = key_->public_key(), .thumbprints = {}, .role = role});
    }
    return trust;
  }
  [[nodiscard]] Files& files() { return files_; }
  [[nodiscard]] const Files& files() const { return files_; }
  [[nodiscard]] const recovery::ManifestV3& manifest() const { return manifest_; }
  [[nodiscard]] const crypto::PrivateKey& key() const { return *key_; }
  [[nodiscard]] std::string image_name(std::size_t index) const {
    return manifest_.entries.at(index).file_name();
  }

  [[nodiscard]] recovery::SphereV2Config config() const {
    recovery::SphereV2Config config;
    for (const auto& [name, bytes] : files_) {
      config.files.push_back({.name = name, .size = bytes.size()});
    }
    config.images = static_cast<std::uint32_t>(manifest_.entries.size());
    config.image_bytes = manifest_.total_size();
    return config;
  }

  // A signed package with a body that is not looked into.
  [[nodiscard]] std::vector<std::byte> package(std::size_t size, std::uint16_t type,
                                               const Guid& component, const Guid& image) const {
    std::mt19937 random{static_cast<std::uint32_t>(size * 31 + type)};
    std::vector<std::byte> body(size);
    for (std::byte& byte : body) {
      byte = static_cast<std::byte>(random());
    }
    return signed_package(std::move(body), type, component, image);
  }
  [[nodiscard]] std::vector<std::byte> signed_package(std::vector<std::byte> bytes,
                                                      std::uint16_t type, const Guid& component,
                                                      const Guid& image) const {
    const auto block = image::write_metadata(
        {.image_type = type, .component_id = component, .image_id = image},
        {.thumbprint = crypto::sha1(key_->public_key().spki()),
         .signing_type = image::kSigningTypeEcdsaP256},
        {.build_time = 1588000000, .name = "recovery test"}, std::nullopt, std::nullopt);
    bytes.insert(bytes.end(), block.begin(), block.end());
    const auto signature = key_->sign(crypto::sha256(bytes)).value();
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    return bytes;
  }
  void sign_manifest() {
    files_[std::string{recovery::v2::kManifestFile}] =
        signed_package(recovery::write_manifest_v3(manifest_), recovery::kRecoveryManifestType,
                       guid(200), guid(201));
  }

  [[nodiscard]] static Guid guid(int number) {
    const auto digits = std::to_string(1000 + number).substr(1);
    return Guid::parse("11111111-2222-4333-8444-555555555" + digits).value();
  }

 private:
  std::shared_ptr<const crypto::PrivateKey> key_;  // Shared by copies of the set.
  Files files_;
  recovery::ManifestV3 manifest_;
};

}  // namespace sphere::test
