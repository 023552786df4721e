// SPDX-License-Identifier: MIT
// DER of a certificate (first byte even) or of a private key (odd), as POST /certstore/certs/{id}
// brings it: wrapped in PEM, described, opened, stored.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

#include "device-agent/agent/network/certificates.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/credential.h"

namespace {

using sphere::agent::CertificateRequest;
using sphere::agent::CertificateStore;

std::string pem(const std::string& kind, std::span<const std::byte> der) {
  return "-----BEGIN " + kind + "-----\n" + sphere::to_base64(der) + "\n-----END " + kind +
         "-----\n";
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kFolder = sphere::TemporaryDirectory::create().value();
  static CertificateStore store{kFolder.path(), nullptr};
  if (size < 1) {
    return 0;
  }
  const auto der = std::as_bytes(std::span{data, size}.subspan(1));
  if (data[0] % 2 == 1) {
    static_cast<void>(sphere::crypto::open_credential_key("", pem("PRIVATE KEY", der), ""));
    static_cast<void>(
        sphere::crypto::open_credential_key("", pem("ENCRYPTED PRIVATE KEY", der), "password"));
    return 0;
  }
  const CertificateRequest request{.is_root = true, .certificate_pem = pem("CERTIFICATE", der)};
  const bool stored = store.put("a", request).has_value();
  if (stored != store.find("a").has_value()) {
    std::abort();
  }
  if (stored && !store.remove("a")) {
    std::abort();
  }
  return 0;
}
