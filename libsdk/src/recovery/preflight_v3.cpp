// SPDX-License-Identifier: MIT
#include "sphere/recovery/preflight_v3.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery {

namespace {

constexpr std::string_view kNext =
    "make the set anew: sphere image-package pack-recovery; the board is untouched";
constexpr std::string_view kNextTrust =
    "name the owner's public key in the configuration's list trust; the board is untouched";

tl::unexpected<Error> refused(Error error, std::string_view file, std::string_view next = kNext) {
  return tl::make_unexpected(std::move(error).while_doing(file).with_hint(
      {.reason = "recovery.image-refused", .value = std::string{file}, .next = std::string{next}}));
}

Result<void> check_image(const FileSet& set, const ManifestV4::Entry& entry) {
  const FileSet::File* const file = set.find(entry.file_name);
  if (file == nullptr) {
    return fail(
        Errc::not_found, fmt::format("the recovery set has no {}", entry.file_name),
        {.reason = "recovery.image-missing", .value = entry.file_name, .next = std::string{kNext}});
  }
  if (file->size != entry.file_size) {
    return refused(Error{Errc::corrupt, fmt::format("it has {} bytes, not {} as the manifest says",
                                                    file->size, entry.file_size)},
                   entry.file_name);
  }
  if (file->sha256 != entry.sha256) {
    return refused(Error{Errc::corrupt, "its SHA-256 is not that of the manifest"},
                   entry.file_name);
  }
  return {};
}

}  // namespace

Result<CheckedSetV3> check_set_v3(const FileSet& set, const TrustOf& trust,
                                  std::string_view board) {
  const std::string name{v3::kManifestFile};
  const FileSet::File* const file = set.find(name);
  if (file == nullptr) {
    return fail(Errc::not_found, fmt::format("the recovery set has no {}", name),
                {.reason = "recovery.image-missing", .value = name, .next = std::string{kNext}});
  }
  auto package = image::open_container(set.source(name), file->size);
  if (!package) {
    return refused(std::move(package).error(), name);
  }
  const auto type = package->metadata.identity.image_type;
  if (type != kRecoveryManifestType) {
    return refused(Error{Errc::corrupt, fmt::format("it is of image type {}, not {}", type,
                                                    kRecoveryManifestType)},
                   name);
  }
  const auto verified = image::verify(*std::move(package), trust(type));
  if (!verified) {
    return refused(Error{verified.error()}, name, kNextTrust);
  }
  const auto body = image::read_body(**verified, kManifestV4Size);
  auto manifest = body ? parse_manifest_v4(*body) : tl::make_unexpected(Error{body.error()});
  if (!manifest) {
    return refused(std::move(manifest).error(), name);
  }
  if (!board.empty() && board != manifest->board_id) {
    return refused(
        Error{Errc::invalid_argument, fmt::format("the set is for board {}, not {}",
                                                  manifest->board_id, escape_control(board))},
        name, "give the set of this board; the board is untouched");
  }
  for (const ManifestV4::Entry& entry : manifest->entries) {
    SPHERE_TRY(check_image(set, entry));
  }
  CheckedSetV3 checked;
  checked.signer = verified->signer().label;
  checked.config.manifest_sha256 = file->sha256;
  checked.config.manifest_size = file->size;
  checked.config.manifest = *std::move(manifest);
  return checked;
}

}  // namespace sphere::recovery
