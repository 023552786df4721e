// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsdk/src/crypto/pkcs11_interface.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/pkcs11.h"

namespace sphere::crypto {

// A loaded and initialised PKCS#11 module. A module's state is the process's: the last of these
// objects for one library ends it, however many there were.
class TokenModule {
 public:
  // An empty path tries default_token_modules(). Errors: as list_tokens().
  [[nodiscard]] static Result<std::shared_ptr<TokenModule>> load(const std::string& path);
  TokenModule(const TokenModule&) = delete;
  TokenModule& operator=(const TokenModule&) = delete;
  TokenModule(TokenModule&&) = delete;
  TokenModule& operator=(TokenModule&&) = delete;
  ~TokenModule();

  [[nodiscard]] const pkcs11::FunctionList& calls() const { return *calls_; }
  // Slots that hold an initialised token.
  [[nodiscard]] Result<std::vector<std::pair<pkcs11::Ulong, pkcs11::TokenInfo>>> tokens() const;

 private:
  TokenModule(void* library, pkcs11::FunctionList* calls) : library_{library}, calls_{calls} {}
  void* library_;
  pkcs11::FunctionList* calls_;
};

// A session, closed at the end.
class TokenSession {
 public:
  // Error: as refused().
  [[nodiscard]] static Result<TokenSession> open(std::shared_ptr<TokenModule> module,
                                                 pkcs11::Ulong slot);
  TokenSession(TokenSession&& other) noexcept;
  TokenSession& operator=(TokenSession&&) = delete;
  TokenSession(const TokenSession&) = delete;
  TokenSession& operator=(const TokenSession&) = delete;
  ~TokenSession();

  [[nodiscard]] const pkcs11::FunctionList& calls() const { return module_->calls(); }
  [[nodiscard]] pkcs11::Ulong handle() const noexcept { return handle_; }

  // Objects of a class; with a label or an id only those that have it. At most kMaxObjects.
  [[nodiscard]] Result<std::vector<pkcs11::Ulong>> find(pkcs11::Ulong object_class,
                                                        std::string_view label,
                                                        const std::vector<std::byte>& id) const;
  // Nothing for an attribute that the object lacks or that is longer than 64 KiB.
  [[nodiscard]] std::optional<std::vector<std::byte>> attribute(pkcs11::Ulong object,
                                                                pkcs11::Ulong type) const;
  // The P-256 point of a key object. Nothing for another key.
  [[nodiscard]] std::optional<PublicKey> public_key(pkcs11::Ulong object) const;

  static constexpr std::size_t kMaxObjects = 1024;

 private:
  TokenSession(std::shared_ptr<TokenModule> module, pkcs11::Ulong handle)
      : module_{std::move(module)}, handle_{handle} {}
  std::shared_ptr<TokenModule> module_;
  pkcs11::Ulong handle_;
};

// The error for a call that gave `value`: key.token-missing when the token or session is gone.
[[nodiscard]] tl::unexpected<Error> refused(std::string_view action, pkcs11::Rv value);

// A field that is padded with blanks.
[[nodiscard]] std::string unpadded(std::span<const pkcs11::Byte> field);

}  // namespace sphere::crypto
