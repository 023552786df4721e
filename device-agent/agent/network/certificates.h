// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/refusal.h"
#include "sphere/core/result.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// What POST /certstore/certs/{id} brings. The password opens the key and is then forgotten.
struct CertificateRequest {
  bool is_root = false;
  std::string certificate_pem = {}, key_pem = {}, password = {};
};
// Refusals: the certificate store's codes, kJsonInvalid.
[[nodiscard]] Answer<CertificateRequest> read_certificate_request(const json::Value& body);

// Certificates for Wi-Fi and for apps, one file an entry, named by the hexadecimal form of its
// identifier; private keys are stored sealed. An entry is replaced and removed in one step and is
// on stable storage when the call returns. Any thread may call.
class CertificateStore {
 public:
  static constexpr std::size_t kBytes = 24514;
  static constexpr std::size_t kEntryBytes = 32;  // Counted for each entry beside its content.

  // `seal` must outlive the store; null: no private key can be stored.
  CertificateStore(std::filesystem::path directory, const crypto::SealingKey* seal);

  [[nodiscard]] std::vector<std::string> identifiers() const;
  // Refusals: kCertificateIdCharacter, kCertificateIdLength, kCertificateNotFound.
  [[nodiscard]] Answer<device_api::StoredCertificate> find(const std::string& id) const;
  // Refusals: those of the identifier, and by content; kCertificateStoreFull.
  [[nodiscard]] Answer<void> put(const std::string& id, const CertificateRequest& request);
  [[nodiscard]] Answer<void> remove(const std::string& id);
  [[nodiscard]] std::size_t available_bytes() const;

 private:
  struct Entry {
    device_api::StoredCertificate facts;
    std::size_t bytes = 0;
  };
  [[nodiscard]] std::filesystem::path file_of(const std::string& id) const;
  [[nodiscard]] std::size_t available_without(const std::string& id) const;
  void load();

  std::filesystem::path directory_;
  const crypto::SealingKey* seal_;
  mutable std::mutex lock_;  // Guards what follows.
  std::map<std::string, Entry> entries_;
};

}  // namespace sphere::agent
