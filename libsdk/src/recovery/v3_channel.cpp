// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sphere/recovery/event.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery::v3 {

namespace {

using namespace std::chrono_literals;

constexpr Time kFirstInterval = 250ms;
constexpr Time kLongestInterval = 4s;

}  // namespace

void Channel::reset() { *this = Channel{}; }

void Channel::send_first(Time now, std::vector<std::byte>& wire) {
  const auto& frame = queue_.front().frame;
  wire.insert(wire.end(), frame.begin(), frame.end());
  ++sends_;
  deadline_ = now + interval_;
}

void Channel::post(Type type, std::span<const std::byte> data, Time now,
                   std::vector<std::byte>& wire, bool fixed) {
  Queued queued{.frame = {}, .fixed = fixed};
  append_message(++posted_, type, data, queued.frame);
  queue_.push_back(std::move(queued));
  if (queue_.size() == 1) {
    sends_ = 0;
    interval_ = kFirstInterval;
    send_first(now, wire);
  }
}

std::optional<Message> Channel::take(const Frame& frame, std::vector<std::byte>& wire) {
  const auto message = parse_message(frame.payload);
  if (!message || (frame.sequence != received_ && frame.sequence != received_ + 1) ||
      frame.sequence == 0) {
    return std::nullopt;
  }
  append_frame({.kind = Kind::message_ack, .sequence = frame.sequence}, wire);
  if (frame.sequence == received_) {
    return std::nullopt;
  }
  received_ = frame.sequence;
  return message;
}

void Channel::take_ack(const Frame& frame, Time now, std::vector<std::byte>& wire) {
  const auto first = static_cast<std::uint32_t>(posted_ - queue_.size() + 1);
  if (queue_.empty() || frame.sequence != first || !frame.payload.empty()) {
    return;
  }
  queue_.pop_front();
  if (!queue_.empty()) {
    sends_ = 0;
    interval_ = kFirstInterval;
    send_first(now, wire);
  }
}

void Channel::timer(Time now, std::vector<std::byte>& wire) {
  if (queue_.empty() || failed_ || now < deadline_) {
    return;
  }
  if (sends_ >= kTries) {
    failed_ = true;
    return;
  }
  ++repeats_;
  if (!queue_.front().fixed) {
    interval_ = std::min(interval_ * 2, kLongestInterval);
  }
  send_first(now, wire);
}

std::optional<Time> Channel::deadline() const {
  return queue_.empty() || failed_ ? std::nullopt : std::optional{deadline_};
}

}  // namespace sphere::recovery::v3
