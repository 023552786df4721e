// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/routes.h"

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "device-agent/agent/rest/access.h"

namespace sphere::agent {
namespace {

// Wide, so that a row is a line.
// clang-format off
// NOLINTBEGIN(modernize-use-designated-initializers): rows of a table
constexpr std::array kRoutes = {
    Route{"GET", "/status", Access::anyone, BodyKind::none, device_routes::get_status},
    Route{"GET", "/osversion", Access::anyone, BodyKind::none, device_routes::get_os_version},
    Route{"GET", "/abi_versions", Access::anyone, BodyKind::none, device_routes::get_abi_versions},
    Route{"GET", "/device/capabilities", Access::anyone, BodyKind::none, device_routes::get_capabilities},
    Route{"GET", "/device/security_state", Access::anyone, BodyKind::none, device_routes::get_security_state},
    Route{"GET", "/device/manufacturing_state", Access::anyone, BodyKind::none, device_routes::get_manufacturing_state},
    Route{"PUT", "/device/manufacturing_state", Access::rest, BodyKind::json, device_routes::put_manufacturing_state},
    Route{"POST", "/restart", Access::rest, BodyKind::maybe_json, device_routes::restart},
    Route{"GET", "/log", Access::rest, BodyKind::none, device_routes::get_log},
    Route{"GET", "/telemetry", Access::rest, BodyKind::none, device_routes::get_telemetry},
    Route{"DELETE", "/telemetry", Access::rest, BodyKind::none, device_routes::delete_telemetry},
    Route{"GET", "/app/status/{uid}", Access::rest, BodyKind::none, app_routes::get_status},
    Route{"PATCH", "/app/status/{uid}", Access::rest, BodyKind::json, app_routes::patch_status},
    Route{"DELETE", "/app/image/{uid}", Access::rest, BodyKind::none, app_routes::delete_image},
    Route{"GET", "/app/quota/{uid}", Access::rest, BodyKind::none, app_routes::get_quota},
    Route{"GET", "/stats/memory/groups/applications", Access::development, BodyKind::none, app_routes::get_memory_stats},
    Route{"GET", "/images", Access::rest, BodyKind::none, update_routes::get_images},
    Route{"PUT", "/update/stage", Access::rest, BodyKind::package, nullptr},
    Route{"POST", "/update/install", Access::rest, BodyKind::maybe_json, update_routes::install},
    Route{"GET", "/certstore/certs", Access::rest, BodyKind::none, certificate_routes::list},
    Route{"GET", "/certstore/certs/{uid}", Access::rest, BodyKind::none, certificate_routes::get},
    Route{"POST", "/certstore/certs/{uid}", Access::rest, BodyKind::json, certificate_routes::post},
    Route{"DELETE", "/certstore/certs/{uid}", Access::rest, BodyKind::none, certificate_routes::remove},
    Route{"GET", "/certstore/space", Access::rest, BodyKind::none, certificate_routes::get_space},
    Route{"GET", "/net/status", Access::anyone, BodyKind::none, net_routes::get_status},
    Route{"GET", "/net/interfaces", Access::rest, BodyKind::none, net_routes::get_interfaces},
    Route{"GET", "/net/interfaces/{uid}", Access::rest, BodyKind::none, net_routes::get_interface},
    Route{"PATCH", "/net/interfaces/{uid}", Access::rest, BodyKind::json, net_routes::patch_interface},
    Route{"GET", "/net/proxy", Access::rest, BodyKind::none, net_routes::get_proxy},
    Route{"POST", "/net/proxy", Access::rest, BodyKind::json, net_routes::post_proxy},
    Route{"DELETE", "/net/proxy", Access::rest, BodyKind::none, net_routes::delete_proxy},
    Route{"GET", "/net/firewall/rulesets", Access::rest, BodyKind::none, net_routes::get_firewall},
    Route{"GET", "/wifi/config/networks", Access::rest, BodyKind::none, wifi_routes::list_networks},
    Route{"POST", "/wifi/config/networks", Access::rest, BodyKind::json, wifi_routes::post_network},
    Route{"GET", "/wifi/config/networks/{uid}", Access::rest, BodyKind::none, wifi_routes::get_network},
    Route{"PATCH", "/wifi/config/networks/{uid}", Access::rest, BodyKind::json, wifi_routes::patch_network},
    Route{"DELETE", "/wifi/config/networks/{uid}", Access::rest, BodyKind::none, wifi_routes::delete_network},
    Route{"GET", "/wifi/diagnostics/networks", Access::rest, BodyKind::none, wifi_routes::list_failures},
    Route{"GET", "/wifi/diagnostics/networks/{uid}", Access::rest, BodyKind::none, wifi_routes::get_failure},
    Route{"GET", "/wifi/interface", Access::rest, BodyKind::none, wifi_routes::get_interface},
    Route{"PATCH", "/wifi/interface", Access::rest, BodyKind::json, wifi_routes::patch_interface},
    Route{"GET", "/wifi/scan", Access::rest, BodyKind::none, wifi_routes::scan},
    Route{"GET", "/sphere/v1", Access::anyone, BodyKind::none, sphere_routes::get_board},
    Route{"POST", "/sphere/v1/identity", Access::anyone, BodyKind::json, identity_routes::post_identity},
    Route{"GET", "/sphere/v1/capability", Access::anyone, BodyKind::none, identity_routes::get_capability},
    Route{"GET", "/sphere/v1/apps", Access::rest, BodyKind::none, sphere_routes::get_apps},
    Route{"GET", "/sphere/v1/apps/{uid}/sandbox", Access::rest, BodyKind::none, sphere_routes::get_sandbox},
    Route{"GET", "/sphere/v1/apps/{uid}/debug", Access::development, BodyKind::none, sphere_routes::get_debug},
    Route{"GET", "/sphere/v1/apps/{uid}/output", Access::development, BodyKind::none, sphere_routes::get_output},
    Route{"GET", "/sphere/v1/log", Access::rest, BodyKind::none, sphere_routes::get_log},
    Route{"GET", "/sphere/v1/events", Access::rest, BodyKind::none, sphere_routes::get_events},
    Route{"GET", "/sphere/v1/virtual/*", Access::anyone, BodyKind::none, sphere_routes::forward_virtual},
    Route{"PUT", "/sphere/v1/virtual/*", Access::anyone, BodyKind::forwarded, sphere_routes::forward_virtual},
    Route{"POST", "/sphere/v1/virtual/*", Access::anyone, BodyKind::forwarded, sphere_routes::forward_virtual},
    Route{"DELETE", "/sphere/v1/virtual/*", Access::anyone, BodyKind::forwarded, sphere_routes::forward_virtual},
};
// NOLINTEND(modernize-use-designated-initializers)
// clang-format on

constexpr std::string_view kUid = "{uid}";

// What `path` has in place of {uid} or '*' of `pattern`; "" when it has neither.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
  if (pattern.ends_with("/*")) {
    const auto prefix = pattern.substr(0, pattern.size() - 2);
    if (!path.starts_with(prefix)) {
      return std::nullopt;
    }
    const auto tail = path.substr(prefix.size());
    return tail.empty() || tail.starts_with('/') ? std::optional<std::string>{tail} : std::nullopt;
  }
  const auto place = pattern.find(kUid);
  if (place == std::string_view::npos) {
    return pattern == path ? std::optional<std::string>{""} : std::nullopt;
  }
  const auto before = pattern.substr(0, place);
  const auto after = pattern.substr(place + kUid.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after)) {
    return std::nullopt;
  }
  const auto middle = path.substr(place, path.size() - before.size() - after.size());
  return middle.find('/') == std::string_view::npos ? std::optional<std::string>{middle}
                                                    : std::nullopt;
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

std::optional<Match> find_route(std::string_view method, std::string_view path) {
  Match found;
  for (const auto& route : kRoutes) {
    auto tail = match(route.path, path);
    if (!tail) {
      continue;
    }
    found.methods.push_back(route.method);
    if (route.method == method) {
      found.route = &route;
      found.tail = *std::move(tail);
    }
  }
  return found.methods.empty() ? std::nullopt : std::optional{std::move(found)};
}

}  // namespace sphere::agent
