// SPDX-License-Identifier: MIT
#include "sphere/recovery/runner.h"

#include <algorithm>
#include <array>
#include <cerrno>
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
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kReadSize = 64 * 1024;
constexpr Time kTellAfter = 2s;
constexpr Time kTellEvery = 5s;
constexpr Time kLook = 100ms;     // How often Ctrl-C is looked for.
constexpr Time kDrainLook = 1ms;  // How often the port is asked whether all has left.

constexpr transport::LineSettings kFirstLine = {
    .baud = 115200, .flow = transport::FlowControl::none, .event_character = std::byte{0}};

class FtdiCarrier final : public Carrier {
 public:
  FtdiCarrier(std::string location, bool manual, std::unique_ptr<transport::ByteStream> stream)
      : location_{std::move(location)}, manual_{manual}, stream_{std::move(stream)} {}

  [[nodiscard]] transport::ByteStream& stream() override { return *stream_; }
  // The pins are the port's own: the UART is closed meanwhile.
  [[nodiscard]] Result<bool> run_lines(std::span<const transport::LineStep> steps) override {
    if (manual_) {
      return false;
    }
    stream_.reset();
    const auto ran = transport::run_lines(location_, steps);
    SPHERE_TRY_ASSIGN(stream_,
                      transport::open_ftdi(location_, transport::FtdiPort::recovery, kFirstLine));
    SPHERE_TRY(ran);
    return true;
  }

 private:
  std::string location_;
  bool manual_;
  std::unique_ptr<transport::ByteStream> stream_;
};

class StreamCarrier final : public Carrier {
 public:
  explicit StreamCarrier(std::unique_ptr<transport::ByteStream> stream)
      : stream_{std::move(stream)} {}

  [[nodiscard]] transport::ByteStream& stream() override { return *stream_; }
  [[nodiscard]] Result<bool> run_lines(std::span<const transport::LineStep> /*steps*/) override {
    return false;
  }

 private:
  std::unique_ptr<transport::ByteStream> stream_;
};

class Runner {
 public:
  Runner(Driver& driver, Carrier& carrier, const RunnerConfig& config)
      : driver_{driver}, carrier_{carrier}, config_{config}, start_{config.clock.monotonic()} {}

  Outcome run() {
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

  [[nodiscard]] Time now() const {
    return std::chrono::duration_cast<Time>(config_.clock.monotonic() - start_);
  }
  void give(const Input& input);
  void perform(const Action& action);
  void lose_link();
  void set_line(const SetLine& line);
  void run_lines(const RunLines& lines);
  void answer_file(const NeedFile& need);
  void turn();
  void wait_for_stream();
  void read();
  void write();
  void finish_drains();
  void tell_wait();

  Driver& driver_;
  Carrier& carrier_;
  const RunnerConfig& config_;
  std::chrono::nanoseconds start_;
  std::optional<Outcome> outcome_;
  std::deque<Pending> pending_;
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
  driver_.take(input, now(), actions);
  for (const Action& action : actions) {
    perform(action);
  }
}

void Runner::lose_link() {
  if (!std::exchange(lost_, true)) {
    pending_.clear();
    give(LinkLost{});
  }
}

void Runner::set_line(const SetLine& line) {
  transport::SerialPort* const serial = carrier_.stream().serial();
  if (serial == nullptr) {
    return;
  }
  const bool set = serial->configure(line.settings) && (!line.purge_input || serial->purge_input());
  if (!set) {
    lose_link();
  }
}

void Runner::run_lines(const RunLines& lines) {
  const auto ran = carrier_.run_lines(lines.steps);
  if (!ran) {
    config_.sink(Warning{.code = std::string{ran.error().hint().reason},
                         .text = ran.error().message(),
                         .next = ran.error().hint().next},
                 now());
    lose_link();
  }
}

void Runner::answer_file(const NeedFile& need) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(need.length));
  const auto read = config_.files.read(need.name, need.offset, bytes);
  if (!read) {
    give(FileFailed{.tag = need.tag, .error = read.error()});
  } else {
    give(FileData{.tag = need.tag, .bytes = bytes});
  }
}

