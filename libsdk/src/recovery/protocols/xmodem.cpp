// SPDX-License-Identifier: MIT
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "libsdk/src/recovery/protocols/rows.h"
#include "libsdk/src/recovery/xmodem_client.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kBitsPerByte = 12;  // With answers between.
constexpr std::uint64_t kFixedSeconds = 10;

// Options of recovery.json: "baud" (115200), "largeBlocks" (1: blocks of 1024 bytes), "answer" (the
// word of a loader that takes the file).
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& set = *request.plan;
  SPHERE_TRY(check_options(set, {"baud", "largeBlocks", "answer"}));
  SPHERE_TRY_ASSIGN(const auto baud,
                    number_option(set, "baud", std::numeric_limits<std::uint32_t>::max()));
  SPHERE_TRY_ASSIGN(const auto large, number_option(set, "largeBlocks", 1));
  SPHERE_TRY_ASSIGN(auto answer, text_option(set, "answer"));
  const PlanImage& image = set.images.front();
  if (set.images.size() != 1 || image.address || !image.partition.empty() || baud == 0) {
    return refuse_plan("XMODEM takes one image, without address or partition, at some speed");
  }
  if (request.verify_only) {
    return fail(Errc::invalid_argument, "what a loader took by XMODEM cannot be verified",
                {.reason = "usage.bad-value", .value = "--verify-only", .next = "leave it out"});
  }
  XmodemPlan plan{.file = image.file,
                  .size = image.size,
                  .large_blocks = large == 1,
                  .answer = std::move(answer).value_or("")};
  plan.baud = static_cast<std::uint32_t>(baud.value_or(plan.baud));
  SPHERE_TRY(make_xmodem(plan));
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{image.size * kBitsPerByte / plan.baud + kFixedSeconds};
  prepared.steps = {Step::loader, Step::confirm};
  prepared.verified_by = plan.answer.empty() ? "not at all" : "by the loader's answer";
  prepared.line.baud = plan.baud;
  prepared.make_driver = [plan =
                              std::move(plan)](const Attached&) -> Result<std::unique_ptr<Driver>> {
    return make_xmodem(plan);
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::uart};

}  // namespace

Protocol xmodem_protocol() {
  return {.id = "xmodem",
          .name = "a loader that takes XMODEM",
          .carriers = kCarriers,
          .prepare = prepare};
}

}  // namespace sphere::recovery
