// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/esp.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

constexpr std::uint32_t kLargest = std::numeric_limits<std::uint32_t>::max();
// Bytes a second at 115,200 baud, with answers between.
constexpr std::uint64_t kRate = 9'000;
constexpr std::uint64_t kFixedSeconds = 10;

// Options of recovery.json: "chip" (its number: 0 is an ESP32, 5 an ESP32-C3), "flashSize".
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& set = *request.plan;
  SPHERE_TRY(check_options(set, {"chip", "flashSize"}));
  SPHERE_TRY_ASSIGN(const auto chip, number_option(set, "chip", kLargest));
  SPHERE_TRY_ASSIGN(const auto flash, number_option(set, "flashSize", kLargest));
  EspPlan plan{.images = {},
               .flash_size = static_cast<std::uint32_t>(flash.value_or(0)),
               .write_all = request.write_all,
               .verify_only = request.verify_only};
  if (chip) {
    plan.chip = static_cast<std::uint32_t>(*chip);
  }
  for (const PlanImage& image : set.images) {
    if (!image.address || *image.address > kLargest || !image.partition.empty()) {
      return refuse_plan(fmt::format("{} needs an address of 32 bits", image.file));
    }
    plan.images.push_back({.offset = static_cast<std::uint32_t>(*image.address),
                           .file = image.file,
                           .size = image.size});
  }
  SPHERE_TRY(make_esp(plan));  // Before what is too large is read.
  for (EspImage& image : plan.images) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(image.size));
    SPHERE_TRY(request.files->read(image.file, 0, bytes));
    image.md5 = crypto::md5(bytes);
  }
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{set.total_size() / kRate + kFixedSeconds};
  prepared.steps = {Step::enter, Step::identify, Step::inventory, Step::erase,
                    Step::write, Step::verify,   Step::reboot};
  prepared.verified_by = "by the MD5 that the chip tells";
  prepared.make_driver = [plan =
                              std::move(plan)](const Attached&) -> Result<std::unique_ptr<Driver>> {
    return make_esp(plan);
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::uart};

}  // namespace

Protocol esp_protocol() {
  return {.id = "esp", .name = "ESP32 boot ROM", .carriers = kCarriers, .prepare = prepare};
}

}  // namespace sphere::recovery
