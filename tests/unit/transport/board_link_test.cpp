// SPDX-License-Identifier: MIT
#include "sphere/transport/board_link.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <poll.h>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/slip/codec.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/byte_stream.h"
#include "tests/support/bytes.h"
#include "tests/support/wire.h"

namespace sphere::transport {
namespace {

using namespace std::chrono_literals;
using test::read_now;

bool wait_until(const std::function<bool()>& done, std::chrono::milliseconds limit = 10s) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) {
      return false;
    }
    ::poll(nullptr, 0, 2);
  }
  return true;
}

// Returns the moment the other end closes, as a client that sleeps in poll() sees it.
void wait_for_end(const Descriptor& socket) {
  pollfd poll = {.fd = socket.get(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&poll, 1, 10'000) == 1);
}

Descriptor connect_to(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.string().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return socket;
}

// A stream is opened once; later tries find no board.
std::function<Result<std::unique_ptr<ByteStream>>()> once(std::unique_ptr<ByteStream> stream) {
  auto kept = std::make_shared<std::unique_ptr<ByteStream>>(std::move(stream));
  return [kept]() -> Result<std::unique_ptr<ByteStream>> {
    if (!*kept) {
      return fail(Errc::not_found, "there is no board", {.reason = "link.no-board"});
    }
    return std::move(*kept);
  };
}

// The PC's end in a link, the board's end in another, joined by a pipe.
struct Pair {
  std::unique_ptr<slip::Stack> stack = slip::Stack::create().value();
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  std::filesystem::path socket = directory.path() / "443.sock";
  std::mutex mutex;
  std::vector<Descriptor> at_board;
  std::unique_ptr<BoardLink> host;
  std::unique_ptr<BoardLink> board;

  Pair() {
    auto [near, far] = make_pipe().value();
    host = BoardLink::start(*stack, {.name = "test", .open = once(std::move(near))}).value();
    board = BoardLink::start(*stack, {.name = "board",
                                      .open = once(std::move(far)),
                                      .own = slip::kBoardAddress,
                                      .peer = slip::kHostAddress})
                .value();
    REQUIRE(board->listen(443, [this] {
      auto [inner, outer] = test::socket_pair();
      const std::scoped_lock lock{mutex};
      at_board.push_back(std::move(inner));
      return std::move(outer);
    }));
    host->forward(listen_at(socket).value(), 443);
  }

  Descriptor connect() {
    const std::size_t before = count();
    Descriptor connection = connect_to(socket);
    REQUIRE(wait_until([&] { return count() > before; }));
    return connection;
  }
  std::size_t count() {
    const std::scoped_lock lock{mutex};
    return at_board.size();
  }
};

TEST_CASE("a socket of the PC reaches a port of the board") {
  Pair pair;
  const Descriptor connection = pair.connect();
  test::write_now(connection, "hello");
  std::string text;
  CHECK(wait_until([&] { return (text += read_now(pair.at_board.front())) == "hello"; }));
  test::write_now(pair.at_board.front(), "hello yourself");
  text.clear();
  CHECK(wait_until([&] { return (text += read_now(connection)) == "hello yourself"; }));

  CHECK(wait_until([&] { return pair.host->report().connections.open == 1; }));
  const LinkReport report = pair.host->report();
  CHECK(report.state == LinkState::open);
  CHECK(report.bytes_in > 0);
  CHECK(report.bytes_out > 0);
  CHECK(report.filter.passed > 0);
  CHECK_FALSE(explain(report, "test"));
}

TEST_CASE("the socket of a link is for its user only") {
  const Pair pair;
  struct stat status = {};
  REQUIRE(::stat(pair.socket.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  const auto long_name = listen_at(pair.directory.path() / std::string(120, 'x'));
  REQUIRE_FALSE(long_name);
  CHECK(long_name.error().code() == Errc::too_large);
}

TEST_CASE("unplugging ends a connection at once and is told") {
  Pair pair;
  const Descriptor connection = pair.connect();
  const auto begin = std::chrono::steady_clock::now();
  pair.board.reset();

  bool ended = false;
  CHECK(wait_until([&] {
    read_now(connection, &ended);
    return ended;
  }));
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(wait_until([&] { return pair.host->report().state == LinkState::waiting; }));
  const auto why = explain(pair.host->report(), "test");
  REQUIRE(why);
  CHECK((why->hint().reason == "link.unplugged" || why->hint().reason == "link.no-board"));
}

TEST_CASE("a link opens again when the board is back") {
  const auto stack = slip::Stack::create().value();
  std::atomic<int> opened = 0;
  std::mutex mutex;
  std::unique_ptr<ByteStream> far;
  const auto link = BoardLink::start(*stack, {.name = "test",
                                              .open = [&]() -> Result<std::unique_ptr<ByteStream>> {
                                                auto [near, other] = make_pipe().value();
                                                const std::scoped_lock lock{mutex};
                                                far = std::move(other);
                                                ++opened;
                                                return std::move(near);
                                              }})
                        .value();
  CHECK(opened == 1);
  {
    const std::scoped_lock lock{mutex};
    far.reset();
  }
  CHECK(wait_until([&] { return opened == 2 && link->report().state == LinkState::open; }, 1s));
  CHECK(link->report().opened == 2);
}

TEST_CASE("a link that is not to wait fails where there is no board") {
  const auto stack = slip::Stack::create().value();
  const auto link =
      BoardLink::start(*stack, {.name = "test", .open = once(nullptr), .open_again = false});
  REQUIRE_FALSE(link);
  CHECK(link.error().hint().reason == "link.no-board");
}

TEST_CASE("a held link lets go and takes its board again") {
  const auto stack = slip::Stack::create().value();
  std::atomic<int> opened = 0;
  const auto link = BoardLink::start(*stack, {.name = "test",
                                              .open = [&]() -> Result<std::unique_ptr<ByteStream>> {
                                                ++opened;
                                                return std::move(make_pipe().value().first);
                                              }})
                        .value();
  link->pause();
  CHECK(wait_until([&] { return link->report().state == LinkState::waiting; }));
}

// What a port that is no SLIP, or a silent one, looks like to the user.
TEST_CASE("silence, noise and refusal are told apart") {
  const auto stack = slip::Stack::create().value();
  const auto directory = TemporaryDirectory::create().value();
  auto [near, far] = make_pipe().value();
  const auto link =
      BoardLink::start(*stack, {.name = "test", .open = once(std::move(near))}).value();
  link->forward(listen_at(directory.path() / "s").value(), 443);
  const auto noise = GENERATE(values<std::string>({"", "CCCCCC boot banner"}));
  INFO(noise);
  REQUIRE(write_all(*far, std::as_bytes(std::span{noise}), 1s));

  const Descriptor connection = connect_to(directory.path() / "s");
  wait_for_end(connection);
  // At once: a client asks as soon as its connection ended.
  const auto why = explain(link->report(), "test");
  REQUIRE(why);
  CHECK(why->hint().reason == (noise.empty() ? "link.no-answer" : "link.not-slip"));
  CHECK_FALSE(why->hint().next.empty());
}

TEST_CASE("a board whose device API does not run refuses") {
  Pair pair;
  pair.host->forward(listen_at(pair.directory.path() / "other").value(), 2345);
  // The report counts a connection before its client sees the end: a client asks at once.
  constexpr std::uint64_t kTimes = 300;
  for (std::uint64_t i = 1; i <= kTimes; ++i) {
    wait_for_end(connect_to(pair.directory.path() / "other"));
    REQUIRE(pair.host->report().connections.refused == i);
  }
  const auto why = explain(pair.host->report(), "test");
  REQUIRE(why);
  CHECK(why->hint().reason == "device.refused");
}

TEST_CASE("10,000 malformed frames change nothing for a connection over the same wire") {
  const auto stack = slip::Stack::create().value();
  const auto directory = TemporaryDirectory::create().value();
  auto [near, middle_near] = make_pipe().value();
  auto [middle_far, far] = make_pipe().value();
  const auto host =
      BoardLink::start(*stack, {.name = "test", .open = once(std::move(near))}).value();
  const auto board = BoardLink::start(*stack, {.name = "board",
                                               .open = once(std::move(far)),
                                               .own = slip::kBoardAddress,
                                               .peer = slip::kHostAddress})
                         .value();
  std::mutex mutex;
  std::vector<Descriptor> at_board;
  REQUIRE(board->listen(443, [&] {
    auto [inner, outer] = test::socket_pair();
    const std::scoped_lock lock{mutex};
    at_board.push_back(std::move(inner));
    return std::move(outer);
  }));
  host->forward(listen_at(directory.path() / "s").value(), 443);
  const Descriptor connection = connect_to(directory.path() / "s");
  std::mt19937 random{5};
  int malformed = 0;
  std::string sent;
  std::string arrived;

  // Passes bytes on between whole reads, with a bad frame after each towards the PC.
  const auto pass = [&](ByteStream& from, ByteStream& to, bool spoil) {
    std::array<std::byte, 4096> bytes = {};
    const auto count = from.read(bytes);
    if (count && *count > 0) {
      REQUIRE(write_all(to, std::span{bytes}.first(*count), 1s));
      if (bytes[*count - 1] != slip::kEnd) {
        return;  // In the middle of a frame.
      }
    }
    if (spoil && malformed < 10000) {
      std::vector<std::byte> frame(random() % 1600);
      for (std::byte& byte : frame) {
        byte = static_cast<std::byte>(random());
      }
      frame.push_back(slip::kEnd);
      REQUIRE(write_all(to, frame, 5s));
      ++malformed;
    }
  };
  CHECK(wait_until(
      [&] {
        for (int i = 0; i < 20; ++i) {
          pass(*middle_near, *middle_far, false);
          pass(*middle_far, *middle_near, true);
        }
        const std::scoped_lock lock{mutex};
        if (!at_board.empty()) {
          if (test::write_now(at_board.front(), "0123456789") == 10) {
            sent += "0123456789";
          }
          arrived += read_now(connection);
        }
        return malformed == 10000 && arrived.size() > 1000;
      },
      50s));
  CHECK(sent.starts_with(arrived));
  const LinkReport report = host->report();
  CHECK(report.state == LinkState::open);
  CHECK(report.connections.open == 1);
  CHECK(report.connections.lost == 0);
}

TEST_CASE("a tap sees the packets of both directions") {
  Pair pair;
  std::mutex mutex;
  int there = 0;
  int back = 0;
  pair.host->set_tap([&](Direction direction, std::span<const std::byte> packet) {
    const std::scoped_lock lock{mutex};
    ++(direction == Direction::to_board ? there : back);
    CHECK(packet.size() >= 20);
  });
  const Descriptor connection = pair.connect();
  CHECK(wait_until([&] {
    const std::scoped_lock lock{mutex};
    return there >= 2 && back >= 1;
  }));
  pair.host->set_tap({});
}

TEST_CASE("a taker keeps packets from the stack") {
  Pair pair;
  std::atomic<int> taken = 0;
  pair.host->set_taker([&](std::span<const std::byte>) {
    ++taken;
    return true;
  });
  const Descriptor connection = connect_to(pair.socket);
  CHECK(wait_until([&] { return taken > 0; }));
  CHECK(pair.host->report().connections.connected == 0);
}

}  // namespace
}  // namespace sphere::transport
