// SPDX-License-Identifier: MIT
#include "sphere/image/capability.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/section_reader.h"
#include "libsdk/src/image/small_package.h"
#include "sphere/core/guid.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPart = "capability record";
constexpr std::uint32_t kMagic = 0x5CFD5CFD;
constexpr std::size_t kSlotsAt = 76;
constexpr std::size_t kValidityAt = 236;
constexpr std::size_t kFlagsAt = 256;
constexpr std::size_t kPurposeAt = 276;
constexpr std::uint32_t kAllFlags = kSessionOnly | kMayBeStored | kNeedsOnlineCheck;
constexpr std::string_view kName = "fw_config";

using CapabilityName = std::pair<std::uint32_t, std::string_view>;
constexpr std::array<CapabilityName, 3> kNames = {{
    {kAppDevelopment, "appDevelopment"},
    {kEnableRfTestMode, "enableRfTestMode"},
    {kFieldServicing, "fieldServicing"},
}};

// Two swaps are none: the same turns RFC 4122 order into stored order.
Guid take_rfc_guid(Reader& reader) {
  std::array<std::byte, Guid::kSize> raw = {};
  take_bytes(reader, raw);
  return Guid::from_stored(Guid::from_stored(raw).rfc4122());
}

// Version and size, after the magic.
Result<std::uint32_t> read_version(Reader& reader, std::size_t size) {
  if (const auto magic = take<std::uint32_t>(reader); magic != kMagic) {
    return corrupt(kPart, 0, "it has a wrong magic", fmt::format("{:#010x}", magic));
  }
  const auto version = take<std::uint32_t>(reader);
  if (version != 1 && version != 2) {
    return unsupported(fmt::format("unknown version {} of the capability record", version),
                       std::to_string(version));
  }
  const auto wanted = version == 1 ? kCapabilitySize : kCapabilitySizeV2;
  if (const auto stated = take<std::uint32_t>(reader); stated != wanted) {
    return corrupt(kPart, 8, fmt::format("version {} has not a size of {}", version, stated),
                   std::to_string(stated));
  }
  if (size != wanted) {
    return corrupt(kPart, 0, fmt::format("{} bytes are not its size, {}", size, wanted),
                   std::to_string(size));
  }
  return version;
}

Result<std::vector<std::uint32_t>> read_slots(Reader& reader) {
  std::vector<std::uint32_t> numbers;
  for (std::size_t slot = 0; slot < kCapabilitySlots; ++slot) {
    const auto number = take<std::uint32_t>(reader);
    if (number == 0) {
      continue;
    }
    if (numbers.size() != slot) {
      return corrupt(kPart, kSlotsAt + (4 * slot), "a capability after an empty slot",
                     std::to_string(number));
    }
    numbers.push_back(number);
  }
  return numbers;
}

Result<std::string> read_purpose(Reader& reader) {
  const auto field = as_text(reader.bytes(kCapabilityPurpose).value_or(Bytes{}));
  const auto end = std::min(field.find('\0'), field.size());
  if (field.find_first_not_of('\0', end) != std::string_view::npos) {
    return corrupt(kPart, kPurposeAt + end, "bytes after the end of the purpose");
  }
  const auto text = field.substr(0, end);
  if (!is_plain_text(text)) {
    return corrupt(kPart, kPurposeAt, "the purpose is no plain UTF-8 text", escape_control(text));
  }
  return std::string{text};
}

Result<CapabilityTerms> read_terms(Reader& reader) {
  CapabilityTerms terms;
  terms.file_id = take_rfc_guid(reader);
  terms.owner_epoch = take<std::uint64_t>(reader);
  terms.counter = take<std::uint64_t>(reader);
  terms.not_before = take<std::uint64_t>(reader);
  terms.not_after = take<std::uint64_t>(reader);
  terms.maximum_uses = take<std::uint32_t>(reader);
  terms.flags = take<std::uint32_t>(reader);
  terms.catalog_id = take_rfc_guid(reader);
  if (terms.not_before > terms.not_after) {
    return corrupt(
        kPart, kValidityAt,
        fmt::format("it begins at {}, after its end at {}", terms.not_before, terms.not_after),
        std::to_string(terms.not_before));
  }
  if ((terms.flags & ~kAllFlags) != 0) {
    return unsupported(fmt::format("unknown flags {:#x} at offset {} of the capability record",
                                   terms.flags & ~kAllFlags, kFlagsAt),
                       fmt::format("{:#x}", terms.flags));
  }
  SPHERE_TRY_ASSIGN(terms.purpose, read_purpose(reader));
  return terms;
}

