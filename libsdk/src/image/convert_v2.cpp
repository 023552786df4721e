// SPDX-License-Identifier: MIT
// From one format or form of a package to another.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/body_writer.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/finish_v2.h"
#include "libsdk/src/image/image_leaves.h"
#include "libsdk/src/image/owned_section.h"
#include "libsdk/src/image/sections_v2.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/sign_v2.h"
#include "sphere/image/verify_v2.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

OutputFile file_of(const PackOutput& output) {
  return {.descriptor = output.descriptor, .name = output.name};
}

Result<std::string> inputs_of(const FileSystem& files) {
  std::vector<InputFile> inputs;
  for (const auto& file : files.files) {
    crypto::Sha256 hash;
    SPHERE_TRY(stream_file_content(files, file, [&hash](Bytes bytes) -> Result<void> {
      hash.update(bytes);
      return {};
    }));
    inputs.push_back({.path = file.path, .executable = file.executable, .digest = hash.finish()});
  }
  return inputs_digest(std::move(inputs));
}

// Copies `source` from `begin` to `end` to the place `at` of the file.
Result<void> copy_bytes(const BlockSource& source, std::uint64_t begin, std::uint64_t end,
                        const OutputFile& file, std::uint64_t at) {
  return stream_bytes(source, begin, end, [&](Bytes bytes) -> Result<void> {
    SPHERE_TRY(write_at(file, at, bytes));
    at += bytes.size();
    return {};
  });
}

std::string_view id_of(const OwnedSection& section) {
  return {section.id.data(), section.id.size()};
}

// The sections of `package` with those that say how the body is stored, and by whom it is signed.
std::vector<OwnedSection> stored_sections(const Metadata& metadata, const Body& body,
                                          const crypto::KeyId& key_id) {
  std::vector<OwnedSection> sections;
  for (const auto& section : metadata.sections) {
    OwnedSection owned{.id = section.id,
                       .payload = {section.payload.begin(), section.payload.end()}};
    if (id_of(owned) == "cz") {
      continue;
    }
    if (id_of(owned) == "v2") {
      owned.payload = encode(body.content);
    } else if (id_of(owned) == "SG") {
      owned = signature_section(signature_info_v2(key_id));
    } else if (id_of(owned) == "ki") {
      owned.payload.assign(key_id.begin(), key_id.end());
    }
    const bool is_tree = id_of(owned) == "mt";
    sections.push_back(std::move(owned));
    if (is_tree && body.chunks) {
      sections.push_back({.id = {'c', 'z'}, .payload = encode(*body.chunks)});
    }
  }
  return sections;
}

Result<void> check_for_v1(const ContentHeader& content) {
  if (content.format != BodyFormat::asxipfs || content.body_size > kMaxBodyBytes) {
    return unsupported("only a file system of an app of up to 256 MiB can be a package v1",
                       std::string{to_text(content.format)});
  }
  return {};
}

