// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/fastboot.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kRate = 10'000'000;  // Not yet tried on hardware.
constexpr std::uint64_t kFixedSeconds = 5;

// Options of recovery.json: "hashCommand", a command of the loader that tells the SHA-256 of the
// first bytes of a partition.
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& set = *request.plan;
  SPHERE_TRY(check_options(set, {"hashCommand"}));
  SPHERE_TRY_ASSIGN(const auto hash, text_option(set, "hashCommand"));
  FastbootPlan plan{.images = {},
                    .hash_command = hash.value_or(""),
                    .write_all = request.write_all,
                    .verify_only = request.verify_only,
                    .reboot = !request.verify_only};
  for (const PlanImage& image : set.images) {
    if (image.partition.empty() || image.address) {
      return refuse_plan(fmt::format("{} needs a partition and no address", image.file));
    }
    plan.images.push_back({.partition = image.partition,
                           .file = image.file,
                           .size = image.size,
                           .sha256 = to_hex(image.sha256)});
  }
  SPHERE_TRY(make_fastboot(plan));
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{set.total_size() / kRate + kFixedSeconds};
  prepared.steps = {Step::identify, Step::inventory, Step::write, Step::verify, Step::reboot};
  prepared.verified_by = fmt::format("by the loader's command {}", plan.hash_command);
  prepared.make_driver =
      [plan = std::move(plan)](const Attached& attached) -> Result<std::unique_ptr<Driver>> {
    FastbootPlan own = plan;
    own.tcp = attached.is_tcp;
    return make_fastboot(std::move(own));
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::bulk, CarrierKind::tcp};
// Android's interface; every phone in its loader has it, so that the set must name the protocol.
constexpr std::array kUsb = {
    UsbMatch{.vendor = 0x0525, .product = 0xA4A5, .interface_class = 0xFF, .subclass = 0x42},
    UsbMatch{.vendor = 0x18D1, .product = 0x0D02, .interface_class = 0xFF, .subclass = 0x42},
    UsbMatch{.vendor = 0x1FC9, .product = 0x0152, .interface_class = 0xFF, .subclass = 0x42},
    UsbMatch{.vendor = 0x3016, .product = 0x0001, .interface_class = 0xFF, .subclass = 0x42},
    UsbMatch{.vendor = 0x0483, .product = 0x0AFB, .interface_class = 0xFF, .subclass = 0x42},
    UsbMatch{.interface_class = 0xFF, .subclass = 0x42, .protocol = 0x03, .automatic = false},
};

}  // namespace

Protocol fastboot_protocol() {
  return {.id = "fastboot",
          .name = "fastboot 0.4",
          .carriers = kCarriers,
          .usb = kUsb,
          .prepare = prepare};
}

}  // namespace sphere::recovery
