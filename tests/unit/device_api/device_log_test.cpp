// SPDX-License-Identifier: MIT
#include "sphere/device_api/device_log.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/device_api/telemetry.h"
#include "sphere/json/value.h"

namespace {

using namespace sphere;              // NOLINT(google-build-using-namespace): test
using namespace sphere::device_api;  // NOLINT(google-build-using-namespace): test

LogEntry entry_of(std::uint16_t id, std::uint32_t milliseconds, std::size_t bytes = 0) {
  return {.milliseconds = milliseconds,
          .category = 6,
          .id = id,
          .parameters = std::vector<std::byte>(bytes, std::byte{'x'})};
}

// A bank of the given entries (hexadecimal) and counter.
std::vector<std::byte> bank_of(const std::string& entries, std::uint16_t counter) {
  auto bytes = from_hex(entries).value();
  bytes.resize(kLogBankBytes, std::byte{0xFF});
  if (counter != 0xFFFF) {
    bytes[4092] = static_cast<std::byte>(counter & 0xFF);
    bytes[4093] = static_cast<std::byte>(counter >> 8);
    bytes[4094] = bytes[4095] = std::byte{0};
  }
  return bytes;
}

const std::string kFirst = "0c0000040600 0100d2040000";
const std::string kSecond = "10000002060010 00c40900000c00e000";
const std::string kThird = "0c00000406001200 0000e803";

std::string joined(std::string text) {
  std::erase(text, ' ');
  return text;
}

}  // namespace

TEST_CASE("golden entries are read in the order of the banks' counters") {
  std::vector<std::byte> log = bank_of(joined(kThird), 7);
  const auto empty = bank_of("", 0xFFFF);
  const auto oldest = bank_of(joined(kFirst + kSecond), 6);
  log.insert(log.end(), empty.begin(), empty.end());
  log.insert(log.end(), oldest.begin(), oldest.end());

  const auto entries = read_log(log).value();

  REQUIRE(entries.size() == 3);
  CHECK(entries[0].milliseconds == 1234);
  CHECK(entries[0].priority == LogPriority::info);
  CHECK(entries[0].id == 1);
  CHECK(entries[1].priority == LogPriority::error);
  CHECK(entries[1].id == 16);
  CHECK(to_hex(entries[1].parameters) == "0c00e000");
  CHECK(entries[2].milliseconds == 65536000);
  CHECK(log_line(entries[2]) == "[65536.000] Info gatewayd(18): message 18 of category 6");
}

TEST_CASE("the writer makes the golden bytes") {
  LogRing ring{2};
  ring.add(entry_of(1, 1234));
  CHECK(to_hex(std::span{ring.bytes()}.first(12)) == joined(kFirst));
}

TEST_CASE("a wrapped ring is read in order, and no entry breaks the public reader's rules") {
  LogRing ring{3};
  std::uint32_t number = 0;
  for (; number < 5000; ++number) {
    ring.add(entry_of(1, number, number % 90));
  }
  const auto entries = read_log(ring.bytes()).value();
  REQUIRE(entries.size() > 100);
  CHECK(entries.back().milliseconds == number - 1);
  for (std::size_t i = 1; i < entries.size(); ++i) {
    CHECK(entries[i].milliseconds == entries[i - 1].milliseconds + 1);
  }
  for (std::size_t bank = 0; bank < 3; ++bank) {
    for (std::size_t at = 0; at < 4080;) {
      const auto byte = [&](std::size_t place) {
        return std::to_integer<std::size_t>(ring.bytes()[bank * kLogBankBytes + place]);
      };
      const auto length = byte(at) | byte(at + 1) << 8U;
      if (length == 0xFFFF) {
        break;
      }
      REQUIRE(length >= 12);
      REQUIRE(at + length <= 4092);
      at += length;
    }
  }
}

TEST_CASE("counters begin anew before 0xFFFF, in the same order") {
  LogRing ring{3};
  ring.set_counter(0xFFFC);
  for (std::uint32_t number = 0; number < 400; ++number) {
    ring.add(entry_of(1, number, 60));
    const auto entries = read_log(ring.bytes()).value();
    REQUIRE(entries.back().milliseconds == number);
    for (std::size_t i = 1; i < entries.size(); ++i) {
      REQUIRE(entries[i].milliseconds == entries[i - 1].milliseconds + 1);
    }
  }
}

TEST_CASE("an entry too long for a bank keeps its header") {
  LogRing ring{1};
  ring.add(entry_of(1, 5, 5000));
  const auto entries = read_log(ring.bytes()).value();
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].parameters.empty());
}

TEST_CASE("damaged logs are refused") {
  CHECK_FALSE(read_log({}));
  CHECK_FALSE(read_log(std::vector<std::byte>(4095, std::byte{0xFF})));
  CHECK_FALSE(read_log(std::vector<std::byte>(257 * kLogBankBytes, std::byte{0xFF})));
  CHECK_FALSE(read_log(bank_of("0000000406000100d2040000", 1)));
  CHECK_FALSE(read_log(bank_of("0b00000406000100d2040000", 1)));
  CHECK_FALSE(read_log(bank_of("00f0000406000100d2040000", 1)));
}

TEST_CASE("texts are cut on a character boundary, control characters become question marks") {
  std::string text(199, 'a');
  text += "\xC3\xA4";
  LogEntry entry{
      .category = 3, .id = 1, .parameters = std::move(LogParameters{}.text(text)).take()};
  CHECK(log_text(entry) == "agent " + std::string(199, 'a') + " started");
  entry.parameters = std::move(LogParameters{}.text("a\nb\x1b")).take();
  CHECK(log_text(entry) == "agent a?b? started");
  entry.parameters.clear();
  CHECK(log_text(entry) == "agent  started");
}

TEST_CASE("every message has a category with a name, its own number, and its parameters") {
  std::set<std::pair<int, int>> seen;
  for (const auto& message : log_messages()) {
    INFO(message.name);
    CHECK(seen.emplace(message.category, message.id).second);
    CHECK_FALSE(log_category_name(message.category).empty());
    for (std::size_t i = 0; i < message.parameters.size(); ++i) {
      CHECK(message.text.find("{" + std::to_string(i) + "}") != std::string_view::npos);
    }
  }
  const auto manifest = log_manifest(6);
  CHECK(manifest.string_at("categoryName") == "gatewayd");
  CHECK(manifest.find("msgIds")->items().front().string_at("msgPriority") == "Info");
  CHECK(log_manifest(4).is_null());
}

TEST_CASE("telemetry keeps the newest events and says that others went") {
  Telemetry telemetry{.waiting = true};
  for (int i = 0; i < 2000; ++i) {
    telemetry.events.push_back(json::Value{}.set("i", i).set("text", std::string(40, 'x')));
  }
  const auto bytes = write_telemetry(telemetry);
  CHECK(bytes.size() <= 65540);
  const auto back = read_telemetry(bytes).value();
  CHECK(back.dropped);
  CHECK(back.waiting);
  CHECK(back.events.back() == telemetry.events.back());
  CHECK(back.events.size() < telemetry.events.size());
  CHECK(to_hex(write_telemetry({.waiting = true})) == "0100000000");
  for (std::size_t size = 0; size < 64; ++size) {
    CHECK_FALSE(read_telemetry(std::span{bytes}.first(size)));
  }
}
