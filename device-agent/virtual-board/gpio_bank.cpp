// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/gpio_bank.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace sphere::virtual_board {
namespace {

int level_of(const Line& line) {
  if (is_driven_by_chip(line)) {
    return line.latch;
  }
  switch (line.drive) {
    case Drive::low:
    case Drive::pull_down:
      return 0;
    case Drive::high:
    case Drive::pull_up:
      return 1;
    case Drive::none:
      break;
  }
  return line.direction == Direction::out && line.mode == OutputMode::open_source ? 0 : 1;
}

}  // namespace

bool is_driven_by_chip(const Line& line) {
  if (line.direction != Direction::out) {
    return false;
  }
  switch (line.mode) {
    case OutputMode::push_pull:
      return true;
    case OutputMode::open_drain:
      return line.latch == 0;
    case OutputMode::open_source:
      return line.latch == 1;
  }
  return false;
}

void EdgeTrace::add(std::int64_t at_us, int pin, int level) {
  if (edges_.size() == kCapacity) {
    edges_.pop_front();
  }
  edges_.push_back({.seq = next_seq_, .at_us = at_us, .pin = pin, .level = level});
  ++next_seq_;
}

GpioBank::GpioBank(const std::vector<int>& pins) {
  for (const int pin : pins) {
    lines_.emplace(pin, Line{});
  }
}

int GpioBank::open(const OpenLine& request, std::int64_t now_us) {
  const auto found = lines_.find(request.pin);
  if (found == lines_.end()) {
    return ENODEV;
  }
  Line& line = found->second;
  if (line.open) {
    return EBUSY;
  }
  advance(now_us);
  line.open = true;
  line.owner = request.owner;
  line.direction = request.direction;
  if (request.direction == Direction::out) {
    line.mode = request.mode;
    line.latch = request.value;
  }
  settle(request.pin, line, now_us);
  return 0;
}

void GpioBank::close(int pin) {
  const auto found = lines_.find(pin);
  if (found != lines_.end()) {
    found->second.open = false;
    found->second.owner.clear();
  }
}

void GpioBank::set(int pin, int value, std::int64_t now_us) {
  const auto found = lines_.find(pin);
  if (found == lines_.end() || found->second.direction != Direction::out) {
    return;
  }
  advance(now_us);
  found->second.latch = value;
  settle(pin, found->second, now_us);
}

int GpioBank::drive(int pin, Drive drive, std::int64_t now_us) {
  const auto found = lines_.find(pin);
  if (found == lines_.end()) {
    return ENODEV;
  }
  if (is_driven_by_chip(found->second)) {
    return EBUSY;
  }
  advance(now_us);
  pulses_.erase(pin);
  found->second.drive = drive;
  settle(pin, found->second, now_us);
  return 0;
}

int GpioBank::pulse(int pin, int level, std::int64_t microseconds, std::int64_t now_us) {
  advance(now_us);
  const auto running = pulses_.find(pin);
  const auto* const line = find(pin);
  if (line == nullptr) {
    return ENODEV;
  }
  const Drive before = running != pulses_.end() ? running->second.before : line->drive;
  if (const int error = drive(pin, level == 0 ? Drive::low : Drive::high, now_us); error != 0) {
    return error;
  }
  const auto length = std::clamp<std::int64_t>(microseconds, 1, kLongestPulse);
  pulses_.insert_or_assign(pin, Pulse{.end_us = now_us + length, .before = before});
  return 0;
}

void GpioBank::advance(std::int64_t now_us) {
  while (!pulses_.empty()) {
    const auto first = std::ranges::min_element(
        pulses_, [](const auto& a, const auto& b) { return a.second.end_us < b.second.end_us; });
    if (first->second.end_us > now_us) {
      return;
    }
    const auto [pin, pulse] = *first;
    pulses_.erase(first);
    Line& line = lines_.at(pin);
    line.drive = pulse.before;
    settle(pin, line, pulse.end_us);
  }
}

std::optional<std::int64_t> GpioBank::next_deadline() const {
  std::optional<std::int64_t> next;
  for (const auto& [pin, pulse] : pulses_) {
    next = std::min(next.value_or(pulse.end_us), pulse.end_us);
  }
  return next;
}

const Line* GpioBank::find(int pin) const {
  const auto found = lines_.find(pin);
  return found != lines_.end() ? &found->second : nullptr;
}

void GpioBank::settle(int pin, Line& line, std::int64_t now_us) {
  const int level = level_of(line);
  if (level != line.level) {
    line.level = level;
    ++line.edges;
    trace_.add(now_us, pin, level);
  }
}

}  // namespace sphere::virtual_board
