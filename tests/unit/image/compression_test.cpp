// SPDX-License-Identifier: MIT
#include "sphere/image/compression.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::decode_lzma;
using sphere::image::encode_lzma;
using sphere::image::ZstdDecoder;
using sphere::image::ZstdEncoder;
using sphere::test::Bytes;
using sphere::test::patched;

namespace {

Bytes random_bytes(std::size_t size) {
  std::mt19937 engine{7};
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(engine() & 0xFF); });
  return bytes;
}

Bytes copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

Bytes with(Bytes bytes, std::string_view more) {
  for (const char c : more) {
    bytes.push_back(static_cast<std::byte>(c));
  }
  return bytes;
}

void check_corrupt(const sphere::Result<Bytes>& result) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::corrupt);
  CHECK(result.error().hint().reason == "package.corrupt");
}

// The frame of `chunk`, and what becomes of it when it is read as `size` bytes.
Bytes frame_of(std::span<const std::byte> chunk) { return copy_of(ZstdEncoder{}.encode(chunk)); }

sphere::Result<void> decode_frame(std::span<const std::byte> frame, std::size_t size) {
  Bytes chunk(size);
  return ZstdDecoder{}.decode(frame, chunk);
}

void check_corrupt_frame(std::span<const std::byte> frame, std::size_t size) {
  const auto result = decode_frame(frame, size);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::corrupt);
  CHECK(result.error().hint().reason == "package.corrupt");
}

}  // namespace

TEST_CASE("LZMA areas have the fixed header, a multiple of 4 bytes, and decode to their data",
          "[image]") {
  const auto data =
      GENERATE(Bytes{}, sphere::test::to_bytes("x"), sphere::test::pattern(4095, 1),
               sphere::test::pattern(300'000, 2), random_bytes(70'000), Bytes(2'000'000));

  const auto area = encode_lzma(data);

  REQUIRE(area.size() > 13);
  CHECK(area.size() % 4 == 0);
  CHECK(sphere::to_hex(std::span{area}.first(13)) == "5a00100000ffffffffffffffff");
  const auto decoded = decode_lzma(area, data.size());
  REQUIRE(decoded);
  CHECK(*decoded == data);
}

