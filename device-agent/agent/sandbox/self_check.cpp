// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/self_check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kProcBytes = std::size_t{1} << 20U;

// A start waits for these reads: no call more than there must be.
std::string read_proc(const std::string& path) {
  constexpr std::size_t kPieceBytes = 16384;
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  std::string text;
  while (text.size() < kProcBytes) {
    const auto had = text.size();
    text.resize(had + kPieceBytes);
    const auto count = ::read(file.get(), text.data() + had, kPieceBytes);
    text.resize(had + (count > 0 ? static_cast<std::size_t>(count) : 0));
    if (count <= 0) {
      break;
    }
  }
  return text;
}

std::string read_proc(pid_t pid, std::string_view name) {
  return read_proc(fmt::format("/proc/{}/{}", pid, name));
}

// "Uid:\t1\t1" gives "1 1". The first line of `status` is another.
std::string status_field(std::string_view status, std::string_view name) {
  const auto key = fmt::format("\n{}:", name);
  const auto at = status.find(key);
  if (at == std::string_view::npos) {
    return {};
  }
  const auto line = status.substr(at + 1, status.find('\n', at + 1) - at - 1);
  auto value = std::string{trim(line.substr(key.size() - 1))};
  std::ranges::replace(value, '\t', ' ');
  return value;
}

std::string namespace_link(std::string_view process, std::string_view name) {
  const auto path = fmt::format("/proc/{}/ns/{}", process, name);
  std::array<char, 64> link = {};
  const auto size = ::readlink(path.c_str(), link.data(), link.size());
  return size > 0 ? std::string{link.data(), static_cast<std::size_t>(size)} : std::string{};
}

// Compares one process with its plan, one layer a function.
class Check {
 public:
  Check(const Plan& plan, pid_t pid, const ChildFacts& facts, const Evidence& evidence)
      : plan_{plan},
        facts_{facts},
        pid_{pid},
        program_{evidence.program},
        group_{evidence.group},
        firewall_{evidence.firewall},
        status_{read_proc(pid, "status")} {}

  SandboxReport run() {
    utsname kernel = {};
    if (::uname(&kernel) == 0) {
      report_.kernel = static_cast<const char*>(kernel.release);
    }
    report_.component_id = plan_.component_id;
    report_.policy = std::string{to_text(plan_.policy)};
    identity();
    namespaces();
    user_map();
    mounts();
    capabilities();
    memory_and_files();
    limits();
    groups();
    system_calls();
    network();
    descriptors();
    report_.passed = differences_.empty();
    add("L13", report_.passed ? "no difference" : join(differences_, "; "));
    return std::move(report_);
  }

 private:
  void add(std::string_view id, std::string found) {
    Layer layer{.id = std::string{id},
                .name = std::string{layer_name(id)},
                .state = LayerState::enforced,
                .detail = {},
                .found = std::move(found)};
    for (const auto& verdict : plan_.layers) {
      if (verdict.id == id) {
        layer.state = verdict.state;
        layer.detail = verdict.detail;
      }
    }
    report_.layers.push_back(std::move(layer));
  }

  void expect(std::string_view layer, bool holds, std::string_view what) {
    if (!holds) {
      differences_.push_back(fmt::format("{} {}: {}", layer, layer_name(layer), what));
    }
  }

  void identity() {
    const auto uid = status_field(status_, "Uid");
    const auto gid = status_field(status_, "Gid");
    // In a rootless board the kernel knows one user only; the app's uid exists in its namespace.
    const auto seen = plan_.rootless ? 0 : plan_.uid;
    const auto wanted = fmt::format("{0} {0} {0} {0}", seen);
    const auto groups = status_field(status_, "Groups");
    expect("L0", uid == wanted, "uid is " + uid);
    expect("L0", gid == wanted, "gid is " + gid);
    expect("L0", plan_.rootless || groups.empty() || groups == std::to_string(plan_.uid),
           "further groups " + groups);
    add("L0", fmt::format("uid {} gid {}", uid, gid));
  }

  void namespaces() {
    std::vector<std::string> own;
    for (const auto* name : {"pid", "mnt", "net", "ipc", "uts", "cgroup"}) {
      const auto theirs = namespace_link(std::to_string(pid_), name);
      const bool separate = !theirs.empty() && theirs != namespace_link("self", name);
      if (separate) {
        own.push_back(theirs);
      }
      const auto kind = std::string_view{name};
      if (kind == "net") {
        expect("L11", separate != plan_.network,
               plan_.network ? "the network namespace is not the device's"
                             : "the network namespace is shared");
      } else {
        expect("L1", separate || kind == "cgroup", fmt::format("{} namespace is shared", name));
      }
    }
    add("L1", join(own, " "));
  }

