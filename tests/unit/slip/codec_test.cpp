// SPDX-License-Identifier: MIT
#include "sphere/slip/codec.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace sphere::slip {
namespace {

using Bytes = std::vector<std::byte>;
using Frames = std::vector<Bytes>;

Frames decode_in_pieces(std::span<const std::byte> wire, std::size_t piece, Decoder& decoder) {
  Frames frames;
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    decoder.decode(
        wire.subspan(at, std::min(piece, wire.size() - at)),
        [&](std::span<const std::byte> frame) { frames.emplace_back(frame.begin(), frame.end()); });
  }
  return frames;
}

Frames decode_all(std::span<const std::byte> wire) {
  Decoder decoder;
  return decode_in_pieces(wire, wire.size() + 1, decoder);
}

// Frames in which END and ESC are about as frequent as everything else.
Frames random_frames(std::uint32_t seed, std::size_t count) {
  std::mt19937 random{seed};
  Frames frames;
  for (std::size_t i = 0; i < count; ++i) {
    Bytes frame(1 + random() % kMtu);
    for (std::byte& byte : frame) {
      const auto kind = random() % 4;
      byte = kind == 0 ? kEnd : kind == 1 ? kEscape : static_cast<std::byte>(random());
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

Bytes wire_of(const Frames& frames) {
  Bytes wire;
  for (const Bytes& frame : frames) {
    append_encoded(frame, wire);
  }
  return wire;
}

TEST_CASE("encode and decode agree with the golden frames") {
  struct Case {
    std::string data;
    std::string wire;
  };
  const auto test = GENERATE(values<Case>({{"C0", "C0 DB DC C0"},
                                           {"DB", "C0 DB DD C0"},
                                           {"DB DC", "C0 DB DD DC C0"},
                                           {"45 C0 DB 00", "C0 45 DB DC DB DD 00 C0"},
                                           {"01 02 03", "C0 01 02 03 C0"}}));
  INFO(test.data);
  Bytes wire;
  append_encoded(test::from_hex(test.data), wire);
  CHECK(wire == test::from_hex(test.wire));
  CHECK(decode_all(wire) == Frames{test::from_hex(test.data)});
}

TEST_CASE("an empty frame is two ENDs, and no frame on the other side") {
  Bytes wire;
  append_encoded({}, wire);

  CHECK(wire == test::from_hex("C0 C0"));
  CHECK(decode_all(wire).empty());
}

TEST_CASE("the decoder gives the same frames however the stream is cut") {
  const Frames frames = random_frames(7, 40);
  const Bytes wire = wire_of(frames);
  for (const std::size_t piece : {1, 2, 3, 5, 64, 510, 1499, 4096, 1000000}) {
    INFO(piece);
    Decoder decoder;
    CHECK(decode_in_pieces(wire, piece, decoder) == frames);
    CHECK(decoder.counters().frames == frames.size());
    CHECK(decoder.counters().bytes == wire.size());
    CHECK(decoder.counters().bad_escapes == 0);
  }
}

TEST_CASE("a cut at every position changes nothing") {
  const Frames frames = {test::from_hex("45 C0 DB 00"), test::from_hex("DB DB"),
                         test::from_hex("01")};
  const Bytes wire = wire_of(frames);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    INFO(cut);
    Decoder decoder;
    Frames found;
    const auto sink = [&](std::span<const std::byte> frame) {
      found.emplace_back(frame.begin(), frame.end());
    };
    decoder.decode(std::span{wire}.first(cut), sink);
    decoder.decode(std::span{wire}.subspan(cut), sink);
    CHECK(found == frames);
  }
}

TEST_CASE("a wrong escape drops its frame and no other") {
  const auto wire = GENERATE(values<std::string>(
      {"C0 01 DB 05 02 C0 C0 07 C0", "C0 01 DB C0 07 C0", "C0 DB DB DC C0 07 C0"}));
  INFO(wire);
  for (const std::size_t piece : {1, 100}) {
    Decoder decoder;
    CHECK(decode_in_pieces(test::from_hex(wire), piece, decoder) == Frames{test::from_hex("07")});
    CHECK(decoder.counters().bad_escapes == 1);
  }
}

TEST_CASE("a frame over the limit is dropped and the next one found") {
  for (const std::size_t size : {std::size_t{16}, std::size_t{17}, std::size_t{5000}}) {
    INFO(size);
    Bytes wire;
    append_encoded(Bytes(size, kEnd), wire);
    append_encoded(Bytes(size, std::byte{1}), wire);
    append_encoded(Bytes(3, std::byte{2}), wire);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, wire.size()}) {
      Decoder decoder{16};
      const auto frames = decode_in_pieces(wire, piece, decoder);
      CHECK(frames.size() == (size <= 16 ? 3 : 1));
      CHECK(frames.back() == Bytes(3, std::byte{2}));
      CHECK(decoder.counters().too_long == (size <= 16 ? 0 : 2));
    }
  }
}

TEST_CASE("bytes before the first END are no data") {
  for (const std::size_t piece : {1, 100}) {
    Decoder decoder;
    CHECK(decode_in_pieces(test::from_hex("45 00 DB DC C0 07 C0"), piece, decoder) ==
          Frames{test::from_hex("07")});
    CHECK(decoder.counters().outside == 1);
  }
}

TEST_CASE("reset forgets a frame begun") {
  Decoder decoder;
  CHECK(decode_in_pieces(test::from_hex("C0 01 02"), 100, decoder).empty());
  decoder.reset();

  CHECK(decode_in_pieces(test::from_hex("03 C0 04 C0"), 100, decoder) ==
        Frames{test::from_hex("04")});
}

TEST_CASE("a flood of END gives no frame") {
  Decoder decoder;
  CHECK(decode_in_pieces(Bytes(std::size_t{1} << 20U, kEnd), 4096, decoder).empty());
  CHECK(decoder.counters().frames == 0);
}

TEST_CASE("10,000 damaged streams neither break the decoder nor pass its limit") {
  const Bytes good = wire_of(random_frames(11, 3));
  std::mt19937 random{3};
  for (int round = 0; round < 10000; ++round) {
    const std::size_t from = random() % good.size();
    Bytes wire(good.begin() + static_cast<std::ptrdiff_t>(from), good.end());
    for (unsigned i = 0; i < 1 + random() % 8; ++i) {
      wire[random() % wire.size()] = static_cast<std::byte>(random());
    }
    // What ends the damaged part ends its effect.
    append_encoded(test::from_hex("07 08"), wire);
    Decoder decoder;
    const auto frames = decode_in_pieces(wire, 1 + random() % 2000, decoder);
    REQUIRE(!frames.empty());
    REQUIRE(frames.back() == test::from_hex("07 08"));
    REQUIRE(std::ranges::all_of(frames, [](const Bytes& frame) { return frame.size() <= kMtu; }));
  }
}

}  // namespace
}  // namespace sphere::slip
