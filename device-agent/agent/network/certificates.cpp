// SPDX-License-Identifier: MIT
#include "device-agent/agent/network/certificates.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/credential.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kPemBytes = 8192;
constexpr std::size_t kPasswordBytes = 256;
constexpr std::string_view kSuffix = ".json";
constexpr std::string_view kPurpose = "certificate key";

Answer<void> check_identifier(std::string_view id) {
  constexpr std::size_t kLongest = 16;
  if (id.empty() || id.size() > kLongest) {
    return refuse(device_api::kCertificateIdLength,
                  fmt::format("an identifier has 1 to 16 characters, not {}", id.size()));
  }
  const bool good = std::ranges::all_of(id, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
  return good ? Answer<void>{}
              : refuse(device_api::kCertificateIdCharacter,
                       "an identifier has only letters, digits, dot, hyphen and underscore");
}

// "2049-12-31T23:59:59": UTC without a zone letter.
std::string date(std::int64_t seconds) {
  auto text = to_rfc3339(seconds);
  text.pop_back();
  return text;
}

Answer<std::string> text_of(const json::Value& body, std::string_view key) {
  const auto* value = body.find(key);
  if (value == nullptr || value->is_null()) {
    return std::string{};
  }
  if (value->string() == nullptr) {
    return refuse(device_api::kJsonInvalid, fmt::format("{} is not a text", key));
  }
  return *value->string();
}

device_api::ErrorCode code_of(crypto::KeyFault fault) {
  switch (fault) {
    case crypto::KeyFault::password_unneeded:
      return device_api::kCertificateKeyNotEncrypted;
    case crypto::KeyFault::mismatch:
      return device_api::kCertificateKeyMismatch;
    default:
      return device_api::kCertificateKeyInvalid;
  }
}

std::string_view text_of(crypto::KeyFault fault) {
  switch (fault) {
    case crypto::KeyFault::password_missing:
      return "privateKey is encrypted and no password is given";
    case crypto::KeyFault::password_unneeded:
      return "a password is given for a privateKey that is not encrypted";
    case crypto::KeyFault::mismatch:
      return "publicCert and privateKey do not belong together";
    default:
      return "privateKey is no PEM private key, or the password does not open it";
  }
}

Answer<void> check_sizes(const CertificateRequest& request) {
  if (request.certificate_pem.empty()) {
    return refuse(device_api::kCertificatePemInvalid, "publicCert is empty");
  }
  if (request.certificate_pem.size() > kPemBytes) {
    return refuse(device_api::kCertificatePemTooLong,
                  fmt::format("publicCert has {} bytes, at most {} are taken",
                              request.certificate_pem.size(), kPemBytes));
  }
  if (request.key_pem.size() > kPemBytes) {
    return refuse(device_api::kCertificateKeyTooLong,
                  fmt::format("privateKey has {} bytes, at most {} are taken",
                              request.key_pem.size(), kPemBytes));
  }
  if (request.password.size() > kPasswordBytes) {
    return refuse(device_api::kCertificatePasswordTooLong, "the password is longer than 256 bytes");
  }
  return {};
}

}  // namespace

Answer<CertificateRequest> read_certificate_request(const json::Value& body) {
  if (body.kind() != json::Kind::object) {
    return refuse(device_api::kJsonInvalid, "the body is not an object");
  }
  SPHERE_TRY_ASSIGN(const auto type, text_of(body, "certType"));
  const auto word = to_lower(type);
  if (word != "client" && word != "rootca") {
    return refuse(device_api::kCertificateTypeUnknown, "certType is neither client nor rootca");
  }
  CertificateRequest request{.is_root = word == "rootca"};
  SPHERE_TRY_ASSIGN(request.certificate_pem, text_of(body, "publicCert"));
  SPHERE_TRY_ASSIGN(request.key_pem, text_of(body, "privateKey"));
  SPHERE_TRY_ASSIGN(request.password, text_of(body, "password"));
  SPHERE_TRY(check_sizes(request));
  if (request.is_root && !request.key_pem.empty()) {
    return refuse(device_api::kCertificateKeyNotExpected, "a rootca has no privateKey");
  }
  if (request.is_root && !request.password.empty()) {
    return refuse(device_api::kCertificatePasswordNotExpected, "a rootca has no password");
  }
  if (!request.is_root && request.key_pem.empty()) {
    return refuse(device_api::kCertificateKeyInvalid, "a client certificate needs its privateKey");
  }
  return request;
}

CertificateStore::CertificateStore(std::filesystem::path directory, const crypto::SealingKey* seal)
    : directory_{std::move(directory)}, seal_{seal} {
  load();
}

