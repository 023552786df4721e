// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "libsdk/src/hardware/diff.h"
#include "libsdk/src/hardware/resolve.h"
#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"
#include "sphere/hardware/header.h"

namespace {

namespace hardware = sphere::hardware;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{data, data + size};
  const auto definition = hardware::read_definition(text, "fuzz.json");
  if (!definition) {
    require(definition.error().hint().reason == "package.hardware-definition");
    return 0;
  }
  const auto header = hardware::header_text(*definition);
  require(hardware::unified_diff(header, header, "a", "b").empty());
  static_cast<void>(hardware::unified_diff(text, header, "a", "b"));
  const std::vector<hardware::Definition> files = {*definition};
  for (const auto& peripheral : files[0].peripherals) {
    const auto raw = hardware::follow(files, {{0}}, 0, peripheral);
    require(!raw || ((*raw)->mapping.empty() && (*raw)->type == peripheral.type));
  }
  return 0;
}
