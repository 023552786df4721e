// SPDX-License-Identifier: MIT
#include "sphere/crypto/key_store.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/key_file.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/encrypted_key.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

namespace sphere::crypto {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSuffix = ".pem";
constexpr std::int64_t kValidity = std::int64_t{20} * 365 * 24 * 3600;  // About 20 years.

bool is_key_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Result<void> check_name(std::string_view name) {
  if (!is_key_name(name)) {
    return fail(Errc::invalid_argument, fmt::format("\"{}\" cannot be the name of a key", name),
                {.reason = "usage.bad-value",
                 .value = std::string{name},
                 .next = "use 1 to 64 letters, digits, dots, hyphens and underscores"});
  }
  return {};
}

Result<Certificate> certify(std::string_view name, const PrivateKey& key, KeyUse use,
                            std::int64_t now) {
  const auto public_key = key.public_key();
  // The name in a certificate has at most 64 bytes, 16 of which are ours.
  const CertificateRequest request{.common_name = fmt::format("Sphere {} {}", name.substr(0, 40),
                                                              to_hex(public_key.id()).substr(0, 8)),
                                   .not_before = now,
                                   .not_after = now + kValidity,
                                   .is_ca = use == KeyUse::device_api_ca};
  return make_certificate(request, public_key, key);
}

KeyDescription describe_new(std::string_view name, KeyUse use, Certificate certificate,
                            const fs::path& location) {
  KeyInfo info{.name = std::string{name},
               .use = use,
               .id = certificate.public_key().id(),
               .thumbprint = certificate.thumbprint(),
               .created = certificate.not_before(),
               .location = location};
  auto key = certificate.public_key();
  return {
      .info = std::move(info), .public_key = std::move(key), .certificate = std::move(certificate)};
}

// The private half as PEM, encrypted if there is a passphrase.
Result<Secret> key_block(const PrivateKey& key, const Secret* passphrase) {
  if (passphrase != nullptr) {
    return encrypt_key(key, *passphrase);
  }
  auto pem = key.to_pem();
  if (pem.bytes().empty()) {
    return fail(Errc::io, "cannot write the private key as text", {.reason = "internal.bug"});
  }
  return pem;
}

Error name_taken(std::string_view name, const fs::path& path) {
  return Error{Errc::exists,
               fmt::format("there is already a key named \"{}\"", name),
               {.reason = "local.file-exists",
                .value = path.string(),
                .next = "choose another name, or use it: sphere key show " + std::string{name}}};
}

Error no_such_key(std::string_view name, const std::vector<std::string>& names) {
  const auto near = nearest(name, names);
  return Error{Errc::not_found,
               fmt::format("there is no key named \"{}\"", name),
               {.reason = "key.not-found",
                .value = std::string{name},
                .next = near.empty() ? fmt::format("make it: sphere key create --name {}", name)
                                     : fmt::format("did you mean {}?", join(near, ", "))}};
}

// The file of a new key; the name may be taken.
Result<KeyInfo> write_new(KeyDescription key, std::string_view block) {
  if (auto written = write_key_file(key, block); !written) {
    return tl::make_unexpected(written.error().code() == Errc::exists
                                   ? name_taken(key.info.name, key.info.location)
                                   : std::move(written).error());
  }
  return std::move(key.info);
}

std::string describe_for_people(std::string_view name) {
  return fmt::format("the key \"{}\"", name);
}

Secret joined(std::span<const std::byte> block, const std::optional<Certificate>& certificate) {
  const auto pem = certificate ? certificate->pem() : std::string{};
  std::vector<std::byte> bytes;
  bytes.reserve(block.size() + pem.size());  // Once: nothing is left behind.
  std::ranges::copy(block, std::back_inserter(bytes));
  std::ranges::copy(std::as_bytes(std::span{pem}), std::back_inserter(bytes));
  return Secret{std::move(bytes)};
}

// Names the file, unless the error is about a passphrase and where that comes from.
Error in_file(Error error, const fs::path& path) {
  const bool about_file = error.code() == Errc::corrupt || error.code() == Errc::unsupported ||
                          error.code() == Errc::too_large;
  return about_file ? std::move(error).while_doing(path.string()) : std::move(error);
}

constexpr std::array kUses = {KeyUse::image,      KeyUse::device_api_ca, KeyUse::capability,
                              KeyUse::root,       KeyUse::targets,       KeyUse::dump,
                              KeyUse::trust_store};

}  // namespace

