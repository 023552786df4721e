// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/sdp.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{64} * 1024 * 1024;
constexpr std::uint64_t kRate = 60'000;  // Not yet tried on hardware.
constexpr std::uint64_t kFixedSeconds = 10;

// Options of recovery.json: "chip", VID:PID of the chip as one number (0x15A20080), which a UART
// does not tell.
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& set = *request.plan;
  constexpr std::uint64_t kLargestId = 0xFFFFFFFF;
  SPHERE_TRY(check_options(set, {"chip"}));
  SPHERE_TRY_ASSIGN(const auto id, number_option(set, "chip", kLargestId));
  const PlanImage& image = set.images.front();
  if (set.images.size() != 1 || !image.partition.empty() || image.address ||
      image.size > kLargestFile) {
    return refuse_plan("SDP takes one image of at most 64 MiB, without address or partition");
  }
  if (request.verify_only) {
    return fail(Errc::invalid_argument, "what an i.MX ROM has in RAM cannot be verified",
                {.reason = "usage.bad-value", .value = "--verify-only", .next = "leave it out"});
  }
  SdpPlan plan{.chip = {}, .image = {}, .file = image.file, .size = image.size};
  std::vector<std::byte> bytes(static_cast<std::size_t>(image.size));
  SPHERE_TRY(request.files->read(image.file, 0, bytes));
  SPHERE_TRY_ASSIGN(plan.image, parse_sdp_image(bytes));
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{image.size / kRate + kFixedSeconds};
  prepared.steps = {Step::identify, Step::loader, Step::reboot};
  prepared.verified_by = "not at all: the image goes into RAM";
  prepared.make_driver = [plan, id](const Attached& attached) -> Result<std::unique_ptr<Driver>> {
    constexpr unsigned kVendorAt = 16;
    SdpPlan mine = plan;
    mine.uart = attached.usb.vendor == 0;
    const auto number =
        mine.uart ? static_cast<std::uint32_t>(id.value_or(0))
                  : std::uint32_t{attached.usb.vendor} << kVendorAt | attached.usb.product;
    const SdpChip* const chip = find_sdp_chip(static_cast<std::uint16_t>(number >> kVendorAt),
                                              static_cast<std::uint16_t>(number & 0xFFFFU));
    if (chip == nullptr || (id && *id != number)) {
      return refuse_plan(
          fmt::format("the set is not for a chip {:08x}; recovery.json names it as chip", number));
    }
    mine.chip = *chip;
    return make_sdp(std::move(mine));
  };
  return prepared;
}

constexpr std::array kHid = {CarrierKind::hid};
constexpr std::array kUart = {CarrierKind::uart};

std::span<const UsbMatch> usb_rows() {
  static const std::vector<UsbMatch> kRows = [] {
    std::vector<UsbMatch> rows;
    for (const SdpChip& chip : sdp_chips()) {
      rows.push_back({.vendor = chip.vendor, .product = chip.product, .interface_class = 3});
    }
    return rows;
  }();
  return kRows;
}

}  // namespace

Protocol sdp_protocol() {
  return {.id = "sdp",
          .name = "NXP serial download (SDP)",
          .carriers = kHid,
          .usb = usb_rows(),
          .prepare = prepare};
}

Protocol sdp_uart_protocol() {
  return {.id = "sdp-uart",
          .name = "NXP serial download (SDP) on a UART",
          .carriers = kUart,
          .prepare = prepare};
}

}  // namespace sphere::recovery
