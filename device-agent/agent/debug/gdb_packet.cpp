// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/gdb_packet.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace sphere::agent {
namespace {

constexpr char kInterrupt = 0x03;
constexpr char kEscape = '}';
constexpr char kEscapeBit = 0x20;

bool needs_escape(char byte) {
  return byte == '$' || byte == '#' || byte == kEscape || byte == '*';
}

char flipped(char byte) { return static_cast<char>(byte ^ kEscapeBit); }

std::optional<unsigned> digit_value(char digit) {
  if (digit >= '0' && digit <= '9') {
    return static_cast<unsigned>(digit - '0');
  }
  if (digit >= 'a' && digit <= 'f') {
    return static_cast<unsigned>(digit - 'a' + 10);
  }
  if (digit >= 'A' && digit <= 'F') {
    return static_cast<unsigned>(digit - 'A' + 10);
  }
  return std::nullopt;
}

}  // namespace

std::string gdb_packet(std::string_view payload) {
  std::string packet = "$";
  std::uint8_t sum = 0;
  const auto add = [&](char byte) {
    packet.push_back(byte);
    sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(byte));
  };
  for (const char byte : payload) {
    if (needs_escape(byte)) {
      add(kEscape);
      add(flipped(byte));
    } else {
      add(byte);
    }
  }
  return packet + fmt::format("#{:02x}", sum);
}

void GdbReader::clear() { *this = {}; }

void GdbReader::start() {
  state_ = State::payload;
  payload_.clear();
  raw_ = "$";
  sum_ = 0;
  too_long_ = false;
}

void GdbReader::on_payload(char byte) {
  // A packet that is too long is only counted out; its bytes go nowhere.
  too_long_ = too_long_ || raw_.size() > kGdbPacketBytes;
  if (!too_long_) {
    raw_.push_back(byte);
  }
  if (state_ == State::payload && byte == '#') {
    state_ = State::first_digit;
    return;
  }
  sum_ = static_cast<std::uint8_t>(sum_ + static_cast<std::uint8_t>(byte));
  if (state_ == State::payload && byte == kEscape) {
    state_ = State::escaped;
    return;
  }
  if (!too_long_) {
    payload_.push_back(state_ == State::escaped ? flipped(byte) : byte);
  }
  state_ = State::payload;
}

GdbReader::Item GdbReader::finish(char last_digit) {
  state_ = State::idle;
  raw_ += {first_digit_, last_digit};
  const auto high = digit_value(first_digit_);
  const auto low = digit_value(last_digit);
  const bool right = high && low && *high * 16 + *low == sum_ && !too_long_;
  return {.kind = right ? Kind::packet : Kind::damaged,
          .payload = std::move(payload_),
          .raw = std::move(raw_)};
}

std::vector<GdbReader::Item> GdbReader::feed(std::string_view bytes) {
  std::vector<Item> items;
  for (const char byte : bytes) {
    switch (state_) {
      case State::idle:
        if (byte == '$') {
          start();
        } else if (byte == '+') {
          items.push_back({.kind = Kind::ack, .raw = "+"});
        } else if (byte == '-') {
          items.push_back({.kind = Kind::refusal, .raw = "-"});
        } else if (byte == kInterrupt) {
          items.push_back({.kind = Kind::interrupt, .raw = std::string(1, byte)});
        }
        break;
      case State::payload:
      case State::escaped:
        on_payload(byte);
        break;
      case State::first_digit:
        first_digit_ = byte;
        state_ = State::second_digit;
        break;
      case State::second_digit:
        items.push_back(finish(byte));
        break;
    }
  }
  return items;
}

}  // namespace sphere::agent
