// SPDX-License-Identifier: MIT
#include "cli/commands/image_package_show_v2.h"

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

#include "cli/commands/signing.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kDigitsShown = 8;  // Of a hash, for people.

std::string line(std::string_view label, std::string_view value) {
  return fmt::format("{:<19}{}\n", label, escape_control(value));
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", with_thousands(static_cast<std::size_t>(count)), noun,
                     count == 1 ? "" : "s");
}

std::size_t levels_of(const image::TreeHeader& tree) {
  const auto shape = image::MerkleShape::of(tree.data_blocks);
  return shape ? shape->levels() : 0;
}

std::string machine_name(std::uint16_t machine) {
  return machine == image::kMachineNone ? std::string{"any processor"}
                                        : image::machine_text(machine);
}

std::string tree_text(const image::TreeHeader& tree) {
  return fmt::format("{}, {}, root {}..., salt {}...", plural(tree.data_blocks, "block"),
                     plural(levels_of(tree), "level"), to_hex(tree.root).substr(0, kDigitsShown),
                     to_hex(tree.salt).substr(0, kDigitsShown));
}

std::size_t smaller_chunks(const image::ChunkTable& table) {
  return static_cast<std::size_t>(
      std::ranges::count(table.chunks, true, &image::ChunkEntry::compressed));
}

std::string chunks_text(const std::optional<image::ChunkTable>& table) {
  if (!table) {
    return "none";
  }
  return fmt::format("zstd, {}-byte chunks, {} of {} smaller", with_thousands(table->chunk_size),
                     smaller_chunks(*table), table->chunks.size());
}

std::string_view format_name(const image::SbomReference& sbom) {
  return sbom.format == image::SbomReference::Format::spdx ? "SPDX" : "CycloneDX";
}

std::string time_text(std::uint64_t time) {
  return to_rfc3339(static_cast<std::int64_t>(std::min(time, std::uint64_t{INT64_MAX})));
}

std::string provenance_lines(const image::Provenance& provenance) {
  std::string text;
  std::string_view label = "Provenance";
  for (const auto& entry : provenance) {
    text += line(std::exchange(label, ""), fmt::format("{}={}", entry.key, entry.value));
  }
  return text;
}

bool is_signed_by(const image::Package& package, std::span<const std::byte> superblock,
                  const crypto::PublicKey& key) {
  crypto::Signature signature = {};
  std::ranges::copy(package.metadata.signature, signature.begin());
  const auto block = std::span{*package.tail}.first(package.tail->size() - image::kSignatureSize);
  const auto digest =
      image::signed_digest_v2(superblock.first<image::kVeritySuperblockSize>(), block);
  return image::has_low_s(signature) && key.verify(digest, signature).has_value();
}

}  // namespace

bool is_v2_section(const image::Section& section) {
  constexpr std::array<std::string_view, 9> kIds = {"v2", "mt", "cz", "sv", "hw",
                                                    "ki", "bp", "sb", "st"};
  return std::ranges::find(kIds, std::string_view{section.id.data(), section.id.size()}) !=
         kIds.end();
}

std::string lines_v2(const image::Metadata& metadata) {
  const auto& v2 = metadata.v2;
  std::string text;
  if (v2.content) {
    text += line("Body format", image::to_text(v2.content->format));
  }
  if (v2.tree) {
    text += line("Merkle tree", tree_text(*v2.tree));
  }
  text += line("Compression", chunks_text(v2.chunks));
  if (v2.security) {
    text += line("Security version",
                 fmt::format("{} (OS >= {})", v2.security->image, v2.security->least_os));
  }
  if (v2.hardware) {
    text += line("Hardware", fmt::format("{}; {}", machine_name(v2.hardware->machine),
                                         join(v2.hardware->boards, ", ")));
  }
  if (v2.key_id) {
    text += line("Key ID", to_hex(*v2.key_id));
  }
  text += provenance_lines(v2.provenance.value_or(image::Provenance{}));
  if (v2.sbom) {
    text += line("SBOM", fmt::format("{}, {}{}, sha256 {}", format_name(*v2.sbom),
                                     v2.sbom->in_body ? "in the image at " : "", v2.sbom->locator,
                                     to_hex(v2.sbom->digest)));
  }
  if (v2.signing_time) {
    text += line("Signed", time_text(*v2.signing_time));
  }
  return text;
}

void add_values_v2(const image::Metadata& metadata, json::Value& value) {
  const auto& v2 = metadata.v2;
  if (v2.content) {
    value.set("bodyFormat", image::to_text(v2.content->format));
  }
  if (v2.tree) {
    value.set("merkle", json::Value{}
                            .set("blocks", std::uint64_t{v2.tree->data_blocks})
                            .set("levels", std::uint64_t{levels_of(*v2.tree)})
                            .set("root", to_hex(v2.tree->root))
                            .set("salt", to_hex(v2.tree->salt)));
  }
  value.set("compression", v2.chunks
                               ? json::Value{}
                                     .set("algorithm", "zstd")
                                     .set("chunkBytes", std::uint64_t{v2.chunks->chunk_size})
                                     .set("chunks", std::uint64_t{v2.chunks->chunks.size()})
                                     .set("smaller", std::uint64_t{smaller_chunks(*v2.chunks)})
                               : json::Value{});
  const auto security = v2.security.value_or(image::SecurityVersion{});
  value.set("securityVersion", json::Value{}
                                   .set("image", std::uint64_t{security.image})
                                   .set("leastOs", std::uint64_t{security.least_os}));
  value.set("hardware", v2.hardware ? json::Value{}
                                          .set("machine", machine_name(v2.hardware->machine))
                                          .set("boards", json::Array(v2.hardware->boards.begin(),
                                                                     v2.hardware->boards.end()))
                                    : json::Value{});
  json::Value provenance;
  for (const auto& entry : v2.provenance.value_or(image::Provenance{})) {
    provenance.set(entry.key, entry.value);
  }
  value.set("provenance", std::move(provenance));
  value.set("sbom", v2.sbom ? json::Value{}
                                  .set("format", format_name(*v2.sbom))
                                  .set("inImage", v2.sbom->in_body)
                                  .set("locator", v2.sbom->locator)
                                  .set("sha256", to_hex(v2.sbom->digest))
                            : json::Value{});
  value.set("signedUtc",
            v2.signing_time ? json::Value{time_text(*v2.signing_time)} : json::Value{});
}

Result<SignatureReport> look_at_signature_v2(const image::Package& package,
                                             const std::vector<KnownKey>& keys) {
  std::array<std::byte, image::kMerkleBlockSize> buffer = {};
  SPHERE_TRY_ASSIGN(const auto block, package.source->read(package.layout->body_area, buffer));
  const bool fits =
      image::check_verity_superblock(block.first<image::kMerkleBlockSize>(), package.layout->tree,
                                     package.metadata.identity.image_id)
          .has_value();
  SignatureReport report{.result = "unknown key"};
  for (const auto& key : keys) {
    if (key.key.id() == package.metadata.v2.key_id) {
      report = {.result = fits && is_signed_by(package, block, key.key) ? "good" : "bad",
                .key = &key};
    }
  }
  return report;
}

}  // namespace sphere::cli
