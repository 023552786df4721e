// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/image/merkle.h"

namespace sphere::image {
namespace {

struct Field {
  std::size_t offset;
  std::string_view name;
};

// In rising order; a field reaches to the next one.
constexpr auto kFields = std::to_array<Field>({{.offset = 0, .name = "signature"},
                                               {.offset = 8, .name = "version"},
                                               {.offset = 12, .name = "hash type"},
                                               {.offset = 16, .name = "UUID"},
                                               {.offset = 32, .name = "algorithm"},
                                               {.offset = 64, .name = "data block size"},
                                               {.offset = 68, .name = "hash block size"},
                                               {.offset = 72, .name = "number of data blocks"},
                                               {.offset = 80, .name = "salt length"},
                                               {.offset = 82, .name = "padding"},
                                               {.offset = 88, .name = "salt"},
                                               {.offset = 120, .name = "padding"}});

std::string_view field_at(std::size_t offset) {
  const auto* const next = std::ranges::upper_bound(kFields, offset, {}, &Field::offset);
  return std::prev(next)->name;
}

}  // namespace

VeritySuperblock verity_superblock(const MerkleTree& tree, const Guid& image) {
  using namespace std::string_view_literals;
  constexpr std::uint32_t kVersion = 1;
  constexpr std::uint32_t kSaltFirst = 1;
  Writer writer;
  writer.text("verity\0\0"sv)
      .little_endian(kVersion)
      .little_endian(kSaltFirst)
      .bytes(image.rfc4122())
      .text("sha256"sv)
      .zeros(26)
      .little_endian(static_cast<std::uint32_t>(kMerkleBlockSize))
      .little_endian(static_cast<std::uint32_t>(kMerkleBlockSize))
      .little_endian(tree.shape.data_blocks())
      .little_endian(static_cast<std::uint16_t>(tree.salt.size()))
      .zeros(6)
      .bytes(tree.salt)
      .zeros(kVeritySuperblockSize - 120);
  assert(writer.size() == kVeritySuperblockSize);
  VeritySuperblock superblock = {};
  std::ranges::copy(writer.data(), superblock.begin());
  return superblock;
}

Result<void> check_verity_superblock(std::span<const std::byte, kMerkleBlockSize> block,
                                     const MerkleTree& tree, const Guid& image) {
  std::array<std::byte, kMerkleBlockSize> expected = {};
  std::ranges::copy(verity_superblock(tree, image), expected.begin());
  const auto wrong = std::ranges::mismatch(block, expected).in1;
  if (wrong == block.end()) {
    return {};
  }
  const auto offset = static_cast<std::size_t>(wrong - block.begin());
  return fail(Errc::corrupt,
              fmt::format("dm-verity superblock: {} is not what the package's metadata says",
                          field_at(offset)),
              {.reason = "package.corrupt",
               .value = fmt::format("byte {} is {:#04x}, not {:#04x}", offset,
                                    std::to_integer<unsigned>(block[offset]),
                                    std::to_integer<unsigned>(std::span{expected}[offset])),
               .next = "get the package again"});
}

}  // namespace sphere::image
