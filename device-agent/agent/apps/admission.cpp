// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/admission.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/apps/executable.h"
#include "device-agent/agent/refusal.h"
#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {
namespace {

constexpr std::uint32_t kManifestCategory = 2;
constexpr std::uint32_t kNotJson = 1;             // AppManifest 1
constexpr std::uint32_t kEntryPointMissing = 22;  // EntryPoint names no file.

Answer<manifest::Manifest> read_manifest(const image::Package& package) {
  const auto* file = package.files.find("/app_manifest.json");
  if (file == nullptr) {
    return refuse(device_api::kNoManifest, "the package has no app_manifest.json");
  }
  const auto content = image::read_file_content(package.files, *file);
  if (!content) {
    return refuse(device_api::kNoManifest, content.error());
  }
  std::string text;
  text.reserve(file->size);
  for (const auto byte : content->bytes()) {
    text.push_back(std::to_integer<char>(byte));
  }
  auto validation = manifest::validate(text, manifest::Reader::device);
  for (const auto& finding : validation.findings) {
    if (finding.severity == manifest::Severity::error) {
      return refuse(device_api::make_code(kManifestCategory, finding.id.value_or(kNotJson)),
                    fmt::format("app_manifest.json {}: {}", finding.pointer, finding.message),
                    finding.hint);
    }
  }
  if (!validation.manifest) {
    return refuse(device_api::make_code(kManifestCategory, kNotJson),
                  "app_manifest.json cannot be read");
  }
  return *std::move(validation.manifest);
}

Answer<void> check_runtime(const image::Package& package, const manifest::Manifest& manifest) {
  auto wanted = manifest.target_application_runtime_version.value_or(0);
  for (const auto& entry : package.metadata.depends.value_or(std::vector<image::AbiDependency>{})) {
    if (entry.identity_type == kRuntimeIdentity) {
      wanted = std::max<std::int64_t>(wanted, entry.version);
    }
  }
  if (wanted > kHighestApiSet) {
    return refuse(device_api::kIncompatibleRuntime,
                  fmt::format("the app needs application runtime {}, the board has {}", wanted,
                              kHighestApiSet),
                  fmt::format("set TARGET_API_SET to {} or lower", kHighestApiSet));
  }
  return {};
}

Answer<void> check_pins(const manifest::Manifest& manifest,
                        const std::vector<std::int64_t>& board_pins,
                        const std::vector<PinClaim>& claims) {
  for (const auto& entry : manifest.capabilities.gpio) {
    if (!entry.number || std::ranges::find(board_pins, *entry.number) == board_pins.end()) {
      return refuse(device_api::kUndefinedGpio,
                    fmt::format("GPIO {} is not defined on this board", entry.text),
                    "use a pin of the board's hardware definition");
    }
    const auto taken = std::ranges::find_if(
        claims, [&](const PinClaim& claim) { return claim.pin == *entry.number; });
    if (taken != claims.end()) {
      return refuse(device_api::kGpioInUse,
                    fmt::format("GPIO {} is used by app {}", entry.text, taken->app),
                    "delete that app, or use another pin");
    }
  }
  return {};
}

// Whole peripherals: an ISU belongs to one app, whatever it uses it as.
std::vector<std::string> peripherals_of(const manifest::Capabilities& capabilities) {
  std::vector<std::string> names;
  for (const auto* list : {&capabilities.uart, &capabilities.i2c_master, &capabilities.spi_master,
                           &capabilities.pwm, &capabilities.adc}) {
    for (const auto& entry : *list) {
      names.push_back(entry.text);
    }
  }
  return names;
}

Answer<void> check_peripherals(const manifest::Manifest& manifest,
                               const std::vector<PinClaim>& claims) {
  for (const auto& name : peripherals_of(manifest.capabilities)) {
    const auto taken = std::ranges::find_if(
        claims, [&](const PinClaim& claim) { return claim.peripheral == name; });
    if (taken != claims.end()) {
      return refuse(device_api::kPeripheralInUse,
                    fmt::format("{} is used by app {}", name, taken->app),
                    "delete that app, or use another peripheral");
    }
  }
  return {};
}

Answer<Executable> check_entry_point(const image::Package& package,
                                     const manifest::Manifest& manifest) {
  const auto* file = package.files.find(manifest.entry_point);
  if (file == nullptr) {
    return refuse(device_api::make_code(kManifestCategory, kEntryPointMissing),
                  fmt::format("EntryPoint {} is not in the package", manifest.entry_point));
  }
  const auto content = image::read_file_content(package.files, *file);
  if (!content) {
    return refuse(device_api::kPackageInvalid, content.error());
  }
  return check_executable(content->bytes());
}

}  // namespace

