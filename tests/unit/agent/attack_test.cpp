// SPDX-License-Identifier: MIT
// Attack classes of docs/sandbox.md that need no sandbox to be seen. The T numbers of all tests
// together are those of the class table there.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace sphere;  // NOLINT(google-build-using-namespace): test
using sphere::test::AgentBench;
using sphere::test::test_guid;

// A body of one executable file whose mode is replaced.
std::vector<std::byte> body_with_mode(std::uint16_t mode) {
  std::map<std::string, image::FileSource> files;
  files["app"] = {.content = std::vector<std::byte>(100, std::byte{7}), .executable = true};
  auto body = image::write_asxipfs(files).value();
  constexpr std::size_t kFirstEntry = 76;  // Superblock of 64 bytes and the root's inode of 12.
  body[kFirstEntry] = static_cast<std::byte>(mode & 0xFFU);
  body[kFirstEntry + 1] = static_cast<std::byte>(mode >> 8U);
  return body;
}

}  // namespace

TEST_CASE("T7 T8 T9 device nodes, links, sockets and setuid bits in an image are refused") {
  constexpr std::uint16_t kExecutable = 0101755;
  // The place is the right one: the same mode again is not refused for its mode.
  const auto same = image::read_asxipfs(body_with_mode(kExecutable));
  REQUIRE((same || same.error().message().find("mode") == std::string::npos));
  for (const unsigned mode : {0020666U, 0060666U, 0120777U, 0010666U, 0140777U, 0104755U, 0102755U,
                              0105755U, 0100777U, 0000755U}) {
    INFO("mode 0" << std::oct << mode);
    const auto refused = image::read_asxipfs(body_with_mode(static_cast<std::uint16_t>(mode)));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message().find("mode") != std::string::npos);
  }
}

TEST_CASE("T15 a package damaged anywhere enters neither the stage nor the set") {
  AgentBench bench;
  const auto component = test_guid(1);
  const auto package = bench.signer.package(
      {.manifest = test::manifest_text(component),
       .files = {{"bin/app", {.content = test::native_program(), .executable = true}}},
       .component = component,
       .image = test_guid(11)});
  for (std::size_t turn = 0; turn < 40; ++turn) {
    auto damaged = package;
    damaged[turn * (package.size() - 1) / 39] ^= std::byte{0x40};
    const auto answer = bench.stage_bytes(damaged);
    INFO("byte " << turn * (package.size() - 1) / 39);
    CHECK(answer.status != 200);
  }
  CHECK(bench.send("GET", "/images").body().boolean_at("has_staged_updates") == false);
  CHECK(bench.state_of(1) == "notPresent");
}

TEST_CASE("T18 what was staged cannot be read again") {
  AgentBench bench;
  REQUIRE(bench.stage({}).status == 200);

  for (const auto* method : {"GET", "HEAD", "POST", "DELETE"}) {
    INFO(method);
    const auto answer = bench.send(method, "/update/stage");
    CHECK(answer.status >= 400);
    CHECK(answer.text.size() < 4096);
  }
  CHECK(bench.send("GET", "/app/image/" + test_guid(1).text()).status >= 400);
}

TEST_CASE("T25 random bytes fill every length to its end and touch nothing beside it") {
  constexpr std::size_t kLongest = 64;
  constexpr int kTurns = 64;
  for (std::size_t length = 0; length <= kLongest; ++length) {
    std::vector<std::set<std::byte>> seen(length);
    for (int turn = 0; turn < kTurns; ++turn) {
      std::array<std::byte, kLongest + 16> buffer = {};
      buffer.fill(std::byte{0xA5});
      crypto::random_bytes(std::span{buffer}.subspan(8, length));
      CHECK(std::ranges::all_of(std::span{buffer}.first(8),
                                [](std::byte byte) { return byte == std::byte{0xA5}; }));
      CHECK(std::ranges::all_of(std::span{buffer}.subspan(8 + length),
                                [](std::byte byte) { return byte == std::byte{0xA5}; }));
      for (std::size_t i = 0; i < length; ++i) {
        seen[i].insert(buffer[8 + i]);
      }
    }
    for (const auto& values : seen) {
      CHECK(values.size() > 1);
    }
  }
}
