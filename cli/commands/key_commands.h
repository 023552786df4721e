// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"
#include "sphere/json/value.h"

// The verbs of key; the table is in key.cpp.
namespace sphere::cli {

[[nodiscard]] Result<Output> run_key_create(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_key_import(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_key_export(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_key_delete(Context& context, const Arguments& arguments);

// A key as all verbs show it.
[[nodiscard]] json::Value key_value(const crypto::KeyInfo& info);

// Error: local.file-not-found without a home directory.
[[nodiscard]] Result<void> require_key_home(const Context& context);

}  // namespace sphere::cli
