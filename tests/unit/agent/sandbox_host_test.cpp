// SPDX-License-Identifier: MIT
// Starts a real program in a real sandbox.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "tests/support/sandbox_bench.h"
#include "tests/support/skip.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::read_to_end;
using sphere::test::refusal;
using sphere::test::SandboxBench;
using sphere::test::wait_for;

}  // namespace

TEST_CASE("a sandboxed app sees its own uid, tree, devices and descriptors and nothing else") {
  SKIP_WITHOUT_SANDBOX();
  ::umask(077);  // As a careful user's shell has it; the app is another user.
  SandboxBench sandbox;

  auto running = sandbox.start({.arguments = {"exit", "7"}});
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
  SandboxBench sandbox;

  const auto running = sandbox.start({.arguments = {"exit", "0"}});

  INFO(refusal(running.launch));
  REQUIRE(running.launch.process);
  CHECK(running.launch.report.passed);
  REQUIRE(running.launch.report.layers.size() == kLayerNames.size());
  for (std::size_t i = 0; i < kLayerNames.size(); ++i) {
    const auto& layer = running.launch.report.layers[i];
    INFO(layer.id << " " << layer.detail << " " << layer.found);
    CHECK(layer.id == kLayerNames[i].id);
    CHECK_FALSE(layer.detail.empty());
    CHECK((layer.state == LayerState::absent || !layer.found.empty()));
  }
}

TEST_CASE("a native app runs under policy production") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(test::missing_for_production().empty(), test::missing_for_production());
  SandboxBench sandbox;

  const auto running = sandbox.start({.arguments = {"exit", "0"}, .may_be_dev = false});

  INFO(refusal(running.launch));
  REQUIRE(running.launch.process);
  CHECK(running.launch.report.policy == "production");
  for (const auto& layer : running.launch.report.layers) {
    INFO(layer.id << " " << layer.detail << " " << layer.found);
    CHECK(layer.state != LayerState::absent);
  }
}

TEST_CASE("a launcher that leaves out one layer is refused with that layer's name") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(test::this_kernel().pivot_root, "pivot_root fails here: / is no mount point");
  SKIP_UNLESS(test::missing_for_production().empty(), test::missing_for_production());
  SandboxBench sandbox;
  for (const auto& layer : kLayerNames) {
    if (layer.id == "L13") {
      continue;  // The check itself.
    }
    INFO("without " << layer.id);

    const auto running = sandbox.start(
        {.arguments = {"exit", "0"}, .skip = std::string{layer.id}, .may_be_dev = false});

    INFO(refusal(running.launch));
    CHECK_FALSE(running.launch.process);
    REQUIRE(running.launch.refused);
    CHECK(running.launch.refused->hint().value == layer.id);
    CHECK(running.launch.refused->hint().reason == "board.sandbox");
    CHECK_FALSE(running.launch.report.passed);
  }
}

TEST_CASE("an unhandled SIGTERM ends an app, and its signal is reported") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"wait"}});
  REQUIRE(running.launch.process);
  CHECK_FALSE(running.launch.process->poll());

  running.launch.process->terminate();

  CHECK(wait_for(*running.launch.process).signal == SIGTERM);
}

// Joins each group in a process of its own; 0, or the number of the error.
int join_all(const AppGroup& app) {
  const auto child = ::fork();
  if (child == 0) {
    for (const auto& join : app.join()) {
      const Descriptor list{::openat(join.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC)};
      if (::write(list ? list.get() : join.get(), "0", 1) != 1) {
        ::_exit(errno);
      }
    }
    ::_exit(0);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("a control group hierarchy that is mounted twice is joined once") {
  SKIP_UNLESS(!test::agent_groups().tree().hierarchies.empty(),
              "no control groups that can be written");
  const auto own = read_text_file("/proc/self/cgroup", 65536).value_or("");
  const auto mounts = read_text_file("/proc/self/mountinfo", std::size_t{1} << 20U).value_or("");

  // Another process: the groups bear its number, and go with the object.
  const auto agent = ::fork();
  if (agent == 0) {
    const int result = [&] {
      const auto groups = AgentGroups::find_in(own, mounts + mounts);
      const auto app =
          AppGroup::create(groups.tree(), "twice", {.memory_bytes = 1U << 24U, .processes = 9});
      return app ? join_all(**app) : 255;
    }();
    ::_exit(result);
  }
  int status = 0;
  REQUIRE(::waitpid(agent, &status, 0) == agent);

  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("killing an app ends it at once") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"wait"}});
  REQUIRE(running.launch.process);

  running.launch.process->kill();

  CHECK(wait_for(*running.launch.process).signal == SIGKILL);
}

TEST_CASE("a crash of an app is reported with its signal") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"abort"}});
  REQUIRE(running.launch.process);

  CHECK(wait_for(*running.launch.process).signal == SIGABRT);
}

TEST_CASE("a program that cannot be executed is refused with layer L12") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;

  const auto running = sandbox.start({.damage_program = true});

  CHECK_FALSE(running.launch.process);
  REQUIRE(running.launch.refused);
  CHECK(running.launch.refused->hint().value == "L12");
  CHECK_FALSE(running.launch.report.passed);
}

