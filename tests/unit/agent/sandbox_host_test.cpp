// SPDX-License-Identifier: MIT
// Starts a real program in a real sandbox.
#include <array>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/private_mounts.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "tests/support/skip.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

// Once a process: afterwards it lives in its own mount namespace.
const Result<bool>& private_mounts() {
  static const auto entered = enter_private_mounts();
  return entered;
}

// The launcher makes its processes with clone(2) itself; AddressSanitizer's allocator, which wants
// to see every fork, spins in the child.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr auto kWithoutSanitizer =
    "the sandbox launcher under AddressSanitizer: run the dev preset";
constexpr auto kWithNamespaces =
    "no namespaces: run as root, or allow unprivileged user namespaces";

#define SKIP_WITHOUT_SANDBOX()                 \
  SKIP_UNLESS(!kSanitized, kWithoutSanitizer); \
  SKIP_UNLESS(private_mounts(), kWithNamespaces)

struct Running {
  Launch launch;
  Descriptor output;
};

class Sandbox {
 public:
  Running start(std::vector<std::string> arguments, bool damage_program = false) {
    auto program = read_file(SPHERE_SANDBOX_PROBE, std::size_t{16} << 20U).value();
    if (damage_program) {
      program.assign(64, std::byte{0x55});
    }
    const auto component = test::test_guid(1);
    const auto package =
        signer_.package({.manifest = test::manifest_text(component),
                         .files = {{"bin/app", {.content = program, .executable = true}}},
                         .component = component,
                         .image = test::test_guid(2)});
    std::array<int, 2> pipe = {};
    std::array<int, 2> sockets = {};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    Running running{.launch = {}, .output = Descriptor{pipe[0]}};
    const Descriptor output{pipe[1]};
    broker_ = Descriptor{sockets[0]};
    const Descriptor broker{sockets[1]};
    SandboxLauncher launcher{std::filesystem::path{SPHERE_BINARY_DIR} / "bin" / "sphered"};
    running.launch = launcher.launch({.plan = plan(component.text(), std::move(arguments)),
                                      .package = package,
                                      .output = output.get(),
                                      .broker = broker.get()});
    return running;
  }

 private:
  Plan plan(const std::string& component, std::vector<std::string> arguments) {
    return {.component_id = component,
            .uid = kFirstAppUid + 3,
            .rootless = *private_mounts(),
            .agent = ::getpid(),
            .staging = folder_.path(),
            .libraries = {},
            .entry_point = "/bin/app",
            .arguments = std::move(arguments),
            .emulated = false,
            .file_bytes = 8192};
  }

  TemporaryDirectory folder_ = TemporaryDirectory::create().value();
  test::TestSigner signer_;
  Descriptor broker_;
};

