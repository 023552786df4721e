// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/state/trust_slots.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using image::Role;
using image::TrustRecord;
using sphere::test::AgentBench;
using Bytes = std::vector<std::byte>;

// A key of its own, for trust stores unless the test says otherwise.
struct Owner {
  crypto::PrivateKey key = crypto::PrivateKey::generate().value();
  crypto::PublicKey half = key.public_key();

  [[nodiscard]] crypto::KeySigner signer() const {
    return crypto::KeySigner{crypto::PrivateKey::from_pem(key.to_pem().text()).value(), {}};
  }
  [[nodiscard]] image::TrustEntry entry(Role role) const {
    return {.key = half, .thumbprints = {}, .role = role};
  }
};

image::TrustEntry entry_of(const crypto::PublicKey& key, Role role) {
  return {.key = key, .thumbprints = {crypto::sha1(key.spki())}, .role = role};
}

template <typename Pack>
Bytes packed(Pack pack) {
  const auto engine = crypto::HashEngine::from_environment();
  ThreadPool pool{1};
  const auto folder = TemporaryDirectory::create().value();
  auto file = AtomicFile::create(folder.path() / "package", {.sync = false}).value();
  REQUIRE(pack(image::Tools{.engine = &*engine, .pool = &pool},
               image::PackOutput{.descriptor = file.descriptor(), .name = "package"}));
  REQUIRE(file.commit());
  return read_file(folder.path() / "package", kTrustPackageLimit).value();
}

Bytes store_of(const TrustRecord& record, const Owner& owner,
               std::vector<std::string> boards = {}) {
  return packed([&](const image::Tools& tools, const image::PackOutput& output) {
    return image::pack_trust_image(
        {.record = record, .build_time = 1'700'000'000, .boards = std::move(boards)},
        owner.signer(), tools, output);
  });
}

// A package whose body is `body`, whatever that is.
Bytes package_around(const Bytes& body, std::uint32_t version, const Owner& owner,
                     const std::function<void(image::ImageInfo&)>& change = {}) {
  const image::MemoryBlocks source{body};
  image::RawImage raw{.source = &source,
                      .size = body.size(),
                      .info = {.image_type = image::kTrustedKeyStore,
                               .component_id = image::trust_store_component(),
                               .build_time = 1'700'000'000,
                               .name = "trust-store",
                               .temporary = std::nullopt,
                               .security = image::SecurityVersion{.image = version}}};
  if (change) {
    change(raw.info);
  }
  return packed([&](const image::Tools& tools, const image::PackOutput& output) {
    return image::pack_raw_image(raw, owner.signer(), tools, output);
  });
}

// A board whose owner made it with a key for trust stores.
class Board {
 public:
  explicit Board(std::string_view state = "Blank") : bench{state} {
    REQUIRE(make_directories(bench.path() / "trust/trust-store"));
    REQUIRE(write_file(bench.path() / "trust/trust-store/owner.pem", owner.half.pem()));
  }

  // The keys the board has, with `version`.
  [[nodiscard]] TrustRecord record(std::uint32_t version) const {
    return {.version = version,
            .entries = {owner.entry(Role::trust_store),
                        entry_of(bench.signer.public_key(), Role::development)}};
  }

  std::int64_t code_of(const AgentBench::Answer& answer) const {
    return answer.status == 200 ? 0 : std::stoll(answer.header("Sphere-Error"));
  }
  std::int64_t stage(const Bytes& package) { return code_of(bench.stage_bytes(package)); }
  std::int64_t deploy(const Bytes& package) {
    const auto staged = stage(package);
    return staged != 0 ? staged : code_of(bench.send("POST", "/update/install"));
  }

  [[nodiscard]] std::filesystem::path file(std::string_view name) const {
    return bench.path() / "trust/store" / name;
  }
  [[nodiscard]] bool has_store() const { return std::filesystem::exists(file("record.json")); }

  AgentBench bench;
  Owner owner;
};

crypto::PublicKey published_key() {
  const auto point = from_hex(
      "8970228bc0aefd18617ad2c15d1eefcc0c89f5e3a08048dc4ab59a9c2598b0b2"
      "3f9b6bd22a2ec135613baca5d4653b76f9b97222b94be9693a381546c976a8cd");
  return crypto::PublicKey::from_point(std::span{*point}.first<64>()).value();
}

}  // namespace

