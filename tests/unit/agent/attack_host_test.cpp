// SPDX-License-Identifier: MIT
// What an app that wants out gets: attack_probe in a real sandbox, each row against a table.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/process.h"
#include "sphere/core/text.h"
#include "tests/support/sandbox_bench.h"
#include "tests/support/skip.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::SandboxBench;

using Results = std::map<std::string, std::string>;

// The results by name. The token goes into the socket before the app can look for it: it waits a
// second for it.
Results attack(SandboxBench& sandbox, SandboxBench::Wish wish) {
  // What row X17 looks for.
  const Descriptor listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  constexpr std::string_view kName = "sphere-attack-probe";
  std::memcpy(&address.sun_path[1], kName.data(), kName.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kName.size());
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what the socket interface takes
  const auto* named = reinterpret_cast<const sockaddr*>(&address);
  const bool listens = ::bind(listener.get(), named, size) == 0;
  REQUIRE((!listens || ::listen(listener.get(), 1) == 0));

  auto running = sandbox.start(std::move(wish));
  INFO(test::refusal(running.launch));
  REQUIRE(running.launch.process);
  REQUIRE(::send(sandbox.broker.get(), "attack", 6, 0) == 6);
  const auto text = test::read_to_end(running.output.get());
  const auto status = test::wait_for(*running.launch.process, 60000);
  INFO(text);
  REQUIRE(status.signal == 0);
  REQUIRE(status.code == 0);
  Results results;
  for (const auto& line : split(text, '\n')) {
    const auto tab = line.find('\t');
    if (tab != std::string::npos) {
      results[line.substr(0, tab)] = line.substr(tab + 1);
    }
  }
  return results;
}

struct Expected {
  std::string_view name;
  std::vector<std::string_view> results;
};

// Policy production, a native app without a capability. Where two answers stand, it depends on
// which of two layers the kernel asks first.
const std::vector<Expected>& expected_for_production() {
  static const std::vector<Expected> table = {
      {"P1 self-mem", {"EROFS", "EACCES"}},
      {"P2 thread-self-mem", {"EROFS", "EACCES"}},
      {"P3 ptrace", {"EPERM"}},
      {"P4 process-vm-writev", {"EPERM"}},
      {"P5 mmap-rwx", {"EPERM", "EACCES"}},
      {"P6 mprotect-rx", {"EPERM", "EACCES"}},
      {"P7 memfd-map", {"EPERM"}},
      {"P8 read-implies-exec", {"EPERM"}},
      {"P9 exec-copy", {"EACCES"}},
      {"P10 execveat-memfd", {"EPERM"}},
      {"P11 mknod", {"EPERM"}},
      {"P12 mknod-open", {"EPERM"}},
      {"P13 unshare-user", {"EPERM"}},
      {"P14 user-then-mount", {"EPERM"}},
      {"P15 mount", {"EPERM"}},
      {"P16 kernel-log", {"EPERM"}},
      {"P17 packet-socket", {"EAFNOSUPPORT"}},
      {"P18 alg-socket", {"EAFNOSUPPORT"}},
      {"P19 inet-socket", {"EAFNOSUPPORT"}},
      {"P20 netlink-socket", {"EAFNOSUPPORT"}},
      {"P21 vsock-socket", {"EAFNOSUPPORT"}},
      {"P22 bpf", {"EPERM"}},
      {"P23 io-uring", {"EPERM"}},
      {"P24 userfaultfd", {"EPERM"}},
      {"P25 perf-event", {"EPERM"}},
      {"P26 keyctl", {"EPERM"}},
      {"P27 write-image", {"EROFS", "EACCES"}},
      {"P28 sysrq", {"ENOENT", "EROFS", "EACCES"}},
      {"P29 core-pattern", {"EROFS", "EACCES"}},
      {"P30 host-pids", {"ENOENT"}},
      {"P31 mq-open", {"EPERM"}},
      {"P32 shmget", {"EPERM"}},
      {"P33 many-forks", {"EAGAIN"}},
      {"P34 setuid", {"EPERM"}},
      {"X1 pid-mem", {"EROFS", "EACCES"}},
      {"X2 task-mem", {"EROFS", "EACCES"}},
      {"X3 parent-mem", {"EROFS", "EACCES"}},
      {"X4 passed-mem", {"EROFS", "EACCES"}},
      {"X5 map-temporary", {"EPERM", "EACCES"}},
      {"X6 clone3-user", {"ENOSYS"}},
      {"X7 clone-user", {"EPERM"}},
      {"X8 setns", {"EPERM", "EACCES"}},
      {"X9 fsopen", {"EPERM"}},
      {"X10 chroot", {"EPERM"}},
      {"X11 kmsg", {"ENOENT"}},
      {"X12 plant-in-image", {"EROFS", "EACCES"}},
      {"X13 signal-init", {"EPERM", "ESRCH"}},
      {"X14 semget", {"EPERM"}},
      {"X15 raise-limit", {"EPERM"}},
      {"X16 tiocsti", {"ENOTTY"}},
      {"X17 abstract-socket", {"ECONNREFUSED", "EPERM"}},
      {"X18 raw-socket", {"EAFNOSUPPORT"}},
  };
  return table;
}

