// SPDX-License-Identifier: MIT
#include "cli/net/sideload.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/utsname.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/connection.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/executable_check.h"
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
Result<manifest::Manifest> check_manifest(const image::Package& package, const std::string& file) {
  const image::FileEntry* const entry = package.files.find(kManifestFile);
  if (entry == nullptr) {
    return fail(Errc::corrupt, file + " holds no app_manifest.json",
                {.reason = "package.manifest", .value = file, .next = "pack the app again"});
  }
  SPHERE_TRY_ASSIGN(const auto content, image::read_file_content(package.files, *entry));
  const std::string text = text_of(content.bytes());
  auto validation = manifest::validate(text, manifest::Reader::device);
  if (validation.has_errors() || !validation.manifest) {
    return tl::make_unexpected(
        manifest::to_error(validation, file + ":" + std::string{kManifestFile}));
  }
  return *std::move(validation.manifest);
}

std::string_view processor_name(std::uint16_t machine) {
  switch (machine) {
    case image::kMachineArm:
      return "arm";
    case image::kMachineX86_64:
      return "x86_64";
    case image::kMachineAarch64:
      return "aarch64";
    default:
      return "";
  }
}

// A virtual board on this PC runs programs of the PC's processor, and ARM where it says so. What
// the processor of another board is, only the board knows.
Result<std::vector<std::string>> processors_of(DeviceSession& session) {
  if (!session.device.is_virtual) {
    return std::vector<std::string>{};
  }
  SPHERE_TRY_ASSIGN(const auto info, session.rest.board_info());
  utsname system = {};
  std::vector<std::string> processors;
  if (::uname(&system) == 0) {
    processors.emplace_back(static_cast<const char*>(system.machine));
  }
  if (std::ranges::find(info.features, "emulated-apps") != info.features.end()) {
    processors.emplace_back("arm");
  }
  return processors;
}

// Findings that keep a program from starting on the device, too. "wrong-type" and "wrong-float-abi"
// are none of them, nor is "wrong-interpreter" for a program without a loader.
constexpr std::array<std::string_view, 5> kFatalRules = {
    "entry-point-missing", "not-elf", "wrong-class", "wrong-machine", "missing-library",
};

// Whether the program asks for a loader; a static one does not.
bool has_loader(const image::Package& package, const std::string& entry_point) {
  const auto* const file = package.files.find(entry_point);
  const auto content = file == nullptr ? fail(Errc::not_found, "no such file")
                                       : image::read_file_content(package.files, *file);
  const auto elf = content ? image::read_elf(content->bytes()) : fail(Errc::corrupt, "no program");
  return elf && !elf->interpreter.empty();
}

Error unfit(std::string message, std::string_view reason, std::string value, std::string next) {
  next += next.empty() ? "" : "; or ";
  return Error{Errc::unsupported,
               std::move(message),
               {.reason = reason,
                .value = std::move(value),
                .next = next + "send it all the same: --force"}};
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

// What a board may still take, and this PC doubts.
Result<void> check_fitness(Context& context, DeviceSession& session, const image::Package& package,
                           const manifest::Manifest& manifest, const std::string& file,
                           bool force) {
  SPHERE_TRY_ASSIGN(const auto processors, processors_of(session));
  auto checked = check_program(package, manifest, file, processors);
  if (!checked && force) {
    context.reporter.warn(checked.error().message() + " (sent because of --force)");
    return {};
  }
  return checked;
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

Result<image::Package> open_package(std::span<const std::byte> bytes, const std::string& file) {
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
  return package;
}

Result<Checked> check_package(Context& context, DeviceSession& session,
                              std::span<const std::byte> bytes, const std::string& file,
                              bool force) {
  SPHERE_TRY_ASSIGN(const auto package, open_package(bytes, file));
  if (package.metadata.identity.image_type == image::kApplication) {
    SPHERE_TRY_ASSIGN(const auto manifest, check_manifest(package, file));
    SPHERE_TRY(check_fitness(context, session, package, manifest, file, force));
  }
  return Checked{.identity = package.metadata.identity, .name = package.metadata.debug.name};
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

Result<void> check_program(const image::Package& package, const manifest::Manifest& manifest,
                           const std::string& file, const std::vector<std::string>& processors) {
  if (!manifest.target_beta_apis.empty()) {
    return tl::make_unexpected(unfit(
        fmt::format("{} is for the beta API set {}, which the device's OS may no longer support",
                    file, escape_control(manifest.target_beta_apis)),
        "package.unsupported", manifest.target_beta_apis,
        "build it for an API set that is no beta"));
  }
  const bool real_time = manifest.type == manifest::ApplicationType::real_time;
  const auto findings = image::check_executable(
      package.files,
      {.entry_point = manifest.entry_point,
       .kind = real_time ? image::ProgramKind::real_time : image::ProgramKind::high_level});
  for (const auto& finding : findings) {
    const bool wrong_loader = finding.rule == "wrong-interpreter" && !real_time &&
                              has_loader(package, manifest.entry_point);
    if (wrong_loader || std::ranges::find(kFatalRules, finding.rule) != kFatalRules.end()) {
      return tl::make_unexpected(unfit(file + ": " + escape_control(finding.message),
                                       "package.executable", finding.rule, finding.next));
    }
  }
  SPHERE_TRY_ASSIGN(const auto machine,
                    image::entry_point_machine(package.files, manifest.entry_point));
  const std::string name{processor_name(machine)};
  if (!real_time && !processors.empty() &&
      std::ranges::find(processors, name) == processors.end()) {
    return tl::make_unexpected(
        unfit(fmt::format("{}: the program is for {}; this board runs {}", file,
                          image::machine_text(machine), join(processors, ", ")),
              "package.executable", name, "build it for one of the board's processors"));
  }
  return {};
}

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
                                const std::filesystem::path& file, const DeployOptions& options) {
  context.reporter.step("Checking " + file.string());
  SPHERE_TRY_ASSIGN(const std::vector<std::byte> bytes, read_package(file));
  SPHERE_TRY_ASSIGN(const Checked checked,
                    check_package(context, session, bytes, file.string(), options.force));
  SPHERE_TRY(check_size(session, bytes.size(), file.string()));
  SPHERE_TRY(install_package(context, session, bytes, checked.name, options.manual_start));
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
