// SPDX-License-Identifier: MIT
#include "sphere/image/pack_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/body_writer.h"
#include "libsdk/src/image/directory_leaves.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/image_leaves.h"
#include "libsdk/src/image/leaf_cache.h"
#include "libsdk/src/image/pack_sources.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "sphere/image/pack.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

std::string inputs_of(const PackSources& sources, const std::vector<FileFacts>& facts) {
  std::vector<InputFile> inputs;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const auto& file = sources.planned()[i];
    inputs.push_back(
        {.path = std::string{file.path}, .executable = file.executable, .digest = facts[i].digest});
  }
  return inputs_digest(std::move(inputs));
}

// The files of an application and what a cache knows about them.
class CachedSources {
 public:
  CachedSources(const PackSources& sources, const ApplicationV2& application,
                const MerkleSalt& salt)
      : sources_{&sources},
        application_{&application},
        begun_{file_clock()},
        cache_{has_cache() ? load_leaf_cache(application.leaf_cache, salt, note_)
                           : LeafCache{salt, 0}} {}

  [[nodiscard]] DirectoryInput input(const MerkleSalt& salt, const Tools& tools,
                                     BodySink& sink) const {
    DirectoryInput input{.head = sources_->plan().head,
                         .body_size = sources_->plan().size,
                         .engine = tools.engine,
                         .salt = salt,
                         .sink = &sink,
                         .workers = tools.pool->size(),
                         .keep_leaves = has_cache()};
    for (std::size_t i = 0; i < sources_->sources().size(); ++i) {
      const auto& source = sources_->sources()[i];
      input.files.push_back({.size = source.size,
                             .listed = source.listed,
                             .memory = source.memory,
                             .known = application_->verify_cache ? nullptr : find(i)});
    }
    for (const auto& place : sources_->plan().files) {
      input.files[place.index].offset = place.offset;
    }
    return input;
  }

  // Writes the cache for the next time and adds what there is to say about it.
  void finish(std::vector<FileFacts> facts, PackedV2& packed) const {
    if (!note_.empty()) {
      packed.notes.push_back(note_);
    }
    if (!has_cache()) {
      return;
    }
    LeafCache next{cache_.salt(), begun_};
    for (std::size_t i = 0; i < facts.size(); ++i) {
      const auto* known = find(i);
      if (known != nullptr && !is_same(*known, facts[i])) {
        packed.stale.emplace_back(sources_->planned()[i].path);
      }
      if (const auto* listed = sources_->sources()[i].listed) {
        next.add(std::string{sources_->planned()[i].path}, listed->stamp, std::move(facts[i]));
      }
    }
    if (const auto written = write_file(application_->leaf_cache, next.write()); !written) {
      packed.notes.push_back("the leaf cache was not written: " + written.error().message());
    }
  }

 private:
  [[nodiscard]] bool has_cache() const { return !application_->leaf_cache.empty(); }
  [[nodiscard]] const FileFacts* find(std::size_t index) const {
    const auto* listed = sources_->sources()[index].listed;
    return listed == nullptr ? nullptr
                             : cache_.find(sources_->planned()[index].path, listed->stamp);
  }
  static bool is_same(const FileFacts& a, const FileFacts& b) {
    return a.crc == b.crc && a.digest == b.digest && a.leaves == b.leaves;
  }

  const PackSources* sources_;
  const ApplicationV2* application_;
  std::int64_t begun_;  // Before any file was read.
  std::string note_;
  LeafCache cache_;
};

struct Magic {
  BodyFormat format;
  std::size_t offset;
  std::array<std::uint8_t, 4> bytes;
};
constexpr std::array<Magic, 3> kMagics = {
    {{.format = BodyFormat::device_tree, .offset = 0, .bytes = {0xD0, 0x0D, 0xFE, 0xED}},
     {.format = BodyFormat::squashfs, .offset = 0, .bytes = {0x68, 0x73, 0x71, 0x73}},
     {.format = BodyFormat::erofs, .offset = 1024, .bytes = {0xE2, 0xE1, 0xF5, 0xE0}}}};