std::string read_to_end(int descriptor) {
  std::string text;
  std::array<char, 4096> buffer = {};
  while (true) {
    const auto count = ::read(descriptor, buffer.data(), buffer.size());
    if (count <= 0) {
      return text;
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

ExitStatus wait_for(AppProcess& process) {
  pollfd polled = {.fd = process.descriptor(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&polled, 1, 5000) == 1);
  const auto status = process.poll();
  REQUIRE(status);
  return *status;
}

std::string refusal(const Launch& launch) {
  return launch.refused ? launch.refused->message() : std::string{};
}

}  // namespace

TEST_CASE("a sandboxed app sees its own uid, tree, devices and descriptors and nothing else") {
  SKIP_WITHOUT_SANDBOX();
  ::umask(077);  // As a careful user's shell has it; the app is another user.
  Sandbox sandbox;

  auto running = sandbox.start({"exit", "7"});
  INFO(refusal(running.launch));
  REQUIRE(running.launch.process);
  const auto text = read_to_end(running.output.get());
  const auto status = wait_for(*running.launch.process);

  INFO(text);
  CHECK(status.code == 7);
  CHECK(status.signal == 0);
  CHECK(text.find("uid: 100003 100003\n") != std::string::npos);
  CHECK(text.find("pid: 2 1\n") != std::string::npos);
  CHECK(text.find("cwd: /mnt/apps/" + test::test_guid(1).text() + "\n") != std::string::npos);
  CHECK(text.find("environment: empty\n") != std::string::npos);
  CHECK(text.find("devices: null urandom zero\n") != std::string::npos);
  CHECK(text.find("root: dev etc lib mnt proc tmp usr\n") != std::string::npos);
  CHECK(text.find("descriptors: 0 1 2 3\n") != std::string::npos);
  CHECK(text.find("write image: 30\n") != std::string::npos);  // EROFS
  CHECK(text.find("write root: 30\n") != std::string::npos);
  CHECK(text.find("write tmp: 0\n") != std::string::npos);
  CHECK(text.find("CapEff:\t0000000000000000\n") != std::string::npos);
  CHECK(text.find("CapBnd:\t0000000000000000\n") != std::string::npos);
  CHECK(text.find("NoNewPrivs:\t1\n") != std::string::npos);
  CHECK(text.find("network ") == std::string::npos);
  CHECK(text.find("visible processes: 1\n") != std::string::npos);
  CHECK(text.find("setuid: 0\n") == std::string::npos);
}

TEST_CASE("the report of a started app names every layer and what was found") {
  SKIP_WITHOUT_SANDBOX();
  Sandbox sandbox;

  const auto running = sandbox.start({"exit", "0"});

  REQUIRE(running.launch.process);
  CHECK(running.launch.report.passed);
  CHECK(running.launch.report.layers.size() == kLayerNames.size());
  for (const auto& layer : running.launch.report.layers) {
    INFO(layer.id << " " << layer.detail << " " << layer.found);
    const bool missing = layer.id == "L6" || layer.id == "L7" || layer.id == "L9" ||
                         layer.id == "L10" || layer.id == "L11";
    CHECK((layer.state == LayerState::absent) == missing);
  }
}

TEST_CASE("an unhandled SIGTERM ends an app, and its signal is reported") {
  SKIP_WITHOUT_SANDBOX();
  Sandbox sandbox;
  auto running = sandbox.start({"wait"});
  REQUIRE(running.launch.process);
  CHECK_FALSE(running.launch.process->poll());

  running.launch.process->terminate();

  CHECK(wait_for(*running.launch.process).signal == SIGTERM);
}

TEST_CASE("killing an app ends it at once") {
  SKIP_WITHOUT_SANDBOX();
  Sandbox sandbox;
  auto running = sandbox.start({"wait"});
  REQUIRE(running.launch.process);

  running.launch.process->kill();

  CHECK(wait_for(*running.launch.process).signal == SIGKILL);
}

TEST_CASE("a crash of an app is reported with its signal") {
  SKIP_WITHOUT_SANDBOX();
  Sandbox sandbox;
  auto running = sandbox.start({"abort"});
  REQUIRE(running.launch.process);

  CHECK(wait_for(*running.launch.process).signal == SIGABRT);
}

TEST_CASE("a program that cannot be executed is refused with layer L12") {
  SKIP_WITHOUT_SANDBOX();
  Sandbox sandbox;

  const auto running = sandbox.start({}, true);

  CHECK_FALSE(running.launch.process);
  REQUIRE(running.launch.refused);
  CHECK(running.launch.refused->hint().value == "L12");
  CHECK_FALSE(running.launch.report.passed);
}

TEST_CASE("an app ends with the process that started it") {
  SKIP_WITHOUT_SANDBOX();
  Sandbox sandbox;  // Of this process, which removes its folder.
  std::array<int, 2> ends = {};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t agent = ::fork();
  if (agent == 0) {
    const auto running = sandbox.start({"wait"});
    const pid_t app = running.launch.process ? running.launch.process->pid() : 0;
    [[maybe_unused]] const auto sent = ::write(ends[1], &app, sizeof app);
    ::pause();
    ::_exit(0);
  }
  pid_t app = 0;
  REQUIRE(::read(ends[0], &app, sizeof app) == sizeof app);
  REQUIRE(app > 0);
  const Descriptor handle{static_cast<int>(::syscall(SYS_pidfd_open, app, 0))};
  REQUIRE(handle);

  ::kill(agent, SIGKILL);
  ::waitpid(agent, nullptr, 0);

  pollfd polled = {.fd = handle.get(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&polled, 1, 5000) == 1);
  for (const int end : ends) {
    ::close(end);
  }
}
