// SPDX-License-Identifier: MIT
#include "sphere/image/asxipfs.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::FileSource;
using sphere::image::read_asxipfs;
using sphere::image::write_asxipfs;
using sphere::test::Bytes;
using sphere::test::patched;
using sphere::test::with_crc;
using namespace std::string_view_literals;

namespace {

// Offsets in the golden body; see docs/formats/image-package.md.
constexpr std::size_t kManifestInode = 76;
constexpr std::size_t kBinInode = 108;
constexpr std::size_t kCertsInode = 124;
constexpr std::size_t kMainInode = 144;
constexpr std::size_t kAppInode = 164;
constexpr std::size_t kCaInode = 180;
constexpr std::size_t kEmptyInode = 196;
constexpr std::size_t kRootPemInode = 220;
constexpr std::size_t kDirectoriesEnd = 248;

std::map<std::string, FileSource> random_tree(std::mt19937& random) {
  std::map<std::string, FileSource> files;
  const auto below = [&random](std::size_t limit) {
    return static_cast<std::size_t>(random()) % limit;
  };
  const auto count = 1 + below(200);
  const std::array<std::string, 6> directories = {"", "a/", "a-b/", "a/b/c/", "\xC3\xA4/", "z/y/"};
  for (std::size_t i = 0; i < count; ++i) {
    const auto path = directories.at(below(6)) + std::string(below(40), 'n') + std::to_string(i);
    const auto size = below(4) == 0 ? below(3) * 4096 : below(9000);
    files[path] = {.content = sphere::test::pattern(size, i), .executable = below(3) == 0};
  }
  return files;
}

}  // namespace

