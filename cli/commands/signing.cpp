// SPDX-License-Identifier: MIT
#include "cli/commands/signing.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/commands/key_secrets.h"
#include "cli/context.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/encrypted_key.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/pkcs11.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"

namespace sphere::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxKeyFile = std::size_t{64} * 1024;

// Signs with the public SDK test key under the thumbprint that boards of its maker know.
class TestKeySigner final : public crypto::Signer {
 public:
  explicit TestKeySigner(crypto::PrivateKey key) : signer_{std::move(key), std::nullopt} {}
  [[nodiscard]] const crypto::PublicKey& public_key() const override {
    return signer_.public_key();
  }
  [[nodiscard]] crypto::Sha1Digest thumbprint() const override {
    return image::public_test_thumbprint();
  }
  [[nodiscard]] Result<std::vector<crypto::Signature>> sign(
      std::span<const crypto::Sha256Digest> digests) const override {
    return signer_.sign(digests);
  }

 private:
  crypto::KeySigner signer_;
};

Signing signing_with(crypto::PrivateKey key, std::optional<crypto::Certificate> certificate,
                     std::string signed_by) {
  return {.signer = std::make_unique<crypto::KeySigner>(std::move(key), std::move(certificate)),
          .signed_by = std::move(signed_by)};
}

// The key is public, so who may read its file does not matter.
Result<Signing> test_key(Context& context, const fs::path& file) {
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(file, kMaxKeyFile));
  auto key = crypto::PrivateKey::from_pem(text);
  if (!key) {
    return tl::make_unexpected(std::move(key).error().while_doing(file.string()));
  }
  if (!(key->public_key() == image::public_test_key())) {
    return fail(Errc::invalid_argument,
                fmt::format("{} is not the public SDK test key", file.string()),
                {.reason = "key.refused",
                 .value = file.string(),
                 .next = "use --key to sign with a key of your own"});
  }
  context.reporter.warn("signed with the public SDK test key; anyone can make such a file");
  return Signing{.signer = std::make_unique<TestKeySigner>(*std::move(key)),
                 .signed_by = "public SDK test key"};
}

Result<Signing> key_file(const fs::path& file, crypto::SecretSource& secrets) {
  SPHERE_TRY_ASSIGN(const auto text, crypto::read_private_text(file));
  auto key = crypto::read_private_key(text.text(), file.string(), &secrets);
  if (!key && key.error().code() != Errc::unverified) {
    return tl::make_unexpected(std::move(key).error().while_doing(file.string()));
  }
  if (!key) {
    return tl::make_unexpected(std::move(key).error());  // Names the file already.
  }
  auto found = crypto::Certificate::from_pem(text.text());
  std::optional<crypto::Certificate> certificate;
  if (found && found->public_key() == key->public_key()) {
    certificate = *std::move(found);
  }
  return signing_with(*std::move(key), std::move(certificate), file.string());
}

// A PIN whose file the URI names is read there; any other is asked for.
class TokenPins final : public crypto::SecretSource {
 public:
  TokenPins(std::string file, const std::set<std::string>& refused, crypto::SecretSource& others)
      : file_{std::move(file)}, refused_{&refused}, others_{&others} {}
  [[nodiscard]] Result<crypto::Secret> get(crypto::SecretKind kind,
                                           std::string_view what) override {
    token_ = what;
    if (refused_->contains(token_)) {
      return fail(
          Errc::permission,
          fmt::format("{} has refused a PIN in this run already; none is tried again", what),
          {.reason = "key.refused",
           .value = token_,
           .next = "repeat with the right PIN; a token locks after a few wrong ones"});
    }
    if (file_.empty()) {
      return others_->get(kind, what);
    }
    constexpr std::string_view kScheme = "file:";
    const auto path = file_.starts_with(kScheme) ? file_.substr(kScheme.size()) : file_;
    SPHERE_TRY_ASSIGN(auto pin, crypto::read_private_text(path));
    pin.shorten(std::min(pin.text().find_first_of("\r\n"), pin.text().size()));
    return pin;
  }
  [[nodiscard]] unsigned attempts() const override { return 1; }
  // Whose PIN was asked for; empty when none was.
  [[nodiscard]] const std::string& token() const noexcept { return token_; }

 private:
  std::string file_;
  const std::set<std::string>* refused_;
  crypto::SecretSource* others_;
  std::string token_ = {};
};

Result<Signing> token_key(Context& context, const std::string& text,
                          crypto::SecretSource& secrets) {
  SPHERE_TRY_ASSIGN(auto signer, open_token_key(context, text, secrets));
  auto label = signer->label();
  return Signing{.signer = std::move(signer), .signed_by = std::move(label)};
}

// The token may have got another key under the old name since it was imported.
Result<Signing> stored_token_key(Context& context, const crypto::KeyDescription& key,
                                 crypto::SecretSource& secrets) {
  SPHERE_TRY_ASSIGN(auto signer, open_token_key(context, key.info.token_uri, secrets));
  if (!(signer->public_key() == key.public_key)) {
    return fail(Errc::corrupt,
                fmt::format("the token holds another key than \"{}\" had when it was imported",
                            key.info.name),
                {.reason = "key.refused",
                 .value = key.info.token_uri,
                 .next = fmt::format("import it anew: sphere key delete {}", key.info.name)});
  }
  return Signing{.signer = std::move(signer), .signed_by = key.info.name};
}

