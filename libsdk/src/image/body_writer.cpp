// SPDX-License-Identifier: MIT
#include "libsdk/src/image/body_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/compressed_sink.h"
#include "libsdk/src/image/finish_v2.h"
#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/merkle.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {

namespace {

// The hash area behind the body.
class TreeInFile final : public MerkleSink {
 public:
  TreeInFile(const MerkleShape& shape, const OutputFile& file, std::uint64_t start)
      : shape_{&shape}, file_{&file}, start_{start} {}
  Result<void> write(std::size_t level, std::uint64_t index,
                     std::span<const std::byte> block) override {
    return write_at(*file_, start_ + shape_->offset(level, index), block);
  }

 private:
  const MerkleShape* shape_;
  const OutputFile* file_;
  std::uint64_t start_;
};

}  // namespace

BodyWriter::BodyWriter(const BodyRequest& request, const Guid& component, const Tools& tools,
                       const PackOutput& output)
    : request_{request},
      tools_{tools},
      file_{.descriptor = output.descriptor,
            .name = output.name,
            .one_writer = std::make_shared<std::mutex>()},
      salt_{merkle_salt(component)},
      expanded_{file_} {
  body_.content.format = request.format;
  body_.content.content_size = request.content_size;
  body_.content.body_size = padded_body(request.content_size);
  const auto chunks = (body_.content.body_size + kChunkSize - 1) / kChunkSize;
  if (request.compress && chunks <= kMaxChunks) {
    compressed_ = std::make_unique<CompressedSink>(
        file_, CompressedSinkOptions{.body_size = body_.content.body_size,
                                     .workers = tools.pool->size(),
                                     .first_group_last = request.first_group_last});
  }
}

BodySink& BodyWriter::sink() {
  if (compressed_ != nullptr) {
    return *compressed_;
  }
  return expanded_;
}

Result<Body> BodyWriter::write(LeafSource& leaves) {
  SPHERE_TRY_ASSIGN(const auto shape, MerkleShape::of(body_.content.body_size / kMerkleBlockSize));
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

Result<MerkleHash> BodyWriter::build(const MerkleShape& shape, MerkleSink& sink,
                                     LeafSource& leaves) const {
  return build_merkle_tree({.engine = *tools_.engine,
                            .pool = *tools_.pool,
                            .shape = shape,
                            .salt = salt_,
                            .sink = &sink,
                            .first_run_last = request_.first_group_last},
                           leaves);
}

Result<void> BodyWriter::write_expanded(const MerkleShape& shape, LeafSource& leaves) {
  body_.content.stored_size = body_.content.body_size;
  SPHERE_TRY(set_size(file_, body_.content.body_size + shape.hash_area_size()));
  TreeInFile area{shape, file_, body_.content.body_size};
  SPHERE_TRY_ASSIGN(body_.tree.root, build(shape, area, leaves));
  return {};
}

// Where the tree goes is known only at the end: up to then it is in memory, at most 3.6 MiB.
Result<void> BodyWriter::write_compressed(const MerkleShape& shape, LeafSource& leaves) {
  MemoryHashArea area{shape};
  SPHERE_TRY_ASSIGN(body_.tree.root, build(shape, area, leaves));
  SPHERE_TRY_ASSIGN(body_.chunks, compressed_->finish());
  body_.content.stored_size = body_.content.body_size;
  if (body_.chunks) {
    std::uint64_t stored = 0;
    for (const auto& chunk : body_.chunks->chunks) {
      stored += chunk.stored_length;
    }
    body_.content.stored_size = padded_body(stored);
  }
  return write_at(file_, body_.content.stored_size, area.bytes());
}

std::string inputs_digest(std::vector<InputFile> files) {
  std::ranges::sort(files, {}, &InputFile::path);
  crypto::Sha256 hash;
  for (const auto& file : files) {
    const auto line = fmt::format("{} {} /{}\n", to_hex(file.digest),
                                  file.executable ? "0755" : "0644", file.path);
    hash.update(std::as_bytes(std::span{line}));
  }
  return to_hex(hash.finish());
}

Result<PackedV2> finish_package(const OutputFile& file, const ImageInfo& info, const Body& body,
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
  SPHERE_TRY_ASSIGN(const auto finished, finish_v2(file, metadata, info.image_id, signer));
  return PackedV2{.image_id = finished.image_id,
                  .root = body.tree.root,
                  .bytes = finished.bytes,
                  .compressed = body.chunks.has_value(),
                  .blocks = body.tree.data_blocks,
                  .hashed_blocks = body.tree.data_blocks};
}

}  // namespace sphere::image
