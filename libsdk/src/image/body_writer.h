// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/compressed_sink.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/merkle.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {

// A body that stands in the output with its tree.
struct Body {
  ContentHeader content;
  TreeHeader tree;
  std::optional<ChunkTable> chunks = {};
};

struct BodyRequest {
  BodyFormat format = BodyFormat::asxipfs;
  std::uint64_t content_size = 0;
  bool first_group_last = false;  // The leaf source completes the first 512 KiB at the end.
  bool compress = false;
};

// Writes body and tree of one package: give the leaf source that stores what it hashes in sink().
class BodyWriter {
 public:
  BodyWriter(const BodyRequest& request, const Guid& component, const Tools& tools,
             const PackOutput& output);

  [[nodiscard]] const MerkleSalt& salt() const noexcept { return salt_; }
  [[nodiscard]] const OutputFile& file() const noexcept { return file_; }
  [[nodiscard]] BodySink& sink();
  // Once. Errors: those of `leaves` and of the output.
  [[nodiscard]] Result<Body> write(LeafSource& leaves);

 private:
  [[nodiscard]] Result<MerkleHash> build(const MerkleShape& shape, MerkleSink& sink,
                                         LeafSource& leaves) const;
  [[nodiscard]] Result<void> write_expanded(const MerkleShape& shape, LeafSource& leaves);
  [[nodiscard]] Result<void> write_compressed(const MerkleShape& shape, LeafSource& leaves);

  BodyRequest request_;
  Tools tools_;
  OutputFile file_;
  MerkleSalt salt_;
  Body body_ = {};
  std::unique_ptr<CompressedSink> compressed_;  // Null: stored as it is.
  ExpandedSink expanded_;
};

[[nodiscard]] constexpr std::uint64_t padded_body(std::uint64_t size) {
  return (size + kMerkleBlockSize - 1) / kMerkleBlockSize * kMerkleBlockSize;
}

// A stored file, for the line "inputs" of the provenance.
struct InputFile {
  std::string path;  // Without a leading slash.
  bool executable = false;
  crypto::Sha256Digest digest = {};
};
// SHA-256, in hexadecimal, of the text with a line "<sha256> <mode> /<path>" for each file.
[[nodiscard]] std::string inputs_digest(std::vector<InputFile> files);

// Adds metadata and signature to a body that was written. `inputs`: the line of that name.
[[nodiscard]] Result<PackedV2> finish_package(const OutputFile& file, const ImageInfo& info,
                                              const Body& body, std::optional<std::string> inputs,
                                              const crypto::Signer& signer);

}  // namespace sphere::image
