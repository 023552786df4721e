// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/xmodem_client.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/file_sender.h"
#include "libsdk/src/recovery/turn.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr Time kReadyLimit = 60s;
constexpr Time kAnswerLimit = 10s;
constexpr Time kFileLimit = 10s;
constexpr std::size_t kMostText = 4096;

class Xmodem final : public Driver {
 public:
  explicit Xmodem(XmodemPlan plan)
      : plan_{std::move(plan)},
        sender_{{.name = plan_.file,
                 .offset = 0,
                 .length = plan_.size,
                 .size = plan_.size,
                 .large_blocks = plan_.large_blocks}} {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  void start(Turn& turn, Actions& actions);
  void take_bytes(Turn& turn, std::span<const std::byte> bytes, Actions& actions);
  void go_on(Turn& turn);
  void timed_out(Turn& turn, Actions& actions);
  void end(Turn& turn, bool answered);

  XmodemPlan plan_;
  Run run_;
  FileSender sender_;
  Time ready_by_ = {};
  bool sent_ = false;
  std::string text_;  // Behind the file.
};

void Xmodem::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  const Step step = sent_ ? Step::confirm : Step::loader;
  std::visit(
      Overloaded{[&](const Start&) { start(turn, actions); },
                 [&](const Received& received) { take_bytes(turn, received.bytes, actions); },
                 [&](const FileData& file) {
                   sender_.file_data(file, now, actions);
                   go_on(turn);
                 },
                 [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                 [&](const TimerFired&) { timed_out(turn, actions); },
                 [&](const LinkLost&) { run_.lose(turn, step); },
                 [&](const Cancelled&) { run_.cancel(turn, step); }, [](const auto&) {}},
      input);
}

void Xmodem::start(Turn& turn, Actions& /*actions*/) {
  turn.begin(Step::loader);
  turn.add(SetLine{.settings = {.baud = plan_.baud, .flow = transport::FlowControl::none},
                   .purge_input = false});
  ready_by_ = turn.now() + kReadyLimit;
  sender_.start(turn.now());
  go_on(turn);
}

// Arms the timer for what the transfer waits for, or ends it.
void Xmodem::go_on(Turn& turn) {
  if (sender_.has_failed()) {
    run_.fail(turn, Errc::io, fmt::format("XMODEM: {}", sender_.xmodem().why()));
  } else if (sender_.is_done()) {
    sent_ = true;
    if (plan_.answer.empty()) {
      end(turn, false);
    } else {
      turn.arm(kAnswerLimit, "waiting for the loader to check the file");
    }
  } else if (sender_.xmodem().is_waiting_for_ready()) {
    const Time limit = std::min(sender_.xmodem().deadline(), ready_by_);
    turn.arm(std::max(limit - turn.now(), Time{0}), "waiting for the loader to be ready");
  } else {
    const Time limit = sender_.xmodem().deadline() - turn.now();
    turn.arm(std::clamp(limit, Time{0}, kFileLimit), "waiting for the loader to take a block");
  }
}

void Xmodem::take_bytes(Turn& turn, std::span<const std::byte> bytes, Actions& actions) {
  if (!sent_) {
    const auto before = sender_.xmodem().acknowledged();
    bytes = bytes.subspan(sender_.receive(bytes, turn.now(), actions));
    const auto done = sender_.xmodem().acknowledged();
    constexpr std::uint64_t kProgressEvery = 16'384;
    if (done / kProgressEvery != before / kProgressEvery || (sender_.is_done() && !sent_)) {
      turn.emit(Progress{.step = Step::loader,
                         .image = plan_.file,
                         .image_index = 1,
                         .images = 1,
                         .bytes_done = std::min(done, plan_.size),
                         .bytes_total = plan_.size});
    }
    go_on(turn);
  }
  if (run_.is_over() || !sent_) {
    return;
  }
  for (const std::byte byte : bytes) {
    text_ += static_cast<char>(byte);
  }
  if (text_.find(plan_.answer) != std::string::npos) {
    end(turn, true);
  } else if (text_.size() > kMostText) {
    run_.fail(turn, Errc::corrupt, "the loader does not say whether it takes the file",
              "recovery.image-refused");
  }
}

void Xmodem::timed_out(Turn& turn, Actions& actions) {
  if (sent_) {
    run_.fail(turn, Errc::io,
              text_.empty() ? std::string{"the loader does not say whether it takes the file"}
                            : fmt::format("the loader does not take the file: \"{}\"",
                                          show_text(std::as_bytes(std::span{text_}))),
              "recovery.image-refused");
  } else if (sender_.xmodem().is_waiting_for_ready() && turn.now() >= ready_by_) {
    run_.fail(turn, Errc::timeout, "the loader is not ready for a file");
  } else {
    sender_.timer(turn.now(), actions);
    go_on(turn);
  }
}

void Xmodem::end(Turn& turn, bool answered) {
  auto& outcome = run_.outcome;
  outcome.written = Verdict::yes;
  outcome.verified = answered ? Verdict::yes : Verdict::unknown;
  outcome.not_verified = answered ? "" : "XMODEM tells only that the bytes arrived";
  outcome.images_written = 1;
  outcome.bytes_written = plan_.size;
  run_.finish(turn);
}

}  // namespace

Result<std::unique_ptr<Driver>> make_xmodem(XmodemPlan plan) {
  if (plan.size == 0) {
    return fail(Errc::invalid_argument, "no file to send",
                {.reason = "recovery.image-missing", .value = plan.file});
  }
  return std::make_unique<Xmodem>(std::move(plan));
}

}  // namespace sphere::recovery