// The use is looked at before anybody is asked for a passphrase or PIN.
Result<Signing> stored_key(Context& context, const crypto::KeyDescription& key, crypto::KeyUse use,
                           crypto::SecretSource& secrets) {
  if (key.info.use != use) {
    const bool for_images = use == crypto::KeyUse::image;
    return fail(Errc::invalid_argument,
                fmt::format("the key \"{}\" is for {}, not for {}", key.info.name,
                            crypto::to_text(key.info.use),
                            for_images ? std::string{"images"} : std::string{crypto::to_text(use)}),
                {.reason = "key.refused",
                 .value = key.info.name,
                 .next = "choose another: sphere key list"});
  }
  if (!key.info.token_uri.empty()) {
    return stored_token_key(context, key, secrets);
  }
  SPHERE_TRY_ASSIGN(auto stored, context.keys.load(key.info.name, &secrets));
  return signing_with(std::move(stored.key), std::move(stored.certificate), key.info.name);
}

Result<Signing> key_of_this_run(Context& context) {
  SPHERE_TRY_ASSIGN(auto key, crypto::PrivateKey::generate());
  context.reporter.warn(
      "there is no home directory, so the package is signed with a key of this run only; sign it "
      "again before a board takes it");
  return signing_with(std::move(key), std::nullopt, "a key of this run");
}

// The keys of a trust-store image. Who trusts the file trusts what is in it, whoever signed it.
Result<std::vector<KnownKey>> keys_of_store(const fs::path& path) {
  SPHERE_TRY_ASSIGN(const auto package, image::open_package(path));
  SPHERE_TRY_ASSIGN(const auto record, image::open_trust_record(package));
  std::vector<KnownKey> keys;
  for (const auto& entry : record.entries) {
    const auto label = entry.label.empty() ? to_hex(entry.key.id()) : entry.label;
    keys.push_back({.key = entry.key,
                    .thumbprints = entry.thumbprints,
                    .kind = "trusted",
                    .label = fmt::format("{} of {}", label, path.string()),
                    .role = entry.role});
  }
  return keys;
}

void add_pem_file(const fs::path& path, Result<std::vector<KnownKey>>& keys) {
  const auto text = read_text_file(path, kMaxKeyFile);
  if (!text) {
    keys = tl::make_unexpected(text.error());
    return;
  }
  std::vector<crypto::Sha1Digest> thumbprints;
  if (const auto certificate = crypto::Certificate::from_pem(*text)) {
    thumbprints.push_back(certificate->thumbprint());
  }
  auto key = crypto::PublicKey::from_pem(*text);
  if (!key) {
    keys = tl::make_unexpected(std::move(key).error().while_doing(path.string()));
    return;
  }
  if (image::is_published_key(*key)) {
    keys = fail(Errc::invalid_argument,
                fmt::format("{} is the key of the published test vectors, with which anybody can "
                            "sign",
                            path.string()),
                {.reason = "key.refused", .value = path.string(), .next = "use another key"});
    return;
  }
  keys->push_back({.key = *std::move(key),
                   .thumbprints = std::move(thumbprints),
                   .kind = "trusted",
                   .label = path.string()});
}

// One that may sign images of `image_type`.
image::Role role_for(std::uint16_t image_type) {
  constexpr std::array kRoles = {image::Role::development, image::Role::capability,
                                 image::Role::board_configuration, image::Role::trust_store};
  const auto* const role = std::ranges::find_if(kRoles, [image_type](image::Role candidate) {
    return image::may_sign(candidate, image_type);
  });
  return role == kRoles.end() ? image::Role::os : *role;
}

}  // namespace

Result<Signing> choose_signer(Context& context, const Arguments& arguments, crypto::KeyUse use) {
  const auto test = arguments.value("compat-test-key");
  const auto name = arguments.value("key");
  CommandSecrets secrets{context, arguments};
  crypto::keep_out_of_core_dumps();
  if (test && name) {
    return fail(Errc::invalid_argument, "--key and --compat-test-key exclude each other",
                {.reason = "usage.conflict", .value = *name, .next = "give one of them"});
  }
  if (test) {
    return test_key(context, *test);
  }
  if (const auto& key = name ? *name : context.sign_key; crypto::is_token_uri(key)) {
    return token_key(context, key, secrets);
  }
  if (name && name->find('/') != std::string::npos) {
    return key_file(*name, secrets);
  }
  if (!context.has_home) {
    if (name) {
      return fail(Errc::not_found, "there is no home directory, so there are no stored keys",
                  {.reason = "key.not-found",
                   .value = *name,
                   .next = "give the path of a key file: --key ./key.pem"});
    }
    return key_of_this_run(context);
  }
  if (name || context.sign_key != "developer") {
    SPHERE_TRY_ASSIGN(const auto key, context.keys.describe(name.value_or(context.sign_key)));
    return stored_key(context, key, use, secrets);
  }
  SPHERE_TRY_ASSIGN(const auto key,
                    context.keys.describe_or_create("developer", crypto::KeyUse::image));
  return stored_key(context, key, use, secrets);
}

