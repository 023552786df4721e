// SPDX-License-Identifier: MIT
#include "sphere/recovery/cobs.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace sphere::recovery {
namespace {

using Bytes = std::vector<std::byte>;
using test::from_hex;

std::vector<Bytes> decode(std::span<const std::byte> wire, std::size_t piece,
                          CobsDecoder& decoder) {
  std::vector<Bytes> frames;
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    const auto part = wire.subspan(at, std::min(piece, wire.size() - at));
    const auto taken = decoder.decode(part, [&](std::span<const std::byte> frame) {
      frames.emplace_back(frame.begin(), frame.end());
      return true;
    });
    CHECK(taken == part.size());
  }
  return frames;
}

Bytes encoded(const Bytes& frame) {
  Bytes wire;
  append_cobs(frame, wire);
  return wire;
}

Bytes concatenated(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Bytes ones(std::size_t count) { return Bytes(count, std::byte{1}); }

Bytes counting(int from, int to) {
  Bytes bytes;
  for (int value = from; value <= to; ++value) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

TEST_CASE("COBS frames are the golden ones both ways, in pieces of any size") {
  const std::vector<std::pair<Bytes, Bytes>> golden = {
      {{}, from_hex("01")},
      {from_hex("00"), from_hex("01 01")},
      {from_hex("00 00"), from_hex("01 01 01")},
      {from_hex("11 22 00 33"), from_hex("03 11 22 02 33")},
      {from_hex("11 00 00 00"), from_hex("02 11 01 01 01")},
      {ones(253), concatenated({from_hex("FE"), ones(253)})},
      {ones(254), concatenated({from_hex("FF"), ones(254)})},
      {ones(255), concatenated({from_hex("FF"), ones(254), from_hex("02 01")})},
      {concatenated({ones(254), from_hex("00")}),
       concatenated({from_hex("FF"), ones(254), from_hex("01 01")})},
      {ones(508), concatenated({from_hex("FF"), ones(254), from_hex("FF"), ones(254)})},
      {counting(0, 0xFE), concatenated({from_hex("01 FF"), counting(1, 0xFE)})},
  };
  for (const auto& [frame, wire] : golden) {
    const Bytes ended = concatenated({wire, from_hex("00")});
    CHECK(encoded(frame) == ended);
    for (std::size_t piece = 1; piece <= ended.size(); ++piece) {
      CobsDecoder decoder{600};
      CHECK(decode(ended, piece, decoder) == std::vector<Bytes>{frame});
    }
  }
}

TEST_CASE("a needless 01 behind a full block is taken") {
  CobsDecoder decoder{600};

  CHECK(decode(concatenated({from_hex("FF"), ones(254), from_hex("01 00")}), 600, decoder) ==
        std::vector<Bytes>{ones(254)});
}

TEST_CASE("a broken or too long COBS frame is dropped up to the next zero") {
  CobsDecoder decoder{4};

  // A zero within a block; five bytes; five by a zero that is due; then a good one.
  const auto frames = decode(
      from_hex("05 11 22 00 06 01 02 03 04 05 00 05 01 02 03 04 01 00 02 33 00"), 3, decoder);

  CHECK(frames == std::vector<Bytes>{from_hex("33")});
  CHECK(decoder.counters().broken == 1);
  CHECK(decoder.counters().too_long == 2);
  CHECK(decoder.counters().frames == 1);
}

TEST_CASE("a storm of zeros gives no frames") {
  CobsDecoder decoder{4};

  CHECK(decode(Bytes(100000), 4096, decoder).empty());
}

TEST_CASE("the COBS decoder stops behind a frame when told to") {
  CobsDecoder decoder{8};
  const Bytes wire = from_hex("02 41 00 02 42 00");

  const auto taken = decoder.decode(wire, [](std::span<const std::byte>) { return false; });

  CHECK(taken == 3);
}

TEST_CASE("random frames come back from COBS as they were") {
  std::mt19937 random{7};
  for (int round = 0; round < 300; ++round) {
    Bytes frame(random() % 1200);
    const bool rare = round % 2 == 0;
    for (std::byte& byte : frame) {
      byte = static_cast<std::byte>(random() % (rare ? 256 : 2));
    }
    const Bytes wire = encoded(frame);
    CHECK(wire.size() <= cobs_limit(frame.size()));
    CHECK(std::count(wire.begin(), wire.end(), std::byte{0}) == 1);
    CobsDecoder decoder{1200};
    CHECK(decode(wire, 1 + random() % 300, decoder) == std::vector<Bytes>{frame});
  }
}

}  // namespace
}  // namespace sphere::recovery
