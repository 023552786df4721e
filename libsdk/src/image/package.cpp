// SPDX-License-Identifier: MIT
#include "sphere/image/package.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/asxipfs_check.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/manifest_check.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package_v2.h"
#include "sphere/json/value.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kManifest = "app_manifest.json";
constexpr std::size_t kMaxManifest = 65'536;
constexpr std::size_t kFirstRead = 4096;  // More than the tail of a package v1 in use.

Result<void> check_size(std::uint64_t size, std::uint64_t limit) {
  if (size <= limit) {
    return {};
  }
  return fail(Errc::too_large,
              fmt::format("the package has {} bytes; at most {} are allowed", with_thousands(size),
                          with_thousands(limit)),
              {.reason = "package.too-large",
               .value = with_thousands(size),
               .next = "name an image package; none is that large"});
}

// The bytes of `source` from `begin` to `end`.
Result<std::vector<std::byte>> read_range(const BlockSource& source, std::uint64_t begin,
                                          std::uint64_t end) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(end - begin));
  SPHERE_TRY_ASSIGN(const auto read, source.read(begin, bytes));
  if (read.data() != bytes.data()) {
    copy_bytes(read, bytes);
  }
  return bytes;
}

// Metadata block and signature. Only the length word tells how long they are.
Result<std::vector<std::byte>> read_tail(const BlockSource& source, std::uint64_t size) {
  const auto first = std::min<std::uint64_t>(size, kFirstRead);
  SPHERE_TRY_ASSIGN(auto end, read_range(source, size - first, size));
  SPHERE_TRY_ASSIGN(const auto length, tail_size(end, size));
  if (length > end.size()) {
    SPHERE_TRY_ASSIGN(auto front, read_range(source, size - length, size - first));
    end.insert(end.begin(), front.begin(), front.end());
    return end;
  }
  end.erase(end.begin(), end.end() - static_cast<std::ptrdiff_t>(length));
  return end;
}

std::string_view as_text(Bytes bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// An entry point that is given must be there. Everything else about the manifest, such as that it
// is JSON, is for the module manifest to judge.
Result<void> check_entry_point(const FileSystem& files, std::string_view manifest) {
  const auto value = json::parse(manifest);
  const auto entry_point = value ? value->string_at("EntryPoint") : std::nullopt;
  if (!entry_point) {
    return {};
  }
  const auto* file = files.find(*entry_point);
  if (file != nullptr && file->executable) {
    return {};
  }
  return fail(
      Errc::corrupt,
      fmt::format("the entry point {} {}", escape_control(*entry_point),
                  file == nullptr ? "is no file of the package" : "is not marked as executable"),
      {.reason = "package.executable",
       .value = escape_control(*entry_point),
       .next = "correct EntryPoint in app_manifest.json, or pack the program, too"});
}

}  // namespace

Result<void> check_manifest(const FileSystem& files) {
  const auto* manifest = files.find(kManifest);
  if (manifest == nullptr) {
    return corrupt("application", 0, "it holds no /app_manifest.json");
  }
  if (manifest->size > kMaxManifest) {
    return too_large(fmt::format("/app_manifest.json has {} bytes; at most {} are allowed",
                                 manifest->size, kMaxManifest),
                     std::to_string(manifest->size));
  }
  SPHERE_TRY_ASSIGN(const auto content, read_file_content(files, *manifest));
  return check_entry_point(files, as_text(content.bytes()));
}

PackageKind package_kind(const Metadata& metadata) {
  if (metadata.signature_info.signing_type == kSigningTypePackageV2) {
    return PackageKind::package_v2;
  }
  if (metadata.compressed) {
    return PackageKind::production;
  }
  switch (metadata.identity.image_type) {
    case kApplication:
      return PackageKind::application;
    case kCapability:
      return PackageKind::capability;
    case kBoardConfiguration:
      return PackageKind::board_configuration;
    default:
      return PackageKind::other;
  }
}

std::string kind_text(const Metadata& metadata) {
  switch (package_kind(metadata)) {
    case PackageKind::package_v2:
      return "package v2";
    case PackageKind::production:
      return "production package";
    case PackageKind::application:
      return "application";
    case PackageKind::capability:
      return "capability";
    case PackageKind::board_configuration:
      return "board configuration";
    case PackageKind::other:
      break;
  }
  const auto type = metadata.identity.image_type;
  const auto name = image_type_name(type);
  return fmt::format("image of type {}{}", type,
                     name.empty() ? std::string{} : fmt::format(" ({})", name));
}

