// SPDX-License-Identifier: MIT
#include "sphere/core/clock.h"

#include <cstdint>
#include <string>
#include <sys/timex.h>
#include <vector>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/doctor/check.h"

namespace sphere::cli::doctor {
namespace {

// No release of this program is older: 2026-01-01T00:00:00Z. A clock before it was never set.
constexpr std::int64_t kEarliest = 1767225600;

Check synchronised_check() {
  timex state = {};  // modes 0: only read
  const int result = ::adjtimex(&state);
  if (result < 0) {
    return {.name = "clock: synchronisation",
            .verdict = Verdict::skip,
            .detail = "the kernel does not say"};
  }
  if (result == TIME_ERROR) {
    return {.name = "clock: synchronisation",
            .verdict = Verdict::warn,
            .detail = "the clock is not synchronised",
            .next = "start a time service: systemctl enable --now systemd-timesyncd"};
  }
  return {.name = "clock: synchronisation", .verdict = Verdict::ok, .detail = "synchronised"};
}

}  // namespace

std::vector<Check> check_clock(Context& context) {
  const auto now = context.clock.unix_seconds();
  Check time{.name = "clock: time", .verdict = Verdict::ok, .detail = to_rfc3339(now)};
  if (now < kEarliest) {
    time.verdict = Verdict::fail;
    time.next = "set the clock: certificates are not valid yet";
  }
  return {time, synchronised_check()};
}

}  // namespace sphere::cli::doctor
