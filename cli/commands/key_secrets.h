// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/result.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

// Where passphrases of keys and PINs of tokens come from.
namespace sphere::cli {

// For every command that uses a private key.
inline constexpr OptionSpec kPassphraseFd{
    .name = "passphrase-fd",
    .value_name = "N",
    .help = "Open descriptor to read the passphrase of the key, or the PIN of the token, from"};
inline constexpr OptionSpec kPassphraseFile{
    .name = "passphrase-file",
    .value_name = "FILE",
    .help = "File with that passphrase or PIN, readable by you only"};

// In this order: --passphrase-fd, --passphrase-file, SPHERE_KEY_PASSPHRASE (for a PIN
// SPHERE_TOKEN_PIN), and a prompt on the terminal without echo, where standard error is one. One
// line without its end is the secret. A descriptor is read once and its secret kept in `context`.
class CommandSecrets final : public crypto::SecretSource {
 public:
  // Both must outlive this object.
  CommandSecrets(Context& context, const Arguments& arguments)
      : context_{&context}, arguments_{&arguments} {}

  [[nodiscard]] Result<crypto::Secret> get(crypto::SecretKind kind, std::string_view what) override;
  [[nodiscard]] unsigned attempts() const override;

 private:
  // Nothing when neither options nor environment have one.
  [[nodiscard]] Result<std::optional<crypto::Secret>> given(crypto::SecretKind kind) const;

  Context* context_;
  const Arguments* arguments_;
};

}  // namespace sphere::cli
