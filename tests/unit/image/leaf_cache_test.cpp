// SPDX-License-Identifier: MIT
#include "libsdk/src/image/leaf_cache.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <utility>

#include <catch2/catch.hpp>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/package_directory.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/image/pack_v2.h"
#include "tests/unit/image/golden_v2.h"

using sphere::TemporaryDirectory;
using sphere::test::Bytes;
using sphere::test::GoldenSigner;
using sphere::test::TestTools;

namespace fs = std::filesystem;
namespace image = sphere::image;

namespace {

// Packs and gives bytes and result.
struct Run {
  Bytes bytes;
  image::PackedV2 packed;
};

class Project {
 public:
  Project() {
    for (int i = 0; i < 40; ++i) {
      const auto name = "data/f" + std::to_string(i);
      REQUIRE(sphere::make_directories((directory() / name).parent_path()));
      REQUIRE(sphere::write_file(directory() / name, std::string(40'000, static_cast<char>(i)),
                                 {.sync = false}));
    }
    REQUIRE(sphere::write_file(directory() / "large", std::string(1'000'000, 'x')));
    application = sphere::test::golden_application(directory());
    application.executables.clear();
    application.leaf_cache = root_.path() / "cache";
    tick();
  }

  [[nodiscard]] fs::path directory() const { return root_.path() / "app"; }

  // Lets the kernel's clock go on, so that what was written is older than what comes.
  static void tick() { std::this_thread::sleep_for(std::chrono::milliseconds{20}); }

  Run pack() {
    Run run;
    auto bytes =
        sphere::test::pack_to_memory([&](const image::PackOutput& output) -> sphere::Result<void> {
          SPHERE_TRY_ASSIGN(run.packed, image::pack_application_v2(application, GoldenSigner{},
                                                                   tools_.get(), output));
          return {};
        });
    REQUIRE(bytes);
    run.bytes = *std::move(bytes);
    return run;
  }

  Run pack_without_cache() {
    const auto cache = std::exchange(application.leaf_cache, fs::path{});
    auto run = pack();
    application.leaf_cache = cache;
    return run;
  }

  image::ApplicationV2 application;

 private:
  TemporaryDirectory root_ = *TemporaryDirectory::create();
  TestTools tools_;
};

bool is_equal(const Run& a, const Run& b) {
  return a.bytes.size() == b.bytes.size() &&
         std::equal(a.bytes.begin(), a.bytes.end() - 64, b.bytes.begin());
}

}  // namespace

TEST_CASE("a second pack hashes only what changed, and gives the bytes of a full one", "[image]") {
  Project project;
  const auto full = project.pack();
  CHECK(full.packed.hashed_blocks == full.packed.blocks);
  CHECK(full.packed.notes.empty());

  SECTION("nothing changed: the directories and the manifest") {
    const auto again = project.pack();
    CHECK(again.packed.hashed_blocks == 2);
    CHECK(is_equal(again, full));
  }
  SECTION("a new build time") {
    project.application.info.build_time += 1;
    const auto again = project.pack();
    CHECK(again.packed.hashed_blocks == 2);
    CHECK(is_equal(again, project.pack_without_cache()));
  }
  SECTION("one byte of one file") {
    Project::tick();
    REQUIRE(sphere::write_file(project.directory() / "data/f7", std::string(39'999, '\7') + "!"));
    Project::tick();
    const auto again = project.pack();
    CHECK(again.packed.hashed_blocks == 2 + 10);
    CHECK(is_equal(again, project.pack_without_cache()));
  }
  SECTION("a file more, a file less") {
    REQUIRE(sphere::write_file(project.directory() / "data/a", "new"));
    fs::remove(project.directory() / "data/f20");
    const auto again = project.pack();
    CHECK(again.packed.hashed_blocks <= 4);
    CHECK(is_equal(again, project.pack_without_cache()));
  }
  SECTION("the large file, which lies in several runs") {
    REQUIRE(sphere::write_file(project.directory() / "large", std::string(1'000'001, 'y')));
    Project::tick();
    const auto again = project.pack();
    CHECK(again.packed.hashed_blocks == 2 + 245);
    CHECK(is_equal(again, project.pack_without_cache()));
  }
  SECTION("compressed") {
    project.application.info.compress = true;
    const auto again = project.pack();
    CHECK(again.packed.hashed_blocks == 2);
    CHECK(is_equal(again, project.pack_without_cache()));
  }
}

TEST_CASE("bytes that need no look are copied by the kernel, or else read", "[image]") {
  const auto root = TemporaryDirectory::create();
  REQUIRE(root);
  const auto content = sphere::test::pattern(300'000, 5);
  const auto app = root->path() / "app";
  REQUIRE(sphere::make_directories(app));
  REQUIRE(sphere::write_file(app / "data", content));
  const auto files = image::list_package_directory(app);
  REQUIRE(files);
  const auto& file = files->at("data");
  auto output = sphere::AtomicFile::create(root->path() / "output", {.sync = false});
  REQUIRE(output);
  const image::OutputFile target{.descriptor = output->descriptor(), .name = output->target()};

  SECTION("to its place") {
    const auto copied =
        image::copy_listed(file, {.from = 4096, .size = 200'000, .to = 8192}, target);
    REQUIRE(copied);
    CHECK(*copied);
    Bytes seen(200'000);
    REQUIRE(image::read_at(target, 8192, seen));
    CHECK(std::ranges::equal(seen, std::span{content}.subspan(4096, seen.size())));
  }
  SECTION("more than the file has") {
    const auto copied = image::copy_listed(file, {.from = 4096, .size = 300'000, .to = 0}, target);
    REQUIRE_FALSE(copied);
    CHECK(copied.error().code() == sphere::Errc::io);
  }
  SECTION("a file that is another one now") {
    Project::tick();
    REQUIRE(sphere::write_file(app / "data", content));
    const auto copied = image::copy_listed(file, {.from = 0, .size = 4096, .to = 0}, target);
    REQUIRE_FALSE(copied);
    CHECK(copied.error().message().find("was changed") != std::string::npos);
  }
  SECTION("to what the kernel cannot copy to") {
    const sphere::Descriptor null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
    const auto copied = image::copy_listed(file, {.from = 0, .size = 4096, .to = 0},
                                           {.descriptor = null.get(), .name = "null"});
    REQUIRE(copied);
    CHECK_FALSE(*copied);
  }
}

TEST_CASE("a file whose times are not before the cache's is hashed again", "[image]") {
  Project project;
  const auto file = project.directory() / "data/f3";
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::hours{1});
  const auto first = project.pack();
  const auto second = project.pack();
  CHECK(second.packed.hashed_blocks == 2 + 10);
  CHECK(is_equal(first, second));
}

TEST_CASE("a damaged or foreign cache is ignored with a note", "[image]") {
  Project project;
  const auto full = project.pack();
  const auto& path = project.application.leaf_cache;

  SECTION("damaged") {
    auto bytes = *sphere::read_file(path, 10'000'000);
    bytes[bytes.size() / 2] ^= std::byte{1};
    REQUIRE(sphere::write_file(path, bytes));
    const auto again = project.pack();
    REQUIRE(again.packed.notes.size() == 1);
    CHECK(again.packed.notes.at(0).find("damaged") != std::string::npos);
    CHECK(again.packed.hashed_blocks == again.packed.blocks);
    CHECK(is_equal(again, full));
  }
  SECTION("of another component") {
    project.application.info.component_id =
        *sphere::Guid::parse("00112233-4455-6677-8899-aabbccddeeff");
    const auto again = project.pack();
    REQUIRE(again.packed.notes.size() == 1);
    CHECK(again.packed.notes.at(0).find("another component") != std::string::npos);
  }
}

TEST_CASE("verifying the cache finds an entry that is wrong", "[image]") {
  Project project;
  const auto full = project.pack();
  const auto& path = project.application.leaf_cache;
  auto cache = image::LeafCache::parse(*sphere::read_file(path, 10'000'000));
  REQUIRE(cache);
  struct stat status = {};
  REQUIRE(::stat((project.directory() / "data/f9").c_str(), &status) == 0);
  const auto stamp = image::stamp_of(status);
  const auto* facts = cache->find("data/f9", stamp);
  REQUIRE(facts != nullptr);
  auto wrong = *facts;
  wrong.leaves[0][0] ^= std::byte{1};
  cache->add("data/f9", stamp, wrong);
  REQUIRE(sphere::write_file(path, cache->write()));
  project.application.verify_cache = true;

  const auto checked = project.pack();

  CHECK(checked.packed.stale == std::vector<std::string>{"data/f9"});
  CHECK(checked.packed.hashed_blocks == checked.packed.blocks);
  CHECK(is_equal(checked, full));
  CHECK(project.pack().packed.stale.empty());  // Set right by the check.
}

TEST_CASE("a cache survives a round trip, and no cut or changed one is read", "[image]") {
  image::LeafCache cache{image::MerkleSalt{}, 1000};
  cache.add("a", {.device = 1, .inode = 2, .size = 5000, .modified = 3, .changed = 4},
            {.crc = 5, .digest = {}, .leaves = {image::MerkleHash{}, image::MerkleHash{}}});
  const auto bytes = cache.write();
  const auto read = image::LeafCache::parse(bytes);
  REQUIRE(read);
  CHECK(read->write() == bytes);
  CHECK(read->find("a", {.device = 1, .inode = 2, .size = 5000, .modified = 3, .changed = 4}));
  CHECK_FALSE(
      read->find("a", {.device = 1, .inode = 2, .size = 5000, .modified = 3, .changed = 5}));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(image::LeafCache::parse(std::span{bytes}.first(size)));
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] ^= std::byte{1};
    CHECK_FALSE(image::LeafCache::parse(changed));
  }
}
