// SPDX-License-Identifier: MIT
#include "sphere/image/pack_v2.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/compression.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package_v2.h"
#include "tests/support/skip.h"
#include "tests/unit/image/golden_v2.h"

using sphere::Errc;
using sphere::TemporaryDirectory;
using sphere::test::Bytes;
using sphere::test::pack_v2;
using sphere::test::TestTools;

namespace fs = std::filesystem;
namespace image = sphere::image;

namespace {

constexpr std::size_t kBody = 24'576;

std::string hex_digest(std::span<const std::byte> bytes) {
  return sphere::to_hex(sphere::crypto::sha256(bytes));
}

// The file with another signature.
Bytes with_signature(Bytes package, std::string_view signature) {
  const auto bytes = sphere::from_hex(signature);
  REQUIRE(bytes);
  return sphere::test::patched(std::move(package), package.size() - 64, std::span{*bytes});
}

Bytes unsigned_part(const Bytes& package) {
  REQUIRE(package.size() > 64);
  return {package.begin(), package.end() - 64};
}

image::LayoutV2 layout_of(const Bytes& package) {
  const auto metadata = image::read_metadata(package);
  REQUIRE(metadata);
  const auto layout =
      image::check_v2_metadata(*metadata, package.size() - metadata->body_size, package.size());
  REQUIRE(layout);
  return *layout;
}

// Leaves of the body, from the hash area.
std::vector<image::MerkleHash> leaves_of(const Bytes& package) {
  const auto layout = layout_of(package);
  const auto& shape = layout.tree.shape;
  std::vector<image::MerkleHash> leaves(static_cast<std::size_t>(shape.data_blocks()));
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto at =
        static_cast<std::size_t>(layout.body_area + shape.offset(0, i / 128)) + i % 128 * 32;
    std::ranges::copy(std::span{package}.subspan(at, 32), leaves[i].begin());
  }
  return leaves;
}

Bytes random_bytes(std::mt19937& random, std::size_t size) {
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

// Files of all sizes, some of which lie in several runs of 256 KiB.
void write_random_tree(const fs::path& directory, std::uint32_t seed, std::size_t files) {
  std::mt19937 random{seed};
  constexpr std::array<std::size_t, 6> kSizes = {0, 1, 4096, 5000, 70'000, 900'000};
  for (std::size_t i = 0; i < files; ++i) {
    const auto folder = directory / ("d" + std::to_string(random() % 5));
    REQUIRE(sphere::make_directories(folder));
    REQUIRE(sphere::write_file(folder / ("f" + std::to_string(i)),
                               random_bytes(random, kSizes.at(random() % kSizes.size())),
                               {.sync = false}));
  }
}

image::ApplicationV2 random_application(const fs::path& directory) {
  auto application = sphere::test::golden_application(directory);
  application.executables.clear();
  return application;
}

}  // namespace

TEST_CASE("the golden package v2 comes out byte for byte", "[image]") {
  const auto package = sphere::test::golden_package_v2();

  CHECK(package.size() == 33'341);
  CHECK(hex_digest(std::span{package}.first(kBody)) == sphere::test::kGoldenBodySha256);
  CHECK(hex_digest(std::span{package}.subspan(kBody, 512)) ==
        "933cb96074975cf0d91a838235c17f7ca29932681c324e39701cb9a9f5d4bbeb");
  const Bytes metadata{package.begin() + 32'768, package.begin() + 33'277};
  CHECK(sphere::to_hex(metadata) == sphere::to_hex(sphere::test::golden_v2_metadata()));
  CHECK(hex_digest(metadata) == "9c74887dfe13cce969069994423d1edfa7e2dff23f9c45e84a55dd12f570249f");
  CHECK(sphere::to_hex(image::signed_digest_v2(
            std::span{package}.subspan(kBody).first<image::kVeritySuperblockSize>(), metadata)) ==
        "d353a5055dcc5bf40a60a5258373f345e30beab405874aedb8d0fd31cb8e05cb");
  CHECK(hex_digest(with_signature(package, sphere::test::kGoldenSignatureV2)) ==
        "785d96f32a52d2455edf6bfd403cfe740ac804393ccbb754f6ce1531e8b4b198");
}

TEST_CASE("a second version keeps the leaves of the blocks that are equal", "[image]") {
  const auto directory = TemporaryDirectory::create();
  REQUIRE(directory);
  sphere::test::write_golden_files(directory->path());
  TestTools tools;
  const auto application = sphere::test::golden_application(directory->path());
  const auto first = pack_v2(application, tools.get());
  REQUIRE(first);
  REQUIRE(sphere::write_file(directory->path() / "main.txt", "B"));
  const auto second = pack_v2(application, tools.get());
  REQUIRE(second);

  CHECK(hex_digest(std::span{*second}.first(kBody)) ==
        "f6b0c84bde53712a8db3c1d63f11a9201d060ffab33f3b578307978d7f4d983a");
  const auto metadata = image::read_metadata(*second);
  REQUIRE(metadata);
  CHECK(metadata->identity.image_id.text() == "cb5e82e3-30ca-8aac-bd79-7d86ad374d34");
  CHECK(sphere::to_hex(metadata->v2.tree->root) ==
        "2030f81f6a99898200b7723ab6e624976d78ddb60dc015b0edcc8cbdf4d25e57");
  CHECK(metadata->v2.provenance->at(1).value ==
        "3c28b0765774125a94eb958feba3f4b30053c2e53667f90a6b3502072f3cb35f");
  const auto before = leaves_of(*first);
  const auto after = leaves_of(*second);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK((before.at(i) == after.at(i)) == (i != 0 && i != 5));
  }
}

