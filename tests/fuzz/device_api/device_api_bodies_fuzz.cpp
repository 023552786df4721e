// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"

namespace {

namespace api = sphere::device_api;
namespace json = sphere::json;

// What is accepted is written so that it reads the same again.
template <typename Body>
void round_trip(const json::Value& value, sphere::Result<Body> (*read)(const json::Value&)) {
  const auto body = read(value);
  if (!body) {
    return;
  }
  const json::Value written = to_json(*body);
  const auto again = read(written);
  if (!again || !(to_json(*again) == written)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const void* const bytes = data;
  const auto value = json::parse({static_cast<const char*>(bytes), size});
  if (value) {
    round_trip(*value, api::error_from_json);
    round_trip(*value, api::images_from_json);
    round_trip(*value, api::apps_from_json);
    round_trip(*value, api::board_info_from_json);
    round_trip(*value, api::security_state_from_json);
    round_trip(*value, api::output_line_from_json);
    round_trip(*value, api::virtual_peripherals_from_json);
    round_trip(*value, api::gpio_state_from_json);
    round_trip(*value, api::gpio_edge_from_json);
  }
  return 0;
}
