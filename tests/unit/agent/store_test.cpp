// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/store.h"

#include <csignal>
#include <filesystem>
#include <set>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/apps/disk.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/digest.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
namespace fs = std::filesystem;

// Does what the real one does, until step `stop`: there the process is killed, before or after the
// step; or the step fails.
class StoppingDisk final : public StoreDisk {
 public:
  enum class Way : std::uint8_t { kill_before, kill_after, no_space };
  StoppingDisk(int stop, Way way) : left_{stop}, way_{way} {}

  Result<void> place(const fs::path& from, const fs::path& to) override {
    return step([&] { return disk_.place(from, to); });
  }
  Result<void> write(const fs::path& path, std::string_view text) override {
    return step([&] { return disk_.write(path, text); });
  }
  Result<void> remove(const fs::path& path) override {
    return step([&] { return disk_.remove(path); });
  }
  [[nodiscard]] bool stopped() const { return left_ < 0; }

 private:
  template <typename Act>
  Result<void> step(Act act) {
    if (left_-- != 0) {
      return act();
    }
    if (way_ == Way::no_space) {
      return fail(Errc::no_space, "no space left on device");
    }
    if (way_ == Way::kill_after) {
      [[maybe_unused]] const auto done = act();
    }
    ::kill(::getpid(), SIGKILL);
    return {};
  }

  SystemStoreDisk disk_;
  int left_;
  Way way_;
};

// An app whose file is the text of its image id.
StoredApp make_app(int component, int image) {
  StoredApp app{.component = test::test_guid(component), .image = test::test_guid(image)};
  const auto text = app.image.text();
  app.name = "app";
  app.digest = to_hex(crypto::sha256(std::as_bytes(std::span{text})));
  app.bytes = text.size();
  return app;
}

void stage(AppStore& store, const StoredApp& app) {
  const auto path = store.upload_path();
  REQUIRE(write_file(path, app.image.text()));
  REQUIRE(store.stage(path, app));
}

// Component and image of all that is installed; every image must be readable and whole.
std::set<std::string> content(const AppStore& store) {
  std::set<std::string> found;
  for (const auto& app : store.installed()) {
    const auto text = read_text_file(store.image_path(app), 4096);
    REQUIRE(text);
    CHECK(*text == app.image.text());
    found.insert(app.component.text() + " " + app.image.text());
  }
  return found;
}

std::set<std::string> expected(std::initializer_list<std::pair<int, int>> apps) {
  std::set<std::string> wanted;
  for (const auto& [component, image] : apps) {
    wanted.insert(test::test_guid(component).text() + " " + test::test_guid(image).text());
  }
  return wanted;
}

// Apps 1 and 2, as versions 11 and 12.
void prepare(const fs::path& directory) {
  SystemStoreDisk disk;
  auto store = AppStore::open(directory, disk).value();
  stage(store, make_app(1, 11));
  stage(store, make_app(2, 12));
  REQUIRE(store.commit());
}

// App 1 becomes version 21, app 3 comes as 23.
bool update(const fs::path& directory, StoreDisk& disk) {
  auto store = AppStore::open(directory, disk);
  if (!store) {
    return false;
  }
  for (const auto& app : {make_app(1, 21), make_app(3, 23)}) {
    const auto path = store->upload_path();
    if (!write_file(path, app.image.text()) || !store->stage(path, app)) {
      return false;
    }
  }
  return store->commit().has_value();
}

