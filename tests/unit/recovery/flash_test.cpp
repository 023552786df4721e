// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/flash.h"

#include <cstddef>
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
