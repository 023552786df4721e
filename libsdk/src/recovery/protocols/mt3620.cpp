// SPDX-License-Identifier: MIT
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/table.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kCapabilityLimit = 3072;
constexpr std::chrono::seconds kManualLimit{120};
// Bytes a second of XMODEM with 128 bytes a block at 3,000,000 baud behind an FT4232H, and seconds
// of everything else; from published logs of recoveries. Not yet tried on hardware.
constexpr std::uint64_t kRate = 100'000;
constexpr std::uint64_t kFixedSeconds = 40;

Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  if (request.verify_only) {
    return fail(Errc::invalid_argument, "this protocol cannot look at what a board holds",
                {.reason = "usage.bad-value",
                 .value = "--verify-only",
                 .next = "sphere device show-attached tells whether the board starts"});
  }
  SPHERE_TRY_ASSIGN(auto set, check_set_v2(*request.files, request.trust));
  if (request.capability) {
    const std::string name{kCapabilityFile};
    SPHERE_TRY(request.files->add(name, *request.capability, kCapabilityLimit));
    set.config.capability_size = request.files->find(name)->size;
  }
  if (request.manual) {
    set.config.enter_limit = kManualLimit;
  }
  PreparedRecovery prepared{
      .images = set.config.images,
      .bytes = set.config.image_bytes,
      .files = set.config.files.size(),
      .signatures = set.signatures,
      .signed_by_known_key = set.signed_by_known_key,
      .estimate = std::chrono::seconds{set.config.image_bytes / kRate + kFixedSeconds},
      .steps = {Step::enter, Step::identify, Step::loader, Step::erase, Step::write, Step::verify,
                Step::reboot, Step::confirm},
      .verified_by = "by the board, against its signed manifest",
      .shows_boot = true,
      .boot_limit = std::chrono::seconds{300}};
  prepared.line.event_character = std::byte{0};
  prepared.make_driver =
      [config = std::move(set.config)](const Attached&) -> Result<std::unique_ptr<Driver>> {
    return make_sphere_v2(config);
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::uart};

}  // namespace

Protocol mt3620_protocol() {
  return {.id = "mt3620",
          .name = "MT3620 recovery (v2)",
          .manifest = v2::kManifestFile,
          .carriers = kCarriers,
          .prepare = prepare};
}

}  // namespace sphere::recovery
