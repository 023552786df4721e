// SPDX-License-Identifier: MIT
#include <algorithm>
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
#include "libsdk/src/recovery/sahara.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kRate = 5'000'000;  // Not yet tried on hardware.
constexpr std::uint64_t kFixedSeconds = 15;
constexpr std::uint64_t kDefaultSector = 512;
constexpr std::uint64_t kLargestSector = 4096;
constexpr std::uint64_t kMostPartitions = 255;

// Of the whole sectors that the file is written to.
Result<crypto::Sha256Digest> digest_of(const FileSet& files, const PlanImage& image,
                                       std::uint64_t sector) {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20U;
  crypto::Sha256 hash;
  std::vector<std::byte> bytes;
  for (std::uint64_t offset = 0; offset < image.size; offset += kPiece) {
    bytes.resize(static_cast<std::size_t>(std::min(kPiece, image.size - offset)));
    SPHERE_TRY(files.read(image.file, offset, bytes));
    bytes.resize((bytes.size() + sector - 1) / sector * sector);
    hash.update(bytes);
  }
  return hash.finish();
}

// Options of recovery.json: "memory" (emmc), "sectorSize" (512), "physicalPartition" (0). The image
// with the role "programmer" is the loader; addresses are bytes, at the start of a sector.
Result<PreparedRecovery> prepare(const RecoveryRequest& request) {
  const SetPlan& set = *request.plan;
  SPHERE_TRY(check_options(set, {"memory", "sectorSize", "physicalPartition"}));
  SPHERE_TRY_ASSIGN(const auto memory, text_option(set, "memory"));
  SPHERE_TRY_ASSIGN(const auto sector_option, number_option(set, "sectorSize", kLargestSector));
  SPHERE_TRY_ASSIGN(const auto partition, number_option(set, "physicalPartition", kMostPartitions));
  const std::uint64_t sector = sector_option.value_or(kDefaultSector);
  FirehosePlan plan{.programmer = {},
                    .memory = memory.value_or("emmc"),
                    .sector_size = static_cast<std::uint32_t>(sector),
                    .images = {},
                    .write_all = request.write_all,
                    .verify_only = request.verify_only};
  for (const PlanImage& image : set.images) {
    if (image.role == "programmer") {
      plan.programmer = image.file;
      plan.programmer_size = image.size;
    } else if (!image.address || !image.partition.empty() || sector == 0 ||
               *image.address % sector != 0) {
      return refuse_plan(fmt::format("{} needs an address at the start of a sector", image.file));
    } else {
      plan.images.push_back({.file = image.file,
                             .size = image.size,
                             .partition = static_cast<std::uint32_t>(partition.value_or(0)),
                             .start_sector = std::to_string(*image.address / sector)});
    }
  }
  SPHERE_TRY(make_firehose(plan));
  for (FirehoseImage& image : plan.images) {
    const auto found = std::ranges::find(set.images, image.file, &PlanImage::file);
    SPHERE_TRY_ASSIGN(image.sha256, digest_of(*request.files, *found, sector));
  }
  SPHERE_TRY_ASSIGN(auto prepared, describe_plan(request));
  prepared.estimate = std::chrono::seconds{set.total_size() / kRate + kFixedSeconds};
  prepared.steps = {Step::identify, Step::loader, Step::inventory,
                    Step::write,    Step::verify, Step::reboot};
  prepared.verified_by = "by the SHA-256 that the loader tells";
  prepared.make_driver = [plan =
                              std::move(plan)](const Attached&) -> Result<std::unique_ptr<Driver>> {
    return make_firehose(plan);
  };
  return prepared;
}

constexpr std::array kCarriers = {CarrierKind::bulk};
constexpr std::uint16_t kQualcomm = 0x05C6;
constexpr std::array kUsb = {
    UsbMatch{.vendor = kQualcomm, .product = 0x9008, .interface_class = 0xFF, .subclass = 0xFF},
    UsbMatch{.vendor = kQualcomm, .product = 0x901D, .interface_class = 0xFF, .subclass = 0xFF},
    UsbMatch{.vendor = kQualcomm, .product = 0x90DB, .interface_class = 0xFF, .subclass = 0xFF}};

}  // namespace

Protocol firehose_protocol() {
  return {.id = "firehose",
          .name = "Qualcomm emergency download (Sahara, Firehose)",
          .carriers = kCarriers,
          .usb = kUsb,
          .prepare = prepare};
}

}  // namespace sphere::recovery
