// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/cgroup.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kFileBytes = 65536;
constexpr std::string_view kOwnPrefix = "sphere.";  // And the agent's pid.

std::string read_value(const fs::path& path) {
  return std::string{trim(read_text_file(path, kFileBytes).value_or(""))};
}

Result<void> write_value(const fs::path& path, const std::string& value) {
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file) {
    return tl::unexpected<Error>{system_error("open", path.string(), errno)};
  }
  return write_all(file.get(), std::as_bytes(std::span{value}), path.string());
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "oom_kill 3" in a file of such lines gives 3.
std::uint64_t field(const fs::path& path, std::string_view name) {
  for (const auto& line : split(read_value(path), '\n')) {
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ' ') {
      return number_in(std::string_view{line}.substr(name.size() + 1));
    }
  }
  return 0;
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

std::string_view memory_limit_file(Controller version) {
  return version == Controller::v2 ? "memory.max" : "memory.limit_in_bytes";
}

std::uint64_t whole_pages(std::uint64_t bytes) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes / page * page;
}

bool is_alive(std::string_view pid) {
  return ::kill(static_cast<pid_t>(number_in(pid)), 0) == 0 || errno == EPERM;
}

// A group and the empty ones in it.
void remove_group(const fs::path& group) {
  std::error_code error;
  for (fs::directory_iterator entry{group, error}, end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory(error)) {
      ::rmdir(entry->path().c_str());
    }
  }
  ::rmdir(group.c_str());
}

// Groups of an agent that was killed: empty by then, since its apps died with it.
void remove_leftovers(const fs::path& parent) {
  std::error_code error;
  for (fs::directory_iterator entry{parent, error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (!name.starts_with(kOwnPrefix) ||
        is_alive(std::string_view{name}.substr(kOwnPrefix.size()))) {
      continue;
    }
    remove_group(entry->path());
  }
}

// Hands the controllers of `parent` on to the groups below it. The kernel refuses it in a group
// that has processes of its own and is not the root.
std::vector<std::string> delegate(const fs::path& parent) {
  for (const auto* name : {"+memory", "+pids", "+cpu"}) {
    // What cannot be had is missing from the list below.
    [[maybe_unused]] const auto written = write_value(parent / "cgroup.subtree_control", name);
  }
  return split(read_value(parent / "cgroup.subtree_control"), ' ');
}

// Makes the agent's directory in one hierarchy; nothing when it cannot be written or has no use.
std::optional<GroupTree::Hierarchy> open_hierarchy(const GroupPlace& place) {
  auto controllers = place.controllers;
  if (place.version == Controller::v2) {
    controllers = delegate(place.directory);
  }
  GroupTree::Hierarchy hierarchy{.directory = {},
                                 .version = place.version,
                                 .memory = contains(controllers, "memory"),
                                 .processes = contains(controllers, "pids"),
                                 .cpu = contains(controllers, "cpu")};
  if (!hierarchy.memory && !hierarchy.processes && !hierarchy.cpu) {
    return std::nullopt;
  }
  remove_leftovers(place.directory);
  hierarchy.directory = place.directory / fmt::format("{}{}", kOwnPrefix, ::getpid());
  if (::mkdir(hierarchy.directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return std::nullopt;
  }
  if (place.version == Controller::v2) {
    const auto handed = delegate(hierarchy.directory);
    hierarchy.memory = contains(handed, "memory");
    hierarchy.processes = contains(handed, "pids");
    hierarchy.cpu = contains(handed, "cpu");
  }
  return hierarchy;
}

Result<void> limit_memory(const fs::path& group, Controller version, std::uint64_t bytes) {
  const auto text = std::to_string(bytes);
  SPHERE_TRY(write_value(group / memory_limit_file(version), text));
  // Without swap accounting neither file is there, and where there is no swap neither is needed.
  if (version == Controller::v1) {
    [[maybe_unused]] const auto swap = write_value(group / "memory.memsw.limit_in_bytes", text);
    return {};
  }
  [[maybe_unused]] const auto swap = write_value(group / "memory.swap.max", "0");
  return write_value(group / "memory.oom.group", "1");
}

Result<void> set_limits(const fs::path& group, const GroupTree::Hierarchy& of,
                        const GroupLimits& limits) {
  if (of.memory) {
    SPHERE_TRY(limit_memory(group, of.version, limits.memory_bytes));
  }
  if (of.processes) {
    SPHERE_TRY(write_value(group / "pids.max", std::to_string(limits.processes)));
  }
  if (!of.cpu) {
    return {};
  }
  // Half a process's share: the agent answers while an app spins.
  return of.version == Controller::v2 ? write_value(group / "cpu.weight", "50")
                                      : write_value(group / "cpu.shares", "512");
}

// One line of /proc/self/cgroup: "4:memory,cpu:/path"; v2 has no controllers in it.
struct OwnGroup {
  std::vector<std::string> controllers;
  std::string path;
};

std::optional<OwnGroup> read_own_group(const std::string& line) {
  const auto first = line.find(':');
  const auto second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos || line.size() < second + 2 || line[second + 1] != '/') {
    return std::nullopt;
  }
  const auto names = line.substr(first + 1, second - first - 1);
  return OwnGroup{.controllers = names.empty() ? std::vector<std::string>{} : split(names, ','),
                  .path = line.substr(second + 1)};
}

// The agent's own group below a mount that shows only `root` of its hierarchy; the mount point when
// the group lies outside of it.
fs::path below_mount(const std::string& mount_point, const std::string& root,
                     const std::string& own) {
  if (root == "/") {
    return fs::path{mount_point + own};
  }
  const bool inside =
      own.starts_with(root) && (own.size() == root.size() || own[root.size()] == '/');
  return inside ? fs::path{mount_point + own.substr(root.size())} : fs::path{mount_point};
}

// The place of one mounted hierarchy, if the agent is in one like it.
std::optional<GroupPlace> place_of_mount(const std::string& line, std::string_view own_groups) {
  // id parent major:minor root path options [optional ...] - type source options
  const auto fields = split(line, ' ');
  const auto dash = std::ranges::find(fields, "-");
  if (fields.size() < 7 || fields.end() - dash < 4) {
    return std::nullopt;
  }
  const bool unified = *(dash + 1) == "cgroup2";
  if (!unified && *(dash + 1) != "cgroup") {
    return std::nullopt;
  }
  const auto options = split(*(dash + 3), ',');
  for (const auto& text : split(own_groups, '\n')) {
    auto own = read_own_group(text);
    if (!own || own->controllers.empty() != unified ||
        (!unified && !contains(options, own->controllers.front()))) {
      continue;
    }
    return GroupPlace{.directory = below_mount(fields[4], fields[3], own->path),
                      .version = unified ? Controller::v2 : Controller::v1,
                      .controllers = std::move(own->controllers),
                      .mount_point = fields[4],
                      .device = fields[2]};
  }
  return std::nullopt;
}

}  // namespace

