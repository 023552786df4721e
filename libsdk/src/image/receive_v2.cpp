// SPDX-License-Identifier: MIT
#include "sphere/image/receive_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/body_source.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/merkle_levels.h"
#include "libsdk/src/image/verify.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/trust.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint64_t kLargestRange = kReadBytes;
constexpr std::uint64_t kFirstTail = 4096;

// A file by its descriptor, which must stay open.
class DescriptorBlocks final : public BlockSource {
 public:
  explicit DescriptorBlocks(OutputFile file) : file_{std::move(file)} {}
  [[nodiscard]] Result<Bytes> read(std::uint64_t offset,
                                   std::span<std::byte> buffer) const override {
    SPHERE_TRY(read_at(file_, offset, buffer));
    return buffer;
  }

 private:
  OutputFile file_;
};

// The last bytes of a package, for open_container().
class TailBlocks final : public BlockSource {
 public:
  TailBlocks(Bytes tail, std::uint64_t begin) : tail_{tail}, begin_{begin} {}
  [[nodiscard]] Result<Bytes> read(std::uint64_t offset,
                                   std::span<std::byte> buffer) const override {
    if (offset < begin_ || offset - begin_ > tail_.size() ||
        buffer.size() > tail_.size() - (offset - begin_)) {
      return fail(Errc::io, "these bytes have not come yet");
    }
    return tail_.subspan(static_cast<std::size_t>(offset - begin_), buffer.size());
  }

 private:
  Bytes tail_;
  std::uint64_t begin_;
};

// Level and index of a hash block, from its place behind the superblock.
std::pair<std::size_t, std::uint64_t> place_of(const MerkleShape& shape, std::uint64_t index) {
  for (std::size_t level = shape.levels(); level-- > 0;) {
    if (index < shape.level_blocks(level)) {
      return {level, index};
    }
    index -= shape.level_blocks(level);
  }
  return {0, 0};
}

OutputFile file_of(const PackageReceiver::Target& target) {
  return {.descriptor = target.descriptor, .name = target.name};
}

}  // namespace

PackageReceiver::PackageReceiver(const Target& target, const TrustStore& trust,
                                 const crypto::HashEngine& engine)
    : target_{target},
      trust_{&trust},
      engine_{&engine},
      stored_{std::make_shared<DescriptorBlocks>(file_of(target))},
      tail_begin_{target.package_bytes - std::min(kFirstTail, target.package_bytes)} {}
PackageReceiver::PackageReceiver(PackageReceiver&&) noexcept = default;
PackageReceiver::~PackageReceiver() = default;

Result<PackageReceiver> PackageReceiver::open(const Target& target, const TrustStore& trust,
                                              const crypto::HashEngine& engine) {
  if (target.package_bytes < kMerkleBlockSize) {
    return fail(Errc::invalid_argument, "a package v2 has more bytes than that",
                {.reason = "package.corrupt", .value = std::to_string(target.package_bytes)});
  }
  if (target.package_bytes > kMaxPackageV2) {
    return too_large(fmt::format("the package has {} bytes; at most {} are allowed",
                                 target.package_bytes, kMaxPackageV2),
                     std::to_string(target.package_bytes));
  }
  PackageReceiver receiver{target, trust, engine};
  SPHERE_TRY(set_size(file_of(target), target.package_bytes));
  SPHERE_TRY(receiver.resume());
  return receiver;
}