TEST_CASE("packing v2 gives the same bytes whatever the number of threads", "[image]") {
  const auto directory = TemporaryDirectory::create();
  REQUIRE(directory);
  write_random_tree(directory->path(), 7, 60);
  const auto application = random_application(directory->path());
  TestTools one{1};
  TestTools two{2};
  TestTools eight{8};

  const auto serial = pack_v2(application, one.get());
  REQUIRE(serial);
  CHECK(serial->size() > std::size_t{4} << 20U);
  const auto layout = layout_of(*serial);
  const auto body = std::span{*serial}.first(static_cast<std::size_t>(layout.body_area));

  SECTION("two and eight threads") {
    for (auto* tools : {&two, &eight}) {
      const auto parallel = pack_v2(application, tools->get());
      REQUIRE(parallel);
      CHECK(unsigned_part(*parallel) == unsigned_part(*serial));
    }
  }
  SECTION("the body is the one of package v1") {
    std::map<std::string, image::FileSource> files;
    files["app_manifest.json"].content = sphere::test::to_bytes(application.manifest_text);
    for (const auto& entry : fs::recursive_directory_iterator{directory->path()}) {
      if (entry.is_regular_file()) {
        files[fs::relative(entry.path(), directory->path()).string()].content =
            *sphere::read_file(entry.path(), 1'000'000);
      }
    }
    const auto expected = image::write_asxipfs(files);
    REQUIRE(expected);
    CHECK(std::ranges::equal(body, *expected));
  }
  SECTION("the digest of the inputs is that of the files") {
    std::string text;
    const auto parsed = image::read_asxipfs(body);
    REQUIRE(parsed);
    std::map<std::string, std::string> lines;
    for (const auto& file : parsed->files) {
      lines[file.path] =
          hex_digest(body.subspan(static_cast<std::size_t>(file.offset), file.size)) + " 0644 /" +
          file.path + "\n";
    }
    for (const auto& [path, line] : lines) {
      text += line;
    }
    const auto metadata = image::read_metadata(*serial);
    REQUIRE(metadata);
    CHECK(metadata->v2.provenance->at(1).value == hex_digest(std::as_bytes(std::span{text})));
  }
  SECTION("the tree is the one of its body") {
    const image::MemoryBlocks source{body};
    const auto tools = two.get();
    const auto root = image::build_merkle_tree({.engine = *tools.engine,
                                                .pool = *tools.pool,
                                                .shape = layout.tree.shape,
                                                .salt = layout.tree.salt},
                                               source);
    REQUIRE(root);
    CHECK(*root == layout.tree.root);
  }
}

