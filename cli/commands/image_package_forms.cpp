// SPDX-License-Identifier: MIT
#include "cli/commands/image_package_forms.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/board_config.h"
#include "sphere/image/capability.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kLargestBody = 65'536;

using FlagName = std::pair<std::uint32_t, std::string_view>;
constexpr std::array<FlagName, 3> kFlags = {{
    {image::kSessionOnly, "session only"},
    {image::kMayBeStored, "may be stored"},
    {image::kNeedsOnlineCheck, "needs online check"},
}};

std::string line(std::string_view label, std::string_view value) {
  return fmt::format("  {:<17}{}\n", label, escape_control(value));
}

std::string time_text(std::uint64_t time) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return to_rfc3339(static_cast<std::int64_t>(std::min(time, kMost)));
}

std::string flags_text(std::uint32_t flags) {
  std::vector<std::string> names;
  for (const auto& [bit, name] : kFlags) {
    if ((flags & bit) != 0) {
      names.emplace_back(name);
    }
  }
  return names.empty() ? "none" : join(names, ", ");
}

std::string numbers_text(const std::vector<std::uint32_t>& numbers) {
  std::vector<std::string> texts;
  for (const auto number : numbers) {
    const auto name = image::capability_name(number);
    texts.push_back(fmt::format("{} ({})", name.empty() ? "unknown" : name, number));
  }
  return texts.empty() ? "nothing" : join(texts, ", ");
}

std::string terms_text(const image::CapabilityTerms& terms) {
  return line("Counter", std::to_string(terms.counter)) +
         line("Valid from", time_text(terms.not_before)) +
         line("Valid to", time_text(terms.not_after)) +
         line("Uses", terms.maximum_uses == 0 ? "any number" : std::to_string(terms.maximum_uses)) +
         line("Conditions", flags_text(terms.flags)) +
         line("Purpose", terms.purpose.empty() ? "not given" : terms.purpose) +
         line("File ID", terms.file_id.text()) + line("Catalog ID", terms.catalog_id.text()) +
         line("Owner epoch", std::to_string(terms.owner_epoch));
}

std::string capability_text(const image::Capability& capability) {
  auto text = std::string{"Capability\n"} + line("Record", capability.terms ? "v2" : "v1") +
              line("Device ID", to_hex(capability.device_id)) +
              line("Allows", numbers_text(capability.numbers));
  return text + (capability.terms ? terms_text(*capability.terms) : line("Valid", "for ever"));
}

json::Value terms_value(const image::CapabilityTerms& terms) {
  json::Value flags = json::Array{};
  for (const auto& [bit, name] : kFlags) {
    if ((terms.flags & bit) != 0) {
      flags.push(name);
    }
  }
  json::Value value;
  value.set("counter", terms.counter)
      .set("notBefore", time_text(terms.not_before))
      .set("notAfter", time_text(terms.not_after))
      .set("maximumUses", static_cast<std::uint64_t>(terms.maximum_uses))
      .set("conditions", std::move(flags))
      .set("purpose", escape_control(terms.purpose))
      .set("fileId", terms.file_id.text())
      .set("catalogId", terms.catalog_id.text())
      .set("ownerEpoch", terms.owner_epoch);
  return value;
}

json::Value capability_value(const image::Capability& capability) {
  json::Value numbers = json::Array{};
  for (const auto number : capability.numbers) {
    const auto name = image::capability_name(number);
    json::Value entry;
    entry.set("number", static_cast<std::uint64_t>(number))
        .set("name", name.empty() ? json::Value{} : json::Value{name});
    numbers.push(std::move(entry));
  }
  json::Value value;
  value.set("version", static_cast<std::uint64_t>(capability.terms ? 2 : 1))
      .set("deviceId", to_hex(capability.device_id))
      .set("capabilities", std::move(numbers))
      .set("terms", capability.terms ? terms_value(*capability.terms) : json::Value{});
  return value;
}

Result<FormContent> read_capability_form(const image::Package& package) {
  SPHERE_TRY_ASSIGN(const auto body, image::read_body(package, kLargestBody));
  SPHERE_TRY_ASSIGN(const auto capability, image::read_capability(body));
  return FormContent{.key = "capability",
                     .value = capability_value(capability),
                     .text = capability_text(capability)};
}

Result<FormContent> read_board_form(const image::Package& package) {
  SPHERE_TRY_ASSIGN(const auto body, image::read_body(package, kLargestBody));
  SPHERE_TRY_ASSIGN(const auto configuration, image::read_board_configuration(body));
  FormContent content{.key = "boardConfiguration",
                      .text = "Board configuration\n" + line("Preset", configuration.preset) +
                              line("Description", configuration.description)};
  content.value.set("preset", configuration.preset).set("description", configuration.description);
  return content;
}

std::string trust_text(const image::TrustRecord& record) {
  auto text = std::string{"Trust store\n"} + line("Version", std::to_string(record.version));
  for (const auto& entry : record.entries) {
    text +=
        line("Key", fmt::format("{}  {}{}{}", to_hex(entry.key.id()), image::role_name(entry.role),
                                entry.label.empty() ? "" : "  ", entry.label));
  }
  for (const auto& id : record.revoked) {
    text += line("Revoked", to_hex(id));
  }
  return text;
}

json::Value trust_value(const image::TrustRecord& record) {
  json::Value keys = json::Array{};
  for (const auto& entry : record.entries) {
    json::Value thumbprints = json::Array{};
    for (const auto& thumbprint : entry.thumbprints) {
      thumbprints.push(to_hex(thumbprint));
    }
    json::Value key;
    key.set("keyId", to_hex(entry.key.id()))
        .set("role", image::role_name(entry.role))
        .set("label", entry.label)
        .set("thumbprints", std::move(thumbprints));
    keys.push(std::move(key));
  }
  json::Value revoked = json::Array{};
  for (const auto& id : record.revoked) {
    revoked.push(to_hex(id));
  }
  json::Value value;
  value.set("version", std::uint64_t{record.version})
      .set("keys", std::move(keys))
      .set("revoked", std::move(revoked));
  return value;
}

}  // namespace

Result<FormContent> read_trust_form(const image::Package& package) {
  SPHERE_TRY_ASSIGN(const auto record, image::open_trust_record(package));
  return FormContent{.key = "trustStore", .value = trust_value(record), .text = trust_text(record)};
}

Result<FormContent> read_form(const image::Package& package) {
  switch (package.kind) {
    case image::PackageKind::capability:
      return read_capability_form(package);
    case image::PackageKind::board_configuration:
      return read_board_form(package);
    default:
      break;
  }
  SPHERE_TRY(image::require_application(package));
  return FormContent{};
}

}  // namespace sphere::cli
