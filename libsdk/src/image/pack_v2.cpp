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
#include "libsdk/src/image/compressed_sink.h"
#include "libsdk/src/image/directory_leaves.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/finish_v2.h"
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

// A body that stands in the output with its tree.
struct Body {
  ContentHeader content;
  TreeHeader tree;
  std::optional<ChunkTable> chunks = {};
};

std::uint64_t padded(std::uint64_t size) {
  return (size + kMerkleBlockSize - 1) / kMerkleBlockSize * kMerkleBlockSize;
}

// Writes body and tree of one package.
class BodyWriter {
 public:
  BodyWriter(BodyFormat format, std::uint64_t content_size, const ImageInfo& info,
             const Tools& tools, const PackOutput& output)
      : tools_{tools},
        file_{.descriptor = output.descriptor, .name = output.name},
        salt_{merkle_salt(info.component_id)} {
    body_.content.format = format;
    body_.content.content_size = content_size;
    body_.content.body_size = padded(content_size);
    const auto chunks = (body_.content.body_size + kChunkSize - 1) / kChunkSize;
    if (info.compress && chunks <= kMaxChunks) {
      compressed_.emplace(file_, CompressedSinkOptions{.body_size = body_.content.body_size,
                                                       .workers = tools.pool->size(),
                                                       .first_group_last = has_crc()});
    } else {
      expanded_.emplace(file_);
    }
  }

  [[nodiscard]] const MerkleSalt& salt() const noexcept { return salt_; }
  [[nodiscard]] const OutputFile& file() const noexcept { return file_; }
  [[nodiscard]] BodySink& sink() {
    return compressed_ ? static_cast<BodySink&>(*compressed_) : *expanded_;
  }

  // `leaves` stores what it hashes in sink().
  Result<Body> write(LeafSource& leaves) {
    SPHERE_TRY_ASSIGN(const auto shape,
                      MerkleShape::of(body_.content.body_size / kMerkleBlockSize));
    body_.content.hash_area_size = static_cast<std::uint32_t>(shape.hash_area_size());
    body_.tree = {.data_blocks = static_cast<std::uint32_t>(shape.data_blocks()),
                  .tree_blocks = static_cast<std::uint32_t>(shape.tree_blocks()),
                  .salt = salt_};
    if (compressed_) {
      SPHERE_TRY(write_compressed(shape, leaves));
    } else {
      SPHERE_TRY(write_expanded(shape, leaves));
    }
    return std::move(body_);
  }

 private:
  [[nodiscard]] bool has_crc() const { return body_.content.format == BodyFormat::asxipfs; }

  [[nodiscard]] Result<MerkleHash> build(const MerkleShape& shape, MerkleSink& sink,
                                         LeafSource& leaves) const {
    return build_merkle_tree({.engine = *tools_.engine,
                              .pool = *tools_.pool,
                              .shape = shape,
                              .salt = salt_,
                              .sink = &sink,
                              .first_run_last = has_crc()},
                             leaves);
  }

  Result<void> write_expanded(const MerkleShape& shape, LeafSource& leaves) {
    body_.content.stored_size = body_.content.body_size;
    SPHERE_TRY(set_size(file_, body_.content.body_size + shape.hash_area_size()));
    FileHashArea area{shape, file_.descriptor, body_.content.body_size};
    SPHERE_TRY_ASSIGN(body_.tree.root, build(shape, area, leaves));
    return {};
  }

  // Where the tree goes is known only at the end: up to then it is in memory, at most 3.6 MiB.
  Result<void> write_compressed(const MerkleShape& shape, LeafSource& leaves) {
    MemoryHashArea area{shape};
    SPHERE_TRY_ASSIGN(body_.tree.root, build(shape, area, leaves));
    SPHERE_TRY_ASSIGN(body_.chunks, compressed_->finish());
    body_.content.stored_size = body_.content.body_size;
    if (body_.chunks) {
      std::uint64_t stored = 0;
      for (const auto& chunk : body_.chunks->chunks) {
        stored += chunk.stored_length;
      }
      body_.content.stored_size = padded(stored);
    }
    return write_at(file_, body_.content.stored_size, area.bytes());
  }

  Tools tools_;
  OutputFile file_;
  MerkleSalt salt_;
  Body body_;
  std::optional<ExpandedSink> expanded_;
  std::optional<CompressedSink> compressed_;
};

