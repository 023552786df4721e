// SPDX-License-Identifier: MIT
#include "sphere/recovery/runner.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/result.h"
#include "sphere/recovery/carrier.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kReadSize = std::size_t{16} * 1024;
constexpr Time kTellAfter = 2s;
constexpr Time kTellEvery = 5s;
constexpr Time kLook = 100ms;     // How often Ctrl-C is looked for.
constexpr Time kDrainLook = 1ms;  // How often the port is asked whether all has left.

UsbResult result_of(transport::UsbStatus status) {
  switch (status) {
    case transport::UsbStatus::ok:
      return UsbResult::ok;
    case transport::UsbStatus::stall:
      return UsbResult::stall;
    case transport::UsbStatus::timeout:
      return UsbResult::timeout;
    case transport::UsbStatus::gone:
      break;
  }
  return UsbResult::gone;
}

class Runner {
 public:
  Runner(Driver& driver, Carrier& carrier, const RunnerConfig& config, const RemakeDriver& remake)
      : driver_{&driver},
        carrier_{&carrier},
        config_{&config},
        remake_{&remake},
        start_{config.clock->monotonic()} {}

  Outcome run() {
    begin_reports();
    give(Start{});
    while (!outcome_) {
      turn();
    }
    return *std::move(outcome_);
  }

 private:
  struct Pending {
    std::vector<std::byte> bytes;
    std::size_t done = 0;
    Tag tag = 0;
    bool drain = false;
  };
  struct Expected {
    ExpectReenumeration what;
    Time until = {};
  };

  [[nodiscard]] Time now() const {
    return config_->before + std::chrono::duration_cast<Time>(config_->clock->monotonic() - start_);
  }
  void give(const Input& input);
  void perform(const Action& action);
  void send(const Send& what);
  void control(const ControlTransfer& what);
  void set_report(const SetReport& what);
  void set_lines(const SetModemLines& what);
  void arm(const Arm& what);
  void expect(const ExpectReenumeration& what);
  void look_for_return();
  void begin_reports();
  void lose_link();
  void set_line(const SetLine& line);
  void run_lines(const RunLines& lines);
  void answer_file(const NeedFile& need);
  void turn();
  void wait();
  void wait_for_pipes(std::chrono::milliseconds limit);
  void take_done(const transport::UsbPipes::Done& done);
  void read();
  void write();
  void finish_drains();
  void tell_wait();
  void tap(bool to_board, std::span<const std::byte> bytes) const {
    if (config_->tap && !bytes.empty()) {
      config_->tap(to_board, bytes);
    }
  }

  Driver* driver_;
  Carrier* carrier_;
  const RunnerConfig* config_;
  const RemakeDriver* remake_;
  std::unique_ptr<Driver> own_driver_;  // After a return.
  std::chrono::nanoseconds start_;
  std::optional<Outcome> outcome_;
  std::deque<Pending> pending_;  // Streams only.
  std::vector<Tag> usb_drains_;  // Writes on pipes that are to be told.
  std::optional<Expected> expected_;
  std::optional<Time> deadline_;
  std::string reason_;
  Time waiting_since_ = {};
  Time told_ = {};
  bool lost_ = false;
  bool cancelled_ = false;
};

// Actions may lead to inputs at once (files); those come after the actions of this one.
void Runner::give(const Input& input) {
  if (outcome_) {
    return;
  }
  Actions actions;
  driver_->take(input, now(), actions);
  for (const Action& action : actions) {
    perform(action);
  }
}

void Runner::begin_reports() {
  constexpr std::uint8_t kHid = 3;
  if (transport::UsbPipes* const pipes = carrier_->pipes();
      pipes != nullptr && pipes->interface().interface_class == kHid) {
    pipes->read_reports();
  }
}

void Runner::lose_link() {
  if (!std::exchange(lost_, true)) {
    pending_.clear();
    give(LinkLost{});
  }
}

void Runner::set_line(const SetLine& line) {
  transport::ByteStream* const stream = carrier_->stream();
  transport::SerialPort* const serial = stream == nullptr ? nullptr : stream->serial();
  if (serial == nullptr) {
    return;
  }
  const bool set = serial->configure(line.settings) && (!line.purge_input || serial->purge_input());
  if (!set) {
    lose_link();
  }
}

void Runner::set_lines(const SetModemLines& what) {
  transport::ByteStream* const stream = carrier_->stream();
  transport::SerialPort* const serial = stream == nullptr ? nullptr : stream->serial();
  // A port without such lines (a pty, TCP) cannot do it, and its board does without.
  if (serial != nullptr) {
    std::ignore = serial->set_lines(what.dtr, what.rts);
  }
}

