// SPDX-License-Identifier: MIT
#include "sphere/recovery/file_set.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/crc.h"
#include "tests/support/bytes.h"

namespace sphere::recovery {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

struct Entry {
  std::string name;
  Bytes content;
  Bytes packed = {};  // Empty: stored.
  std::uint16_t flags = 0;
  std::uint32_t attributes = 0;
  std::uint32_t size = 0;  // 0: that of the content.
  std::uint32_t crc = 0;   // 0: that of the content.
  std::string local_name = {};
};

Bytes make_zip(const std::vector<Entry>& entries) {
  Writer out;
  Writer directory;
  for (const Entry& entry : entries) {
    const Bytes& data = entry.packed.empty() ? entry.content : entry.packed;
    const auto offset = static_cast<std::uint32_t>(out.size());
    Writer fields;
    fields.little_endian(entry.flags)
        .little_endian<std::uint16_t>(entry.packed.empty() ? 0 : 8)
        .zeros(4)
        .little_endian(entry.crc == 0 ? crc32(entry.content) : entry.crc)
        .little_endian(static_cast<std::uint32_t>(data.size()))
        .little_endian(entry.size == 0 ? static_cast<std::uint32_t>(entry.content.size())
                                       : entry.size)
        .little_endian(static_cast<std::uint16_t>(entry.name.size()))
        .zeros(2);
    const std::string& local = entry.local_name.empty() ? entry.name : entry.local_name;
    out.text("PK\x03\x04").zeros(2).bytes(fields.data()).text(local).bytes(data);
    directory.text(std::string_view{"PK\x01\x02"})
        .zeros(4)
        .bytes(fields.data())
        .zeros(6)
        .little_endian(entry.attributes)
        .little_endian(offset)
        .text(entry.name);
  }
  const auto start = static_cast<std::uint32_t>(out.size());
  const auto count = static_cast<std::uint16_t>(entries.size());
  out.bytes(directory.data())
      .text("PK\x05\x06")
      .zeros(4)
      .little_endian(count)
      .little_endian(count)
      .little_endian(static_cast<std::uint32_t>(directory.size()))
      .little_endian(start)
      .zeros(2);
  return std::move(out).take();
}

Result<FileSet> open_zip(const Bytes& archive) {
  const auto directory = TemporaryDirectory::create().value();
  REQUIRE(write_file(directory.path() / "set.zip", archive));
  return FileSet::open(directory.path() / "set.zip");
}

std::string content_of(const FileSet& set, std::string_view name) {
  const auto* const file = set.find(name);
  REQUIRE(file != nullptr);
  Bytes bytes(static_cast<std::size_t>(file->size));
  REQUIRE(set.read(name, 0, bytes));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// "aaaaaaaaaa" deflated: a literal and a match.
const Bytes kTenA = test::from_hex("4B 4C 84 01 00");

TEST_CASE("a folder is a set; one folder in it is stepped into, hidden files are left out") {
  const auto directory = TemporaryDirectory::create().value();
  const auto inner = directory.path() / "mt3620an";
  std::filesystem::create_directory(inner);
  REQUIRE(write_file(inner / "b.bin", std::string_view{"bee"}));
  REQUIRE(write_file(inner / "a.bin", std::string_view{"ay"}));
  REQUIRE(write_file(inner / ".hidden", std::string_view{"x"}));

  const auto set = FileSet::open(directory.path()).value();

  REQUIRE(set.files().size() == 2);
  CHECK(set.files()[0].name == "a.bin");
  CHECK(set.total_size() == 5);
  CHECK(content_of(set, "b.bin") == "bee");
  CHECK(set.files()[1].sha256 == crypto::sha256(bytes_of("bee")));
  Bytes more(4);
  CHECK_FALSE(set.read("b.bin", 0, more));
  CHECK_FALSE(set.read("c.bin", 0, {}));
}

TEST_CASE("what was checked is what is read, whatever happens to the folder") {
  const auto directory = TemporaryDirectory::create().value();
  REQUIRE(write_file(directory.path() / "a.bin", std::string_view{"good"}));
  const auto set = FileSet::open(directory.path()).value();

  REQUIRE(write_file(directory.path() / "a.bin", std::string_view{"evil"}));

  CHECK(content_of(set, "a.bin") == "good");
}

TEST_CASE("folders, links and strange names are refused in a folder") {
  const auto refused = [](auto make) {
    const auto directory = TemporaryDirectory::create().value();
    REQUIRE(write_file(directory.path() / "a.bin", std::string_view{"x"}));
    make(directory.path());
    const auto set = FileSet::open(directory.path());
    return !set && set.error().hint().reason == "recovery.image-refused";
  };
  namespace fs = std::filesystem;
  CHECK(refused([](const fs::path& path) { fs::create_directory(path / "sub"); }));
  CHECK(refused([](const fs::path& path) { fs::create_symlink("a.bin", path / "l.bin"); }));
  CHECK(refused(
      [](const fs::path& path) { REQUIRE(write_file(path / "a b.bin", std::string_view{"x"})); }));
  CHECK_FALSE(refused([](const fs::path& /*path*/) {}));
}

TEST_CASE("the digest of a set changes with each name and byte") {
  const auto digest = [](std::string_view name, std::string_view text) {
    return open_zip(make_zip({{.name = std::string{name}, .content = bytes_of(text)}}))
        .value()
        .digest();
  };
  CHECK(digest("a", "x") == digest("a", "x"));
  CHECK(digest("a", "x") != digest("b", "x"));
  CHECK(digest("a", "x") != digest("a", "y"));
}

TEST_CASE("a zip archive is a set, stored and deflated, in a folder or not") {
  const auto set =
      open_zip(make_zip({{.name = "f/", .content = {}},
                         {.name = "f/a.bin", .content = bytes_of("stored")},
                         {.name = "f/b.bin", .content = bytes_of("aaaaaaaaaa"), .packed = kTenA}}))
          .value();
  CHECK(set.files().size() == 2);
  CHECK(content_of(set, "a.bin") == "stored");
  CHECK(content_of(set, "b.bin") == "aaaaaaaaaa");
  CHECK(open_zip(make_zip({{.name = "a.bin", .content = bytes_of("x")}})).value().find("a.bin"));
}

TEST_CASE("archives that could harm or mean two things are refused") {
  const Bytes x = bytes_of("x");
  const std::vector<std::vector<Entry>> bad = {
      {{.name = "../a", .content = x}},
      {{.name = "/a", .content = x}},
      {{.name = "f/a", .content = x}, {.name = "b", .content = x}},
      {{.name = "f/g/a", .content = x}},
      {{.name = "a\\b", .content = x}},
      {{.name = "a", .content = x}, {.name = "a", .content = x}},
      {{.name = "a", .content = x, .attributes = 0120777U << 16}},
      {{.name = "a", .content = x, .flags = 1}},
      {{.name = "a", .content = x, .crc = 1}},
      {{.name = "a", .content = x, .size = 2}},
      {{.name = "a", .content = bytes_of("xy"), .size = 1}},
      {{.name = "a", .content = bytes_of("aaaaaaaaaa"), .packed = kTenA, .size = 9}},
      {{.name = "a", .content = bytes_of("aaaaaaaaaa"), .packed = kTenA, .size = 11}},
      {{.name = "a", .content = x, .packed = test::from_hex("FF FF")}},
      {{.name = "a", .content = x, .local_name = "b"}},
      {{.name = "a", .content = x, .size = 0xFFFFFFFF}},
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    INFO(i);
    const auto set = open_zip(make_zip(bad[i]));
    REQUIRE_FALSE(set);
    CHECK(set.error().hint().reason == "recovery.image-refused");
  }
  CHECK_FALSE(open_zip(make_zip(std::vector<Entry>(257, Entry{.name = "a", .content = x}))));
}

TEST_CASE("an archive cut anywhere is refused") {
  const Bytes archive = make_zip({{.name = "a.bin", .content = bytes_of("content")}});
  for (std::size_t size = 0; size < archive.size(); ++size) {
    CHECK_FALSE(open_zip({archive.begin(), archive.begin() + static_cast<std::ptrdiff_t>(size)}));
  }
}

TEST_CASE("a capability file goes along without changing the set") {
  const auto directory = TemporaryDirectory::create().value();
  REQUIRE(write_file(directory.path() / "cap", std::string_view{"capability"}));
  auto set = open_zip(make_zip({{.name = "a", .content = bytes_of("x")}})).value();
  const auto before = set.digest();

  CHECK_FALSE(set.add("/capability", directory.path() / "cap", 5));
  REQUIRE(set.add("/capability", directory.path() / "cap", 100));

  CHECK(set.digest() == before);
  CHECK(content_of(set, "/capability") == "capability");
}

}  // namespace
}  // namespace sphere::recovery