std::vector<GroupPlace> group_places(std::string_view own_groups, std::string_view mounts) {
  std::vector<GroupPlace> places;
  for (const auto& line : split(mounts, '\n')) {
    if (auto place = place_of_mount(line, own_groups)) {
      places.push_back(*std::move(place));
    }
  }
  return places;
}

Controller GroupTree::memory() const {
  const auto found = std::ranges::find_if(hierarchies, &Hierarchy::memory);
  return found == hierarchies.end() ? Controller::none : found->version;
}
Controller GroupTree::processes() const {
  const auto found = std::ranges::find_if(hierarchies, &Hierarchy::processes);
  return found == hierarchies.end() ? Controller::none : found->version;
}
Controller GroupTree::cpu() const {
  const auto found = std::ranges::find_if(hierarchies, &Hierarchy::cpu);
  return found == hierarchies.end() ? Controller::none : found->version;
}

AgentGroups AgentGroups::find() {
  return find_in(read_text_file("/proc/self/cgroup", kFileBytes).value_or(""),
                 read_text_file("/proc/self/mountinfo", std::size_t{1} << 20U).value_or(""));
}

AgentGroups AgentGroups::find_in(std::string_view own_groups, std::string_view mounts) {
  AgentGroups groups;
  std::set<std::string> opened;
  for (auto& place : group_places(own_groups, mounts)) {
    // A hierarchy may be mounted at several places (in a container, a chroot kept beside): joined
    // twice, the second would take the app's group of the first away.
    if (opened.contains(place.device)) {
      continue;
    }
    std::error_code error;
    // In v2 only a group without processes can hand its controllers on, and the root: as root that
    // is the place. In v1 below the agent's own group, whose limits hold then as well.
    if (!fs::is_directory(place.directory, error) ||
        (place.version == Controller::v2 && ::geteuid() == 0)) {
      place.directory = place.mount_point;
    }
    if (auto hierarchy = open_hierarchy(place)) {
      groups.tree_.hierarchies.push_back(*std::move(hierarchy));
      opened.insert(std::move(place.device));
    }
  }
  return groups;
}

AgentGroups::~AgentGroups() {
  for (const auto& hierarchy : tree_.hierarchies) {
    remove_group(hierarchy.directory);
  }
}

Result<std::unique_ptr<AppGroup>> AppGroup::create(const GroupTree& tree, const std::string& name,
                                                   const GroupLimits& limits) {
  std::unique_ptr<AppGroup> group{
      new AppGroup};  // NOLINT(cppcoreguidelines-owning-memory): private
  group->limits_ = limits;
  group->limits_.memory_bytes = whole_pages(limits.memory_bytes);
  for (const auto& hierarchy : tree.hierarchies) {
    SPHERE_TRY(group->add(hierarchy, name));
  }
  return group;
}

