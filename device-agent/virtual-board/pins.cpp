// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/pins.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::virtual_board {
namespace {

struct Range {
  int first, last;  // Both included.
};

// The pads of the MT3620 that can be GPIO, by its data sheet; the numbers between do not exist.
constexpr std::array kMt3620 = {Range{.first = 0, .last = 23}, Range{.first = 26, .last = 48},
                                Range{.first = 56, .last = 75}, Range{.first = 80, .last = 80}};

struct Board {
  std::string_view id;
  std::span<const Range> lines;
};

// What a board brings out is its hardware definition's matter; an app may name any line of the
// chip, so a board has all of them.
constexpr std::array kBoards = {
    Board{.id = "sphere-virtual", .lines = kMt3620},
    Board{.id = "mt3620", .lines = kMt3620},
    Board{.id = "mt3620-rdb", .lines = kMt3620},
    Board{.id = "avnet-aesms-mt3620", .lines = kMt3620},
    Board{.id = "avnet-mt3620-sk", .lines = kMt3620},
    Board{.id = "avnet-mt3620-sk-rev2", .lines = kMt3620},
    Board{.id = "ailink-wfm620rsc1", .lines = kMt3620},
    Board{.id = "seeed-mt3620-mdb", .lines = kMt3620},
    Board{.id = "usi-mt3620-bt-combo", .lines = kMt3620},
    Board{.id = "usi-mt3620-bt-evb", .lines = kMt3620},
};

std::string known_ids() {
  std::vector<std::string> ids;
  ids.reserve(kBoards.size());
  for (const auto& board : kBoards) {
    ids.emplace_back(board.id);
  }
  return join(ids, ", ");
}

}  // namespace

Result<std::vector<int>> gpio_lines(std::string_view board_id) {
  std::string id{board_id};
  std::ranges::replace(id, '_', '-');
  const auto* const board =
      std::ranges::find_if(kBoards, [&](const Board& b) { return b.id == id; });
  if (board == kBoards.end()) {
    return fail(Errc::not_found, fmt::format("no virtual board is of kind {}", board_id),
                {.reason = "usage.bad-value",
                 .value = std::string{board_id},
                 .next = "use one of " + known_ids()});
  }
  std::vector<int> lines;
  for (const auto& range : board->lines) {
    for (int line = range.first; line <= range.last; ++line) {
      lines.push_back(line);
    }
  }
  return lines;
}

}  // namespace sphere::virtual_board
