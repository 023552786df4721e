// SPDX-License-Identifier: MIT
#include "tests/support/recovery/stream_board.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <poll.h>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::test {

namespace {

namespace device = virtual_board::device;
using device::Time;

Time now() {
  return std::chrono::duration_cast<Time>(std::chrono::steady_clock::now().time_since_epoch());
}

class Loop {
 public:
  explicit Loop(StreamBoard& board) : board_{&board} {}

  bool run() {
    give(device::PowerOn{});
    while (!board_->stop() && !(booted_ && board_->ends_at_boot && unsent_.empty())) {
      wait();
      if (deadline_ && now() >= *deadline_) {
        deadline_.reset();
        give(device::TimerFired{});
      }
      if (!write() || !read()) {
        break;
      }
    }
    return booted_;
  }

 private:
  void give(const device::Input& input) {
    device::Actions actions;
    board_->device->take(input, now(), actions);
    for (const auto& action : actions) {
      if (const auto* const send = std::get_if<device::Send>(&action)) {
        unsent_.insert(unsent_.end(), send->bytes.begin(), send->bytes.end());
      } else if (const auto* const arm = std::get_if<device::Arm>(&action)) {
        deadline_ = arm->deadline;
      } else if (std::holds_alternative<device::Disarm>(action)) {
        deadline_.reset();
      } else if (std::holds_alternative<device::Boot>(action)) {
        booted_ = true;
      }
    }
  }

  void wait() {
    constexpr Time kLongest = std::chrono::milliseconds{100};
    const Time left = deadline_ ? std::clamp(*deadline_ - now(), Time{0}, kLongest) : kLongest;
    pollfd waiting = {.fd = board_->stream->descriptor(),
                      .events = static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT),
                      .revents = 0};
    ::poll(&waiting, 1,
           static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }

  bool write() {
    const auto written = board_->stream->write(unsent_);
    if (written) {
      unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(*written));
    }
    return written.has_value();
  }

  bool read() {
    std::array<std::byte, 65536> piece = {};
    const auto count = board_->stream->read(piece);
    if (count && *count > 0) {
      give(device::Received{std::span{piece}.first(*count)});
    }
    return count.has_value();
  }

  StreamBoard* board_;
  std::vector<std::byte> unsent_;
  std::optional<Time> deadline_;
  bool booted_ = false;
};

}  // namespace

bool StreamBoard::run() { return Loop{*this}.run(); }

}  // namespace sphere::test
