// SPDX-License-Identifier: MIT
#include "sphere/recovery/manifest_v4.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/reader.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery {

namespace {

constexpr std::uint16_t kVersion = 4;
constexpr std::uint16_t kHeadSize = 0x40;
constexpr std::uint16_t kEntrySize = 0xA0;
constexpr std::size_t kNameSize = 64;
constexpr std::uint32_t kRequired = 1;

template <typename Int>
Int take(Reader& reader) {
  return reader.little_endian<Int>().value_or(Int{0});
}

Guid take_guid(Reader& reader) {
  const auto bytes = reader.bytes(Guid::kSize);
  return bytes ? Guid::from_stored(bytes->first<Guid::kSize>()) : Guid{};
}

// A text padded with NUL to `size`. Nothing: something other than NUL follows the first one.
std::optional<std::string> take_text(Reader& reader, std::size_t size) {
  const auto bytes = reader.bytes(size);
  if (!bytes) {
    return std::nullopt;
  }
  const auto end = std::ranges::find(*bytes, std::byte{0});
  const bool padded =
      std::all_of(end, bytes->end(), [](std::byte byte) { return byte == std::byte{0}; });
  const auto length = static_cast<std::size_t>(end - bytes->begin());
  const void* const start = bytes->data();
  return padded ? std::optional{std::string{static_cast<const char*>(start), length}}
                : std::nullopt;
}

bool is_board_id(std::string_view id) {
  return !id.empty() && std::ranges::all_of(id, [](char c) { return c > ' ' && c < '\x7F'; });
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
  if (count == 0 || count > kManifestV4Limit) {
    return fail(Errc::too_large, fmt::format("recovery manifest with {} images, not 1 to {}", count,
                                             kManifestV4Limit));
  }
  const std::size_t wanted = kHeadSize + (std::size_t{count} * kEntrySize);
  if (body_size != wanted) {
    return fail(Errc::corrupt, fmt::format("recovery manifest of {} images has {} bytes, not {}",
                                           count, body_size, wanted));
  }
  return {};
}

// The size was checked before: no value is missing.
Result<ManifestV4::Entry> take_entry(Reader& reader, std::size_t index) {
  ManifestV4::Entry entry;
  entry.image_id = take_guid(reader);
  entry.component_id = take_guid(reader);
  entry.image_type = take<std::uint16_t>(reader);
  entry.partition_type = take<std::uint16_t>(reader);
  const auto flags = take<std::uint32_t>(reader);
  entry.required = (flags & kRequired) != 0;
  entry.file_size = take<std::uint64_t>(reader);
  entry.flash_offset = take<std::uint64_t>(reader);
  const auto reserved = take<std::uint64_t>(reader);
  if (const auto digest = reader.bytes(entry.sha256.size())) {
    std::ranges::copy(*digest, entry.sha256.begin());
  }
  auto name = take_text(reader, kNameSize);
  if (!name || !v2::is_file_name(*name)) {
    return fail(
        Errc::corrupt,
        fmt::format("image {} of the recovery manifest has a file name that none may have", index));
  }
  entry.file_name = *std::move(name);
  if (flags > kRequired || reserved != 0) {
    return fail(Errc::corrupt,
                fmt::format("{} has flags {:#x} in the recovery manifest", entry.file_name, flags));
  }
  if (entry.file_size == 0 || entry.file_size > kManifestV4FileLimit) {
    return fail(Errc::too_large,
                fmt::format("{} has {} bytes in the recovery manifest, not 1 to {}",
                            entry.file_name, entry.file_size, kManifestV4FileLimit));
  }
  return entry;
}

}  // namespace

std::uint64_t ManifestV4::total_size() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries) {
    total += entry.file_size;
  }
  return total;
}

Result<ManifestV4> parse_manifest_v4(std::span<const std::byte> body) {
  if (body.size() < kHeadSize) {
    return fail(Errc::corrupt, fmt::format("recovery manifest of {} bytes", body.size()));
  }
  Reader reader{body};
  const auto version = take<std::uint16_t>(reader);
  const auto count = take<std::uint16_t>(reader);
  const auto head = take<std::uint16_t>(reader);
  const auto entry_size = take<std::uint16_t>(reader);
  SPHERE_TRY(check_head(version, count, head, entry_size, body.size()));
  ManifestV4 manifest;
  manifest.build_date = take<std::uint64_t>(reader);
  const auto board = take_text(reader, kManifestV4BoardId);
  if (!board || !is_board_id(*board)) {
    return fail(Errc::corrupt, "the recovery manifest's board id is no name of a board");
  }
  manifest.board_id = *board;
  manifest.security_version = take<std::uint32_t>(reader);
  const auto flags = take<std::uint32_t>(reader);
  const auto sum = take<std::uint64_t>(reader);
  std::set<std::string, std::less<>> names;
  for (std::size_t i = 0; i < count; ++i) {
    SPHERE_TRY_ASSIGN(auto entry, take_entry(reader, i));
    if (!names.insert(entry.file_name).second || entry.file_name == "sphere.recoverymanifest") {
      return fail(Errc::corrupt,
                  fmt::format("the recovery manifest names {} twice", entry.file_name));
    }
    manifest.entries.push_back(std::move(entry));
  }
  if (flags != 0 || sum != manifest.total_size()) {
    return fail(Errc::corrupt,
                fmt::format("the recovery manifest says {} bytes in all, its images have {}", sum,
                            manifest.total_size()));
  }
  return manifest;
}

std::vector<std::byte> write_manifest_v4(const ManifestV4& manifest) {
  const auto put_text = [](Writer& writer, std::string_view text, std::size_t size) {
    writer.text(text).zeros(size - text.size());
  };
  Writer writer;
  writer.little_endian(kVersion)
      .little_endian(static_cast<std::uint16_t>(manifest.entries.size()))
      .little_endian(kHeadSize)
      .little_endian(kEntrySize)
      .little_endian(manifest.build_date);
  put_text(writer, manifest.board_id, kManifestV4BoardId);
  writer.little_endian(manifest.security_version)
      .little_endian(std::uint32_t{0})
      .little_endian(manifest.total_size());
  for (const ManifestV4::Entry& entry : manifest.entries) {
    writer.bytes(entry.image_id.stored())
        .bytes(entry.component_id.stored())
        .little_endian(entry.image_type)
        .little_endian(entry.partition_type)
        .little_endian(entry.required ? kRequired : 0U)
        .little_endian(entry.file_size)
        .little_endian(entry.flash_offset)
        .little_endian(std::uint64_t{0})
        .bytes(entry.sha256);
    put_text(writer, entry.file_name, kNameSize);
  }
  return std::move(writer).take();
}

}  // namespace sphere::recovery
