// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/device/attached.h"
#include "sphere/device/virtual_board.h"
#include "sphere/http/server.h"
#include "tests/support/bound_port.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::device::BoardConfig;
using sphere::device::BoardProfile;
using sphere::device::BoardState;
using sphere::device::VirtualBoards;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

namespace {

// A user of their own, with sphere-board being the fake.
struct User {
  sphere::TemporaryDirectory home = *sphere::TemporaryDirectory::create("sphere-user");
  sphere::SystemClock clock;
  sphere::crypto::KeyStore keys{home.path() / "data" / "keys", clock};
  fs::path runtime = home.path() / "run";
  VirtualBoards boards{
      {.data = home.path() / "data", .state = home.path() / "state", .runtime = runtime}, keys, {}};

  User() { use_program(SPHERE_FAKE_BOARD_DIR); }
  ~User() {
    const auto all = boards.list();
    for (const auto& board : all.value_or(std::vector<sphere::device::BoardStatus>{})) {
      (void)boards.stop(board.config.name, 2s);
    }
  }
  User(const User&) = delete;
  User& operator=(const User&) = delete;
  User(User&&) = delete;
  User& operator=(User&&) = delete;

  static void use_program(const std::string& directory) {
    ::setenv("PATH", (directory + ":/usr/bin:/bin").c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  }
  [[nodiscard]] fs::path directory(std::string_view name) const {
    return home.path() / "state" / "boards" / name;
  }
  void create(const std::string& name, const std::string& mode = {}) {
    REQUIRE(boards.create({.name = name}));
    if (!mode.empty()) {
      REQUIRE(sphere::write_file(directory(name) / "fake-mode", mode));
    }
  }
};

unsigned mode_of(const fs::path& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
}

std::string read(const fs::path& path) {
  const auto text = sphere::read_text_file(path, 65536);
  return text ? *text : "";
}

std::size_t entries(const fs::path& path) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator{path}, {}));
}

}  // namespace

TEST_CASE("create makes all files of a board, secrets for the owner only", "[device]") {
  User user;

  const auto board = user.boards.create({.name = "demo", .port = 4430});

  REQUIRE(board);
  const fs::path directory = user.directory("demo");
  CHECK(board->directory == directory);
  CHECK(board->state == BoardState::stopped);
  CHECK(board->pid == 0);
  CHECK(board->config.port == 4430);
  CHECK(board->config.board_id == "mt3620-rdb");
  CHECK(mode_of(directory) == 0700U);
  CHECK(mode_of(directory / "fuses" / "device-key.pem") == 0600U);
  CHECK(mode_of(directory / "tls" / "key.pem") == 0600U);
  CHECK(read(directory / "fuses" / "manufacturing-state") == "Blank\n");
  CHECK(read(directory / "trust" / "public-test-key") == "on\n");
  const auto key = sphere::crypto::PrivateKey::from_file(directory / "fuses" / "device-key.pem");
  REQUIRE(key);
  CHECK(board->device_id == sphere::to_hex(key->public_key().point()));
  CHECK(board->device_id.size() == 128);
  const auto developer = sphere::crypto::PublicKey::from_pem(
      read(directory / "trust" / "development" / "developer.pem"));
  REQUIRE(developer);
  CHECK(*developer == user.keys.load("developer")->key.public_key());
  CHECK(entries(user.home.path() / "state" / "boards") == 1);
}

TEST_CASE("the TLS leaf has the names, dates and issuer of the API", "[device]") {
  User user;
  const auto board = *user.boards.create({.name = "demo"});
  const auto other = *user.boards.create({.name = "other"});

  const auto leaf =
      sphere::crypto::Certificate::from_pem(read(user.directory("demo") / "tls" / "chain.pem"));
  REQUIRE(leaf);
  CHECK(leaf->not_before() == 1577836800);
  CHECK(leaf->not_after() == 2524607999);
  const auto ca = sphere::crypto::Certificate::from_pem(board.device_api_ca_pem);
  REQUIRE(ca);
  CHECK(ca->public_key() == user.keys.load("device-api-ca")->key.public_key());
  CHECK(ca->not_before() == 1577836800);
  CHECK(board.device_api_ca_pem == other.device_api_ca_pem);
  CHECK(board.device_id != other.device_id);
  CHECK(read(user.directory("demo") / "tls" / "chain.pem").size() < 4096);
}

