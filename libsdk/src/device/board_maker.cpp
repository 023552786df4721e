// SPDX-License-Identifier: MIT
#include "libsdk/src/device/board_maker.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/device/virtual_board.h"

namespace sphere::device {

namespace fs = std::filesystem;

namespace {

// Leaf and CA are valid from 2020-01-01 to 2049-12-31: a board may have no clock when it makes its
// certificate, and some clients refuse an expired one.
constexpr std::int64_t kNotBefore = 1577836800;
constexpr std::int64_t kNotAfter = 2524607999;
constexpr std::size_t kPemLimit = std::size_t{16} * 1024;
constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";

// The certificate of the device-API CA in `file`, if it is that of `key`; a new one otherwise. The
// one of the key store will not do: it is valid from the key's making on.
Result<crypto::Certificate> load_or_make_ca(const crypto::StoredKey& key, const fs::path& file) {
  if (const auto text = read_text_file(file, kPemLimit)) {
    auto known = crypto::Certificate::from_pem(*text);
    if (known && known->public_key() == key.key.public_key()) {
      return known;
    }
  }
  const std::string id = to_hex(key.info.id).substr(0, 8);
  SPHERE_TRY_ASSIGN(auto made,
                    crypto::make_certificate({.common_name = "Sphere device API CA " + id,
                                              .not_before = kNotBefore,
                                              .not_after = kNotAfter,
                                              .is_ca = true},
                                             key.key.public_key(), key.key));
  SPHERE_TRY(make_directories(file.parent_path(), 0700));
  SPHERE_TRY(write_file(file, made.pem(), {.mode = 0644}));
  return made;
}

std::string device_id_of(const crypto::PublicKey& key) { return to_hex(key.point()); }

// Fuses: the attestation key, which is the device's identity, and the manufacturing state.
Result<std::string> make_fuses(const fs::path& directory, const BoardConfig& config) {
  SPHERE_TRY(make_directories(directory, 0700));
  SPHERE_TRY_ASSIGN(const auto key, crypto::PrivateKey::generate());
  SPHERE_TRY(write_file(directory / "device-key.pem", key.to_pem().text(), {.mode = 0600}));
  const bool locked = config.profile == BoardProfile::production;
  SPHERE_TRY(write_file(directory / "manufacturing-state", locked ? "DeviceComplete\n" : "Blank\n",
                        {.mode = 0600}));
  return device_id_of(key.public_key());
}

Result<void> make_tls(const fs::path& directory, const std::string& device_id,
                      crypto::KeyStore& keys, const fs::path& ca_file) {
  SPHERE_TRY(make_directories(directory, 0700));
  SPHERE_TRY_ASSIGN(const auto ca_key,
                    keys.load_or_create("device-api-ca", crypto::KeyUse::device_api_ca));
  if (ca_key.info.use != crypto::KeyUse::device_api_ca) {
    return fail(Errc::invalid_argument, "the key device-api-ca is not a key of use device-api-ca",
                {.reason = "key.refused",
                 .value = ca_key.info.location.string(),
                 .next = "give that key another name"});
  }
  SPHERE_TRY_ASSIGN(const auto ca, load_or_make_ca(ca_key, ca_file));
  SPHERE_TRY_ASSIGN(const auto key, crypto::PrivateKey::generate());
  const std::string short_id = device_id.substr(0, 32);
  const crypto::CertificateRequest request{
      .common_name = "Sphere device " + short_id.substr(0, 8),
      .not_before = kNotBefore,
      .not_after = kNotAfter,
      .server_auth = true,
      .dns_names = {"*.devices.sphere.azure.local",
                    fmt::format("d-{}.device.sphere.internal", short_id)},
      .ip_addresses = {"192.168.35.2"}};
  SPHERE_TRY_ASSIGN(const auto leaf,
                    crypto::make_certificate(request, key.public_key(), ca_key.key, &ca));
  SPHERE_TRY(write_file(directory / "chain.pem", leaf.pem() + ca.pem(), {.mode = 0600}));
  return write_file(directory / "key.pem", key.to_pem().text(), {.mode = 0600});
}

Result<void> trust_developer(const fs::path& directory, crypto::KeyStore& keys) {
  SPHERE_TRY_ASSIGN(const auto developer,
                    keys.describe_or_create("developer", crypto::KeyUse::image));
  const auto& certificate = developer.certificate;
  return write_file(directory / "developer.pem",
                    certificate ? certificate->pem() : developer.public_key.pem(), {.mode = 0600});
}

// Whoever makes the board may replace its trust store with the keys made for that, if there are
// any.
Result<void> trust_owner(const fs::path& directory, const crypto::KeyStore& keys) {
  for (const auto& name : keys.names()) {
    const auto key = keys.describe(name);
    if (!key || key->info.use != crypto::KeyUse::trust_store) {
      continue;  // One that cannot be read is no reason to have no board.
    }
    SPHERE_TRY(write_file(directory / (name + ".pem"),
                          key->certificate ? key->certificate->pem() : key->public_key.pem(),
                          {.mode = 0600}));
  }
  return {};
}

Result<void> make_trust(const fs::path& directory, const BoardConfig& config,
                        crypto::KeyStore& keys) {
  SPHERE_TRY(make_directories(directory / "development", 0700));
  SPHERE_TRY(make_directories(directory / "production", 0700));
  SPHERE_TRY(make_directories(directory / "trust-store", 0700));
  SPHERE_TRY(trust_owner(directory / "trust-store", keys));
  const bool development = config.profile == BoardProfile::development;
  if (development) {
    // The developer may also sign capability files for a board that has no owner.
    SPHERE_TRY(make_directories(directory / "capability", 0700));
    SPHERE_TRY(trust_developer(directory / "development", keys));
    SPHERE_TRY(trust_developer(directory / "capability", keys));
  }
  return write_file(directory / "public-test-key",
                    development && config.trust_public_test_key ? "on\n" : "off\n", {.mode = 0600});
}

}  // namespace

Result<void> fill_board_directory(const fs::path& directory, const BoardConfig& config,
                                  crypto::KeyStore& keys, const fs::path& ca_file) {
  SPHERE_TRY_ASSIGN(const std::string device_id, make_fuses(directory / "fuses", config));
  SPHERE_TRY(make_tls(directory / "tls", device_id, keys, ca_file));
  SPHERE_TRY(make_trust(directory / "trust", config, keys));
  return store_board_config(directory, config);
}

Result<std::string> read_device_id(const fs::path& directory) {
  SPHERE_TRY_ASSIGN(const auto key,
                    crypto::PrivateKey::from_file(directory / "fuses" / "device-key.pem"));
  return device_id_of(key.public_key());
}

Result<std::string> read_device_api_ca(const fs::path& directory) {
  const auto file = directory / "tls" / "chain.pem";
  SPHERE_TRY_ASSIGN(const std::string text, read_text_file(file, kPemLimit));
  const std::size_t first = text.find(kBegin);
  const std::size_t second =
      first == std::string::npos ? first : text.find(kBegin, first + kBegin.size());
  if (second == std::string::npos) {
    return fail(Errc::corrupt, file.string() + " holds no chain of two certificates",
                {.reason = "local.file-unreadable",
                 .value = file.string(),
                 .next = "delete the board and create it anew"});
  }
  SPHERE_TRY_ASSIGN(const auto ca, crypto::Certificate::from_pem(text.substr(second)));
  return ca.pem();
}

}  // namespace sphere::device
