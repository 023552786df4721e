// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/stm32.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {

namespace {

constexpr std::uint32_t kLargest = std::numeric_limits<std::uint32_t>::max();
// Bytes a second: all is written and read, with answers between.
constexpr std::uint64_t kRate = 4'000;
constexpr std::uint64_t kFixedSeconds = 10;

std::optional<std::uint32_t> narrow(const std::optional<std::uint64_t>& number) {
  return number ? std::optional{static_cast<std::uint32_t>(*number)} : std::nullopt;
}

// Options of recovery.json: "flashAddress" (0x08000000), "pageSize" (whole erase without it), "go"
// (where to start what was written), "parity" ("even"; "none" for a pty, which has none).
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& set = *request.plan;
  SPHERE_TRY(check_options(set, {"flashAddress", "pageSize", "parity", "go"}));
  SPHERE_TRY_ASSIGN(const auto flash, number_option(set, "flashAddress", kLargest));
  SPHERE_TRY_ASSIGN(const auto page, number_option(set, "pageSize", kLargest));
  SPHERE_TRY_ASSIGN(const auto go, number_option(set, "go", kLargest));
  SPHERE_TRY_ASSIGN(const auto parity, text_option(set, "parity"));
  if (parity && *parity != "even" && *parity != "none") {
    return refuse_plan("parity is even or none");
  }
  if (page && *page == 0) {
    return refuse_plan("pageSize is 0");
  }
  Stm32Plan plan{.images = {},
                 .page_size = narrow(page),
                 .allow_mass_erase = request.allow_mass_erase,
                 .write_all = request.write_all,
                 .verify_only = request.verify_only,
                 .parity = parity == "none" ? transport::Parity::none : transport::Parity::even,
                 .go = narrow(go)};
  plan.flash_address = narrow(flash).value_or(plan.flash_address);
  for (const PlanImage& image : set.images) {
    if (!image.address || *image.address > kLargest || !image.partition.empty()) {
      return refuse_plan(fmt::format("{} needs an address of 32 bits", image.file));
    }
    plan.images.push_back({.address = static_cast<std::uint32_t>(*image.address),
                           .file = image.file,
                           .size = image.size});
  }
  SPHERE_TRY(make_stm32(plan));
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{set.total_size() / kRate + kFixedSeconds};
  prepared.steps = {Step::identify, Step::inventory, Step::erase,
                    Step::write,    Step::verify,    Step::reboot};
  prepared.verified_by = "by reading back";
  prepared.line.parity = plan.parity;
  prepared.make_driver = [plan =
                              std::move(plan)](const Attached&) -> Result<std::unique_ptr<Driver>> {
    return make_stm32(plan);
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::uart};

}  // namespace

Protocol stm32_protocol() {
  return {
      .id = "stm32", .name = "STM32 boot ROM (AN3155)", .carriers = kCarriers, .prepare = prepare};
}

}  // namespace sphere::recovery
