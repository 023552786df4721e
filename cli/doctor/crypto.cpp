// SPDX-License-Identifier: MIT
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/doctor/check.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/pkcs11.h"

namespace sphere::cli::doctor {
namespace {

Check library_check() {
  const auto library = crypto::library_version();
  return {.name = "crypto: library",
          .verdict = Verdict::ok,
          .detail = library.file.empty()
                        ? fmt::format("{}, linked statically", library.version)
                        : fmt::format("{}, {}", library.version, library.file.string())};
}

// The library that speaks to tokens is looked for, not loaded: it could open a device.
Check token_module_check(const Context& context) {
  Check check{.name = "crypto: token module", .verdict = Verdict::ok, .detail = {}};
  std::error_code ignored;
  if (!context.token_module.empty()) {
    check.detail = context.token_module;
    if (!std::filesystem::is_regular_file(context.token_module, ignored)) {
      check.verdict = Verdict::warn;
      check.detail += " is not there";
      check.next = "correct pkcs11.module in the configuration";
    }
    return check;
  }
  for (const auto module : crypto::default_token_modules()) {
    if (std::filesystem::is_regular_file(module, ignored)) {
      check.detail = module;
      return check;
    }
  }
  check.verdict = Verdict::skip;
  check.detail = "none in the usual places; only keys in tokens need one";
  return check;
}

}  // namespace

std::vector<Check> check_crypto(Context& context) {
  return {library_check(), token_module_check(context)};
}

}  // namespace sphere::cli::doctor