  void user_map() {
    const auto lines = split(std::string{trim(read_proc(pid_, "uid_map"))}, '\n');
    const bool separate =
        namespace_link(std::to_string(pid_), "user") != namespace_link("self", "user");
    std::string words;
    for (const auto& word : split(lines.empty() ? "" : lines.front(), ' ')) {
      words += word.empty() ? "" : (words.empty() ? "" : " ") + word;
    }
    expect("L2", separate == facts_.user_namespace && separate == plan_.user_namespace,
           separate ? "an unplanned user namespace" : "no user namespace");
    if (separate) {
      const auto wanted = fmt::format("{} {} 1", plan_.uid, plan_.rootless ? 0 : plan_.uid);
      expect("L2", lines.size() == 1 && words == wanted, "uid_map is " + words);
      expect("L2", trim(read_proc(pid_, "setgroups")) == "deny", "setgroups is allowed");
      expect("L2", facts_.nested_users_refused || plan_.rootless,
             "further user namespaces can be made");
    }
    add("L2", fmt::format("uid_map {}{}{}", words,
                          facts_.nested_users_refused ? ", max_user_namespaces 0" : "",
                          facts_.groups_dropped ? "" : ", groups of the board's user remain"));
  }

  void mounts() {
    const auto found = parse_mountinfo(read_proc(pid_, "mountinfo"));
    const auto difference = compare_mounts(plan_, found);
    expect(difference.layer, difference.what.empty(), difference.what);
    const auto image = std::ranges::find_if(
        found, [&](const MountLine& mount) { return mount.path == image_path(plan_); });
    add("L3", image == found.end() ? "" : image->path + " " + join(image->options, ","));
    add("L3b", image == found.end() ? "" : "superblock " + join(image->of_superblock, ","));
    std::vector<std::string> paths;
    paths.reserve(found.size());
    for (const auto& mount : found) {
      paths.push_back(mount.path);
    }
    expect("L4", facts_.pivoted == plan_.pivot_root, "the root was not replaced by pivot_root");
    add("L4", join(paths, " "));
  }

  void capabilities() {
    std::vector<std::string> found;
    for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      const auto value = status_field(status_, set);
      found.push_back(fmt::format("{} {}", set, value));
      expect("L5", !value.empty() && value.find_first_not_of('0') == std::string::npos,
             found.back());
    }
    const auto privileges = status_field(status_, "NoNewPrivs");
    expect("L5", privileges == "1", "NoNewPrivs is " + privileges);
    add("L5", join(found, " ") + " NoNewPrivs " + privileges);
  }

  // Neither is visible from outside: the launcher says what the kernel answered, and that the
  // kernel then really refuses was tried when the agent started.
  void memory_and_files() {
    expect("L6", facts_.mdwe == plan_.mdwe, "PR_SET_MDWE was not set");
    add("L6", facts_.mdwe ? "PR_SET_MDWE accepted" : "");
    expect("L7", facts_.landlock == (plan_.landlock_abi > 0), "no Landlock rules were set");
    add("L7", facts_.landlock ? fmt::format("rules of ABI {} accepted", plan_.landlock_abi) : "");
  }

  void limit(const std::string& text, std::string_view name, std::uint64_t wanted,
             std::vector<std::string>& found) {
    for (const auto& line : split(text, '\n')) {
      if (!line.starts_with(name)) {
        continue;
      }
      const auto rest = std::string{trim(std::string_view{line}.substr(name.size()))};
      const auto soft = rest.substr(0, rest.find(' '));
      const auto hard = std::string{trim(std::string_view{rest}.substr(soft.size()))};
      found.push_back(fmt::format("{} {}", name, soft));
      expect("L8", soft == std::to_string(wanted) && hard.starts_with(soft), found.back());
      return;
    }
    expect("L8", false, fmt::format("{} cannot be read", name));
  }

  void limits() {
    const auto text = read_proc(pid_, "limits");
    std::vector<std::string> found;
    limit(text, "Max open files", kDescriptorLimit, found);
    limit(text, "Max processes", kProcessLimit, found);
    limit(text, "Max core file size", 0, found);
    limit(text, "Max locked memory", 0, found);
    limit(text, "Max file size", plan_.file_bytes, found);
    if (plan_.address_space_bytes > 0) {
      limit(text, "Max address space", plan_.address_space_bytes, found);
    }
    add("L8", join(found, ", "));
  }

  void groups() {
    if (plan_.groups == 0 || group_ == nullptr) {
      expect("L9", plan_.groups == 0, "the app's groups are not known");
      add("L9", "");
      return;
    }
    const auto difference = group_->difference(pid_);
    expect("L9", difference.empty(), difference);
    add("L9", group_->describe());
  }

  void system_calls() {
    const auto mode = status_field(status_, "Seccomp");
    const auto filters = status_field(status_, "Seccomp_filters");
    expect("L10", mode == "2", "Seccomp is " + mode);
    // Linux before 5.9 does not count them.
    expect("L10", filters.empty() || filters == own_filters(), "Seccomp_filters is " + filters);
    add("L10", fmt::format("Seccomp {}, {} filters", mode, filters));
  }

  // Those of the agent, which a container host may have given it, and the app's.
  static std::string own_filters() {
    std::uint64_t count = 0;
    const auto own = status_field(read_proc("/proc/self/status"), "Seccomp_filters");
    std::from_chars(own.data(), own.data() + own.size(), count);
    return std::to_string(count + 1);
  }

  void network() {
    expect("L11", !plan_.network || !firewall_.empty(), "no firewall rules");
    add("L11",
        plan_.network ? std::string{firewall_} : namespace_link(std::to_string(pid_), "net"));
  }

  void descriptors() {
    std::vector<std::string> numbers;
    std::error_code error;
    for (fs::directory_iterator entry{fmt::format("/proc/{}/fd", pid_), error}, end;
         !error && entry != end; entry.increment(error)) {
      numbers.push_back(entry->path().filename().string());
    }
    std::ranges::sort(numbers);
    // 4 is the program and 5 the gate; both close with the exec.
    const std::vector<std::string> wanted = {"0", "1", "2", "3", "4", "5"};
    expect("L12", numbers == wanted, "descriptors are " + join(numbers, " "));
    if (program_) {
      struct stat status = {};
      const auto path = fmt::format("/proc/{}/fd/{}", pid_, kStatusDescriptor);
      const bool same = ::stat(path.c_str(), &status) == 0 &&
                        *program_ == FileIdentity{.device = status.st_dev, .inode = status.st_ino};
      expect("L12", same, "the program is another than in the package");
    }
    add("L12", "descriptors " + join(numbers, " ") + "; 4 and 5 close at exec");
  }

  const Plan& plan_;         // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): local
  const ChildFacts& facts_;  // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): local
  pid_t pid_;
  std::optional<FileIdentity> program_;
  const AppGroup* group_;
  std::string_view firewall_;
  std::string status_;
  SandboxReport report_;
  std::vector<std::string> differences_;
};

}  // namespace

