// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/self_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/utsname.h>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kProcBytes = std::size_t{1} << 20U;

std::string read_proc(pid_t pid, std::string_view name) {
  return read_text_file(fmt::format("/proc/{}/{}", pid, name), kProcBytes).value_or("");
}

// "Uid:\t1\t1" gives "1 1".
std::string status_field(const std::string& status, std::string_view name) {
  for (const auto& line : split(status, '\n')) {
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      auto value = std::string{trim(std::string_view{line}.substr(name.size() + 1))};
      std::ranges::replace(value, '\t', ' ');
      return value;
    }
  }
  return {};
}

std::string namespace_link(std::string_view process, std::string_view name) {
  std::error_code error;
  const auto link = fs::read_symlink(fmt::format("/proc/{}/ns/{}", process, name), error);
  return error ? std::string{} : link.string();
}

// Compares one process with its plan, one layer a function.
class Check {
 public:
  Check(const Plan& plan, pid_t pid, const ChildFacts& facts)
      : plan_{plan}, facts_{facts}, pid_{pid}, status_{read_proc(pid, "status")} {}

  SandboxReport run() {
    utsname kernel = {};
    if (::uname(&kernel) == 0) {
      report_.kernel = static_cast<const char*>(kernel.release);
    }
    report_.component_id = plan_.component_id;
    identity();
    namespaces();
    user_map();
    image();
    root();
    capabilities();
    absent_layers();
    limits();
    program();
    const auto text = join(differences_, "; ");
    report_.passed = differences_.empty();
    const auto rank = [](const Layer& layer) {
      return std::ranges::find_if(kLayerNames,
                                  [&](const LayerName& name) { return name.id == layer.id; });
    };
    std::ranges::sort(report_.layers,
                      [&](const Layer& a, const Layer& b) { return rank(a) < rank(b); });
    add("L13", LayerState::enforced, "compared with the plan before the start",
        report_.passed ? "no difference" : text);
    return std::move(report_);
  }

 private:
  void add(std::string_view id, LayerState state, std::string detail, std::string found) {
    report_.layers.push_back({.id = std::string{id},
                              .name = std::string{layer_name(id)},
                              .state = state,
                              .detail = std::move(detail),
                              .found = std::move(found)});
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
    expect("L0", uid == wanted, "uid is " + uid);
    expect("L0", gid == wanted, "gid is " + gid);
    add("L0", plan_.rootless ? LayerState::fallback : LayerState::enforced,
        plan_.rootless ? "uid of its own inside only; outside it is the board's user"
                       : "uid of its own",
        fmt::format("uid {} gid {}", uid, gid));
  }

  void namespaces() {
    std::vector<std::string> own;
    for (const auto* name : {"pid", "mnt", "net", "ipc", "uts", "cgroup"}) {
      const auto theirs = namespace_link(std::to_string(pid_), name);
      const bool separate = !theirs.empty() && theirs != namespace_link("self", name);
      if (separate) {
        own.push_back(theirs);
      }
      expect("L1", separate || std::string_view{name} == "cgroup",
             fmt::format("{} namespace is shared", name));
    }
    add("L1", LayerState::enforced, "PID, mount, network (empty), IPC and host name of its own",
        join(own, " "));
  }

  void user_map() {
    const auto uids = split(std::string{trim(read_proc(pid_, "uid_map"))}, '\n');
    const auto map = uids.empty() ? std::string{} : uids.front();
    const bool separate =
        namespace_link(std::to_string(pid_), "user") != namespace_link("self", "user");
    std::string words;
    for (const auto& word : split(map, ' ')) {
      words += word.empty() ? "" : (words.empty() ? "" : " ") + word;
    }
    expect("L2", separate == facts_.user_namespace, "user namespace is not as reported");
    if (!facts_.user_namespace) {
      add("L2", LayerState::fallback,
          "no user namespace (the board runs in a chroot or the kernel refuses them): a plain "
          "change of user stands in",
          "uid_map " + words);
      return;
    }
    const auto wanted = fmt::format("{} {} 1", plan_.uid, plan_.rootless ? 0 : plan_.uid);
    expect("L2", uids.size() == 1 && words == wanted, "uid_map is " + words);
    expect("L2", trim(read_proc(pid_, "setgroups")) == "deny", "setgroups is allowed");
    add("L2", plan_.rootless ? LayerState::fallback : LayerState::enforced,
        fmt::format("one user inside{}{}",
                    facts_.nested_users_refused ? ", no further user namespaces" : "",
                    facts_.groups_dropped ? "" : "; groups of the board's user remain"),
        "uid_map " + words);
  }

