// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "device-agent/agent/debug/gdb_stub.h"
#include "device-agent/agent/sandbox/crash_record.h"
#include "sphere/core/process.h"

namespace sphere::agent {

// A native app that this process traces for gdb. Uses nothing but ptrace() and wait4() on it.
class TracedApp final : public Inferior {
 public:
  // Traces `app` before it executes its program; it and its threads die with this process.
  [[nodiscard]] static std::optional<TracedApp> seize(pid_t app);

  // Waits until the program has been executed and stands at its first instruction. False: it ended.
  [[nodiscard]] bool await_program();

  // Takes what has happened. A report when the app stands for gdb now (then all of it stands) or
  // has ended. Without a debugger nothing but the end is reported.
  [[nodiscard]] std::optional<StopReport> collect();

  // Whether gdb sees signals first. When it does not: they take their course.
  void set_debugged(bool debugged) { debugged_ = debugged; }
  // Every thread goes on with what it was about to get.
  void release();

  [[nodiscard]] const std::optional<ExitStatus>& end() const { return end_; }
  [[nodiscard]] const std::optional<CrashRecord>& crash() const { return crash_; }

  [[nodiscard]] const RegisterLayout& layout() const override;
  [[nodiscard]] std::vector<pid_t> threads() const override;
  [[nodiscard]] std::optional<std::string> read_registers(pid_t thread) override;
  [[nodiscard]] bool write_registers(pid_t thread, std::string_view bytes) override;
  [[nodiscard]] std::string read_memory(std::uint64_t address, std::size_t count) override;
  [[nodiscard]] bool write_memory(std::uint64_t address, std::string_view bytes) override;
  [[nodiscard]] bool insert_breakpoint(std::uint64_t address) override;
  [[nodiscard]] bool remove_breakpoint(std::uint64_t address) override;
  void remove_all_breakpoints() override;
  [[nodiscard]] std::string auxiliary_vector() override { return auxiliary_; }
  void pass(std::vector<int> signals) override;
  void halt() override;
  void resume(const std::vector<ResumeAction>& actions) override;

 private:
  struct Thread {
    bool stands = false;
    bool stepping = false;
    bool listening = false;  // Stopped by SIGSTOP and the like, as the app wants it.
    int signal = 0;          // It stands about to get this one.
    std::optional<StopReport> pending = {};
  };

  explicit TracedApp(pid_t app) : app_{app} {}
  void on_status(pid_t thread, int status);
  void on_event(pid_t number, Thread& thread, int event, int signal);
  void on_signal(pid_t number, Thread& thread, int signal);
  void at_trap(pid_t number, Thread& thread);
  void go(pid_t number, Thread& thread, int signal);
  [[nodiscard]] bool is_passed(pid_t number, int signal) const;
  [[nodiscard]] Thread* pending_thread();
  [[nodiscard]] bool poke(std::uint64_t address, std::string_view bytes) const;
  [[nodiscard]] std::string peek(std::uint64_t address, std::size_t count) const;
  [[nodiscard]] pid_t any_standing() const;
  void read_auxiliary_vector();

  pid_t app_;
  std::map<pid_t, Thread> threads_;
  std::map<std::uint64_t, std::string> breakpoints_;  // What they stand in place of.
  std::vector<int> passed_;
  std::string auxiliary_;
  bool debugged_ = false;
  bool halted_ = false;  // Every thread stands, or is about to.
  bool asked_ = false;   // gdb has wanted it to run since the last report.
  std::optional<ExitStatus> end_;
  std::optional<CrashRecord> last_fault_, crash_;
};

}  // namespace sphere::agent
