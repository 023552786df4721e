// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// Reads and checks the body of POST /net/proxy. Refusals: the proxy codes, and kJsonInvalid.
[[nodiscard]] Answer<device_api::Proxy> read_proxy(const json::Value& body);

// The board's proxy; its password is stored sealed and given to nobody. Changes are on stable
// storage when a call returns. Any thread may call.
class ProxyStore {
 public:
  // `seal` must outlive the store; null: no password can be stored.
  ProxyStore(const std::filesystem::path& directory, const crypto::SealingKey* seal);

  [[nodiscard]] std::optional<device_api::Proxy> get() const;  // Without its password.
  [[nodiscard]] Answer<void> set(const device_api::Proxy& proxy);
  [[nodiscard]] Answer<void> remove();  // None there: success.
  // Whether POST /net/proxy answers with the password that it was given, as old clients expect.
  [[nodiscard]] bool echo_password() const;

 private:
  Document file_;
  Document settings_;
  const crypto::SealingKey* seal_;
  mutable std::mutex lock_;  // Guards what follows.
  std::optional<device_api::Proxy> proxy_;
};

}  // namespace sphere::agent