void Runner::run_lines(const RunLines& lines) {
  const auto ran = carrier_->run_lines(lines.steps);
  if (!ran) {
    config_->sink(Warning{.code = std::string{ran.error().hint().reason},
                          .text = ran.error().message(),
                          .next = ran.error().hint().next},
                  now());
    lose_link();
  }
}

void Runner::answer_file(const NeedFile& need) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(need.length));
  const auto read = config_->files->read(need.name, need.offset, bytes);
  if (!read) {
    give(FileFailed{.tag = need.tag, .error = read.error()});
  } else {
    give(FileData{.tag = need.tag, .bytes = bytes});
  }
}

void Runner::send(const Send& what) {
  if (lost_) {
    return;
  }
  if (transport::UsbPipes* const pipes = carrier_->pipes()) {
    tap(true, what.bytes);
    if (what.drain) {
      usb_drains_.push_back(what.tag);
    }
    pipes->write(what.bytes, what.tag);
  } else {
    pending_.push_back({.bytes = what.bytes, .tag = what.tag, .drain = what.drain});
  }
}

void Runner::control(const ControlTransfer& what) {
  transport::UsbPipes* const pipes = carrier_->pipes();
  if (pipes == nullptr) {
    give(ControlReply{.tag = what.tag, .result = UsbResult::gone, .bytes = {}});
    return;
  }
  tap(true, what.bytes);
  pipes->control({.request_type = what.setup.request_type,
                  .request = what.setup.request,
                  .value = what.setup.value,
                  .index = what.setup.index,
                  .length = what.setup.length},
                 what.bytes, what.tag);
}

void Runner::set_report(const SetReport& what) {
  transport::UsbPipes* const pipes = carrier_->pipes();
  if (pipes == nullptr) {
    give(ControlReply{.tag = what.tag, .result = UsbResult::gone, .bytes = {}});
    return;
  }
  tap(true, what.bytes);
  pipes->send_report(what.id, what.bytes, what.tag);
}

void Runner::arm(const Arm& what) {
  deadline_ = what.deadline;
  if (reason_ != what.reason) {
    reason_ = what.reason;
    waiting_since_ = now();
    told_ = waiting_since_ + kTellAfter - kTellEvery;
  }
}

void Runner::expect(const ExpectReenumeration& what) {
  expected_ = Expected{.what = what, .until = now() + what.within};
  if (transport::UsbPipes* const pipes = carrier_->pipes(); pipes != nullptr && what.reset) {
    std::ignore = pipes->reset();
  }
  carrier_->close();
}

// The device is looked for at its place until it is there, as the driver expects it.
void Runner::look_for_return() {
  if (!expected_) {
    return;
  }
  const Expected expected = *expected_;
  if (carrier_->come_back(expected.what)) {
    expected_.reset();
    begin_reports();
    const auto& usb = carrier_->attached().usb;
    auto made = *remake_ ? (*remake_)() : Result<std::unique_ptr<Driver>>{nullptr};
    if (!made) {
      outcome_ = Outcome{.error = std::move(made).error()};
    } else if (*made != nullptr) {
      own_driver_ = *std::move(made);
      driver_ = own_driver_.get();
      give(Start{});
    } else {
      give(LinkBack{.vendor = usb.vendor, .product = usb.product, .location = usb.location});
    }
  } else if (now() >= expected.until) {
    expected_.reset();
    lose_link();
  }
}

void Runner::perform(const Action& action) {
  std::visit(Overloaded{[&](const Send& what) { send(what); },
                        [&](const ControlTransfer& what) { control(what); },
                        [&](const SetReport& what) { set_report(what); },
                        [&](const ReadBulk& what) {
                          if (transport::UsbPipes* const pipes = carrier_->pipes()) {
                            pipes->read(what.length);
                          }
                        },
                        [&](const SetLine& what) { set_line(what); },
                        [&](const SetModemLines& what) { set_lines(what); },
                        [&](const RunLines& what) { run_lines(what); },
                        [&](const NeedFile& what) { answer_file(what); },
                        [&](const Arm& what) { arm(what); },
                        [&](const Emit& what) { config_->sink(what.event, now()); },
                        [&](const ExpectReenumeration& what) { expect(what); },
                        [&](const Finish& what) { outcome_ = what.outcome; }},
             action);
}

void Runner::tell_wait() {
  if (deadline_ && now() - told_ >= kTellEvery) {
    told_ = now();
    config_->sink(Waiting{.reason = reason_,
                          .since = now() - waiting_since_,
                          .limit = *deadline_ - waiting_since_},
                  told_);
  }
}

void Runner::read() {
  std::array<std::byte, kReadSize> buffer = {};
  const auto count = carrier_->stream()->read(buffer);
  if (!count) {
    lose_link();
    return;
  }
  if (*count > 0) {
    const auto bytes = std::span{buffer}.first(*count);
    tap(false, bytes);
    give(Received{.bytes = bytes});
  }
}

