// SPDX-License-Identifier: MIT
#include "libsdk/src/image/leaf_cache.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/directory_leaves.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/file_stamp.h"
#include "libsdk/src/image/section_reader.h"
#include "sphere/core/bytes.h"
#include "sphere/core/file.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/merkle.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kMagic = "SPHLEAF1";
constexpr std::size_t kChecksum = 32;
// Leaves of the largest body, and the longest paths.
constexpr std::size_t kMaxCache = std::size_t{16} * 1024 * 1024;

std::size_t pages_of(std::uint64_t size) {
  return static_cast<std::size_t>((size + kPageSize - 1) / kPageSize);
}

std::optional<FileStamp> read_stamp(Reader& reader) {
  const auto device = reader.little_endian<std::uint64_t>();
  const auto inode = reader.little_endian<std::uint64_t>();
  const auto size = reader.little_endian<std::uint64_t>();
  const auto modified = reader.little_endian<std::uint64_t>();
  const auto changed = reader.little_endian<std::uint64_t>();
  if (!device || !inode || !size || !modified || !changed || *size > kMaxFileBytes) {
    return std::nullopt;
  }
  return FileStamp{.device = *device,
                   .inode = *inode,
                   .size = *size,
                   .modified = static_cast<std::int64_t>(*modified),
                   .changed = static_cast<std::int64_t>(*changed)};
}

std::optional<FileFacts> read_facts(Reader& reader, std::uint64_t size) {
  FileFacts facts;
  const auto crc = reader.little_endian<std::uint32_t>();
  const auto digest = reader.bytes(facts.digest.size());
  const auto leaves = reader.bytes(pages_of(size) * sizeof(MerkleHash));
  if (!crc || !digest || !leaves) {
    return std::nullopt;
  }
  facts.crc = *crc;
  std::ranges::copy(*digest, facts.digest.begin());
  facts.leaves.resize(pages_of(size));
  copy_bytes(*leaves, std::as_writable_bytes(std::span{facts.leaves}));
  return facts;
}

Result<LeafCache> damaged(std::size_t offset) {
  return corrupt("leaf cache", offset, "it is damaged");
}

}  // namespace

Result<LeafCache> LeafCache::parse(Bytes bytes) {
  if (bytes.size() < kMagic.size() + kChecksum) {
    return damaged(0);
  }
  const auto content = bytes.first(bytes.size() - kChecksum);
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(kChecksum))) {
    return damaged(content.size());
  }
  Reader reader{content};
  const auto magic = reader.bytes(kMagic.size());
  MerkleSalt salt = {};
  const auto salt_bytes = reader.bytes(salt.size());
  const auto begun = reader.little_endian<std::uint64_t>();
  const auto count = reader.little_endian<std::uint32_t>();
  if (!magic || as_text(*magic) != kMagic || !salt_bytes || !begun || !count) {
    return damaged(0);
  }
  std::ranges::copy(*salt_bytes, salt.begin());
  LeafCache cache{salt, static_cast<std::int64_t>(*begun)};
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto at = content.size() - reader.left();
    const auto length = reader.little_endian<std::uint16_t>();
    const auto path = length ? reader.bytes(*length) : std::nullopt;
    const auto stamp = path ? read_stamp(reader) : std::nullopt;
    auto facts = stamp ? read_facts(reader, stamp->size) : std::nullopt;
    if (!facts) {
      return damaged(at);
    }
    cache.add(std::string{as_text(*path)}, *stamp, *std::move(facts));
  }
  return reader.left() == 0 ? Result<LeafCache>{std::move(cache)}
                            : damaged(content.size() - reader.left());
}

std::vector<std::byte> LeafCache::write() const {
  Writer writer;
  writer.text(kMagic)
      .bytes(salt_)
      .little_endian(static_cast<std::uint64_t>(begun_))
      .little_endian(static_cast<std::uint32_t>(files_.size()));
  for (const auto& [path, entry] : files_) {
    writer.little_endian(static_cast<std::uint16_t>(path.size()))
        .text(path)
        .little_endian(entry.stamp.device)
        .little_endian(entry.stamp.inode)
        .little_endian(entry.stamp.size)
        .little_endian(static_cast<std::uint64_t>(entry.stamp.modified))
        .little_endian(static_cast<std::uint64_t>(entry.stamp.changed))
        .little_endian(entry.facts.crc)
        .bytes(entry.facts.digest)
        .bytes(std::as_bytes(std::span{entry.facts.leaves}));
  }
  writer.bytes(crypto::sha256(writer.data()));
  return std::move(writer).take();
}

const FileFacts* LeafCache::find(std::string_view path, const FileStamp& stamp) const {
  const auto found = files_.find(path);
  if (found == files_.end() || found->second.stamp != stamp ||
      std::max(stamp.modified, stamp.changed) >= begun_) {
    return nullptr;
  }
  return &found->second.facts;
}

void LeafCache::add(std::string path, const FileStamp& stamp, FileFacts facts) {
  files_.insert_or_assign(std::move(path), Entry{.stamp = stamp, .facts = std::move(facts)});
}

LeafCache load_leaf_cache(const std::filesystem::path& path, const MerkleSalt& salt,
                          std::string& note) {
  LeafCache none{salt, 0};
  const auto bytes = read_file(path, kMaxCache);
  if (!bytes) {
    if (bytes.error().code() != Errc::not_found) {
      note = fmt::format("the leaf cache is ignored: {}", bytes.error().message());
    }
    return none;
  }
  auto cache = LeafCache::parse(*bytes);
  if (!cache) {
    note = fmt::format("the leaf cache {} is ignored: it is damaged", path.string());
    return none;
  }
  if (cache->salt() != salt) {
    note =
        fmt::format("the leaf cache {} is ignored: it belongs to another component", path.string());
    return none;
  }
  return *std::move(cache);
}

std::int64_t file_clock() {
  timespec now = {};
  // Without a clock every file counts as changed.
  return ::clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 ? nanoseconds(now) : 0;
}

}  // namespace sphere::image