Result<std::unique_ptr<crypto::TokenSigner>> open_token_key(Context& context,
                                                            const std::string& uri,
                                                            crypto::SecretSource& secrets) {
  SPHERE_TRY_ASSIGN(auto parsed, crypto::parse_token_uri(uri));
  if (parsed.module_path.empty()) {
    parsed.module_path = context.token_module;
  }
  TokenPins pins{parsed.pin_source, context.refused_tokens, secrets};
  auto signer = crypto::TokenSigner::open(parsed, pins);
  if (!signer && signer.error().code() == Errc::permission && !pins.token().empty()) {
    context.refused_tokens.insert(pins.token());
  }
  return signer;
}

namespace {

void add_configured_keys(Context& context, std::vector<KnownKey>& keys) {
  for (const auto& path : context.trust) {
    auto trusted = read_trusted_keys(path);
    if (!trusted) {
      // Without it less is trusted, so the others can be used.
      context.reporter.warn(
          fmt::format("\"trust\" of the configuration: {}", trusted.error().message()));
      continue;
    }
    std::ranges::move(*trusted, std::back_inserter(keys));
  }
}

KnownKey own_key(const crypto::KeyDescription& key) {
  KnownKey known{.key = key.public_key,
                 .thumbprints = {key.info.thumbprint},
                 .kind = "developer",
                 .label = fmt::format("your key \"{}\"", key.info.name)};
  if (key.info.use == crypto::KeyUse::trust_store) {
    known.role = image::Role::trust_store;
  }
  return known;
}

}  // namespace

std::vector<KnownKey> known_keys(Context& context) {
  std::vector<KnownKey> keys;
  keys.push_back({.key = image::public_test_key(),
                  .thumbprints = {image::public_test_thumbprint()},
                  .kind = "publicTestKey",
                  .label = "public SDK test key (proves nothing about the author)"});
  add_configured_keys(context, keys);
  if (!context.has_home) {
    return keys;
  }
  for (const auto& name : context.keys.names()) {
    const auto key = context.keys.describe(name);
    if (!key) {
      context.reporter.warn(key.error().message());  // The other keys are as good as before.
    } else if (key->info.use == crypto::KeyUse::image ||
               key->info.use == crypto::KeyUse::trust_store) {
      keys.push_back(own_key(*key));
    }
  }
  return keys;
}

Result<std::vector<KnownKey>> read_trusted_keys(const fs::path& path) {
  Result<std::vector<KnownKey>> keys;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (path.extension() == ".imagepackage") {
      return keys_of_store(path);
    }
    add_pem_file(path, keys);
    return keys;
  }
  std::vector<fs::path> files;
  for (fs::directory_iterator entry{path, error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto extension = entry->path().extension();
    if (extension == ".pem" || extension == ".crt") {
      files.push_back(entry->path());
    }
  }
  if (error) {
    return tl::make_unexpected(system_error("read", path, error.value()));
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    if (keys) {
      add_pem_file(file, keys);
    }
  }
  return keys;
}

image::TrustStore trust_store(const std::vector<KnownKey>& keys, std::uint16_t image_type) {
  // A key for images signs no list of keys.
  const bool is_store = image_type == image::kTrustedKeyStore;
  image::TrustStore trust;
  for (const auto& key : keys) {
    if (key.kind != "publicTestKey") {
      const bool is_own = key.kind == "developer" && is_store;
      trust.add(
          {.key = key.key,
           .thumbprints = key.thumbprints,
           .role = key.role.value_or(is_own ? image::Role::development : role_for(image_type)),
           .label = key.label});
    }
  }
  return trust;
}

void add_public_test_key(std::uint16_t image_type, image::TrustStore& trust) {
  trust.add({.key = image::public_test_key(),
             .thumbprints = {image::public_test_thumbprint()},
             .role = role_for(image_type),
             .label = "public SDK test key"});
}

SignatureReport look_at_signature(const crypto::Sha256Digest& digest,
                                  const image::Metadata& metadata,
                                  const std::vector<KnownKey>& keys) {
  if (metadata.signature_info.signing_type != image::kSigningTypeEcdsaP256) {
    return {.result = "not checkable"};
  }
  const auto signature = metadata.signature.first<crypto::kSignatureSize>();
  SignatureReport report{.result = "unknown key"};
  for (const auto& key : keys) {
    if (key.key.verify(digest, signature)) {
      return {.result = "good", .key = &key};
    }
    const auto& names = key.thumbprints;
    if (std::ranges::find(names, metadata.signature_info.thumbprint) != names.end()) {
      report = {.result = "bad", .key = &key};
    }
  }
  return report;
}

}  // namespace sphere::cli
