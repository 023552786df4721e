// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <sys/types.h>
#include <utility>

#include "device-agent/agent/sandbox/app_tree.h"
#include "device-agent/agent/sandbox/call_filter.h"
#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/crash_record.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// A started app. Ending this object kills it.
class AppProcess {
 public:
  virtual ~AppProcess() = default;
  [[nodiscard]] virtual pid_t pid() const = 0;
  // Becomes readable when the app has ended.
  [[nodiscard]] virtual int descriptor() const = 0;
  // How it ended; nothing while it runs. Everything it left running has ended, too.
  [[nodiscard]] virtual std::optional<ExitStatus> poll() = 0;
  virtual void terminate() = 0;  // SIGTERM to the app.
  virtual void kill() = 0;       // Ends the app and all it started.
  virtual void interrupt() {}    // SIGINT to the app: the emulator's gdb stub stops at it.
  // Where it stood when a signal ended it; of a native app only, after its end.
  [[nodiscard]] virtual const CrashRecord* crash() const { return nullptr; }
  // Its control groups; null without any.
  [[nodiscard]] virtual const AppGroup* group() const { return nullptr; }
};

// What one start needs beside its plan. The spans and descriptors are used during the call only.
struct LaunchOrder {
  Plan plan;
  std::span<const std::byte> package;  // The verified bytes.
  int output = -1;                     // Becomes 1 and 2.
  int broker = -1;                     // Becomes 3.
  int debugger = -1;                   // With Plan::debug of a native app: its init's socket.
  std::string firewall = {};           // The app's rules, for the report.
  GroupLimits limits = {};             // Of layer L9, where there are groups.
};

struct Launch {
  std::unique_ptr<AppProcess> process;  // Null when refused.
  SandboxReport report;                 // Also of a refused start, as far as it came.
  std::optional<Error> refused = {};
};

class Launcher {
 public:
  virtual ~Launcher() = default;
  // Starts an app and returns when its program runs, or why it does not; then nothing is left of
  // it.
  [[nodiscard]] virtual Launch launch(const LaunchOrder& order) = 0;
};

// What trees that are kept for the next start may hold together, the room for images of a board,
// and how many there may be.
inline constexpr std::uint64_t kKeptTreeBytes = std::uint64_t{1} << 20U;
inline constexpr std::size_t kMostKept = 16;

// Apps as processes in sandboxes. Apps die with the thread that launched them.
class SandboxLauncher final : public Launcher {
 public:
  // `program` is sphere-launch, which stands beside sphered. `groups` are those of the agent;
  // an app is put in one of its own below each.
  explicit SandboxLauncher(std::filesystem::path program, GroupTree groups = {})
      : program_{std::move(program)}, groups_{std::move(groups)} {}
  [[nodiscard]] Launch launch(const LaunchOrder& order) override;

 private:
  // What does not differ between the starts of an app and is made for the first of them.
  struct Ground {
    std::unique_ptr<const AppTree> tree;
    Descriptor users;                 // The user namespace.
    std::unique_ptr<AppGroup> group;  // Empty: for the next start.
    GroupLimits limits;               // Of it.
    bool fresh = true;                // Not used before.
    std::uint64_t number = 0;
  };
  // A start on `ground`. Nothing when that turned out to be of other bytes.
  Result<std::unique_ptr<AppProcess>> start_on(Ground& ground, LaunchOrder& order,
                                               SandboxReport& report);
  Result<std::unique_ptr<AppGroup>> group_for(Ground& ground, const LaunchOrder& order);
  Result<Ground*> ground_for(const LaunchOrder& order);
  void make_room(std::uint64_t bytes);

  std::filesystem::path program_;
  GroupTree groups_;
  FilterCache filters_;
  std::map<std::uint32_t, Ground> grounds_;  // Of each uid the last. Apps that run do not need it.
  std::uint64_t grounds_made_ = 0, groups_made_ = 0;
};

// The qemu-user program for 32-bit ARM on PATH. Error: not_found (local.tool-missing).
[[nodiscard]] Result<Descriptor> open_emulator();

}  // namespace sphere::agent
