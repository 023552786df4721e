// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/connection.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/package.h"
#include "sphere/manifest/manifest.h"

namespace sphere::cli {

// The debugger's component: no app of the user's, never removed with "all apps".
inline constexpr std::string_view kDebuggerComponent = "8548b129-b16f-4f84-8dbe-d2c847862e78";

struct Deployed {
  Guid component_id = {};
  Guid image_id = {};
  std::string name;
  device_api::AppState state = device_api::AppState::stopped;
  std::size_t bytes = 0;
  bool is_app = true;  // Else a trust store, which has no state.
};

struct DeployOptions {
  bool manual_start = false;  // Leaves the app stopped.
  // Also sends a package that is for a beta API set, or whose program the board would not run as
  // far as this PC can tell.
  bool force = false;
};

// Checks the package on this PC (form, signature there, manifest, program, size the device takes),
// sends and installs it. A package that fails a check is not sent. Errors: those of the checks
// (package.corrupt, package.manifest, package.executable, package.unsupported, package.too-large),
// and the device's.
[[nodiscard]] Result<Deployed> deploy_package(Context& context, DeviceSession& session,
                                              const std::filesystem::path& file,
                                              const DeployOptions& options);

// What deploy_package() asks of the program of a package and of the API set that it is for.
// `processors` names what the board runs: "arm", "x86_64", "aarch64"; empty: any of them.
[[nodiscard]] Result<void> check_program(const image::Package& package,
                                         const manifest::Manifest& manifest,
                                         const std::string& file,
                                         const std::vector<std::string>& processors);

// Where the debug ports of an app can be reached from this PC now: sockets of a virtual board,
// which gdb takes as an address, or the ports of the device's own address.
struct DebugAddresses {
  std::string gdb, output;
};
[[nodiscard]] DebugAddresses debug_addresses(const DeviceSession& session,
                                             const device::RestClient::DebugPorts& ports);

// One app on the device.
struct InstalledApp {
  Guid component_id = {};
  std::string name;
};

// The apps on the device, without the debugger.
[[nodiscard]] Result<std::vector<InstalledApp>> installed_apps(DeviceSession& session);

// The value of --component-id. Errors: invalid_argument (usage.bad-value).
[[nodiscard]] Result<Guid> parse_component(const std::string& text);

// The app that --component-id names, or the only one that is installed. Errors: not_found
// (app.not-present), invalid_argument (several; usage.missing-option).
[[nodiscard]] Result<Guid> one_app(DeviceSession& session, const Arguments& arguments);

}  // namespace sphere::cli
