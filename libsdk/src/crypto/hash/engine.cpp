// SPDX-License-Identifier: MIT
// Which back-end runs, and leaf blocks through it. Streams are in streams.cpp.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/evp_sha256.h"
#include "libsdk/src/crypto/hash/lanes.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {
namespace {

// What is left when no row of the table is usable.
constexpr HashBackend kEvp = {
    .name = "evp", .lanes = 1, .least_lanes = 1, .is_supported = nullptr, .compress = nullptr};
constexpr HashBackend kPortable = {.name = "portable",
                                   .lanes = 1,
                                   .least_lanes = 1,
                                   .is_supported = nullptr,
                                   .compress = compress_portable};

// Hashes the message "abc" in every lane and compares with FIPS 180-4's example.
bool passes_self_test(const HashBackend& row) {
  constexpr std::array<std::uint32_t, kHashWords> kDigestOfAbc = {
      0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
      0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad};
  if (row.compress == nullptr) {
    return true;
  }
  Padding block = {std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
  const std::size_t blocks = write_padding(block, 3, 3);
  std::array<HashLane, kMaxLanes> lanes;
  std::array<HashLane*, kMaxLanes> pointers = {};
  for (std::size_t i = 0; i < row.lanes; ++i) {
    lanes[i].data = block.data();
    pointers[i] = &lanes[i];
  }
  run_kernel(row, std::span{pointers}.first(row.lanes), blocks);
  return std::all_of(lanes.begin(), lanes.begin() + static_cast<std::ptrdiff_t>(row.lanes),
                     [&](const HashLane& lane) { return lane.state == kDigestOfAbc; });
}

std::string usable_names(std::span<const HashBackend> rows) {
  std::string names;
  for (const HashBackend& row : rows) {
    if (row.is_supported()) {
      names += names.empty() ? "" : ", ";
      names += row.name;
    }
  }
  return names;
}

void hash_leaves_by_evp(const EvpSha256& evp, const LeafSalt& salt,
                        std::span<const std::byte> blocks, std::span<Sha256Digest> digests) {
  auto context = evp.context();
  for (std::size_t i = 0; i < digests.size(); ++i) {
    context.start();
    context.update(salt);
    context.update(blocks.subspan(i * kLeafBlockSize, kLeafBlockSize));
    digests[i] = context.finish();
  }
}

// SHA-256(salt | block) of up to row.lanes blocks. The salt shifts the data by half a hash block:
//
//   first hash block   salt, data 0 .. 31               put together in `edge`
//   63 hash blocks     data 32 .. 4063                  where they lie
//   last hash block    data 4064 .. 4095, the padding   put together in `edge`
void hash_leaf_group(const HashBackend& row, const LeafSalt& salt,
                     std::span<const std::byte> blocks, std::span<Sha256Digest> digests) {
  constexpr std::size_t kHalf = kHashBlockSize / 2;
  constexpr std::size_t kWholeBlocks = kLeafBlockSize / kHashBlockSize - 1;
  static_assert(sizeof(LeafSalt) == kHalf);
  std::array<HashLane, kMaxLanes> lanes;
  std::array<HashLane*, kMaxLanes> pointers = {};
  std::array<Padding, kMaxLanes> edges;
  const std::size_t count = digests.size();
  const auto filled = std::span{pointers}.first(count);
  for (std::size_t i = 0; i < count; ++i) {
    pointers[i] = &lanes[i];
    lanes[i].data = edges[i].data();
    copy_bytes(salt, edges[i]);
    copy_bytes(blocks.subspan(i * kLeafBlockSize, kHalf), std::span{edges[i]}.subspan(kHalf));
  }
  run_kernel(row, filled, 1);
  for (std::size_t i = 0; i < count; ++i) {
    lanes[i].data = blocks.subspan(i * kLeafBlockSize + kHalf).data();
  }
  run_kernel(row, filled, kWholeBlocks);
  for (std::size_t i = 0; i < count; ++i) {
    lanes[i].data = edges[i].data();
    copy_bytes(blocks.subspan((i + 1) * kLeafBlockSize - kHalf, kHalf), edges[i]);
    const std::size_t last = write_padding(edges[i], kHalf, salt.size() + kLeafBlockSize);
    assert(last == 1);
    static_cast<void>(last);
  }
  run_kernel(row, filled, 1);
  std::ranges::transform(std::span{lanes}.first(count), digests.begin(), digest_of);
}

}  // namespace

HashEngine::HashEngine() : evp_{std::make_unique<EvpSha256>()} {}
HashEngine::HashEngine(HashEngine&& other) noexcept = default;
HashEngine& HashEngine::operator=(HashEngine&& other) noexcept = default;
HashEngine::~HashEngine() = default;

Result<HashEngine> HashEngine::create(std::string_view forced) {
  return from_rows(hash_backends(), forced);
}

Result<HashEngine> HashEngine::from_environment() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread of ours changes the environment.
  const char* forced = std::getenv("SPHERE_HASH_BACKEND");
  return create(forced == nullptr ? "" : forced);
}

