// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {

// What a key may sign. A key of one use is refused for another.
enum class KeyUse : std::uint8_t { image, device_api_ca };

[[nodiscard]] std::string_view to_text(KeyUse use);  // "image", "device-api-ca"
[[nodiscard]] Result<KeyUse> parse_key_use(std::string_view text);

struct KeyInfo {
  std::string name;
  KeyUse use = KeyUse::image;
  KeyId id = {};
  Sha1Digest thumbprint = {};  // Of the certificate.
  std::int64_t created = 0;    // Unix seconds; notBefore of the certificate.
  std::filesystem::path location;
};

struct StoredKey {
  KeyInfo info;
  PrivateKey key;
  Certificate certificate;
};

// Private keys in files of one directory (0700), one file a key: `<name>.pem` (0600) holds the line
// "Sphere-Key-Use: <use>", the key (PKCS#8) and its self-signed certificate. Names: 1 to 64 of
// A-Z a-z 0-9 . _ -, not starting with a dot.
class KeyStore {
 public:
  // Nothing is created until a key is. `clock` must outlive the store.
  KeyStore(std::filesystem::path directory, const Clock& clock);

  // Makes a P-256 key and its certificate "CN=Sphere <name> <first 8 hex digits of the key id>"
  // ("CN=Sphere developer ..." for the name developer), valid 20 years. Errors: exists,
  // invalid_argument (name), permission, no_space.
  [[nodiscard]] Result<KeyInfo> create(std::string_view name, KeyUse use);
  // Takes over an existing PEM file (key, optionally its certificate). Errors: as create() and
  // PrivateKey::from_file().
  [[nodiscard]] Result<KeyInfo> import(std::string_view name, KeyUse use,
                                       const std::filesystem::path& pem_file);
  // Sorted by name. A file that cannot be read as a key is an error that names it.
  [[nodiscard]] Result<std::vector<KeyInfo>> list() const;
  // Errors: not_found (key.not-found, naming near names), permission, corrupt.
  [[nodiscard]] Result<StoredKey> load(std::string_view name) const;
  // load(), after create() when there is none.
  [[nodiscard]] Result<StoredKey> load_or_create(std::string_view name, KeyUse use);

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

  // Sorted; of files that look like keys. Whether they can be read is not looked at.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::filesystem::path directory_;
  const Clock* clock_;
};

}  // namespace sphere::crypto