TEST_CASE("T17 a trust store needs the signature of the store before it") {
  Board board;
  REQUIRE(write_file(board.bench.path() / "trust/development/other.pem", Owner{}.half.pem()));
  const auto good = store_of(board.record(1), board.owner);

  SECTION("an unknown signer") {
    CHECK(board.deploy(store_of(board.record(1), Owner{})) == device_api::kPackageUntrusted);
  }
  SECTION("keys of the board for another use") {
    for (const auto* folder : {"production", "development"}) {
      INFO(folder);
      const Owner other;
      REQUIRE(make_directories(board.bench.path() / "trust" / folder));
      REQUIRE(write_file(board.bench.path() / "trust" / folder / "other.pem", other.half.pem()));
      const auto answer = board.bench.stage_bytes(store_of(board.record(1), other));
      CHECK(board.code_of(answer) == device_api::kPackageUntrusted);
      CHECK_THAT(answer.text, Catch::Contains("for another use"));
    }
  }
  SECTION("a key that only the new store has") {
    const Owner intruder;
    auto record = board.record(1);
    record.entries.push_back(intruder.entry(Role::trust_store));
    CHECK(board.deploy(store_of(record, intruder)) == device_api::kPackageUntrusted);
  }
  SECTION("a key that the store before has retired") {
    const Owner next;
    REQUIRE(board.deploy(store_of({.version = 1, .entries = {next.entry(Role::trust_store)}},
                                  board.owner)) == 0);
    CHECK(board.deploy(store_of(board.record(2), board.owner)) == device_api::kPackageUntrusted);
    CHECK(board.deploy(store_of(board.record(2), next)) == 0);
    return;
  }
  SECTION("a store without metadata of package v2") {
    Bytes body = image::write_trust_record(board.record(1)).value();
    CHECK(board.stage(body) != 0);
  }
  SECTION("every part damaged") {
    for (std::size_t turn = 0; turn < 200; ++turn) {
      auto damaged = good;
      const auto byte = turn * (good.size() - 1) / 199;
      damaged[byte] ^= std::byte{0x10};
      INFO("byte " << byte);
      CHECK(board.stage(damaged) != 0);
    }
  }
  CHECK_FALSE(board.has_store());
  CHECK_FALSE(std::filesystem::exists(board.file("staged")));
  CHECK(board.bench.send("GET", "/images").body().boolean_at("has_staged_updates") == false);
  CHECK(board.deploy(good) == 0);
}

TEST_CASE("T17 a trust store is never replaced by an older one or the same") {
  Board board;
  REQUIRE(board.deploy(store_of(board.record(5), board.owner)) == 0);
  const auto record = read_file(board.file("record.json"), 4096).value();
  for (const std::uint32_t version : {1U, 4U, 5U}) {
    INFO(version);
    const auto answer = board.bench.stage_bytes(store_of(board.record(version), board.owner));
    CHECK(board.code_of(answer) == device_api::kPackageUntrusted);
    CHECK_THAT(answer.text, Catch::Contains("not above 5"));
  }
  CHECK(read_file(board.file("record.json"), 4096).value() == record);
  CHECK(board.deploy(store_of(board.record(6), board.owner)) == 0);

  // Staged while it was newer, installed when it is no more.
  REQUIRE(board.stage(store_of(board.record(7), board.owner)) == 0);
  const auto seven = read_file(board.file("staged"), kTrustPackageLimit).value();
  REQUIRE(board.deploy(store_of(board.record(8), board.owner)) == 0);
  REQUIRE(write_file(board.file("staged"), seven));
  CHECK(board.code_of(board.bench.send("POST", "/update/install")) ==
        device_api::kPackageUntrusted);
  CHECK_FALSE(std::filesystem::exists(board.file("staged")));
  CHECK(board.bench.board_state->trust_slots().version() == 8U);
}

