// SPDX-License-Identifier: MIT
#include "device-agent/agent/state/capability_gate.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/capability.h"
#include "sphere/image/metadata.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kInstalledFile = "installed.bin";
constexpr std::size_t kLargestFile = 4096;

bool is_known(std::uint32_t number) {
  return number == image::kAppDevelopment || number == image::kEnableRfTestMode ||
         number == image::kFieldServicing;
}

}  // namespace

CapabilityGate::CapabilityGate(Parts parts)
    : parts_{std::move(parts)}, journal_{parts_.directory / "journal.json"} {
  const auto journal = journal_.load();
  counter_ = static_cast<std::uint64_t>(journal.integer_at("counter").value_or(0));
  if (const auto* uses = journal.find("uses")) {
    for (const auto& member : uses->members()) {
      uses_[member.key] = member.value.integer().value_or(0);
    }
  }
  if (const auto file = read_file(parts_.directory / kInstalledFile, kLargestFile)) {
    if (auto capability = open(*file)) {
      installed_ = *std::move(capability);
    }
  }
}

Answer<void> CapabilityGate::check_bounds(const image::Capability& capability) const {
  const auto untrusted = [](std::string what) {
    return refuse(device_api::kPackageUntrusted, "the capability file " + std::move(what));
  };
  if (capability.device_id != parts_.device_id) {
    return untrusted("is for another device");
  }
  if (!std::ranges::all_of(capability.numbers, is_known)) {
    return refuse(device_api::kUnknownCapability, "the capability file has an unknown number");
  }
  if (!capability.terms) {
    return parts_.manufacturing_state() == "DeviceComplete"
               ? Answer<void>{untrusted("is of version 1, which a DeviceComplete board refuses")}
               : Answer<void>{};
  }
  const auto& terms = *capability.terms;
  if (terms.owner_epoch != 0 || !terms.catalog_id.is_zero()) {
    return untrusted("is for another owner");
  }
  const auto now =
      static_cast<std::uint64_t>(std::max<std::int64_t>(parts_.clock->unix_seconds(), 0));
  if (now < terms.not_before || now > terms.not_after) {
    return untrusted("is not valid at this time");
  }
  if (terms.counter < counter_) {
    return untrusted("is older than one that was installed");
  }
  if ((terms.flags & image::kNeedsOnlineCheck) != 0) {
    return untrusted("needs a check by the service, which this board does not reach");
  }
  return {};
}

Answer<image::Capability> CapabilityGate::open(std::span<const std::byte> file) const {
  const auto unfit = [](const Error& error) { return refuse(device_api::kPackageInvalid, error); };
  const auto metadata = image::read_metadata(file);
  if (!metadata) {
    return unfit(metadata.error());
  }
  const bool kind = metadata->identity.image_type == image::kCapability &&
                    metadata->signature_info.signing_type == image::kSigningTypeEcdsaP256;
  if (!kind) {
    return refuse(device_api::kPackageInvalid, "the file is no capability file");
  }
  const auto digest = crypto::sha256(file.first(file.size() - image::kSignatureSize));
  const auto signature = metadata->signature.first<image::kSignatureSize>();
  if (!std::ranges::any_of(parts_.keys(), [&](const crypto::PublicKey& key) {
        return key.verify(digest, signature).has_value();
      })) {
    return refuse(device_api::kPackageUntrusted,
                  "no trusted capability key has signed the capability file");
  }
  auto capability = image::read_capability(file.first(metadata->body_size));
  if (!capability) {
    return unfit(capability.error());
  }
  SPHERE_TRY(check_bounds(*capability));
  return *std::move(capability);
}

Answer<image::Capability> CapabilityGate::open_temporary(std::string_view base64) {
  const auto refused = [](const std::string& why) {
    return refuse(device_api::kNotAuthorised, why);
  };
  const auto file = base64.size() <= kHeaderLimit ? from_base64(base64) : std::nullopt;
  if (!file) {
    return refused("the capability header is no base64 of a capability file");
  }
  const std::lock_guard guard{lock_};
  auto capability = open(*file);
  if (!capability) {
    return refused(capability.error().message);
  }
  if (!capability->terms || capability->terms->maximum_uses == 0) {
    return capability;
  }
  const auto id = capability->terms->file_id.text();
  auto uses = uses_;
  if (++uses[id] > static_cast<std::int64_t>(capability->terms->maximum_uses)) {
    return refused("the capability file has been used up");
  }
  // The use counts before the call does anything.
  if (!save_journal(counter_, uses)) {
    return refused("the use of the capability file could not be noted");
  }
  uses_ = std::move(uses);
  return capability;
}

Answer<image::Capability> CapabilityGate::check_installable(std::span<const std::byte> file) const {
  const std::lock_guard guard{lock_};
  SPHERE_TRY_ASSIGN(auto capability, open(file));
  const auto flags = capability.terms ? capability.terms->flags : image::kMayBeStored;
  const bool storable = capability.numbers.empty() ||
                        ((flags & image::kMayBeStored) != 0 && (flags & image::kSessionOnly) == 0);
  if (!storable) {
    return refuse(device_api::kPackageUntrusted,
                  "the capability file may not be stored on the board",
                  "apply it for a session: sphere device capability apply");
  }
  return capability;
}

Answer<void> CapabilityGate::install(std::span<const std::byte> file) {
  SPHERE_TRY_ASSIGN(const auto capability, check_installable(file));
  const std::lock_guard guard{lock_};
  // The file first: with the old counter it is still accepted after a power cut between the two.
  const auto saved = make_directories(parts_.directory, 0700).and_then([&] {
    return write_file(parts_.directory / kInstalledFile, file, {.mode = 0600});
  });
  if (!saved) {
    return refuse(device_api::kInstallFailed, saved.error());
  }
  const auto counter = std::max(counter_, capability.terms ? capability.terms->counter : 0);
  SPHERE_TRY(save_journal(counter, uses_));
  counter_ = counter;
  return {};
}

std::optional<image::Capability> CapabilityGate::installed() const {
  const std::lock_guard guard{lock_};
  return installed_ && check_bounds(*installed_) ? installed_ : std::nullopt;
}

Answer<void> CapabilityGate::save_journal(std::uint64_t counter,
                                          const std::map<std::string, std::int64_t>& uses) {
  json::Value rows{json::Object{}};
  for (const auto& [id, count] : uses) {
    rows.set(id, count);
  }
  const auto saved = journal_.save(json::Value{}
                                       .set("counter", static_cast<std::int64_t>(counter))
                                       .set("uses", std::move(rows)));
  return saved ? Answer<void>{} : Answer<void>{refuse(device_api::kInternal, saved.error())};
}

std::string file_id_of(const image::Capability& capability) {
  return capability.terms ? capability.terms->file_id.text() : "version 1";
}

std::optional<std::string> end_of(const image::Capability& capability) {
  return capability.terms
             ? std::optional{to_rfc3339(static_cast<std::int64_t>(capability.terms->not_after))}
             : std::nullopt;
}

}  // namespace sphere::agent