std::filesystem::path CertificateStore::file_of(const std::string& id) const {
  return directory_ / (to_hex(std::as_bytes(std::span{id})) + std::string{kSuffix});
}

void CertificateStore::load() {
  std::error_code error;
  for (std::filesystem::directory_iterator entry{directory_, error}, end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() != kSuffix) {
      continue;
    }
    const auto document = Document{entry->path()}.load();
    auto facts = device_api::certificate_from_json(document);
    const auto bytes = document.integer_at("bytes");
    if (facts && bytes && *bytes >= 0 && check_identifier(facts->id)) {
      auto id = facts->id;
      entries_.insert_or_assign(std::move(id), Entry{.facts = *std::move(facts),
                                                     .bytes = static_cast<std::size_t>(*bytes)});
    }
  }
}

std::vector<std::string> CertificateStore::identifiers() const {
  const std::lock_guard guard{lock_};
  std::vector<std::string> ids;
  for (const auto& [id, entry] : entries_) {
    ids.push_back(id);
  }
  return ids;
}

Answer<device_api::StoredCertificate> CertificateStore::find(const std::string& id) const {
  SPHERE_TRY(check_identifier(id));
  const std::lock_guard guard{lock_};
  const auto found = entries_.find(id);
  if (found == entries_.end()) {
    return refuse(device_api::kCertificateNotFound, fmt::format("no certificate {}", id));
  }
  return found->second.facts;
}

std::size_t CertificateStore::available_without(const std::string& id) const {
  std::size_t used = 0;
  for (const auto& [other, entry] : entries_) {
    used += other == id ? 0 : entry.bytes;
  }
  return kBytes - std::min(used, kBytes);
}

std::size_t CertificateStore::available_bytes() const {
  const std::lock_guard guard{lock_};
  return available_without("");
}

Answer<void> CertificateStore::put(const std::string& id, const CertificateRequest& request) {
  SPHERE_TRY(check_identifier(id));
  const auto facts = crypto::describe_certificate(request.certificate_pem);
  if (!facts) {
    const bool pem = request.certificate_pem.find("-----BEGIN ") != std::string::npos;
    return refuse(pem ? device_api::kCertificateInvalid : device_api::kCertificatePemInvalid,
                  "publicCert holds no certificate in PEM form");
  }
  json::Value document =
      device_api::to_json(device_api::StoredCertificate{.id = id,
                                                        .not_before = date(facts->not_before),
                                                        .not_after = date(facts->not_after),
                                                        .subject = facts->subject,
                                                        .issuer = facts->issuer});
  if (!request.is_root) {
    const auto opened =
        crypto::open_credential_key(request.certificate_pem, request.key_pem, request.password);
    if (opened.fault != crypto::KeyFault::none) {
      return refuse(code_of(opened.fault), std::string{text_of(opened.fault)});
    }
    if (seal_ == nullptr) {
      return refuse(device_api::kInternal, "the board has no key to keep secrets with");
    }
    const auto sealed = seal_->seal(opened.pem.bytes(), kPurpose);
    if (!sealed) {
      return refuse(device_api::kInternal, sealed.error());
    }
    document.set("sealedKey", to_base64(*sealed));
  }
  const auto bytes = kEntryBytes + request.certificate_pem.size() + request.key_pem.size();
  document.set("certType", request.is_root ? "rootca" : "client")
      .set("publicCert", request.certificate_pem)
      .set("bytes", static_cast<std::int64_t>(bytes));
  const std::lock_guard guard{lock_};
  if (bytes > available_without(id)) {
    return refuse(device_api::kCertificateStoreFull,
                  fmt::format("{} bytes are needed and {} are free", bytes, available_without(id)),
                  "delete a certificate");
  }
  if (const auto saved = Document{file_of(id)}.save(document); !saved) {
    return refuse(device_api::kInternal, saved.error());
  }
  auto stored = device_api::certificate_from_json(document);
  if (stored) {
    entries_.insert_or_assign(id, Entry{.facts = *std::move(stored), .bytes = bytes});
  }
  return {};
}

Answer<void> CertificateStore::remove(const std::string& id) {
  SPHERE_TRY(check_identifier(id));
  const std::lock_guard guard{lock_};
  if (entries_.find(id) == entries_.end()) {
    return refuse(device_api::kCertificateNotFound, fmt::format("no certificate {}", id));
  }
  if (::unlink(file_of(id).c_str()) != 0) {
    return refuse(device_api::kInternal, "the certificate could not be removed");
  }
  if (const auto synced = sync_directory(directory_); !synced) {
    return refuse(device_api::kInternal, synced.error());
  }
  entries_.erase(id);
  return {};
}

}  // namespace sphere::agent
