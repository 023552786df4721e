// SPDX-License-Identifier: MIT
#include "sphere/recovery/v3_messages.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/crc.h"
#include "sphere/recovery/v2_messages.h"
#include "tests/support/bytes.h"

namespace sphere::recovery::v3 {
namespace {

using Bytes = std::vector<std::byte>;
using test::from_hex;

// What the frame on the wire is inside.
Bytes decoded(const Bytes& wire) {
  Bytes inside;
  CobsDecoder decoder{kFrameLimit};
  decoder.decode(wire, [&](std::span<const std::byte> frame) {
    inside.assign(frame.begin(), frame.end());
    return true;
  });
  return inside;
}

void check_message(std::string_view golden, std::uint32_t sequence, Type type, const Bytes& data) {
  Bytes wire;
  append_message(sequence, type, data, wire);
  CHECK(to_hex(wire) == to_hex(from_hex(golden)));

  const Bytes inside = decoded(from_hex(golden));
  const auto frame = parse_frame(inside);
  REQUIRE(frame);
  CHECK(frame->kind == Kind::message);
  CHECK(frame->sequence == sequence);
  const auto message = parse_message(frame->payload);
  REQUIRE(message);
  CHECK(message->type == static_cast<std::uint16_t>(type));
  CHECK(std::ranges::equal(message->data, data));
}

Bytes text_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("messages of recovery v3 are the golden ones both ways") {
  check_message("04 03 01 04 02 01 01 01 02 02 01 01 05 ED 15 B5 3A 00", 1, Type::status_request,
                {});
  check_message("04 03 01 04 02 01 01 01 02 A1 01 01 05 60 41 12 DD 00", 1, Type::server_ready, {});
  check_message(
      "04 03 01 23 02 02 01 01 02 07 02 1F 02 01 01 01 01 01 01 01 01 01 01 01 09 FF FF FF FF FF "
      "FF FF FF 03 10 10 07 01 61 2E 62 69 6E 04 55 0C AF 01 00",
      2, Type::image_request_by_filename,
      write_request({.transfer = 1, .block = 4096, .window = 16, .name = "a.bin"}, true));
  check_message(
      "04 03 01 50 02 02 01 01 02 A4 02 4C 02 01 01 01 01 01 01 01 01 01 01 01 02 05 01 01 01 01 "
      "01 "
      "01 02 05 01 01 01 01 01 01 02 05 01 01 01 01 01 01 01 03 10 10 02 01 01 01 25 2C F2 4D BA "
      "5F "
      "B0 A3 0E 26 E8 3B 2A C5 B9 E2 9E 1B 16 1E 5C 1F A7 42 5E 73 04 33 62 93 8B 98 24 14 09 0D "
      "46 "
      "00",
      2, Type::image_request_ack,
      write_file_answer({.transfer = 1,
                         .length = 5,
                         .size = 5,
                         .wire_length = 5,
                         .block = 4096,
                         .window = 16,
                         .sha256 = crypto::sha256(text_bytes("hello"))}));
  check_message("04 03 01 05 02 03 01 01 02 0B 02 01 06 07 85 BD 42 F8 00", 3, Type::recovery_event,
                from_hex("07"));
  check_message(
      "04 03 01 20 02 04 01 01 02 08 02 1C 02 01 02 03 02 04 01 01 01 01 02 50 01 01 01 01 01 03 "
      "50 "
      "52 01 01 01 01 03 D0 07 01 05 EA 74 AE BB 00",
      4, Type::progress_update,
      write_progress({.phase = Phase::erase,
                      .images_left = 3,
                      .images = 4,
                      .bytes_left = 5242880,
                      .bytes = 5394432,
                      .next_within_ms = 2000}));
  check_message(
      "04 03 01 28 02 03 01 01 02 B0 02 24 02 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 "
      "01 "
      "01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 05 6E 4E 63 95 00",
      3, Type::proceed, write_proceed({}));
  check_message(
      "04 03 01 14 02 05 01 01 02 0C 02 10 02 27 02 05 01 01 01 01 08 61 70 70 2E 62 69 6E 05 06 "
      "FD "
      "60 95 00",
      5, Type::recovery_error, write_error({.category = 39, .code = 5, .text = "app.bin"}));
}

TEST_CASE("other frames of recovery v3 are the golden ones both ways") {
  Bytes wire;
  append_frame({.kind = Kind::message_ack, .sequence = 1}, wire);
  CHECK(wire == from_hex("03 03 03 01 02 01 01 01 05 03 EA 2C 32 00"));
  CHECK(parse_frame(decoded(wire))->kind == Kind::message_ack);

  wire.clear();
  append_data(1, 0, text_bytes("hello"), wire);
  CHECK(wire == from_hex("04 03 02 09 01 01 01 01 02 01 01 01 0A 68 65 6C 6C 6F 2E 3F C4 A5 00"));

  const auto check_ack = [](const DataAck& ack, std::string_view golden) {
    Bytes made;
    append_data_ack(ack, made);
    CHECK(to_hex(made) == to_hex(from_hex(golden)));
    const auto inside = decoded(from_hex(golden));
    CHECK(parse_data_ack(*parse_frame(inside)) == ack);
  };
  check_ack(
      {.transfer = 1, .next = 1, .credit = 16},
      "04 03 04 10 02 01 01 01 02 01 01 01 02 10 01 01 01 01 01 01 01 01 01 01 05 B9 0F 01 92 "
      "00");
  check_ack(
      {.transfer = 1, .next = 5, .credit = 12, .bitmap = 6},
      "04 03 04 10 02 05 01 01 02 01 01 01 02 0C 01 01 02 06 01 01 01 01 01 01 05 CC F6 E7 AE "
      "00");
}

Nonce counting_nonce() {
  Nonce nonce{};
  for (std::size_t i = 0; i < nonce.size(); ++i) {
    nonce.at(i) = static_cast<std::byte>(i);
  }
  return nonce;
}

TEST_CASE("the start of a session is the golden one both ways") {
  Bytes id(64);
  for (std::size_t i = 0; i < id.size(); ++i) {
    id[i] = static_cast<std::byte>(i);
  }
  const Greeting greeting{.device_id = to_hex(id),
                          .nonce = counting_nonce(),
                          .block = 4096,
                          .window = 16,
                          .encodings = 5,
                          .rates = {115200, 921600, 3000000},
                          .board_id = "sphere-virtual",
                          .floor = 7};
  Bytes wire;
  v2::append_message(v2::Type::initialization, write_greeting(greeting), wire);
  CHECK(wire.size() == 208);
  CHECK(to_hex(wire).starts_with("02ca020102c602030101"));
  CHECK(
      to_hex(wire).ends_with("02020510030210060401050"
                             "50c03c20101031"
                             "00e04c0c62d14070e"
                             "7370686572652d7669727475616c0904070101"
                             "03c29b00"));
  CHECK(parse_greeting(write_greeting(greeting)) == greeting);

  const Choice choice{.nonce = counting_nonce(), .block = 4096, .window = 16, .rate = 3000000};
  wire.clear();
  v2::append_message(v2::Type::initialization_ack, write_choice(choice), wire);
  CHECK(
      to_hex(wire) ==
      to_hex(from_hex("02 2E 02 A0 02 2A 02 03 01 01 03 01 10 12 01 02 03 04 05 06 07 08 09 0A 0B "
                      "0C 0D 0E 0F 02 02 05 10 03 02 10 09 04 01 01 05 04 C0 C6 2D 03 06 01 03 5D "
                      "1B 00")));
  CHECK(parse_choice(write_choice(choice)) == choice);
}

TEST_CASE("a greeting keeps all that it says") {
  Greeting greeting{.nonce = counting_nonce(),
                    .loader_version = 3,
                    .floor = 1,
                    .flash_size = 1U << 24U,
                    .lifecycle = 2,
                    .last_error = 105};
  greeting.owner_keys = {crypto::sha256({}), crypto::Sha256Digest{}};
  greeting.journal = {.manifest = crypto::sha256({}), .verified = 2, .images = 5};
  CHECK(parse_greeting(write_greeting(greeting)) == greeting);

  Bytes more = write_greeting(greeting);
  more.insert(more.end(), {std::byte{0x7F}, std::byte{1}, std::byte{9}});
  CHECK(parse_greeting(more) == greeting);  // Tags that are not known are skipped.
}

TEST_CASE("greetings that break a rule are refused") {
  const auto with = [](std::string_view tags) {
    auto data =
        std::move(Writer{}.little_endian(kVersion).text(std::string(kIdDigits, '0'))).take();
    data.push_back(std::byte{0});
    const auto bytes = from_hex(tags);
    data.insert(data.end(), bytes.begin(), bytes.end());
    return parse_greeting(data);
  };
  const std::string nonce = "01 10 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F ";
  CHECK(with(nonce));
  CHECK_FALSE(with(""));  // No nonce.
  CHECK_FALSE(with("01 0F 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E"));
  CHECK_FALSE(with(nonce + nonce));          // Twice.
  CHECK_FALSE(with(nonce + "02 02 01 02"));  // No multiple of 512.
  CHECK_FALSE(with(nonce + "02 02 00 00"));
  CHECK_FALSE(with(nonce + "02 02 00 42"));  // Above 16,384.
  CHECK_FALSE(with(nonce + "03 02 00 00"));
  CHECK_FALSE(with(nonce + "03 02 41 00"));  // Above 64.
  CHECK_FALSE(with(nonce + "04 01 04"));     // Not raw.
  CHECK_FALSE(with(nonce + "05 00"));
  CHECK_FALSE(with(nonce + "05 03 01 00 00"));
  CHECK_FALSE(with(nonce + "05 04 00 00 00 00"));
  CHECK_FALSE(with(nonce + "07 02 41 20"));     // A blank in the board's id.
  CHECK_FALSE(with(nonce + "09 04 01 00 00"));  // Cut.
  CHECK_FALSE(with(nonce + "09"));
}

TEST_CASE("frames that break a rule are no frames") {
  const Bytes good = decoded(from_hex("04 03 01 04 02 01 01 01 02 02 01 01 05 ED 15 B5 3A 00"));
  REQUIRE(parse_frame(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[i] ^= std::byte{1} << bit;
      CHECK_FALSE(parse_frame(bad));
    }
    CHECK_FALSE(parse_frame(std::span{good}.first(i)));
  }
  // Right CRC, but a kind or length that none may have.
  const auto sealed = [](std::string_view head, std::size_t payload) {
    Bytes frame = from_hex(head);
    frame.resize(frame.size() + payload);
    const auto sum = crc32c(frame);
    for (unsigned i = 0; i < 4; ++i) {
      frame.push_back(static_cast<std::byte>(sum >> (8 * i)));
    }
    return parse_frame(frame).has_value();
  };
  CHECK(sealed("03 03 00 00 01 00 00 00", 0));
  CHECK_FALSE(sealed("03 00 00 00 01 00 00 00", 0));
  CHECK_FALSE(sealed("03 05 00 00 01 00 00 00", 0));
  CHECK_FALSE(sealed("02 03 00 00 01 00 00 00", 0));
  CHECK_FALSE(sealed("03 03 01 00 01 00 00 00", 0));
  CHECK(sealed("03 01 04 08 01 00 00 00", 2052));
  CHECK_FALSE(sealed("03 01 05 08 01 00 00 00", 2053));
  CHECK(sealed("03 02 04 40 01 00 00 00", 16388));
  CHECK_FALSE(sealed("03 02 05 40 01 00 00 00", 16389));
}

TEST_CASE("data of messages is read back as it was written, and no other length is") {
  const auto check = [](const auto& value, const auto& written, const auto& parse) {
    CHECK(parse(written) == value);
    Bytes changed = written;
    changed.push_back(std::byte{1});
    CHECK_FALSE(parse(changed) == value);
    changed.resize(written.size() - 1);
    CHECK_FALSE(parse(changed));
  };
  const Request request{.transfer = 9, .offset = 65536, .most = 7, .block = 512, .window = 64};
  check(request, write_request(request, false),
        [](const Bytes& data) { return parse_request(data, false); });
  const InventoryEntry entry{.state = ImageState::partly, .index = 1, .resume = 65536};
  const std::vector entries = {entry, InventoryEntry{}};
  check(entries, write_inventory(entries), [](const Bytes& data) { return parse_inventory(data); });
  const ImageVerified verified{.index = 3, .result = 2};
  check(verified, write_image_verified(verified),
        [](const Bytes& data) { return parse_image_verified(data); });
  const Completion completion{.written = 1, .skipped = 2, .bytes = 3};
  check(completion, write_completion(completion),
        [](const Bytes& data) { return parse_completion(data); });
  const Proceed proceed{.mode = Mode::write_all, .keep_data = true};
  check(proceed, write_proceed(proceed), [](const Bytes& data) { return parse_proceed(data); });

  for (const std::string_view name : {"../x", "", ".x", "a/b", "a b"}) {
    CHECK_FALSE(parse_request(write_request({.transfer = 1, .name = name}, true), true));
  }
  const std::string longest(63, 'n');
  CHECK(parse_request(write_request({.transfer = 1, .name = longest}, true), true));
  const std::string longer(64, 'n');
  CHECK_FALSE(parse_request(write_request({.transfer = 1, .name = longer}, true), true));
}

TEST_CASE("frames take as much of the line as they should") {
  const auto size = [](std::size_t block) {
    Bytes wire;
    append_data(0x01010101, 0x01010101, Bytes(block, std::byte{1}), wire);
    return wire.size();
  };
  CHECK(size(512) == 532);
  CHECK(size(1024) == 1046);
  CHECK(size(4096) == 4130);
  CHECK(size(16384) == 16466);
}

}  // namespace
}  // namespace sphere::recovery::v3