// Finds what of the package stands in the file already. What is not proven is fetched again.
Result<void> PackageReceiver::resume() {
  auto container = open_container(stored_, target_.package_bytes);
  if (!container || container->layout == nullptr) {
    return {};
  }
  package_ = *std::move(container);
  has_tail_ = true;
  std::array<std::byte, kMerkleBlockSize> buffer = {};
  SPHERE_TRY_ASSIGN(const auto superblock, stored_->read(package_.layout->body_area, buffer));
  if (!check_head(superblock)) {
    forget_tail();
    return {};
  }
  for (std::uint64_t i = 0; i < hashes_.good.size(); ++i) {
    const auto at = package_.layout->body_area + ((1 + i) * kMerkleBlockSize);
    SPHERE_TRY_ASSIGN(const auto block, stored_->read(at, buffer));
    if (prove_hash_block(i, block)) {
      hashes_.set(static_cast<std::size_t>(i));
    }
  }
  if (!hashes_.is_complete()) {
    return {};  // The body came after the tree.
  }
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < body_.good.size(); ++i) {
    const auto unit = body_unit(i);
    bytes.resize(static_cast<std::size_t>(unit.size));
    SPHERE_TRY_ASSIGN(const auto read, stored_->read(unit.offset, bytes));
    if (prove_body_unit(i, read)) {
      body_.set(i);
    }
  }
  return {};
}

PackageReceiver::Range PackageReceiver::tail_range() const {
  // tail_ holds the end of what is wanted: its missing part lies before it, or behind what came.
  const auto begin = tail_begin_ + partial_.size();
  const auto end = target_.package_bytes - tail_.size();
  return {.offset = begin, .size = end - begin};
}

void PackageReceiver::Proven::set(std::size_t index) {
  good[index] = true;
  while (missing < good.size() && good[missing]) {
    ++missing;
  }
}

// The first missing units that lie behind each other, up to the largest range.
template <typename UnitOf>
PackageReceiver::Range PackageReceiver::missing_range(const Proven& proven, const UnitOf& unit_of) {
  const Unit first = unit_of(proven.missing);
  Range range{.offset = first.offset, .size = first.size};
  for (auto i = proven.missing + 1; i < proven.good.size() && !proven.good[i]; ++i) {
    const Unit next = unit_of(i);
    if (range.size + next.size > kLargestRange) {
      break;
    }
    range.size += next.size;
  }
  return range;
}

std::optional<PackageReceiver::Range> PackageReceiver::wanted() const {
  if (!has_tail_) {
    return tail_range();
  }
  Range range;
  const auto area = package_.layout->body_area;
  if (!head_is_good_) {
    range = {.offset = area, .size = kMerkleBlockSize};
  } else if (!hashes_.is_complete()) {
    range = missing_range(hashes_, [area](std::size_t i) {
      return Unit{.offset = area + ((1 + std::uint64_t{i}) * kMerkleBlockSize),
                  .size = kMerkleBlockSize};
    });
  } else if (!body_.is_complete()) {
    range = missing_range(body_, [this](std::size_t i) { return body_unit(i); });
  } else {
    return std::nullopt;
  }
  range.offset += partial_.size();
  range.size -= partial_.size();
  return range;
}

Result<void> PackageReceiver::take(Bytes bytes) {
  while (!bytes.empty()) {
    const auto range = wanted();
    if (!range) {
      return fail(Errc::invalid_argument, "no more bytes of the package are wanted");
    }
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), range->size));
    partial_.insert(partial_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    auto more = take_unit();
    while (more && *more) {
      more = take_unit();
    }
    if (!more) {
      partial_.clear();
      if (!head_is_good_) {
        forget_tail();  // It may be the metadata that came wrong.
      }
      return tl::make_unexpected(std::move(more).error());
    }
  }
  return {};
}

// Proves and stores what is complete at the front of partial_. False: more bytes are needed.
Result<bool> PackageReceiver::take_unit() {
  if (!has_tail_) {
    return take_tail();
  }
  if (head_is_good_ && hashes_.is_complete()) {
    return take_body_unit();
  }
  if (partial_.size() < kMerkleBlockSize) {
    return false;
  }
  return (head_is_good_ ? take_hash_block() : take_head()).map([] { return true; });
}

