// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::recovery {

// The one visible list of recovery protocols: what `sphere device recover` can do, and by which USB
// ids it finds boards. To add a protocol:
//
//   1. libsdk/src/recovery/protocols/<id>.cpp: a function that returns its Protocol
//   2. its declaration in libsdk/src/recovery/protocols/rows.h, and its line in table.cpp
//
// What moves the driver's bytes.
enum class CarrierKind : std::uint8_t {
  uart,     // The recovery UART of an FT4232H, a serial device, or TCP in its place.
  tcp,      // TCP as the protocol defines it.
  control,  // USB: ControlTransfer.
  bulk,     // USB: Send and ReadBulk, and ControlTransfer.
  hid,      // USB: SetReport and ReportIn, and ControlTransfer.
};

// A row of USB ids. All that is given must match; the interface parts must be those of one
// interface, which is the one that is opened.
struct UsbMatch {
  std::optional<std::uint16_t> vendor = {};
  std::optional<std::uint16_t> product = {};
  std::uint16_t version_first = 0;
  std::uint16_t version_last = 0xFFFF;
  std::optional<std::uint8_t> interface_class = {};
  std::optional<std::uint8_t> subclass = {};
  std::optional<std::uint8_t> protocol = {};
  // False: the ids are not enough to know the board; only a set or --protocol that names the
  // protocol makes it a candidate.
  bool automatic = true;
};

// The first interface of `device` that fits a row: its first alternate setting with `alternate`.
// Null: it is not for this row.
[[nodiscard]] const transport::UsbInterfaceInfo* match_usb(const UsbMatch& row,
                                                           const transport::UsbDeviceInfo& device,
                                                           std::uint8_t alternate = 0);

// What is known of a board once the way to it is open.
struct Attached {
  bool is_tcp = false;
  transport::UsbDeviceInfo usb = {};           // USB only.
  transport::UsbInterfaceInfo interface = {};  // The same.
  std::string interface_text = {};             // Of the alternate setting; escaped.
};

// What the command line says.
struct RecoveryRequest {
  FileSet* files = nullptr;  // A protocol may add files of the user's.
  TrustOf trust = {};
  const SetPlan* plan = nullptr;  // Of sets with a recovery.json; never null for rows without
                                  // `manifest`.
  std::optional<std::filesystem::path> capability = {};
  std::string board = {};  // --board; empty: any.
  bool manual = false;
  bool verify_only = false;
  bool write_all = false;
  bool keep_data = false;
  bool allow_mass_erase = false;
};

// A set that was checked whole: nothing about it is left to find out while the board is open.
struct PreparedRecovery {
  std::uint32_t images = 0;
  std::uint64_t bytes = 0;  // Of these.
  std::size_t files = 0;
  std::string signatures = {};  // As CheckedSetV2 has it.
  bool signed_by_known_key = false;
  std::chrono::seconds estimate{0};  // How long it takes, about.
  std::vector<Step> steps = {};      // As they are planned.
  std::string verified_by = {};      // "by the board, against its signed manifest"
  std::vector<UsbIds> usb = {};      // Only boards with these ids; none: by the table alone.
  bool shows_boot = false;           // The board's device API tells whether it has booted.
  std::uint8_t alternate = 0;        // Alternate setting of the USB interface.
  transport::LineSettings line = {.baud = 115200, .flow = transport::FlowControl::none};
  std::chrono::seconds boot_limit{90};
  // After a device came back under other ids a new client is made for it (else it is a LinkBack).
  bool remake_driver = false;
  // A client for one try. Called again after the board was lost and found. Errors: unsupported,
  // invalid_argument (what is attached does not fit the set).
  std::function<Result<std::unique_ptr<Driver>>(const Attached&)> make_driver = {};
};

struct Protocol {
  std::string_view id;             // What --protocol takes.
  std::string_view name;           // For people.
  std::string_view manifest = {};  // File by which its sets are known; empty: recovery.json.
  std::span<const CarrierKind> carriers = {};
  std::span<const UsbMatch> usb = {};  // Empty: found by its FT4232H, or named by --port.
  // Checks the whole set. Errors: not_found (recovery.image-missing), recovery.image-refused,
  // invalid_argument (usage.bad-value: an option that this protocol cannot do).
  Result<PreparedRecovery> (*prepare)(const RecoveryRequest& request) = nullptr;

  [[nodiscard]] bool has(CarrierKind kind) const;
};

[[nodiscard]] std::span<const Protocol> protocols();
// Null: there is none.
[[nodiscard]] const Protocol* find_protocol(std::string_view id);

// The protocol of a set: by its manifest, or as its recovery.json says; `wanted` (--protocol) must
// not contradict. `plan` is filled when the set has one. Errors: not_found, corrupt
// (recovery.image-refused), invalid_argument (usage.bad-value).
[[nodiscard]] Result<const Protocol*> choose_protocol(const FileSet& set, std::string_view wanted,
                                                      const TrustOf& trust,
                                                      std::optional<SetPlan>& plan);

// Boot loaders that are recognised and not spoken: what to use instead.
struct KnownLoader {
  std::uint16_t vendor;
  std::optional<std::uint16_t> product;
  std::string_view name;
  std::string_view tool;
};
[[nodiscard]] std::span<const KnownLoader> known_loaders();

// The udev rules for all that this table finds, and for the boards' FT4232H.
[[nodiscard]] std::string recovery_udev_rules();
// The one line for these ids.
[[nodiscard]] std::string udev_rule(std::uint16_t vendor, std::uint16_t product);

}  // namespace sphere::recovery
