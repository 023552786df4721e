// SPDX-License-Identifier: MIT
#include "sphere/image/production.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/verify.h"
#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/block_io.h"
#include "sphere/image/compression.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPart = "inner package";
constexpr std::uint32_t kLzma = 1;  // Type in section CM.
constexpr std::array<char, 2> kIdId = {'I', 'D'};
constexpr std::array<char, 2> kSgId = {'S', 'G'};
constexpr std::array<char, 2> kDbId = {'D', 'B'};
constexpr std::array<char, 2> kTpId = {'T', 'P'};
constexpr std::array<char, 2> kCmId = {'C', 'M'};
constexpr std::array<char, 2> kNdId = {'N', 'D'};

// Bytes in memory that live as long as the source.
class OwnedBlocks final : public BlockSource {
 public:
  explicit OwnedBlocks(std::vector<std::byte> bytes) : bytes_{std::move(bytes)}, blocks_{bytes_} {}
  [[nodiscard]] Result<Bytes> read(std::uint64_t offset,
                                   std::span<std::byte> buffer) const override {
    return blocks_.read(offset, buffer);
  }
  [[nodiscard]] Bytes in_memory() const noexcept override { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  MemoryBlocks blocks_;
};

bool same_depends(const Metadata& inner, const Metadata& outer) {
  if (!inner.depends || !outer.depends) {
    return inner.depends.has_value() == outer.depends.has_value();
  }
  return std::ranges::equal(*inner.depends, *outer.depends, [](const auto& a, const auto& b) {
    return a.version == b.version && a.identity_type == b.identity_type;
  });
}

Result<void> check_agreement(const Metadata& inner, const Metadata& outer) {
  const auto& own = inner.identity;
  const auto& other = outer.identity;
  if (own.image_type != other.image_type || own.component_id != other.component_id ||
      own.image_id != other.image_id) {
    return corrupt(kPart, inner.body_size, "it is another image than the outer package says",
                   own.image_id.text());
  }
  if (inner.debug.name != outer.debug.name) {
    return corrupt(kPart, inner.body_size, "its name is not that of the outer package",
                   escape_control(inner.debug.name));
  }
  if (!same_depends(inner, outer)) {
    return corrupt(kPart, inner.body_size, "it depends on other versions than the outer package");
  }
  if (inner.temporary) {
    return corrupt(kPart, inner.body_size, "it has a section TP", std::to_string(*inner.temporary));
  }
  return {};
}

Result<void> check_nesting(const Metadata& inner) {
  if (inner.compressed || inner.signature_info.signing_type != kSigningTypeEcdsaP256) {
    return corrupt(kPart, inner.body_size, fmt::format("it is another {}", kind_text(inner)));
  }
  return {};
}

// The compressed area, in memory.
Result<std::vector<std::byte>> read_area(const Package& outer) {
  if (outer.kind != PackageKind::production) {
    return fail(Errc::invalid_argument,
                fmt::format("this is no production package but: {}", kind_text(outer.metadata)),
                {.reason = "package.unsupported", .value = kind_text(outer.metadata)});
  }
  return read_body(outer, outer.metadata.body_size);
}

Result<InnerPackage> decode_inner(Bytes area, const Package& outer, const Limits& limits) {
  const std::size_t size = outer.metadata.uncompressed_size;
  if (size > limits.package_bytes) {
    return too_large(fmt::format("the package decodes to {} bytes; at most {} are allowed",
                                 with_thousands(size), with_thousands(limits.package_bytes)),
                     std::to_string(size));
  }
  SPHERE_TRY_ASSIGN(auto bytes, decode_lzma(area, size));
  const auto source = std::make_shared<const OwnedBlocks>(std::move(bytes));
  SPHERE_TRY_ASSIGN(const auto container, open_container(source, size, limits));
  SPHERE_TRY(check_nesting(container.metadata));
  SPHERE_TRY(check_agreement(container.metadata, outer.metadata));
  InnerPackage inner;
  SPHERE_TRY_ASSIGN(inner.package, open_package(source, size, limits));
  SPHERE_TRY_ASSIGN(inner.digests, check_body(inner.package));
  return inner;
}

Result<InnerPackage> decode_named(Bytes area, const Package& outer, const Limits& limits) {
  auto inner = decode_inner(area, outer, limits);
  if (!inner) {
    return tl::make_unexpected(std::move(inner).error().while_doing("compressed package"));
  }
  return inner;
}

// Appends the signature over everything that `bytes` holds.
Result<void> append_signature(std::vector<std::byte>& bytes, const crypto::Signer& signer) {
  const std::array<crypto::Sha256Digest, 1> digests = {crypto::sha256(bytes)};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  bytes.insert(bytes.end(), signatures.at(0).begin(), signatures.at(0).end());
  return {};
}

std::vector<std::byte> signature_section(const crypto::Signer& signer) {
  Writer payload;
  payload.bytes(signer.thumbprint()).little_endian(kSigningTypeEcdsaP256);
  return std::move(payload).take();
}

// The block of `upload` without TP and with another SG.
std::vector<std::byte> inner_block(const Metadata& upload, Bytes signature) {
  std::vector<Section> sections;
  for (const auto& section : upload.sections) {
    if (section.id == kSgId) {
      sections.push_back({.id = kSgId, .payload = signature});
    } else if (section.id != kTpId) {
      sections.push_back(section);
    }
  }
  return write_sections(sections);
}

Bytes payload_of(const Metadata& metadata, std::array<char, 2> id) {
  const auto found = std::ranges::find(metadata.sections, id, &Section::id);
  return found == metadata.sections.end() ? Bytes{} : found->payload;
}

std::vector<std::byte> outer_block(const Metadata& upload, Bytes signature,
                                   std::uint64_t signing_time, std::size_t inner_size) {
  Writer debug;
  debug.little_endian(signing_time).bytes(payload_of(upload, kDbId).subspan(sizeof signing_time));
  Writer compression;
  compression.little_endian(static_cast<std::uint32_t>(inner_size)).little_endian(kLzma);
  std::vector<Section> sections = {{.id = kIdId, .payload = payload_of(upload, kIdId)},
                                   {.id = kSgId, .payload = signature},
                                   {.id = kDbId, .payload = debug.data()},
                                   {.id = kCmId, .payload = compression.data()}};
  if (upload.depends) {
    sections.push_back({.id = kNdId, .payload = payload_of(upload, kNdId)});
  }
  return write_sections(sections);
}

Result<std::vector<std::byte>> write_inner(const Package& upload, Bytes signature_payload,
                                           const crypto::Signer& signer) {
  SPHERE_TRY_ASSIGN(auto bytes, read_body(upload, upload.metadata.body_size));
  const auto block = inner_block(upload.metadata, signature_payload);
  bytes.insert(bytes.end(), block.begin(), block.end());
  SPHERE_TRY(append_signature(bytes, signer));
  return bytes;
}

// All of `outer` that its signature covers, the area being in memory already.
crypto::Sha256Digest outer_digest(Bytes area, const Package& outer) {
  const std::span tail{*outer.tail};
  return crypto::Sha256{}.update(area).update(tail.first(tail.size() - kSignatureSize)).finish();
}

}  // namespace

