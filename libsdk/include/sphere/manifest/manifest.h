// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"

namespace sphere::manifest {

enum class ApplicationType : std::uint8_t {
  high_level,
  real_time
};  // "Default", "RealTimeCapable"

// A peripheral as a manifest names it: a pin number, or "ISU0", "PWM-CONTROLLER-0"; a name with a
// leading '$' is still to be resolved through a hardware definition.
struct PeripheralRef {
  std::string text;
  std::optional<std::int64_t> number = {};  // Gpio pin.
  [[nodiscard]] bool is_name() const { return text.starts_with('$'); }
};

struct Capabilities {
  std::vector<PeripheralRef> gpio, uart, i2c_master, spi_master, pwm, adc;
  std::vector<std::string> i2s_subordinate, external_interrupt;
  std::vector<std::string> allowed_connections;
  std::vector<std::uint16_t> allowed_tcp_server_ports, allowed_udp_server_ports;
  std::vector<Guid> allowed_application_connections;
  std::optional<std::uint32_t> mutable_storage_kb;
  std::string device_authentication;
  std::vector<std::string> power_controls;
  bool network_config = false, wifi_config = false, enterprise_wifi_config = false;
  bool system_time = false, time_sync_config = false, cert_store = false;
  bool dhcp_service = false, sntp_service = false, read_network_proxy_config = false;
  bool system_event_notifications = false, software_update_deferral = false;
  bool hardware_address_config = false, reset_memory_watermarks = false, heap_mem_stats = false;
};

// The content of app_manifest.json. docs/formats/app-manifest.md describes every key.
struct Manifest {
  std::string name;
  std::optional<Guid> component_id;  // Absent: missing or not a GUID (pack-application repairs it).
  std::string component_id_text;     // As written.
  std::string entry_point;           // With a leading '/'.
  std::vector<std::string> arguments;
  ApplicationType type = ApplicationType::high_level;
  Capabilities capabilities;
  std::optional<std::int64_t> target_application_runtime_version;
  std::string target_beta_apis;
  std::optional<std::uint32_t> core;  // Real-time core asked for.
};

enum class Severity : std::uint8_t { error, warning };

// One thing the validator found. Errors carry a number (docs/formats/app-manifest.md), nearly all
// of category 2; on the wire it is category * 2^20 + id.
struct Finding {
  Severity severity = Severity::error;
  std::uint32_t category = 2;
  std::optional<std::uint32_t> id = {};  // Absent for warnings.
  std::string rule = {};                 // "GpioParseError"; warnings have names of their own.
  std::string pointer = {};              // JSON pointer: "/Capabilities/Gpio/2".
  std::size_t line = 0, column = 0;
  std::string message = {};
  std::string hint = {};  // What to write instead.
};

// Who reads: a packer warns of unknown capabilities (UnknownCapability), a device refuses them (1,
// 24: IllegalCapabilityInManifest). A packer reads "$NAME" and a missing or malformed ComponentId,
// which packing replaces, with warnings at most; for a device they are errors.
enum class Reader : std::uint8_t { packer, device };

struct Validation {
  std::optional<Manifest> manifest;  // Present when no finding is an error.
  std::vector<Finding> findings;     // In source order.
  [[nodiscard]] bool has_errors() const;
};

// Largest manifest that is read or written.
inline constexpr std::size_t kMaxManifestBytes = std::size_t{64} * 1024;

// Reads and checks a manifest. Never fails otherwise than by findings; reads at most 64 KiB. Pins
// are compared among the entries that are no "$NAME"; rewrite() compares the rest. What only the
// caller can see is left to it: package_finding().
[[nodiscard]] Validation validate(std::string_view text, Reader reader = Reader::packer);

// Errors that show only beside the manifest: in the package directory or file.
enum class PackageProblem : std::uint8_t {
  unreadable_manifest = 2,     // ErrorReadingFile
  no_entry_point_file = 22,    // SpecifiedEntryPointDoesNotExist
  entry_point_directory = 23,  // SpecifiedEntryPointIsNotAFile
  no_manifest = 25,            // NoAppManifest
};
// The finding for it. `detail` names the file or entry point.
[[nodiscard]] Finding package_finding(PackageProblem problem, std::string_view detail);

// True when an entry of AllowedConnections can be reached at all: a host or service name (labels of
// letters, digits, '-' and '_', at most 253 bytes), or an IP address. Others are packed with a
// warning, and a device never opens anything for them.
[[nodiscard]] bool is_connection_target(std::string_view entry);

// The errors of `validation` as one Error (package.manifest), naming `file`; at most 20 are listed.
[[nodiscard]] Error to_error(const Validation& validation, std::string_view file);

}  // namespace sphere::manifest
