// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/rest/access.h"
#include "device-agent/agent/rest/services.h"
#include "device-agent/agent/rest/target.h"
#include "device-agent/agent/state/capability_gate.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// One request, with what its route asked for.
struct Call {
  Services* services = nullptr;
  std::string method;
  Target target;
  std::string tail;  // What stands for {uid} or below the prefix.
  json::Value body;  // Null when there was none.
  // Capabilities in effect for this request, those of its header included.
  std::vector<std::int64_t> capabilities = {};
  std::vector<CapabilityInEffect> temporary = {};
  std::string text;  // The body as it came, for BodyKind::forwarded.
};

enum class BodyKind : std::uint8_t {
  none,        // Ignored.
  json,        // Needed.
  maybe_json,  // May be empty, then any or no Content-Type.
  package,     // application/octet-stream, streamed.
  forwarded,   // Text for the board, may be empty.
};

struct Route {
  std::string_view method;
  std::string_view path;  // "/app/status/{uid}": one segment; "/x/*": any below, or "/x" itself.
  Access access;
  BodyKind body;
  http::Response (*handle)(Call& call);  // Null for BodyKind::package.
};

inline constexpr std::size_t kJsonLimit = std::size_t{64} * 1024;

// Every route there is.
[[nodiscard]] std::span<const Route> routes();

struct Match {
  const Route* route = nullptr;  // Null: the path exists, the method does not.
  std::string tail;
  std::vector<std::string_view> methods;  // Of the path.
};
// Nothing for an unknown path.
[[nodiscard]] std::optional<Match> find_route(std::string_view method, std::string_view path);

// The handlers, by file.
namespace device_routes {
[[nodiscard]] http::Response get_status(Call& call);
[[nodiscard]] http::Response get_os_version(Call& call);
[[nodiscard]] http::Response get_abi_versions(Call& call);
[[nodiscard]] http::Response get_capabilities(Call& call);
[[nodiscard]] http::Response get_security_state(Call& call);
[[nodiscard]] http::Response get_manufacturing_state(Call& call);
[[nodiscard]] http::Response put_manufacturing_state(Call& call);
[[nodiscard]] http::Response restart(Call& call);
[[nodiscard]] http::Response get_log(Call& call);
[[nodiscard]] http::Response get_telemetry(Call& call);
[[nodiscard]] http::Response delete_telemetry(Call& call);
}  // namespace device_routes

namespace app_routes {
[[nodiscard]] http::Response get_status(Call& call);
[[nodiscard]] http::Response patch_status(Call& call);
[[nodiscard]] http::Response delete_image(Call& call);
[[nodiscard]] http::Response get_quota(Call& call);
[[nodiscard]] http::Response get_memory_stats(Call& call);
}  // namespace app_routes

namespace update_routes {
[[nodiscard]] http::Response get_images(Call& call);
[[nodiscard]] http::Response install(Call& call);
// The taker of PUT /update/stage, or why there is none.
[[nodiscard]] http::Decision stage(Services& services, std::optional<std::uint64_t> content_length);
}  // namespace update_routes

namespace certificate_routes {
[[nodiscard]] http::Response list(Call& call);
[[nodiscard]] http::Response get(Call& call);
[[nodiscard]] http::Response post(Call& call);
[[nodiscard]] http::Response remove(Call& call);
[[nodiscard]] http::Response get_space(Call& call);
}  // namespace certificate_routes

namespace net_routes {
[[nodiscard]] http::Response get_status(Call& call);
[[nodiscard]] http::Response get_interfaces(Call& call);
[[nodiscard]] http::Response get_interface(Call& call);
[[nodiscard]] http::Response patch_interface(Call& call);
[[nodiscard]] http::Response get_proxy(Call& call);
[[nodiscard]] http::Response post_proxy(Call& call);
[[nodiscard]] http::Response delete_proxy(Call& call);
[[nodiscard]] http::Response get_firewall(Call& call);
}  // namespace net_routes

namespace wifi_routes {
[[nodiscard]] http::Response list_networks(Call& call);
[[nodiscard]] http::Response post_network(Call& call);
[[nodiscard]] http::Response get_network(Call& call);
[[nodiscard]] http::Response patch_network(Call& call);
[[nodiscard]] http::Response delete_network(Call& call);
[[nodiscard]] http::Response list_failures(Call& call);
[[nodiscard]] http::Response get_failure(Call& call);
[[nodiscard]] http::Response get_interface(Call& call);
[[nodiscard]] http::Response patch_interface(Call& call);
[[nodiscard]] http::Response scan(Call& call);
}  // namespace wifi_routes

namespace identity_routes {
[[nodiscard]] http::Response post_identity(Call& call);
[[nodiscard]] http::Response get_capability(Call& call);
}  // namespace identity_routes

namespace sphere_routes {
[[nodiscard]] http::Response get_board(Call& call);
[[nodiscard]] http::Response get_apps(Call& call);
[[nodiscard]] http::Response get_sandbox(Call& call);
[[nodiscard]] http::Response get_debug(Call& call);
[[nodiscard]] http::Response get_output(Call& call);
[[nodiscard]] http::Response get_events(Call& call);
[[nodiscard]] http::Response get_log(Call& call);
[[nodiscard]] http::Response forward_virtual(Call& call);
}  // namespace sphere_routes

}  // namespace sphere::agent
