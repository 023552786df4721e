// SPDX-License-Identifier: MIT
#include "tests/support/recovery_pair.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"

namespace sphere::test {

namespace {

namespace device = virtual_board::device;
using recovery::Time;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

class Pair {
 public:
  Pair(recovery::Driver& driver, virtual_board::DeviceSide& board, const PairOptions& options)
      : driver_{&driver}, board_{&board}, options_{&options} {}

  PairResult run() {
    if (!options_->keep_power) {
      to_board(device::PowerOn{});
    }
    to_driver(recovery::Start{});
    while (!result_.outcome && step()) {
    }
    result_.time = now_;
    return std::move(result_);
  }

 private:
  struct Happening {
    Time time;
    std::uint64_t order = 0;
    std::function<void()> run;
    bool operator>(const Happening& other) const {
      return std::pair{time, order} > std::pair{other.time, other.order};
    }
  };

  // Does what comes next. False: nothing does, or it is too late.
  bool step() {
    const Time queued = queue_.empty() ? Time::max() : queue_.top().time;
    const Time next =
        std::min({queued, driver_timer_.value_or(Time::max()), board_timer_.value_or(Time::max())});
    if (!driver_timer_) {
      result_.waited_without_limit = true;
      return false;
    }
    now_ = std::max(now_, next);
    if (now_ > options_->limit) {
      return false;
    }
    if (next == queued) {
      const auto run = queue_.top().run;
      queue_.pop();
      run();
    } else if (next == board_timer_) {
      board_timer_.reset();
      to_board(device::TimerFired{});
    } else {
      driver_timer_.reset();
      to_driver(recovery::TimerFired{});
    }
    return true;
  }

  void at(Time after, std::function<void()> run) {
    queue_.push({.time = now_ + after, .order = order_++, .run = std::move(run)});
  }

  void to_driver(const recovery::Input& input) {
    recovery::Actions actions;
    driver_->take(input, now_, actions);
    for (auto& action : actions) {
      std::visit([this](auto& what) { from_driver(what); }, action);
    }
  }

  void to_board(const device::Input& input) {
    device::Actions actions;
    board_->take(input, now_, actions);
    for (auto& action : actions) {
      std::visit([this](auto& what) { from_board(what); }, action);
    }
  }

  void from_driver(recovery::Send& send) {
    carry(true, send.bytes);
    if (send.drain) {
      at(options_->latency, [this, tag = send.tag] { to_driver(recovery::Sent{tag}); });
    }
  }
  void from_driver(recovery::ControlTransfer& transfer) {
    Bytes logged = setup_bytes(transfer.setup);
    logged.insert(logged.end(), transfer.bytes.begin(), transfer.bytes.end());
    note(true, logged);
    if (lost_) {
      at(options_->latency, [this, tag = transfer.tag] {
        to_driver(
            recovery::ControlReply{.tag = tag, .result = recovery::UsbResult::gone, .bytes = {}});
      });
      return;
    }
    at(options_->latency, [this, transfer] {
      if (lost_) {
        to_driver(recovery::ControlReply{
            .tag = transfer.tag, .result = recovery::UsbResult::gone, .bytes = {}});
        return;
      }
      to_board(device::ControlRequest{
          .setup = transfer.setup, .bytes = transfer.bytes, .tag = transfer.tag});
    });
  }
  void from_driver(recovery::SetReport& report) {
    Bytes logged{std::byte{report.id}};
    logged.insert(logged.end(), report.bytes.begin(), report.bytes.end());
    note(true, logged);
    at(options_->latency, [this, report] {
      if (!lost_) {
        to_board(device::ReportOut{.id = report.id, .bytes = report.bytes});
      }
      to_driver(recovery::ControlReply{
          .tag = report.tag,
          .result = lost_ ? recovery::UsbResult::gone : recovery::UsbResult::ok,
          .bytes = {}});
    });
  }
  void from_driver(recovery::NeedFile& need) {
    at(Time{1}, [this, need] { give_file(need); });
  }
  void from_driver(recovery::SetModemLines& lines) {
    at(options_->latency, [this, lines] {
      if (!lost_) {
        to_board(device::ModemLines{.dtr = lines.dtr, .rts = lines.rts});
      }
    });
  }
  void from_driver(recovery::Arm& arm) { driver_timer_ = arm.deadline; }
  void from_driver(recovery::Emit& emit) { result_.events.push_back(emit.event); }
  void from_driver(recovery::Finish& finish) { result_.outcome = finish.outcome; }
  void from_driver(recovery::RunLines& /*lines*/) {
    at(options_->latency, [this] { to_board(device::PowerOn{}); });
  }
  template <typename Other>
  void from_driver(Other& /*other*/) {}

  void from_board(device::Send& send) { carry(false, send.bytes); }
  void from_board(device::ControlAnswer& answer) {
    if (options_->control_fault) {
      options_->control_fault(controls_++, answer);
    }
    note(false, answer.bytes);
    at(options_->latency, [this, answer] {
      to_driver(recovery::ControlReply{.tag = answer.tag,
                                       .result = lost_ ? recovery::UsbResult::gone : answer.result,
                                       .bytes = answer.bytes});
    });
  }
  void from_board(device::ReportIn& report) {
    Bytes logged{std::byte{report.id}};
    logged.insert(logged.end(), report.bytes.begin(), report.bytes.end());
    if (note(false, logged)) {
      at(options_->latency,
         [this, report] { to_driver(recovery::ReportIn{.id = report.id, .bytes = report.bytes}); });
    }
  }
  void from_board(device::Arm& arm) { board_timer_ = arm.deadline; }
  void from_board(device::Disarm& /*disarm*/) { board_timer_.reset(); }
  void from_board(device::Reenumerate& change) {
    at(options_->latency, [this] { to_driver(recovery::LinkLost{}); });
    at(options_->latency + change.after, [this, change] {
      to_driver(recovery::LinkBack{
          .vendor = change.vendor, .product = change.product, .location = "1-1"});
    });
  }
  void from_board(device::Boot& /*boot*/) {
    ++result_.boots;
    if (options_->leaves_at_boot) {
      at(2 * options_->latency, [this] { lose(); });
    }
  }
  template <typename Other>
  void from_board(Other& /*other*/) {}

