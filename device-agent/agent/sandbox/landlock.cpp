// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/landlock.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"

namespace sphere::agent {
namespace {

// The interface up to ABI 6; Debian 12's header ends at ABI 2.
struct RulesetAttributes {
  std::uint64_t files, ports, scope;
};
struct PortRule {
  std::uint64_t access, port;
};
constexpr std::size_t kFilesOnlyBytes = 8;  // Of RulesetAttributes, for ABI 1 to 3.
constexpr std::size_t kPortsBytes = 16;     // For ABI 4 and 5.
constexpr int kPortRuleType = 2;
constexpr std::uint64_t kTruncate = 1U << 14U;  // Since ABI 3.
constexpr std::uint64_t kDeviceIoctl = 1U << 15U;
constexpr std::uint64_t kBindTcp = 1U << 0U;
constexpr std::uint64_t kConnectTcp = 1U << 1U;
constexpr std::uint64_t kScopeAll = 3;  // Abstract sockets and signals.

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;

constexpr std::uint64_t handled_files(int abi) {
  constexpr std::uint64_t kAbi1 = (1U << 13U) - 1;
  return kAbi1 | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) | (abi >= 3 ? kTruncate : 0) |
         (abi >= 5 ? kDeviceIoctl : 0);
}

std::size_t attribute_bytes(int abi) {
  if (abi < 4) {
    return kFilesOnlyBytes;
  }
  return abi < 6 ? kPortsBytes : sizeof(RulesetAttributes);
}

Descriptor create_ruleset(const RulesetAttributes& attributes, int abi) {
  return Descriptor{static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &attributes, attribute_bytes(abi), 0))};
}

bool restrict_self(int ruleset) { return ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0; }

struct PathRule {
  std::string path;
  std::uint64_t access;
};

std::vector<PathRule> path_rules(const Plan& plan) {
  const auto code = plan.emulated ? kRead : kRead | LANDLOCK_ACCESS_FS_EXECUTE;
  std::vector<PathRule> rules = {
      {.path = "/", .access = LANDLOCK_ACCESS_FS_READ_DIR},
      {.path = image_path(plan), .access = code},
      {.path = "/etc", .access = kRead},
      {.path = "/proc", .access = kRead},
      {.path = "/dev", .access = kRead},
      {.path = "/dev/null", .access = LANDLOCK_ACCESS_FS_READ_FILE | kWrite},
      {.path = "/dev/zero", .access = LANDLOCK_ACCESS_FS_READ_FILE | kWrite},
      {.path = "/tmp",
       .access = kRead | kWrite | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                 LANDLOCK_ACCESS_FS_REFER},
  };
  if (!plan.libraries.empty()) {
    rules.push_back({.path = "/lib", .access = code});
    rules.push_back({.path = "/usr/lib", .access = code});
  }
  return rules;
}

bool add_path(int ruleset, int file, std::uint64_t access) {
  const landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = file};
  return ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

Step add_paths(int ruleset, const Plan& plan, std::uint64_t handled) {
  for (const auto& rule : path_rules(plan)) {
    const Descriptor place{::open(rule.path.c_str(), O_PATH | O_CLOEXEC)};
    if (auto added = require(place && add_path(ruleset, place.get(), rule.access & handled), "L7",
                             "add a Landlock rule for " + rule.path);
        !added) {
      return added;
    }
  }
  return {};
}

// A name without a port needs every port to connect to; the firewall knows the addresses.
std::uint64_t handled_ports(const Plan& plan, int abi) {
  if (abi < 4) {
    return 0;
  }
  return plan.network && plan.connects ? kBindTcp : kBindTcp | kConnectTcp;
}

Step add_ports(int ruleset, const Plan& plan) {
  for (const auto port : plan.network ? plan.tcp_server_ports : std::vector<std::uint16_t>{}) {
    const PortRule rule = {.access = kBindTcp, .port = port};
    if (auto added =
            require(::syscall(SYS_landlock_add_rule, ruleset, kPortRuleType, &rule, 0) == 0, "L7",
                    "add a Landlock rule for a TCP port");
        !added) {
      return added;
    }
  }
  return {};
}

}  // namespace

int landlock_abi() {
  const auto version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return static_cast<int>(std::max(version, 0L));
}

bool refuse_all_files() {
  const RulesetAttributes attributes = {.files = handled_files(1), .ports = 0, .scope = 0};
  const auto ruleset = create_ruleset(attributes, 1);
  return ruleset && restrict_self(ruleset.get());
}

Step restrict_by_landlock(const Plan& plan, int emulator) {
  const int abi = plan.landlock_abi;
  const auto files = handled_files(abi);
  const auto ruleset = create_ruleset(
      {.files = files, .ports = handled_ports(plan, abi), .scope = abi >= 6 ? kScopeAll : 0}, abi);
  if (!ruleset) {
    return require(false, "L7", "create Landlock rules");
  }
  if (auto added = add_paths(ruleset.get(), plan, files); !added) {
    return added;
  }
  if (plan.emulated) {
    constexpr auto kProgram = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
    if (auto added = require(add_path(ruleset.get(), emulator, kProgram), "L7",
                             "add a Landlock rule for the emulator");
        !added) {
      return added;
    }
  }
  if (abi >= 4) {
    if (auto added = add_ports(ruleset.get(), plan); !added) {
      return added;
    }
  }
  return require(restrict_self(ruleset.get()), "L7", "apply the Landlock rules");
}

}  // namespace sphere::agent
