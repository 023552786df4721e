// SPDX-License-Identifier: MIT
// What a device sends that is no JSON: its log, its telemetry, its proof of identity.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "sphere/core/encoding.h"
#include "sphere/crypto/key.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/identity_proof.h"
#include "sphere/device_api/telemetry.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string kDevice =
      sphere::to_hex(sphere::crypto::PrivateKey::generate()->public_key().point());
  const auto bytes = std::as_bytes(std::span{data, size});
  if (const auto entries = sphere::device_api::read_log(bytes)) {
    for (const auto& entry : *entries) {
      static_cast<void>(sphere::device_api::log_line(entry));
      static_cast<void>(sphere::device_api::log_parameters(entry));
    }
  }
  static_cast<void>(sphere::device_api::read_telemetry(bytes));
  static_cast<void>(sphere::device_api::check_identity_proof(
      bytes, {.nonce = {}, .device_id = kDevice, .leaf_spki = {}}));
  return 0;
}