Result<void> PackageReceiver::take_head() {
  SPHERE_TRY(check_head(Bytes{partial_}.first<kMerkleBlockSize>()));
  // The metadata is stored with the block that its signature covers, too.
  SPHERE_TRY(write_at(file_of(target_), package_.tail_offset(), *package_.tail));
  return store_front(package_.layout->body_area, kMerkleBlockSize);
}

Result<void> PackageReceiver::store_front(std::uint64_t offset, std::uint64_t size) {
  const auto count = static_cast<std::size_t>(size);
  SPHERE_TRY(write_at(file_of(target_), offset, std::span{partial_}.first(count)));
  partial_.erase(partial_.begin(), partial_.begin() + static_cast<std::ptrdiff_t>(count));
  return {};
}

Result<void> PackageReceiver::take_hash_block() {
  const auto index = hashes_.missing;
  SPHERE_TRY(prove_hash_block(index, Bytes{partial_}.first<kMerkleBlockSize>()));
  SPHERE_TRY(
      store_front(package_.layout->body_area + ((1 + std::uint64_t{index}) * kMerkleBlockSize),
                  kMerkleBlockSize));
  hashes_.set(index);
  return {};
}

Result<bool> PackageReceiver::take_body_unit() {
  if (body_.is_complete()) {
    return false;
  }
  const auto index = body_.missing;
  auto unit = body_unit(index);
  if (partial_.size() < unit.size) {
    return false;
  }
  std::size_t count = 1;
  if (!has_chunks()) {  // As many blocks at once as there are: they are hashed side by side.
    while ((count + 1) * kMerkleBlockSize <= partial_.size() && index + count < body_.good.size() &&
           !body_.good[index + count]) {
      ++count;
    }
    unit.size = count * kMerkleBlockSize;
  }
  SPHERE_TRY(prove_body_unit(index, Bytes{partial_}.first(static_cast<std::size_t>(unit.size))));
  SPHERE_TRY(store_front(unit.offset, unit.size));
  for (std::size_t i = 0; i < count; ++i) {
    body_.set(index + i);
  }
  return true;
}

void PackageReceiver::forget_tail() {
  has_tail_ = false;
  package_ = {};
  tail_.clear();
  tail_begin_ = target_.package_bytes - std::min(kFirstTail, target_.package_bytes);
}

// The last bytes, then those before them that belong to the metadata.
Result<bool> PackageReceiver::take_tail() {
  if (tail_range().size != 0) {
    return false;
  }
  tail_.insert(tail_.begin(), partial_.begin(), partial_.end());
  partial_.clear();
  SPHERE_TRY_ASSIGN(const auto needed, tail_size(tail_, target_.package_bytes));
  if (needed > tail_.size()) {
    tail_begin_ = target_.package_bytes - needed;
    return false;
  }
  SPHERE_TRY(open_tail());
  return true;
}

Result<void> PackageReceiver::open_tail() {
  const auto begin = target_.package_bytes - tail_.size();
  SPHERE_TRY_ASSIGN(auto container, open_container(std::make_shared<TailBlocks>(tail_, begin),
                                                   target_.package_bytes));
  if (container.layout == nullptr) {
    return unsupported("only a package v2 can be received in pieces",
                       kind_text(container.metadata));
  }
  container.source = stored_;
  package_ = std::move(container);
  has_tail_ = true;
  return {};
}

// From here on metadata, sizes, root hash and chunk hashes are trusted.
Result<void> PackageReceiver::check_head(Bytes superblock) {
  SPHERE_TRY(verify_head_v2(package_, superblock.first<kMerkleBlockSize>(), *trust_));
  head_is_good_ = true;
  const auto& tree = package_.layout->tree;
  hash_area_ = std::make_shared<OffsetBlocks>(stored_, package_.layout->body_area);
  verifier_ = std::make_unique<MerkleVerifier>(*engine_, tree, *hash_area_);
  if (!package_.layout->expanded) {
    chunks_ = package_.metadata.v2.chunks.value_or(ChunkTable{}).chunks;
  }
  hashes_ = {.good = std::vector<bool>(static_cast<std::size_t>(tree.shape.tree_blocks()))};
  body_ = {.good = std::vector<bool>(body_units())};
  return {};
}

