// SPDX-License-Identifier: MIT
#include "cli/net/sideload.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/context.h"
#include "cli/net/connection.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust_image.h"
#include "sphere/image/verify_v2.h"
#include "sphere/manifest/manifest.h"

namespace sphere::cli {

namespace {

constexpr std::size_t kPackageLimit = std::size_t{256} * 1024 * 1024;
constexpr std::string_view kManifestFile = "app_manifest.json";

// What the package says about itself, once its form is known to be good.
struct Checked {
  image::Identity identity;
  std::string name;
};

std::string text_of(std::span<const std::byte> bytes) {
  std::string text(bytes.size(), '\0');
  std::ranges::transform(bytes, text.begin(),
                         [](std::byte byte) { return std::to_integer<char>(byte); });
  return text;
}

// A wrong manifest would be refused by the device anyway; here all its errors can be shown.
Result<void> check_manifest(const image::Package& package, const std::string& file) {
  const image::FileEntry* const entry = package.files.find(kManifestFile);
  if (entry == nullptr) {
    return fail(Errc::corrupt, file + " holds no app_manifest.json",
                {.reason = "package.manifest", .value = file, .next = "pack the app again"});
  }
  SPHERE_TRY_ASSIGN(const auto content, image::read_file_content(package.files, *entry));
  const std::string text = text_of(content.bytes());
  const auto validation = manifest::validate(text, manifest::Reader::device);
  if (validation.has_errors()) {
    return tl::make_unexpected(
        manifest::to_error(validation, file + ":" + std::string{kManifestFile}));
  }
  return {};
}

Result<std::vector<std::byte>> read_package(const std::filesystem::path& file) {
  auto read = read_file(file, kPackageLimit);
  if (!read) {
    const std::string_view reason = read.error().hint().reason;
    return tl::make_unexpected(std::move(read).error().with_hint(
        {.reason = reason.empty() ? "local.file-unreadable" : reason,
         .value = file.string(),
         .next = "make the package: sphere project build"}));
  }
  return read;
}

// Sends and installs it.
Result<void> install_package(Context& context, DeviceSession& session,
                             std::span<const std::byte> bytes, const std::string& name,
                             bool manual_start) {
  context.reporter.step("Sending " + name);
  SPHERE_TRY(session.rest.stage(text_of(bytes), [&context](std::size_t done, std::size_t total) {
    context.reporter.bytes(done, total);
  }));
  context.reporter.step("Installing " + name);
  SPHERE_TRY(session.rest.install(manual_start));
  return {};
}

// An application with its files, or a trust store; of any other kind it says what it is.
Result<void> open_content(image::Package& package) {
  if (package.metadata.identity.image_type == image::kTrustedKeyStore) {
    SPHERE_TRY(image::open_trust_record(package));
    return {};
  }
  return image::open_application(package);
}

Result<Checked> check_package(std::span<const std::byte> bytes, const std::string& file) {
  auto package = image::parse_package(bytes);
  if (package) {
    if (auto content = open_content(*package); !content) {
      package = tl::make_unexpected(std::move(content).error());
    }
  }
  if (!package) {
    Error error = std::move(package).error().while_doing(file);
    const std::string_view reason = error.hint().reason;
    return tl::make_unexpected(
        std::move(error).with_hint({.reason = reason.empty() ? "package.corrupt" : reason,
                                    .value = file,
                                    .next = "look into it: sphere image-package show " + file}));
  }
  if (package->metadata.identity.image_type == image::kApplication) {
    SPHERE_TRY(check_manifest(*package, file));
  }
  return Checked{.identity = package->metadata.identity, .name = package->metadata.debug.name};
}

Result<void> check_size(DeviceSession& session, std::size_t bytes, const std::string& file) {
  SPHERE_TRY_ASSIGN(const auto info, session.rest.board_info());
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(info.max_image_bytes, 0));
  if (most != 0 && bytes > most) {
    return fail(Errc::too_large,
                fmt::format("the package is {} bytes; this board takes {}", with_thousands(bytes),
                            with_thousands(most)),
                {.reason = "package.too-large", .value = file, .next = "make the app smaller"});
  }
  return {};
}

// A board that restarts between the two requests has nothing staged any more, which it answers like
// a success.
Result<void> check_installed(DeviceSession& session, const image::Identity& identity) {
  SPHERE_TRY_ASSIGN(const auto images, session.rest.images());
  for (const device_api::Component& component : images.components) {
    const bool is_new = std::ranges::any_of(component.images, [&identity](const auto& image) {
      return Guid::parse(image.uid) == identity.image_id;
    });
    if (Guid::parse(component.uid) == identity.component_id && is_new) {
      return {};
    }
  }
  return fail(Errc::unavailable, "the device restarted before it installed the package",
              {.reason = "device.restarting",
               .value = identity.component_id.text(),
               .next = "deploy the package again"});
}

}  // namespace