Result<HashEngine> HashEngine::from_rows(std::span<const HashBackend> rows,
                                         std::string_view forced) {
  HashEngine engine;
  for (const HashBackend& row : rows) {
    if ((forced.empty() || row.name == forced) && row.is_supported()) {
      engine.add(row);
    }
  }
  if (engine.rows_.empty() && engine.warnings_.empty()) {
    return fail(Errc::invalid_argument, "this machine has no such hash back-end",
                {.reason = "usage.bad-value",
                 .value = std::string{forced},
                 .next = "set SPHERE_HASH_BACKEND to one of " + usable_names(rows)});
  }
  if (engine.rows_.empty()) {
    engine.rows_.push_back(&kEvp);
  }
  return engine;
}

// A row that miscalculates is left out; the rows below it do its work, in the end OpenSSL.
void HashEngine::add(const HashBackend& row) {
  if (passes_self_test(row)) {
    rows_.push_back(&row);
    return;
  }
  warnings_.push_back("hash back-end " + std::string{row.name} +
                      " fails its self-test on this processor and is not used");
}

std::string_view HashEngine::name() const { return choose(kMaxLanes).name; }

const HashBackend& HashEngine::choose(std::size_t messages) const {
  const auto fits = [&](const HashBackend* row) { return row->least_lanes <= messages; };
  const auto found = std::ranges::find_if(rows_, fits);
  return found != rows_.end() ? **found : *rows_.back();
}

// As choose(), among the rows that can go on from a state, which `evp` cannot.
const HashBackend& HashEngine::choose_kernel(std::size_t lanes) const {
  const HashBackend* narrowest = &kPortable;
  for (const HashBackend* row : rows_) {
    if (row->compress == nullptr) {
      continue;
    }
    if (row->least_lanes <= lanes) {
      return *row;
    }
    narrowest = row;
  }
  return *narrowest;
}

void HashEngine::compress(std::span<HashLane* const> lanes, std::size_t blocks) const {
  while (!lanes.empty()) {
    const HashBackend& row = choose_kernel(lanes.size());
    const std::size_t count = std::min(row.lanes, lanes.size());
    run_kernel(row, lanes.first(count), blocks);
    lanes = lanes.subspan(count);
  }
}

void HashEngine::hash_leaves(const LeafSalt& salt, std::span<const std::byte> blocks,
                             std::span<Sha256Digest> digests) const {
  assert(blocks.size() == digests.size() * kLeafBlockSize);
  while (!digests.empty()) {
    const HashBackend& row = choose(digests.size());
    const bool by_evp = row.compress == nullptr;
    const std::size_t count = by_evp ? digests.size() : std::min(row.lanes, digests.size());
    const auto group = blocks.first(count * kLeafBlockSize);
    if (by_evp) {
      hash_leaves_by_evp(*evp_, salt, group, digests.first(count));
    } else {
      hash_leaf_group(row, salt, group, digests.first(count));
    }
    blocks = blocks.subspan(group.size());
    digests = digests.subspan(count);
  }
}

}  // namespace sphere::crypto