std::string_view to_text(KeyUse use) {
  switch (use) {
    case KeyUse::image:
      return "image";
    case KeyUse::device_api_ca:
      return "device-api-ca";
    case KeyUse::capability:
      return "capability";
    case KeyUse::root:
      return "root";
    case KeyUse::targets:
      return "targets";
    case KeyUse::dump:
      return "dump";
    case KeyUse::trust_store:
      return "trust-store";
  }
  return "";
}

Result<KeyUse> parse_key_use(std::string_view text) {
  std::vector<std::string> words;
  for (const auto use : kUses) {
    if (to_text(use) == text) {
      return use;
    }
    words.emplace_back(to_text(use));
  }
  return fail(Errc::invalid_argument, fmt::format("\"{}\" is not a use of a key", text),
              {.reason = "usage.bad-value",
               .value = std::string{text},
               .next = "use one of " + join(words, ", ")});
}

KeyStore::KeyStore(fs::path directory, const Clock& clock)
    : directory_{std::move(directory)}, clock_{&clock} {}

fs::path KeyStore::path_of(std::string_view name) const {
  return directory_ / fmt::format("{}{}", name, kSuffix);
}

Result<KeyInfo> KeyStore::create(std::string_view name, KeyUse use, const Secret* passphrase) {
  SPHERE_TRY(check_name(name));
  SPHERE_TRY_ASSIGN(const auto key, PrivateKey::generate());
  SPHERE_TRY_ASSIGN(auto certificate, certify(name, key, use, clock_->unix_seconds()));
  SPHERE_TRY_ASSIGN(const auto block, key_block(key, passphrase));
  auto description = describe_new(name, use, std::move(certificate), path_of(name));
  description.info.encrypted = passphrase != nullptr;
  return write_new(std::move(description), block.text());
}

Result<KeyInfo> KeyStore::import(std::string_view name, KeyUse use, const fs::path& pem_file,
                                 SecretSource* secrets, const Secret* passphrase) {
  SPHERE_TRY(check_name(name));
  SPHERE_TRY_ASSIGN(const auto text, read_private_text(pem_file));
  const auto encrypted = encrypted_key_block(text.text());
  if (encrypted && passphrase != nullptr) {
    return fail(Errc::invalid_argument, fmt::format("{} is encrypted already", pem_file.string()),
                {.reason = "usage.conflict",
                 .value = pem_file.string(),
                 .next = "import it without --encrypt"});
  }
  auto key = read_private_key(text.text(), pem_file.string(), secrets);
  if (!key) {
    return tl::make_unexpected(in_file(std::move(key).error(), pem_file));
  }
  auto certificate = Certificate::from_pem(text.text());
  if (!certificate || !(certificate->public_key() == key->public_key())) {
    certificate = certify(name, *key, use, clock_->unix_seconds());
  }
  if (!certificate) {
    return tl::make_unexpected(std::move(certificate).error());
  }
  auto description = describe_new(name, use, *std::move(certificate), path_of(name));
  if (encrypted) {
    description.info.encrypted = true;
    return write_new(std::move(description), fmt::format("{}\n", *encrypted));
  }
  description.info.encrypted = passphrase != nullptr;
  SPHERE_TRY_ASSIGN(const auto block, key_block(*key, passphrase));
  return write_new(std::move(description), block.text());
}

Result<KeyInfo> KeyStore::add_token_key(std::string_view name, KeyUse use, const TokenKey& key) {
  SPHERE_TRY(check_name(name));
  if (key.uri != escape_control(key.uri)) {
    return fail(Errc::invalid_argument, "the URI of a token holds a control character",
                {.reason = "usage.bad-value", .value = escape_control(key.uri)});
  }
  KeyInfo info{.name = std::string{name},
               .use = use,
               .id = key.public_key.id(),
               .thumbprint = key.thumbprint,
               .created = clock_->unix_seconds(),
               .location = path_of(name),
               .token_uri = key.uri};
  return write_new({.info = std::move(info), .public_key = key.public_key}, "");
}