Result<Package> open_container(std::shared_ptr<const BlockSource> source, std::uint64_t size,
                               const Limits& limits) {
  SPHERE_TRY(check_size(size, std::max(limits.package_bytes, limits.package_v2_bytes)));
  SPHERE_TRY_ASSIGN(auto tail, read_tail(*source, size));
  Package package{.source = std::move(source),
                  .size = size,
                  .tail = std::make_shared<const std::vector<std::byte>>(std::move(tail))};
  SPHERE_TRY_ASSIGN(package.metadata, read_metadata(*package.tail, package.tail_offset()));
  package.kind = package_kind(package.metadata);
  SPHERE_TRY(check_size(size, package.kind == PackageKind::package_v2 ? limits.package_v2_bytes
                                                                      : limits.package_bytes));
  if (package.kind == PackageKind::package_v2) {
    SPHERE_TRY_ASSIGN(auto layout,
                      check_v2_metadata(package.metadata, package.tail->size(), package.size));
    package.layout = std::make_shared<const LayoutV2>(std::move(layout));
  }
  return package;
}

Result<Package> open_package(std::shared_ptr<const BlockSource> source, std::uint64_t size,
                             const Limits& limits) {
  SPHERE_TRY_ASSIGN(auto package, open_container(std::move(source), size, limits));
  if (package.kind == PackageKind::application) {
    SPHERE_TRY_ASSIGN(package.files, open_asxipfs(package.source, package.metadata.body_size));
    SPHERE_TRY(check_manifest(package.files));
  }
  return package;
}

Result<Package> open_package(const std::filesystem::path& path, const Limits& limits) {
  SPHERE_TRY_ASSIGN(auto file, FileBlocks::open(path));
  const auto size = file.size();
  auto package = open_package(std::make_shared<FileBlocks>(std::move(file)), size, limits);
  if (!package) {
    auto error = std::move(package).error();
    const bool is_named = error.message().find(path.string()) != std::string::npos;
    return tl::make_unexpected(is_named ? error : std::move(error).while_doing(path.string()));
  }
  return package;
}

Result<Package> parse_package(Bytes bytes, const Limits& limits) {
  SPHERE_TRY_ASSIGN(auto package,
                    open_package(std::make_shared<MemoryBlocks>(bytes), bytes.size(), limits));
  if (package.kind == PackageKind::application) {
    SPHERE_TRY(check_asxipfs(package.files));
  }
  return package;
}

namespace {

// Hashes all bytes before the metadata block, and checks those of an application.
Result<void> hash_body(const Package& package, crypto::Sha256& hash) {
  // The files of the other kinds lie in a body that is decoded, not in these bytes.
  if (package.kind != PackageKind::application || package.files.body == nullptr) {
    return stream_bytes(*package.source, 0, package.tail_offset(),
                        [&hash](Bytes bytes) -> Result<void> {
                          hash.update(bytes);
                          return {};
                        });
  }
  // What was parsed is what is hashed, whatever the source holds there by now.
  hash.update(*package.files.directory_area);
  AsxipfsCheck check{package.files};
  SPHERE_TRY(stream_bytes(*package.source, package.files.directory_area->size(),
                          package.tail_offset(), [&](Bytes bytes) {
                            hash.update(bytes);
                            return check.update(bytes);
                          }));
  return check.finish();
}

}  // namespace

Result<PackageDigests> check_body(const Package& package) {
  crypto::Sha256 hash;
  SPHERE_TRY(hash_body(package, hash));
  SPHERE_TRY(package.source->check_unchanged());
  const std::span tail{*package.tail};
  hash.update(tail.first(tail.size() - kSignatureSize));
  PackageDigests digests{.signed_bytes = hash.digest_so_far()};
  digests.file = hash.update(package.metadata.signature).finish();
  return digests;
}

Result<std::vector<std::byte>> read_body(const Package& package, std::size_t limit) {
  const auto size = package.metadata.body_size;
  if (size > limit) {
    return too_large(fmt::format("the body has {} bytes; at most {} are allowed",
                                 with_thousands(size), with_thousands(limit)),
                     std::to_string(size));
  }
  return read_range(*package.source, 0, size);
}

Result<void> require_application(const Package& package) {
  if (package.kind == PackageKind::application) {
    return {};
  }
  const auto kind = kind_text(package.metadata);
  return unsupported(fmt::format("this is no development package of an application but: {}", kind),
                     kind);
}

}  // namespace sphere::image
