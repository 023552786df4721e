// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/policy.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/report.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

// Which stand-ins a policy takes for one layer.
enum class Weaker : std::uint8_t {
  same_guarantee,  // production and dev
  dev_only,
  never,
};

class Assessment {
 public:
  Assessment(const KernelFeatures& features, const SandboxNeed& need, Policy policy)
      : kernel_{features}, need_{need}, policy_{policy} {}

  std::vector<LayerVerdict> run() {
    identity();
    namespaces();
    user_map();
    image();
    root();
    enforced("L5", "no capabilities, no new privileges, a key ring of its own");
    write_xor_execute();
    landlock();
    enforced("L8", "resource limits");
    cgroup();
    system_calls();
    firewall();
    execution();
    enforced("L13", "compared with the plan before the start");
    return std::move(verdicts_);
  }

 private:
  void enforced(std::string_view id, std::string detail) {
    verdicts_.push_back({.id = id, .detail = std::move(detail)});
  }

  void weaker(std::string_view id, LayerState state, Weaker kind, std::string detail,
              std::string fix) {
    const bool taken = kind == Weaker::same_guarantee
                           ? policy_ != Policy::strict
                           : kind == Weaker::dev_only && policy_ == Policy::dev;
    verdicts_.push_back({.id = id,
                         .state = state,
                         .refused = !taken,
                         .detail = std::move(detail),
                         .fix = std::move(fix)});
  }

  void identity() {
    if (!need_.rootless) {
      enforced("L0", "uid of its own");
      return;
    }
    weaker("L0", LayerState::fallback, Weaker::dev_only,
           "uid of its own inside only; outside it is the board's user", "run the board as root");
  }

  void namespaces() {
    const bool all = kernel_.pid_namespace && kernel_.mount_namespace && kernel_.ipc_namespace &&
                     kernel_.uts_namespace && (kernel_.network_namespace || need_.network);
    if (!all) {
      weaker("L1", LayerState::absent, Weaker::never,
             "the kernel gives the agent no PID, mount, network, IPC or UTS namespace",
             "use a kernel with namespaces; run the board as root or allow unprivileged user "
             "namespaces");
    } else if (!kernel_.cgroup_namespace) {
      weaker("L1", LayerState::fallback, Weaker::same_guarantee,
             "no cgroup namespace: the app sees the names of its groups", "use Linux 4.6 or newer");
    } else {
      enforced("L1", shared_network()
                         ? "PID, mount, IPC, host name and cgroup of its own; the device's network"
                         : "PID, mount, network (empty), IPC, host name and cgroup of its own");
    }
  }

  void user_map() {
    if (!kernel_.user_namespace) {
      weaker("L2", LayerState::fallback, need_.rootless ? Weaker::never : Weaker::same_guarantee,
             "no user namespace (the board runs in a chroot or the kernel refuses them): a plain "
             "change of user stands in",
             "run the board outside a chroot and allow user namespaces (sysctl "
             "user.max_user_namespaces)");
    } else if (need_.rootless) {
      weaker("L2", LayerState::fallback, Weaker::dev_only, "one user inside, the board's outside",
             "run the board as root");
    } else {
      enforced("L2", "one user inside, no further user namespaces");
    }
  }

  void image() {
    enforced("L3", "verified package unpacked into a read-only tmpfs");
    weaker("L3b", LayerState::fallback, Weaker::same_guarantee,
           "signature and hash checked at start; the bytes that were checked are the bytes mounted",
           "dm-verity under the image would check each page again; this agent maps no image");
  }

  void root() {
    if (kernel_.pivot_root) {
      enforced("L4", "root replaced by pivot_root");
      return;
    }
    weaker("L4", LayerState::fallback, Weaker::dev_only,
           "root moved and chroot in place of pivot_root", "run the board outside a chroot");
  }

  void write_xor_execute() {
    if (need_.emulated) {
      weaker("L6", LayerState::absent, Weaker::dev_only,
             "emulated by qemu-user: pages of the app can be writable and executable",
             "build the app for the board's own processor");
    } else if (!kernel_.mdwe && !kernel_.seccomp) {
      weaker("L6", LayerState::absent, Weaker::never,
             "neither PR_SET_MDWE nor a system-call filter refuses executable pages",
             "use a kernel with CONFIG_SECCOMP_FILTER");
    } else if (!kernel_.mdwe) {
      weaker("L6", LayerState::fallback, Weaker::same_guarantee,
             "the kernel has no PR_SET_MDWE: the system-call filter refuses executable pages",
             "use Linux 6.3 or newer");
    } else {
      enforced("L6", "PR_SET_MDWE and the system-call filter refuse new executable pages");
    }
  }

