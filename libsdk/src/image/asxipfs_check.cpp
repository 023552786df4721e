// SPDX-License-Identifier: MIT
#include "libsdk/src/image/asxipfs_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/asxipfs_layout.h"
#include "libsdk/src/image/crc32.h"
#include "libsdk/src/image/failure.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

bool is_zero(Bytes bytes) {
  static constexpr std::array<std::byte, kPageSize> kZeros = {};
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kZeros.size()));
    if (std::memcmp(part.data(), kZeros.data(), part.size()) != 0) {
      return false;
    }
    bytes = bytes.subspan(part.size());
  }
  return true;
}

std::vector<const FileEntry*> by_offset(const FileSystem& files) {
  std::vector<const FileEntry*> sorted;
  for (const auto& file : files.files) {
    if (file.size != 0) {
      sorted.push_back(&file);
    }
  }
  std::ranges::sort(sorted, {}, &FileEntry::offset);
  return sorted;
}

// The CRC of the directory area, whose own CRC field counts as zero.
Crc32 area_crc(Bytes area) {
  constexpr std::array<std::byte, 4> kNoCrc = {};
  Crc32 crc;
  crc.update(area.first(kCrcOffset)).update(kNoCrc).update(area.subspan(kCrcOffset + 4));
  return crc;
}

Result<void> compare_crc(std::uint32_t expected, std::uint32_t seen) {
  if (seen == expected) {
    return {};
  }
  return corrupt("superblock", kCrcOffset,
                 fmt::format("CRC {:08x} is not that of the body, {:08x}", expected, seen),
                 fmt::format("{:08x}", expected));
}

}  // namespace

Result<void> require_zero(Bytes bytes, std::uint64_t offset, std::string_view what) {
  if (is_zero(bytes)) {
    return {};
  }
  std::size_t first = 0;
  while (bytes[first] == std::byte{0}) {
    ++first;
  }
  return corrupt("body", static_cast<std::size_t>(offset) + first, what,
                 fmt::format("{:#04x}", std::to_integer<unsigned>(bytes[first])));
}

AsxipfsGaps::AsxipfsGaps(const FileSystem& files) {
  // Files lie behind the directory area, do not overlap, and begin on pages: between two of them
  // there is the padding of the first, then pages of nobody.
  std::uint64_t end = files.directory_area->size();
  const auto add = [this](std::uint64_t begin, std::uint64_t gap_end, bool is_padding) {
    if (begin < gap_end) {
      gaps_.push_back({.begin = begin, .end = gap_end, .is_padding = is_padding});
    }
  };
  for (const auto* file : by_offset(files)) {
    add(end, file->offset, false);
    const auto data_end = file->offset + file->size;
    end = round_up(static_cast<std::size_t>(data_end), kPageSize);
    add(data_end, end, true);
  }
  add(end, files.body_size, false);
}

Result<void> AsxipfsGaps::check(Bytes bytes, std::uint64_t offset) const {
  const auto end = offset + bytes.size();
  auto gap = std::ranges::upper_bound(gaps_, offset, {}, &Gap::end);
  for (; gap != gaps_.end() && gap->begin < end; ++gap) {
    const auto from = std::max(gap->begin, offset);
    const auto to = std::min(gap->end, end);
    SPHERE_TRY(require_zero(
        bytes.subspan(static_cast<std::size_t>(from - offset), static_cast<std::size_t>(to - from)),
        from, gap->is_padding ? "the padding of a file is not zero" : kUnowned));
  }
  return {};
}

AsxipfsCheck::AsxipfsCheck(const FileSystem& files)
    : gaps_{files},
      at_{files.directory_area->size()},
      crc_{area_crc(*files.directory_area)},
      expected_crc_{files.crc} {}

Result<void> AsxipfsCheck::update(Bytes bytes) {
  crc_.update(bytes);
  SPHERE_TRY(gaps_.check(bytes, at_));
  at_ += bytes.size();
  return {};
}

Result<void> AsxipfsCheck::finish() const { return compare_crc(expected_crc_, crc_.value()); }

AsxipfsRunCheck::AsxipfsRunCheck(const FileSystem& files, std::size_t run_size)
    : gaps_{files},
      run_size_{run_size},
      body_size_{files.body_size},
      area_size_{files.directory_area->size()},
      crc_{area_crc(*files.directory_area)},
      expected_crc_{files.crc},
      parts_((body_size_ + run_size - 1) / run_size) {}

Result<void> AsxipfsRunCheck::take(std::uint64_t offset, Bytes run) {
  const auto known = std::min<std::uint64_t>(area_size_ - std::min(area_size_, offset), run.size());
  const auto rest = run.subspan(static_cast<std::size_t>(known));
  parts_[static_cast<std::size_t>(offset / run_size_)] = Crc32{}.update(rest).value();
  return gaps_.check(rest, offset + known);
}

Result<void> AsxipfsRunCheck::finish() const {
  auto crc = crc_;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto begin = std::max<std::uint64_t>(std::uint64_t{i} * run_size_, area_size_);
    const auto end = std::min<std::uint64_t>((std::uint64_t{i} + 1) * run_size_, body_size_);
    if (begin < end) {
      crc.append(parts_[i], end - begin);
    }
  }
  return compare_crc(expected_crc_, crc.value());
}

Result<void> check_asxipfs(const FileSystem& files) {
  AsxipfsCheck check{files};
  SPHERE_TRY(stream_bytes(*files.body, files.directory_area->size(), files.body_size,
                          [&check](Bytes bytes) { return check.update(bytes); }));
  return check.finish();
}

Result<FileContent> read_file_content(const FileSystem& files, const FileEntry& file) {
  if (const auto memory = files.body->in_memory(); !memory.empty() || file.size == 0) {
    return FileContent{memory.subspan(file.size == 0 ? 0 : file.offset, file.size)};
  }
  std::vector<std::byte> copy(file.size);
  SPHERE_TRY(files.body->read(file.offset, copy));
  return FileContent{std::move(copy)};
}

Result<void> stream_file_content(const FileSystem& files, const FileEntry& file,
                                 const UseBytes& use) {
  return stream_bytes(*files.body, file.offset, file.offset + file.size, use);
}

}  // namespace sphere::image
