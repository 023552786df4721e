// SPDX-License-Identifier: MIT
#include "sphere/image/pack_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
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
#include "libsdk/src/image/pack_sources.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"
#include "sphere/image/package_v2.h"
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

DirectoryInput directory_input(const PackSources& sources, const MerkleSalt& salt,
                               const Tools& tools, BodySink& sink) {
  DirectoryInput input{.head = sources.plan().head,
                       .body_size = sources.plan().size,
                       .engine = tools.engine,
                       .salt = salt,
                       .sink = &sink,
                       .workers = tools.pool->size()};
  for (const auto& source : sources.sources()) {
    input.files.push_back({.size = source.size, .listed = source.listed, .memory = source.memory});
  }
  for (const auto& place : sources.plan().files) {
    input.files[place.index].offset = place.offset;
  }
  return input;
}

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
  DirectoryLeaves leaves{directory_input(sources, writer.salt(), tools, writer.sink())};
  SPHERE_TRY(leaves.prepare());
  SPHERE_TRY_ASSIGN(const auto body, writer.write(leaves));
  return finish_package(writer.file(), application.info, body, inputs_of(sources, leaves.facts()),
                        signer);
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