Answer<void> admit_to_stage(const image::Package& package) {
  const auto& identity = package.metadata.identity;
  if (identity.image_type != image::kApplication) {
    return refuse(
        device_api::kPackageInvalid,
        fmt::format("image type {} cannot be installed on this board", identity.image_type),
        "stage an application package");
  }
  if (identity.component_id.is_zero()) {
    return refuse(device_api::kComponentInvalid, "component id of the package is all zero");
  }
  return {};
}

Answer<void> admit_version(const image::Package& package, const std::string& board,
                           std::uint32_t installed) {
#if defined(__x86_64__)
  constexpr auto kNative = image::kMachineX86_64;
#elif defined(__aarch64__)
  constexpr auto kNative = image::kMachineAarch64;
#else
  constexpr auto kNative = image::kMachineArm;
#endif
  constexpr std::array<std::uint16_t, 2> kMachines = {image::kMachineArm, kNative};
  const std::array<std::string, 1> boards = {board};
  if (const auto fits = image::check_hardware(package.metadata, boards, kMachines); !fits) {
    return refuse(device_api::kPackageInvalid, fits.error());
  }
  const auto newer = image::check_rollback(package.metadata, {.least_image = installed});
  if (!newer) {
    return refuse(newer.error().code() == Errc::unverified ? device_api::kPackageUntrusted
                                                           : device_api::kPackageInvalid,
                  newer.error());
  }
  return {};
}

Answer<Admitted> admit(const image::Verified<image::Package>& package,
                       const std::vector<std::int64_t>& board_pins,
                       const std::vector<PinClaim>& claims) {
  SPHERE_TRY(admit_to_stage(*package));
  SPHERE_TRY_ASSIGN(auto manifest, read_manifest(*package));
  const auto& component = package->metadata.identity.component_id;
  if (manifest.component_id != component) {
    return refuse(device_api::kComponentInvalid,
                  fmt::format("ComponentId {} of the manifest is not that of the package, {}",
                              manifest.component_id_text, component.text()),
                  "pack the app again");
  }
  if (manifest.type == manifest::ApplicationType::real_time) {
    return refuse(device_api::kNoRealTimeCore, "this board has no real-time core",
                  "use a board with a real-time core");
  }
  SPHERE_TRY(check_runtime(*package, manifest));
  SPHERE_TRY_ASSIGN(const auto executable, check_entry_point(*package, manifest));
  SPHERE_TRY(check_pins(manifest, board_pins, claims));
  SPHERE_TRY(check_peripherals(manifest, claims));
  const auto storage = manifest.capabilities.mutable_storage_kb.value_or(0);
  if (storage > kStorageLimitKb) {
    return refuse(
        device_api::kStorageTooLarge,
        fmt::format("MutableStorage of {} KB is above the limit of {}", storage, kStorageLimitKb));
  }
  return Admitted{.manifest = std::move(manifest), .executable = executable};
}

std::vector<PinClaim> claims_of(const manifest::Manifest& manifest) {
  std::vector<PinClaim> claims;
  for (const auto& entry : manifest.capabilities.gpio) {
    if (entry.number) {
      claims.push_back({.app = manifest.name, .pin = *entry.number});
    }
  }
  for (auto& name : peripherals_of(manifest.capabilities)) {
    claims.push_back({.app = manifest.name, .peripheral = std::move(name)});
  }
  return claims;
}

}  // namespace sphere::agent