  void image() {
    const auto mounts = parse_mountinfo(read_proc(pid_, "mountinfo"));
    const auto found = std::ranges::find_if(
        mounts, [&](const MountLine& mount) { return mount.path == image_path(plan_); });
    add("L3", LayerState::enforced, "verified package unpacked into a read-only tmpfs",
        found == mounts.end() ? "" : found->path + " " + join(found->options, ","));
    add("L3b", LayerState::fallback,
        "signature and hash checked at start; the bytes that were checked are the bytes mounted",
        "");
  }

  void root() {
    const auto mounts = parse_mountinfo(read_proc(pid_, "mountinfo"));
    const auto difference = compare_mounts(plan_, mounts);
    expect("L4", difference.empty(), difference);
    std::vector<std::string> paths;
    paths.reserve(mounts.size());
    for (const auto& mount : mounts) {
      paths.push_back(mount.path);
    }
    add("L4", facts_.pivoted ? LayerState::enforced : LayerState::fallback,
        facts_.pivoted ? "root replaced by pivot_root"
                       : "root moved and chroot in place of pivot_root",
        join(paths, " "));
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
    add("L5", LayerState::enforced, "no capabilities, no new privileges",
        join(found, " ") + " NoNewPrivs " + privileges);
  }

  void absent_layers() {
    add("L6", LayerState::absent,
        plan_.emulated ? "emulated by qemu-user: pages can be writable and executable"
                       : "not requested from the kernel by this agent",
        "");
    add("L7", LayerState::absent, "no Landlock rules; the mounts are the only file rule", "");
    add("L9", LayerState::absent, "no cgroup: memory is not limited", "");
    add("L10", LayerState::absent, "no system-call filter",
        "Seccomp " + status_field(status_, "Seccomp"));
    add("L11", LayerState::absent, "no firewall rules needed: the network namespace is empty", "");
  }

  void limits() {
    const auto text = read_proc(pid_, "limits");
    std::vector<std::string> found;
    const auto limit = [&](std::string_view name, std::uint64_t wanted) {
      for (const auto& line : split(text, '\n')) {
        if (!line.starts_with(name)) {
          continue;
        }
        const auto rest = std::string{trim(std::string_view{line}.substr(name.size()))};
        const auto soft = rest.substr(0, rest.find(' '));
        found.push_back(fmt::format("{} {}", name, soft));
        expect("L8", soft == std::to_string(wanted), found.back());
        return;
      }
      expect("L8", false, fmt::format("{} cannot be read", name));
    };
    limit("Max open files", kDescriptorLimit);
    limit("Max processes", kProcessLimit);
    limit("Max core file size", 0);
    limit("Max locked memory", 0);
    limit("Max file size", plan_.file_bytes);
    add("L8", LayerState::enforced, "resource limits", join(found, ", "));
  }

  void program() {
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
    add("L12", LayerState::enforced,
        plan_.emulated ? "emulator executed by descriptor, not visible inside; empty environment"
                       : "program executed by descriptor; empty environment",
        "descriptors " + join(numbers, " ") + "; 4 and 5 close at exec");
  }

  const Plan& plan_;         // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): local
  const ChildFacts& facts_;  // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): local
  pid_t pid_;
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
    mounts.push_back({.path = fields[4], .type = *(dash + 1), .options = split(fields[5], ',')});
  }
  return mounts;
}

std::string compare_mounts(const Plan& plan, const std::vector<MountLine>& found) {
  auto planned = planned_mounts(plan);
  for (const auto& mount : found) {
    const auto want = std::ranges::find_if(
        planned, [&](const PlannedMount& entry) { return entry.path == mount.path; });
    if (want == planned.end()) {
      return "unplanned mount " + mount.path;
    }
    if (!want->type.empty() && want->type != mount.type) {
      return fmt::format("{} is a {}", mount.path, mount.type);
    }
    for (const auto& option : want->options) {
      if (std::ranges::find(mount.options, option) == mount.options.end()) {
        return fmt::format("{} is not {}", mount.path, option);
      }
    }
    planned.erase(want);
  }
  return planned.empty() ? std::string{} : "no mount " + planned.front().path;
}

SandboxReport self_check(const Plan& plan, pid_t pid, const ChildFacts& facts) {
  return Check{plan, pid, facts}.run();
}

}  // namespace sphere::agent
