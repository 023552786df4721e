// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// What layer L9 holds an app to.
struct GroupLimits {
  std::uint64_t memory_bytes = 0;
  std::uint64_t processes = 0;
  friend bool operator==(const GroupLimits&, const GroupLimits&) = default;
};

// Where the kernel's controllers can be used: the agent's own directory in each hierarchy.
struct GroupTree {
  struct Hierarchy {
    std::filesystem::path directory;
    Controller version = Controller::none;
    bool memory = false, processes = false, cpu = false;
  };
  std::vector<Hierarchy> hierarchies;

  [[nodiscard]] Controller memory() const;
  [[nodiscard]] Controller processes() const;
  [[nodiscard]] Controller cpu() const;
};

// One app's control groups. Its end removes them; what still runs in them is killed by then.
class AppGroup {
 public:
  // Makes the groups and sets the limits. Error: io, naming the file.
  [[nodiscard]] static Result<std::unique_ptr<AppGroup>> create(const GroupTree& tree,
                                                                const std::string& name,
                                                                const GroupLimits& limits);
  AppGroup(const AppGroup&) = delete;
  AppGroup& operator=(const AppGroup&) = delete;
  AppGroup(AppGroup&&) = delete;
  AppGroup& operator=(AppGroup&&) = delete;
  ~AppGroup();

  // How a process joins each group: of v1 the file `tasks`, open for writing; of v2 the directory,
  // to make the process in (CLONE_INTO_CGROUP). Writing to cgroup.procs waits for all processors of
  // the machine, 5 to 15 ms; a thread that moves itself by `tasks`, and a new process, need not.
  [[nodiscard]] const std::vector<Descriptor>& join() const noexcept { return join_; }

  // How the groups of `pid` or the limits in them differ from what was made: "" when they do not.
  [[nodiscard]] std::string difference(pid_t pid) const;
  // The limits as the kernel has them.
  [[nodiscard]] std::string describe() const;

  // Kills by the kernel for want of memory so far.
  [[nodiscard]] std::uint64_t memory_kills() const;
  // Bytes charged now; 0 without a memory controller.
  [[nodiscard]] std::uint64_t memory_bytes() const;
  // The most that was charged so far; 0 where the kernel does not keep it.
  [[nodiscard]] std::uint64_t peak_bytes() const;
  // Bytes of anonymous and shared memory, and of mapped files.
  [[nodiscard]] std::uint64_t user_bytes() const;
  // SIGKILL to everything in the groups.
  void kill_all() const;

 private:
  struct Member {
    std::filesystem::path directory;
    GroupTree::Hierarchy of;
  };
  AppGroup() = default;
  [[nodiscard]] Result<void> add(const GroupTree::Hierarchy& hierarchy, const std::string& name);
  [[nodiscard]] const Member* with_memory() const;
  [[nodiscard]] std::string limit_difference(const Member& member) const;

  GroupLimits limits_;
  std::vector<Member> members_;
  std::vector<Descriptor> join_;
};

// The agent's part of the machine's control groups, removed at its end.
class AgentGroups {
 public:
  // Finds the hierarchies that can be written and makes a directory for this agent in each; takes
  // away what agents that are no longer there have left. Never fails: what is not there is missing
  // from tree().
  [[nodiscard]] static AgentGroups find();
  // The same with the texts of /proc/self/cgroup and /proc/self/mountinfo.
  [[nodiscard]] static AgentGroups find_in(std::string_view own_groups, std::string_view mounts);
  AgentGroups(const AgentGroups&) = delete;
  AgentGroups& operator=(const AgentGroups&) = delete;
  AgentGroups(AgentGroups&& other) noexcept = default;
  AgentGroups& operator=(AgentGroups&&) = delete;
  ~AgentGroups();

  [[nodiscard]] const GroupTree& tree() const noexcept { return tree_; }

 private:
  AgentGroups() = default;
  GroupTree tree_;
};

// The directories to look in, from the texts of /proc/self/cgroup and /proc/self/mountinfo: one for
// each mount.
struct GroupPlace {
  std::filesystem::path directory;  // Mount point and the agent's own group below it.
  Controller version = Controller::none;
  std::vector<std::string> controllers;  // Of v1; those of v2 stand in the directory.
  std::filesystem::path mount_point = {};
  std::string device = {};  // "0:26": mounts of one hierarchy have the same.
};
[[nodiscard]] std::vector<GroupPlace> group_places(std::string_view own_groups,
                                                   std::string_view mounts);

}  // namespace sphere::agent
