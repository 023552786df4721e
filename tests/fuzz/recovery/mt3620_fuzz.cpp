// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/mt3620.h"

namespace {

using namespace sphere::virtual_board;

}  // namespace

// What a host may say, in pieces: a byte with the time that passes and the length, then the bytes.
// Nothing is signed, so no input may ever change flash.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto input = std::as_bytes(std::span{data, size});
  Mt3620 board{{.trust = {}, .flash_size = 64 * 1024}};
  device::Time now{};
  device::Time deadline{};
  device::Actions actions;
  const auto give = [&](const device::Input& what) {
    actions.clear();
    board.take(what, now, actions);
    for (const device::Action& action : actions) {
      if (const auto* const arm = std::get_if<device::Arm>(&action)) {
        deadline = arm->deadline;
      }
    }
  };
  give(device::PowerOn{});
  while (!input.empty()) {
    const auto code = std::to_integer<std::size_t>(input.front());
    input = input.subspan(1);
    const std::size_t length = std::min(input.size(), (code % 16) * (code % 16));
    give(device::Received{.bytes = input.first(length)});
    input = input.subspan(length);
    now += std::chrono::milliseconds{code / 16 * 100};
    if (now >= deadline) {
      give(device::TimerFired{});
    }
  }
  if (board.flash().counters().sectors_erased != 0 ||
      board.flash().counters().bytes_programmed != 0) {
    std::abort();
  }
  return 0;
}
