// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"

// Making package v2. The input is read once and the output written at its final places while the
// blocks are hashed on all cores, so memory does not grow with the image and packing takes little
// longer than copying.
namespace sphere::image {

// What the metadata says beside the body.
struct ImageInfo {
  std::uint16_t image_type = kApplication;
  Guid component_id = {};
  std::optional<Guid> image_id = {};  // Absent: derived_image_id_v2().
  std::uint64_t build_time = 0;
  std::string name = {};  // For section DB; cut to 31 bytes.
  std::optional<std::uint32_t> temporary = kUnderDevelopment;
  std::optional<std::vector<AbiDependency>> depends = {};
  std::optional<SecurityVersion> security = {};
  std::optional<TargetHardware> hardware = {};
  // Lines beside "epoch", and "inputs" of an application, which the packer adds.
  Provenance provenance = {};
  std::optional<SbomReference> sbom = {};
  // Store the body in chunks that are compressed, unless that makes it no smaller or it is larger
  // than a table of chunks can say (454 MiB).
  bool compress = false;
};

// What packing and verifying take. The pointees must outlive the call.
struct Tools {
  const crypto::HashEngine* engine = nullptr;
  ThreadPool* pool = nullptr;
};

// An open, empty file that gets the package. After an error its content is of no use.
struct PackOutput {
  int descriptor = -1;
  std::filesystem::path name = {};  // For errors.
};

struct PackedV2 {
  Guid image_id;
  MerkleHash root = {};
  std::uint64_t bytes = 0;  // Of the file.
  bool compressed = false;
  std::uint64_t blocks = 0;
  std::uint64_t hashed_blocks = 0;      // Of these; the others were known.
  std::vector<std::string> notes = {};  // About the cache, a sentence each.
  std::vector<std::string> stale = {};  // Paths in the package.
};

// An application that is to be packed, everything decided already: the manifest is the text that
// goes into the package (see sphere/manifest/rewrite.h).
struct ApplicationV2 {
  std::filesystem::path directory;            // Its files, but not its app_manifest.json.
  std::string manifest_text = {};             // Stored as /app_manifest.json.
  std::vector<std::string> executables = {};  // Paths in the package; a leading '/' is ignored.
  ImageInfo info;
  // A file that keeps what was found out about each file from one packing to the next: those that
  // are unchanged (by device, inode, size and times) are copied and not hashed. Empty: none. One
  // that is missing, damaged or of another component is ignored.
  std::filesystem::path leaf_cache = {};
  // Hashes everything all the same, and tells in PackedV2::stale which files the cache was wrong
  // about.
  bool verify_cache = false;
};

// Makes a signed package v2 with an ASXipFS body. Errors: as pack_application(); io when a file
// changes while it is read; no_space; those of write_provenance() and of the signer.
[[nodiscard]] Result<PackedV2> pack_application_v2(const ApplicationV2& application,
                                                   const crypto::Signer& signer, const Tools& tools,
                                                   const PackOutput& output);

// An image that is packed as it is, and padded to 4096.
struct RawImage {
  const BlockSource* source = nullptr;
  std::uint64_t size = 0;  // 1 byte to 1 GiB.
  BodyFormat format = BodyFormat::block_image;
  ImageInfo info;
};

// What the first bytes say an image is; block_image when they say nothing. Errors: those of the
// source.
[[nodiscard]] Result<BodyFormat> detect_body_format(const BlockSource& source, std::uint64_t size);

// Makes a signed package v2 around an image. Errors: invalid_argument for an empty image, one that
// is not of the format it is said to be (device tree, squashfs, erofs; their first bytes are looked
// at), or format asxipfs; too_large; those of `source`; no_space; those of the signer.
[[nodiscard]] Result<PackedV2> pack_raw_image(const RawImage& image, const crypto::Signer& signer,
                                              const Tools& tools, const PackOutput& output);

}  // namespace sphere::image
