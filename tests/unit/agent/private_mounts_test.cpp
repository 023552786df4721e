// SPDX-License-Identifier: MIT
// The agent in a chroot whose root is no mount point, on a host whose mounts are shared.
#include "device-agent/agent/sandbox/private_mounts.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <sys/mount.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "tests/support/skip.h"

namespace {

namespace fs = std::filesystem;
using namespace sphere;  // NOLINT(google-build-using-namespace): test

// What a step of the child processes below came to.
enum Outcome : int {
  all_well = 0,
  no_setup = 10,      // The machine does not let the test prepare itself.
  refused = 11,       // enter_private_mounts() failed.
  not_separate = 12,  // A mount of the agent could not be made or is not seen by it.
  leaked = 13,        // The host sees a mount of the agent.
};

constexpr std::size_t kMountTable = std::size_t{4} << 20U;

std::string mount_table() {
  return read_text_file("/proc/self/mountinfo", kMountTable).value_or("");
}

// The agent's part, in the chroot.
Outcome act_as_agent(const fs::path& root) {
  if (::chroot(root.c_str()) != 0 || ::chdir("/") != 0) {
    return no_setup;
  }
  if (!agent::enter_private_mounts()) {
    return refused;
  }
  const auto before = mount_table();
  const bool mounted = ::mount("tmpfs", "/staging", "tmpfs", 0, "size=64k") == 0;
  return mounted && mount_table() != before && ::access("/marker", F_OK) == 0 ? all_well
                                                                              : not_separate;
}

int wait_for(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The host's part, in a mount namespace of its own whose mounts are all shared.
int act_as_host(const fs::path& root) {
  if (!agent::enter_private_mounts() ||  // The test may run in a chroot itself.
      ::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0 ||
      ::mount("proc", (root / "proc").c_str(), "proc", 0, nullptr) != 0) {
    return no_setup;
  }
  const auto before = mount_table();
  const pid_t agent = ::fork();
  if (agent == 0) {
    ::_exit(act_as_agent(root));
  }
  const int outcome = wait_for(agent);
  return outcome != all_well ? outcome : mount_table() == before ? all_well : leaked;
}

}  // namespace

TEST_CASE("in a chroot the agent's mounts are its own and do not reach a host that shares its") {
  SKIP_UNLESS(::geteuid() == 0, "not root: no chroot");
  const auto folder = TemporaryDirectory::create().value();
  for (const auto* name : {"proc", "staging"}) {
    REQUIRE(make_directories(folder.path() / name));
  }
  REQUIRE(write_file(folder.path() / "marker", "here"));

  const pid_t host = ::fork();
  if (host == 0) {
    ::_exit(act_as_host(folder.path()));
  }
  const int outcome = wait_for(host);

  SKIP_UNLESS(outcome != no_setup, "no mount namespaces for root");
  CHECK(outcome == all_well);
}
