// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/system_calls.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// Descriptors of the launcher process. 0 to 3 stay with the app, the rest are close-on-exec.
inline constexpr int kAppSocket = 3;         // To the broker.
inline constexpr int kStatusDescriptor = 4;  // Launcher and init to agent: SEQPACKET, JSON.
inline constexpr int kGateDescriptor = 5;    // The app's process and agent: SEQPACKET, JSON.
inline constexpr int kPlanDescriptor = 6;    // memfd with the plan.
inline constexpr int kEmulatorDescriptor = 7;
inline constexpr int kFilterDescriptor = 8;  // Sealed memfd: BPF programs of the app and its init.
inline constexpr int kFirstGroupDescriptor = 9;  // Plan::groups of AppGroup::join().
inline constexpr std::size_t kMostGroups = 3;    // Memory, processes, CPU of cgroup v1.
inline constexpr int kUsersDescriptor = 12;      // The app's user namespace, if it has one.
inline constexpr int kDebugDescriptor = 13;      // Init and agent, for gdb: SEQPACKET.
inline constexpr std::string_view kEmulatorDebugSocket = "/tmp/.gdb";  // Of the emulator.

inline constexpr std::uint32_t kFirstAppUid = 100000;
inline constexpr std::uint64_t kTemporaryBytes = 65536;    // /tmp
inline constexpr std::uint64_t kFileBytesWithout = 65536;  // RLIMIT_FSIZE without MutableStorage.
inline constexpr std::uint64_t kDescriptorLimit = 64;
inline constexpr std::uint64_t kProcessLimit = 32;

// Everything the launcher does for one start, decided beforehand.
struct Plan {
  std::string component_id;
  std::uint32_t uid = 0;  // gid as well.
  bool rootless = false;  // The agent runs in a user namespace of an ordinary user.
  pid_t agent = 0;
  // Directory for the trees of apps; for the launcher the one of this app (app_tree.h).
  std::filesystem::path staging;
  std::filesystem::path libraries;  // Becomes /lib and /usr/lib; empty: none.
  std::string entry_point;          // "/bin/app", in the package.
  std::vector<std::string> arguments;
  bool emulated = false;  // Through the program at kEmulatorDescriptor.
  std::uint64_t file_bytes = kFileBytesWithout;

  Policy policy = Policy::dev;
  std::vector<LayerVerdict> layers = {};  // For the report; stays with the agent.
  bool user_namespace = true;
  bool pivot_root = true;
  bool watch_crashes = true;  // The init traces the app; nobody else can then.
  // The app stands at its first instruction until gdb lets it go: the init, or the emulator, is the
  // stub that gdb speaks to.
  bool debug = false;
  bool mdwe = false;
  int landlock_abi = 0;  // 0: no Landlock rules.
  // The app shares the device's network namespace, behind the firewall.
  bool network = false;
  bool connects = false;  // AllowedConnections is not empty.
  std::vector<std::uint16_t> tcp_server_ports = {}, udp_server_ports = {};
  std::string resolver = "127.0.0.1";  // For /etc/resolv.conf.
  FilterKey filter = {};
  std::size_t groups = 0;                 // cgroups to join.
  std::uint64_t address_space_bytes = 0;  // RLIMIT_AS in place of a memory controller; 0: none.
  std::size_t filter_bytes = 0;           // Of the app's filter; the init's follows.
};

[[nodiscard]] json::Value to_json(const Plan& plan);
[[nodiscard]] Result<Plan> plan_from_json(const json::Value& value);

// Where the package stands in the app's tree.
[[nodiscard]] std::string image_path(const Plan& plan);

// One mount of the app's tree and the options it must have.
struct PlannedMount {
  std::string path;
  std::string type;  // "" for a bind mount.
  std::vector<std::string_view> options;
  bool sealed = false;  // Its superblock is read-only as well: no other mount of it can be written.
};
[[nodiscard]] std::vector<PlannedMount> planned_mounts(const Plan& plan);

}  // namespace sphere::agent
