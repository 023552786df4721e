// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret_source.h"
#include "sphere/crypto/signer.h"

// Keys that live in tokens: smart cards, HSMs, SoftHSM. A module (a shared library of the token's
// maker) is loaded by its path and spoken to by PKCS#11 2.40; nothing of it is trusted: lengths are
// checked, and every signature is verified before it is used.
namespace sphere::crypto {

// A key in a token, by RFC 7512: "pkcs11:token=Line 2;object=release?module-path=/usr/lib/...".
// Path attributes token, serial, manufacturer, model, object, id, slot-id and type=private; query
// attributes module-path and pin-source (a path or file: URI of a file that only its owner may
// read). pin-value is refused, as a command line is no place for a PIN.
struct TokenUri {
  std::string token = {};
  std::string serial = {};
  std::string manufacturer = {};
  std::string model = {};
  std::string object = {};         // Label of the key.
  std::vector<std::byte> id = {};  // CKA_ID of the key.
  std::optional<std::uint64_t> slot = {};
  std::string module_path = {};
  std::string pin_source = {};
};

[[nodiscard]] bool is_token_uri(std::string_view text);  // Begins with "pkcs11:".
// Errors: invalid_argument (usage.bad-value), naming the attribute.
[[nodiscard]] Result<TokenUri> parse_token_uri(std::string_view text);

// The modules that are looked for when a URI names none, in order.
[[nodiscard]] std::span<const std::string_view> default_token_modules();

struct KeyInToken {
  std::string label;
  std::vector<std::byte> id;
  std::optional<KeyId> key_id;  // Absent: not a P-256 key, or its public half cannot be read.
};

struct TokenInfo {
  std::uint64_t slot = 0;
  std::string label;
  std::string serial;
  std::string manufacturer;
  std::string model;
  bool pin_locked = false;
  std::vector<KeyInToken> keys;  // Public halves that can be seen without a PIN.
};

// All tokens of a module; an empty path tries the default ones. Errors: not_found (key.not-found)
// when there is no module; unsupported for a file that is none; io for what it refuses.
[[nodiscard]] Result<std::vector<TokenInfo>> list_tokens(const std::string& module_path);

// A Signer over a key in a token. One session and one login, for as long as it lives: a batch logs
// in once. Threads take turns.
class TokenSigner final : public Signer {
 public:
  // Logs in with the PIN of `pins`, once: a wrong one is not tried again, and a token that says
  // that one wrong PIN more locks it is not tried at all. Errors: key.not-found (module, token or
  // key, or more than one fits), key.locked, key.refused (wrong PIN; not P-256),
  // key.token-missing (gone).
  [[nodiscard]] static Result<std::unique_ptr<TokenSigner>> open(const TokenUri& uri,
                                                                 SecretSource& pins);
  TokenSigner(const TokenSigner&) = delete;
  TokenSigner& operator=(const TokenSigner&) = delete;
  TokenSigner(TokenSigner&&) = delete;
  TokenSigner& operator=(TokenSigner&&) = delete;
  ~TokenSigner() override;

  [[nodiscard]] const PublicKey& public_key() const override;
  // SHA-1 of the certificate that the token keeps for the key, or of the SubjectPublicKeyInfo.
  [[nodiscard]] Sha1Digest thumbprint() const override;
  // Errors: key.token-missing when session or token are gone; key.refused for a signature that is
  // not the key's.
  [[nodiscard]] Result<std::vector<Signature>> sign(
      std::span<const Sha256Digest> digests) const override;

  // "token Line 2, key release"
  [[nodiscard]] const std::string& label() const;

 private:
  struct State;
  explicit TokenSigner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sphere::crypto
