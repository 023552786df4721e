// SPDX-License-Identifier: MIT
// The path of a request: its target is decoded and finds a route; its Host is looked at.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "device-agent/agent/rest/access.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/target.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as text.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  static_cast<void>(sphere::agent::is_own_host(text, std::string(128, 'a')));
  const auto target = sphere::agent::parse_target(text);
  if (!target) {
    return 0;
  }
  static_cast<void>(target->value("follow"));
  for (const auto* method : {"GET", "PUT", "POST", "PATCH", "DELETE"}) {
    const auto match = sphere::agent::find_route(method, target->path);
    // What stands for {uid} is one segment: it can name no other resource.
    const bool one = !match || match->route == nullptr || match->route->path.ends_with("/*") ||
                     match->tail.find('/') == std::string::npos;
    if (!one) {
      std::abort();
    }
  }
  return 0;
}
