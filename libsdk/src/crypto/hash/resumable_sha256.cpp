// SPDX-License-Identifier: MIT
#include "sphere/crypto/resumable_sha256.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/constants.h"
#include "libsdk/src/crypto/hash/lanes.h"
#include "sphere/core/bytes.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {
namespace {

constexpr std::string_view kMagic{"sha256\0", 7};
constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kLengthLimit = std::uint64_t{1} << 61U;  // SHA-256 counts bits in 64 bits.

tl::unexpected<Error> damaged(const std::string& what) {
  return fail(Errc::corrupt, "saved hash state: " + what,
              {.next = "hash the bytes again from the start"});
}

bool is_zero(std::byte byte) { return byte == std::byte{0}; }

}  // namespace

ResumableSha256::ResumableSha256(const HashEngine& engine)
    : engine_{&engine}, words_{kSha256Initial} {}

Result<ResumableSha256> ResumableSha256::resume(const HashEngine& engine,
                                                std::span<const std::byte> saved) {
  if (saved.size() != kSavedSha256Size) {
    return damaged(std::to_string(saved.size()) + " bytes instead of 112");
  }
  Reader reader{saved};
  const auto magic = reader.bytes(kMagic.size());
  const auto version = reader.little_endian<std::uint8_t>();
  const auto words = reader.bytes(sizeof(Sha256Digest));
  const auto length = reader.little_endian<std::uint64_t>();
  const auto partial = reader.bytes(kHashBlockSize);
  if (!magic || !version || !words || !length || !partial ||
      !std::ranges::equal(*magic, std::as_bytes(std::span{kMagic}))) {
    return damaged("wrong signature");
  }
  if (*version != kVersion) {
    return fail(Errc::unsupported, "saved hash state: unknown version",
                {.value = std::to_string(*version), .next = "hash the bytes again from the start"});
  }
  if (*length >= kLengthLimit) {
    return damaged("impossible length " + std::to_string(*length));
  }
  if (!std::ranges::all_of(partial->subspan(*length % kHashBlockSize), is_zero)) {
    return damaged("bytes behind the partial block");
  }
  // From here on the bytes are known to have the form of a state.
  ResumableSha256 hash{engine};
  for (std::size_t i = 0; i < words->size(); ++i) {
    std::uint32_t& word = hash.words_[i / 4];
    word = (word << 8U) | std::to_integer<std::uint32_t>((*words)[i]);
  }
  hash.length_ = *length;
  std::ranges::copy(*partial, hash.partial_.begin());
  if (*length < kHashBlockSize && hash.words_ != kSha256Initial) {
    return damaged("another start value");
  }
  return hash;
}

ResumableSha256& ResumableSha256::update(std::span<const std::byte> bytes) {
  if (const std::size_t held = partial_size(); held != 0) {
    const std::size_t taken = std::min(kHashBlockSize - held, bytes.size());
    copy_bytes(bytes.first(taken), std::span{partial_}.subspan(held));
    length_ += taken;
    bytes = bytes.subspan(taken);
    if (held + taken < kHashBlockSize) {
      return *this;
    }
    compress(partial_);
  }
  const std::size_t rest = bytes.size() % kHashBlockSize;
  compress(bytes.first(bytes.size() - rest));
  partial_ = {};
  copy_bytes(bytes.last(rest), partial_);
  length_ += bytes.size();
  return *this;
}

void ResumableSha256::compress(std::span<const std::byte> blocks) {
  if (blocks.empty()) {
    return;
  }
  HashLane lane{.state = words_, .data = blocks.data()};
  const std::array<HashLane*, 1> lanes = {&lane};
  engine_->compress(lanes, blocks.size() / kHashBlockSize);
  words_ = lane.state;
}

SavedSha256 ResumableSha256::save() const {
  Writer writer;
  writer.text(kMagic)
      .little_endian(kVersion)
      .bytes(digest_of({.state = words_, .data = nullptr}))
      .little_endian(length_)
      .bytes(partial_);
  SavedSha256 saved = {};
  std::ranges::copy(writer.data(), saved.begin());
  return saved;
}

Sha256Digest ResumableSha256::finish() {
  Padding padding = {};
  std::ranges::copy(partial_, padding.begin());
  const std::size_t blocks = write_padding(padding, partial_size(), length_);
  compress(std::span{padding}.first(blocks * kHashBlockSize));
  return digest_of({.state = words_, .data = nullptr});
}

}  // namespace sphere::crypto
