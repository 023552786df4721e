// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {

enum class SecretKind : std::uint8_t {
  passphrase,      // Of an encrypted key that is there.
  new_passphrase,  // Of a key that is being written: a person types it twice.
  pin,             // Of a token.
};

// Whoever knows passphrases and PINs: a person at a terminal, a descriptor, a variable.
class SecretSource {
 public:
  virtual ~SecretSource() = default;

  // The secret of the thing that `what` names for people: the key "release". Errors: key.locked
  // where nobody can be asked, cancelled, and those of reading it.
  [[nodiscard]] virtual Result<Secret> get(SecretKind kind, std::string_view what) = 0;
  // How often a wrong passphrase may be given: more than once only where a person types it. A PIN
  // is given once, whatever this says, as a token counts wrong ones.
  [[nodiscard]] virtual unsigned attempts() const = 0;
};

}  // namespace sphere::crypto
