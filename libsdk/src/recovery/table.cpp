// SPDX-License-Identifier: MIT
#include "sphere/recovery/table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/transport/usb.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::recovery {

std::span<const Protocol> protocols() {
  static const std::array rows = {
      mt3620_protocol(),     //
      sphere_v3_protocol(),  //
      fastboot_protocol(),   //
      stm32_protocol(),      //
      dfu_protocol(),        //
      esp_protocol(),        //
      firehose_protocol(),   //
      sdp_protocol(),        //
      sdp_uart_protocol(),   //
      xmodem_protocol(),     //
  };
  return rows;
}

const Protocol* find_protocol(std::string_view id) {
  const auto all = protocols();
  const auto found = std::ranges::find(all, id, &Protocol::id);
  return found == all.end() ? nullptr : &*found;
}

bool Protocol::has(CarrierKind kind) const {
  return std::ranges::find(carriers, kind) != carriers.end();
}

const transport::UsbInterfaceInfo* match_usb(const UsbMatch& row,
                                             const transport::UsbDeviceInfo& device,
                                             std::uint8_t alternate) {
  const auto fits = [](const auto& wanted, auto is) { return !wanted || *wanted == is; };
  if (!fits(row.vendor, device.vendor) || !fits(row.product, device.product) ||
      device.version < row.version_first || device.version > row.version_last) {
    return nullptr;
  }
  const auto interface = std::ranges::find_if(device.interfaces, [&](const auto& each) {
    return each.alternate == alternate && fits(row.interface_class, each.interface_class) &&
           fits(row.subclass, each.subclass) && fits(row.protocol, each.protocol);
  });
  return interface == device.interfaces.end() ? nullptr : &*interface;
}

namespace {

Result<const Protocol*> wanted_protocol(std::string_view wanted) {
  const Protocol* const protocol = find_protocol(wanted);
  if (protocol == nullptr) {
    std::string known;
    for (const Protocol& each : protocols()) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", each.id);
    }
    return fail(Errc::invalid_argument,
                fmt::format("there is no protocol {}", escape_control(wanted)),
                {.reason = "usage.bad-value",
                 .value = escape_control(wanted),
                 .next = "take one of " + known});
  }
  return protocol;
}

// Contradiction between --protocol and the set.
tl::unexpected<Error> other_set(std::string_view wanted, std::string_view found) {
  return fail(Errc::invalid_argument,
              fmt::format("the recovery set is for protocol {}, not {}", escape_control(found),
                          escape_control(wanted)),
              {.reason = "usage.bad-value",
               .value = escape_control(wanted),
               .next = "leave --protocol out, or give the set of this board"});
}

// By a manifest in the set; null: there is none of a protocol that may be meant.
const Protocol* protocol_of_manifest(const FileSet& set, const Protocol* asked) {
  for (const Protocol& protocol : protocols()) {
    if (!protocol.manifest.empty() && set.find(protocol.manifest) != nullptr &&
        (asked == nullptr || asked == &protocol)) {
      return &protocol;
    }
  }
  return nullptr;
}

// Of a set with a plan. `asked` may be null.
Result<const Protocol*> protocol_of_plan(const SetPlan& plan, const Protocol* asked) {
  const Protocol* const named = find_protocol(plan.protocol);
  if (named == nullptr || !named->manifest.empty()) {
    return refuse_plan(fmt::format("{} is no protocol of such a file", plan.protocol));
  }
  if (asked != nullptr && asked != named) {
    return other_set(asked->id, plan.protocol);
  }
  return named;
}

}  // namespace