TEST_CASE("a production board is locked and trusts nobody yet", "[device]") {
  User user;
  REQUIRE(user.boards.create({.name = "p", .profile = BoardProfile::production}));
  CHECK(read(user.directory("p") / "fuses" / "manufacturing-state") == "DeviceComplete\n");
  CHECK(read(user.directory("p") / "trust" / "public-test-key") == "off\n");
  CHECK(entries(user.directory("p") / "trust" / "development") == 0);
}

TEST_CASE("create refuses names, kinds and existing boards, and leaves nothing", "[device]") {
  User user;
  for (const std::string name : {"", "Demo", "-a", "a b", "../a", "a/b"}) {
    INFO(name);
    CHECK(user.boards.create({.name = name}).error().code() == Errc::invalid_argument);
  }
  CHECK(user.boards.create({.name = std::string(33, 'a')}).error().code() ==
        Errc::invalid_argument);
  CHECK(user.boards.create({.name = "a", .board_id = "../x"}).error().code() ==
        Errc::invalid_argument);
  CHECK_FALSE(fs::exists(user.home.path() / "state" / "boards"));

  REQUIRE(user.boards.create({.name = "demo"}));
  const std::string before = read(user.directory("demo") / "fuses" / "device-key.pem");
  const auto again = user.boards.create({.name = "demo"});
  CHECK(again.error().code() == Errc::exists);
  CHECK(again.error().hint().reason == "local.file-exists");
  CHECK(read(user.directory("demo") / "fuses" / "device-key.pem") == before);
  CHECK(entries(user.home.path() / "state" / "boards") == 1);
}

TEST_CASE("a board is of a kind that the SDK knows", "[device]") {
  User user;
  const fs::path sdk = user.home.path() / "sdk";
  REQUIRE(sphere::make_directories(sdk / "HardwareDefinitions"));
  REQUIRE(sphere::write_file(sdk / "HardwareDefinitions" / "mt3620_rdb.json", "{}"));
  VirtualBoards boards{{.data = user.home.path() / "data",
                        .state = user.home.path() / "state",
                        .runtime = user.runtime},
                       user.keys,
                       sdk};
  CHECK(boards.create({.name = "a", .board_id = "mt3620-rdb"}));
  const auto unknown = boards.create({.name = "b", .board_id = "mt3621"});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().hint().next.find("mt3620-rdb") != std::string::npos);
}

TEST_CASE("board.json is read back, and refused when it is broken", "[device]") {
  const auto directory = *sphere::TemporaryDirectory::create();
  const BoardConfig config{.name = "demo",
                           .board_id = "mt3620-rdb",
                           .profile = BoardProfile::production,
                           .port = 8443,
                           .trust_public_test_key = false};
  REQUIRE(store_board_config(directory.path(), config));
  const auto loaded = sphere::device::load_board_config(directory.path());
  REQUIRE(loaded);
  CHECK(loaded->name == "demo");
  CHECK(loaded->profile == BoardProfile::production);
  CHECK(loaded->port == 8443);
  CHECK_FALSE(loaded->trust_public_test_key);

  const std::string good = read(directory.path() / "board.json");
  for (const std::string key : {"name", "boardId", "profile", "port", "trustPublicTestKey"}) {
    INFO(key);
    std::string broken = good;
    broken.replace(broken.find('"' + key), key.size() + 2, "\"x\"");
    REQUIRE(sphere::write_file(directory.path() / "board.json", broken));
    const auto refused = sphere::device::load_board_config(directory.path());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::corrupt);
    CHECK(refused.error().message().find(key) != std::string::npos);
  }
  REQUIRE(sphere::write_file(directory.path() / "board.json", "{"));
  CHECK(sphere::device::load_board_config(directory.path()).error().code() == Errc::corrupt);
}

