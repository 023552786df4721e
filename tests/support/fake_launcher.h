// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "device-agent/agent/sandbox/crash_record.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/process.h"

namespace sphere::test {

// What a fake app does; shared by the test and the process object.
struct FakeAppControl {
  Descriptor ended{::eventfd(0, EFD_CLOEXEC)};
  std::optional<ExitStatus> status;
  Descriptor output;
  std::optional<agent::CrashRecord> crash;
  int terminated = 0;
  bool ignores_terminate = false;

  void end(ExitStatus how) {
    status = how;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto sent = ::write(ended.get(), &one, sizeof one);
  }
};

// A kernel that has everything.
inline agent::KernelFeatures full_kernel() {
  return {.release = "6.99-test",
          .pid_namespace = true,
          .mount_namespace = true,
          .ipc_namespace = true,
          .uts_namespace = true,
          .network_namespace = true,
          .user_namespace = true,
          .cgroup_namespace = true,
          .pivot_root = true,
          .seccomp = true,
          .mdwe = true,
          .landlock_abi = 6,
          .memory = agent::Controller::v2,
          .processes = agent::Controller::v2,
          .cpu = agent::Controller::v2,
          .firewall = true,
          .firewall_fault = {}};
}

// Starts no process: apps live until the test ends them.
class FakeLauncher final : public agent::Launcher {
 public:
  agent::Launch launch(const agent::LaunchOrder& order) override {
    orders.push_back(order.plan);
    agent::Launch result;
    result.report.component_id = order.plan.component_id;
    if (refuse) {
      result.refused = *refuse;
      return result;
    }
    auto control = std::make_shared<FakeAppControl>();
    control->output.reset(::dup(order.output));
    control->ignores_terminate = ignore_terminate;
    apps[order.plan.component_id] = control;
    result.report.passed = true;
    result.process = std::make_unique<Process>(control);
    return result;
  }

  std::vector<agent::Plan> orders;
  std::map<std::string, std::shared_ptr<FakeAppControl>> apps;  // The last of each component.
  std::optional<Error> refuse;
  bool ignore_terminate = false;

 private:
  class Process final : public agent::AppProcess {
   public:
    explicit Process(std::shared_ptr<FakeAppControl> control) : control_{std::move(control)} {}
    [[nodiscard]] pid_t pid() const override { return ::getpid(); }
    [[nodiscard]] int descriptor() const override { return control_->ended.get(); }
    std::optional<ExitStatus> poll() override {
      control_->output.reset();
      return control_->status;
    }
    [[nodiscard]] const agent::CrashRecord* crash() const override {
      return control_->crash ? &*control_->crash : nullptr;
    }
    void terminate() override {
      ++control_->terminated;
      if (!control_->ignores_terminate) {
        control_->end({.code = 0, .signal = SIGTERM});
      }
    }
    void kill() override { control_->end({.code = 0, .signal = SIGKILL}); }

   private:
    std::shared_ptr<FakeAppControl> control_;
  };
};

}  // namespace sphere::test