Result<Guid> parse_component(const std::string& text) {
  const auto component = Guid::parse(text);
  if (!component) {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is not a component id", escape_control(text)),
                {.reason = "usage.bad-value",
                 .value = text,
                 .next = "see the ids: sphere device image list-installed"});
  }
  return *component;
}

Result<std::vector<InstalledApp>> installed_apps(DeviceSession& session) {
  SPHERE_TRY_ASSIGN(const auto images, session.rest.images());
  std::vector<InstalledApp> apps;
  for (const device_api::Component& component : images.components) {
    const auto id = Guid::parse(component.uid);
    if (component.image_type == image::kApplication && id && id->text() != kDebuggerComponent) {
      apps.push_back({.component_id = *id, .name = component.name});
    }
  }
  return apps;
}

DebugAddresses debug_addresses(const DeviceSession& session,
                               const device::RestClient::DebugPorts& ports) {
  const auto& socket = session.device.endpoint.unix_socket;
  const auto address = [&](std::int64_t port) {
    return session.device.is_virtual && !socket.empty()
               ? (socket.parent_path() / fmt::format("{}.sock", port)).string()
               : fmt::format("{}:{}", session.device.ip_address, port);
  };
  return {.gdb = address(ports.gdb), .output = address(ports.output)};
}

Result<Deployed> deploy_package(Context& context, DeviceSession& session,
                                const std::filesystem::path& file, bool manual_start) {
  context.reporter.step("Checking " + file.string());
  SPHERE_TRY_ASSIGN(const std::vector<std::byte> bytes, read_package(file));
  SPHERE_TRY_ASSIGN(const Checked checked, check_package(bytes, file.string()));
  SPHERE_TRY(check_size(session, bytes.size(), file.string()));
  SPHERE_TRY(install_package(context, session, bytes, checked.name, manual_start));
  Deployed deployed{.component_id = checked.identity.component_id,
                    .image_id = checked.identity.image_id,
                    .name = checked.name,
                    .state = device_api::AppState::stopped,
                    .bytes = bytes.size()};
  SPHERE_TRY(check_installed(session, checked.identity));
  deployed.is_app = checked.identity.image_type == image::kApplication;
  if (deployed.is_app) {
    SPHERE_TRY_ASSIGN(deployed.state, session.rest.app_state(deployed.component_id));
  }
  return deployed;
}

Result<Guid> one_app(DeviceSession& session, const Arguments& arguments) {
  if (const auto wanted = arguments.value("component-id")) {
    return parse_component(*wanted);
  }
  SPHERE_TRY_ASSIGN(const auto apps, installed_apps(session));
  if (apps.empty()) {
    return fail(Errc::not_found, "no app is installed on the device",
                {.reason = "app.not-present",
                 .next = "deploy one: sphere device sideload deploy --image-package FILE"});
  }
  if (apps.size() > 1) {
    std::vector<std::string> ids;
    ids.reserve(apps.size());
    for (const InstalledApp& app : apps) {
      ids.push_back(fmt::format("{} ({})", app.component_id.text(), escape_control(app.name)));
    }
    return fail(Errc::invalid_argument, fmt::format("{} apps are installed", apps.size()),
                {.reason = "usage.missing-option",
                 .value = join(ids, ", "),
                 .next = "name one: --component-id " + apps.front().component_id.text()});
  }
  return apps.front().component_id;
}

}  // namespace sphere::cli
