// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::agent {

// The most a packet of the gdb remote protocol may hold between '$' and '#'.
inline constexpr std::size_t kGdbPacketBytes = 16384;

// "$payload#xx", escaped where needed.
[[nodiscard]] std::string gdb_packet(std::string_view payload);

// Takes a byte stream of the gdb remote protocol apart.
class GdbReader {
 public:
  enum class Kind : std::uint8_t {
    packet,     // Whole, its checksum right.
    damaged,    // Wrong checksum, or longer than kGdbPacketBytes.
    interrupt,  // 0x03 between packets: Ctrl-C.
    ack,        // '+'
    refusal,    // '-': the last packet is wanted again.
  };
  struct Item {
    Kind kind = Kind::packet;
    std::string payload = {};  // Of a packet, not escaped.
    std::string raw = {};      // As it came.
  };

  // What `bytes` completes, in order. Other bytes between packets are dropped.
  [[nodiscard]] std::vector<Item> feed(std::string_view bytes);
  void clear();

 private:
  enum class State : std::uint8_t { idle, payload, escaped, first_digit, second_digit };
  void start();
  void on_payload(char byte);
  [[nodiscard]] Item finish(char last_digit);

  State state_ = State::idle;
  std::string payload_, raw_;
  std::uint8_t sum_ = 0;
  char first_digit_ = 0;
  bool too_long_ = false;
};

}  // namespace sphere::agent