TEST_CASE("show and list know the boards, and name near ones", "[device]") {
  User user;
  CHECK(user.boards.list()->empty());
  user.create("lab");
  user.create("demo");
  const auto list = user.boards.list();
  REQUIRE(list->size() == 2);
  CHECK(list->front().config.name == "demo");
  const auto missing = user.boards.show("deno");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
  CHECK(missing.error().hint().next.find("demo") != std::string::npos);
}

TEST_CASE("a board is started, attached, stopped and removed", "[device]") {
  User user;
  user.create("demo");
  CHECK(sphere::device::list_attached(user.boards)->empty());

  const auto started = user.boards.start("demo", 10s);
  REQUIRE(started);
  CHECK(started->state == BoardState::running);
  CHECK(started->pid > 0);
  CHECK(mode_of(started->rest_socket.parent_path()) == 0700U);
  const auto again = user.boards.start("demo", 10s);
  REQUIRE(again);
  CHECK(again->pid == started->pid);

  const auto attached = sphere::device::list_attached(user.boards);
  REQUIRE(attached->size() == 1);
  CHECK(attached->front().connection_path == "vb-demo");
  CHECK(attached->front().ip_address == "192.168.35.2");
  CHECK(attached->front().state == "ready");
  CHECK(user.boards.remove("demo").error().code() == Errc::busy);

  const auto stopped = user.boards.stop("demo", 5s);
  REQUIRE(stopped);
  CHECK(stopped->state == BoardState::stopped);
  CHECK(user.boards.stop("demo", 5s));
  CHECK(user.boards.remove("demo"));
  CHECK_FALSE(fs::exists(user.directory("demo")));
  CHECK_FALSE(fs::exists(started->rest_socket.parent_path()));
  CHECK(entries(user.home.path() / "state" / "boards") == 0);
  CHECK(user.boards.remove("demo").error().code() == Errc::not_found);
}

TEST_CASE("two starts at once: one starts, both see the board run", "[device]") {
  User user;
  user.create("demo");
  pid_t first = 0;
  std::thread other{[&user, &first] {
    const auto started = user.boards.start("demo", 10s);
    first = started ? started->pid : -1;
  }};
  const auto second = user.boards.start("demo", 10s);
  other.join();
  REQUIRE(second);
  CHECK(first == second->pid);
}

TEST_CASE("a killed board is seen as stopped and starts again", "[device]") {
  User user;
  user.create("demo");
  const auto started = user.boards.start("demo", 10s);
  REQUIRE(started);
  REQUIRE(::kill(started->pid, SIGKILL) == 0);
  for (int turn = 0; turn < 100 && user.boards.show("demo")->pid != 0; ++turn) {
    std::this_thread::sleep_for(10ms);
  }
  CHECK(user.boards.show("demo")->state == BoardState::stopped);
  const auto again = user.boards.start("demo", 10s);
  REQUIRE(again);
  CHECK(again->pid != started->pid);
}

TEST_CASE("a stale process id is never signalled", "[device]") {
  User user;
  user.create("demo");
  // This process lives but does not hold the lock.
  REQUIRE(sphere::write_file(user.directory("demo") / "lock", std::to_string(::getppid()) + "\n"));
  CHECK(user.boards.show("demo")->pid == 0);
  CHECK(user.boards.stop("demo", 1s));
  REQUIRE(sphere::write_file(user.directory("demo") / "lock", "-1\n"));
  CHECK(user.boards.stop("demo", 1s));
}

