// SPDX-License-Identifier: MIT
#include "sphere/recovery/sphere_v3.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "libsdk/src/recovery/protocols/rows.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/preflight_v3.h"
#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/table.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kCapabilityLimit = 3072;
constexpr std::chrono::seconds kManualLimit{120};
// Bytes a second at 3,000,000 baud, and seconds of everything else. Not yet tried on hardware.
constexpr std::uint64_t kRate = 290'000;
constexpr std::uint64_t kFixedSeconds = 30;

Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  SPHERE_TRY_ASSIGN(auto set, check_set_v3(*request.files, request.trust, request.board));
  SphereV3Config& config = set.config;
  if (request.capability) {
    const std::string name{kCapabilityFile};
    SPHERE_TRY(request.files->add(name, *request.capability, kCapabilityLimit));
    const FileSet::File* const file = request.files->find(name);
    config.capability = {.size = file->size, .sha256 = file->sha256};
  }
  if (request.manual) {
    config.enter_limit = kManualLimit;
  }
  if (request.verify_only) {
    config.mode = v3::Mode::verify_only;
  } else if (request.write_all) {
    config.mode = v3::Mode::write_all;
  }
  config.keep_data = request.keep_data;
  const std::uint64_t bytes = config.manifest.total_size();
  const std::size_t images = config.manifest.entries.size();
  PreparedRecovery prepared{
      .images = static_cast<std::uint32_t>(images),
      .bytes = bytes,
      .files = images + 1,
      .signatures = fmt::format("signed by {}", set.signer.empty() ? "a trusted key" : set.signer),
      .signed_by_known_key = true,
      .estimate = std::chrono::seconds{bytes / kRate + kFixedSeconds},
      .steps = request.verify_only
                   ? std::vector{Step::enter, Step::identify, Step::inventory, Step::reboot}
                   : std::vector{Step::enter, Step::identify, Step::inventory, Step::erase,
                                 Step::write, Step::verify, Step::reboot, Step::confirm},
      .verified_by = "by the board, against its signed manifest"};
  prepared.line.event_character = std::byte{0};
  prepared.make_driver = [config](const Attached& attached) -> Result<std::unique_ptr<Driver>> {
    SphereV3Config own = config;
    own.asks_for_bytes = !attached.is_tcp && attached.usb.vendor != 0;
    return make_sphere_v3(std::move(own));
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::uart, CarrierKind::bulk};
// The ids are the board owner's; the interface is Sphere's.
constexpr std::array kUsb = {UsbMatch{.interface_class = 0xFF, .subclass = 0x53, .protocol = 0x03}};

}  // namespace

Protocol sphere_v3_protocol() {
  return {.id = "sphere-v3",
          .name = "Sphere recovery v3",
          .manifest = v3::kManifestFile,
          .carriers = kCarriers,
          .usb = kUsb,
          .prepare = prepare};
}

}  // namespace sphere::recovery
