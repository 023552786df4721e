// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "cli/commands/signing.h"
#include "sphere/core/result.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/json/value.h"

// What `image-package show` says of format v2.
namespace sphere::cli {

// Whether lines_v2() shows this section.
[[nodiscard]] bool is_v2_section(const image::Section& section);

// The sections of package v2 for people, one line each, with their label in front.
[[nodiscard]] std::string lines_v2(const image::Metadata& metadata);

// Adds them to `value`: merkle, compression, securityVersion, hardware, provenance, sbom, signed.
void add_values_v2(const image::Metadata& metadata, json::Value& value);

// Who signed a package v2 that is not verified: as look_at_signature(). Errors: those of the file.
[[nodiscard]] Result<SignatureReport> look_at_signature_v2(const image::Package& package,
                                                           const std::vector<KnownKey>& keys);

}  // namespace sphere::cli