void Runner::perform(const Action& action) {
  std::visit(
      [this](const auto& what) {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, Send>) {
          if (!lost_) {
            pending_.push_back({.bytes = what.bytes, .tag = what.tag, .drain = what.drain});
          }
        } else if constexpr (std::is_same_v<What, SetLine>) {
          set_line(what);
        } else if constexpr (std::is_same_v<What, RunLines>) {
          run_lines(what);
        } else if constexpr (std::is_same_v<What, NeedFile>) {
          answer_file(what);
        } else if constexpr (std::is_same_v<What, Arm>) {
          deadline_ = what.deadline;
          if (reason_ != what.reason) {
            reason_ = what.reason;
            waiting_since_ = now();
            told_ = waiting_since_ + kTellAfter - kTellEvery;
          }
        } else if constexpr (std::is_same_v<What, Emit>) {
          config_.sink(what.event, now());
        } else if constexpr (std::is_same_v<What, Finish>) {
          outcome_ = what.outcome;
        } else if constexpr (std::is_same_v<What, ControlTransfer> ||
                             std::is_same_v<What, SetReport>) {
          give(ControlReply{.tag = what.tag, .result = UsbResult::gone, .bytes = {}});
        }
      },
      action);
}

void Runner::tell_wait() {
  if (deadline_ && now() - told_ >= kTellEvery) {
    told_ = now();
    config_.sink(Waiting{.reason = reason_,
                         .since = now() - waiting_since_,
                         .limit = *deadline_ - waiting_since_},
                 told_);
  }
}

void Runner::read() {
  std::array<std::byte, kReadSize> buffer;
  const auto count = carrier_.stream().read(buffer);
  if (!count) {
    lose_link();
    return;
  }
  if (*count > 0) {
    const auto bytes = std::span{buffer}.first(*count);
    if (config_.tap) {
      config_.tap(false, bytes);
    }
    give(Received{.bytes = bytes});
  }
}

void Runner::write() {
  while (!pending_.empty() && !lost_) {
    Pending& first = pending_.front();
    const auto rest = std::span{first.bytes}.subspan(first.done);
    if (rest.empty()) {
      break;  // It waits for its drain.
    }
    const auto count = carrier_.stream().write(rest);
    if (!count) {
      lose_link();
      return;
    }
    if (*count == 0) {
      return;
    }
    if (config_.tap) {
      config_.tap(true, rest.first(*count));
    }
    first.done += *count;
    if (first.done == first.bytes.size() && !first.drain) {
      pending_.pop_front();
    }
  }
}

// A send that wants to know that it has left holds up the next ones until then.
void Runner::finish_drains() {
  if (pending_.empty() || lost_ || pending_.front().done < pending_.front().bytes.size()) {
    return;
  }
  transport::SerialPort* const serial = carrier_.stream().serial();
  const auto status = serial == nullptr ? std::nullopt : std::optional{serial->status()};
  // A port that cannot tell (a pty) has no wire on which anything could be.
  if (status && *status && !(*status)->drained) {
    return;
  }
  const Tag tag = pending_.front().tag;
  pending_.pop_front();
  give(Sent{.tag = tag});
}

void Runner::wait_for_stream() {
  const bool draining = !pending_.empty() && pending_.front().done == pending_.front().bytes.size();
  Time wait = draining ? kDrainLook : kLook;
  if (deadline_) {
    wait = std::clamp(*deadline_ - now(), Time{0}, wait);
  }
  short events = POLLIN;
  if (!pending_.empty() && !draining) {
    events |= POLLOUT;
  }
  pollfd entry{.fd = lost_ ? -1 : carrier_.stream().descriptor(), .events = events, .revents = 0};
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  std::ignore = ::poll(&entry, 1, static_cast<int>(milliseconds));
  if (!lost_ && (entry.revents & ~POLLOUT) != 0) {
    read();
  }
}

void Runner::turn() {
  write();
  finish_drains();
  if (outcome_) {
    return;
  }
  wait_for_stream();
  if (config_.cancelled && !cancelled_ && config_.cancelled()) {
    cancelled_ = true;
    give(Cancelled{});
  }
  if (now() > config_.limit && !outcome_) {
    outcome_ = Outcome{
        .error = Error{
            Errc::timeout,
            fmt::format("the recovery did not end within {} min",
                        std::chrono::duration_cast<std::chrono::minutes>(config_.limit).count()),
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

Result<std::unique_ptr<Carrier>> open_ftdi_carrier(std::string location, bool manual) {
  SPHERE_TRY_ASSIGN(auto stream,
                    transport::open_ftdi(location, transport::FtdiPort::recovery, kFirstLine));
  return std::make_unique<FtdiCarrier>(std::move(location), manual, std::move(stream));
}

std::unique_ptr<Carrier> make_stream_carrier(std::unique_ptr<transport::ByteStream> stream) {
  return std::make_unique<StreamCarrier>(std::move(stream));
}

Outcome run_driver(Driver& driver, Carrier& carrier, const RunnerConfig& config) {
  return Runner{driver, carrier, config}.run();
}

}  // namespace sphere::recovery