tl::unexpected<Error> refused(std::string message, std::string value) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = "usage.bad-value", .value = std::move(value)});
}

Result<void> check_terms(const CapabilityTerms& terms) {
  if (terms.not_before > terms.not_after) {
    return refused("a capability cannot end before it begins", std::to_string(terms.not_after));
  }
  if ((terms.flags & ~kAllFlags) != 0) {
    return refused("a capability has no such flags", fmt::format("{:#x}", terms.flags));
  }
  const auto& purpose = terms.purpose;
  if (purpose.size() > kCapabilityPurpose || purpose.find('\0') != std::string::npos ||
      !is_plain_text(purpose)) {
    return refused(fmt::format("the purpose of a capability is at most {} bytes of UTF-8 text "
                               "without control characters",
                               kCapabilityPurpose),
                   escape_control(purpose));
  }
  return {};
}

Result<void> check_numbers(const std::vector<std::uint32_t>& numbers) {
  if (numbers.size() > kCapabilitySlots) {
    return refused(fmt::format("a file holds at most {} capabilities", kCapabilitySlots),
                   std::to_string(numbers.size()));
  }
  if (std::ranges::find(numbers, 0U) != numbers.end()) {
    return refused("0 is no capability", "0");
  }
  return {};
}

void write_terms(const CapabilityTerms& terms, Writer& writer) {
  writer.bytes(terms.file_id.rfc4122())
      .little_endian(terms.owner_epoch)
      .little_endian(terms.counter)
      .little_endian(terms.not_before)
      .little_endian(terms.not_after)
      .little_endian(terms.maximum_uses)
      .little_endian(terms.flags)
      .bytes(terms.catalog_id.rfc4122())
      .text(terms.purpose)
      .zeros(kCapabilityPurpose - terms.purpose.size());
}

}  // namespace

Result<Capability> read_capability(Bytes body) {
  if (body.size() < kCapabilitySize) {
    return corrupt(kPart, 0, fmt::format("{} bytes are too short", body.size()),
                   std::to_string(body.size()));
  }
  Reader reader{body};
  SPHERE_TRY_ASSIGN(const auto version, read_version(reader, body.size()));
  // All fields are there: nothing below reads beyond the body.
  Capability capability;
  take_bytes(reader, capability.device_id);
  SPHERE_TRY_ASSIGN(capability.numbers, read_slots(reader));
  if (version == 2) {
    SPHERE_TRY_ASSIGN(capability.terms, read_terms(reader));
  }
  return capability;
}

Result<std::vector<std::byte>> write_capability(const Capability& capability) {
  SPHERE_TRY(check_numbers(capability.numbers));
  if (capability.terms) {
    SPHERE_TRY(check_terms(*capability.terms));
  }
  const auto size = capability.terms ? kCapabilitySizeV2 : kCapabilitySize;
  Writer writer;
  writer.little_endian(kMagic)
      .little_endian(std::uint32_t{capability.terms ? 2U : 1U})
      .little_endian(static_cast<std::uint32_t>(size))
      .bytes(capability.device_id);
  for (const auto number : capability.numbers) {
    writer.little_endian(number);
  }
  writer.zeros(sizeof(std::uint32_t) * (kCapabilitySlots - capability.numbers.size()));
  if (capability.terms) {
    write_terms(*capability.terms, writer);
  }
  return std::move(writer).take();
}

std::string_view capability_name(std::uint32_t number) {
  const auto* found = std::ranges::find(kNames, number, &CapabilityName::first);
  return found == kNames.end() ? std::string_view{} : found->second;
}

Result<Packed> pack_capability(const CapabilityRequest& request, const crypto::Signer& signer) {
  SPHERE_TRY_ASSIGN(const auto body, write_capability(request.capability));
  return pack_small({.body = body,
                     .image_type = kCapability,
                     .component_id = request.component_id,
                     .image_id = request.image_id,
                     .build_time = request.build_time,
                     .name = std::string{kName}},
                    signer);
}

}  // namespace sphere::image
