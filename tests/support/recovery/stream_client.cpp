// SPDX-License-Identifier: MIT
#include "tests/support/recovery/stream_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::test {

namespace {

using recovery::Time;

Time now() {
  return std::chrono::duration_cast<Time>(std::chrono::steady_clock::now().time_since_epoch());
}

class Loop {
 public:
  Loop(recovery::Driver& driver, transport::ByteStream& stream,
       const std::map<std::string, std::vector<std::byte>>& files)
      : driver_{&driver}, stream_{&stream}, files_{&files} {}

  recovery::Outcome run() {
    give(recovery::Start{});
    while (!outcome_) {
      wait();
      if (deadline_ && now() >= *deadline_) {
        deadline_.reset();
        give(recovery::TimerFired{});
        continue;
      }
      if (!write() || !read()) {
        give(recovery::LinkLost{});
      }
    }
    return *outcome_;
  }

 private:
  void give(const recovery::Input& input) {
    recovery::Actions actions;
    driver_->take(input, now(), actions);
    for (const auto& action : actions) {
      perform(action);
    }
    answer_files();
  }

  void perform(const recovery::Action& action) {
    if (const auto* const send = std::get_if<recovery::Send>(&action)) {
      unsent_.insert(unsent_.end(), send->bytes.begin(), send->bytes.end());
      given_ += send->bytes.size();
      if (send->drain) {
        drains_.emplace_back(given_, send->tag);
      }
    } else if (const auto* const arm = std::get_if<recovery::Arm>(&action)) {
      deadline_ = arm->deadline;
    } else if (const auto* const need = std::get_if<recovery::NeedFile>(&action)) {
      needs_.push_back(*need);
    } else if (const auto* const line = std::get_if<recovery::SetLine>(&action)) {
      set_line(*line);
    } else if (const auto* const finish = std::get_if<recovery::Finish>(&action)) {
      outcome_ = finish->outcome;
    } else if (const auto* const emit = std::get_if<recovery::Emit>(&action)) {
      show(emit->event);
    }
  }

  void set_line(const recovery::SetLine& line) {
    if (auto* const serial = stream_->serial()) {
      // A pty has no parity; what it cannot do does not matter to the other end.
      static_cast<void>(serial->configure(line.settings));
      if (line.purge_input) {
        static_cast<void>(serial->purge_input());
      }
    }
  }

  static void show(const recovery::Event& event) {
    if (const auto* const warning = std::get_if<recovery::Warning>(&event)) {
      fmt::print(stderr, "warning: {}\n", warning->text);
    } else if (const auto* const step = std::get_if<recovery::StepBegun>(&event)) {
      fmt::print(stderr, "step: {}\n", to_text(step->step));
    }
  }

  void answer_files() {
    while (!needs_.empty() && !outcome_) {
      const auto need = std::move(needs_.front());
      needs_.pop_front();
      const auto& bytes = files_->at(need.name);
      give(recovery::FileData{.tag = need.tag,
                              .bytes = std::span{bytes}.subspan(need.offset, need.length)});
    }
  }

  void wait() {
    constexpr Time kLongest = std::chrono::seconds{1};
    const Time left = deadline_ ? std::clamp(*deadline_ - now(), Time{0}, kLongest) : kLongest;
    pollfd waiting = {.fd = stream_->descriptor(),
                      .events = static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT),
                      .revents = 0};
    ::poll(&waiting, 1,
           static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }

  bool write() {
    const auto written = stream_->write(unsent_);
    if (!written) {
      return false;
    }
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(*written));
    while (!drains_.empty() && drains_.front().first <= given_ - unsent_.size()) {
      const auto tag = drains_.front().second;
      drains_.pop_front();
      give(recovery::Sent{tag});
    }
    return true;
  }

  bool read() {
    std::array<std::byte, 65536> piece = {};
    const auto count = stream_->read(piece);
    if (count && *count > 0) {
      give(recovery::Received{std::span{piece}.first(*count)});
    }
    return count.has_value();
  }

  recovery::Driver* driver_;
  transport::ByteStream* stream_;
  const std::map<std::string, std::vector<std::byte>>* files_;
  std::vector<std::byte> unsent_;
  std::uint64_t given_ = 0;
  std::deque<std::pair<std::uint64_t, recovery::Tag>> drains_;
  std::deque<recovery::NeedFile> needs_;
  std::optional<Time> deadline_;
  std::optional<recovery::Outcome> outcome_;
};

}  // namespace

recovery::Outcome run_client(recovery::Driver& driver, transport::ByteStream& stream,
                             const std::map<std::string, std::vector<std::byte>>& files) {
  return Loop{driver, stream, files}.run();
}

}  // namespace sphere::test
