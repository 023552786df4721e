// SPDX-License-Identifier: MIT
#include "sphere/recovery/crc.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

namespace sphere::recovery {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

TEST_CASE("the check sums give their check values") {
  const auto nine = bytes_of("123456789");

  CHECK(crc16_xmodem(nine) == 0x31C3);
  CHECK(crc32c(nine) == 0xE3069283);
  CHECK(crc32(nine) == 0xCBF43926);
  CHECK(crc32_dfu(nine) == 0x340BC6D9);
  CHECK(crc16_xmodem(bytes_of("A")) == 0x58E5);
  CHECK(crc16_xmodem(bytes_of(std::string_view{"\0", 1})) == 0);
  CHECK(crc32c(bytes_of(std::string_view{"\0", 1})) == 0x527D5351);
  CHECK(crc32c(bytes_of("A")) == 0xE16DCDEE);
  CHECK(xor_sum(bytes_of("hello"), 0xEF) == 0x8D);
}

TEST_CASE("a check sum over pieces is the one over the whole") {
  std::vector<std::byte> bytes(100);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 37 + 5);
  }
  const std::span whole{bytes};

  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CHECK(crc16_xmodem(whole.subspan(cut), crc16_xmodem(whole.first(cut))) == crc16_xmodem(whole));
    CHECK(crc32c(whole.subspan(cut), crc32c(whole.first(cut))) == crc32c(whole));
    CHECK(crc32(whole.subspan(cut), crc32(whole.first(cut))) == crc32(whole));
  }
}

}  // namespace
}  // namespace sphere::recovery