Result<void> AppGroup::add(const GroupTree::Hierarchy& hierarchy, const std::string& name) {
  const auto directory = hierarchy.directory / name;
  ::rmdir(directory.c_str());  // With the limits of an app that could not be taken away in time.
  if (::mkdir(directory.c_str(), 0755) != 0) {
    return tl::unexpected<Error>{system_error("create cgroup", directory.string(), errno)};
  }
  members_.push_back({.directory = directory, .of = hierarchy});
  SPHERE_TRY(set_limits(directory, hierarchy, limits_));
  const bool unified = hierarchy.version == Controller::v2;
  const auto path = unified ? directory : directory / "tasks";
  Descriptor join{::open(path.c_str(), (unified ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC)};
  if (!join) {
    return tl::unexpected<Error>{system_error("open", path.string(), errno)};
  }
  join_.push_back(std::move(join));
  return {};
}

AppGroup::~AppGroup() {
  for (const auto& member : members_) {
    // Processes that have just been killed leave their group a moment later.
    for (int turn = 0; turn < 50 && ::rmdir(member.directory.c_str()) != 0 && errno == EBUSY;
         ++turn) {
      ::usleep(1000);
    }
  }
}

const AppGroup::Member* AppGroup::with_memory() const {
  const auto found =
      std::ranges::find_if(members_, [](const Member& member) { return member.of.memory; });
  return found == members_.end() ? nullptr : &*found;
}

std::string AppGroup::limit_difference(const Member& member) const {
  const auto compare = [&](std::string_view file, std::uint64_t wanted) {
    const auto found = read_value(member.directory / file);
    return found == std::to_string(wanted) ? std::string{} : fmt::format("{} is {}", file, found);
  };
  if (member.of.memory) {
    if (auto text = compare(memory_limit_file(member.of.version), limits_.memory_bytes);
        !text.empty()) {
      return text;
    }
  }
  return member.of.processes ? compare("pids.max", limits_.processes) : std::string{};
}

std::string AppGroup::difference(pid_t pid) const {
  for (const auto& member : members_) {
    const auto pids = split(read_value(member.directory / "cgroup.procs"), '\n');
    if (!contains(pids, std::to_string(pid))) {
      return fmt::format("the app is not in {}", member.directory.string());
    }
    if (auto text = limit_difference(member); !text.empty()) {
      return text;
    }
  }
  return {};
}

std::string AppGroup::describe() const {
  std::vector<std::string> found;
  for (const auto& member : members_) {
    if (member.of.memory) {
      const auto file = memory_limit_file(member.of.version);
      found.push_back(fmt::format("{} {}", file, read_value(member.directory / file)));
    }
    if (member.of.processes) {
      found.push_back("pids.max " + read_value(member.directory / "pids.max"));
    }
    if (member.of.cpu) {
      const auto* file = member.of.version == Controller::v2 ? "cpu.weight" : "cpu.shares";
      found.push_back(fmt::format("{} {}", file, read_value(member.directory / file)));
    }
  }
  return sphere::join(found, ", ");
}

std::uint64_t AppGroup::memory_kills() const {
  const auto* member = with_memory();
  if (member == nullptr) {
    return 0;
  }
  return field(member->directory /
                   (member->of.version == Controller::v2 ? "memory.events" : "memory.oom_control"),
               "oom_kill");
}

std::uint64_t AppGroup::memory_bytes() const {
  const auto* member = with_memory();
  return member == nullptr
             ? 0
             : number_in(read_value(member->directory / (member->of.version == Controller::v2
                                                             ? "memory.current"
                                                             : "memory.usage_in_bytes")));
}

std::uint64_t AppGroup::peak_bytes() const {
  const auto* member = with_memory();
  return member == nullptr
             ? 0
             : number_in(read_value(member->directory / (member->of.version == Controller::v2
                                                             ? "memory.peak"
                                                             : "memory.max_usage_in_bytes")));
}

std::uint64_t AppGroup::user_bytes() const {
  const auto* member = with_memory();
  if (member == nullptr) {
    return 0;
  }
  const auto file = member->directory / "memory.stat";
  return member->of.version == Controller::v2
             ? field(file, "anon") + field(file, "shmem") + field(file, "file_mapped")
             : field(file, "rss") + field(file, "mapped_file");
}

void AppGroup::kill_all() const {
  for (const auto& member : members_) {
    // v2 has one file for it; in v1 each process in turn, of which new ones may come meanwhile.
    if (member.of.version == Controller::v2 && write_value(member.directory / "cgroup.kill", "1")) {
      continue;
    }
    for (const auto& pid : split(read_value(member.directory / "cgroup.procs"), '\n')) {
      if (const auto number = number_in(pid); number > 1) {
        ::kill(static_cast<pid_t>(number), SIGKILL);
      }
    }
  }
}

}  // namespace sphere::agent