// A hash block against the one above it, which is stored already.
Result<void> PackageReceiver::prove_hash_block(std::uint64_t index, Bytes block) const {
  const auto& tree = package_.layout->tree;
  const auto [level, in_level] = place_of(tree.shape, index);
  auto expected = tree.root;
  if (level + 1 < tree.shape.levels()) {
    const auto above = tree.shape.offset(level + 1, in_level / kHashesPerBlock) +
                       (in_level % kHashesPerBlock * sizeof(MerkleHash));
    SPHERE_TRY(hash_area_->read(above, std::as_writable_bytes(std::span{&expected, 1})));
  }
  if (hash_block(*engine_, tree.salt, block) != expected) {
    return fail(
        Errc::unverified,
        fmt::format("hash block {} of level {} does not match the signed hash tree", in_level,
                    level),
        {.reason = "package.untrusted",
         .value = fmt::format("offset {} of the hash area", tree.shape.offset(level, in_level)),
         .next = "get the package again"});
  }
  return {};
}

std::size_t PackageReceiver::body_units() const {
  return has_chunks() ? chunks_.size() + 1  // The padding is the last.
                      : static_cast<std::size_t>(package_.layout->tree.shape.data_blocks());
}

PackageReceiver::Unit PackageReceiver::body_unit(std::size_t index) const {
  if (!has_chunks()) {
    return {.offset = std::uint64_t{index} * kMerkleBlockSize, .size = kMerkleBlockSize};
  }
  std::uint64_t offset = 0;
  for (const auto& chunk : std::span{chunks_}.first(index)) {
    offset += chunk.stored_length;
  }
  const auto end =
      index < chunks_.size() ? offset + chunks_[index].stored_length : package_.layout->body_area;
  return {.offset = offset, .size = end - offset};
}

Result<void> PackageReceiver::prove_body_unit(std::size_t index, Bytes bytes) {
  if (!has_chunks()) {
    return verifier_->verify(index, bytes);
  }
  const auto offset = body_unit(index).offset;
  if (index == chunks_.size()) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; })
               ? Result<void>{}
               : corrupt("body area", static_cast<std::size_t>(offset), "the padding is not zero");
  }
  if (crypto::sha256(bytes) != chunks_[index].digest) {
    return fail(Errc::unverified, fmt::format("chunk {} does not match the signed metadata", index),
                {.reason = "package.untrusted",
                 .value = fmt::format("offset {}", offset),
                 .next = "get the package again"});
  }
  return {};
}

std::uint64_t PackageReceiver::proven_body_bytes() const {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < body_.good.size(); ++i) {
    bytes += body_.good[i] ? body_unit(i).size : 0;
  }
  return bytes;
}

Result<Verified<Package>> PackageReceiver::finish() const {
  if (wanted()) {
    return fail(Errc::invalid_argument, "parts of the package are missing");
  }
  SPHERE_TRY_ASSIGN(auto package, open_package(stored_, target_.package_bytes));
  return verify(std::move(package), *trust_);
}

Result<void> StreamVerifier::update(Bytes bytes) {
  const auto taken =
      bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
  left_ -= taken.size();
  return stream_.update(taken);
}

Result<void> StreamVerifier::finish(const MerkleTree& trusted) {
  if (left_ != 0) {
    return fail(Errc::corrupt, fmt::format("the body ended {} bytes too early", left_),
                {.reason = "package.corrupt", .next = "get the package again"});
  }
  SPHERE_TRY_ASSIGN(const auto root, stream_.finish());
  if (root != trusted.root) {
    return fail(Errc::unverified, "the body does not match the signed root hash",
                {.reason = "package.untrusted", .next = "get the package again"});
  }
  return {};
}

}  // namespace sphere::image
