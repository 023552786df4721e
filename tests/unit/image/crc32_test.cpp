// SPDX-License-Identifier: MIT
#include "libsdk/src/image/crc32.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <catch2/catch.hpp>

#include "tests/unit/image/golden.h"

namespace {

// One bit a step, straight from the definition.
std::uint32_t slow_update(std::uint32_t state, std::span<const std::byte> bytes) {
  for (const auto byte : bytes) {
    state ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      state = (state >> 1U) ^ ((state & 1U) != 0 ? 0xEDB88320U : 0U);
    }
  }
  return state;
}

}  // namespace

TEST_CASE("Crc32 of the check text is the published value", "[image]") {
  CHECK(sphere::image::Crc32{}.update(sphere::test::to_bytes("123456789")).value() == 0xCBF43926U);
  CHECK(sphere::image::Crc32{}.value() == 0);
}

TEST_CASE("every CRC kernel agrees with the definition at every length and alignment", "[image]") {
  const auto bytes = sphere::test::pattern(1100, 5);
  for (const auto& kernel : sphere::image::crc32_kernels()) {
    INFO(kernel.name);
    if (!kernel.supported()) {
      continue;
    }
    bool good = true;
    for (std::size_t begin = 0; begin < 17; ++begin) {
      for (std::size_t size = 0; size <= 1024; size += size < 200 ? 1 : 37) {
        const auto part = std::span{bytes}.subspan(begin, size);
        const auto state = static_cast<std::uint32_t>(0xFFFFFFFFU - size * 7919);
        good = good && kernel.update(state, part) == slow_update(state, part);
      }
    }
    CHECK(good);
  }
}

TEST_CASE("the last CRC kernel is supported everywhere", "[image]") {
  CHECK(sphere::image::crc32_kernels().back().supported());
}

TEST_CASE("Crc32 over pieces equals that of the whole", "[image]") {
  const auto bytes = sphere::test::pattern(5000, 0);
  const auto whole = sphere::image::Crc32{}.update(bytes).value();
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 499) {
    CHECK(sphere::image::Crc32{}
              .update(std::span{bytes}.first(cut))
              .update(std::span{bytes}.subspan(cut))
              .value() == whole);
  }
}

TEST_CASE("CRCs of parts combine to that of the whole, for every place of the cut", "[image]") {
  const auto bytes = sphere::test::pattern(3000, 9);
  const auto whole = sphere::image::Crc32{}.update(bytes).value();
  bool good = true;
  for (std::size_t cut = 0; cut <= bytes.size(); cut += cut < 70 ? 1 : 97) {
    const auto tail = std::span{bytes}.subspan(cut);
    const auto of_tail = sphere::image::Crc32{}.update(tail).value();
    good = good && sphere::image::Crc32{}
                           .update(std::span{bytes}.first(cut))
                           .append(of_tail, tail.size())
                           .value() == whole;
  }
  CHECK(good);
}

TEST_CASE("append_zeros equals an update with zeros", "[image]") {
  for (const std::size_t count : {0U, 1U, 7U, 64U, 4095U, 65'537U}) {
    const sphere::test::Bytes zeros(count);
    CHECK(sphere::image::Crc32{}
              .update(sphere::test::to_bytes("head"))
              .append_zeros(count)
              .update(sphere::test::to_bytes("tail"))
              .value() == sphere::image::Crc32{}
                              .update(sphere::test::to_bytes("head"))
                              .update(zeros)
                              .update(sphere::test::to_bytes("tail"))
                              .value());
  }
  // 2^40 zeros in one step; the value of a second way to count: twice 2^39.
  CHECK(sphere::image::Crc32{}.append_zeros(std::uint64_t{1} << 40U).value() ==
        sphere::image::Crc32{}
            .append_zeros(std::uint64_t{1} << 39U)
            .append_zeros(std::uint64_t{1} << 39U)
            .value());
}