TEST_CASE("an app ends with the process that started it") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;  // Of this process, which removes its folder.
  std::array<int, 2> ends = {};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t agent = ::fork();
  if (agent == 0) {
    const auto running = sandbox.start({.arguments = {"wait"}});
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

TEST_CASE("an ARM app runs in the emulator under policy dev, and the report says what is missing") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(std::filesystem::exists(SPHERE_ARM_PROBE),
              "no ARM compiler: install gcc-arm-linux-gnueabihf");
  SKIP_UNLESS(open_emulator(), "no qemu-arm-static: install qemu-user-static");
  SKIP_UNLESS(test::this_kernel().landlock_abi > 0, "no Landlock: use Linux 5.13 or newer");
  SandboxBench sandbox;

  auto running = sandbox.start({.program = SPHERE_ARM_PROBE,
                                .arguments = {"exit", "7"},
                                .memory_bytes = group_bytes({}, true),
                                .emulated = true});
  INFO(refusal(running.launch));
  REQUIRE(running.launch.process);
  const auto text = read_to_end(running.output.get());
  const auto status = wait_for(*running.launch.process);

  INFO(text);
  CHECK(status.code == 7);
  CHECK(status.signal == 0);
  CHECK(text.find("descriptors: 0 1 2 3\n") != std::string::npos);
  CHECK(text.find("write tmp: 0\n") != std::string::npos);
  CHECK(running.launch.report.policy == "dev");
  CHECK(running.launch.report.layers[7].id == "L6");
  CHECK(running.launch.report.layers[7].state == LayerState::absent);
  CHECK(running.launch.report.layers[7].detail.find("qemu-user") != std::string::npos);
}

TEST_CASE("a null pointer gives registers that lead to the faulting line") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(test::this_kernel().pivot_root, "pivot_root fails here: / is no mount point");
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"crash"}});
  INFO(refusal(running.launch));
  REQUIRE(running.launch.process);
  const auto text = read_to_end(running.output.get());

  CHECK(wait_for(*running.launch.process).signal == SIGSEGV);

  INFO(text);
  const auto* crash = running.launch.process->crash();
  REQUIRE(crash != nullptr);
  const auto at = text.find("crash at: ");
  REQUIRE(at != std::string::npos);
  const auto function = std::stoull(text.substr(at + 10), nullptr, 16);
  CHECK(crash->signal == SIGSEGV);
  CHECK(crash->code == SEGV_MAPERR);
  CHECK(crash->fault_address == 0);
  CHECK(crash->program_counter.address >= function);
  CHECK(crash->program_counter.address < function + 64);
  CHECK(crash->program_counter.module == "/mnt/apps/" + test::test_guid(1).text() + "/bin/app");
  CHECK(crash->program_counter.offset > 0);
  CHECK(crash->stack != 0);
  CHECK(crash->return_address.address != 0);
  // The name of what was executed by descriptor is the number of the descriptor.
  CHECK_FALSE(crash->thread.empty());
}

TEST_CASE("an alarm that nobody handles ends an app with its signal") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"alarm"}});
  REQUIRE(running.launch.process);

  CHECK(wait_for(*running.launch.process).signal == SIGALRM);
}

TEST_CASE("an app can touch its budget and is killed by the kernel not far beyond") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(test::this_kernel().memory != Controller::none,
              "no memory controller: run as root with cgroup v2 or v1");
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"memory"}});
  INFO(refusal(running.launch));
  REQUIRE(running.launch.process);
  const auto text = read_to_end(running.output.get());

  const auto status = wait_for(*running.launch.process);

  INFO(text);
  CHECK(status.signal == SIGKILL);
  REQUIRE(running.launch.process->group() != nullptr);
  CHECK(running.launch.process->group()->memory_kills() > 0);
  const auto last = text.rfind("memory: ");
  REQUIRE(last != std::string::npos);
  const auto touched = std::stoul(text.substr(last + 8));
  CHECK(touched >= 256);
  CHECK(touched <= 512);
}

TEST_CASE("T22 writes stop at the quota with an error, and the app lives") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"fill"}});
  REQUIRE(running.launch.process);
  const auto text = read_to_end(running.output.get());

  const auto status = wait_for(*running.launch.process);

  INFO(text);
  CHECK(status.signal == 0);
  CHECK(text.find("fill: 8192 27\n") != std::string::npos);  // EFBIG
  CHECK(text.find("extend: 27\n") != std::string::npos);
  CHECK(text.find("sparse: 27\n") != std::string::npos);
  CHECK(text.find("still here\n") != std::string::npos);
}

TEST_CASE("T11 every process of an app, its init too, has no capability and a filter") {
  SKIP_WITHOUT_SANDBOX();
  SandboxBench sandbox;
  auto running = sandbox.start({.arguments = {"wait"}});
  REQUIRE(running.launch.process);
  const auto status_of = [](pid_t pid) {
    return read_text_file("/proc/" + std::to_string(pid) + "/status", 65536).value();
  };
  const auto app = status_of(running.launch.process->pid());
  const auto parent = std::stoi(app.substr(app.find("PPid:") + 5));
  REQUIRE(parent != ::getpid());

  // The init takes its filter while the app is at the gate already: a moment may be missing.
  auto init = status_of(parent);
  for (int turn = 0; turn < 200 && init.find("Seccomp:\t2") == std::string::npos; ++turn) {
    ::usleep(5000);
    init = status_of(parent);
  }

  for (const auto& text : {app, init}) {
    INFO(text);
    for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      CHECK(text.find(std::string{set} + ":\t0000000000000000\n") != std::string::npos);
    }
    CHECK(text.find("NoNewPrivs:\t1\n") != std::string::npos);
    CHECK(text.find("Seccomp:\t2\n") != std::string::npos);
  }
}
