// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "device-agent/agent/debug/debug_target.h"
#include "device-agent/agent/loop.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

inline constexpr std::uint16_t kGdbPort = 2345;
inline constexpr std::uint16_t kOutputPort = 2342;

// The two ports of an app that is debugged: sockets named after them in one folder, which the
// board's link leads to. One client each; a further one is hung up on. Belongs to the loop's
// thread.
class DebugSession {
 public:
  // Output kept while nobody reads it.
  static constexpr std::size_t kRingBytes = 65536;
  // How long a second gdb waits for the first to be gone.
  static constexpr std::chrono::milliseconds kTurnLimit{300};
  // How long an app stands without a gdb.
  static constexpr std::chrono::minutes kGdbLimit{10};

  struct Events {
    std::function<void()> attached;   // The first gdb has come.
    std::function<void()> detached;   // gdb has let the app go. The session may be destroyed then,
    std::function<void()> abandoned;  // or here: the app stood for kGdbLimit and nobody came.
  };

  // Both ports listen from now on; a client waits until serve(). Errors: as http::listen_unix().
  [[nodiscard]] static Result<std::unique_ptr<DebugSession>> open(
      Loop& loop, const std::filesystem::path& folder);
  DebugSession(const DebugSession&) = delete;
  DebugSession& operator=(const DebugSession&) = delete;
  DebugSession(DebugSession&&) = delete;
  DebugSession& operator=(DebugSession&&) = delete;
  ~DebugSession();

  void serve(std::unique_ptr<DebugTarget> target, Events events);
  // After gdb has let the app go: its stub, which the app may still have to end with.
  [[nodiscard]] std::unique_ptr<DebugTarget> take_target();
  void add_output(std::string_view bytes);

  // {"gdb": {port, listening, client}, "out": {port, listening, client, bufferedBytes,
  // droppedBytes}, "waitingForGdb"}
  [[nodiscard]] json::Value status() const;

 private:
  DebugSession(Loop& loop, std::filesystem::path folder)
      : loop_{&loop}, folder_{std::move(folder)} {}
  [[nodiscard]] std::filesystem::path socket_path(std::uint16_t port) const;
  void on_gdb();
  void give(Descriptor client);
  void on_left(bool halted);
  void hang_up_pending();
  void on_reader();
  void on_reader_ready(short events);
  void send_output();
  void drop_reader();
  void wait_for_gdb();
  void stop_waiting();

  Loop* loop_;
  std::filesystem::path folder_;
  Descriptor gdb_, output_, reader_;
  Descriptor pending_;  // A gdb that came before the one before it was seen to leave.
  std::optional<Loop::Timer> pending_limit_;
  std::unique_ptr<DebugTarget> target_;
  Events events_;
  bool was_attached_ = false;
  bool reader_waits_ = false;  // Its socket is full.
  std::optional<Loop::Timer> waiting_;
  std::string ring_;
  std::size_t dropped_ = 0;
};

}  // namespace sphere::agent
