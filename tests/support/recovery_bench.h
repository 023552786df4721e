// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"

namespace sphere::test {

using recovery::Time;

struct RecoveryBenchConfig {
  bool paced = false;    // A UART whose bytes take their time. Else they are there at once.
  Time turnaround = {};  // From the board's bytes, or the host's request, to the answer.
  std::vector<virtual_board::Fault> faults = {};
  std::uint32_t seed = 1;
  Time limit = std::chrono::hours{2};
  std::uint16_t vendor = 0x0403;
  std::uint16_t product = 0x6011;
  // False: nothing drives reset and strap; the board is powered on at the start.
  bool has_lines = true;
};

struct RecoveryBenchReport {
  std::optional<recovery::Outcome> outcome;  // Absent: the client hung.
  Time took = {};
  std::vector<recovery::Event> events;
  std::vector<std::string> reasons;  // Of the waits, each once in a row.
  std::vector<std::string> files;    // Asked for, each once in a row.
  std::uint64_t to_board = 0;
  std::uint64_t to_host = 0;
  std::uint64_t garbled = 0;    // Bytes that came at another baud rate than the receiver's.
  bool booted = false;          // After the last power-on.
  std::vector<std::byte> sent;  // The host's bytes on the stream.
};

// A client and a board with a wire between them, in virtual time: forty seconds of erasing take
// microseconds.
class RecoveryBench {
 public:
  using Files = std::map<std::string, std::vector<std::byte>, std::less<>>;

  RecoveryBench(recovery::Driver& client, virtual_board::DeviceSide& board, const Files& files,
                RecoveryBenchConfig config);

  // Until the client finishes, or nothing can happen any more, or the limit passes.
  [[nodiscard]] RecoveryBenchReport run();

 private:
  using Input = recovery::Input;
  using BoardInput = virtual_board::device::Input;

  void give_client(const Input& input);
  void give_board(const BoardInput& input);
  void at(Time when, std::function<void()> what) { queue_.emplace(when, std::move(what)); }
  void perform(const recovery::Action& action);
  void perform(const virtual_board::device::Action& action);
  void send_to_board(const recovery::Send& send);
  void send_to_host(const std::vector<std::byte>& bytes);
  void deliver_to_board(std::vector<std::byte> bytes, std::uint32_t baud);
  void deliver_to_host(std::vector<std::byte> bytes, std::uint32_t baud);
  void answer_file(const recovery::NeedFile& need);
  void run_lines(const recovery::RunLines& lines);
  void unplug(std::optional<Time> back_after, std::uint16_t vendor, std::uint16_t product);
  [[nodiscard]] Time wire_time(std::size_t bytes, std::uint32_t baud) const;
  [[nodiscard]] bool step();

  recovery::Driver* client_;
  virtual_board::DeviceSide* board_;
  const Files* files_;
  RecoveryBenchConfig config_;
  virtual_board::WireFaults faults_;
  std::multimap<Time, std::function<void()>> queue_;
  Time now_ = {};
  std::optional<Time> client_timer_;
  std::optional<Time> board_timer_;
  Time host_free_ = {};  // When the host's last byte has left.
  Time board_free_ = {};
  std::uint32_t host_baud_ = 115200;
  std::uint32_t board_baud_ = 115200;  // At which it listens.
  std::uint32_t board_sends_ = 115200;
  std::uint64_t power_ = 0;  // Counts power-ons: what was on its way before is lost.
  bool plugged_ = true;
  bool strap_ = true;
  RecoveryBenchReport report_;
};

}  // namespace sphere::test