void Runner::write() {
  while (!pending_.empty() && !lost_ && carrier_->stream() != nullptr) {
    Pending& first = pending_.front();
    const auto rest = std::span{first.bytes}.subspan(first.done);
    if (rest.empty()) {
      break;  // It waits for its drain.
    }
    const auto count = carrier_->stream()->write(rest);
    if (!count) {
      lose_link();
      return;
    }
    if (*count == 0) {
      return;
    }
    tap(true, rest.first(*count));
    first.done += *count;
    if (first.done == first.bytes.size() && !first.drain) {
      pending_.pop_front();
    }
  }
}

// A send that wants to know that it has left holds up the next ones until then.
void Runner::finish_drains() {
  if (pending_.empty() || lost_ || carrier_->stream() == nullptr ||
      pending_.front().done < pending_.front().bytes.size()) {
    return;
  }
  transport::SerialPort* const serial = carrier_->stream()->serial();
  const auto status = serial == nullptr ? std::nullopt : std::optional{serial->status()};
  // A port that cannot tell (a pty) has no wire on which anything could be.
  if (status && *status && !(*status)->drained) {
    return;
  }
  const Tag tag = pending_.front().tag;
  pending_.pop_front();
  give(Sent{.tag = tag});
}

void Runner::take_done(const transport::UsbPipes::Done& done) {
  using Kind = transport::UsbPipes::Kind;
  const bool ok = done.status == transport::UsbStatus::ok;
  tap(false, done.bytes);
  switch (done.kind) {
    case Kind::control:
      give(ControlReply{.tag = done.tag, .result = result_of(done.status), .bytes = done.bytes});
      return;
    case Kind::write:
      if (const auto drain = std::ranges::find(usb_drains_, done.tag);
          ok && drain != usb_drains_.end()) {
        usb_drains_.erase(drain);
        give(Sent{.tag = done.tag});
      }
      break;
    case Kind::read:
      if (ok) {
        give(Received{.bytes = done.bytes});
      }
      break;
    case Kind::report:
      if (ok && !done.bytes.empty()) {
        give(ReportIn{.id = std::to_integer<std::uint8_t>(done.bytes.front()),
                      .bytes = std::span{done.bytes}.subspan(1)});
      }
      break;
  }
  if (!ok && !expected_) {
    lose_link();
  }
}

void Runner::wait_for_pipes(std::chrono::milliseconds limit) {
  auto polls = carrier_->pipes()->polls();
  std::ignore = ::poll(polls.data(), polls.size(), static_cast<int>(limit.count()));
  for (const auto& done : carrier_->pipes()->take_done()) {
    // A driver that expects the device to go closes the pipes.
    if (carrier_->pipes() == nullptr || outcome_) {
      return;
    }
    take_done(done);
  }
}

void Runner::wait() {
  const bool draining = !pending_.empty() && pending_.front().done == pending_.front().bytes.size();
  Time wait = draining ? kDrainLook : kLook;
  if (deadline_) {
    wait = std::clamp(*deadline_ - now(), Time{0}, wait);
  }
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(wait);
  if (carrier_->pipes() != nullptr && !lost_) {
    wait_for_pipes(limit);
    return;
  }
  const bool can_read = !lost_ && carrier_->stream() != nullptr;
  short events = POLLIN;
  if (!pending_.empty() && !draining) {
    events |= POLLOUT;
  }
  pollfd entry{
      .fd = can_read ? carrier_->stream()->descriptor() : -1, .events = events, .revents = 0};
  std::ignore = ::poll(&entry, 1, static_cast<int>(limit.count()));
  if (can_read && (entry.revents & ~POLLOUT) != 0) {
    read();
  }
}

void Runner::turn() {
  write();
  finish_drains();
  if (outcome_) {
    return;
  }
  wait();
  if (!outcome_) {
    look_for_return();
  }
  if (config_->cancelled && !cancelled_ && config_->cancelled()) {
    cancelled_ = true;
    give(Cancelled{});
  }
  if (now() > config_->limit && !outcome_) {
    outcome_ = Outcome{
        .error = Error{
            Errc::timeout,
            fmt::format("the recovery did not end within {} min",
                        std::chrono::duration_cast<std::chrono::minutes>(config_->limit).count()),
            {.reason = "recovery.write", .next = "run again, with a longer --timeout"}}};
    outcome_->flash_touched = true;  // It cannot be told from here.
    return;
  }
  if (deadline_ && now() >= *deadline_) {
    deadline_.reset();
    give(TimerFired{});
  }
  tell_wait();
}

}  // namespace

Outcome run_driver(Driver& driver, Carrier& carrier, const RunnerConfig& config,
                   const RemakeDriver& remake) {
  return Runner{driver, carrier, config, remake}.run();
}

}  // namespace sphere::recovery
