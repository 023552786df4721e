// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"

namespace sphere::cli::doctor {

enum class Verdict : std::uint8_t { ok, warn, fail, skip };

[[nodiscard]] std::string_view to_text(Verdict verdict);

// One row of `sphere doctor`.
struct Check {
  std::string name;  // "sdk: compiler"
  Verdict verdict = Verdict::ok;
  std::string detail;
  std::string next = {};  // What to do about a warning or failure.
};

// No check takes longer.
inline constexpr std::chrono::seconds kCheckLimit{3};

// The checks of one area. None changes anything outside the program.
[[nodiscard]] std::vector<Check> check_link(Context& context);
[[nodiscard]] std::vector<Check> check_sdk(Context& context);
[[nodiscard]] std::vector<Check> check_virtual_board(Context& context);
[[nodiscard]] std::vector<Check> check_device(Context& context);
[[nodiscard]] std::vector<Check> check_clock(Context& context);
[[nodiscard]] std::vector<Check> check_crypto(Context& context);
[[nodiscard]] std::vector<Check> check_ports(Context& context);

// The rows that a command of libsphere_net.so gives.
[[nodiscard]] std::vector<Check> net_checks(Context& context, std::string_view command,
                                            std::string_view area);

// The first line that `program` prints for `argument`; "" when it cannot be run within the limit.
[[nodiscard]] std::string first_line_of(const std::string& program, const std::string& argument);

}  // namespace sphere::cli::doctor
