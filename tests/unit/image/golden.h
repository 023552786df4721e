// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/trust.h"

namespace sphere::test {

using Bytes = std::vector<std::byte>;

// The synthetic package of docs/formats/image-package.md, section "A worked example".
inline constexpr std::string_view kGoldenManifest =
    R"({"SchemaVersion":1,"Name":"golden","ComponentId":"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",)"
    R"("EntryPoint":"/bin/app","CmdArgs":[],"Capabilities":{"Gpio":[8]},)"
    R"("ApplicationType":"Default","TargetApplicationRuntimeVersion":12})";
inline constexpr std::string_view kGoldenComponent = "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60";
inline constexpr std::uint64_t kGoldenTime = 1'735'689'600;
inline constexpr std::string_view kGoldenBodySha256 =
    "409fb3d5e79e54339ef6e8179416d8162d1320a13d7bf4d6e3159bf8c6f04741";

// A key whose private half stands in the open, for tests only.
[[nodiscard]] crypto::PrivateKey golden_key();

// Signs with golden_key() under the thumbprint 00112233...
class GoldenSigner final : public crypto::Signer {
 public:
  GoldenSigner();
  [[nodiscard]] const crypto::PublicKey& public_key() const override { return public_key_; }
  [[nodiscard]] crypto::Sha1Digest thumbprint() const override;
  [[nodiscard]] Result<std::vector<crypto::Signature>> sign(
      std::span<const crypto::Sha256Digest> digests) const override;

 private:
  crypto::PrivateKey key_;
  crypto::PublicKey public_key_;
};

// A trust store with golden_key() as a development key.
[[nodiscard]] image::TrustStore golden_trust();

[[nodiscard]] Bytes to_bytes(std::string_view text);
// (7 i + start) mod 256 for i = 0 .. size - 1.
[[nodiscard]] Bytes pattern(std::size_t size, std::size_t start);

// The golden files without the manifest, and with it.
[[nodiscard]] std::map<std::string, image::FileSource> golden_content();
[[nodiscard]] Bytes golden_body();
// The whole package, with a fresh signature.
[[nodiscard]] Bytes golden_package();

// Writes the golden files but the manifest below `directory`.
void write_golden_files(const std::filesystem::path& directory);

// `bytes` with `patch` at `offset`.
[[nodiscard]] Bytes patched(Bytes bytes, std::size_t offset, std::span<const std::byte> patch);
[[nodiscard]] Bytes patched(Bytes bytes, std::size_t offset, std::string_view patch);
// A body with its CRC set right.
[[nodiscard]] Bytes with_crc(Bytes body);
// The bytes of one file of an image; they must be readable.
[[nodiscard]] Bytes content_of(const image::FileSystem& files, const image::FileEntry& file);
// A development package around `body`, signed with golden_key().
[[nodiscard]] Bytes package_of(Bytes body);

}  // namespace sphere::test
