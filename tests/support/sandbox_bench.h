// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/features.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/private_mounts.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "tests/support/skip.h"
#include "tests/support/test_package.h"

namespace sphere::test {

// Once a process: afterwards it lives in its own mount namespace.
inline const Result<bool>& private_mounts() {
  static const auto entered = agent::enter_private_mounts();
  return entered;
}

// The agent's groups for the whole test process; made on first use.
inline const agent::AgentGroups& agent_groups() {
  static const auto groups = agent::AgentGroups::find();
  return groups;
}

// What this machine gives. After private_mounts().
inline const agent::KernelFeatures& this_kernel() {
  static const auto features = [] {
    const auto folder = TemporaryDirectory::create().value();
    auto found = agent::probe_kernel(folder.path());
    found.memory = agent_groups().tree().memory();
    found.processes = agent_groups().tree().processes();
    found.cpu = agent_groups().tree().cpu();
    return found;
  }();
  return features;
}

// The launcher makes its processes with clone(2) itself; AddressSanitizer's allocator, which wants
// to see every fork, spins in the child.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

inline constexpr auto kWithoutSanitizer =
    "the sandbox launcher under AddressSanitizer: run the dev preset";
inline constexpr auto kWithNamespaces =
    "no namespaces: run as root, or allow unprivileged user namespaces";

#define SKIP_WITHOUT_SANDBOX()                                             \
  SKIP_UNLESS(!sphere::test::kSanitized, sphere::test::kWithoutSanitizer); \
  SKIP_UNLESS(sphere::test::private_mounts(), sphere::test::kWithNamespaces)

// Why policy `production` cannot be had here; empty when it can.
inline std::string missing_for_production() {
  const auto verdicts =
      agent::assess(this_kernel(), {.rootless = *private_mounts()}, agent::Policy::production);
  const auto* refused = agent::refusal_of(verdicts);
  return refused == nullptr
             ? std::string{}
             : std::string{refused->id} + " " + refused->detail + ": " + refused->fix;
}

struct RunningApp {
  agent::Launch launch;
  Descriptor output;
};

// Starts one program in a real sandbox.
class SandboxBench {
 public:
  struct Wish {
    std::filesystem::path program = SPHERE_SANDBOX_PROBE;
    std::vector<std::string> arguments = {};
    bool damage_program = false;
    manifest::Capabilities capabilities = {};
    std::string skip = {};  // A layer that the launcher leaves out.
    agent::Policy policy = agent::Policy::production;
    bool may_be_dev = true;
    std::uint64_t memory_bytes = agent::group_bytes({}, false);
    std::uint32_t user = 3;
    bool emulated = false;
    std::string firewall = {};  // What the agent's firewall has for it.
  };

  RunningApp start(Wish wish) {
    auto program = read_file(wish.program, std::size_t{16} << 20U).value();
    if (wish.damage_program) {
      program.assign(64, std::byte{0x55});
    }
    const auto component = test_guid(1);
    const auto package =
        signer_.package({.manifest = manifest_text(component),
                         .files = {{"bin/app", {.content = program, .executable = true}}},
                         .component = component,
                         .image = test_guid(2)});
    std::array<int, 2> pipe = {};
    std::array<int, 2> sockets = {};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    RunningApp running{.launch = {}, .output = Descriptor{pipe[0]}};
    const Descriptor output{pipe[1]};
    broker = Descriptor{sockets[0]};
    const Descriptor theirs{sockets[1]};
    const auto plan = agent::complete_plan(agent::Plan{.component_id = component.text(),
                                                       .uid = agent::kFirstAppUid + wish.user,
                                                       .rootless = *private_mounts(),
                                                       .agent = ::getpid(),
                                                       .staging = folder_.path(),
                                                       .libraries = {},
                                                       .entry_point = "/bin/app",
                                                       .arguments = std::move(wish.arguments),
                                                       .emulated = wish.emulated,
                                                       .file_bytes = 8192},
                                           wish.capabilities, kernel,
                                           {.wanted = wish.policy, .may_be_dev = wish.may_be_dev});
    INFO((plan ? std::string{} : plan.error().message()));
    REQUIRE(plan);
    agent::SandboxLauncher launcher{launcher_program(wish.skip), agent_groups().tree()};
    running.launch = launcher.launch(
        {.plan = *plan,
         .package = package,
         .output = output.get(),
         .broker = theirs.get(),
         .firewall = wish.firewall,
         .limits = {.memory_bytes = wish.memory_bytes, .processes = agent::kProcessLimit}});
    return running;
  }

  agent::KernelFeatures kernel = this_kernel();
  Descriptor broker;  // The agent's end of the last app's socket.

 private:
  std::filesystem::path launcher_program(const std::string& skip) {
    if (skip.empty()) {
      return std::filesystem::path{SPHERE_BINARY_DIR} / "bin" / "sphere-launch";
    }
    const auto program = programs_.path() / ("skip-" + skip);
    std::error_code present;
    std::filesystem::create_symlink(SPHERE_FAULTY_LAUNCHER, program, present);
    return program;
  }

  TemporaryDirectory folder_ = TemporaryDirectory::create().value();
  TemporaryDirectory programs_ = TemporaryDirectory::create().value();
  TestSigner signer_;
};

inline std::string read_to_end(int descriptor) {
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

inline ExitStatus wait_for(agent::AppProcess& process, int milliseconds = 5000) {
  pollfd polled = {.fd = process.descriptor(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&polled, 1, milliseconds) == 1);
  const auto status = process.poll();
  REQUIRE(status);
  return *status;
}

inline std::string refusal(const agent::Launch& launch) {
  return launch.refused ? launch.refused->message() : std::string{};
}

}  // namespace sphere::test