Result<bool> has_magic(const Magic& magic, const BlockSource& source, std::uint64_t size) {
  std::array<std::byte, 4> buffer = {};
  if (size < magic.offset + buffer.size()) {
    return false;
  }
  SPHERE_TRY_ASSIGN(const auto bytes, source.read(magic.offset, buffer));
  return std::ranges::equal(bytes, std::as_bytes(std::span{magic.bytes}));
}

Result<void> check_format(const RawImage& image) {
  if (image.format == BodyFormat::asxipfs) {
    return fail(Errc::invalid_argument, "a file system of an app is packed from its directory");
  }
  const auto* magic = std::ranges::find(kMagics, image.format, &Magic::format);
  if (magic == kMagics.end()) {
    return {};  // Opaque.
  }
  SPHERE_TRY_ASSIGN(const auto fits, has_magic(*magic, *image.source, image.size));
  if (!fits) {
    return fail(Errc::invalid_argument,
                fmt::format("the image is no {}: its magic number is not at offset {}",
                            to_text(image.format), magic->offset),
                {.reason = "package.corrupt",
                 .value = std::string{to_text(image.format)},
                 .next = "name the format that the image has"});
  }
  return {};
}

Result<void> check_image(const RawImage& image) {
  if (image.size == 0) {
    return fail(Errc::invalid_argument, "the image is empty",
                {.reason = "package.corrupt", .next = "name a file that holds an image"});
  }
  if (image.size > kMaxBodyV2) {
    return too_large(
        fmt::format("the image has {} bytes; at most {} are allowed", image.size, kMaxBodyV2),
        std::to_string(image.size));
  }
  return check_format(image);
}

}  // namespace

Result<PackedV2> pack_application_v2(const ApplicationV2& application, const crypto::Signer& signer,
                                     const Tools& tools, const PackOutput& output) {
  const PackRequest files{.directory = application.directory,
                          .manifest_text = application.manifest_text,
                          .executables = application.executables};
  SPHERE_TRY_ASSIGN(const auto sources, PackSources::list(files));
  BodyWriter writer{{.format = BodyFormat::asxipfs,
                     .content_size = sources.plan().size,
                     .first_group_last = true,
                     .compress = application.info.compress},
                    application.info.component_id,
                    tools,
                    output};
  const CachedSources cached{sources, application, writer.salt()};
  DirectoryLeaves leaves{cached.input(writer.salt(), tools, writer.sink())};
  SPHERE_TRY(leaves.prepare());
  SPHERE_TRY_ASSIGN(const auto body, writer.write(leaves));
  auto facts = leaves.facts();
  SPHERE_TRY_ASSIGN(auto packed, finish_package(writer.file(), application.info, body,
                                                inputs_of(sources, facts), signer));
  packed.hashed_blocks = leaves.hashed_blocks();
  cached.finish(std::move(facts), packed);
  return packed;
}

Result<BodyFormat> detect_body_format(const BlockSource& source, std::uint64_t size) {
  for (const auto& magic : kMagics) {
    SPHERE_TRY_ASSIGN(const auto fits, has_magic(magic, source, size));
    if (fits) {
      return magic.format;
    }
  }
  return BodyFormat::block_image;
}

Result<PackedV2> pack_raw_image(const RawImage& image, const crypto::Signer& signer,
                                const Tools& tools, const PackOutput& output) {
  SPHERE_TRY(check_image(image));
  BodyWriter writer{
      {.format = image.format, .content_size = image.size, .compress = image.info.compress},
      image.info.component_id,
      tools,
      output};
  ImageLeaves leaves{{.source = image.source,
                      .size = image.size,
                      .engine = tools.engine,
                      .salt = writer.salt(),
                      .sink = &writer.sink(),
                      .workers = tools.pool->size()}};
  SPHERE_TRY_ASSIGN(const auto body, writer.write(leaves));
  return finish_package(writer.file(), image.info, body, std::nullopt, signer);
}

}  // namespace sphere::image
