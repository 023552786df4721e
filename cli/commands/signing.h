// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/crypto/pkcs11.h"
#include "sphere/crypto/secret_source.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/trust.h"

// Which key signs, and what is known about the key of a signature: for the verbs of image-package.
namespace sphere::cli {

struct Signing {
  std::unique_ptr<crypto::Signer> signer;
  std::string signed_by;  // For people and "signedBy": a key's name, or what it is.
};

// The signer that --key and --compat-test-key of `arguments` name, else the developer's own key,
// which is made at first use. Without a home directory it is a key of this run, with a warning. A
// stored key must be of `use`; the use of a key in a file or token is not known. Errors:
// usage.conflict, key.refused, key.not-found, and those of KeyStore.
[[nodiscard]] Result<Signing> choose_signer(Context& context, const Arguments& arguments,
                                            crypto::KeyUse use = crypto::KeyUse::image);

// Opens the key of a token, by its URI, with the module of the configuration when it names none;
// the PIN comes from the file of the URI's pin-source, else from `secrets`. A token that refused a
// PIN is not tried again in this run. Errors: those of parse_token_uri() and TokenSigner::open().
[[nodiscard]] Result<std::unique_ptr<crypto::TokenSigner>> open_token_key(
    Context& context, const std::string& uri, crypto::SecretSource& secrets);

// The word for JSON, and the label for people, of a key that is known on this machine.
struct KnownKey {
  crypto::PublicKey key;
  std::vector<crypto::Sha1Digest> thumbprints;
  std::string_view kind;  // "publicTestKey", "developer" or "trusted"
  std::string label;
  std::optional<image::Role> role = {};  // Absent: may sign what it is asked for.
};

// The public test key, this user's keys for images and trust stores, and those of the
// configuration's trust list. What cannot be read is warned of.
[[nodiscard]] std::vector<KnownKey> known_keys(Context& context);

// Public keys and certificates in PEM of a file, or of the *.pem and *.crt files of a directory; of
// a trust-store image its keys with their roles. Errors: those of read_file(); corrupt, naming the
// file; key.refused for a key whose private half is published.
[[nodiscard]] Result<std::vector<KnownKey>> read_trusted_keys(const std::filesystem::path& path);

// A store in which `keys`, but the public test key, may sign images of `image_type`, as far as
// their roles allow it.
[[nodiscard]] image::TrustStore trust_store(const std::vector<KnownKey>& keys,
                                            std::uint16_t image_type);

// Adds the public test key, for telling that it made a signature and not for trusting it.
void add_public_test_key(std::uint16_t image_type, image::TrustStore& trust);

// Result of looking at a signature of format v1; `key` is null when no known key made it.
struct SignatureReport {
  std::string_view result;  // "good", "bad", "unknown key", "not checkable"
  const KnownKey* key = nullptr;
};

// Whether one of `keys` signed a package, `signed_digest` being that of its signed bytes: for
// people to read. It proves nothing to a program, which uses image::verify().
[[nodiscard]] SignatureReport look_at_signature(const crypto::Sha256Digest& signed_digest,
                                                const image::Metadata& metadata,
                                                const std::vector<KnownKey>& keys);

}  // namespace sphere::cli