Result<const Protocol*> choose_protocol(const FileSet& set, std::string_view wanted,
                                        const TrustOf& trust, std::optional<SetPlan>& plan) {
  const Protocol* asked = nullptr;
  if (!wanted.empty()) {
    SPHERE_TRY_ASSIGN(asked, wanted_protocol(wanted));
  }
  if (const Protocol* const known = protocol_of_manifest(set, asked)) {
    return known;
  }
  // What is missing then is said by the protocol: the one that was asked for, or the MT3620's.
  const bool has_plan = set.find(kPlanFile) != nullptr;
  if (asked != nullptr && !asked->manifest.empty()) {
    return asked;
  }
  if (asked == nullptr && !has_plan) {
    return find_protocol("mt3620");
  }
  SPHERE_TRY_ASSIGN(plan, check_set_plan(set, trust));
  return protocol_of_plan(*plan, asked);
}

Result<PreparedRecovery> describe_plan(const RecoveryRequest& request) {
  const SetPlan& plan = *request.plan;
  if (!request.board.empty() && request.board != plan.board) {
    return fail(
        Errc::invalid_argument,
        fmt::format("the recovery set is for board {}, not {}",
                    plan.board.empty() ? "(none)" : plan.board, escape_control(request.board)),
        {.reason = "recovery.image-refused",
         .value = escape_control(request.board),
         .next = "give the set of this board; the board is untouched"});
  }
  return PreparedRecovery{.images = static_cast<std::uint32_t>(plan.images.size()),
                          .bytes = plan.total_size(),
                          .files = plan.images.size(),
                          .signatures = plan.signatures,
                          .signed_by_known_key = plan.signed_by_known_key,
                          .usb = plan.usb};
}

std::span<const KnownLoader> known_loaders() {
  static constexpr std::array kLoaders = {
      KnownLoader{.vendor = 0x1F3A,
                  .product = 0xEFE8,
                  .name = "Allwinner FEL",
                  .tool = "sunxi-fel (package sunxi-tools)"},
      KnownLoader{
          .vendor = 0x2207, .product = std::nullopt, .name = "Rockchip", .tool = "rkdeveloptool"},
      KnownLoader{.vendor = 0x1B8E, .product = 0xC003, .name = "Amlogic", .tool = "pyamlboot"},
      KnownLoader{.vendor = 0x0451,
                  .product = 0x6165,
                  .name = "Texas Instruments AM62x",
                  .tool = "snagrecover"},
      KnownLoader{.vendor = 0x03EB,
                  .product = 0x6124,
                  .name = "Microchip SAM-BA",
                  .tool = "bossac (package bossa-cli)"},
      KnownLoader{
          .vendor = 0x0A5C, .product = 0x2711, .name = "Broadcom BCM2711", .tool = "rpiboot"},
  };
  return kLoaders;
}

std::string udev_rule(std::uint16_t vendor, std::uint16_t product) {
  return fmt::format(
      R"(SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ATTR{{idVendor}}=="{:04x}", ATTR{{idProduct}}=="{:04x}", MODE="0660", GROUP="sphere", TAG+="uaccess")",
      vendor, product);
}

namespace {

// Of a row without ids, the interface: udev has all of a device's in one text.
std::string rule_of(const UsbMatch& row) {
  if (row.vendor && row.product) {
    return udev_rule(*row.vendor, *row.product) + "\n";
  }
  const auto digits = [](const std::optional<std::uint8_t>& part) {
    return part ? fmt::format("{:02x}", *part) : std::string{"??"};
  };
  return fmt::format(
      R"(SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ENV{{ID_USB_INTERFACES}}=="*:{}{}{}:*", MODE="0660", GROUP="sphere", TAG+="uaccess")"
      "\n",
      digits(row.interface_class), digits(row.subclass), digits(row.protocol));
}

}  // namespace

std::string recovery_udev_rules() {
  std::string rules{transport::udev_rules()};
  for (const Protocol& protocol : protocols()) {
    bool first = true;
    for (const UsbMatch& row : protocol.usb) {
      rules += std::exchange(first, false) ? fmt::format("# {}\n", protocol.name) : "";
      rules += rule_of(row);
    }
  }
  return rules;
}

}  // namespace sphere::recovery
