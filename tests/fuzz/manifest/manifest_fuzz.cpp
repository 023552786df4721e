// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"
#include "sphere/manifest/rewrite.h"

namespace {

namespace manifest = sphere::manifest;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

sphere::Result<std::string> resolve(std::string_view key, std::string_view name) {
  if (name.size() > 8) {
    return sphere::fail(sphere::Errc::not_found, "too long");
  }
  return key == "Gpio" ? "8" : "\"ISU0\"";
}

void check_findings(const manifest::Validation& validation) {
  require(validation.manifest.has_value() != validation.has_errors());
  for (const auto& finding : validation.findings) {
    require(finding.line > 0 && finding.column > 0 && !finding.rule.empty());
    require(finding.id.has_value() == (finding.severity == manifest::Severity::error));
  }
  if (validation.has_errors()) {
    require(!manifest::to_error(validation, "app_manifest.json").message().empty());
  }
}

}  // namespace

// What passes as a source packs to text that passes again and packs to itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{data, data + size};
  check_findings(manifest::validate(text, manifest::Reader::device));
  const auto source = manifest::validate(text);
  check_findings(source);
  if (const auto repaired = manifest::with_component_id(text, sphere::Guid{})) {
    const auto again = sphere::json::parse(*repaired, {.bytes = repaired->size()});
    require(again.has_value() && again->string_at("ComponentId") == sphere::Guid{}.text());
  }
  if (!source.manifest) {
    return 0;
  }
  const manifest::Rewrite options{.resolve = resolve, .api_set = 12, .beta_apis = "Beta2611"};
  const auto packed = manifest::rewrite(text, *source.manifest, options);
  if (!packed) {
    return 0;
  }
  const auto read = manifest::validate(*packed);
  require(read.manifest.has_value());
  require(manifest::rewrite(*packed, *read.manifest, options) == *packed);
  return 0;
}
