// SPDX-License-Identifier: MIT
#include "sphere/crypto/block_hash.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/crypto/hash/backend.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "tests/support/skip.h"

namespace {

using sphere::Errc;
using sphere::Result;
using sphere::crypto::hash_backends;
using sphere::crypto::HashBackend;
using sphere::crypto::HashEngine;
using sphere::crypto::kLeafBlockSize;
using sphere::crypto::LeafSalt;
using sphere::crypto::MessageStream;
using sphere::crypto::sha256;
using sphere::crypto::Sha256;
using sphere::crypto::Sha256Digest;
using Bytes = std::vector<std::byte>;
using Random = std::mt19937;

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

std::size_t below(Random& random, std::size_t limit) {
  return std::uniform_int_distribution<std::size_t>{0, limit - 1}(random);
}

// Hashes the messages through `engine` and compares each with OpenSSL's digest.
void check_messages(const HashEngine& engine, const std::vector<Bytes>& messages) {
  const std::vector<std::span<const std::byte>> spans{messages.begin(), messages.end()};
  std::vector<Sha256Digest> digests(messages.size());
  engine.hash_messages(spans, digests);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    INFO("message " << i << " of " << messages.size() << ", " << messages[i].size() << " bytes");
    REQUIRE(digests[i] == sha256(messages[i]));
  }
}

std::vector<Sha256Digest> leaves_by_openssl(const LeafSalt& salt, std::span<const std::byte> data) {
  std::vector<Sha256Digest> digests;
  for (; !data.empty(); data = data.subspan(kLeafBlockSize)) {
    digests.push_back(Sha256{}.update(salt).update(data.first(kLeafBlockSize)).finish());
  }
  return digests;
}

// A message that comes in the given pieces, then ends or fails.
class PieceStream final : public MessageStream {
 public:
  PieceStream(std::span<const std::byte> bytes, std::size_t piece, bool fails = false)
      : bytes_{bytes}, piece_{piece}, fails_{fails} {}
  [[nodiscard]] Result<std::span<const std::byte>> next() override {
    if (bytes_.empty() && fails_) {
      return sphere::fail(Errc::io, "cannot read");
    }
    const auto taken = bytes_.first(std::min(piece_, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t piece_;
  bool fails_;
};

// The rows of the table; the test is skipped where the processor lacks the row.
#define SPHERE_ENGINE_OF_EACH_ROW(engine)                                                 \
  const auto& row = GENERATE(from_range(hash_backends().begin(), hash_backends().end())); \
  INFO("back-end " << row.name);                                                          \
  SKIP_UNLESS(row.is_supported(), "this processor has no " + std::string{row.name});      \
  const auto made = HashEngine::create(row.name);                                         \
  REQUIRE(made);                                                                          \
  const HashEngine& engine = *made

}  // namespace

TEST_CASE("every back-end hashes messages of every length to 260 as OpenSSL does", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{1};
  std::vector<Bytes> messages;
  for (std::size_t size = 0; size <= 260; ++size) {
    messages.push_back(random_bytes(random, size));
  }

  check_messages(engine, messages);
}

TEST_CASE("every back-end hashes the lengths around a block and around 1 MiB", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{2};
  std::vector<Bytes> messages;
  for (std::size_t size = 4095; size <= 4129; ++size) {
    messages.push_back(random_bytes(random, size));
  }
  for (const std::size_t size : {1048575U, 1048576U, 1048577U}) {
    messages.push_back(random_bytes(random, size));
  }

  check_messages(engine, messages);
}

TEST_CASE("every back-end refills its lanes from a queue of random lengths", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{3};
  // 1 to 40 messages: fewer than lanes, exactly as many, and more than twice as many.
  for (std::size_t count = 1; count <= 40; ++count) {
    std::vector<Bytes> messages(count);
    std::ranges::generate(messages, [&] { return random_bytes(random, below(random, 5001)); });
    check_messages(engine, messages);
  }
}

TEST_CASE("every back-end agrees with OpenSSL on 2,000 random messages of all residues", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{4};
  std::vector<Bytes> messages(2000);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    messages[i] = random_bytes(random, 64 * below(random, 20) + i % 64);
  }

  check_messages(engine, messages);
}

TEST_CASE("every back-end reads messages at any address", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{5};
  const Bytes buffer = random_bytes(random, 4096 + 64);
  std::vector<std::span<const std::byte>> spans;
  for (std::size_t start = 0; start < 64; ++start) {
    spans.push_back(std::span{buffer}.subspan(start, 4000));
  }
  std::vector<Sha256Digest> digests(spans.size());

  engine.hash_messages(spans, digests);

  for (std::size_t i = 0; i < spans.size(); ++i) {
    INFO("start " << i);
    CHECK(digests[i] == sha256(spans[i]));
  }
}

TEST_CASE("every back-end hashes salted leaves, any number of them", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{6};
  LeafSalt salt = {};
  std::ranges::copy(random_bytes(random, salt.size()), salt.begin());
  for (std::size_t count = 0; count <= 50; ++count) {
    INFO(count << " blocks");
    const Bytes buffer = random_bytes(random, count * kLeafBlockSize + 1);
    const auto blocks = std::span{buffer}.subspan(1);  // Unaligned.
    std::vector<Sha256Digest> digests(count);
    engine.hash_leaves(salt, blocks, digests);
    REQUIRE(digests == leaves_by_openssl(salt, blocks));
  }
}

TEST_CASE("every back-end hashes streams in pieces and reports the failed ones", "[hash]") {
  SPHERE_ENGINE_OF_EACH_ROW(engine);
  Random random{7};
  std::vector<Bytes> messages(60);
  std::deque<PieceStream> streams;
  std::vector<MessageStream*> pointers;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    messages[i] = random_bytes(random, below(random, 20000));
    pointers.push_back(&streams.emplace_back(messages[i], 64 * (1 + i % 7), i % 10 == 3));
  }

