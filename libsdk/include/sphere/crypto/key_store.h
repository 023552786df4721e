// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

namespace sphere::crypto {

// What a key may sign (or, for dump, decrypt). A key of one use is refused for another.
enum class KeyUse : std::uint8_t {
  image,
  device_api_ca,
  capability,
  root,
  targets,
  dump,
  trust_store,
};

[[nodiscard]] std::string_view to_text(KeyUse use);  // "image", "device-api-ca"
[[nodiscard]] Result<KeyUse> parse_key_use(std::string_view text);

struct KeyInfo {
  std::string name;
  KeyUse use = KeyUse::image;
  KeyId id = {};
  // Of the certificate; of the SubjectPublicKeyInfo for a key without one.
  Sha1Digest thumbprint = {};
  std::int64_t created = 0;  // Unix seconds; notBefore of the certificate.
  std::filesystem::path location;
  bool encrypted = false;      // Under a passphrase.
  std::string token_uri = {};  // RFC 7512; empty: the private key is in the file.
};

// All that is known about a key without its private half.
struct KeyDescription {
  KeyInfo info;
  PublicKey public_key;
  std::optional<Certificate> certificate = {};  // A key on a token need not have one.
};

struct StoredKey {
  KeyInfo info;
  PrivateKey key;
  Certificate certificate;
};

struct KeyListing {
  std::vector<KeyInfo> keys;      // Sorted by name.
  std::vector<Error> unreadable;  // One for each file that is no readable key; names it.
};

// A key that stays on a token.
struct TokenKey {
  std::string uri;
  PublicKey public_key;
  Sha1Digest thumbprint = {};  // As TokenSigner::thumbprint().
};

// Keys in files of one directory (0700), one file a key: `<name>.pem` (0600) holds the line
// "Sphere-Key-Use: <use>", the private key (PKCS#8, plain or encrypted) and its self-signed
// certificate. For a key on a token it holds "Sphere-Key-Token: <URI>", "Sphere-Key-Thumbprint:
// <SHA-1>" and "Sphere-Key-Created: <Unix seconds>", and the public key. Names: 1 to 64 of
// A-Z a-z 0-9 . _ -, not starting with a dot.
class KeyStore {
 public:
  // Nothing is created until a key is. `clock` must outlive the store.
  KeyStore(std::filesystem::path directory, const Clock& clock);

  // Makes a P-256 key and its certificate "CN=Sphere <name> <first 8 hex digits of the key id>"
  // ("CN=Sphere developer ..." for the name developer), valid 20 years; the key is encrypted with
  // `passphrase` if there is one. Errors: exists, invalid_argument (name, passphrase), permission,
  // no_space.
  [[nodiscard]] Result<KeyInfo> create(std::string_view name, KeyUse use,
                                       const Secret* passphrase = nullptr);
  // Takes over an existing PEM file (key, optionally its certificate). A key that is encrypted
  // there stays so, after `secrets` has opened it; a plain one is encrypted with `passphrase` if
  // there is one. Errors: as create(), read_private_text() and read_private_key(); conflict of both
  // is invalid_argument.
  [[nodiscard]] Result<KeyInfo> import(std::string_view name, KeyUse use,
                                       const std::filesystem::path& pem_file,
                                       SecretSource* secrets = nullptr,
                                       const Secret* passphrase = nullptr);
  // Gives a name to a key of a token. Errors: as create(); invalid_argument for a control
  // character in the URI.
  [[nodiscard]] Result<KeyInfo> add_token_key(std::string_view name, KeyUse use,
                                              const TokenKey& key);
  // The private key as PEM, and its certificate. An encrypted key leaves as it is, a plain one
  // under a new passphrase of `secrets`; with `plain` both leave unencrypted. Errors: as load().
  [[nodiscard]] Result<Secret> export_key(std::string_view name, bool plain,
                                          SecretSource& secrets) const;
  // Removes the file, never a key on a token. Errors: not_found, permission, io.
  [[nodiscard]] Result<void> remove(std::string_view name);

  [[nodiscard]] KeyListing list() const;
  // Without the private half, so nobody is asked for a passphrase. Errors: not_found
  // (key.not-found, naming near names), permission, corrupt.
  [[nodiscard]] Result<KeyDescription> describe(std::string_view name) const;
  // Errors: as describe() and read_private_key(); unsupported for a key on a token.
  [[nodiscard]] Result<StoredKey> load(std::string_view name,
                                       SecretSource* secrets = nullptr) const;
  // load(), after create() when there is none.
  [[nodiscard]] Result<StoredKey> load_or_create(std::string_view name, KeyUse use,
                                                 SecretSource* secrets = nullptr);

  // describe(), after create() when there is none.
  [[nodiscard]] Result<KeyDescription> describe_or_create(std::string_view name, KeyUse use);

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

  // Sorted; of files that look like keys. Whether they can be read is not looked at.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  [[nodiscard]] Result<Secret> read(std::string_view name) const;
  [[nodiscard]] std::filesystem::path path_of(std::string_view name) const;

  std::filesystem::path directory_;
  const Clock* clock_;
};

}  // namespace sphere::crypto
