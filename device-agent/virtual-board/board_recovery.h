// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "sphere/core/clock.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// A board of `sphere board` that `sphere board inject-fault` has broken does not boot: it waits in
// its recovery loader, which speaks recovery v3 over TCP, until somebody brings it back. In the
// board's directory:
//
//   recovery/faults    what is wrong, one name a line; there as long as the board is broken
//   recovery/trust/    public keys in PEM that may sign its recovery sets
//   recovery/flash.bin what the flash holds; absent: erased
//   recovery/address   HOST:PORT while the loader listens
//
// The names: erased-flash, no-boot-record, half-written, flipped-bit change the flash once, when
// the loader begins; lost-bytes, noisy-line, slow-erase, unplugged, power-cut are of the line and
// the loader until the board is back. docs/how-to/virtual-board.md tells them to people.
enum class RecoveryEnd : std::uint8_t { whole, stopped };

// Runs the loader of a board until it is brought back, if it is broken. Calls `ready` once the
// loader listens; says in the board's log what happens. Holds the board's lock meanwhile. Errors:
// corrupt (a fault that is not known), those of files, busy.
[[nodiscard]] Result<RecoveryEnd> recover_if_broken(const std::filesystem::path& directory,
                                                    const Clock& clock,
                                                    const std::function<void()>& ready);

}  // namespace sphere::virtual_board