// Runs `work` in a process of its own; says whether it was killed.
template <typename Work>
bool killed(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_CASE("an app set survives a restart with its user numbers") {
  const auto folder = TemporaryDirectory::create().value();
  prepare(folder.path());
  SystemStoreDisk disk;

  const auto store = AppStore::open(folder.path(), disk).value();

  CHECK(content(store) == expected({{1, 11}, {2, 12}}));
  CHECK(store.find(test::test_guid(1))->user != store.find(test::test_guid(2))->user);
  CHECK(store.staged().empty());
}

TEST_CASE("an install killed at any step leaves the old set or the new one") {
  const auto way = GENERATE(StoppingDisk::Way::kill_before, StoppingDisk::Way::kill_after);
  int old_sets = 0;
  int new_sets = 0;
  for (int step = 0;; ++step) {
    INFO("step " << step);
    const auto folder = TemporaryDirectory::create().value();
    prepare(folder.path());

    const bool was_killed = killed([&] {
      StoppingDisk disk{step, way};
      [[maybe_unused]] const bool done = update(folder.path(), disk);
    });
    SystemStoreDisk disk;
    const auto store = AppStore::open(folder.path(), disk).value();

    const auto found = content(store);
    const bool is_old = found == expected({{1, 11}, {2, 12}});
    const bool is_new = found == expected({{1, 21}, {2, 12}, {3, 23}});
    CHECK((is_old || is_new));
    old_sets += is_old ? 1 : 0;
    new_sets += is_new ? 1 : 0;
    // Nothing is left of the other set.
    const auto images =
        std::distance(fs::directory_iterator{folder.path() / "images"}, fs::directory_iterator{});
    CHECK(images == static_cast<std::ptrdiff_t>(store.installed().size()));
    if (!was_killed) {
      CHECK(is_new);
      break;
    }
  }
  CHECK(old_sets > 2);
  CHECK(new_sets > 1);
}

TEST_CASE("an install without space changes nothing") {
  for (int step = 2; step < 5; ++step) {  // Steps 0 and 1 are those of staging.
    INFO("step " << step);
    const auto folder = TemporaryDirectory::create().value();
    prepare(folder.path());
    StoppingDisk disk{step, StoppingDisk::Way::no_space};
    auto store = AppStore::open(folder.path(), disk).value();
    stage(store, make_app(1, 21));
    stage(store, make_app(3, 23));

    const auto committed = store.commit();

    REQUIRE_FALSE(committed);
    CHECK(committed.error().code == device_api::kNoSpace);
    CHECK(content(store) == expected({{1, 11}, {2, 12}}));
    SystemStoreDisk real;
    CHECK(content(AppStore::open(folder.path(), real).value()) == expected({{1, 11}, {2, 12}}));
  }
}

TEST_CASE("a package staged again replaces the one before") {
  const auto folder = TemporaryDirectory::create().value();
  SystemStoreDisk disk;
  auto store = AppStore::open(folder.path(), disk).value();

  stage(store, make_app(1, 11));
  stage(store, make_app(1, 21));

  CHECK(store.staged().size() == 1);
  REQUIRE(store.commit());
  CHECK(content(store) == expected({{1, 21}}));
}

TEST_CASE("the ninth staged package is refused, and its upload is gone") {
  const auto folder = TemporaryDirectory::create().value();
  SystemStoreDisk disk;
  auto store = AppStore::open(folder.path(), disk).value();
  for (int i = 0; i < 8; ++i) {
    stage(store, make_app(i, 100 + i));
  }
  const auto path = store.upload_path();
  REQUIRE(write_file(path, "ninth"));

  const auto staged = store.stage(path, make_app(9, 109));

  REQUIRE_FALSE(staged);
  CHECK(staged.error().code == device_api::kBusy);
  CHECK_FALSE(fs::exists(path));
  CHECK(store.staged().size() == 8);
}

TEST_CASE("removing one app keeps the others and frees its user number") {
  const auto folder = TemporaryDirectory::create().value();
  prepare(folder.path());
  SystemStoreDisk disk;
  auto store = AppStore::open(folder.path(), disk).value();
  const auto user = store.find(test::test_guid(1))->user;

  REQUIRE(store.remove({test::test_guid(1), test::test_guid(77)}));
  CHECK(content(store) == expected({{2, 12}}));
  stage(store, make_app(3, 23));
  REQUIRE(store.commit());

  CHECK(store.find(test::test_guid(3))->user == user);
}

TEST_CASE("T10 no two apps ever have one user number") {
  const auto folder = TemporaryDirectory::create().value();
  SystemStoreDisk disk;
  auto store = AppStore::open(folder.path(), disk).value();
  unsigned state = 12345;
  for (int turn = 0; turn < 60; ++turn) {
    state = state * 1103515245U + 12345U;
    const auto component = static_cast<int>((state >> 16U) % 12U);
    if (turn % 3 == 2) {
      REQUIRE(store.remove({test::test_guid(component)}));
    } else {
      stage(store, make_app(component, 100 + turn));
      REQUIRE(store.commit());
    }
    std::set<std::uint32_t> users;
    for (const auto& app : store.installed()) {
      CHECK(users.insert(app.user).second);
    }
  }
}

TEST_CASE("a damaged app set is an error that names the file") {
  const auto folder = TemporaryDirectory::create().value();
  SystemStoreDisk disk;
  for (const auto* text : {"{", R"({"apps":[{"componentId":"../x"}]})", R"({"apps":[{}]})"}) {
    REQUIRE(write_file(folder.path() / "set.json", text));
    CHECK_FALSE(AppStore::open(folder.path(), disk));
  }
}
