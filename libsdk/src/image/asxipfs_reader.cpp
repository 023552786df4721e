// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/asxipfs_check.h"
#include "libsdk/src/image/asxipfs_layout.h"
#include "libsdk/src/image/failure.h"
#include "sphere/core/bytes.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kSuperblock = "superblock";

std::string_view as_text(Bytes bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Superblock {
  std::uint32_t size = 0;
  std::uint32_t crc = 0;
  std::uint32_t inode_count = 0;
};

struct Field {
  std::string_view name;
  std::size_t offset;
  std::uint32_t value;
};

std::uint32_t word_at(Bytes body, std::size_t offset) {
  return Reader{body.subspan(offset)}.little_endian<std::uint32_t>().value_or(0);
}

Result<void> check_fixed_fields(Bytes page) {
  constexpr std::array<Field, 4> kFixed = {
      {{.name = "magic", .offset = 0, .value = kFsMagic},
       {.name = "reserved field", .offset = 12, .value = 0},
       {.name = "edition", .offset = 36, .value = 0},
       {.name = "number of blocks", .offset = 40, .value = 0}}};
  for (const auto& field : kFixed) {
    if (const auto value = word_at(page, field.offset); value != field.value) {
      return corrupt(kSuperblock, field.offset, fmt::format("wrong {}", field.name),
                     fmt::format("{:#010x}", value));
    }
  }
  if (as_text(page.subspan(16, kFsSignature.size())) != kFsSignature) {
    return corrupt(kSuperblock, 16, "the signature text is wrong");
  }
  if (const auto flags = word_at(page, 8); flags != kFsFlags) {
    return unsupported(fmt::format("file system with flags {:#x}; only 3 is supported", flags),
                       fmt::format("{:#x}", flags));
  }
  return {};
}

// `page` is the first of a body of `body_size` bytes.
Result<Superblock> read_superblock(Bytes page, std::uint64_t body_size) {
  SPHERE_TRY(check_fixed_fields(page));
  const Superblock block{
      .size = word_at(page, 4), .crc = word_at(page, kCrcOffset), .inode_count = word_at(page, 44)};
  if (block.size != body_size) {
    return corrupt(kSuperblock, 4,
                   fmt::format("size {} is not the body's {}", block.size, body_size),
                   std::to_string(block.size));
  }
  if (block.inode_count == 0 || block.inode_count > kMaxInodes) {
    return too_large(fmt::format("the file system has {} inodes; 1 to {} are allowed",
                                 block.inode_count, kMaxInodes),
                     std::to_string(block.inode_count));
  }
  return block;
}

// The front of a body, as many pages of it as the directories turn out to need.
class DirectoryArea {
 public:
  explicit DirectoryArea(const BlockSource& body) : body_{&body} {}

  // Reads on until the first `end` bytes are there; at most kMaxDirectoryBytes.
  Result<void> extend(std::size_t end) {
    const auto have = bytes_.size();
    const auto want = round_up(end, kPageSize);
    if (want <= have) {
      return {};
    }
    bytes_.resize(want);
    const auto fresh = std::span{bytes_}.subspan(have);
    SPHERE_TRY_ASSIGN(const auto read, body_->read(have, fresh));
    if (read.data() != fresh.data()) {
      copy_bytes(read, fresh);
    }
    return {};
  }

  [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
  std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  const BlockSource* body_;
  std::vector<std::byte> bytes_;
};

struct Inode {
  std::uint16_t mode = 0;
  std::size_t size = 0;
  std::size_t offset = 0;
  std::size_t name_size = 0;  // With its padding.
};

// `bytes` has kInodeSize bytes.
Result<Inode> read_inode(Bytes bytes, std::size_t at) {
  Reader reader{bytes};
  Inode inode;
  inode.mode = reader.little_endian<std::uint16_t>().value_or(0);
  const auto uid = reader.little_endian<std::uint16_t>().value_or(0);
  const auto size_and_gid = reader.little_endian<std::uint32_t>().value_or(0);
  const auto name_and_offset = reader.little_endian<std::uint32_t>().value_or(0);
  inode.size = size_and_gid & 0xFFFFFFU;
  inode.name_size = std::size_t{name_and_offset & 0x3FU} * 4;
  inode.offset = std::size_t{name_and_offset >> 6U} * 4;
  if (inode.mode != kDirectoryMode && inode.mode != kFileMode && inode.mode != kExecutableMode) {
    return corrupt("inode", at,
                   "only directories and files with the modes of the format are allowed",
                   fmt::format("mode {:07o}", inode.mode));
  }
  if (uid != 0 || size_and_gid >> 24U != 0) {
    return corrupt("inode", at, "owner and group must be 0",
                   fmt::format("{}:{}", uid, size_and_gid >> 24U));
  }
  return inode;
}

// A part of the body that something owns.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;  // Of a file, that of its last page.
  bool is_file = false;
};

struct PendingDirectory {
  std::string path;
  std::size_t at = 0;  // Next entry.
  std::size_t end = 0;
  std::string previous;  // Name of the entry before.
};

class TreeReader {
 public:
  TreeReader(DirectoryArea& area, std::uint64_t body_size) : area_{&area}, body_size_{body_size} {
    ranges_.push_back({.begin = 0, .end = kSuperblockSize, .is_file = false});
  }

  Result<void> read(std::uint32_t inode_count) {
    SPHERE_TRY(enter_root());
    SPHERE_TRY(walk());
    if (inodes_ != inode_count) {
      return corrupt(kSuperblock, 44,
                     fmt::format("it counts {} inodes; there are {}", inode_count, inodes_),
                     std::to_string(inode_count));
    }
    return check_ranges();
  }

  FileSystem take() && { return std::move(result_); }

 private:
  Result<void> enter_root() {
    SPHERE_TRY_ASSIGN(const auto root,
                      read_inode(area_->bytes().subspan(kRootInode, kInodeSize), kRootInode));
    if (root.mode != kDirectoryMode || root.name_size != 0 ||
        root.offset != (root.size == 0 ? 0 : kSuperblockSize)) {
      return corrupt("root inode", kRootInode, "it is not the root of a file system");
    }
    return enter(root, kRootInode, {});
  }

  // Depth first, without recursion: the depth is the file's to choose.
  Result<void> walk() {
    while (!open_.empty()) {
      if (open_.back().at == open_.back().end) {
        open_.pop_back();
      } else {
        SPHERE_TRY(read_entry());
      }
    }
    return {};
  }

  Result<void> enter(const Inode& inode, std::size_t at, std::string path) {
    if (open_.size() > kMaxDepth) {
      return too_large(
          fmt::format("directory {} is more than {} deep", escape_control(path), kMaxDepth));
    }
    if (inode.size == 0 && inode.offset == 0) {
      return {};
    }
    if (inode.size == 0 || inode.size % 4 != 0 || inode.offset < kSuperblockSize ||
        inode.offset > body_size_ || inode.size > body_size_ - inode.offset ||
        inode.offset + inode.size > kMaxDirectoryBytes) {
      return corrupt("directory inode", at, "its entries do not lie in the directory area",
                     fmt::format("{} bytes at {}", inode.size, inode.offset));
    }
    const auto end = inode.offset + inode.size;
    if (std::ranges::any_of(ranges_, [&](const Range& other) {
          return inode.offset < other.end && other.begin < end;
        })) {
      return corrupt("directory inode", at, "its entries are used twice",
                     fmt::format("{} bytes at {}", inode.size, inode.offset));
    }
    SPHERE_TRY(area_->extend(end));
    ranges_.push_back({.begin = inode.offset, .end = end, .is_file = false});
    directory_end_ = std::max(directory_end_, end);
    open_.push_back({.path = std::move(path), .at = inode.offset, .end = end, .previous = {}});
    return {};
  }

  Result<void> read_entry() {
    auto& directory = open_.back();
    const auto at = directory.at;
    Reader reader{area_->bytes().subspan(at, directory.end - at)};
    const auto head = reader.bytes(kInodeSize);
    if (!head) {
      return corrupt("directory entry", at, "it goes beyond its directory");
    }
    SPHERE_TRY_ASSIGN(const auto inode, read_inode(*head, at));
    const auto padded = reader.bytes(inode.name_size);
    if (!padded) {
      return corrupt("directory entry", at, "its name goes beyond its directory");
    }
    SPHERE_TRY_ASSIGN(const auto name, read_name(*padded, at + kInodeSize, directory.previous));
    directory.at += kInodeSize + inode.name_size;
    directory.previous = name;
    auto path =
        directory.path.empty() ? std::string{name} : directory.path + "/" + std::string{name};
    if (path.size() > kMaxPathBytes) {
      return too_large(
          fmt::format("a path has {} bytes; at most {} are allowed", path.size(), kMaxPathBytes));
    }
    if (++inodes_ > kMaxInodes) {
      return too_large(fmt::format("the file system has more than {} inodes", kMaxInodes));
    }
    if (inode.mode != kDirectoryMode) {
      return add_file(inode, at, std::move(path));
    }
    result_.directories.push_back({path});
    return enter(inode, at, std::move(path));
  }

  static Result<std::string_view> read_name(Bytes padded, std::size_t at,
                                            std::string_view previous) {
    auto name = as_text(padded);
    const auto end = std::min(name.find('\0'), name.size());
    if (name.find_first_not_of('\0', end) != std::string_view::npos || name.size() - end > 3) {
      return corrupt("name", at, "its padding is wrong");
    }
    name = name.substr(0, end);
    if (!is_valid_name(name)) {
      return corrupt("name", at, "it cannot be the name of a file", escape_control(name));
    }
    if (name <= previous) {
      return corrupt("name", at, "names are not in ascending order", escape_control(name));
    }
    return name;
  }

  Result<void> add_file(const Inode& inode, std::size_t at, std::string path) {
    FileEntry file{.path = std::move(path),
                   .executable = inode.mode == kExecutableMode,
                   .offset = inode.offset,
                   .size = inode.size};
    if (inode.size == 0) {
      if (inode.offset != 0) {
        return corrupt("file inode", at, "an empty file has no data",
                       fmt::format("offset {}", inode.offset));
      }
      result_.files.push_back(std::move(file));
      return {};
    }
    if (inode.offset % kPageSize != 0 || inode.offset == 0 || inode.offset > body_size_ ||
        inode.size > body_size_ - inode.offset) {
      return corrupt("file inode", at, "its data does not lie on pages of the body",
                     fmt::format("{} bytes at {}", inode.size, inode.offset));
    }
    // The body is whole pages, so the padding lies in it, too.
    ranges_.push_back({.begin = inode.offset,
                       .end = round_up(inode.offset + inode.size, kPageSize),
                       .is_file = true});
    result_.files.push_back(std::move(file));
    return {};
  }

  // No two ranges overlap, and files lie behind the directories.
  Result<void> check_ranges() {
    std::ranges::sort(ranges_, {}, &Range::begin);
    const auto first_page = round_up(directory_end_, kPageSize);
    std::size_t at = 0;
    for (const auto& range : ranges_) {
      if (range.begin < at || (range.is_file && range.begin < first_page)) {
        return corrupt("body", range.begin, "data of a file lies in something else");
      }
      at = range.end;
    }
    // Up to `first_page` no file has anything: the area is read to its end.
    SPHERE_TRY(area_->extend(first_page));
    return check_zeros();
  }

  // What no directory owns of the area is zero. The ranges are sorted and do not overlap.
  [[nodiscard]] Result<void> check_zeros() const {
    const auto area = area_->bytes();
    std::size_t at = 0;
    for (const auto& range : ranges_) {
      const auto begin = std::min(range.begin, area.size());
      SPHERE_TRY(require_zero(area.subspan(at, begin - at), at, kUnowned));
      at = std::min(range.end, area.size());
    }
    return require_zero(area.subspan(at), at, kUnowned);
  }

  DirectoryArea* area_;
  std::uint64_t body_size_;
  FileSystem result_;
  std::vector<PendingDirectory> open_;  // From the root to the one being read.
  std::vector<Range> ranges_;
  std::size_t directory_end_ = kSuperblockSize;
  std::uint32_t inodes_ = 1;
};

}  // namespace

