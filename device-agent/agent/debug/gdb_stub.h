// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "device-agent/agent/debug/gdb_packet.h"

namespace sphere::agent {

// Why the program stands still, or how it ended.
struct StopReport {
  enum class Kind : std::uint8_t { signal, exited, killed };
  Kind kind = Kind::signal;
  int value = 0;  // A signal of this machine, or the exit code.
  pid_t thread = 0;
  bool breakpoint = false;  // At one of insert_breakpoint(), its program counter on it.
};

struct ResumeAction {
  pid_t thread = 0;
  bool step = false;
  int signal = 0;  // To deliver; 0: none.
};

// The registers of a kind of machine, in the order in which gdb gets them.
struct RegisterLayout {
  std::string_view description;          // target.xml
  std::vector<std::uint8_t> bytes = {};  // Of each register.
  std::string_view breakpoint;           // Bytes of the instruction.
};

// A program under the debugger: what the stub asks of the machine. While the stub has it halted no
// thread runs.
class Inferior {
 public:
  virtual ~Inferior() = default;
  [[nodiscard]] virtual const RegisterLayout& layout() const = 0;
  [[nodiscard]] virtual std::vector<pid_t> threads() const = 0;
  // All registers in the order of the layout.
  [[nodiscard]] virtual std::optional<std::string> read_registers(pid_t thread) = 0;
  [[nodiscard]] virtual bool write_registers(pid_t thread, std::string_view bytes) = 0;
  // As much as can be read; breakpoints are not seen.
  [[nodiscard]] virtual std::string read_memory(std::uint64_t address, std::size_t count) = 0;
  [[nodiscard]] virtual bool write_memory(std::uint64_t address, std::string_view bytes) = 0;
  [[nodiscard]] virtual bool insert_breakpoint(std::uint64_t address) = 0;
  [[nodiscard]] virtual bool remove_breakpoint(std::uint64_t address) = 0;
  virtual void remove_all_breakpoints() = 0;
  [[nodiscard]] virtual std::string auxiliary_vector() = 0;
  // Signals that need no stop.
  virtual void pass(std::vector<int> signals) = 0;
  virtual void halt() = 0;
  // Threads that no action names stay where they are.
  virtual void resume(const std::vector<ResumeAction>& actions) = 0;
};

// Answers one gdb at a time. Knows the program only through Inferior; the bytes go through its
// caller. What gdb may do here ends at the program: there is no file, no other process, no command
// to run.
class GdbStub {
 public:
  // `inferior` must outlive the stub.
  explicit GdbStub(Inferior& inferior) : inferior_{&inferior} {}

  // A client has come: halts the program unless it stands.
  void connect();
  // It has left without a word: the program stays as it is, without breakpoints.
  void disconnect();

  // What to send for what has come.
  [[nodiscard]] std::string on_bytes(std::string_view bytes);
  // What to send when the program stands or has ended.
  [[nodiscard]] std::string on_stop(const StopReport& report);

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool detached() const { return detached_; }  // gdb has let the program go.
  [[nodiscard]] bool killed() const { return killed_; }      // gdb wants its end.

 private:
  [[nodiscard]] std::string on_packet(std::string_view packet);
  [[nodiscard]] std::string on_query(std::string_view packet);
  [[nodiscard]] std::string on_set(std::string_view packet);
  [[nodiscard]] std::string on_verbose(std::string_view packet);
  [[nodiscard]] std::string supported();
  [[nodiscard]] std::string transfer(std::string_view arguments);
  [[nodiscard]] std::string set_thread(std::string_view arguments);
  [[nodiscard]] std::string read_register(std::string_view arguments);
  [[nodiscard]] std::string write_register(std::string_view arguments);
  [[nodiscard]] std::string write_all_registers(std::string_view digits);
  [[nodiscard]] std::string read_memory(std::string_view arguments);
  [[nodiscard]] std::string write_memory(std::string_view arguments, bool binary);
  [[nodiscard]] std::string breakpoint(std::string_view arguments, bool insert);
  [[nodiscard]] std::string go(std::string_view arguments, bool step, bool with_signal);
  [[nodiscard]] std::string go_as_told(std::string_view actions);
  [[nodiscard]] std::string pass_signals(std::string_view list);
  [[nodiscard]] std::string thread_list() const;
  [[nodiscard]] std::string describe(const StopReport& report) const;
  [[nodiscard]] std::string let_go();
  [[nodiscard]] bool is_thread(pid_t thread) const;
  void resume(const std::vector<ResumeAction>& actions);

  Inferior* inferior_;
  GdbReader reader_;
  StopReport last_;
  pid_t thread_ = 0;  // Of g, G, p, P; 0: that of the last stop.
  bool acks_ = true;
  bool connected_ = false;
  bool running_ = false;
  bool detached_ = false;
  bool killed_ = false;
  std::string unacknowledged_;
};

}  // namespace sphere::agent
