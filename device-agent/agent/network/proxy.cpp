// SPDX-License-Identifier: MIT
#include "device-agent/agent/network/proxy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/refusal.h"
#include "sphere/core/encoding.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kPurpose = "proxy password";
constexpr std::size_t kAddress = 255;
constexpr std::size_t kCredential = 63;

Answer<void> read_target(const json::Value& body, device_api::Proxy& proxy) {
  const auto* enabled = body.find("enabled");
  if (enabled == nullptr || !enabled->boolean()) {
    return refuse(device_api::kProxyEnabledInvalid, "enabled is not true or false");
  }
  proxy.enabled = *enabled->boolean();
  const auto* address = body.find("address");
  if (address == nullptr) {
    return refuse(device_api::kProxyAddressMissing, "address is missing");
  }
  if (address->string() == nullptr || address->string()->empty() ||
      address->string()->size() > kAddress) {
    return refuse(device_api::kProxyAddressInvalid, "address has no 1 to 255 characters");
  }
  proxy.address = *address->string();
  const auto* port = body.find("port");
  if (port == nullptr) {
    return refuse(device_api::kProxyPortMissing, "port is missing");
  }
  constexpr std::int64_t kLargestPort = 65535;
  const auto number = port->integer();
  if (!number || *number < 0 || *number > kLargestPort) {
    return refuse(device_api::kProxyPortInvalid, "port is no number from 0 to 65535");
  }
  proxy.port = *number;
  return {};
}

Answer<void> read_exceptions(const json::Value& body, device_api::Proxy& proxy) {
  const auto* list = body.find("noProxyAddresses");
  if (list == nullptr || list->is_null()) {
    return {};
  }
  const bool good = list->kind() == json::Kind::array &&
                    std::ranges::all_of(list->items(), [](const json::Value& item) {
                      return item.string() != nullptr && item.string()->size() <= kAddress;
                    });
  if (!good) {
    return refuse(device_api::kProxyExceptionsInvalid, "noProxyAddresses is no list of addresses");
  }
  for (const auto& item : list->items()) {
    proxy.no_proxy_addresses.push_back(*item.string());
  }
  return {};
}

// A credential: nothing when it is absent or empty.
Answer<std::string> credential(const json::Value& body, std::string_view key,
                               device_api::ErrorCode code) {
  const auto* value = body.find(key);
  if (value == nullptr || value->is_null()) {
    return std::string{};
  }
  if (value->string() == nullptr || value->string()->size() > kCredential) {
    return refuse(code, fmt::format("{} has no 1 to 63 characters", key));
  }
  return *value->string();
}

Answer<void> read_authentication(const json::Value& body, device_api::Proxy& proxy) {
  const auto* type = body.find("authenticationType");
  if (type == nullptr) {
    return refuse(device_api::kProxyAuthenticationMissing, "authenticationType is missing");
  }
  if (type->string() == nullptr || (*type->string() != "basic" && *type->string() != "anonymous")) {
    return refuse(device_api::kProxyAuthenticationInvalid,
                  "authenticationType is neither anonymous nor basic");
  }
  proxy.authentication = *type->string();
  SPHERE_TRY_ASSIGN(proxy.username, credential(body, "username", device_api::kProxyUserInvalid));
  SPHERE_TRY_ASSIGN(proxy.password,
                    credential(body, "password", device_api::kProxyPasswordInvalid));
  const bool basic = proxy.authentication == "basic";
  if (proxy.username.empty() == basic) {
    return refuse(device_api::kProxyUserInvalid,
                  basic ? "basic needs username" : "anonymous takes no username");
  }
  if (proxy.password.empty() == basic) {
    return refuse(device_api::kProxyPasswordInvalid,
                  basic ? "basic needs password" : "anonymous takes no password");
  }
  return {};
}

}  // namespace

Answer<device_api::Proxy> read_proxy(const json::Value& body) {
  if (body.kind() != json::Kind::object) {
    return refuse(device_api::kJsonInvalid, "the body is not an object");
  }
  device_api::Proxy proxy;
  SPHERE_TRY(read_target(body, proxy));
  SPHERE_TRY(read_exceptions(body, proxy));
  SPHERE_TRY(read_authentication(body, proxy));
  return proxy;
}

ProxyStore::ProxyStore(const std::filesystem::path& directory, const crypto::SealingKey* seal)
    : file_{directory / "proxy.json"}, settings_{directory / "settings.json"}, seal_{seal} {
  auto stored = device_api::proxy_from_json(file_.load());
  if (stored) {
    proxy_ = *std::move(stored);
  }
}

std::optional<device_api::Proxy> ProxyStore::get() const {
  const std::lock_guard guard{lock_};
  return proxy_;
}

Answer<void> ProxyStore::set(const device_api::Proxy& proxy) {
  const std::lock_guard guard{lock_};
  auto open = proxy;
  open.password.clear();
  auto document = device_api::to_json(open);
  if (!proxy.password.empty()) {
    if (seal_ == nullptr) {
      return refuse(device_api::kInternal, "the board has no key to keep secrets with");
    }
    const auto sealed = seal_->seal(std::as_bytes(std::span{proxy.password}), kPurpose);
    if (!sealed) {
      return refuse(device_api::kInternal, sealed.error());
    }
    document.set("sealedPassword", to_base64(*sealed));
  }
  if (const auto saved = file_.save(document); !saved) {
    return refuse(device_api::kInternal, saved.error());
  }
  proxy_ = std::move(open);
  return {};
}

Answer<void> ProxyStore::remove() {
  const std::lock_guard guard{lock_};
  if (!proxy_) {
    return {};
  }
  if (const auto saved = file_.save(json::Value{json::Object{}}); !saved) {
    return refuse(device_api::kInternal, saved.error());
  }
  proxy_.reset();
  return {};
}

bool ProxyStore::echo_password() const {
  return settings_.load().boolean_at("deviceApi.echoProxyPassword").value_or(true);
}

}  // namespace sphere::agent
