// SPDX-License-Identifier: MIT
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/broker/frame.h"
#include "device-agent/agent/broker/network_state.h"
#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/broker/session.h"
#include "device-agent/agent/event_log.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/packet.h"
#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/file.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "tests/support/fake_board_link.h"
#include "tests/support/fake_clock.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

class BrokerBench {
 public:
  BrokerBench() {
    app.component = test::test_guid(1);
    app.component_id = app.component.text();
    app.capabilities.gpio = {{.text = "8", .number = 8}};
    app.capabilities.mutable_storage_kb = 4;
  }

  BrokerReply ask(std::uint16_t verb, const std::vector<std::byte>& payload = {}) {
    return service.answer(
        app, {.version = SPHERE_BROKER_VERSION, .verb = verb, .id = 1, .payload = payload});
  }

  TemporaryDirectory folder = TemporaryDirectory::create().value();
  test::FakeClock clock;
  test::FakeBoardLink link;
  NetworkState network;
  EventLog events{folder.path() / "log", clock};
  BrokerService service{{.board = &link,
                         .network = &network,
                         .events = &events,
                         .storage = folder.path() / "storage",
                         .os_version = "26.11",
                         .is_installed = [](const Guid& id) { return id == test::test_guid(5); },
                         .memory_kb = [](std::uint32_t) { return std::uint64_t{640}; }}};
  AppIdentity app;
};

std::vector<std::byte> pin(std::int32_t number) {
  Writer writer;
  writer.little_endian(static_cast<std::uint32_t>(number));
  return std::move(writer).take();
}

std::vector<std::byte> output(std::int32_t number, std::uint8_t mode, std::uint8_t value) {
  Writer writer;
  writer.little_endian(static_cast<std::uint32_t>(number)).little_endian(mode).little_endian(value);
  return std::move(writer).take();
}

std::vector<std::byte> name(std::string_view text, int more = -1) {
  Writer writer;
  writer.text(text).zeros(SPHERE_INTERFACE_NAME_MAX - text.size());
  if (more >= 0) {
    writer.little_endian(static_cast<std::uint8_t>(more));
  }
  return std::move(writer).take();
}

}  // namespace

TEST_CASE("a pin of the manifest is handed over once, another is refused and recorded") {
  BrokerBench bench;

  auto opened = bench.ask(SPHERE_VERB_GPIO_OUT, output(8, 1, 1));
  CHECK(opened.status == 0);
  CHECK(opened.descriptor);
  CHECK(opened.payload == std::vector<std::byte>{std::byte{SPHERE_KIND_GPIO}});
  CHECK(bench.link.requests.back().output);
  CHECK(bench.link.requests.back().mode == 1);
  CHECK(bench.link.requests.back().component_id == bench.app.component_id);
  CHECK(bench.ask(SPHERE_VERB_GPIO_IN, pin(8)).status == EBUSY);
  CHECK(bench.ask(SPHERE_VERB_GPIO_OUT, output(8, 3, 1)).status == EINVAL);
  CHECK(bench.ask(SPHERE_VERB_GPIO_OUT, output(8, 0, 2)).status == EINVAL);

  CHECK(bench.ask(SPHERE_VERB_GPIO_IN, pin(9)).status == EACCES);
  const auto events = bench.events.after(0);
  REQUIRE(events.size() == 1);
  CHECK(events[0].category == "SandboxViolation");
  CHECK(events[0].component_id == bench.app.component_id);
  CHECK(events[0].fields.string_at("call") == "GPIO_OpenAsInput(9)");
  CHECK(bench.link.requests.size() == 2);
}

TEST_CASE("a pin that the board does not have is ENODEV") {
  BrokerBench bench;
  bench.app.capabilities.gpio = {{.text = "70", .number = 70}};
  CHECK(bench.ask(SPHERE_VERB_GPIO_IN, pin(70)).status == ENODEV);
}

