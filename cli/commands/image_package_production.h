// SPDX-License-Identifier: MIT
#pragma once

#include "cli/batch/batch.h"
#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"

// sign --production for format v1.
namespace sphere::cli {

// Whether --production is meant for format v1: for an application that is not to be converted.
[[nodiscard]] Result<bool> is_production_v1(const Arguments& arguments);

// Makes a production package of one development package.
[[nodiscard]] Result<Output> sign_production(Context& context, const Arguments& arguments,
                                             Signers& signers);

}  // namespace sphere::cli
