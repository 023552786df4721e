// SPDX-License-Identifier: MIT
#include "sphere/crypto/key_store.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kUseLine = "Sphere-Key-Use: ";
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

KeyInfo info_of(std::string_view name, KeyUse use, const Certificate& certificate,
                const fs::path& location) {
  return {.name = std::string{name},
          .use = use,
          .id = certificate.public_key().id(),
          .thumbprint = certificate.thumbprint(),
          .created = certificate.not_before(),
          .location = location};
}

// Writes the key file; it appears complete, readable by its owner only, or not at all.
Result<void> write_key(const fs::path& path, KeyUse use, const PrivateKey& key,
                       const Certificate& certificate) {
  SPHERE_TRY(make_directories(path.parent_path(), 0700));
  SPHERE_TRY_ASSIGN(auto file, AtomicFile::create(path, {.mode = 0600, .replace = false}));
  const auto use_line = fmt::format("{}{}\n", kUseLine, to_text(use));
  const auto pem = key.to_pem();
  if (pem.bytes().empty()) {
    return fail(Errc::io, "cannot write the private key as text",
                {.reason = "internal.bug", .value = path.string()});
  }
  const auto certificate_pem = certificate.pem();
  SPHERE_TRY(file.write(std::as_bytes(std::span{use_line})));
  SPHERE_TRY(file.write(pem.bytes()));
  SPHERE_TRY(file.write(std::as_bytes(std::span{certificate_pem})));
  return file.commit();
}

Error name_taken(std::string_view name, const fs::path& path) {
  return Error{Errc::exists,
               fmt::format("there is already a key named \"{}\"", name),
               {.reason = "local.file-exists",
                .value = path.string(),
                .next = "choose another name, or use it: sphere key show " + std::string{name}}};
}

Result<KeyUse> use_in(std::string_view text, const fs::path& path) {
  if (text.starts_with(kUseLine)) {
    const auto line = text.substr(kUseLine.size(), text.find('\n') - kUseLine.size());
    if (auto use = parse_key_use(trim(line))) {
      return use;
    }
  }
  return fail(Errc::corrupt,
              fmt::format("the key file {} does not say what the key is for", path.string()),
              {.reason = "key.refused",
               .value = path.string(),
               .next = fmt::format("its first line must be \"{}image\"", kUseLine)});
}

}  // namespace

std::string_view to_text(KeyUse use) {
  switch (use) {
    case KeyUse::image:
      return "image";
    case KeyUse::device_api_ca:
      return "device-api-ca";
  }
  return "";
}

Result<KeyUse> parse_key_use(std::string_view text) {
  for (const auto use : {KeyUse::image, KeyUse::device_api_ca}) {
    if (to_text(use) == text) {
      return use;
    }
  }
  return fail(Errc::invalid_argument, fmt::format("\"{}\" is not a use of a key", text),
              {.reason = "usage.bad-value",
               .value = std::string{text},
               .next = "use image or device-api-ca"});
}

KeyStore::KeyStore(fs::path directory, const Clock& clock)
    : directory_{std::move(directory)}, clock_{&clock} {}

Result<KeyInfo> KeyStore::create(std::string_view name, KeyUse use) {
  SPHERE_TRY(check_name(name));
  SPHERE_TRY_ASSIGN(const auto key, PrivateKey::generate());
  SPHERE_TRY_ASSIGN(const auto certificate, certify(name, key, use, clock_->unix_seconds()));
  const auto path = directory_ / fmt::format("{}{}", name, kSuffix);
  if (auto written = write_key(path, use, key, certificate); !written) {
    return tl::make_unexpected(written.error().code() == Errc::exists ? name_taken(name, path)
                                                                      : std::move(written).error());
  }
  return info_of(name, use, certificate, path);
}

Result<KeyInfo> KeyStore::import(std::string_view name, KeyUse use, const fs::path& pem_file) {
  SPHERE_TRY(check_name(name));
  SPHERE_TRY_ASSIGN(const auto key, PrivateKey::from_file(pem_file));
  SPHERE_TRY_ASSIGN(const auto text, read_private_text(pem_file));
  auto certificate = Certificate::from_pem(text.text());
  if (!certificate || !(certificate->public_key() == key.public_key())) {
    certificate = certify(name, key, use, clock_->unix_seconds());
  }
  if (!certificate) {
    return tl::make_unexpected(std::move(certificate).error());
  }
  const auto path = directory_ / fmt::format("{}{}", name, kSuffix);
  if (auto written = write_key(path, use, key, *certificate); !written) {
    return tl::make_unexpected(written.error().code() == Errc::exists ? name_taken(name, path)
                                                                      : std::move(written).error());
  }
  return info_of(name, use, *certificate, path);
}

Result<StoredKey> KeyStore::load(std::string_view name) const {
  SPHERE_TRY(check_name(name));
  const auto path = directory_ / fmt::format("{}{}", name, kSuffix);
  auto text = read_private_text(path);
  if (!text && text.error().code() == Errc::not_found) {
    const auto near = nearest(name, names());
    return fail(Errc::not_found, fmt::format("there is no key named \"{}\"", name),
                {.reason = "key.not-found",
                 .value = std::string{name},
                 .next = near.empty() ? fmt::format("make it: sphere key create --name {}", name)
                                      : fmt::format("did you mean {}?", join(near, ", "))});
  }
  if (!text) {
    return tl::make_unexpected(std::move(text).error());
  }
  SPHERE_TRY_ASSIGN(const auto use, use_in(text->text(), path));
  auto key = PrivateKey::from_pem(text->text());
  if (!key) {
    return tl::make_unexpected(std::move(key).error().while_doing(path.string()));
  }
  auto certificate = Certificate::from_pem(text->text());
  if (!certificate) {
    return tl::make_unexpected(std::move(certificate).error().while_doing(path.string()));
  }
  if (!(certificate->public_key() == key->public_key())) {
    return fail(Errc::corrupt,
                fmt::format("the certificate in {} belongs to another key", path.string()),
                {.reason = "key.refused", .value = path.string()});
  }
  auto info = info_of(name, use, *certificate, path);
  return StoredKey{
      .info = std::move(info), .key = *std::move(key), .certificate = *std::move(certificate)};
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

Result<std::vector<KeyInfo>> KeyStore::list() const {
  std::vector<KeyInfo> result;
  for (const auto& name : names()) {
    SPHERE_TRY_ASSIGN(auto key, load(name));
    result.push_back(std::move(key.info));
  }
  return result;
}

Result<StoredKey> KeyStore::load_or_create(std::string_view name, KeyUse use) {
  auto key = load(name);
  if (key || key.error().code() != Errc::not_found) {
    return key;
  }
  // Another process may make it at the same moment; then its key is the one.
  if (auto made = create(name, use); !made && made.error().code() != Errc::exists) {
    return tl::make_unexpected(std::move(made).error());
  }
  return load(name);
}

}  // namespace sphere::crypto