TEST_CASE("mutable storage is a private file that can be removed") {
  BrokerBench bench;

  CHECK(bench.ask(SPHERE_VERB_FILE_DELETE).status == ENOENT);
  auto opened = bench.ask(SPHERE_VERB_FILE_OPEN);
  REQUIRE(opened.status == 0);
  REQUIRE(opened.descriptor);
  REQUIRE(write_all(opened.descriptor.get(), std::vector<std::byte>(1000), "file"));

  struct stat folder = {};
  const auto path = bench.service.storage_folder(bench.app.component_id);
  REQUIRE(::stat(path.c_str(), &folder) == 0);
  CHECK((folder.st_mode & 0777U) == 0700U);
  const auto reply = bench.ask(SPHERE_VERB_FILE_USAGE);
  Reader reader{reply.payload};
  CHECK(reader.little_endian<std::uint64_t>() == 1000);
  CHECK(reader.little_endian<std::uint64_t>() == 4096);
  CHECK(bench.ask(SPHERE_VERB_FILE_DELETE).status == 0);
  CHECK(storage_bytes(path) == 0);
}

TEST_CASE("a link in place of the storage file is not followed") {
  BrokerBench bench;
  const auto path = bench.service.storage_folder(bench.app.component_id);
  REQUIRE(make_directories(path));
  std::filesystem::create_symlink("/etc/hostname", path / "file");
  CHECK(bench.ask(SPHERE_VERB_FILE_OPEN).status == EIO);
}

TEST_CASE("the network is the service link and a wlan0 that is down, and never ready") {
  BrokerBench bench;
  const auto number = [&](std::uint16_t verb, const std::vector<std::byte>& payload = {}) {
    const auto reply = bench.ask(verb, payload);
    return reply.status != 0
               ? -reply.status
               : static_cast<int>(Reader{reply.payload}.little_endian<std::uint32_t>().value());
  };
  CHECK(number(SPHERE_VERB_NET_READY) == 0);
  CHECK(number(SPHERE_VERB_NET_COUNT) == 2);
  CHECK(number(SPHERE_VERB_NET_STATUS, name("azspheresvc")) == 7);
  CHECK(number(SPHERE_VERB_NET_STATUS, name("wlan0")) == 0);
  CHECK(number(SPHERE_VERB_NET_STATUS, name("eth7")) == -ENOENT);
  CHECK(bench.ask(SPHERE_VERB_NET_INTERFACE, pin(1)).payload.size() == 19);
  CHECK(bench.ask(SPHERE_VERB_NET_INTERFACE, pin(2)).status == ENOENT);
  CHECK(bench.ask(SPHERE_VERB_NET_HARDWARE_ADDRESS, name("wlan0")).payload.size() == 6);

  CHECK(bench.ask(SPHERE_VERB_NET_SET_STATE, name("wlan0", 1)).status == EACCES);
  bench.app.capabilities.network_config = true;
  CHECK(bench.ask(SPHERE_VERB_NET_SET_STATE, name("wlan0", 1)).status == 0);
  CHECK(number(SPHERE_VERB_NET_STATUS, name("wlan0")) == 1);
  CHECK(number(SPHERE_VERB_NET_READY) == 0);
  CHECK(bench.ask(SPHERE_VERB_NET_SET_STATE, name("azspheresvc", 0)).status == EPERM);
  CHECK(bench.ask(SPHERE_VERB_NET_SET_STATE, name("wlan0", 2)).status == EINVAL);
}

TEST_CASE("version, memory and partner apps") {
  BrokerBench bench;
  const auto version = bench.ask(SPHERE_VERB_OS_VERSION).payload;
  REQUIRE(version.size() == 16);
  CHECK(version[0] == std::byte{'2'});
  CHECK(version[15] == std::byte{0});
  CHECK(bench.ask(SPHERE_VERB_MEMORY_INFO, pin(2)).payload.size() == 8);
  CHECK(bench.ask(SPHERE_VERB_MEMORY_INFO, pin(3)).status == EINVAL);

  const auto id = [](int number) {
    const auto guid = test::test_guid(number);
    return std::vector<std::byte>{guid.stored().begin(), guid.stored().end()};
  };
  bench.app.capabilities.allowed_application_connections = {test::test_guid(4), test::test_guid(5)};
  CHECK(bench.ask(SPHERE_VERB_CONNECT, id(3)).status == EACCES);
  CHECK(bench.ask(SPHERE_VERB_CONNECT, id(4)).status == ENOENT);
  CHECK(bench.ask(SPHERE_VERB_CONNECT, id(5)).status == ECONNREFUSED);
}

TEST_CASE("T12 every verb refuses every payload length but its own") {
  BrokerBench bench;
  for (const auto& rule : kVerbRules) {
    for (std::size_t length = 0; length <= 32; ++length) {
      if (length != rule.payload) {
        INFO(rule.call << " " << length);
        CHECK(bench.ask(rule.verb, std::vector<std::byte>(length)).status == EPROTO);
      }
    }
  }
  CHECK(bench.ask(0x7777).status == EPROTO);
  CHECK(bench.service
            .answer(bench.app, {.version = 2, .verb = SPHERE_VERB_HELLO, .id = 1, .payload = {}})
            .status == EPROTO);
}