const FileEntry* FileSystem::find(std::string_view path) const {
  if (path.starts_with('/')) {
    path.remove_prefix(1);
  }
  const auto found = std::ranges::find(files, path, &FileEntry::path);
  return found == files.end() ? nullptr : &*found;
}

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos &&
         escape_control(name) == name;
}

Result<FileSystem> open_asxipfs(std::shared_ptr<const BlockSource> body, std::uint64_t size) {
  if (size < kPageSize || size % kPageSize != 0) {
    return corrupt("body", 0, "its length is not a multiple of 4096", std::to_string(size));
  }
  if (size > kMaxBodyBytes) {
    return too_large(
        fmt::format("the body has {} bytes; at most {} are allowed", size, kMaxBodyBytes),
        std::to_string(size));
  }
  DirectoryArea area{*body};
  SPHERE_TRY(area.extend(kPageSize));
  SPHERE_TRY_ASSIGN(const auto superblock, read_superblock(area.bytes(), size));
  TreeReader reader{area, size};
  SPHERE_TRY(reader.read(superblock.inode_count));
  // From here on no check is needed to use names and ranges; the bytes of files are not known yet.
  auto result = std::move(reader).take();
  result.body = std::move(body);
  result.body_size = size;
  result.directory_area = std::make_shared<const std::vector<std::byte>>(std::move(area).take());
  result.inode_count = superblock.inode_count;
  result.crc = superblock.crc;
  return result;
}

Result<FileSystem> read_asxipfs(Bytes body) {
  SPHERE_TRY_ASSIGN(auto files, open_asxipfs(std::make_shared<MemoryBlocks>(body), body.size()));
  SPHERE_TRY(check_asxipfs(files));
  return files;
}

}  // namespace sphere::image