  void give_file(const recovery::NeedFile& need) {
    const auto found = options_->files.find(need.name);
    if (found == options_->files.end() || need.offset > found->second.size() ||
        need.length > found->second.size() - need.offset) {
      to_driver(recovery::FileFailed{.tag = need.tag,
                                     .error = Error{Errc::not_found, "no file " + need.name}});
      return;
    }
    const auto bytes = std::span{found->second}.subspan(static_cast<std::size_t>(need.offset),
                                                        static_cast<std::size_t>(need.length));
    to_driver(recovery::FileData{.tag = need.tag, .bytes = bytes});
  }

  // Logs a piece. False: the link is lost.
  bool note(bool to_device, const Bytes& bytes) {
    if (options_->unplug_at == result_.log.size()) {
      at(Time{0}, [this] { lose(); });
      lost_ = true;
    }
    if (options_->cancel_at == result_.log.size()) {
      at(Time{0}, [this] { to_driver(recovery::Cancelled{}); });
    }
    result_.log.push_back({.to_device = to_device, .time = now_, .bytes = bytes});
    return !lost_;
  }

  void lose() {
    lost_ = true;
    to_driver(recovery::LinkLost{});
  }

  void carry(bool to_device, const Bytes& bytes) {
    if (!note(to_device, bytes)) {
      return;
    }
    std::vector<Delivery> deliveries = {{.bytes = bytes}};
    if (options_->fault) {
      deliveries = options_->fault(result_.log.back());
    }
    for (auto& delivery : deliveries) {
      at(options_->latency + delivery.after, [this, to_device, piece = std::move(delivery.bytes)] {
        if (lost_) {
          return;
        }
        if (to_device) {
          to_board(device::Received{.bytes = piece});
        } else {
          to_driver(recovery::Received{.bytes = piece});
        }
      });
    }
  }

  static Bytes setup_bytes(const recovery::UsbSetup& setup) {
    Bytes bytes = {std::byte{setup.request_type}, std::byte{setup.request}};
    for (const std::uint16_t word : {setup.value, setup.index, setup.length}) {
      bytes.push_back(static_cast<std::byte>(word & 0xFF));
      bytes.push_back(static_cast<std::byte>(word >> 8));
    }
    return bytes;
  }

  recovery::Driver* driver_;
  virtual_board::DeviceSide* board_;
  const PairOptions* options_;
  PairResult result_;
  Time now_ = {};
  std::optional<Time> driver_timer_;
  std::optional<Time> board_timer_;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> queue_;
  std::uint64_t order_ = 0;
  std::size_t controls_ = 0;
  bool lost_ = false;
};

}  // namespace

PairResult run_pair(recovery::Driver& driver, virtual_board::DeviceSide& device,
                    const PairOptions& options) {
  return Pair{driver, device, options}.run();
}

WireFault random_faults(const FaultRates& rates, std::uint32_t seed) {
  auto random = std::make_shared<std::mt19937>(seed);
  return [rates, random](const WireLine& line) -> std::vector<Delivery> {
    constexpr std::uint32_t kMillion = 1'000'000;
    const auto happens = [&](unsigned rate) { return (*random)() % kMillion < rate; };
    if (happens(rates.drop)) {
      return {};
    }
    Delivery delivery{.bytes = line.bytes};
    if (happens(rates.flip) && !line.bytes.empty()) {
      delivery.bytes[(*random)() % line.bytes.size()] ^=
          static_cast<std::byte>(1U << ((*random)() % 8));
    }
    if (happens(rates.lose_byte) && !line.bytes.empty()) {
      delivery.bytes.erase(delivery.bytes.begin() +
                           static_cast<std::ptrdiff_t>((*random)() % line.bytes.size()));
    }
    if (happens(rates.delay)) {
      delivery.after = rates.delay_time;
    }
    if (happens(rates.duplicate)) {
      return {delivery, delivery};
    }
    if (happens(rates.split) && delivery.bytes.size() > 1) {
      const auto cut = static_cast<std::ptrdiff_t>(1 + (*random)() % (delivery.bytes.size() - 1));
      return {
          {.bytes = {delivery.bytes.begin(), delivery.bytes.begin() + cut},
           .after = delivery.after},
          {.bytes = {delivery.bytes.begin() + cut, delivery.bytes.end()}, .after = delivery.after}};
    }
    return {delivery};
  };
}

std::string to_text(const std::vector<WireLine>& log) {
  constexpr std::size_t kShown = 64;
  std::string text;
  for (const auto& line : log) {
    const std::string what =
        line.bytes.size() <= kShown
            ? to_hex(line.bytes)
            : fmt::format("{} bytes {}", line.bytes.size(), to_hex(crypto::sha256(line.bytes)));
    text += fmt::format("{} {}\n", line.to_device ? ">" : "<", what);
  }
  return text;
}

Bytes random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random{seed};
  Bytes bytes(size);
  for (auto& byte : bytes) {
    byte = static_cast<std::byte>(random());
  }
  return bytes;
}

}  // namespace sphere::test