TEST_CASE("T17 a trust store that nothing could replace is refused") {
  Board board;
  const auto good =
      image::write_trust_record({.version = 1, .entries = {board.owner.entry(Role::trust_store)}})
          .value();
  REQUIRE(board.stage(package_around(good, 1, board.owner)) == 0);
  board.bench.restart();
  auto bad = good;
  bad[20] = std::byte{5};  // The one key becomes one for the OS.
  CHECK(board.stage(package_around(bad, 1, board.owner)) == device_api::kPackageInvalid);

  auto published = good;
  std::ranges::copy(published_key().spki(), published.begin() + 24);
  CHECK(board.stage(package_around(published, 1, board.owner)) == device_api::kPackageInvalid);
  CHECK(board.stage(package_around(Bytes(100), 1, board.owner)) == device_api::kPackageInvalid);
  CHECK(board.stage(package_around(Bytes(100'000), 1, board.owner)) ==
        device_api::kPackageTooLarge);
  CHECK(board.stage(package_around(good, 2, board.owner)) == device_api::kPackageInvalid);
  CHECK(board.stage(package_around(good, 1, board.owner, [](image::ImageInfo& info) {
    info.temporary = image::kRemoveAtBoot;
  })) == device_api::kPackageInvalid);
  CHECK(board.stage(package_around(good, 1, board.owner, [](image::ImageInfo& info) {
    info.component_id = test::test_guid(3);
  })) == device_api::kPackageInvalid);
  CHECK(board.stage(store_of(board.record(1), board.owner, {"another-board"})) ==
        device_api::kPackageInvalid);
  CHECK(board.stage(store_of(board.record(1), board.owner,
                             {"another-board", board.bench.services->facts.board_id})) == 0);
}

TEST_CASE("a trust store counts at once for what is installed next") {
  Board board;
  const auto& old_signer = board.bench.signer;
  REQUIRE(board.bench.install({}).status == 200);
  REQUIRE(board.bench.state_of(1) == "running");

  test::TestSigner next;
  TrustRecord record{.version = 1,
                     .entries = {board.owner.entry(Role::trust_store),
                                 entry_of(next.public_key(), Role::development)},
                     .revoked = {old_signer.public_key().id()}};
  REQUIRE(board.deploy(store_of(record, board.owner)) == 0);
  // What runs goes on.
  CHECK(board.bench.state_of(1) == "running");
  CHECK(board.code_of(board.bench.stage({.component = 2, .image = 12})) ==
        device_api::kPackageUntrusted);
  const auto package = [&](const test::TestSigner& signer) {
    const auto component = test::test_guid(3);
    return signer.package(
        {.manifest = test::manifest_text(component),
         .files = {{"bin/app", {.content = test::native_program(), .executable = true}}},
         .component = component,
         .image = test::test_guid(13)});
  };
  CHECK(board.deploy(package(old_signer)) == device_api::kPackageUntrusted);
  CHECK(board.deploy(package(next)) == 0);
  CHECK(board.bench.state_of(3) == "running");

  const auto images = board.bench.send("GET", "/images").text;
  CHECK_THAT(images, Catch::Contains(image::trust_store_component().text()));
  const auto events = board.bench.send("GET", "/sphere/v1/events?after=0").text;
  CHECK_THAT(events, Catch::Contains("TrustStoreInstalled"));

  // A start verifies again: the revoked key's app does not come back.
  board.bench.restart();
  CHECK(board.bench.soon(
      [&] { return board.bench.apps->phase(test::test_guid(3)) == Phase::running; }));
  CHECK(board.bench.state_of(1) != "running");
}

TEST_CASE("a trust store and an app that it trusts come in one install") {
  Board board;
  test::TestSigner next;
  const TrustRecord record{.version = 1,
                           .entries = {board.owner.entry(Role::trust_store),
                                       entry_of(next.public_key(), Role::development)}};
  // Staged under the old keys, and the new store does not have its key: nothing of it is left.
  REQUIRE(board.bench.stage({}).status == 200);
  REQUIRE(board.stage(store_of(record, board.owner)) == 0);
  CHECK(board.bench.send("GET", "/images").body().boolean_at("has_staged_updates") == true);
  CHECK(board.code_of(board.bench.send("POST", "/update/install")) ==
        device_api::kPackageUntrusted);
  CHECK(board.bench.state_of(1) == "notPresent");
  CHECK(board.bench.board_state->trust_slots().version() == 1U);
}

TEST_CASE("development keys and the public test key count as the board allows") {
  Board board;
  REQUIRE(write_file(board.bench.path() / "trust/public-test-key", "on\n"));
  const auto keys = [&] { return board.bench.board_state->trust().value().entries().size(); };
  CHECK(keys() == 2);  // The developer's and the public test key.
  REQUIRE(board.deploy(store_of(board.record(1), board.owner)) == 0);
  CHECK(keys() == 3);
  auto record = board.record(2);
  record.revoked.push_back(image::public_test_key().id());
  REQUIRE(board.deploy(store_of(record, board.owner)) == 0);
  CHECK(keys() == 2);
  REQUIRE(write_file(board.bench.path() / "fuses/capabilities", ""));
  CHECK(keys() == 1);  // The owner's, which signs no app.

  CHECK(board.bench.board_state->capability_keys().empty());
  record = board.record(3);
  record.entries.push_back(Owner{}.entry(Role::capability));
  REQUIRE(board.deploy(store_of(record, board.owner)) == 0);
  CHECK(board.bench.board_state->capability_keys().size() == 1);
}

TEST_CASE("a damaged trust store trusts nobody until it is put back") {
  Board board;
  const auto first = store_of(board.record(1), board.owner);
  const Owner next;
  auto record = board.record(2);
  record.entries.front() = next.entry(Role::trust_store);
  const auto second = store_of(record, board.owner);
  REQUIRE(board.deploy(first) == 0);
  REQUIRE(board.deploy(second) == 0);
  REQUIRE(board.bench.board_state->trust_slots().previous().value()->record.version == 1);

  REQUIRE(write_file(board.file("b"), "damaged"));
  CHECK_FALSE(board.bench.board_state->trust());
  CHECK(board.bench.board_state->capability_keys().empty());
  CHECK(board.code_of(board.bench.stage({})) == device_api::kPackageUntrusted);
  // The store before it says who may repair it, and no older version does.
  CHECK(board.deploy(store_of(board.record(1), board.owner)) == device_api::kPackageUntrusted);
  CHECK(board.deploy(store_of(board.record(3), next)) == device_api::kPackageUntrusted);
  CHECK(board.deploy(second) == 0);
  CHECK(board.bench.board_state->trust());
  CHECK(board.bench.board_state->trust_slots().previous().value()->record.version == 1);

  for (const auto* text : {"", "{}", "{\"active\":\"c\"}", "[]"}) {
    INFO(text);
    REQUIRE(write_file(board.file("record.json"), std::string_view{text}));
    CHECK_FALSE(board.bench.board_state->trust());
    CHECK_FALSE(board.bench.board_state->store_trust());
    CHECK(board.deploy(store_of(board.record(9), board.owner)) == device_api::kPackageUntrusted);
  }
}

TEST_CASE("a first store that is damaged can be made again by the keys of the board") {
  Board board;
  const auto first = store_of(board.record(1), board.owner);
  REQUIRE(board.deploy(first) == 0);
  REQUIRE(std::filesystem::remove(board.file("a")));
  CHECK_FALSE(board.bench.board_state->trust());
  CHECK(board.deploy(first) == 0);
  CHECK(board.bench.board_state->trust());
}

TEST_CASE("the published key is refused wherever the board finds it") {
  Board board;
  REQUIRE(make_directories(board.bench.path() / "trust/capability"));
  REQUIRE(write_file(board.bench.path() / "trust/capability/x.pem", published_key().pem()));
  CHECK(board.bench.board_state->capability_keys().empty());
  REQUIRE(write_file(board.bench.path() / "trust/trust-store/x.pem", published_key().pem()));
  CHECK_FALSE(board.bench.board_state->store_trust());
  CHECK(board.bench.board_state->trust());
  REQUIRE(write_file(board.bench.path() / "trust/development/x.pem", published_key().pem()));
  const auto trust = board.bench.board_state->trust();
  REQUIRE_FALSE(trust);
  CHECK_THAT(trust.error().message(), Catch::Contains("x.pem"));
}

TEST_CASE("what was staged does not outlive a restart") {
  Board board;
  REQUIRE(board.stage(store_of(board.record(1), board.owner)) == 0);
  board.bench.restart();
  CHECK(board.code_of(board.bench.send("POST", "/update/install")) == 0);
  CHECK_FALSE(board.has_store());
}
