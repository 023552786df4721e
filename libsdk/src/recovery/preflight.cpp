// SPDX-License-Identifier: MIT
#include "sphere/recovery/preflight.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery {

namespace {

constexpr std::size_t kManifestBody = 16 + kManifestV3Limit * 76;
constexpr std::string_view kNext = "get the recovery set anew; the board is untouched";

Error as_refused(Error error, std::string_view file) {
  return std::move(error).while_doing(file).with_hint(
      {.reason = "recovery.image-refused", .value = std::string{file}, .next = std::string{kNext}});
}

auto refuse(std::string_view file, std::string why) {
  return tl::make_unexpected(as_refused(Error{Errc::corrupt, std::move(why)}, file));
}

// Whether `trust` knows the key that a package names.
bool knows(const image::TrustStore& trust, const crypto::Sha1Digest& thumbprint) {
  return std::ranges::any_of(trust.entries(), [&](const image::TrustEntry& entry) {
    return entry.key.spki().empty()
               ? false
               : crypto::sha1(entry.key.spki()) == thumbprint ||
                     std::ranges::find(entry.thumbprints, thumbprint) != entry.thumbprints.end();
  });
}

// The files one after the other, all by one signer.
class Checker {
 public:
  Checker(const FileSet& set, const TrustOf& trust) : set_{&set}, trust_{&trust} {}

  // The package in the file, with its signature checked as far as that is possible here.
  Result<image::Package> check(const std::string& name) {
    const FileSet::File* const file = set_->find(name);
    if (file == nullptr) {
      return fail(Errc::not_found, fmt::format("the recovery set has no {}", name),
                  {.reason = "recovery.image-missing", .value = name, .next = std::string{kNext}});
    }
    auto package = image::open_container(set_->source(name), file->size);
    if (!package) {
      return tl::make_unexpected(as_refused(std::move(package).error(), name));
    }
    const auto& thumbprint = package->metadata.signature_info.thumbprint;
    if (signer_ && *signer_ != thumbprint) {
      return refuse(name, "it is signed with another key than the rest of the set");
    }
    signer_ = thumbprint;
    const auto trust = (*trust_)(package->metadata.identity.image_type);
    if (!knows(trust, thumbprint)) {
      all_known_ = false;
      return package;
    }
    const auto verified = image::verify(*package, trust);
    if (!verified) {
      return tl::make_unexpected(as_refused(Error{verified.error()}, name));
    }
    label_ = verified->signer().label;
    return package;
  }

  [[nodiscard]] bool all_known() const { return all_known_; }
  [[nodiscard]] std::string text() const {
    return all_known_ ? fmt::format("signed by {}", label_.empty() ? "a trusted key" : label_)
                      : fmt::format("signatures by key {} well-formed; the board checks them",
                                    to_hex(signer_.value_or(crypto::Sha1Digest{})));
  }

 private:
  const FileSet* set_;
  const TrustOf* trust_;
  std::optional<crypto::Sha1Digest> signer_;
  bool all_known_ = true;
  std::string label_;
};

Result<void> check_image(Checker& checker, const FileSet& set, const ManifestV3::Entry& entry) {
  const std::string name = entry.file_name();
  SPHERE_TRY_ASSIGN(const auto package, checker.check(name));
  const FileSet::File* const file = set.find(name);
  if (file == nullptr || file->size != entry.file_size) {
    return refuse(name, fmt::format("it has {} bytes, not {} as the manifest says",
                                    file == nullptr ? 0 : file->size, entry.file_size));
  }
  const image::Identity& identity = package.metadata.identity;
  if (identity.image_id != entry.image_id || identity.component_id != entry.component_id ||
      identity.image_type != entry.image_type) {
    return refuse(
        name,
        fmt::format("it is image {} of component {} and type {}, not {} of {} and {}",
                    identity.image_id.text(), identity.component_id.text(), identity.image_type,
                    entry.image_id.text(), entry.component_id.text(), entry.image_type));
  }
  return {};
}

}  // namespace

Result<CheckedSetV2> check_set_v2(const FileSet& set, const TrustOf& trust) {
  Checker checker{set, trust};
  const std::string manifest_name{v2::kManifestFile};
  SPHERE_TRY_ASSIGN(const auto manifest_package, checker.check(manifest_name));
  if (manifest_package.metadata.identity.image_type != kRecoveryManifestType) {
    return refuse(manifest_name, fmt::format("it is of image type {}, not {}",
                                             manifest_package.metadata.identity.image_type,
                                             kRecoveryManifestType));
  }
  auto body = image::read_body(manifest_package, kManifestBody);
  auto manifest = body ? parse_manifest_v3(*body) : tl::make_unexpected(std::move(body).error());
  if (!manifest) {
    return tl::make_unexpected(as_refused(std::move(manifest).error(), manifest_name));
  }
  for (const std::string_view loader : {v2::kLoaderFile, v2::kRuntimeFile}) {
    SPHERE_TRY(checker.check(std::string{loader}));
  }
  CheckedSetV2 checked;
  for (const std::string_view name : {v2::kLoaderFile, v2::kRuntimeFile, v2::kManifestFile}) {
    checked.config.files.push_back({.name = std::string{name}, .size = set.find(name)->size});
  }
  for (const ManifestV3::Entry& entry : manifest->entries) {
    SPHERE_TRY(check_image(checker, set, entry));
    checked.config.files.push_back({.name = entry.file_name(), .size = entry.file_size});
  }
  checked.config.images = static_cast<std::uint32_t>(manifest->entries.size());
  checked.config.image_bytes = manifest->total_size();
  checked.signatures = checker.text();
  checked.signed_by_known_key = checker.all_known();
  checked.manifest = *std::move(manifest);
  return checked;
}

}  // namespace sphere::recovery