Result<InnerPackage> open_inner(const Package& outer, const Limits& limits) {
  SPHERE_TRY_ASSIGN(const auto area, read_area(outer));
  return decode_named(area, outer, limits);
}

Result<TrustEntry> verify_production(Package& outer, const TrustStore& trust) {
  // Read once: what is decoded is what has been hashed, whatever the source holds by then.
  SPHERE_TRY_ASSIGN(const auto area, read_area(outer));
  SPHERE_TRY_ASSIGN(auto signer, find_signer(outer_digest(area, outer), outer.metadata, trust));
  SPHERE_TRY_ASSIGN(auto inner, decode_named(area, outer, {}));
  const auto& metadata = inner.package.metadata;
  auto inner_signer = find_signer(inner.digests.signed_bytes, metadata, trust);
  if (!inner_signer) {
    return tl::make_unexpected(std::move(inner_signer).error().while_doing("compressed package"));
  }
  if (!(inner_signer->key == signer.key)) {
    return fail(Errc::unverified, "the two signatures of the package are by different keys",
                {.reason = "package.untrusted",
                 .value = to_hex(metadata.signature_info.thumbprint),
                 .next = "get the package again from who signed it"});
  }
  outer.inner = std::make_shared<const Package>(std::move(inner.package));
  return signer;
}

Result<std::vector<std::byte>> sign_for_production(const Verified<Package>& upload,
                                                   std::uint64_t signing_time,
                                                   const crypto::Signer& signer) {
  SPHERE_TRY(require_application(*upload));
  const auto signature = signature_section(signer);
  SPHERE_TRY_ASSIGN(const auto inner, write_inner(*upload, signature, signer));
  auto bytes = encode_lzma(inner);
  const auto block = outer_block(upload->metadata, signature, signing_time, inner.size());
  bytes.insert(bytes.end(), block.begin(), block.end());
  SPHERE_TRY(append_signature(bytes, signer));
  return bytes;
}

}  // namespace sphere::image