  const auto results = engine.hash_streams(pointers);

  REQUIRE(results.size() == messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    INFO("stream " << i);
    if (i % 10 == 3) {
      REQUIRE_FALSE(results[i]);
      CHECK(results[i].error().code() == Errc::io);
    } else {
      REQUIRE(results[i]);
      CHECK(*results[i] == sha256(messages[i]));
    }
  }
}

TEST_CASE("a stream of odd pieces is refused, not hashed wrongly", "[hash]") {
  const auto engine = HashEngine::create("portable");
  REQUIRE(engine);
  const Bytes message(300);
  PieceStream odd{message, 100};
  const std::array<MessageStream*, 1> streams = {&odd};

  const auto results = engine->hash_streams(streams);

  REQUIRE(results.size() == 1);
  REQUIRE_FALSE(results[0]);
  CHECK(results[0].error().code() == Errc::invalid_argument);
}

TEST_CASE("the engine chosen by itself agrees with OpenSSL", "[hash]") {
  const auto engine = HashEngine::create();
  REQUIRE(engine);
  CHECK(engine->warnings().empty());
  Random random{8};
  std::vector<Bytes> messages(500);
  std::ranges::generate(messages, [&] { return random_bytes(random, below(random, 5001)); });

  check_messages(*engine, messages);

  const LeafSalt salt = {std::byte{7}};
  for (std::size_t count = 0; count <= 40; ++count) {
    const Bytes blocks = random_bytes(random, count * kLeafBlockSize);
    std::vector<Sha256Digest> digests(count);
    engine->hash_leaves(salt, blocks, digests);
    REQUIRE(digests == leaves_by_openssl(salt, blocks));
  }
}

TEST_CASE("the widest supported back-end is chosen", "[hash]") {
  const auto engine = HashEngine::create();
  REQUIRE(engine);
  const auto rows = hash_backends();
  const auto widest =
      std::ranges::find_if(rows, [](const auto& row) { return row.is_supported(); });

  REQUIRE(widest != rows.end());
  CHECK(engine->name() == widest->name);
}

TEST_CASE("an unknown back-end is refused with the usable ones", "[hash]") {
  const auto engine = HashEngine::create("mmx");

  REQUIRE_FALSE(engine);
  CHECK(engine.error().code() == Errc::invalid_argument);
  CHECK(engine.error().hint().value == "mmx");
  CHECK_THAT(engine.error().hint().next, Catch::Contains("evp, portable"));
}

TEST_CASE("SPHERE_HASH_BACKEND forces a back-end", "[hash]") {
  REQUIRE(::setenv("SPHERE_HASH_BACKEND", "portable", 1) == 0);
  const auto engine = HashEngine::from_environment();
  REQUIRE(::unsetenv("SPHERE_HASH_BACKEND") == 0);

  REQUIRE(engine);
  CHECK(engine->name() == "portable");
}

TEST_CASE("a back-end that the processor lacks is refused when forced", "[hash]") {
  const std::array<HashBackend, 2> rows = {
      {{"missing", 1, 1, [] { return false; }, sphere::crypto::compress_portable},
       {"evp", 1, 1, [] { return true; }, nullptr}}};

  const auto forced = HashEngine::from_rows(rows, "missing");
  const auto chosen = HashEngine::from_rows(rows);

  REQUIRE_FALSE(forced);
  CHECK(forced.error().hint().next == "set SPHERE_HASH_BACKEND to one of evp");
  REQUIRE(chosen);
  CHECK(chosen->name() == "evp");
}

TEST_CASE("a back-end that miscalculates is left out with a warning", "[hash]") {
  const auto wrong = [](std::uint32_t* state, const std::byte* const* data, std::size_t blocks) {
    sphere::crypto::compress_portable(state, data, blocks);
    state[7] ^= 1;
  };
  const std::array<HashBackend, 1> rows = {{{"broken", 1, 1, [] { return true; }, wrong}}};

  for (const std::string_view forced : {"", "broken"}) {
    const auto engine = HashEngine::from_rows(rows, forced);
    REQUIRE(engine);
    REQUIRE(engine->warnings().size() == 1);
    CHECK_THAT(engine->warnings()[0], Catch::Contains("broken"));
    CHECK(engine->name() == "evp");
    check_messages(*engine, {Bytes(1000), Bytes(3)});
  }
}