void compare(const Results& results, const Results& exceptions) {
  REQUIRE(results.size() == expected_for_production().size());
  for (const auto& row : expected_for_production()) {
    const auto found = results.find(std::string{row.name});
    INFO(row.name << " gives " << (found == results.end() ? "nothing" : found->second));
    REQUIRE(found != results.end());
    const auto other = exceptions.find(found->first);
    if (other != exceptions.end()) {
      CHECK(found->second == other->second);
    } else {
      CHECK(std::ranges::find(row.results, found->second) != row.results.end());
    }
  }
}

std::size_t successes(const Results& results) {
  return static_cast<std::size_t>(std::ranges::count_if(
      results, [](const auto& result) { return result.second == "SUCCEEDS"; }));
}

}  // namespace

TEST_CASE("T1 T2 T3 T4 T5 T6 T20 T23 no probe succeeds in a native app under production") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(test::missing_for_production().empty(), test::missing_for_production());
  SandboxBench sandbox;

  const auto results = attack(
      sandbox, {.program = SPHERE_ATTACK_PROBE, .may_be_dev = false, .memory_bytes = 8U << 20U});

  compare(results, {});
  CHECK(successes(results) == 0);
}

TEST_CASE("an internet socket is the one probe that succeeds with a network capability") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(test::missing_for_production().empty(), test::missing_for_production());
  SandboxBench sandbox;
  sandbox.kernel.firewall = true;  // What it filters is another test's subject.
  manifest::Capabilities capabilities;
  capabilities.allowed_connections = {"example.com"};

  const auto results = attack(sandbox, {.program = SPHERE_ATTACK_PROBE,
                                        .capabilities = capabilities,
                                        .may_be_dev = false,
                                        .memory_bytes = 8U << 20U,
                                        .firewall = "a line of rules"});

  compare(results, {{"P19 inet-socket", "SUCCEEDS"}, {"X18 raw-socket", "EPERM"}});
  CHECK(successes(results) == 1);
}

TEST_CASE("under emulation new executable pages are all that more can be had") {
  SKIP_WITHOUT_SANDBOX();
  SKIP_UNLESS(std::filesystem::exists(SPHERE_ARM_ATTACK_PROBE),
              "no ARM compiler: install gcc-arm-linux-gnueabihf");
  SKIP_UNLESS(open_emulator(), "no qemu-arm-static: install qemu-user-static");
  SKIP_UNLESS(test::this_kernel().landlock_abi > 0, "no Landlock: use Linux 5.13 or newer");
  SandboxBench sandbox;

  const auto results = attack(
      sandbox, {.program = SPHERE_ARM_ATTACK_PROBE, .memory_bytes = 64U << 20U, .emulated = true});

  // Calls that the emulator does not know it answers itself.
  Results exceptions = {{"P5 mmap-rwx", "SUCCEEDS"},
                        {"P6 mprotect-rx", "SUCCEEDS"},
                        // To the emulator code is data: a file in /tmp is as good as any.
                        {"X5 map-temporary", "SUCCEEDS"},
                        {"P31 mq-open", "EINVAL"},
                        {"X7 clone-user", "EINVAL"}};
  for (const auto* name : {"P3 ptrace", "P4 process-vm-writev", "P22 bpf", "P23 io-uring",
                           "P24 userfaultfd", "P25 perf-event", "P26 keyctl", "X9 fsopen"}) {
    exceptions[name] = "ENOSYS";
  }
  for (const auto& [name, result] : results) {
    UNSCOPED_INFO(name << "\t" << result);
  }
  compare(results, exceptions);
}

TEST_CASE("the probe refuses to run outside a sandbox") {
  auto child = ChildProcess::start({.program = SPHERE_ATTACK_PROBE});
  REQUIRE(child);

  const auto status = child->wait();

  REQUIRE(status);
  CHECK(status->code == 77);
}