  void landlock() {
    if (kernel_.landlock_abi > 0) {
      enforced("L7",
               fmt::format("Landlock ABI {}: files{}{}", kernel_.landlock_abi,
                           kernel_.landlock_abi >= 4 ? ", TCP ports" : "",
                           kernel_.landlock_abi >= 6 ? ", signals and abstract sockets" : ""));
      return;
    }
    // Under emulation the read-only /proc and Landlock alone guard the emulator's own memory.
    weaker("L7", LayerState::fallback, need_.emulated ? Weaker::never : Weaker::same_guarantee,
           "degraded: no Landlock; the mounts and the firewall are the only rule for files and "
           "ports",
           "use Linux 5.13 or newer with landlock in CONFIG_LSM or lsm=");
  }

  void cgroup() {
    if (kernel_.memory == Controller::none || kernel_.processes == Controller::none) {
      weaker("L9", LayerState::absent, Weaker::dev_only,
             need_.emulated ? "no memory controller: memory is not limited"
                            : "no memory controller: an address-space limit stands in",
             "run the board as root where the memory and pids controllers of cgroup v2 or v1 can "
             "be written");
    } else if (kernel_.memory == Controller::v1 || kernel_.processes == Controller::v1) {
      weaker("L9", LayerState::fallback, Weaker::same_guarantee,
             "memory and processes limited by cgroup v1", "boot with a pure cgroup v2 hierarchy");
    } else {
      enforced("L9", "memory and processes limited by cgroup v2");
    }
  }

  void system_calls() {
    if (!kernel_.seccomp) {
      weaker("L10", LayerState::absent, Weaker::never, "the kernel has no system-call filter",
             "use a kernel with CONFIG_SECCOMP_FILTER");
      return;
    }
    std::string detail =
        need_.emulated ? "reduced system-call filter for the emulator" : "system-call filter";
    if (need_.debug && !need_.emulated) {
      detail += "; debugged: the app's init alone traces it, the app itself may not trace";
    }
    enforced("L10", std::move(detail));
  }

  void execution() {
    std::string detail =
        need_.emulated ? "emulator executed by descriptor, not visible inside; empty environment"
                       : "program executed by descriptor; empty environment";
    if (need_.debug) {
      detail += need_.emulated ? "; debugged: the emulator is the gdb stub and has a socket for it"
                               : "; debugged: stands at its first instruction until gdb lets it go";
    }
    enforced("L12", std::move(detail));
  }

  void firewall() {
    if (!need_.network) {
      enforced("L11", "no network capability: the network namespace is empty");
    } else if (kernel_.firewall && !need_.rootless) {
      enforced("L11", "nf_tables rules for the app's uid; names resolve through the agent only");
    } else {
      weaker("L11", LayerState::absent, Weaker::dev_only,
             "AllowedConnections and server ports are withheld, the network namespace is empty: " +
                 (need_.rootless ? std::string{"the agent is no root"} : kernel_.firewall_fault),
             "run the board as root on a kernel with NF_TABLES, NF_TABLES_INET and NFT_CT");
    }
  }

  [[nodiscard]] bool shared_network() const {
    return need_.network && kernel_.firewall && !need_.rootless;
  }

  const KernelFeatures&
      kernel_;               // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): local
  const SandboxNeed& need_;  // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): local
  Policy policy_;
  std::vector<LayerVerdict> verdicts_;
};

std::string_view to_text(Controller controller) {
  switch (controller) {
    case Controller::none:
      return "none";
    case Controller::v1:
      return "v1";
    case Controller::v2:
      return "v2";
  }
  return "none";
}

}  // namespace

std::string_view to_text(Policy policy) {
  switch (policy) {
    case Policy::production:
      return "production";
    case Policy::strict:
      return "strict";
    case Policy::dev:
      return "dev";
  }
  return "dev";
}

std::optional<Policy> parse_policy(std::string_view text) {
  for (const auto policy : {Policy::production, Policy::strict, Policy::dev}) {
    if (text == to_text(policy)) {
      return policy;
    }
  }
  return std::nullopt;
}

json::Value to_json(const KernelFeatures& features) {
  return json::Value{}
      .set("kernel", features.release)
      .set("pidNamespace", features.pid_namespace)
      .set("mountNamespace", features.mount_namespace)
      .set("ipcNamespace", features.ipc_namespace)
      .set("utsNamespace", features.uts_namespace)
      .set("networkNamespace", features.network_namespace)
      .set("userNamespace", features.user_namespace)
      .set("cgroupNamespace", features.cgroup_namespace)
      .set("pivotRoot", features.pivot_root)
      .set("seccomp", features.seccomp)
      .set("mdwe", features.mdwe)
      .set("landlockAbi", features.landlock_abi)
      .set("memoryController", to_text(features.memory))
      .set("pidsController", to_text(features.processes))
      .set("cpuController", to_text(features.cpu))
      .set("firewall", features.firewall);
}

std::vector<LayerVerdict> assess(const KernelFeatures& features, const SandboxNeed& need,
                                 Policy policy) {
  return Assessment{features, need, policy}.run();
}

const LayerVerdict* refusal_of(const std::vector<LayerVerdict>& verdicts) {
  const auto found = std::ranges::find_if(verdicts, &LayerVerdict::refused);
  return found == verdicts.end() ? nullptr : &*found;
}

}  // namespace sphere::agent
