// SPDX-License-Identifier: MIT
#include "sphere/recovery/manifest_v3.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/guid.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"

namespace sphere::recovery {

namespace {

constexpr std::uint16_t kVersion = 3;
constexpr std::uint16_t kHeadSize = 0x10;
constexpr std::uint16_t kEntrySize = 0x4C;

template <typename Int>
Int take(Reader& reader) {
  return reader.little_endian<Int>().value_or(Int{0});
}

Guid take_guid(Reader& reader) {
  const auto bytes = reader.bytes(Guid::kSize);
  return bytes ? Guid::from_stored(bytes->first<Guid::kSize>()) : Guid{};
}

// The size was checked before: no value is missing.
ManifestV3::Entry take_entry(Reader& reader) {
  ManifestV3::Entry entry;
  entry.image_id = take_guid(reader);
  entry.component_id = take_guid(reader);
  entry.image_type = take<std::uint16_t>(reader);
  entry.partition_type = take<std::uint16_t>(reader);
  entry.file_size = take<std::uint32_t>(reader);
  entry.uncompressed_size = take<std::uint32_t>(reader);
  for (auto* const list : {&entry.provides, &entry.depends}) {
    for (ManifestV3::Dependency& dependency : *list) {
      dependency.version = take<std::uint32_t>(reader);
      dependency.identity_type = take<std::uint32_t>(reader);
    }
  }
  return entry;
}

Result<void> check_head(std::uint16_t version, std::uint16_t count, std::uint16_t head,
                        std::uint16_t entry_size, std::size_t body_size) {
  if (version != kVersion) {
    return fail(Errc::unsupported, fmt::format("recovery manifest of version {}", version));
  }
  if (head != kHeadSize || entry_size != kEntrySize) {
    return fail(Errc::corrupt,
                fmt::format("recovery manifest with a head of {} and entries of {} bytes, not {} "
                            "and {}",
                            head, entry_size, kHeadSize, kEntrySize));
  }
  if (count == 0 || count > kManifestV3Limit) {
    return fail(Errc::too_large, fmt::format("recovery manifest with {} images, not 1 to {}", count,
                                             kManifestV3Limit));
  }
  const std::size_t wanted = kHeadSize + std::size_t{count} * kEntrySize;
  if (body_size != wanted) {
    return fail(Errc::corrupt, fmt::format("recovery manifest of {} images has {} bytes, not {}",
                                           count, body_size, wanted));
  }
  return {};
}

}  // namespace

std::string ManifestV3::Entry::file_name() const {
  std::string name = image_id.text();
  std::erase(name, '-');
  return name + ".bin";
}

std::uint64_t ManifestV3::total_size() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries) {
    total += entry.file_size;
  }
  return total;
}

Result<ManifestV3> parse_manifest_v3(std::span<const std::byte> body) {
  if (body.size() < kHeadSize) {
    return fail(Errc::corrupt, fmt::format("recovery manifest of {} bytes", body.size()));
  }
  Reader reader{body};
  const auto version = take<std::uint16_t>(reader);
  const auto count = take<std::uint16_t>(reader);
  const auto head = take<std::uint16_t>(reader);
  const auto entry_size = take<std::uint16_t>(reader);
  SPHERE_TRY(check_head(version, count, head, entry_size, body.size()));
  ManifestV3 manifest;
  manifest.build_date = take<std::uint64_t>(reader);
  std::set<Guid> ids;
  for (std::uint16_t i = 0; i < count; ++i) {
    const ManifestV3::Entry entry = take_entry(reader);
    if (entry.file_size == 0 || entry.file_size > kImageFileLimit) {
      return fail(Errc::too_large,
                  fmt::format("image {} of the recovery manifest has {} bytes, not "
                              "1 to {}",
                              entry.image_id.text(), entry.file_size, kImageFileLimit));
    }
    if (!ids.insert(entry.image_id).second) {
      return fail(Errc::corrupt,
                  fmt::format("recovery manifest names image {} twice", entry.image_id.text()));
    }
    manifest.entries.push_back(entry);
  }
  return manifest;
}

std::vector<std::byte> write_manifest_v3(const ManifestV3& manifest) {
  Writer writer;
  writer.little_endian(kVersion)
      .little_endian(static_cast<std::uint16_t>(manifest.entries.size()))
      .little_endian(kHeadSize)
      .little_endian(kEntrySize)
      .little_endian(manifest.build_date);
  for (const ManifestV3::Entry& entry : manifest.entries) {
    writer.bytes(entry.image_id.stored())
        .bytes(entry.component_id.stored())
        .little_endian(entry.image_type)
        .little_endian(entry.partition_type)
        .little_endian(entry.file_size)
        .little_endian(entry.uncompressed_size);
    for (const auto* const list : {&entry.provides, &entry.depends}) {
      for (const ManifestV3::Dependency& dependency : *list) {
        writer.little_endian(dependency.version).little_endian(dependency.identity_type);
      }
    }
  }
  return std::move(writer).take();
}

}  // namespace sphere::recovery
