// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/dfu.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{64} * 1024 * 1024;
constexpr std::uint32_t kLargest = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kRate = 40'000;  // Not yet tried on hardware.
constexpr std::uint64_t kFixedSeconds = 10;
constexpr std::uint8_t kRunning = 1;  // Protocol of the interface while the firmware runs.

struct DfuSet {
  std::string file;
  std::uint64_t size = 0;
  std::vector<std::byte> suffixed;  // The file: its suffix names devices.
  std::uint32_t address = 0;
  bool has_address = false;
  bool write_all = false;
  bool verify_only = false;
};

Result<std::unique_ptr<Driver>> make_driver(const DfuSet& set, const Attached& attached) {
  DfuPlan plan{.descriptor = {},
               .interface = attached.interface.number,
               .is_running = attached.interface.protocol == kRunning,
               .file = set.file,
               .address = set.address,
               .write_all = set.write_all,
               .verify_only = set.verify_only};
  SPHERE_TRY_ASSIGN(plan.descriptor, parse_dfu_descriptor(attached.interface.extra));
  SPHERE_TRY_ASSIGN(plan.size,
                    dfu_content_size(set.suffixed, attached.usb.vendor, attached.usb.product));
  if (plan.descriptor.version == kDfuSe && !plan.is_running) {
    if (!set.has_address) {
      return refuse_plan("a DfuSe board needs the image's address");
    }
    SPHERE_TRY_ASSIGN(plan.pages, parse_dfuse_layout(attached.interface_text));
  }
  return make_dfu(std::move(plan));
}

// Options of recovery.json: "alternate", the alternate setting of the interface (0).
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& plan = *request.plan;
  SPHERE_TRY(check_options(plan, {"alternate"}));
  SPHERE_TRY_ASSIGN(const auto alternate, number_option(plan, "alternate", 255));
  const PlanImage& image = plan.images.front();
  if (plan.images.size() != 1 || !image.partition.empty()) {
    return refuse_plan("DFU takes one image without a partition");
  }
  if (image.address.value_or(0) > kLargest || image.size > kLargestFile) {
    return refuse_plan(fmt::format("{} is too large, or its address", image.file));
  }
  DfuSet set{.file = image.file,
             .suffixed = std::vector<std::byte>(static_cast<std::size_t>(image.size)),
             .address = static_cast<std::uint32_t>(image.address.value_or(0)),
             .has_address = image.address.has_value(),
             .write_all = request.write_all,
             .verify_only = request.verify_only};
  SPHERE_TRY(request.files->read(set.file, 0, set.suffixed));
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{image.size / kRate + kFixedSeconds};
  prepared.steps = {Step::identify, Step::inventory, Step::erase,
                    Step::write,    Step::verify,    Step::reboot};
  prepared.verified_by = "by reading back";
  prepared.remake_driver = true;  // Only the DFU mode tells pages and sizes.
  prepared.alternate = static_cast<std::uint8_t>(alternate.value_or(0));
  prepared.make_driver = [set = std::move(set)](const Attached& attached) {
    return make_driver(set, attached);
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::control};
// Very many devices have this interface, and 0483:DF11 is that of all STM32 chips: the set must
// name the protocol.
constexpr std::array kUsb = {
    UsbMatch{.interface_class = 0xFE, .subclass = 0x01, .automatic = false}};

}  // namespace

Protocol dfu_protocol() {
  return {.id = "dfu",
          .name = "USB DFU 1.1 and DfuSe",
          .carriers = kCarriers,
          .usb = kUsb,
          .prepare = prepare};
}

}  // namespace sphere::recovery
