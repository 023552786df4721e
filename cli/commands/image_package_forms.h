// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "sphere/core/result.h"
#include "sphere/image/package.h"
#include "sphere/json/value.h"

namespace sphere::cli {

// What the body of a package says that holds no files.
struct FormContent {
  std::string key = {};    // In JSON: "capability", "boardConfiguration", "trustStore".
  json::Value value = {};  // Under that key.
  std::string text = {};   // Lines for `show`.
};

// Reads the body of a capability or a board configuration. Errors: those of its reader; unsupported
// for every other kind.
[[nodiscard]] Result<FormContent> read_form(const image::Package& package);

// Reads the body of a trust store. Errors: those of image::open_trust_record().
[[nodiscard]] Result<FormContent> read_trust_form(const image::Package& package);

}  // namespace sphere::cli
