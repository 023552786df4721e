// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/capability.h"
#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace sphere;  // NOLINT(google-build-using-namespace): test
using sphere::test::AgentBench;

struct Issuer {
  crypto::KeySigner signer{crypto::PrivateKey::generate().value(), std::nullopt};

  void trust_on(const AgentBench& bench) const {
    REQUIRE(make_directories(bench.path() / "trust/capability"));
    REQUIRE(write_file(bench.path() / "trust/capability/a.pem",
                       "-----BEGIN PUBLIC KEY-----\n" + to_base64(signer.public_key().spki()) +
                           "\n-----END PUBLIC KEY-----\n"));
  }
  [[nodiscard]] std::vector<std::byte> file(const image::Capability& capability) const {
    return image::pack_capability({.capability = capability, .component_id = Guid::random()},
                                  signer)
        .value()
        .bytes;
  }
};

image::Capability good(const AgentBench& bench, std::uint32_t number = 11) {
  const auto now = static_cast<std::uint64_t>(bench.clock.unix_seconds());
  return {.device_id = bench.device_key.public_key().point(),
          .numbers = {number},
          .terms = image::CapabilityTerms{.file_id = Guid::random(),
                                          .not_before = now - 10,
                                          .not_after = now + 1000,
                                          .flags = image::kMayBeStored}};
}

std::string text_of(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const auto byte : bytes) {
    text.push_back(std::to_integer<char>(byte));
  }
  return text;
}

AgentBench::Answer get_images(AgentBench& bench, const std::vector<std::byte>& file) {
  return bench.send("GET", "/images", "", "", {{"AZSPHERE-CAPABILITIES", to_base64(file)}});
}

}  // namespace

TEST_CASE("a capability in the header opens a locked board for that request only") {
  AgentBench bench{"DeviceComplete"};
  const Issuer issuer;
  issuer.trust_on(bench);
  CHECK(get_images(bench, issuer.file(good(bench))).status == 200);
  CHECK(bench.send("GET", "/images").status == 403);
  const auto shown =
      bench.send("GET", "/device/capabilities", "", "",
                 {{"AZSPHERE-CAPABILITIES", to_base64(issuer.file(good(bench, 13)))}});
  CHECK(shown.text == R"({"device_capabilities":[13]})");
  CHECK(bench.soon([&] { return bench.events->last() > 0; }));
}

TEST_CASE("capability files that do not fit are refused without a body and change nothing") {
  AgentBench bench{"DeviceComplete"};
  const Issuer issuer;
  const Issuer stranger;
  issuer.trust_on(bench);
  std::vector<std::pair<std::string_view, std::vector<std::byte>>> cases;
  cases.emplace_back("another signer", stranger.file(good(bench)));
  const auto add = [&](std::string_view name, auto change) {
    auto capability = good(bench);
    change(capability);
    cases.emplace_back(name, issuer.file(capability));
  };
  add("another device", [](auto& c) { c.device_id[0] ^= std::byte{1}; });
  add("over", [](auto& c) { c.terms->not_after = c.terms->not_before + 1; });
  add("not yet", [](auto& c) { c.terms->not_before = c.terms->not_after; });
  add("another epoch", [](auto& c) { c.terms->owner_epoch = 1; });
  add("another catalog", [](auto& c) { c.terms->catalog_id = Guid::random(); });
  add("unknown number", [](auto& c) { c.numbers = {99}; });
  add("version 1", [](auto& c) { c.terms.reset(); });
  add("online check", [](auto& c) { c.terms->flags |= image::kNeedsOnlineCheck; });
  for (const auto& [name, file] : cases) {
    INFO(name);
    const auto answer = get_images(bench, file);
    CHECK(answer.status == 403);
    CHECK(answer.text.empty());
    CHECK(answer.header("Sphere-Error") == "10485778");
  }
  auto flipped = issuer.file(good(bench));
  for (std::size_t at = 0; at < flipped.size(); at += 7) {
    flipped[at] ^= std::byte{0x40};
    CHECK(get_images(bench, flipped).status == 403);
    flipped[at] ^= std::byte{0x40};
  }
  CHECK(get_images(bench, flipped).status == 200);
  CHECK(bench.send("GET", "/images", "", "", {{"AZSPHERE-CAPABILITIES", "%%%"}}).status == 403);
  CHECK(bench.send("GET", "/images", "", "", {{"AZSPHERE-CAPABILITIES", std::string(4100, 'A')}})
            .status == 403);
}

TEST_CASE("a file with a number of uses is used up, also over a restart") {
  AgentBench bench{"DeviceComplete"};
  const Issuer issuer;
  issuer.trust_on(bench);
  auto capability = good(bench);
  capability.terms->maximum_uses = 2;
  const auto file = issuer.file(capability);
  CHECK(get_images(bench, file).status == 200);
  bench.restart();
  CHECK(get_images(bench, file).status == 200);
  CHECK(get_images(bench, file).status == 403);
}

TEST_CASE("an installed capability counts from the next start on; an empty one ends it") {
  AgentBench bench;
  const Issuer issuer;
  issuer.trust_on(bench);
  auto capability = good(bench, 13);
  capability.terms->counter = 5;
  REQUIRE(bench.stage_bytes(issuer.file(capability)).status == 200);
  CHECK(bench.send("GET", "/images").body().boolean_at("has_staged_updates") == true);
  const auto answer = bench.send("POST", "/update/install");
  CHECK(answer.text == R"({"restartingSystem":true})");
  CHECK(answer.close);
  bench.restart();
  CHECK(bench.send("GET", "/device/capabilities").text == R"({"device_capabilities":[11,13]})");
  const auto rows = bench.send("GET", "/sphere/v1/capability").body();
  CHECK(rows.find("capabilities")->items().back().string_at("source") == "installed");
  // A file that is older than the installed one is refused.
  capability.terms->counter = 4;
  CHECK(bench.stage_bytes(issuer.file(capability)).body().integer_at("error") == 7340047);
  capability.terms->counter = 6;
  capability.numbers.clear();
  REQUIRE(bench.stage_bytes(issuer.file(capability)).status == 200);
  CHECK(bench.send("POST", "/update/install").status == 200);
  bench.restart();
  CHECK(bench.send("GET", "/device/capabilities").text == R"({"device_capabilities":[11]})");
}

TEST_CASE("a session file is not stored on the board") {
  AgentBench bench;
  const Issuer issuer;
  issuer.trust_on(bench);
  auto capability = good(bench);
  capability.terms->flags = image::kSessionOnly;
  const auto answer = bench.send("PUT", "/update/stage", text_of(issuer.file(capability)),
                                 "application/octet-stream");
  CHECK(answer.status == 500);
  CHECK(bench.send("GET", "/images").body().boolean_at("has_staged_updates") == false);
}
