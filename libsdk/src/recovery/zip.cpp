// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/zip.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>
#include <zlib.h>

#include <fmt/format.h>

#include "sphere/core/reader.h"
#include "sphere/core/text.h"
#include "sphere/recovery/crc.h"

namespace sphere::recovery {

namespace {

constexpr std::uint32_t kEndMagic = 0x06054B50;
constexpr std::uint32_t kEntryMagic = 0x02014B50;
constexpr std::uint32_t kHeaderMagic = 0x04034B50;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kHeaderSize = 30;
constexpr std::size_t kCommentLimit = 65535;
constexpr std::uint32_t kDirectoryLimit = 1024 * 1024;
constexpr std::uint32_t kZip64 = 0xFFFFFFFF;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;
constexpr std::size_t kPiece = 64 * 1024;
constexpr std::uint32_t kLinkMode = 0120000;  // S_IFLNK, in the upper half of the attributes.
constexpr std::uint32_t kTypeMask = 0170000;

auto corrupt(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("zip archive: {}", what),
              {.reason = "recovery.image-refused", .next = "get the recovery set anew"});
}

struct End {
  std::uint16_t entries = 0;
  std::uint32_t size = 0;
  std::uint32_t offset = 0;
};

// The end record, which stands in front of a comment that may be long.
std::optional<End> find_end(std::span<const std::byte> tail) {
  for (std::size_t at = tail.size() - kEndSize + 1; at-- > 0;) {
    Reader reader{tail.subspan(at)};
    if (reader.little_endian<std::uint32_t>() != kEndMagic) {
      continue;
    }
    constexpr std::size_t kDisks = 6;
    const auto disks = reader.bytes(kDisks);
    const auto entries = reader.little_endian<std::uint16_t>();
    const auto size = reader.little_endian<std::uint32_t>();
    const auto offset = reader.little_endian<std::uint32_t>();
    const auto comment = reader.little_endian<std::uint16_t>();
    if (disks && entries && size && offset && comment && reader.left() == *comment) {
      return End{.entries = *entries, .size = *size, .offset = *offset};
    }
  }
  return std::nullopt;
}

// The entry at the front of the directory.
std::optional<ZipEntry> take_entry(Reader& reader) {
  constexpr std::size_t kVersions = 4;
  constexpr std::size_t kTimes = 4;
  constexpr std::size_t kDiskAndInternal = 4;
  if (reader.little_endian<std::uint32_t>() != kEntryMagic || !reader.bytes(kVersions)) {
    return std::nullopt;
  }
  ZipEntry entry;
  entry.flags = reader.little_endian<std::uint16_t>().value_or(0);
  entry.method = reader.little_endian<std::uint16_t>().value_or(0);
  std::ignore = reader.bytes(kTimes);
  entry.crc = reader.little_endian<std::uint32_t>().value_or(0);
  entry.packed_size = reader.little_endian<std::uint32_t>().value_or(0);
  entry.size = reader.little_endian<std::uint32_t>().value_or(0);
  const auto name = reader.little_endian<std::uint16_t>();
  const auto extra = reader.little_endian<std::uint16_t>();
  const auto comment = reader.little_endian<std::uint16_t>();
  std::ignore = reader.bytes(kDiskAndInternal);
  const auto attributes = reader.little_endian<std::uint32_t>();
  const auto header = reader.little_endian<std::uint32_t>();
  const auto text = header ? reader.bytes(*name) : std::nullopt;
  if (!text || !reader.bytes(std::size_t{*extra} + *comment)) {
    return std::nullopt;
  }
  entry.header = *header;
  entry.is_link = ((*attributes >> 16) & kTypeMask) == kLinkMode;
  entry.name.assign(reinterpret_cast<const char*>(text->data()), text->size());
  return entry;
}

// Where the content of an entry begins. Its local head says the same as the directory, or the
// archive means different things to different readers.
Result<std::uint64_t> content_offset(const ReadAt& read, std::uint64_t size,
                                     const ZipEntry& entry) {
  std::array<std::byte, kHeaderSize> head = {};
  if (std::uint64_t{entry.header} + kHeaderSize > size) {
    return corrupt("an entry lies outside");
  }
  SPHERE_TRY(read(entry.header, head));
  Reader reader{head};
  constexpr std::size_t kToNames = 22;
  const bool is_head = reader.little_endian<std::uint32_t>() == kHeaderMagic;
  std::ignore = reader.bytes(kToNames);
  const auto name = reader.little_endian<std::uint16_t>().value_or(0);
  const auto extra = reader.little_endian<std::uint16_t>().value_or(0);
  const std::uint64_t begin = std::uint64_t{entry.header} + kHeaderSize + name + extra;
  if (!is_head || name != entry.name.size() || begin + entry.packed_size > size) {
    return corrupt(fmt::format("the head of {} is wrong", escape_control(entry.name)));
  }
  std::vector<std::byte> text(name);
  SPHERE_TRY(read(entry.header + kHeaderSize, text));
  if (!std::ranges::equal(text, std::as_bytes(std::span{entry.name}))) {
    return corrupt(fmt::format("{} has two names", escape_control(entry.name)));
  }
  return begin;
}

struct EndInflate {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

// Passes on what is inflated, checks size and sum.
class Checker {
 public:
  Checker(const ZipEntry& entry, const UseBytes& use) : entry_{&entry}, use_{&use} {}

