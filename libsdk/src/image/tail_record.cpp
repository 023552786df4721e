// SPDX-License-Identifier: MIT
#include "libsdk/src/image/tail_record.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/image/failure.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"

namespace sphere::image {
namespace {

constexpr std::string_view kMagic = "SPHTAIL";
constexpr std::byte kVersion{1};
constexpr std::size_t kHead = 40;

tl::unexpected<Error> damaged(std::size_t offset, std::string_view what) {
  return corrupt("record of a change", offset, what);
}

}  // namespace

std::vector<std::byte> write_tail_record(const TailRecord& record) {
  Writer writer;
  writer.text(kMagic)
      .bytes(std::span{&kVersion, 1})
      .little_endian(record.inode)
      .little_endian(record.file_size)
      .little_endian(record.offset)
      .little_endian(static_cast<std::uint32_t>(record.before.size()))
      .little_endian(std::uint32_t{0})
      .bytes(record.before)
      .bytes(record.after);
  const auto digest = crypto::sha256(writer.data());
  writer.bytes(digest);
  return std::move(writer).take();
}

Result<TailRecord> read_tail_record(std::span<const std::byte> bytes) {
  constexpr std::size_t kDigest = sizeof(crypto::Sha256Digest);
  if (bytes.size() < kHead + kDigest || bytes.size() > kMaxTailRecord) {
    return damaged(0, "its length is wrong");
  }
  if (!std::ranges::equal(bytes.first(kMagic.size()), std::as_bytes(std::span{kMagic}))) {
    return damaged(0, "it does not begin as one");
  }
  if (bytes[kMagic.size()] != kVersion) {
    return unsupported("a record of a change of another version");
  }
  const auto content = bytes.first(bytes.size() - kDigest);
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(kDigest))) {
    return damaged(content.size(), "its checksum does not match");
  }
  Reader reader{content.subspan(kMagic.size() + 1)};
  TailRecord record;
  record.inode = reader.little_endian<std::uint64_t>().value_or(0);
  record.file_size = reader.little_endian<std::uint64_t>().value_or(0);
  record.offset = reader.little_endian<std::uint64_t>().value_or(0);
  const std::size_t count = reader.little_endian<std::uint32_t>().value_or(0);
  const auto zero = reader.little_endian<std::uint32_t>();
  if (count == 0 || count > kMaxTail || zero != 0U || reader.left() != 2 * count ||
      record.offset > record.file_size || record.file_size - record.offset != count) {
    return damaged(32, "its numbers do not belong together");
  }
  // From here on no check is needed: both halves are there.
  const auto halves = content.last(2 * count);
  record.before.assign(halves.begin(), halves.begin() + static_cast<std::ptrdiff_t>(count));
  record.after.assign(halves.end() - static_cast<std::ptrdiff_t>(count), halves.end());
  return record;
}

}  // namespace sphere::image