TEST_CASE("a raw image is packed as it is and padded", "[image]") {
  TestTools tools;
  std::mt19937 random{3};
  const auto size = GENERATE(std::size_t{1}, std::size_t{4096}, std::size_t{4097},
                             std::size_t{600'000}, std::size_t{5'000'001});
  const auto bytes = random_bytes(random, size);
  const image::MemoryBlocks source{bytes};

  const auto package =
      pack_v2({.source = &source, .size = size, .info = sphere::test::golden_info()}, tools.get());

  REQUIRE(package);
  CHECK(std::ranges::equal(std::span{*package}.first(size), bytes));
  const auto metadata = image::read_metadata(*package);
  REQUIRE(metadata);
  CHECK(metadata->v2.content->format == image::BodyFormat::block_image);
  CHECK(metadata->v2.content->content_size == size);
  CHECK(metadata->v2.content->body_size == (size + 4095) / 4096 * 4096);
  CHECK(metadata->v2.provenance->size() == 3);  // No "inputs".
  CHECK(layout_of(*package).expanded);
}

TEST_CASE("an image must be of the format that it is said to be", "[image]") {
  TestTools tools;
  const auto pack = [&](const Bytes& bytes, image::BodyFormat format) {
    const image::MemoryBlocks source{bytes};
    return pack_v2({.source = &source,
                    .size = bytes.size(),
                    .format = format,
                    .info = sphere::test::golden_info()},
                   tools.get());
  };
  const Bytes zeros(8192);
  for (const auto format :
       {image::BodyFormat::device_tree, image::BodyFormat::squashfs, image::BodyFormat::erofs}) {
    const auto refused = pack(zeros, format);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::invalid_argument);
  }
  CHECK(pack(sphere::test::patched(zeros, 0, "hsqs"), image::BodyFormat::squashfs));
  CHECK(pack(sphere::test::patched(zeros, 1024, "\xE2\xE1\xF5\xE0"), image::BodyFormat::erofs));
  CHECK(pack(sphere::test::patched(zeros, 0, "\xD0\x0D\xFE\xED"), image::BodyFormat::device_tree));
  CHECK_FALSE(pack(Bytes(100), image::BodyFormat::erofs));
  CHECK_FALSE(pack({}, image::BodyFormat::block_image));
  CHECK_FALSE(pack(zeros, image::BodyFormat::asxipfs));
}

TEST_CASE("the derived image id changes with what tells images apart and nothing else", "[image]") {
  const auto base = [] {
    image::MetadataV2 metadata{
        .identity = {.component_id = *sphere::Guid::parse(sphere::test::kGoldenComponent)},
        .debug = {.build_time = 1, .name = "n"}};
    metadata.sections.content = image::ContentHeader{.content_size = 1, .body_size = 4096};
    metadata.sections.tree = image::TreeHeader{};
    return metadata;
  };
  const auto id = image::derived_image_id_v2(base());
  CHECK(id.text()[14] == '8');
  const auto changed = [&](auto change) {
    auto metadata = base();
    change(metadata);
    return image::derived_image_id_v2(metadata) != id;
  };
  CHECK(changed([](auto& m) { m.sections.tree->root[0] = std::byte{1}; }));
  CHECK(changed([](auto& m) { m.sections.content->content_size = 2; }));
  CHECK(changed([](auto& m) { m.debug.name = "o"; }));
  CHECK(changed([](auto& m) { m.debug.build_time = 2; }));
  CHECK(changed([](auto& m) { m.depends.emplace(); }));
  CHECK(changed([](auto& m) { m.sections.security.emplace(); }));
  CHECK(changed([](auto& m) {
    m.sections.hardware = image::TargetHardware{.machine = 40, .boards = {"a"}};
  }));
  CHECK_FALSE(changed([](auto& m) { m.temporary = 2; }));
  CHECK_FALSE(changed([](auto& m) { m.sections.key_id.emplace(); }));
  CHECK_FALSE(changed([](auto& m) { m.sections.signing_time = 1; }));
  CHECK_FALSE(changed([](auto& m) { m.sections.chunks.emplace(); }));
  CHECK_FALSE(changed([](auto& m) { m.sections.content->stored_size = 4096; }));
}

TEST_CASE("a missing executable or directory is refused", "[image]") {
  const auto directory = TemporaryDirectory::create();
  REQUIRE(directory);
  TestTools tools;
  const auto without = pack_v2(sphere::test::golden_application(directory->path()), tools.get());
  REQUIRE_FALSE(without);
  CHECK(without.error().hint().reason == "package.executable");
  CHECK_FALSE(pack_v2(sphere::test::golden_application(directory->path() / "none"), tools.get()));
}

TEST_CASE("signatures get a low s", "[image]") {
  const sphere::test::GoldenSigner signer;
  std::size_t high = 0;
  for (int i = 0; i < 40; ++i) {
    const auto text = std::to_string(i);
    const std::array<sphere::crypto::Sha256Digest, 1> digests = {
        sphere::crypto::sha256(std::as_bytes(std::span{text}))};
    const auto signature = signer.sign(digests)->at(0);
    const auto low = image::with_low_s(signature);
    CHECK(image::has_low_s(low));
    CHECK(signer.public_key().verify(digests[0], low));
    CHECK((low == signature) == image::has_low_s(signature));
    high += image::has_low_s(signature) ? 0 : 1;
  }
  CHECK(high > 0);  // Of 40, none with a chance of 2^-40.
}

TEST_CASE("the border of low s is half the order", "[image]") {
  sphere::crypto::Signature signature = {};
  const auto with_s = [&](std::string_view s) {
    std::ranges::copy(*sphere::from_hex(s), signature.begin() + 32);
    return signature;
  };
  CHECK(
      image::has_low_s(with_s("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8")));
  CHECK_FALSE(
      image::has_low_s(with_s("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9")));
}

TEST_CASE("a compressed package has the tree, image id and body of the expanded one", "[image]") {
  const auto directory = TemporaryDirectory::create();
  REQUIRE(directory);
  write_random_tree(directory->path(), 11, 20);
  const std::string text(3'000'000, 'x');
  REQUIRE(sphere::write_file(directory->path() / "text", text, {.sync = false}));
  auto application = random_application(directory->path());
  TestTools one{1};
  TestTools two{2};
  const auto expanded = pack_v2(application, one.get());
  REQUIRE(expanded);
  application.info.compress = true;

  const auto compressed = pack_v2(application, two.get());

  REQUIRE(compressed);
  CHECK(compressed->size() + 2'900'000 < expanded->size());
  const auto a = image::read_metadata(*expanded);
  const auto b = image::read_metadata(*compressed);
  REQUIRE((a && b));
  CHECK(a->identity.image_id == b->identity.image_id);
  CHECK(a->v2.tree->root == b->v2.tree->root);
  const auto layout = layout_of(*compressed);
  CHECK_FALSE(layout.expanded);
  CHECK(
      std::ranges::equal(std::span{*expanded}.subspan(
                             static_cast<std::size_t>(layout_of(*expanded).body_area) + 4096,
                             static_cast<std::size_t>(layout.tree.shape.hash_area_size()) - 4096),
                         std::span{*compressed}.subspan(
                             static_cast<std::size_t>(layout.body_area) + 4096,
                             static_cast<std::size_t>(layout.tree.shape.hash_area_size()) - 4096)));

  SECTION("its chunks decode to the body") {
    sphere::image::ZstdDecoder decoder;
    std::size_t at = 0;
    std::size_t offset = 0;
    for (const auto& chunk : b->v2.chunks->chunks) {
      const auto stored = std::span{*compressed}.subspan(at, chunk.stored_length);
      CHECK(sphere::crypto::sha256(stored) == chunk.digest);
      Bytes body(std::min<std::size_t>(262'144, layout_of(*expanded).body_area - offset));
      if (chunk.compressed) {
        REQUIRE(decoder.decode(stored, body));
      } else {
        std::ranges::copy(stored, body.begin());
      }
      CHECK(std::ranges::equal(body, std::span{*expanded}.subspan(offset, body.size())));
      at += stored.size();
      offset += body.size();
    }
    CHECK(std::ranges::all_of(std::span{*compressed}.subspan(at, layout.body_area - at),
                              [](std::byte byte) { return byte == std::byte{0}; }));
  }
  SECTION("one thread and two give the same bytes") {
    const auto again = pack_v2(application, one.get());
    REQUIRE(again);
    CHECK(unsigned_part(*again) == unsigned_part(*compressed));
  }
}

TEST_CASE("what compression does not make smaller is stored as it is", "[image]") {
  TestTools tools;
  std::mt19937 random{9};
  auto bytes = random_bytes(random, 1'200'000);
  const bool partly = GENERATE(false, true);
  if (partly) {
    // Saves less than a page in the chunk in the middle.
    std::ranges::fill(std::span{bytes}.subspan(300'000, 2000), std::byte{0});
  }
  bytes.resize(1'200'128);  // A multiple of 4096 that ends with the last zeros.
  const image::MemoryBlocks source{bytes};
  auto info = sphere::test::golden_info();
  info.compress = true;

  const auto package =
      pack_v2({.source = &source, .size = bytes.size(), .info = info}, tools.get());

  REQUIRE(package);
  CHECK(layout_of(*package).expanded);
  CHECK_FALSE(image::read_metadata(*package)->v2.chunks);
  CHECK(std::ranges::equal(std::span{*package}.first(bytes.size()), bytes));
}

TEST_CASE("veritysetup accepts a package v2 as its own hash device", "[image]") {
  const auto* tool = "/usr/sbin/veritysetup";
  SKIP_UNLESS(fs::exists(tool), "no veritysetup: install the Debian package cryptsetup-bin");
  const auto directory = TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "package";
  const auto accepts = [&](const Bytes& bytes) {
    REQUIRE(sphere::write_file(path, bytes));
    const auto layout = layout_of(bytes);
    const auto result = sphere::run_captured(
        {.program = tool,
         .arguments = {"verify", path.string(), path.string(), sphere::to_hex(layout.tree.root),
                       "--hash-offset=" + std::to_string(layout.body_area)}},
        std::chrono::seconds{30});
    REQUIRE(result);
    return result->status.success();
  };
  auto bytes = sphere::test::golden_package_v2();

  CHECK(accepts(bytes));
  bytes[20'000] ^= std::byte{1};
  CHECK_FALSE(accepts(bytes));
}
