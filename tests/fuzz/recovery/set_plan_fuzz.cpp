// SPDX-License-Identifier: MIT
// The text of a set's recovery.json.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sphere/recovery/set_plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const void* const start = data;
  std::size_t hashed = 0;
  const auto plan =
      sphere::recovery::parse_set_plan({static_cast<const char*>(start), size}, hashed);
  if (!plan) {
    return 0;
  }
  const bool is_bounded = !plan->images.empty() &&
                          plan->images.size() <= sphere::recovery::kPlanImages &&
                          hashed <= plan->images.size() && !plan->protocol.empty();
  if (!is_bounded) {
    std::abort();
  }
  constexpr std::uint64_t kLargest = 1000;
  for (const auto& member : plan->options.members()) {
    const auto number = sphere::recovery::number_option(*plan, member.key, kLargest);
    if (number && *number && **number > kLargest) {
      std::abort();
    }
    static_cast<void>(sphere::recovery::text_option(*plan, member.key));
  }
  return 0;
}
