// SPDX-License-Identifier: MIT
#include "tests/unit/image/golden.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/image/crc32.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/image/metadata.h"

namespace sphere::test {
namespace {

crypto::PublicKey public_half(const crypto::PrivateKey& key) { return key.public_key(); }

}  // namespace

crypto::PrivateKey golden_key() {
  // SEC1 of the scalar SHA-256("sphere golden key 1") mod n, with the curve and without the point.
  const auto der = from_hex(
      "30310201010420ff7d778eb49a664d002c04ac15b0f1140f24ffb1d63b071e94b868168afa7904"
      "a00a06082a8648ce3d030107");
  auto key = crypto::PrivateKey::from_pem("-----BEGIN EC PRIVATE KEY-----\n" + to_base64(*der) +
                                          "\n-----END EC PRIVATE KEY-----\n");
  REQUIRE(key);
  return *std::move(key);
}

GoldenSigner::GoldenSigner() : key_{golden_key()}, public_key_{public_half(key_)} {}

crypto::Sha1Digest GoldenSigner::thumbprint() const {
  crypto::Sha1Digest thumbprint = {};
  std::ranges::copy(*from_hex("00112233445566778899aabbccddeeff00112233"), thumbprint.begin());
  return thumbprint;
}

Result<std::vector<crypto::Signature>> GoldenSigner::sign(
    std::span<const crypto::Sha256Digest> digests) const {
  std::vector<crypto::Signature> signatures;
  for (const auto& digest : digests) {
    SPHERE_TRY_ASSIGN(signatures.emplace_back(), key_.sign(digest));
  }
  return signatures;
}

image::TrustStore golden_trust() {
  const GoldenSigner signer;
  auto trust = image::TrustStore::for_test_vectors();
  trust.add({.key = signer.public_key(),
             .thumbprints = {signer.thumbprint()},
             .role = image::Role::development,
             .label = "golden"});
  return trust;
}

Bytes to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

Bytes pattern(std::size_t size, std::size_t start) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>((7 * i + start) % 256);
  }
  return bytes;
}

std::map<std::string, image::FileSource> golden_content() {
  return {{"app_manifest.json", {.content = to_bytes(kGoldenManifest)}},
          {"bin/app", {.content = pattern(5000, 3), .executable = true}},
          {"certs/ca/root.pem", {.content = pattern(4096, 1)}},
          {"certs/empty.txt", {}},
          {"main.txt", {.content = to_bytes("A")}}};
}

Bytes golden_body() {
  auto body = image::write_asxipfs(golden_content());
  REQUIRE(body);
  return *std::move(body);
}

Bytes package_of(Bytes body) {
  const GoldenSigner signer;
  const auto metadata = image::write_metadata(
      {.image_type = image::kApplication,
       .component_id = *Guid::parse(kGoldenComponent),
       .image_id = *Guid::parse("dbb0d1a4-8149-859c-a92c-b193c566ab20")},
      {.thumbprint = signer.thumbprint(), .signing_type = image::kSigningTypeEcdsaP256},
      {.build_time = kGoldenTime, .name = "golden"}, image::kUnderDevelopment,
      std::vector<image::AbiDependency>{{.version = 12, .identity_type = 3}});
  body.insert(body.end(), metadata.begin(), metadata.end());
  const std::array<crypto::Sha256Digest, 1> digests = {crypto::sha256(body)};
  const auto signatures = signer.sign(digests);
  REQUIRE(signatures);
  body.insert(body.end(), signatures->at(0).begin(), signatures->at(0).end());
  return body;
}

Bytes golden_package() { return package_of(golden_body()); }

void write_golden_files(const std::filesystem::path& directory) {
  for (const auto& [path, file] : golden_content()) {
    if (path != "app_manifest.json") {
      REQUIRE(make_directories((directory / path).parent_path()));
      REQUIRE(write_file(directory / path, file.content, {.sync = false}));
    }
  }
}

Bytes patched(Bytes bytes, std::size_t offset, std::span<const std::byte> patch) {
  REQUIRE(offset + patch.size() <= bytes.size());
  std::ranges::copy(patch, std::span{bytes}.subspan(offset).begin());
  return bytes;
}

Bytes patched(Bytes bytes, std::size_t offset, std::string_view patch) {
  return patched(std::move(bytes), offset, std::as_bytes(std::span{patch}));
}

Bytes with_crc(Bytes body) {
  body = patched(std::move(body), 32, std::string_view{"\0\0\0\0", 4});
  const auto crc = image::Crc32{}.update(body).value();
  for (std::size_t i = 0; i < 4; ++i) {
    body[32 + i] = static_cast<std::byte>(crc >> (8 * i));
  }
  return body;
}

Bytes content_of(const image::FileSystem& files, const image::FileEntry& file) {
  const auto content = image::read_file_content(files, file);
  REQUIRE(content);
  return {content->bytes().begin(), content->bytes().end()};
}

}  // namespace sphere::test
