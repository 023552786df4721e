// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/edge_follower.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "device-agent/virtual-board/gpio_bank.h"
#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"

namespace sphere::virtual_board {
namespace {

std::string as_line(const json::Value& value) { return json::to_compact(value) + "\n"; }

std::string edge_line(const Edge& edge) {
  auto value = device_api::to_json({.at_us = edge.at_us, .pin = edge.pin, .level = edge.level});
  value.set("seq", edge.seq);
  return as_line(value);
}

}  // namespace

EdgeFollower::EdgeFollower(std::string run, std::uint64_t after_seq, bool follow,
                           std::int64_t now_us)
    : run_{std::move(run)}, next_seq_{after_seq + 1}, follow_{follow}, last_line_us_{now_us} {}

std::optional<std::string> EdgeFollower::line(const EdgeTrace& trace, std::int64_t now_us) const {
  if (!run_.empty()) {
    return as_line(json::Value{}.set("run", run_));
  }
  if (next_seq_ < trace.first_seq()) {
    return as_line(json::Value{}.set("dropped", trace.first_seq() - next_seq_));
  }
  if (next_seq_ < trace.next_seq()) {
    return edge_line(trace.at(next_seq_));
  }
  if (follow_ && now_us >= heartbeat_due()) {
    return as_line(json::Value{}.set("heartbeat", now_us / 1000));
  }
  return std::nullopt;
}

void EdgeFollower::line_sent(const EdgeTrace& trace, std::int64_t now_us) {
  last_line_us_ = now_us;
  if (!run_.empty()) {
    run_.clear();
  } else if (next_seq_ < trace.first_seq()) {
    next_seq_ = trace.first_seq();
  } else if (next_seq_ < trace.next_seq()) {
    ++next_seq_;
  }
}

bool EdgeFollower::is_finished(const EdgeTrace& trace) const {
  return !follow_ && run_.empty() && next_seq_ >= trace.next_seq();
}

}  // namespace sphere::virtual_board