TEST_CASE("a frame is read only when its length is right") {
  const auto packet = write_frame({.version = 1,
                                   .verb = SPHERE_VERB_GPIO_IN,
                                   .id = 77,
                                   .status = -5,
                                   .payload = std::vector<std::byte>(4)});
  const auto frame = read_frame(packet);
  REQUIRE(frame);
  CHECK(frame->id == 77);
  CHECK(frame->status == -5);
  CHECK(frame->payload.size() == 4);
  for (std::size_t length = 0; length < packet.size(); ++length) {
    CHECK_FALSE(read_frame(std::span{packet}.first(length)));
  }
  auto longer = packet;
  longer.push_back(std::byte{0});
  CHECK_FALSE(read_frame(longer));
  CHECK_FALSE(read_frame(std::vector<std::byte>(SPHERE_FRAME_MAX + 1)));
}

TEST_CASE("T13 the request budget is 400 at once and 200 a second after") {
  using namespace std::chrono_literals;
  std::chrono::nanoseconds now = 50s;
  RequestBudget budget{now};
  int taken = 0;
  while (budget.take(now)) {
    ++taken;
  }
  CHECK(taken == 400);
  now += 1s;
  taken = 0;
  while (budget.take(now)) {
    ++taken;
  }
  CHECK(taken == 200);
}

TEST_CASE("a session answers in order, and three malformed requests in a row close it") {
  BrokerBench bench;
  auto loop = Loop::create(bench.clock).value();
  int ends[2] = {};  // NOLINT(modernize-avoid-c-arrays): what socketpair() takes
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  const Descriptor app{ends[0]};
  BrokerSession session{{.loop = loop.get(),
                         .clock = &bench.clock,
                         .service = &bench.service,
                         .events = &bench.events},
                        bench.app,
                        Descriptor{ends[1]}};
  std::thread runner{[&] { loop->run(); }};
  const auto exchange = [&](std::span<const std::byte> packet) {
    bool ended = false;
    if (!send_packet(app.get(), packet)) {
      return -1;
    }
    const auto reply = receive_packet(app.get(), true, ended);
    return reply ? read_frame(reply->bytes).value().status : -1;
  };
  const auto good = write_frame({.version = 1, .verb = SPHERE_VERB_HELLO, .id = 9, .payload = {}});
  const std::vector<std::byte> bad(7);

  CHECK(exchange(good) == 0);
  CHECK(exchange(bad) == EPROTO);
  CHECK(exchange(bad) == EPROTO);
  CHECK(exchange(good) == 0);
  CHECK(exchange(bad) == EPROTO);
  CHECK(exchange(bad) == EPROTO);
  CHECK(exchange(bad) == EPROTO);
  CHECK(exchange(good) == -1);

  loop->quit();
  runner.join();
}

TEST_CASE("a descriptor that an app sends along is closed, even with an empty packet") {
  BrokerBench bench;
  auto loop = Loop::create(bench.clock).value();
  int ends[2] = {};  // NOLINT(modernize-avoid-c-arrays): what socketpair() takes
  int pipe[2] = {};  // NOLINT(modernize-avoid-c-arrays): what pipe2() takes
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const Descriptor app{ends[0]};
  const Descriptor write_end{pipe[1]};
  Descriptor read_end{pipe[0]};
  BrokerSession session{{.loop = loop.get(),
                         .clock = &bench.clock,
                         .service = &bench.service,
                         .events = &bench.events},
                        bench.app,
                        Descriptor{ends[1]}};
  std::thread runner{[&] { loop->run(); }};
  const std::vector<std::byte> packet(GENERATE(0U, 7U));

  REQUIRE(send_packet(app.get(), packet, read_end.get()));
  read_end.reset();
  bool ended = false;
  [[maybe_unused]] const auto reply = receive_packet(app.get(), true, ended);

  pollfd polled = {.fd = write_end.get(), .events = 0, .revents = 0};
  CHECK(::poll(&polled, 1, 1000) == 1);
  CHECK((polled.revents & POLLERR) != 0);  // Nobody has the other end of the pipe.
  loop->quit();
  runner.join();
}
