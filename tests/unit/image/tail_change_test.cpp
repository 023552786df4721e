// SPDX-License-Identifier: MIT
#include "libsdk/src/image/tail_change.h"

#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <catch2/catch.hpp>

#include "libsdk/src/image/tail_record.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "tests/unit/image/golden.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::image::finish_tail_change;
using sphere::image::tail_record_path;
using sphere::image::TailChange;
using sphere::image::TailRecord;
using sphere::test::to_bytes;

namespace {

constexpr std::string_view kBefore = "body old tail";
constexpr std::string_view kAfter = "body NEW TAIL";
constexpr std::uint64_t kOffset = 5;

struct Fixture {
  Fixture() : directory{*sphere::TemporaryDirectory::create()}, path{directory.path() / "p"} {
    REQUIRE(sphere::write_file(path, kBefore, {.mode = 0640}));
  }
  [[nodiscard]] std::string text() const { return *sphere::read_text_file(path, 100); }
  [[nodiscard]] bool has_record() const { return fs::exists(tail_record_path(path)); }
  [[nodiscard]] sphere::Result<TailChange> prepare() const {
    return TailChange::prepare(path, kOffset, to_bytes(kBefore.substr(kOffset)),
                               to_bytes(kAfter.substr(kOffset)));
  }
  // As a process leaves it that dies when `done` bytes of the tail are written.
  void die_after(std::size_t done) const {
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    const TailRecord record{.inode = status.st_ino,
                            .file_size = kBefore.size(),
                            .offset = kOffset,
                            .before = to_bytes(kBefore.substr(kOffset)),
                            .after = to_bytes(kAfter.substr(kOffset))};
    REQUIRE(sphere::write_file(tail_record_path(path), write_tail_record(record)));
    auto mixed =
        std::string{kAfter.substr(0, kOffset + done)} + std::string{kBefore.substr(kOffset + done)};
    const int file = ::open(path.c_str(), O_WRONLY);
    REQUIRE(::pwrite(file, mixed.data(), mixed.size(), 0) == static_cast<ssize_t>(mixed.size()));
    ::close(file);
  }

  sphere::TemporaryDirectory directory;
  fs::path path;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a tail change replaces the end and leaves no record", "[image]") {
  {
    auto change = prepare();
    REQUIRE(change);
    CHECK(text() == kBefore);
    CHECK(has_record());
    REQUIRE(change->sync_record());
    REQUIRE(change->apply());
    REQUIRE(change->sync_file());
  }
  CHECK(text() == kAfter);
  CHECK_FALSE(has_record());
  struct stat status = {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0640U);
}

TEST_CASE_METHOD(Fixture, "a tail change that is given up changes nothing", "[image]") {
  {
    REQUIRE(prepare());
  }
  CHECK(text() == kBefore);
  CHECK_FALSE(has_record());
}

TEST_CASE_METHOD(Fixture, "a tail change follows symbolic links", "[image]") {
  fs::create_directory(directory.path() / "d");
  const auto link = directory.path() / "d" / "link";
  fs::create_symlink("../p", link);
  path = link;
  {
    auto change = prepare();
    REQUIRE(change);
    CHECK(fs::exists(directory.path() / ".p.signing"));
    REQUIRE(change->apply());
  }
  CHECK(text() == kAfter);
  CHECK(fs::is_symlink(link));
  path = directory.path() / "p";
  die_after(0);
  REQUIRE(finish_tail_change(link));
  CHECK_FALSE(has_record());
}

TEST_CASE_METHOD(Fixture, "a file whose end is another one is not changed", "[image]") {
  for (const std::string_view content : {"body other tai", "body old tail+", "body Old tail", ""}) {
    REQUIRE(sphere::write_file(path, content));
    const auto change = prepare();
    REQUIRE_FALSE(change);
    CHECK(change.error().code() == Errc::io);
    CHECK(text() == content);
    CHECK_FALSE(has_record());
  }
}

TEST_CASE_METHOD(Fixture, "only one process changes a file, and nobody disturbs it", "[image]") {
  auto change = prepare();
  REQUIRE(change);
  const auto second = prepare();
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::busy);
  CHECK(finish_tail_change(path).error().code() == Errc::busy);
  REQUIRE(change->apply());
  CHECK(text() == kAfter);
}

TEST_CASE_METHOD(Fixture, "after a death at any byte the file becomes the old or the new one",
                 "[image]") {
  for (std::size_t done = 0; done <= kBefore.size() - kOffset; ++done) {
    REQUIRE(sphere::write_file(path, kBefore));
    die_after(done);
    REQUIRE(finish_tail_change(path));
    CHECK(text() == (done == 0 ? kBefore : kAfter));
    CHECK_FALSE(has_record());
    CHECK(finish_tail_change(path));
  }
}

TEST_CASE_METHOD(Fixture, "a record of another file or a damaged one changes nothing", "[image]") {
  die_after(3);
  const auto mixed = text();
  REQUIRE(sphere::write_file(path, mixed));  // Another file with the same name and content.
  REQUIRE(finish_tail_change(path));
  CHECK(text() == mixed);
  CHECK_FALSE(has_record());

  die_after(3);
  const int file = ::open(path.c_str(), O_WRONLY);
  REQUIRE(::pwrite(file, "!", 1, kOffset) == 1);
  ::close(file);
  const auto foreign = text();
  REQUIRE(finish_tail_change(path));
  CHECK(text() == foreign);
  CHECK_FALSE(has_record());

  die_after(3);
  fs::resize_file(tail_record_path(path), 60);
  const auto left = text();
  REQUIRE(finish_tail_change(path));
  CHECK(text() == left);
  CHECK_FALSE(has_record());
}

TEST_CASE("a record of a change reads as it was written, and nothing else does", "[image]") {
  const TailRecord record{.inode = 7,
                          .file_size = 20,
                          .offset = 15,
                          .before = to_bytes("12345"),
                          .after = to_bytes("abcde")};
  const auto bytes = write_tail_record(record);
  const auto read = sphere::image::read_tail_record(bytes);
  REQUIRE(read);
  CHECK(read->inode == 7);
  CHECK(read->file_size == 20);
  CHECK(read->offset == 15);
  CHECK(read->before == record.before);
  CHECK(read->after == record.after);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(sphere::image::read_tail_record(std::span{bytes}.first(size)));
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto flipped = bytes;
    flipped[at] ^= std::byte{1};
    CHECK_FALSE(sphere::image::read_tail_record(flipped));
  }
  auto wrong = record;
  wrong.offset = 14;  // The tail would not end with the file.
  CHECK(sphere::image::read_tail_record(write_tail_record(wrong)).error().code() == Errc::corrupt);
}