TEST_CASE("an LZMA area decodes to its exact size only", "[image]") {
  const auto data = sphere::test::pattern(70'000, 3);
  const auto area = encode_lzma(data);

  for (const std::size_t size : {0U, 1U, 65'536U, 69'999U, 70'001U, 1'000'000U}) {
    INFO(size);
    check_corrupt(decode_lzma(area, size));
  }
}

TEST_CASE("a size in the LZMA header must be the expected one", "[image]") {
  const auto data = sphere::test::pattern(1000, 3);
  const auto area = encode_lzma(data);
  const auto known = patched(area, 5, std::string_view{"\xE8\x03\0\0\0\0\0\0", 8});
  const auto wrong = patched(area, 5, std::string_view{"\xE9\x03\0\0\0\0\0\0", 8});

  const auto decoded = decode_lzma(known, data.size());

  REQUIRE(decoded);
  CHECK(*decoded == data);
  check_corrupt(decode_lzma(wrong, data.size()));
}

TEST_CASE("an LZMA area that is cut anywhere is refused", "[image]") {
  const auto data = random_bytes(300);
  const auto area = encode_lzma(data);

  for (std::size_t size = 0; size < area.size(); ++size) {
    INFO(size);
    check_corrupt(decode_lzma(std::span{area}.first(size), data.size()));
  }
}

TEST_CASE("what follows LZMA data is at most 3 zero bytes", "[image]") {
  // Of one length modulo 4 each, so that every width of padding occurs.
  std::array<bool, 4> seen = {};
  for (std::size_t size = 100; size < 160; ++size) {
    const auto data = random_bytes(size);
    const auto area = encode_lzma(data);
    std::size_t padding = 0;
    while (area[area.size() - 1 - padding] == std::byte{0} && padding < 3) {
      ++padding;
    }
    seen.at(padding) = true;
    INFO(size);
    REQUIRE(decode_lzma(area, size));
    check_corrupt(decode_lzma(with(area, std::string(4, '\0')), size));
    check_corrupt(decode_lzma(with(area, "abcd"), size));
    if (padding > 0) {
      check_corrupt(decode_lzma(patched(area, area.size() - 1, "x"), size));
    }
  }
  CHECK(std::ranges::count(seen, true) >= 3);
}

TEST_CASE("LZMA headers beyond the limits are refused", "[image]") {
  const auto data = sphere::test::pattern(100, 1);
  const auto area = encode_lzma(data);

  SECTION("1 MiB of dictionary is allowed") {
    CHECK(decode_lzma(patched(area, 1, std::string_view{"\0\0\x10\0", 4}), data.size()));
  }
  SECTION("64 MiB of dictionary are not") {
    const auto result =
        decode_lzma(patched(area, 1, std::string_view{"\0\0\0\x04", 4}), data.size());
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::too_large);
    CHECK(result.error().hint().reason == "package.too-large");
    CHECK(result.error().hint().value == "67108864");
  }
  SECTION("parameters that LZMA does not have") {
    check_corrupt(decode_lzma(patched(area, 0, "\xE1"), data.size()));
    check_corrupt(decode_lzma(patched(area, 0, "\xFF"), data.size()));
  }
  SECTION("parameters that liblzma does not decode: lc 8, lp 4") {
    check_corrupt(decode_lzma(patched(area, 0, "\xE0"), data.size()));
  }
}

TEST_CASE("a flipped bit of LZMA data never passes as the data", "[image]") {
  const auto data = random_bytes(400);
  const auto area = encode_lzma(data);

  for (std::size_t at = 13; at < area.size(); ++at) {
    auto flipped = area;
    flipped[at] ^= std::byte{0x10};
    const auto decoded = decode_lzma(flipped, data.size());
    INFO(at);
    CHECK((!decoded || *decoded != data));
  }
}

TEST_CASE("a zstd chunk is one single segment without checksum and decodes to its bytes",
          "[image]") {
  const auto chunk =
      GENERATE(sphere::test::to_bytes("x"), sphere::test::pattern(255, 1), random_bytes(256),
               sphere::test::pattern(4096, 1), sphere::test::pattern(65'536, 4),
               random_bytes(131'072), Bytes(262'144), sphere::test::pattern(262'144, 5));
  ZstdEncoder encoder;
  const auto frame = copy_of(encoder.encode(chunk));

  REQUIRE(frame.size() > 5);
  CHECK(sphere::to_hex(std::span{frame}.first(4)) == "28b52ffd");
  CHECK((frame[4] & std::byte{0x3F}) == std::byte{0x20});
  Bytes decoded(chunk.size());
  ZstdDecoder decoder;
  REQUIRE(decoder.decode(frame, decoded));
  CHECK(decoded == chunk);
  // Both are used again, and give the same.
  CHECK(std::ranges::equal(encoder.encode(chunk), frame));
  std::ranges::fill(decoded, std::byte{0xAA});
  REQUIRE(decoder.decode(frame, decoded));
  CHECK(decoded == chunk);
}

TEST_CASE("a decoder goes on after a damaged chunk", "[image]") {
  const auto chunk = sphere::test::pattern(5000, 1);
  const auto frame = frame_of(chunk);
  ZstdDecoder decoder;
  Bytes decoded(chunk.size());
  CHECK_FALSE(decoder.decode(std::span{frame}.first(frame.size() - 1), decoded));

  REQUIRE(decoder.decode(frame, decoded));
  CHECK(decoded == chunk);
}

TEST_CASE("zstd chunks that break a rule are refused", "[image]") {
  const auto chunk = sphere::test::pattern(5000, 1);  // A size field of 2 bytes: flag 0x40.
  const auto frame = frame_of(chunk);
  REQUIRE(frame[4] == std::byte{0x60});
  REQUIRE(decode_frame(frame, 5000));

  SECTION("another size than promised") {
    check_corrupt_frame(frame, 4999);
    check_corrupt_frame(frame, 5001);
    check_corrupt_frame(patched(frame, 5, "\x89"), 5000);
  }
  SECTION("a header that names the right size over blocks that decode to another") {
    check_corrupt_frame(patched(frame, 5, "\x87"), 4999);
    check_corrupt_frame(patched(frame, 5, "\x89"), 5001);
  }
  SECTION("no zstd frame") { check_corrupt_frame(patched(frame, 0, "\x27"), 5000); }
  SECTION("a skippable frame, alone and before the chunk") {
    const auto skippable = with({}, std::string_view{"\x50\x2A\x4D\x18\x04\0\0\0abcd", 12});
    check_corrupt_frame(skippable, 5000);
    auto both = skippable;
    both.insert(both.end(), frame.begin(), frame.end());
    check_corrupt_frame(both, 5000);
  }
  SECTION("a frame, or a skippable one, after the chunk") {
    auto twice = frame;
    twice.insert(twice.end(), frame.begin(), frame.end());
    check_corrupt_frame(twice, 5000);
    check_corrupt_frame(with(frame, std::string_view{"\x50\x2A\x4D\x18\x04\0\0\0abcd", 12}), 5000);
    check_corrupt_frame(with(frame, "x"), 5000);
  }
  SECTION("checksum, dictionary id, reserved bit, window") {
    for (const auto* bits : {"\x64", "\x61", "\x62", "\x63", "\x68", "\x40"}) {
      check_corrupt_frame(patched(frame, 4, bits), 5000);
    }
  }
  SECTION("no size at all: a window of 2 GiB in its place") {
    // Descriptor 0, window descriptor, then an empty last block.
    check_corrupt_frame(with({}, std::string_view{"\x28\xB5\x2F\xFD\x00\xA8\x01\0\0", 9}), 5000);
  }
  SECTION("a bomb: 2^63 bytes promised") {
    check_corrupt_frame(
        with({}, std::string_view{"\x28\xB5\x2F\xFD\xE0\0\0\0\0\0\0\0\x80\x01\0\0", 16}), 5000);
  }
}

TEST_CASE("a zstd chunk that is cut anywhere is refused", "[image]") {
  const auto chunk = random_bytes(300);
  const auto frame = frame_of(chunk);

  for (std::size_t size = 0; size < frame.size(); ++size) {
    INFO(size);
    check_corrupt_frame(std::span{frame}.first(size), chunk.size());
  }
}