std::vector<MountLine> parse_mountinfo(std::string_view text) {
  std::vector<MountLine> mounts;
  for (const auto& line : split(text, '\n')) {
    // id parent major:minor root path options [optional ...] - type source options
    const auto fields = split(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 7 || fields.end() - dash < 2) {
      continue;
    }
    mounts.push_back({.path = fields[4],
                      .type = *(dash + 1),
                      .options = split(fields[5], ','),
                      .of_superblock = fields.end() - dash > 3 ? split(*(dash + 3), ',')
                                                               : std::vector<std::string>{}});
  }
  return mounts;
}

MountDifference compare_mounts(const Plan& plan, const std::vector<MountLine>& found) {
  auto planned = planned_mounts(plan);
  const auto layer_of = [&](const std::string& path) {
    return path == image_path(plan) ? std::string_view{"L3"} : std::string_view{"L4"};
  };
  for (const auto& mount : found) {
    const auto want = std::ranges::find_if(
        planned, [&](const PlannedMount& entry) { return entry.path == mount.path; });
    if (want == planned.end()) {
      return {.what = "unplanned mount " + mount.path};
    }
    if (!want->type.empty() && want->type != mount.type) {
      return {.layer = layer_of(mount.path),
              .what = fmt::format("{} is a {}", mount.path, mount.type)};
    }
    for (const auto& option : want->options) {
      if (std::ranges::find(mount.options, option) == mount.options.end()) {
        return {.layer = layer_of(mount.path),
                .what = fmt::format("{} is not {}", mount.path, option)};
      }
    }
    if (want->sealed && std::ranges::find(mount.of_superblock, "ro") == mount.of_superblock.end()) {
      return {.layer = mount.path == image_path(plan) ? "L3b" : "L4",
              .what = fmt::format("{} can be written by way of another mount", mount.path)};
    }
    planned.erase(want);
  }
  if (planned.empty()) {
    return {};
  }
  return {.layer = layer_of(planned.front().path), .what = "no mount " + planned.front().path};
}

SandboxReport self_check(const Plan& plan, pid_t pid, const ChildFacts& facts,
                         const Evidence& evidence) {
  return Check{plan, pid, facts, evidence}.run();
}

}  // namespace sphere::agent
