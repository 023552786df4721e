// SPDX-License-Identifier: MIT
// The bodies of the calls that set something up. The first byte chooses the call.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "device-agent/agent/network/certificates.h"
#include "device-agent/agent/network/proxy.h"
#include "device-agent/agent/network/wifi.h"
#include "sphere/crypto/credential.h"
#include "sphere/json/value.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as text.
  const std::string_view text{reinterpret_cast<const char*>(data + 1), size - 1};
  const auto body = sphere::json::parse(text);
  if (!body) {
    return 0;
  }
  switch (data[0] % 4) {
    case 0:
      if (const auto request = sphere::agent::read_wifi_request(*body);
          request && (request->network.ssid.empty() || request->network.ssid.size() > 32)) {
        std::abort();
      }
      break;
    case 1:
      static_cast<void>(sphere::agent::read_wifi_change(*body));
      break;
    case 2:
      if (const auto proxy = sphere::agent::read_proxy(*body);
          proxy && (proxy->port < 0 || proxy->port > 65535)) {
        std::abort();
      }
      break;
    default:
      if (const auto request = sphere::agent::read_certificate_request(*body)) {
        static_cast<void>(sphere::crypto::describe_certificate(request->certificate_pem));
        static_cast<void>(sphere::crypto::open_credential_key(request->certificate_pem,
                                                              request->key_pem, request->password));
      }
      break;
  }
  return 0;
}
