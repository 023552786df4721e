// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace sphere::test {

// A developer's key, and packages signed with it.
class TestSigner {
 public:
  TestSigner() : key_{crypto::PrivateKey::generate().value()}, public_key_{key_.public_key()} {}

  [[nodiscard]] image::TrustStore trust() const {
    image::TrustStore trust;
    trust.add({.key = public_key_, .thumbprints = {}, .role = image::Role::development});
    return trust;
  }
  [[nodiscard]] const crypto::PublicKey& public_key() const { return public_key_; }

  struct Content {
    std::string manifest;
    std::map<std::string, image::FileSource> files = {};
    Guid component, image;
    std::uint16_t type = image::kApplication;
    std::optional<std::uint32_t> temporary = 0;
    std::uint32_t api_set = 15;
    std::string name = "test";
  };

  [[nodiscard]] std::vector<std::byte> package(Content content) const {
    image::FileSource manifest;
    for (const char character : content.manifest) {
      manifest.content.push_back(static_cast<std::byte>(character));
    }
    content.files["app_manifest.json"] = std::move(manifest);
    auto bytes = image::write_asxipfs(content.files).value();
    const auto block = image::write_metadata(
        {.image_type = content.type, .component_id = content.component, .image_id = content.image},
        {.thumbprint = crypto::sha1(public_key_.spki()),
         .signing_type = image::kSigningTypeEcdsaP256},
        {.build_time = 1700000000, .name = content.name}, content.temporary,
        std::vector<image::AbiDependency>{{.version = content.api_set, .identity_type = 3}});
    bytes.insert(bytes.end(), block.begin(), block.end());
    const auto signature = key_.sign(crypto::sha256(bytes)).value();
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    return bytes;
  }

 private:
  crypto::PrivateKey key_;
  crypto::PublicKey public_key_;
};

[[nodiscard]] inline std::string manifest_text(const Guid& component,
                                               const std::string& capabilities = "{}",
                                               const std::string& arguments = "[]") {
  return R"({"SchemaVersion":1,"Name":"test","ComponentId":")" + component.text() +
         R"(","EntryPoint":"/bin/app","CmdArgs":)" + arguments + R"(,"Capabilities":)" +
         capabilities + R"(,"ApplicationType":"Default"})";
}

// A component id with one distinguishing digit.
[[nodiscard]] inline Guid test_guid(int number) {
  const auto digits = std::to_string(1000 + number).substr(1);
  return Guid::parse("11111111-2222-4333-8444-555555555" + digits).value();
}

}  // namespace sphere::test
