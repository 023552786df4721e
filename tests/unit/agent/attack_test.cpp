// SPDX-License-Identifier: MIT
// Attack classes of docs/sandbox.md that need no sandbox to be seen. The T numbers of all tests
// together are those of the class table there.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/digest.h"
#include "sphere/http/server.h"
#include "sphere/image/asxipfs.h"
#include "sphere/json/value.h"
#include "tests/support/test_authority.h"
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

std::string without_lines(std::string text) {
  std::erase(text, '\n');
  return text;
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

TEST_CASE("T19 an upload lies in its own file, whatever place and length its head names") {
  AgentBench bench;
  constexpr std::uint64_t kMore = std::uint64_t{1} << 40U;
  std::uint64_t state = 4711;
  for (int turn = 0; turn < 400; ++turn) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t offset = state >> (turn % 60U);
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t length = state >> (turn % 53U);
    http::Request request{.method = "PUT", .target = "/update/stage", .headers = {}};
    request.headers = {{"Host", "192.168.35.2"},
                       {"Content-Type", "application/octet-stream"},
                       {"Content-Range", "bytes " + std::to_string(offset) + "-" +
                                             std::to_string(offset + length % kMore) + "/*"}};
    INFO("offset " << offset << ", length " << length);
    auto decision = bench.handler->on_request(request, length);
    const auto* answer = std::get_if<http::Response>(&decision);
    REQUIRE(answer != nullptr);  // The body is not read.
    CHECK(answer->status == 400);
  }
  CHECK(bench.send("GET", "/images").body().boolean_at("has_staged_updates") == false);
  CHECK(std::filesystem::is_empty(bench.path() / "apps/staged"));
}

TEST_CASE("T19 an upload without a length ends at the limit of a package") {
  AgentBench bench;
  http::Request request{.method = "PUT", .target = "/update/stage", .headers = {}};
  request.headers = {{"Host", "192.168.35.2"}, {"Content-Type", "application/octet-stream"}};
  auto decision = bench.handler->on_request(request, std::nullopt);
  auto& sink = *std::get<std::unique_ptr<http::BodySink>>(decision);
  const std::string piece(std::size_t{1} << 20U, 'x');
  std::size_t taken = 0;
  while (taken <= std::size_t{1} << 30U && sink.write(piece)) {
    taken += piece.size();
  }
  CHECK(taken == std::size_t{64} << 20U);
  CHECK(sink.finish().status == 400);
}

TEST_CASE("T24 malformed certificates and keys are refused and nothing is stored") {
  AgentBench bench;
  const auto good = test::make_test_authority();
  const auto put = [&](const std::string& certificate, const std::string& key) {
    const auto body = json::Value{}
                          .set("certType", key.empty() ? "rootca" : "client")
                          .set("publicCert", certificate)
                          .set("privateKey", key);
    return bench.send("POST", "/certstore/certs/a", json::to_compact(body)).status;
  };
  const auto start = good.chain_pem.find('\n') + 1;
  const auto der = from_base64(
      without_lines(good.chain_pem.substr(start, good.chain_pem.find("-----END") - start)));
  REQUIRE(der);
  const auto pem = [](const std::vector<std::byte>& bytes) {
    return "-----BEGIN CERTIFICATE-----\n" + to_base64(bytes) + "\n-----END CERTIFICATE-----\n";
  };
  REQUIRE(put(pem(*der), "") == 200);  // The wrapping is right.
  REQUIRE(bench.send("DELETE", "/certstore/certs/a").status == 200);
  std::uint64_t state = 99;
  const auto next = [&state] {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>(state >> 33U);
  };
  for (int turn = 0; turn < 600; ++turn) {
    auto bytes = *der;
    const std::size_t place = next() % bytes.size();
    switch (next() % 3) {
      case 0:  // Lengths that lie: up to 4 GiB in five bytes.
        bytes[place] = static_cast<std::byte>(0x80U + next() % 8U);
        break;
      case 1:
        bytes[place] = static_cast<std::byte>(next());
        break;
      default:
        bytes.resize(place);
        break;
    }
    const int status = put(pem(bytes), "");
    CHECK((status == 200 || status == 400));
    CHECK(put(good.chain_pem, pem(bytes)) == 400);  // No key.
    if (status == 200) {
      CHECK(bench.send("DELETE", "/certstore/certs/a").status == 200);
    }
  }
  CHECK(bench.send("GET", "/certstore/certs").status == 200);
  CHECK(bench.send("GET", "/certstore/space").body().string_at("AvailableSpace") == "24514");
}

TEST_CASE("T26 what only a development key signed goes with development mode, storage included") {
  AgentBench bench;
  REQUIRE(bench.install({.capabilities = R"({"MutableStorage":{"SizeKB":8}})"}).status == 200);
  const auto storage = bench.path() / "storage" / test_guid(1).text();
  REQUIRE(make_directories(storage));
  REQUIRE(write_file(storage / "file", "secret"));

  SECTION("at once") {
    CHECK(bench
              .send("PUT", "/device/manufacturing_state",
                    R"({"manufacturingState":"DeviceComplete"})")
              .status == 200);
    CHECK_FALSE(bench.board_state->leaves_development());
  }
  SECTION("at the next start, when the power went in between") {
    REQUIRE(bench.board_state->note_leaving_development());
    REQUIRE(bench.board_state->advance_manufacturing_state("DeviceComplete"));
    bench.restart();
  }
  CHECK(bench.store->installed().empty());
  CHECK_FALSE(std::filesystem::exists(storage));
}

TEST_CASE("T26 a note without the change it announces erases nothing") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  REQUIRE(bench.board_state->note_leaving_development());
  bench.restart();
  CHECK(bench.store->installed().size() == 1);
  CHECK(
      bench
          .send("PUT", "/device/manufacturing_state", R"({"manufacturingState":"Module1Complete"})")
          .status == 200);
  CHECK(bench.store->installed().size() == 1);
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
