// SPDX-License-Identifier: MIT
#include "sphere/crypto/resumable_sha256.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/crypto/hash/backend.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace {

using sphere::Errc;
using sphere::crypto::HashEngine;
using sphere::crypto::kSavedSha256Size;
using sphere::crypto::ResumableSha256;
using sphere::crypto::SavedSha256;
using sphere::crypto::sha256;
using Bytes = std::vector<std::byte>;

Bytes random_bytes(std::size_t size) {
  std::mt19937 random{42};
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

HashEngine engine(std::string_view name = {}) {
  auto made = HashEngine::create(name);
  REQUIRE(made);
  return *std::move(made);
}

}  // namespace

TEST_CASE("a hash saved after any byte goes on to the right digest", "[hash]") {
  const HashEngine hasher = engine();
  const Bytes message = random_bytes(300);
  const auto expected = sha256(message);
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    INFO("saved after " << cut << " bytes");
    ResumableSha256 first{hasher};
    first.update(std::span{message}.first(cut));
    const SavedSha256 saved = first.save();

    auto second = ResumableSha256::resume(hasher, saved);

    REQUIRE(second);
    CHECK(second->length() == cut);
    CHECK(second->save() == saved);
    CHECK(second->update(std::span{message}.subspan(cut)).finish() == expected);
    CHECK(first.update(std::span{message}.subspan(cut)).finish() == expected);
  }
}

TEST_CASE("a state is the same whatever the pieces and the back-end", "[hash]") {
  const Bytes message = random_bytes(10000);
  const HashEngine reference = engine("portable");
  const SavedSha256 expected = ResumableSha256{reference}.update(message).save();
  std::mt19937 random{1};
  for (const auto& row : sphere::crypto::hash_backends()) {
    const auto forced = HashEngine::create(row.name);
    if (!forced) {  // Which rows this processor has is the subject of block_hash_test.
      continue;
    }
    INFO(row.name);
    ResumableSha256 hash{*forced};
    for (std::span<const std::byte> rest{message}; !rest.empty();) {
      const std::size_t taken = std::min<std::size_t>(random() % 200, rest.size());
      hash.update(rest.first(taken));
      rest = rest.subspan(taken);
    }
    CHECK(hash.save() == expected);
    CHECK(hash.finish() == sha256(message));
  }
}

TEST_CASE("the saved form is the documented one", "[hash]") {
  const HashEngine hasher = engine();
  const Bytes abc = {std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

  const SavedSha256 saved = ResumableSha256{hasher}.update(abc).save();

  CHECK(sphere::to_hex(saved) ==
        "7368613235360001"
        "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"
        "0300000000000000"
        "616263" +
            std::string(122, '0'));
}

TEST_CASE("what save() did not write is not resumed", "[hash]") {
  const HashEngine hasher = engine();
  const SavedSha256 saved = ResumableSha256{hasher}.update(random_bytes(70)).save();
  const SavedSha256 young = ResumableSha256{hasher}.update(random_bytes(10)).save();
  const auto changed = [](SavedSha256 state, std::size_t place, unsigned value) {
    std::span{state}[place] = static_cast<std::byte>(value);
    return state;
  };
  struct Case {
    std::string name;
    SavedSha256 state;
    Errc code;
  };
  const std::vector<Case> cases = {
      {.name = "signature", .state = changed(saved, 0, 'S'), .code = Errc::corrupt},
      {.name = "version", .state = changed(saved, 7, 2), .code = Errc::unsupported},
      {.name = "length", .state = changed(saved, 47, 0x20), .code = Errc::corrupt},
      {.name = "byte behind the partial block",
       .state = changed(saved, 48 + 6, 1),
       .code = Errc::corrupt},
      {.name = "start value of a short message",
       .state = changed(young, 8, 0),
       .code = Errc::corrupt},
  };

  for (const Case& test : cases) {
    INFO(test.name);
    const auto result = ResumableSha256::resume(hasher, test.state);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == test.code);
  }
  for (std::size_t size = 0; size < kSavedSha256Size; ++size) {
    CHECK(ResumableSha256::resume(hasher, std::span{saved}.first(size)).error().code() ==
          Errc::corrupt);
  }
  CHECK(ResumableSha256::resume(hasher, Bytes(kSavedSha256Size + 1)).error().code() ==
        Errc::corrupt);
}
