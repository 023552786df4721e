// SPDX-License-Identifier: MIT
#include "tests/support/recovery_bench.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sphere::test {

namespace {

namespace device = virtual_board::device;
using virtual_board::WireSide;

constexpr std::byte kGarbled{0xF8};
constexpr std::uint8_t kReset = 0x40;  // Pins: SYSRST_N and the strap.
constexpr std::uint8_t kStrap = 0x20;

void note(std::vector<std::string>& list, const std::string& text) {
  if (list.empty() || list.back() != text) {
    list.push_back(text);
  }
}

}  // namespace

RecoveryBench::RecoveryBench(recovery::Driver& client, virtual_board::DeviceSide& board,
                             const Files& files, RecoveryBenchConfig config)
    : client_{&client},
      board_{&board},
      files_{&files},
      config_{std::move(config)},
      faults_{config_.faults, config_.seed} {}

Time RecoveryBench::wire_time(std::size_t bytes, std::uint32_t baud) const {
  if (!config_.paced || baud == 0) {
    return {};
  }
  constexpr double kBitsPerByte = 10;
  return std::chrono::duration_cast<Time>(
      std::chrono::duration<double>{static_cast<double>(bytes) * kBitsPerByte / baud});
}

void RecoveryBench::give_client(const Input& input) {
  if (report_.outcome) {
    return;
  }
  recovery::Actions actions;
  client_->take(input, now_, actions);
  for (const recovery::Action& action : actions) {
    perform(action);
  }
}

void RecoveryBench::give_board(const BoardInput& input) {
  device::Actions actions;
  board_->take(input, now_, actions);
  for (const device::Action& action : actions) {
    perform(action);
  }
}

void RecoveryBench::deliver_to_board(std::vector<std::byte> bytes, std::uint32_t baud) {
  if (baud != board_baud_) {
    report_.garbled += bytes.size();
    std::ranges::fill(bytes, kGarbled);
  }
  give_board(device::Received{.bytes = bytes});
}

void RecoveryBench::deliver_to_host(std::vector<std::byte> bytes, std::uint32_t baud) {
  if (baud != host_baud_) {
    report_.garbled += bytes.size();
    std::ranges::fill(bytes, kGarbled);
  }
  give_client(recovery::Received{.bytes = bytes});
}

void RecoveryBench::send_to_board(const recovery::Send& send) {
  const std::uint64_t power = power_;
  if (plugged_) {
    report_.to_board += send.bytes.size();
    report_.sent.insert(report_.sent.end(), send.bytes.begin(), send.bytes.end());
    auto passed = faults_.pass(WireSide::in, send.bytes);
    host_free_ = std::max(host_free_, now_) + wire_time(send.bytes.size(), host_baud_);
    host_free_ += passed.delay;
    at(host_free_, [this, power, baud = host_baud_, bytes = std::move(passed.bytes)] {
      if (power == power_ && plugged_) {
        deliver_to_board(bytes, baud);
      }
    });
    if (passed.unplug) {
      at(host_free_,
         [this, after = passed.back_after] { unplug(after, config_.vendor, config_.product); });
    }
  }
  if (send.drain) {
    at(std::max(host_free_, now_),
       [this, tag = send.tag] { give_client(recovery::Sent{.tag = tag}); });
  }
}

void RecoveryBench::send_to_host(const std::vector<std::byte>& bytes) {
  report_.to_host += bytes.size();
  auto passed = faults_.pass(WireSide::out, bytes);
  board_free_ = std::max(board_free_, now_) + wire_time(bytes.size(), board_sends_) + passed.delay;
  at(board_free_ + config_.turnaround,
     [this, power = power_, baud = board_sends_, out = std::move(passed.bytes)] {
       if (power == power_ && plugged_) {
         deliver_to_host(out, baud);
       }
     });
  if (passed.unplug) {
    at(board_free_,
       [this, after = passed.back_after] { unplug(after, config_.vendor, config_.product); });
  }
}

void RecoveryBench::unplug(std::optional<Time> back_after, std::uint16_t vendor,
                           std::uint16_t product) {
  if (!plugged_) {
    return;
  }
  plugged_ = false;
  ++power_;
  board_timer_.reset();
  give_client(recovery::LinkLost{});
  if (back_after) {
    at(now_ + *back_after, [this, vendor, product] {
      plugged_ = true;
      give_board(device::PowerOn{.recovery_strap = strap_});
      give_client(recovery::LinkBack{.vendor = vendor, .product = product, .location = "1-1"});
    });
  }
}

void RecoveryBench::run_lines(const recovery::RunLines& lines) {
  if (!config_.has_lines) {
    return;
  }
  Time when = now_;
  bool reset = false;
  for (const transport::LineStep& step : lines.steps) {
    when += step.wait;
    const bool low = (step.pins & kReset) == 0;
    if (reset && !low) {
      at(when, [this, strap = (step.pins & kStrap) != 0] {
        ++power_;
        strap_ = strap;
        board_baud_ = 115200;
        board_sends_ = 115200;
        report_.booted = false;
        give_board(device::PowerOn{.recovery_strap = strap});
      });
    }
    reset = low;
  }
}

