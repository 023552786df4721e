// SPDX-License-Identifier: MIT
#include "sphere/recovery/v2_messages.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/device_errors.h"
#include "sphere/recovery/manifest_v3.h"
#include "tests/support/bytes.h"

namespace sphere::recovery::v2 {
namespace {

using Bytes = std::vector<std::byte>;
using test::from_hex;

Bytes text(std::string_view characters) {
  const auto bytes = std::as_bytes(std::span{characters});
  return {bytes.begin(), bytes.end()};
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::string device_id() {
  Bytes id(64);
  for (std::size_t i = 0; i < id.size(); ++i) {
    id[i] = static_cast<std::byte>(i);
  }
  return to_hex(id);
}

Bytes request_data(std::string_view name) {
  return std::move(Writer{}
                       .little_endian<std::uint32_t>(0)
                       .little_endian(0xFFFFFFFFU)
                       .text(name)
                       .zeros(1))
      .take();
}

Bytes answer_data(std::uint32_t offset, std::uint32_t length, std::uint32_t size) {
  return std::move(Writer{}.little_endian(offset).little_endian(length).little_endian(size)).take();
}

struct Golden {
  Type type;
  Bytes data;
  Bytes wire;
};

std::vector<Golden> golden() {
  const auto event = [](int number) { return Bytes{static_cast<std::byte>(number)}; };
  return {
      {Type::initialization_ack, {}, from_hex("02 04 02 A0 01 01 03 D7 EC 00")},
      {Type::recovery_event, event(1), from_hex("02 05 02 0B 02 01 04 01 49 B2 00")},
      {Type::recovery_event, event(2), from_hex("02 05 02 0B 02 01 04 02 2A 82 00")},
      {Type::recovery_event, event(3), from_hex("02 05 02 0B 02 01 04 03 0B 92 00")},
      {Type::recovery_event, event(6), from_hex("02 05 02 0B 02 01 04 06 AE C2 00")},
      {Type::recovery_event, event(7), from_hex("02 05 02 0B 02 01 04 07 8F D2 00")},
      {Type::recovery_event, event(8), from_hex("02 05 02 0B 02 01 04 08 60 23 00")},
      {Type::recovery_event, event(9), from_hex("02 05 02 0B 02 01 04 09 41 33 00")},
      {Type::log_config_query, {}, from_hex("02 04 02 09 01 01 03 D6 F5 00")},
      {Type::simple_query_ack, event(0), from_hex("02 05 02 A3 02 01 01 03 21 8A 00")},
      {Type::simple_query_ack, event(1), from_hex("02 05 02 A3 02 01 02 01 02 9A 00")},
      {Type::baudrate_switch_query, {}, from_hex("02 04 02 03 01 01 03 7D 9D 00")},
      {Type::status_request, {}, from_hex("02 04 02 02 01 01 03 C9 EB 00")},
      {Type::server_ready, {}, from_hex("02 04 02 A1 01 01 03 63 9A 00")},
      {Type::status_busy, {}, from_hex("02 04 02 A2 01 01 03 BF 01 00")},
      {Type::abort_recovery, {}, from_hex("02 04 02 A6 01 01 03 4E CB 00")},
      {Type::recovery_complete, {}, from_hex("02 04 02 0D 01 01 03 27 3F 00")},
      {Type::image_request_capability, answer_data(0, 0xFFFFFFFF, 0) /* cut below */,
       from_hex("02 0C 02 04 02 08 01 01 01 01 07 FF FF FF FF 9E C8 00")},
      {Type::image_request_ack, answer_data(0, 392, 392),
       from_hex("02 10 02 A4 02 0C 01 01 01 01 03 88 01 01 03 88 01 01 03 77 1E 00")},
      {Type::image_request_ack, answer_data(0, 60836, 60836),
       from_hex("02 10 02 A4 02 0C 01 01 01 01 03 A4 ED 01 03 A4 ED 01 03 0C 93 00")},
      {Type::image_request_ack, answer_data(0, 1496, 1496),
       from_hex("02 10 02 A4 02 0C 01 01 01 01 03 D8 05 01 03 D8 05 01 03 2E BD 00")},
      {Type::image_request_ack, answer_data(0, 20480, 26860),
       from_hex("02 10 02 A4 02 0C 01 01 01 01 01 02 50 01 03 EC 68 01 03 03 39 00")},
      {Type::image_request_ack, answer_data(20480, 6380, 26860),
       from_hex("02 10 02 A4 02 0C 01 02 50 01 03 EC 18 01 03 EC 68 01 03 24 07 00")},
      {Type::image_request_by_filename, request_data("recovery-runtime.bin"),
       joined({from_hex("02 21 02 07 02 1D 01 01 01 01 19 FF FF FF FF"),
               text("recovery-runtime.bin"), from_hex("03 41 F0 00")})},
      {Type::image_request_by_filename, request_data("recovery.imagemanifest"),
       joined({from_hex("02 23 02 07 02 1F 01 01 01 01 1B FF FF FF FF"),
               text("recovery.imagemanifest"), from_hex("03 A4 10 00")})},
      {Type::initialization, joined({from_hex("01 00 00 00"), text(device_id()), from_hex("00")}),
       joined({from_hex("02 89 02 01 02 85 02 01 01 01 81"), text(device_id()),
               from_hex("03 B0 F1 00")})},
  };
}

TEST_CASE("the frames of recovery v2 are the golden ones both ways") {
  for (Golden& test : std::vector<Golden>{golden()}) {
    INFO(to_hex(test.wire));
    if (test.type == Type::image_request_capability) {
      test.data.resize(8);
    }
    Bytes wire;
    append_message(test.type, test.data, wire);
    CHECK(wire == test.wire);

    int frames = 0;
    CobsDecoder decoder{kFrameLimit};
    decoder.decode(test.wire, [&](std::span<const std::byte> frame) {
      ++frames;
      const auto message = parse_message(frame);
      REQUIRE(message);
      CHECK(message->type == static_cast<std::uint16_t>(test.type));
      CHECK(Bytes(message->data.begin(), message->data.end()) == test.data);
      return true;
    });
    CHECK(frames == 1);
  }
}

TEST_CASE("a frame with a wrong length or check sum is no message") {
  Bytes wire;
  append_message(Type::recovery_event, from_hex("06"), wire);
  CobsDecoder decoder{kFrameLimit};
  decoder.decode(wire, [&](std::span<const std::byte> frame) {
    Bytes bytes(frame.begin(), frame.end());
    REQUIRE(parse_message(bytes));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      Bytes spoilt = bytes;
      spoilt[i] ^= std::byte{1};
      CHECK_FALSE(parse_message(spoilt));
      CHECK_FALSE(parse_message(std::span{bytes}.first(i)));
    }
    return true;
  });
}

TEST_CASE("requests for files are read, and names that could harm are not") {
  CHECK(parse_file_request(request_data("a.bin"), true) == FileRequest{.name = "a.bin"});
  CHECK(parse_file_request(from_hex("01 00 00 00 02 00 00 00"), false) ==
        FileRequest{.offset = 1, .most = 2});
  CHECK_FALSE(parse_file_request(from_hex("01 00 00 00 02 00 00"), false));
  CHECK_FALSE(parse_file_request(from_hex("01 00 00 00 02 00 00 00 00"), false));
  for (const std::string& name :
       {std::string{}, std::string{"../x"}, std::string{"a/b"}, std::string{".x"},
        std::string{"a\\b"}, std::string{"a b"}, std::string{"a\nb"}, std::string(64, 'a'),
        std::string(300, 'a'), std::string{"a\0b", 3}, std::string{"\xC3\xA4"}}) {
    INFO(name);
    CHECK_FALSE(parse_file_request(request_data(name), true));
  }
  auto unended = request_data("abc");
  unended.pop_back();
  CHECK_FALSE(parse_file_request(unended, true));
}

TEST_CASE("every device error has a sentence and a next step") {
  std::set<std::pair<int, int>> seen;
  std::size_t published = 0;
  for (const DeviceError& error : device_errors()) {
    INFO(error.name);
    CHECK_FALSE(error.name.empty());
    CHECK_FALSE(error.text.empty());
    CHECK_FALSE(error.next.empty());
    CHECK(error.text.back() != '.');
    CHECK(seen.emplace(error.category, error.code).second);
    CHECK(find_device_error(error.category, error.code) == &error);
    published += error.category == kRecoveryCategory && error.code < 300 ? 1U : 0U;
  }
  CHECK(published == 43);
  CHECK(find_device_error(39, 106) == nullptr);
  CHECK(find_device_error(27, 12)->name == "RequiredImageTypeNotFound");
  CHECK(find_device_error(39, kBadSignature)->name == "BadSignature");
}

TEST_CASE("a manifest v3 is written and read, and refused when anything in it is off") {
  ManifestV3 manifest{.build_date = 1588000000, .entries = {}};
  for (int i = 1; i <= 3; ++i) {
    std::array<std::byte, 16> id = {};
    id[0] = static_cast<std::byte>(i);
    manifest.entries.push_back({.image_id = Guid::from_stored(id),
                                .component_id = Guid::from_stored(id),
                                .image_type = 9,
                                .partition_type = 1,
                                .file_size = 2376U * static_cast<std::uint32_t>(i)});
  }
  const auto bytes = write_manifest_v3(manifest);
  CHECK(bytes.size() == 16 + 3 * 76);
  const auto back = parse_manifest_v3(bytes).value();
  CHECK(back.build_date == 1588000000);
  CHECK(back.entries.size() == 3);
  CHECK(back.entries[2].file_name() == "00000003000000000000000000000000.bin");
  CHECK(back.total_size() == 2376 * 6);

  const auto refused = [&](std::size_t at, std::byte value) {
    auto spoilt = bytes;
    spoilt[at] = value;
    const auto result = parse_manifest_v3(spoilt);
    return result ? Errc::cancelled : result.error().code();
  };
  CHECK(refused(0, std::byte{4}) == Errc::unsupported);
  CHECK(refused(2, std::byte{2}) == Errc::corrupt);
  CHECK(refused(2, std::byte{0}) == Errc::too_large);
  CHECK(refused(4, std::byte{0x20}) == Errc::corrupt);
  CHECK(refused(6, std::byte{0x4D}) == Errc::corrupt);
  CHECK(refused(16 + 36 + 3, std::byte{0x10}) == Errc::too_large);
  CHECK(refused(16 + 76, std::byte{1}) == Errc::corrupt);  // The id of the first, again.
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(parse_manifest_v3(std::span{bytes}.first(size)));
  }
}

}  // namespace
}  // namespace sphere::recovery::v2