TEST_CASE("write_asxipfs gives the golden body", "[image]") {
  const auto body = sphere::test::golden_body();

  CHECK(body.size() == 24'576);
  CHECK(sphere::to_hex(sphere::crypto::sha256(body)) == sphere::test::kGoldenBodySha256);
}

TEST_CASE("read_asxipfs gives what was written", "[image]") {
  const auto body = sphere::test::golden_body();

  const auto system = read_asxipfs(body);

  REQUIRE(system);
  CHECK(system->inode_count == 9);
  CHECK(system->crc == 0x3726E2E2);
  REQUIRE(system->files.size() == 5);
  CHECK(system->files[0].path == "app_manifest.json");
  CHECK(system->files[1].path == "bin/app");
  CHECK(system->files[1].executable);
  CHECK(system->files[1].offset == 8192);
  CHECK(sphere::test::content_of(*system, system->files[1]) == sphere::test::pattern(5000, 3));
  CHECK(system->files[2].path == "certs/ca/root.pem");
  CHECK(system->files[3].path == "certs/empty.txt");
  CHECK(system->files[3].size == 0);
  CHECK(system->files[4].path == "main.txt");
  CHECK(system->files[4].offset == 20'480);
  REQUIRE(system->directories.size() == 3);
  CHECK(system->directories[0].path == "bin");
  CHECK(system->directories[2].path == "certs/ca");
  CHECK(system->find("/bin/app") == &system->files[1]);
  CHECK(system->find("bin") == nullptr);
}

TEST_CASE("an image of no files and an empty directory are read", "[image]") {
  const auto empty = write_asxipfs({});
  REQUIRE(empty);
  REQUIRE(read_asxipfs(*empty));
  CHECK(read_asxipfs(*empty)->inode_count == 1);

  // certs/ca made empty: its entry's bytes and the file's pages are cleared.
  auto body = patched(sphere::test::golden_body(), kCaInode + 4, "\0\0\0\0\x01\0\0\0"sv);
  std::fill_n(body.begin() + kRootPemInode, 28, std::byte{0});
  std::fill_n(body.begin() + 16'384, 4096, std::byte{0});
  const auto system = read_asxipfs(with_crc(patched(std::move(body), 44, "\x08"sv)));
  REQUIRE(system);
  CHECK(system->directories.size() == 3);
}

TEST_CASE("read_asxipfs names what is wrong", "[image]") {
  struct Case {
    std::string name;
    std::size_t offset;
    std::string_view patch;
    std::string_view message;
    Errc code = Errc::corrupt;
  };
  const auto test = GENERATE(values<Case>({
      {"magic", 0, "\x46"sv, "wrong magic"},
      {"size", 5, "\x70"sv, "size 28672 is not the body's 24576"},
      {"flags", 8, "\x07"sv, "flags 0x7", Errc::unsupported},
      {"reserved", 12, "\x01"sv, "wrong reserved field"},
      {"signature", 16, "c"sv, "signature text"},
      {"edition", 36, "\x01"sv, "wrong edition"},
      {"blocks", 40, "\x01"sv, "wrong number of blocks"},
      {"inodes + 1", 44, "\x0A"sv, "it counts 10 inodes; there are 9"},
      {"inodes - 1", 44, "\x08"sv, "it counts 8 inodes; there are 9"},
      {"no inodes", 44, "\0"sv, "0 inodes", Errc::too_large},
      {"4097 inodes", 44, "\x01\x10"sv, "4097 inodes", Errc::too_large},
      {"root mode", 64, "\xE8"sv, "mode 0040750"},
      {"root is a file", 64, "\xA4\x83"sv, "not the root"},
      {"root name", 72, "\xC1"sv, "not the root"},
      {"root offset", 72, "\x00\x14"sv, "not the root"},
      {"root size 0", 68, "\0"sv, "not the root"},
      {"device node", kMainInode, "\xA4\x21"sv, "mode 0020644"},
      {"symbolic link", kMainInode, "\xFF\xA1"sv, "mode 0120777"},
      {"pipe", kMainInode, "\xA4\x11"sv, "mode 0010644"},
      {"socket", kMainInode, "\xA4\xC1"sv, "mode 0140644"},
      {"set-uid", kAppInode, "\xED\x8B"sv, "mode 0105755"},
      {"set-gid", kAppInode, "\xED\x87"sv, "mode 0103755"},
      {"no sticky bit", kAppInode, "\xED\x81"sv, "mode 0100755"},
      {"writable for all", kAppInode, "\xFF"sv, "mode 0101777"},
      {"uid", kAppInode + 2, "\x01"sv, "owner and group"},
      {"gid", kAppInode + 7, "\x01"sv, "owner and group"},
      {"slash", kMainInode + 12, "main/txt"sv, "cannot be the name"},
      {"dots", kBinInode + 12, "..\0\0"sv, "cannot be the name"},
      {"one dot", kBinInode + 12, ".\0\0\0"sv, "cannot be the name"},
      {"empty", kBinInode + 12, "\0\0\0\0"sv, "padding is wrong"},
      {"NUL", kMainInode + 12, "ma\0n"sv, "padding is wrong"},
      {"control character", kMainInode + 12, "m\x1Bin"sv, "cannot be the name"},
      {"not UTF-8", kMainInode + 12, "m\xFFin"sv, "cannot be the name"},
      {"name length 0", kBinInode + 8, "\x40"sv, "cannot be the name"},
      {"unsorted", kMainInode + 12, "aain"sv, "ascending"},
      {"duplicate", kEmptyInode + 12, "ca\0\0\0\0\0\0\0\0\0\0"sv, "padding is wrong"},
      {"entry beyond", kRootPemInode + 8, "\x3F"sv, "beyond its directory"},
      {"directory too small", kBinInode + 4, "\x0C"sv, "beyond its directory"},
      {"directory size 2", kBinInode + 4, "\x02"sv, "directory area"},
      {"directory size 14", kBinInode + 4, "\x0E"sv, "directory area"},
      {"directory behind the body", kBinInode + 8, "\x01\0\x60\0"sv, "directory area"},
      {"directory in the superblock", kBinInode + 8, "\x01\x04\0\0"sv, "directory area"},
      {"directory without entries", kBinInode + 4, "\0"sv, "directory area"},
      {"directory in itself", kCaInode + 4, "\x28\0\0\0\x41\x0B\0\0"sv, "used twice"},
      {"directory in the root", kCaInode + 4, "\x58\0\0\0\xC1\x04\0\0"sv, "used twice"},
      {"file not on a page", kAppInode + 8, "\x41\0\x02"sv, "pages of the body"},
      {"file behind the body", kAppInode + 8, "\x01\0\x06"sv, "pages of the body"},
      {"file among the directories", kAppInode + 8, "\x01\0\0"sv, "pages of the body"},
      {"file over its neighbour", kAppInode + 4, "\x01\x20"sv, "lies in something else"},
      {"file of 16 MiB at the end", kMainInode + 4, "\xFF\xFF\xFF"sv, "pages of the body"},
      {"empty file with data", kEmptyInode + 8, "\x03\0\x50"sv, "an empty file"},
      {"padding of a file", 8192 + 5000, "x"sv, "padding of a file"},
      {"after the directories", kDirectoriesEnd, "x"sv, "nothing owns"},
      {"before the first page", 4095, "x"sv, "nothing owns"},
  }));
  INFO(test.name);
  const auto body = with_crc(patched(sphere::test::golden_body(), test.offset, test.patch));

  const auto system = read_asxipfs(body);

  REQUIRE_FALSE(system);
  CHECK(system.error().code() == test.code);
  CHECK_THAT(system.error().message(), Catch::Contains(std::string{test.message}));
  CHECK_FALSE(system.error().hint().reason.empty());
}

TEST_CASE("a wrong CRC is refused with both values", "[image]") {
  const auto body = patched(sphere::test::golden_body(), 20'480, "B"sv);
  const auto system = read_asxipfs(body);
  REQUIRE_FALSE(system);
  CHECK_THAT(system.error().message(), Catch::Contains("CRC 3726e2e2 is not that of the body"));
}

TEST_CASE("a body that is no whole number of pages is refused", "[image]") {
  const auto body = sphere::test::golden_body();
  for (const std::size_t size : {0, 76, 4095, 4097, 24'575}) {
    CHECK(read_asxipfs(std::span{body}.first(size)).error().code() == Errc::corrupt);
  }
}

TEST_CASE("a zero page that no file owns is accepted, another is not", "[image]") {
  auto body = sphere::test::golden_body();
  body.resize(body.size() + 4096);
  body = with_crc(patched(std::move(body), 4, "\0\x70"sv));
  CHECK(read_asxipfs(body));
  CHECK_FALSE(read_asxipfs(with_crc(patched(std::move(body), 28'671, "x"sv))));
}

TEST_CASE("16 directories above a file are read, 17 are too many", "[image]") {
  std::string path;
  for (int i = 0; i < 16; ++i) {
    path += "d/";
  }
  const auto deepest = write_asxipfs({{path + "f", {.content = sphere::test::to_bytes("x")}}});
  REQUIRE(deepest);
  CHECK(read_asxipfs(*deepest)->find(path + "f") != nullptr);
  CHECK(write_asxipfs({{path + "d/f", {}}}).error().code() == Errc::too_large);

  // 17 directories: the deepest directory's file becomes a directory of its own.
  const auto inode = 76 + 16 * 16;
  const auto deeper = with_crc(patched(*deepest, inode, "\xED\x41\0\0\0\0\0\0\x01\0\0\0"sv));
  const auto refused = read_asxipfs(with_crc(patched(deeper, 4096, "\0"sv)));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::too_large);
}

TEST_CASE("a path of 1023 bytes is read, a longer one is too large", "[image]") {
  std::string path;
  for (int i = 0; i < 4; ++i) {
    path += std::string(252, 'd') + "/";
  }
  REQUIRE(path.size() == 1012);
  const auto longest = write_asxipfs({{path + std::string(11, 'f'), {}}});
  REQUIRE(longest);
  CHECK(read_asxipfs(*longest));
  CHECK(write_asxipfs({{path + std::string(12, 'f'), {}}}).error().code() == Errc::too_large);
  // The last name is padded to 12 bytes; with all of them used the path has 1024.
  const auto at = 76 + 4 * (12 + 252) + 12 + 11;
  const auto refused =
      read_asxipfs(with_crc(patched(*longest, static_cast<std::size_t>(at), "f"sv)));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::too_large);
}

TEST_CASE("4096 inodes are read, one more is too many", "[image]") {
  std::map<std::string, FileSource> files;
  for (int i = 0; i < 4095; ++i) {
    files.emplace("f" + std::to_string(i), FileSource{});
  }
  const auto body = write_asxipfs(files);
  REQUIRE(body);
  CHECK(read_asxipfs(*body)->inode_count == 4096);

  files.emplace("g", FileSource{});
  CHECK(write_asxipfs(files).error().code() == Errc::too_large);
}

TEST_CASE("write_asxipfs refuses paths and sizes that the format cannot hold", "[image]") {
  struct Case {
    std::string name;
    std::vector<std::string> paths;
    Errc code = Errc::invalid_argument;
  };
  const auto test = GENERATE(values<Case>({
      {"empty", {""}},
      {"absolute", {"/a"}},
      {"empty part", {"a//b"}},
      {"up", {"a/../b"}},
      {"here", {"./a"}},
      {"directory", {"a/"}},
      {"control character", {"a\nb"}},
      {"not UTF-8", {"\xFF"}},
      {"NUL", {std::string("a\0b", 3)}},
      {"253 bytes", {std::string(253, 'x')}},
      {"file and directory", {"a", "a/b"}},
  }));
  INFO(test.name);
  std::map<std::string, FileSource> files;
  for (const auto& path : test.paths) {
    files.emplace(path, FileSource{});
  }
  const auto body = write_asxipfs(files);
  REQUIRE_FALSE(body);
  CHECK(body.error().code() == test.code);
}

TEST_CASE("a file of more than 24 bits and files of more than 256 MiB are too large", "[image]") {
  std::map<std::string, FileSource> files;
  files["a"].content.resize(sphere::image::kMaxFileBytes);
  CHECK(write_asxipfs(files));
  files["a"].content.resize(sphere::image::kMaxFileBytes + 1);
  CHECK(write_asxipfs(files).error().code() == Errc::too_large);
}

TEST_CASE("random trees: reading gives what was written, and writing is deterministic", "[image]") {
  std::mt19937 random{20'260'731};  // NOLINT(cert-msc51-cpp): the same trees each time.
  for (int round = 0; round < 40; ++round) {
    const auto files = random_tree(random);
    const auto body = write_asxipfs(files);
    REQUIRE(body);
    CHECK(*body == *write_asxipfs(files));

    const auto system = read_asxipfs(*body);
    REQUIRE(system);
    CHECK(system->files.size() == files.size());
    bool found_all = true;
    for (const auto& [path, file] : files) {
      const auto* entry = system->find(path);
      found_all = found_all && entry != nullptr && entry->executable == file.executable &&
                  sphere::test::content_of(*system, *entry) == file.content;
    }
    CHECK(found_all);
    std::size_t last = 0;
    bool in_order = true;
    for (const auto& file : system->files) {
      in_order = in_order && (file.size == 0 || file.offset > last);
      last = std::max(last, file.offset);
    }
    CHECK(in_order);
  }
}
