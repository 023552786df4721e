// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/turn.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"

namespace sphere::recovery {

namespace {

std::string next_step(const Outcome& outcome) {
  return outcome.flash_touched ? "keep the board connected and run the command again"
                               : "reset the board into its recovery mode and run the command again";
}

}  // namespace

void Run::finish(Turn& turn) {
  if (!std::exchange(over_, true)) {
    turn.add(Finish{outcome});
  }
}

void Run::fail(Turn& turn, Error error) {
  if (!over_) {
    outcome.error = std::move(error);
    finish(turn);
  }
}

void Run::fail(Turn& turn, Errc code, std::string message, std::string_view reason) {
  if (reason.empty()) {
    reason = outcome.flash_touched ? "recovery.write" : "recovery.no-loader";
  }
  fail(turn, Error{code, std::move(message), {.reason = reason, .next = next_step(outcome)}});
}

void Run::lose(Turn& turn, Step step) {
  fail(turn, Errc::unavailable, fmt::format("the board was unplugged at step {}", to_text(step)),
       "link.unplugged");
}

void Run::cancel(Turn& turn, Step step) {
  if (!outcome.flash_touched || std::exchange(cancelled_, true)) {
    fail(turn, Errc::cancelled, fmt::format("interrupted at step {}", to_text(step)));
    return;
  }
  turn.emit(Warning{.code = "recovery.write",
                    .text = "the board is partly written and of no use until this has finished",
                    .next = "wait, or interrupt once more to leave it so"});
}

std::string show_bytes(std::span<const std::byte> bytes) {
  constexpr std::size_t kShown = 16;
  if (bytes.empty()) {
    return "nothing";
  }
  return to_hex(bytes.first(std::min(bytes.size(), kShown)));
}

std::string show_text(std::span<const std::byte> bytes) {
  constexpr std::size_t kShown = 256;
  const void* const start = bytes.data();
  const std::string_view text{static_cast<const char*>(start), std::min(bytes.size(), kShown)};
  return escape_control(text);
}

}  // namespace sphere::recovery
