// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/crash_record.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

constexpr auto kMaps =
    "00400000-00401000 r--p 00000000 00:2f 3   /mnt/apps/x/bin/app\n"
    "00401000-00480000 r-xp 00001000 00:2f 3   /mnt/apps/x/bin/app\n"
    "7f0000000000-7f0000001000 r-xp 00000000 00:00 0\n"
    "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0   [stack]\n";

CrashRecord sample() {
  return {.signal = 11,
          .code = 1,
          .error = 0,
          .fault_address = 0x10,
          .stack = 0x7ffc00001000,
          .program_counter = place_of(0x401234, kMaps),
          .return_address = place_of(0x402000, kMaps),
          .thread = "app"};
}

}  // namespace

TEST_CASE("an address in code has a module and an offset, another has none") {
  const auto place = place_of(0x401234, kMaps);

  CHECK(place.module == "/mnt/apps/x/bin/app");
  CHECK(place.offset == 0x1234);
  CHECK(place_of(0x400010, kMaps).address == 0);
  CHECK(place_of(0x480000, kMaps).address == 0);
  CHECK(place_of(0x7f0000000010, kMaps).module.empty());
  CHECK(place_of(0x7f0000000010, kMaps).offset == 0x10);
  CHECK(place_of(0x401234, "00401000-00480000 r-x").address == 0);
  CHECK(place_of(0x401234, "nonsense\n\n-\n").address == 0);
}

TEST_CASE("a crash survives its way to the agent") {
  const auto record = crash_from_json(to_json(sample()));

  REQUIRE(record);
  CHECK(to_json(*record) == to_json(sample()));
  CHECK(record->program_counter.offset == 0x1234);
  CHECK_FALSE(crash_from_json(json::Value{json::Object{}}));
}

TEST_CASE("the event of a crash has registers, offsets and the build id") {
  const auto fields = crash_fields(sample(), "ab12");

  CHECK(fields.string_at("pc") == "0x401234");
  CHECK(fields.string_at("lr") == "0x402000");
  CHECK(fields.string_at("pc_module") == "/mnt/apps/x/bin/app");
  CHECK(fields.string_at("pc_offset") == "0x1234");
  CHECK(fields.integer_at("signo") == 11);
  CHECK(fields.string_at("build_id") == "ab12");
}

TEST_CASE("the build id of a program is found, and none in anything else") {
  const auto program = read_file(SPHERE_SANDBOX_PROBE, std::size_t{16} << 20U).value();
  const auto id = build_id_of(program);

  CHECK((id.empty() || id.size() == 40));
  for (std::size_t size = 0; size < 256; ++size) {
    CHECK(build_id_of(std::span{program}.first(size)).empty());
  }
  auto damaged = program;
  for (std::size_t i = 32; i < 64; ++i) {
    damaged[i] = std::byte{0xFF};
  }
  CHECK(build_id_of(damaged).empty());
}