void RecoveryBench::answer_file(const recovery::NeedFile& need) {
  note(report_.files, need.name);
  const auto found = files_->find(need.name);
  if (found == files_->end() || need.offset > found->second.size() ||
      need.length > found->second.size() - need.offset) {
    at(now_, [this, need] {
      give_client(recovery::FileFailed{
          .tag = need.tag, .error = Error{Errc::not_found, "no such part of " + need.name}});
    });
    return;
  }
  at(now_, [this, need, &bytes = found->second] {
    give_client(recovery::FileData{
        .tag = need.tag,
        .bytes = std::span{bytes}.subspan(static_cast<std::size_t>(need.offset),
                                          static_cast<std::size_t>(need.length))});
  });
}

void RecoveryBench::perform(const recovery::Action& action) {
  std::visit(
      [&](const auto& what) {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, recovery::Send>) {
          send_to_board(what);
        } else if constexpr (std::is_same_v<What, recovery::ControlTransfer>) {
          at(now_ + config_.turnaround, [this, what] {
            if (!plugged_) {
              give_client(recovery::ControlReply{
                  .tag = what.tag, .result = recovery::UsbResult::gone, .bytes = {}});
              return;
            }
            give_board(
                device::ControlRequest{.setup = what.setup, .bytes = what.bytes, .tag = what.tag});
          });
        } else if constexpr (std::is_same_v<What, recovery::SetReport>) {
          at(now_ + config_.turnaround, [this, what] {
            if (plugged_) {
              report_.to_board += what.bytes.size();
              give_board(device::ReportOut{.id = what.id, .bytes = what.bytes});
            }
            give_client(recovery::ControlReply{
                .tag = what.tag,
                .result = plugged_ ? recovery::UsbResult::ok : recovery::UsbResult::gone,
                .bytes = {}});
          });
        } else if constexpr (std::is_same_v<What, recovery::SetLine>) {
          host_baud_ = what.settings.baud;
        } else if constexpr (std::is_same_v<What, recovery::SetModemLines>) {
          at(now_,
             [this, what] { give_board(device::ModemLines{.dtr = what.dtr, .rts = what.rts}); });
        } else if constexpr (std::is_same_v<What, recovery::RunLines>) {
          run_lines(what);
        } else if constexpr (std::is_same_v<What, recovery::NeedFile>) {
          answer_file(what);
        } else if constexpr (std::is_same_v<What, recovery::Arm>) {
          client_timer_ = what.deadline;
          note(report_.reasons, what.reason);
        } else if constexpr (std::is_same_v<What, recovery::Emit>) {
          report_.events.push_back(what.event);
        } else if constexpr (std::is_same_v<What, recovery::Finish>) {
          report_.outcome = what.outcome;
        }
      },
      action);
}

void RecoveryBench::perform(const device::Action& action) {
  std::visit(
      [&](const auto& what) {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, device::Send>) {
          send_to_host(what.bytes);
        } else if constexpr (std::is_same_v<What, device::ControlAnswer>) {
          at(now_, [this, what] {
            give_client(recovery::ControlReply{
                .tag = what.tag, .result = what.result, .bytes = what.bytes});
          });
        } else if constexpr (std::is_same_v<What, device::ReportIn>) {
          at(now_ + config_.turnaround, [this, what, power = power_] {
            if (power == power_ && plugged_) {
              report_.to_host += what.bytes.size();
              give_client(recovery::ReportIn{.id = what.id, .bytes = what.bytes});
            }
          });
        } else if constexpr (std::is_same_v<What, device::SetLine>) {
          board_sends_ = what.settings.baud;  // What it sent before goes out before.
          at(std::max(board_free_, now_), [this, baud = what.settings.baud, power = power_] {
            board_baud_ = power == power_ ? baud : board_baud_;
          });
        } else if constexpr (std::is_same_v<What, device::Arm>) {
          board_timer_ = what.deadline;
        } else if constexpr (std::is_same_v<What, device::Disarm>) {
          board_timer_.reset();
        } else if constexpr (std::is_same_v<What, device::Reenumerate>) {
          at(now_, [this, what] { unplug(what.after, what.vendor, what.product); });
        } else if constexpr (std::is_same_v<What, device::Boot>) {
          report_.booted = true;
        }
      },
      action);
}

// Does what is next in time. False: nothing can happen.
bool RecoveryBench::step() {
  std::optional<Time> next;
  for (const auto& time : {client_timer_, board_timer_}) {
    if (time && (!next || *time < *next)) {
      next = time;
    }
  }
  if (!queue_.empty() && (!next || queue_.begin()->first <= *next)) {
    auto first = queue_.extract(queue_.begin());
    now_ = std::max(now_, first.key());
    first.mapped()();
    return true;
  }
  if (!next) {
    return false;
  }
  now_ = std::max(now_, *next);
  if (client_timer_ && *client_timer_ <= now_) {
    client_timer_.reset();
    give_client(recovery::TimerFired{});
  } else {
    board_timer_.reset();
    give_board(device::TimerFired{});
  }
  return true;
}

RecoveryBenchReport RecoveryBench::run() {
  if (!config_.has_lines) {
    give_board(device::PowerOn{.recovery_strap = true});
  }
  give_client(recovery::Start{});
  while (!report_.outcome && now_ < config_.limit && step()) {
  }
  report_.took = now_;
  client_timer_.reset();
  // What the client set off last, as the reset of the board, still happens.
  constexpr Time kAfter = std::chrono::seconds{2};
  const Time end = now_ + kAfter;
  while (now_ < end && step()) {
  }
  return std::move(report_);
}

}  // namespace sphere::test