TEST_CASE("a board that ignores SIGTERM is killed", "[device]") {
  User user;
  user.create("demo", "stubborn");
  REQUIRE(user.boards.start("demo", 10s));
  CHECK(user.boards.stop("demo", 1s));
  CHECK(user.boards.show("demo")->pid == 0);
}

TEST_CASE("a start that fails says why and leaves nothing running", "[device]") {
  User user;
  user.create("error", "error");
  const auto error = user.boards.start("error", 10s);
  REQUIRE_FALSE(error);
  CHECK(error.error().code() == Errc::unavailable);
  CHECK(error.error().message().find("no pins here") != std::string::npos);

  user.create("crash", "crash");
  const auto crash = user.boards.start("crash", 10s);
  REQUIRE_FALSE(crash);
  CHECK(crash.error().code() == Errc::unavailable);
  CHECK(crash.error().message().find("last words") != std::string::npos);
  CHECK(crash.error().hint().value.find("board.log") != std::string::npos);

  user.create("silent", "silent");
  const auto late = user.boards.start("silent", 1s);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == Errc::timeout);
  CHECK(user.boards.show("silent")->pid == 0);

  const auto interrupted = user.boards.start("silent", 10s, [] { return true; });
  REQUIRE_FALSE(interrupted);
  CHECK(interrupted.error().code() == Errc::cancelled);
  CHECK(user.boards.show("silent")->pid == 0);
}

TEST_CASE("a taken port and a missing sphere-board are named", "[device]") {
  User user;
  const auto taken = sphere::http::listen_tcp("127.0.0.1", 0);
  REQUIRE(taken);
  const std::uint16_t port = sphere::test::bound_port(*taken);
  REQUIRE(user.boards.create({.name = "port", .port = port}));
  const auto busy = user.boards.start("port", 5s);
  REQUIRE_FALSE(busy);
  CHECK(busy.error().code() == Errc::busy);
  CHECK(busy.error().hint().reason == "link.busy");
  CHECK(busy.error().hint().value == "127.0.0.1:" + std::to_string(port));

  user.create("demo");
  User::use_program("/nonexistent");
  const auto missing = user.boards.start("demo", 5s);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
  CHECK(missing.error().hint().reason == "local.tool-missing");
}

TEST_CASE("a long runtime directory is replaced by a short one", "[device]") {
  User user;
  VirtualBoards boards{{.data = user.home.path() / "data",
                        .state = user.home.path() / "state",
                        .runtime = user.home.path() / std::string(100, 'r')},
                       user.keys,
                       {}};
  REQUIRE(boards.create({.name = "demo"}));
  const auto started = boards.start("demo", 10s);
  REQUIRE(started);
  const fs::path sockets = started->rest_socket.parent_path();
  CHECK(sockets.string().starts_with("/tmp/sphere-"));
  CHECK(mode_of(sockets) == 0700U);
  REQUIRE(boards.stop("demo", 5s));

  // Somebody else's hand in it: another one is made.
  REQUIRE(::chmod(sockets.c_str(), 0777) == 0);
  const auto moved = boards.start("demo", 10s);
  REQUIRE(moved);
  CHECK(moved->rest_socket.parent_path() != sockets);
  REQUIRE(boards.stop("demo", 5s));
  CHECK(boards.remove("demo"));
  CHECK_FALSE(fs::exists(moved->rest_socket.parent_path()));
  CHECK(sphere::remove_tree(sockets));
}

TEST_CASE("no directory but a short one of ours is removed with a board", "[device]") {
  User user;
  const fs::path victim = user.home.path() / "victim";
  REQUIRE(sphere::make_directories(victim));
  VirtualBoards boards{
      {.data = user.home.path() / "data", .state = user.home.path() / "state", .runtime = {}},
      user.keys,
      {}};
  REQUIRE(boards.create({.name = "demo"}));
  REQUIRE(sphere::write_file(user.directory("demo") / "runtime-directory", victim.string() + "\n"));
  CHECK(boards.remove("demo"));
  CHECK(fs::exists(victim));
}