  [[nodiscard]] Result<void> take(std::span<const std::byte> bytes) {
    if (bytes.size() > entry_->size - done_) {
      return corrupt(fmt::format("{} is longer than it says", escape_control(entry_->name)));
    }
    done_ += bytes.size();
    crc_ = crc32(bytes, crc_);
    return (*use_)(bytes);
  }
  [[nodiscard]] Result<void> finish() const {
    if (done_ != entry_->size || crc_ != entry_->crc) {
      return corrupt(
          fmt::format("{} does not have its size or check sum", escape_control(entry_->name)));
    }
    return {};
  }

 private:
  const ZipEntry* entry_;
  const UseBytes* use_;
  std::uint64_t done_ = 0;
  std::uint32_t crc_ = 0;
};

// Inflates one piece of input. True: the stream has ended.
Result<bool> inflate_piece(z_stream& stream, std::span<std::byte> input, Checker& checker,
                           const ZipEntry& entry) {
  std::vector<std::byte> output(kPiece);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  do {
    stream.next_out = reinterpret_cast<Bytef*>(output.data());
    stream.avail_out = static_cast<uInt>(output.size());
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return corrupt(fmt::format("{} cannot be inflated", escape_control(entry.name)));
    }
    SPHERE_TRY(checker.take(std::span{output}.first(output.size() - stream.avail_out)));
    if (result == Z_STREAM_END) {
      return true;
    }
  } while (stream.avail_in > 0 || stream.avail_out == 0);
  return false;
}

}  // namespace

Result<std::vector<ZipEntry>> read_zip_directory(const ReadAt& read, std::uint64_t size,
                                                 std::size_t limit) {
  if (size < kEndSize) {
    return corrupt("it is too short");
  }
  const std::uint64_t tail_size = std::min<std::uint64_t>(size, kEndSize + kCommentLimit);
  std::vector<std::byte> tail(static_cast<std::size_t>(tail_size));
  SPHERE_TRY(read(size - tail_size, tail));
  const auto end = find_end(tail);
  if (!end || std::uint64_t{end->offset} + end->size > size) {
    return corrupt("its directory is not found");
  }
  if (end->entries > limit || end->size > kDirectoryLimit) {
    return fail(Errc::too_large, fmt::format("zip archive with more than {} entries", limit),
                {.reason = "recovery.image-refused"});
  }
  std::vector<std::byte> directory(end->size);
  SPHERE_TRY(read(end->offset, directory));
  Reader reader{directory};
  std::vector<ZipEntry> entries;
  for (std::uint16_t i = 0; i < end->entries; ++i) {
    auto entry = take_entry(reader);
    if (!entry) {
      return corrupt("its directory is damaged");
    }
    if ((entry->flags & kEncrypted) != 0 || entry->size == kZip64 || entry->packed_size == kZip64 ||
        (entry->method != kStored && entry->method != kDeflated)) {
      return fail(Errc::unsupported,
                  fmt::format("zip archive: {} is encrypted, of Zip64, or packed by method {}",
                              escape_control(entry->name), entry->method),
                  {.reason = "recovery.image-refused", .next = "pack the set anew with zip"});
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

Result<void> extract_zip_entry(const ReadAt& read, std::uint64_t size, const ZipEntry& entry,
                               const UseBytes& use) {
  SPHERE_TRY_ASSIGN(std::uint64_t offset, content_offset(read, size, entry));
  Checker checker{entry, use};
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return fail(Errc::io, "zlib does not start");
  }
  const std::unique_ptr<z_stream, EndInflate> ended{&stream};
  std::vector<std::byte> input(kPiece);
  bool done = false;
  for (std::uint64_t left = entry.packed_size; left > 0 && !done;) {
    const auto piece =
        std::span{input}.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece)));
    SPHERE_TRY(read(offset, piece));
    offset += piece.size();
    left -= piece.size();
    if (entry.method == kStored) {
      SPHERE_TRY(checker.take(piece));
    } else {
      SPHERE_TRY_ASSIGN(done, inflate_piece(stream, piece, checker, entry));
    }
  }
  return checker.finish();
}

}  // namespace sphere::recovery