// A file that is written front to back and hashed on the way.
class HashedFile {
 public:
  explicit HashedFile(OutputFile file) : file_{std::move(file)} {}
  Result<void> write(Bytes bytes) {
    hash_.update(bytes);
    SPHERE_TRY(write_at(file_, size_, bytes));
    size_ += bytes.size();
    return {};
  }
  [[nodiscard]] crypto::Sha256Digest digest() const { return hash_.digest_so_far(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  OutputFile file_;
  crypto::Sha256 hash_;
  std::uint64_t size_ = 0;
};

}  // namespace

Result<PackedV2> convert_to_v2(const Package& package, const ImageInfo& extra,
                               const crypto::Signer& signer, const Tools& tools,
                               const PackOutput& output) {
  SPHERE_TRY(require_application(package));
  const auto& metadata = package.metadata;
  auto info = extra;
  info.image_type = metadata.identity.image_type;
  info.component_id = metadata.identity.component_id;
  info.image_id = metadata.identity.image_id;
  info.build_time = metadata.debug.build_time;
  info.name = metadata.debug.name;
  info.temporary = metadata.temporary;
  info.depends = metadata.depends;
  for (const auto& entry : info.depends.value_or(std::vector<AbiDependency>{})) {
    if (entry.identity_type == kApplicationRuntime) {
      info.provenance.push_back({.key = "apiset", .value = std::to_string(entry.version)});
    }
  }
  SPHERE_TRY_ASSIGN(auto inputs, inputs_of(package.files));
  BodyWriter writer{{.format = BodyFormat::asxipfs,
                     .content_size = package.tail_offset(),
                     .compress = info.compress},
                    info.component_id,
                    tools,
                    output};
  ImageLeaves leaves{{.source = package.source.get(),
                      .size = package.tail_offset(),
                      .engine = tools.engine,
                      .salt = writer.salt(),
                      .sink = &writer.sink(),
                      .workers = tools.pool->size()}};
  SPHERE_TRY_ASSIGN(const auto body, writer.write(leaves));
  SPHERE_TRY(package.source->check_unchanged());
  return finish_package(writer.file(), info, body, std::move(inputs), signer);
}

Result<std::uint64_t> convert_to_v1(const Package& package, const crypto::Signer& signer,
                                    const PackOutput& output) {
  SPHERE_TRY_ASSIGN(const auto body, open_body(package));
  const auto& metadata = package.metadata;
  const auto content = metadata.v2.content.value_or(ContentHeader{});
  SPHERE_TRY(check_for_v1(content));
  HashedFile file{file_of(output)};
  SPHERE_TRY(stream_bytes(*body, 0, content.body_size,
                          [&file](Bytes bytes) { return file.write(bytes); }));
  SPHERE_TRY(file.write(write_metadata(
      metadata.identity, {.thumbprint = signer.thumbprint(), .signing_type = kSigningTypeEcdsaP256},
      metadata.debug, metadata.temporary, metadata.depends)));
  const std::array<crypto::Sha256Digest, 1> digests = {file.digest()};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  SPHERE_TRY(file.write(signatures.at(0)));
  return file.size();
}

Result<std::uint64_t> write_expanded_form(const Package& package, const PackOutput& output) {
  SPHERE_TRY_ASSIGN(const auto body, open_body(package));
  const auto body_size = package.layout->tree.shape.data_blocks() * kMerkleBlockSize;
  const auto file = file_of(output);
  SPHERE_TRY(copy_bytes(*body, 0, body_size, file, 0));
  // Hash area, metadata and signature.
  SPHERE_TRY(copy_bytes(*package.source, package.layout->body_area, package.size, file, body_size));
  return body_size + (package.size - package.layout->body_area);
}

Result<PackedV2> compress_package(const Package& package, const crypto::Signer& signer,
                                  const Tools& tools, const PackOutput& output) {
  SPHERE_TRY_ASSIGN(const auto source, open_body(package));
  const auto& metadata = package.metadata;
  const auto content = metadata.v2.content.value_or(ContentHeader{});
  BodyWriter writer{
      {.format = content.format, .content_size = content.content_size, .compress = true},
      metadata.identity.component_id,
      tools,
      output};
  ImageLeaves leaves{{.source = source.get(),
                      .size = content.body_size,
                      .engine = tools.engine,
                      .salt = writer.salt(),
                      .sink = &writer.sink(),
                      .workers = tools.pool->size()}};
  SPHERE_TRY_ASSIGN(auto body, writer.write(leaves));
  body.content.minor_version = content.minor_version;
  const auto superblock = verity_superblock(package.layout->tree, metadata.identity.image_id);
  SPHERE_TRY(write_at(writer.file(), body.content.stored_size, superblock));
  const auto sections = stored_sections(metadata, body, signer.public_key().id());
  SPHERE_TRY_ASSIGN(const auto tail, sign_block_v2(superblock, write_sections(sections), signer));
  const auto place = body.content.stored_size + body.content.hash_area_size;
  SPHERE_TRY(write_at(writer.file(), place, tail));
  SPHERE_TRY(set_size(writer.file(), place + tail.size()));
  return PackedV2{.image_id = metadata.identity.image_id,
                  .root = body.tree.root,
                  .bytes = place + tail.size(),
                  .compressed = body.chunks.has_value(),
                  .blocks = body.tree.data_blocks,
                  .hashed_blocks = body.tree.data_blocks};
}

}  // namespace sphere::image