Result<PackedV2> finish(const BodyWriter& writer, const ImageInfo& info, const Body& body,
                        std::optional<std::string> inputs, const crypto::Signer& signer) {
  auto provenance = info.provenance;
  provenance.push_back({.key = "epoch", .value = std::to_string(info.build_time)});
  if (inputs) {
    provenance.push_back({.key = "inputs", .value = *std::move(inputs)});
  }
  const MetadataV2 metadata{
      .identity = {.image_type = info.image_type, .component_id = info.component_id},
      .debug = {.build_time = info.build_time, .name = info.name},
      .temporary = info.temporary,
      .depends = info.depends,
      .sections = {.content = body.content,
                   .tree = body.tree,
                   .chunks = body.chunks,
                   .security = info.security,
                   .hardware = info.hardware,
                   .provenance = std::move(provenance),
                   .sbom = info.sbom}};
  SPHERE_TRY_ASSIGN(const auto finished, finish_v2(writer.file(), metadata, info.image_id, signer));
  return PackedV2{.image_id = finished.image_id,
                  .root = body.tree.root,
                  .bytes = finished.bytes,
                  .compressed = body.chunks.has_value(),
                  .blocks = body.tree.data_blocks,
                  .hashed_blocks = body.tree.data_blocks};
}

// SHA-256 of the text that lists every stored file with its digest and mode.
std::string inputs_digest(const PackSources& sources, const std::vector<FileFacts>& facts) {
  const auto& planned = sources.planned();
  std::vector<std::size_t> order(planned.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return planned[i].path; });
  crypto::Sha256 hash;
  for (const auto i : order) {
    const auto line = fmt::format("{} {} /{}\n", to_hex(facts[i].digest),
                                  planned[i].executable ? "0755" : "0644", planned[i].path);
    hash.update(std::as_bytes(std::span{line}));
  }
  return to_hex(hash.finish());
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

tl::unexpected<Error> bad_image(const RawImage& image, std::string_view why) {
  return fail(Errc::invalid_argument,
              fmt::format("the image is no {}: {}", to_text(image.format), why),
              {.reason = "package.corrupt",
               .value = std::string{to_text(image.format)},
               .next = "name the format that the image has"});
}

// The first bytes tell what an image is; block images are opaque.
Result<void> check_format(const RawImage& image) {
  struct Magic {
    BodyFormat format;
    std::size_t offset;
    std::array<std::uint8_t, 4> bytes;
  };
  constexpr std::array<Magic, 3> kMagics = {{{BodyFormat::device_tree, 0, {0xD0, 0x0D, 0xFE, 0xED}},
                                             {BodyFormat::squashfs, 0, {0x68, 0x73, 0x71, 0x73}},
                                             {BodyFormat::erofs, 1024, {0xE2, 0xE1, 0xF5, 0xE0}}}};
  if (image.format == BodyFormat::asxipfs) {
    return fail(Errc::invalid_argument, "a file system of an app is packed from its directory");
  }
  const auto* magic = std::ranges::find(kMagics, image.format, &Magic::format);
  if (magic == kMagics.end()) {
    return {};
  }
  std::array<std::byte, 4> buffer = {};
  if (image.size < magic->offset + buffer.size()) {
    return bad_image(image, fmt::format("it has {} bytes", image.size));
  }
  SPHERE_TRY_ASSIGN(const auto bytes, image.source->read(magic->offset, buffer));
  if (!std::ranges::equal(bytes, std::as_bytes(std::span{magic->bytes}))) {
    return bad_image(image, fmt::format("at offset {} there is {}", magic->offset, to_hex(bytes)));
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
  BodyWriter writer{BodyFormat::asxipfs, sources.plan().size, application.info, tools, output};
  DirectoryLeaves leaves{directory_input(sources, writer.salt(), tools, writer.sink())};
  SPHERE_TRY(leaves.prepare());
  SPHERE_TRY_ASSIGN(const auto body, writer.write(leaves));
  return finish(writer, application.info, body, inputs_digest(sources, leaves.facts()), signer);
}

Result<PackedV2> pack_raw_image(const RawImage& image, const crypto::Signer& signer,
                                const Tools& tools, const PackOutput& output) {
  SPHERE_TRY(check_image(image));
  BodyWriter writer{image.format, image.size, image.info, tools, output};
  ImageLeaves leaves{{.source = image.source,
                      .size = image.size,
                      .engine = tools.engine,
                      .salt = writer.salt(),
                      .sink = &writer.sink(),
                      .workers = tools.pool->size()}};
  SPHERE_TRY_ASSIGN(const auto body, writer.write(leaves));
  return finish(writer, image.info, body, std::nullopt, signer);
}

}  // namespace sphere::image
