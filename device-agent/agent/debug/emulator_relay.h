// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "device-agent/agent/debug/debug_target.h"
#include "device-agent/agent/debug/gdb_packet.h"
#include "device-agent/agent/loop.h"
#include "sphere/core/descriptor.h"

namespace sphere::agent {

// Stands between gdb and the stub of qemu-user 7.2, which knows one connection in its life and does
// not listen while the app runs. The relay keeps that connection, lets one gdb after another have
// it, makes Ctrl-C a signal to the emulator, and takes the breakpoints of a gdb that has left out.
class EmulatorRelay final : public DebugTarget {
 public:
  // `interrupt` makes the running app stop.
  EmulatorRelay(Loop& loop, Descriptor emulator, std::function<void()> interrupt);
  ~EmulatorRelay() override;
  EmulatorRelay(const EmulatorRelay&) = delete;
  EmulatorRelay& operator=(const EmulatorRelay&) = delete;
  EmulatorRelay(EmulatorRelay&&) = delete;
  EmulatorRelay& operator=(EmulatorRelay&&) = delete;

  void start(Events events) override;
  void take(Descriptor client) override;
  [[nodiscard]] bool busy() const override { return client_ || cleaning_; }

 private:
  void on_client();
  void on_emulator();
  void on_answer(const GdbReader::Item& item);
  void on_own_answer(const GdbReader::Item& item);
  void from_client(const GdbReader::Item& item);
  void lose_client();
  void let_go();
  void clean_up(bool run_after);
  void send_own();
  void to_emulator(std::string_view bytes);
  void to_client(std::string_view bytes);

  Loop* loop_;
  Descriptor emulator_, client_;
  std::function<void()> interrupt_;
  Events events_;
  GdbReader from_client_, from_emulator_;
  std::set<std::string> breakpoints_;  // "0,8000,4" of each Z that stands.
  std::string last_request_;           // To tell by its answer what it has changed.
  std::deque<std::string> own_;        // Packets of the relay itself that wait for their answers.
  std::string early_;                  // What a client said while the relay was busy.
  bool running_ = false;
  bool halting_ = false;    // Interrupted by the relay itself.
  bool run_after_ = false;  // What becomes of the app behind own_.
  bool cleaning_ = false;   // Its gdb has left.
  bool detaching_ = false;  // gdb has its answer, and acknowledges it yet.
  bool detached_ = false;
};

}  // namespace sphere::agent
