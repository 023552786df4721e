// SPDX-License-Identifier: MIT
#include "libsdk/src/image/pack_sources.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/asxipfs_plan.h"
#include "libsdk/src/image/crc32.h"
#include "libsdk/src/image/package_directory.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/pack.h"

namespace sphere::image {
namespace {

constexpr std::string_view kManifest = "app_manifest.json";
constexpr std::size_t kPiece = std::size_t{256} * 1024;  // Best from the page cache.

std::size_t without_slash(std::string_view path) { return path.starts_with('/') ? 1 : 0; }

// The indexes of `executables` in the sorted names of `planned`.
Result<void> mark_executables(const std::vector<std::string>& executables,
                              std::vector<PlannedFile>& planned) {
  for (const auto& path : executables) {
    const auto name = std::string_view{path}.substr(without_slash(path));
    const auto found = std::ranges::find(planned, name, &PlannedFile::path);
    if (found == planned.end()) {
      return fail(Errc::not_found, fmt::format("the executable {} is no file of the package", path),
                  {.reason = "package.executable",
                   .value = path,
                   .next = "put it into the package directory, or correct its path"});
    }
    found->executable = true;
  }
  return {};
}

Result<void> give_zeros(std::size_t count, const PackSources::Sink& sink) {
  static constexpr std::array<std::byte, kPageSize> kZeros = {};
  while (count != 0) {
    const auto part = std::min(count, kZeros.size());
    SPHERE_TRY(sink(std::span{kZeros}.first(part)));
    count -= part;
  }
  return {};
}

}  // namespace

Result<PackSources> PackSources::list(const PackRequest& request) {
  PackSources sources;
  SPHERE_TRY_ASSIGN(sources.listed_, list_package_directory(request.directory));
  SPHERE_TRY(sources.plan_files(request));
  return sources;
}

Result<void> PackSources::plan_files(const PackRequest& request) {
  const auto manifest = std::as_bytes(std::span{request.manifest_text});
  std::vector<PlannedFile> planned = {{.path = kManifest, .size = manifest.size()}};
  sources_.push_back({.memory = manifest, .size = manifest.size()});
  for (const auto& [path, file] : listed_) {
    planned.push_back({.path = path, .size = file.size});
    sources_.push_back({.listed = &file, .size = file.size});
  }
  SPHERE_TRY(mark_executables(request.executables, planned));
  SPHERE_TRY_ASSIGN(plan_, plan_asxipfs(planned));
  planned_ = std::move(planned);
  return {};
}

// `buffer` takes the pieces of a file of the disk.
Result<void> PackSources::read_pieces(const Source& source, std::span<std::byte> buffer,
                                      const Sink& sink) {
  if (source.listed == nullptr) {
    return sink(source.memory);
  }
  SPHERE_TRY_ASSIGN(auto reader, ListedFileReader::open(*source.listed));
  for (std::size_t done = 0; done < source.size;) {
    const auto piece = buffer.first(std::min(buffer.size(), source.size - done));
    SPHERE_TRY(reader.read(piece));
    SPHERE_TRY(sink(piece));
    done += piece.size();
  }
  return reader.finish();
}

Result<std::vector<std::byte>> PackSources::read_body(std::size_t spare) const {
  std::vector<std::byte> body;
  body.reserve(plan_.size + spare);
  body = plan_.head;
  body.resize(plan_.size);
  for (const auto& place : plan_.files) {
    const auto& source = sources_[place.index];
    const auto target = std::span{body}.subspan(place.offset, source.size);
    if (source.listed == nullptr) {
      copy_bytes(source.memory, target);
      continue;
    }
    SPHERE_TRY_ASSIGN(auto reader, ListedFileReader::open(*source.listed));
    SPHERE_TRY(reader.read(target));
    SPHERE_TRY(reader.finish());
  }
  set_crc(body, Crc32{}.update(body).value());
  return body;
}

Result<std::uint32_t> PackSources::read_crc(ThreadPool* pool) const {
  const std::size_t workers = pool == nullptr ? 1 : pool->size();
  std::vector<std::vector<std::byte>> buffers(workers);
  std::vector<std::uint32_t> parts(plan_.files.size());
  const ThreadPool::Job job = [&](std::size_t index, std::size_t worker) -> Result<void> {
    buffers[worker].resize(kPiece);
    Crc32 crc;
    SPHERE_TRY(read_pieces(sources_[plan_.files[index].index], buffers[worker],
                           [&crc](std::span<const std::byte> piece) -> Result<void> {
                             crc.update(piece);
                             return {};
                           }));
    parts[index] = crc.value();
    return {};
  };
  if (pool != nullptr) {
    SPHERE_TRY(pool->run(parts.size(), job));
  }
  for (std::size_t i = 0; pool == nullptr && i < parts.size(); ++i) {
    SPHERE_TRY(job(i, 0));
  }
  Crc32 crc;
  crc.update(plan_.head);
  std::size_t at = plan_.head.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& place = plan_.files[i];
    const auto size = sources_[place.index].size;
    crc.append_zeros(place.offset - at).append(parts[i], size);
    at = place.offset + size;
  }
  return crc.append_zeros(plan_.size - at).value();
}

Result<void> PackSources::stream_body(std::uint32_t crc, const Sink& sink) const {
  std::vector<std::byte> buffer(kPiece);
  auto head = plan_.head;
  Crc32 seen;
  seen.update(head);
  set_crc(head, crc);
  SPHERE_TRY(sink(head));
  const Sink counted = [&](std::span<const std::byte> piece) {
    seen.update(piece);
    return sink(piece);
  };
  std::size_t at = head.size();
  for (const auto& place : plan_.files) {
    const auto& source = sources_[place.index];
    SPHERE_TRY(give_zeros(place.offset - at, counted));
    SPHERE_TRY(read_pieces(source, buffer, counted));
    at = place.offset + source.size;
  }
  SPHERE_TRY(give_zeros(plan_.size - at, counted));
  if (seen.value() != crc) {
    return fail(Errc::io, "a file of the package directory was changed while it was packed",
                {.reason = "local.file-unreadable",
                 .next = "wait until nothing writes to it, then pack again"});
  }
  return {};
}

}  // namespace sphere::image