Result<Secret> KeyStore::export_key(std::string_view name, bool plain,
                                    SecretSource& secrets) const {
  SPHERE_TRY_ASSIGN(const auto text, read(name));
  const auto sealed = encrypted_key_block(text.text());
  if (sealed && !plain) {
    SPHERE_TRY_ASSIGN(const auto description, read_key_file(text.text(), name, path_of(name)));
    const auto line = fmt::format("{}\n", *sealed);
    return joined(std::as_bytes(std::span{line}), description.certificate);
  }
  SPHERE_TRY_ASSIGN(const auto stored, load(name, &secrets));
  if (plain) {
    SPHERE_TRY_ASSIGN(const auto block, key_block(stored.key, nullptr));
    return joined(block.bytes(), stored.certificate);
  }
  SPHERE_TRY_ASSIGN(const auto passphrase,
                    secrets.get(SecretKind::new_passphrase, describe_for_people(name)));
  SPHERE_TRY_ASSIGN(const auto block, key_block(stored.key, &passphrase));
  return joined(block.bytes(), stored.certificate);
}

Result<void> KeyStore::remove(std::string_view name) {
  SPHERE_TRY(check_name(name));
  const auto path = path_of(name);
  std::error_code error;
  const bool removed = fs::remove(path, error);
  if (error) {
    return tl::make_unexpected(system_error("remove", path, error.value()));
  }
  if (!removed) {
    return tl::make_unexpected(no_such_key(name, names()));
  }
  return sync_directory(directory_);
}

Result<Secret> KeyStore::read(std::string_view name) const {
  SPHERE_TRY(check_name(name));
  auto text = read_private_text(path_of(name));
  if (!text && text.error().code() == Errc::not_found) {
    return tl::make_unexpected(no_such_key(name, names()));
  }
  return text;
}

Result<KeyDescription> KeyStore::describe(std::string_view name) const {
  SPHERE_TRY_ASSIGN(const auto text, read(name));
  return read_key_file(text.text(), name, path_of(name));
}

Result<StoredKey> KeyStore::load(std::string_view name, SecretSource* secrets) const {
  SPHERE_TRY_ASSIGN(const auto text, read(name));
  const auto path = path_of(name);
  SPHERE_TRY_ASSIGN(auto description, read_key_file(text.text(), name, path));
  if (!description.info.token_uri.empty() || !description.certificate) {
    return fail(Errc::unsupported,
                fmt::format("the key \"{}\" is on a token and cannot leave it", name),
                {.reason = "key.refused", .value = description.info.token_uri});
  }
  auto key = read_private_key(text.text(), describe_for_people(name), secrets);
  if (!key) {
    return tl::make_unexpected(in_file(std::move(key).error(), path));
  }
  if (!(description.public_key == key->public_key())) {
    return fail(Errc::corrupt,
                fmt::format("the certificate in {} belongs to another key", path.string()),
                {.reason = "key.refused", .value = path.string()});
  }
  return StoredKey{.info = std::move(description.info),
                   .key = *std::move(key),
                   .certificate = *std::move(description.certificate)};
}

std::vector<std::string> KeyStore::names() const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry{directory_, error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto file = entry->path().filename().string();
    // Another file that someone put here is no key of ours.
    if (file.ends_with(kSuffix) &&
        is_key_name(std::string_view{file}.substr(0, file.size() - kSuffix.size()))) {
      found.push_back(file.substr(0, file.size() - kSuffix.size()));
    }
  }
  std::ranges::sort(found);
  return found;
}

KeyListing KeyStore::list() const {
  KeyListing result;
  for (const auto& name : names()) {
    auto key = describe(name);
    if (key) {
      result.keys.push_back(std::move(key->info));
    } else {
      result.unreadable.push_back(std::move(key).error());
    }
  }
  return result;
}

Result<KeyDescription> KeyStore::describe_or_create(std::string_view name, KeyUse use) {
  auto key = describe(name);
  if (key || key.error().code() != Errc::not_found) {
    return key;
  }
  if (auto made = create(name, use); !made && made.error().code() != Errc::exists) {
    return tl::make_unexpected(std::move(made).error());
  }
  return describe(name);
}

Result<StoredKey> KeyStore::load_or_create(std::string_view name, KeyUse use,
                                           SecretSource* secrets) {
  auto key = load(name, secrets);
  if (key || key.error().code() != Errc::not_found) {
    return key;
  }
  // Another process may make it at the same moment; then its key is the one.
  if (auto made = create(name, use); !made && made.error().code() != Errc::exists) {
    return tl::make_unexpected(std::move(made).error());
  }
  return load(name, secrets);
}

}  // namespace sphere::crypto
