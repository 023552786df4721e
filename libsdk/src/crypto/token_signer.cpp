// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/pkcs11_interface.h"
#include "libsdk/src/crypto/token_module.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/pkcs11.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

namespace sphere::crypto {
namespace {

using pkcs11::Ulong;
using Token = std::pair<Ulong, pkcs11::TokenInfo>;

bool fits(const TokenUri& uri, const Token& token) {
  const auto same = [](const std::string& wanted, std::span<const pkcs11::Byte> field) {
    return wanted.empty() || wanted == unpadded(field);
  };
  const auto& [slot, info] = token;
  return (!uri.slot || *uri.slot == slot) && same(uri.token, info.label) &&
         same(uri.serial, info.serial) && same(uri.manufacturer, info.manufacturer) &&
         same(uri.model, info.model);
}

Result<Token> choose_token(const TokenUri& uri, const TokenModule& module) {
  SPHERE_TRY_ASSIGN(auto tokens, module.tokens());
  std::erase_if(tokens, [&uri](const Token& token) { return !fits(uri, token); });
  if (tokens.size() == 1) {
    return tokens.front();
  }
  return fail(Errc::not_found,
              tokens.empty() ? "no token fits the URI"
                             : fmt::format("{} tokens fit the URI", tokens.size()),
              {.reason = tokens.empty() ? "key.token-missing" : "key.not-found",
               .value = escape_control(uri.token),
               .next = "name one of them: sphere key list-tokens"});
}

Result<void> check_pin_state(const pkcs11::TokenInfo& info, const std::string& label) {
  if ((info.flags & pkcs11::kPinLockedFlag) != 0) {
    return fail(Errc::permission, fmt::format("the PIN of {} is locked", label),
                {.reason = "key.locked",
                 .value = label,
                 .next = "unlock it with the tool of the token's maker"});
  }
  if ((info.flags & pkcs11::kPinFinalTry) != 0) {
    return fail(Errc::permission,
                fmt::format("one more wrong PIN would lock {}, so none is tried", label),
                {.reason = "key.locked",
                 .value = label,
                 .next = "log in once with the tool of the token's maker, then repeat"});
  }
  return {};
}

// Once: tokens count wrong PINs.
Result<void> log_in(const TokenSession& session, const pkcs11::TokenInfo& info,
                    const std::string& label, SecretSource& pins) {
  if ((info.flags & pkcs11::kLoginRequired) == 0) {
    return {};
  }
  SPHERE_TRY(check_pin_state(info, label));
  SPHERE_TRY_ASSIGN(auto pin, pins.get(SecretKind::pin, label));
  const auto bytes = pin.writable();
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as the interface wants them.
  auto* const text = reinterpret_cast<pkcs11::Byte*>(bytes.data());
  const auto value = session.calls().login(session.handle(), pkcs11::kUser, text, bytes.size());
  switch (value) {
    case pkcs11::kOk:
    case pkcs11::kUserAlreadyLoggedIn:
      return {};
    case pkcs11::kPinIncorrect:
    case pkcs11::kPinInvalid:
    case pkcs11::kPinLenRange:
      return fail(Errc::permission,
                  fmt::format("wrong PIN for {}; it was tried once and is not tried again", label),
                  {.reason = "key.refused",
                   .value = label,
                   .next = "repeat with the right PIN; a token locks after a few wrong ones"});
    case pkcs11::kPinLocked:
      return fail(Errc::permission, fmt::format("the PIN of {} is locked", label),
                  {.reason = "key.locked",
                   .value = label,
                   .next = "unlock it with the tool of the token's maker"});
    default:
      return refused("log in to " + label, value);
  }
}

// The one private key that fits.
Result<Ulong> choose_key(const TokenSession& session, const TokenUri& uri,
                         const std::string& label) {
  SPHERE_TRY_ASSIGN(const auto keys, session.find(pkcs11::kPrivateKeyObject, uri.object, uri.id));
  if (keys.size() == 1) {
    return keys.front();
  }
  return fail(Errc::not_found,
              keys.empty() ? fmt::format("{} has no such key", label)
                           : fmt::format("{} has {} keys that fit", label, keys.size()),
              {.reason = "key.not-found",
               .value = escape_control(uri.object),
               .next = "name one with object= or id=: sphere key list-tokens"});
}

// What the token keeps beside a private key.
struct PublicHalf {
  std::optional<PublicKey> key;
  std::optional<Sha1Digest> thumbprint;
};

PublicHalf find_public_half(const TokenSession& session, Ulong key) {
  PublicHalf half{.key = session.public_key(key), .thumbprint = {}};
  const auto id = session.attribute(key, pkcs11::kId).value_or(std::vector<std::byte>{});
  if (id.empty()) {
    return half;
  }
  if (const auto keys = session.find(pkcs11::kPublicKeyObject, {}, id);
      keys && keys->size() == 1 && !half.key) {
    half.key = session.public_key(keys->front());
  }
  const auto certificates = session.find(pkcs11::kCertificateObject, {}, id);
  if (!certificates || certificates->size() != 1) {
    return half;
  }
  const auto der = session.attribute(certificates->front(), pkcs11::kValue);
  const auto certificate =
      der ? Certificate::from_der(*der) : Result<Certificate>{fail(Errc::corrupt, "")};
  if (certificate && (!half.key || *half.key == certificate->public_key())) {
    half.key = certificate->public_key();
    half.thumbprint = certificate->thumbprint();
  }
  return half;
}

}  // namespace

struct TokenSigner::State {
  TokenSession session;
  Ulong key;
  PublicKey public_key;
  Sha1Digest thumbprint;
  std::string label;
  std::mutex mutex = {};  // A session signs one thing at a time.
};

TokenSigner::TokenSigner(std::unique_ptr<State> state) : state_{std::move(state)} {}
TokenSigner::~TokenSigner() = default;

const PublicKey& TokenSigner::public_key() const { return state_->public_key; }
Sha1Digest TokenSigner::thumbprint() const { return state_->thumbprint; }
const std::string& TokenSigner::label() const { return state_->label; }

Result<std::unique_ptr<TokenSigner>> TokenSigner::open(const TokenUri& uri, SecretSource& pins) {
  SPHERE_TRY_ASSIGN(auto module, TokenModule::load(uri.module_path));
  SPHERE_TRY_ASSIGN(const auto token, choose_token(uri, *module));
  const auto label = fmt::format("token {}", escape_control(unpadded(token.second.label)));
  SPHERE_TRY_ASSIGN(auto session, TokenSession::open(std::move(module), token.first));
  SPHERE_TRY(log_in(session, token.second, label, pins));
  SPHERE_TRY_ASSIGN(const auto key, choose_key(session, uri, label));
  auto half = find_public_half(session, key);
  if (!half.key) {
    return fail(
        Errc::unsupported,
        fmt::format("the key in {} is not of P-256, or its public half is not there", label),
        {.reason = "key.refused",
         .value = escape_control(uri.object),
         .next = "make a P-256 key pair in the token, both halves with one id"});
  }
  const auto thumbprint = half.thumbprint.value_or(sha1(half.key->spki()));
  const auto name = session.attribute(key, pkcs11::kLabel).value_or(std::vector<std::byte>{});
  std::string key_name;
  for (const auto byte : name) {
    key_name += std::to_integer<char>(byte);
  }
  // NOLINTNEXTLINE(modernize-make-unique): members by name, and a mutex cannot be moved.
  return std::unique_ptr<TokenSigner>{new TokenSigner{std::unique_ptr<State>{
      new State{.session = std::move(session),
                .key = key,
                .public_key = *std::move(half.key),
                .thumbprint = thumbprint,
                .label = fmt::format("{}, key {}", label, escape_control(key_name))}}}};
}

Result<std::vector<Signature>> TokenSigner::sign(std::span<const Sha256Digest> digests) const {
  std::vector<Signature> signatures;
  const std::lock_guard lock{state_->mutex};
  const auto& session = state_->session;
  for (auto digest : digests) {
    pkcs11::Mechanism mechanism = {.type = pkcs11::kEcdsa, .parameter = nullptr, .length = 0};
    if (const auto value = session.calls().sign_init(session.handle(), &mechanism, state_->key);
        value != pkcs11::kOk) {
      return refused("sign with " + state_->label, value);
    }
    // Room for a token that gives more than it may, such as the DER form.
    constexpr std::size_t kRoom = 256;
    std::array<std::byte, kRoom> room = {};
    Ulong length = room.size();
    // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): bytes as the interface wants them.
    const auto value =
        session.calls().sign(session.handle(), reinterpret_cast<pkcs11::Byte*>(digest.data()),
                             digest.size(), reinterpret_cast<pkcs11::Byte*>(room.data()), &length);
    // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
    if (value != pkcs11::kOk) {
      return refused("sign with " + state_->label, value);
    }
    Signature signature = {};
    std::copy_n(room.begin(), signature.size(), signature.begin());
    if (length != signature.size() || !state_->public_key.verify(digest, signature)) {
      return fail(Errc::unverified,
                  fmt::format("{} gave a signature that is not its key's", state_->label),
                  {.reason = "key.refused",
                   .value = state_->label,
                   .next = "check with the token's own tool that its two halves belong together"});
    }
    signatures.push_back(signature);
  }
  return signatures;
}

namespace {

std::string text_of(const TokenSession& session, Ulong object, Ulong attribute) {
  std::string text;
  for (const auto byte : session.attribute(object, attribute).value_or(std::vector<std::byte>{})) {
    text += std::to_integer<char>(byte);
  }
  return text;
}

std::vector<KeyInToken> visible_keys(const TokenSession& session) {
  std::vector<KeyInToken> keys;
  const auto objects = session.find(pkcs11::kPublicKeyObject, {}, {});
  for (const auto object : objects.value_or(std::vector<Ulong>{})) {
    const auto public_key = session.public_key(object);
    keys.push_back({.label = text_of(session, object, pkcs11::kLabel),
                    .id = session.attribute(object, pkcs11::kId).value_or(std::vector<std::byte>{}),
                    .key_id = public_key ? std::optional{public_key->id()} : std::nullopt});
  }
  return keys;
}

}  // namespace

Result<std::vector<TokenInfo>> list_tokens(const std::string& module_path) {
  SPHERE_TRY_ASSIGN(const auto module, TokenModule::load(module_path));
  SPHERE_TRY_ASSIGN(const auto tokens, module->tokens());
  std::vector<TokenInfo> list;
  for (const auto& [slot, info] : tokens) {
    TokenInfo token{.slot = slot,
                    .label = unpadded(info.label),
                    .serial = unpadded(info.serial),
                    .manufacturer = unpadded(info.manufacturer),
                    .model = unpadded(info.model),
                    .pin_locked = (info.flags & pkcs11::kPinLockedFlag) != 0,
                    .keys = {}};
    if (const auto session = TokenSession::open(module, slot)) {
      token.keys = visible_keys(*session);
    }
    list.push_back(std::move(token));
  }
  return list;
}

}  // namespace sphere::crypto
