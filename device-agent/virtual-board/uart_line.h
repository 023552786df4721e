// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string_view>
#include <thread>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// What a UART's wire does to bytes. Probabilities are per million bytes, in each direction.
struct LineFaults {
  std::uint32_t drop = 0;
  std::uint32_t flip = 0;  // One bit of the byte.
  std::uint32_t seed = 1;
};

// "drop=50,flip=10,seed=3". Errors: invalid_argument, naming the part.
[[nodiscard]] Result<LineFaults> parse_line_faults(std::string_view text);

// A model of a UART's wire with hardware flow control: passes bytes between two descriptors at the
// rate of a baud rate with ten bits a byte, each direction by itself, and spoils some. A thread of
// its own; nothing is shared.
class UartLine {
 public:
  // `far` is the descriptor on the other side of the wire. baud 0: as fast as it goes. Errors: io.
  [[nodiscard]] static Result<std::unique_ptr<UartLine>> start(Descriptor far, std::uint32_t baud,
                                                               LineFaults faults);
  UartLine(const UartLine&) = delete;
  UartLine& operator=(const UartLine&) = delete;
  UartLine(UartLine&&) = delete;
  UartLine& operator=(UartLine&&) = delete;
  ~UartLine();

  // Our side of the wire, once. It ends when the other side does.
  [[nodiscard]] Descriptor take_near();

 private:
  UartLine(Descriptor far, Descriptor inner, Descriptor near, Descriptor stop, std::uint32_t baud,
           LineFaults faults);
  void loop();

  Descriptor far_;
  Descriptor inner_;
  Descriptor near_;
  Descriptor stop_;
  std::uint32_t baud_;
  LineFaults faults_;
  std::thread thread_;
};

}  // namespace sphere::virtual_board
