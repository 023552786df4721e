// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/flash.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

namespace sphere::virtual_board {
namespace {

using Access = Flash::Access;
using Bytes = std::vector<std::byte>;

TEST_CASE("flash takes bytes only where it was erased") {
  Flash flash{8192, 4096};

  CHECK(flash.program(10, Bytes(4, std::byte{1})) == Access::ok);
  CHECK(flash.program(12, Bytes(4, std::byte{1})) == Access::not_erased);
  CHECK(flash.erase(13, 1) == Access::ok);
  CHECK(flash.program(12, Bytes(4, std::byte{2})) == Access::ok);
  CHECK(flash.bytes()[10] == std::byte{0xFF});
  CHECK(flash.bytes()[12] == std::byte{2});
  CHECK(flash.erase(8000, 200) == Access::out_of_range);
  CHECK(flash.program(8190, Bytes(4)) == Access::out_of_range);
  CHECK(flash.counters().sectors_erased == 1);
  CHECK(flash.counters().bytes_programmed == 8);
  CHECK(flash.counters().refused == 3);
}

TEST_CASE("T19 no offset and length outside the flash erases or writes a byte") {
  constexpr std::size_t kSize = 8192;
  Flash flash{kSize, 4096};
  flash.load(0, Bytes(kSize, std::byte{7}));
  const Bytes before{flash.bytes().begin(), flash.bytes().end()};
  const Bytes data(kSize + 2, std::byte{1});
  constexpr auto kMost = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> edges = {
      0, 1, 4095, 4096, kSize - 1, kSize, kSize + 1, kMost / 2, kMost - kSize, kMost - 1, kMost};
  std::uint64_t state = 4711;
  for (int turn = 0; turn < 200; ++turn) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    edges.push_back(static_cast<std::size_t>(state >> (turn % 64U)));
  }
  for (const std::size_t offset : edges) {
    for (const std::size_t size : edges) {
      const bool inside = offset <= kSize && size <= kSize - offset;
      if (inside) {
        continue;
      }
      CHECK(flash.erase(offset, size) == Access::out_of_range);
      if (size <= data.size()) {
        CHECK(flash.program(offset, std::span{data}.first(size)) == Access::out_of_range);
      }
    }
  }
  CHECK(std::ranges::equal(flash.bytes(), before));
}

TEST_CASE("flash tears the write during which power goes and takes none until it is back") {
  Flash flash{8192, 4096};
  flash.cut_power_after(2);

  CHECK(flash.program(0, Bytes(16, std::byte{3})) == Access::ok);
  CHECK(flash.has_power());
  CHECK(flash.program(4096, Bytes(2048, std::byte{4})) == Access::no_power);
  CHECK_FALSE(flash.has_power());
  CHECK(flash.erase(0, 4096) == Access::no_power);
  CHECK(flash.bytes()[0] == std::byte{3});
  CHECK(flash.bytes()[4096 + 1023] == std::byte{4});
  CHECK(flash.bytes()[4096 + 1024] == std::byte{0xFF});
  flash.restore_power();
  CHECK(flash.erase(0, 4096) == Access::ok);
}

TEST_CASE("flash refuses a bad sector") {
  Flash flash{8192, 4096};
  flash.set_bad_sector(1);

  CHECK(flash.erase(0, 4096) == Access::ok);
  CHECK(flash.erase(0, 4097) == Access::bad_sector);
  CHECK(flash.program(4095, Bytes(2)) == Access::bad_sector);
  CHECK(flash.program(4094, Bytes(2)) == Access::ok);
}

}  // namespace
}  // namespace sphere::virtual_board
