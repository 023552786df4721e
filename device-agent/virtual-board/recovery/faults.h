// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/recovery/event.h"

namespace sphere::virtual_board {

// Seen from the board.
enum class WireSide : std::uint8_t { in, out };

// Something that goes wrong, written KIND[=VALUE]@WHERE, as in
//
//   drop@in:byte=70000   flip=3@out:rate=50   unplug=500@in:byte=9000   nak=2@block=17
//
// WHERE is byte=N, frame=N (a piece as it is sent; from 0), block=N, step=NAME or rate=P (per
// million bytes), with in: (to the board, the default) or out: in front. On the wire:
//
//   drop, dup      the byte or frame is lost, comes twice
//   flip=BIT       a bit of the byte, or of the frame's first byte, is inverted
//   delay=MS       from there on everything is that much later, once
//   stall          nothing passes any more
//   stray=HEX      these bytes come in front
//   storm=HEX,N    N copies of a byte come in front
//   unplug[=MS]    the board loses its power; it comes back after MS
//
// The other kinds are the board's: each device side says which it has.
struct Fault {
  enum class Where : std::uint8_t { always, byte, frame, block, step, rate };

  std::string kind = {};
  std::string value = {};
  Where where = Where::always;
  WireSide side = WireSide::in;
  std::uint64_t at = 0;
  std::string step = {};

  // `value` as a number; nothing when it is none.
  [[nodiscard]] std::optional<std::uint64_t> number() const;
};

// Errors: invalid_argument, naming the part.
[[nodiscard]] Result<Fault> parse_fault(std::string_view text);
[[nodiscard]] bool is_wire_fault(const Fault& fault);

// Spoils what passes a wire. Gets each piece in order, for each direction.
class WireFaults {
 public:
  struct Passed {
    std::vector<std::byte> bytes = {};
    recovery::Time delay = {};
    bool unplug = false;  // After these bytes.
    std::optional<recovery::Time> back_after = {};
  };

  // Takes those of `faults` that are for the wire.
  WireFaults(std::span<const Fault> faults, std::uint32_t seed);

  [[nodiscard]] Passed pass(WireSide side, std::span<const std::byte> bytes);

 private:
  struct Armed {
    Fault fault;
    bool spent = false;
  };
  void hit(Armed& armed, std::size_t index, std::size_t length, Passed& passed);
  [[nodiscard]] std::optional<std::size_t> place(const Armed& armed, std::uint64_t first,
                                                 std::uint64_t frame, std::size_t size);

  std::vector<Armed> faults_;
  std::mt19937 random_;
  // Of each direction.
  std::array<std::uint64_t, 2> bytes_ = {};
  std::array<std::uint64_t, 2> frames_ = {};
  std::array<bool, 2> stalled_ = {};
};

}  // namespace sphere::virtual_board
