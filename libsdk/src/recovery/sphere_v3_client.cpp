// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/sphere_v3_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/sphere_v3.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSlowBaud = 115200;
constexpr std::uint32_t kEnterTries = 3;
constexpr std::uint32_t kRestarts = 5;
constexpr Time kBeginLimit = 3s;
constexpr Time kSilence = 5s;
constexpr Tag kSwitchTag = 1;
constexpr std::uint32_t kBlocksAtOnce = 4;  // Read from a file.
constexpr std::uint64_t kProgressStep = std::uint64_t{64} * 1024;

std::string_view lifecycle_text(std::optional<std::uint8_t> lifecycle) {
  constexpr std::array<std::string_view, 3> kTexts = {"blank", "owned", "locked"};
  return lifecycle && *lifecycle < kTexts.size() ? kTexts.at(*lifecycle) : "";
}

// So many bytes are on their way at most that a message waits a quarter of a second behind them.
std::uint16_t window_for(std::uint32_t baud, std::uint16_t block, std::uint16_t most) {
  constexpr std::uint32_t kLeast = 4;
  constexpr std::uint32_t kBitsPerByte = 10;
  const std::uint32_t wanted = std::max(kLeast, baud / kBitsPerByte / 4 / block);
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, most));
}

}  // namespace

void SphereV3Client::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  turn_ = &turn;
  std::visit([this](const auto& what) { on(what); }, input);
  if (!run_.is_over()) {
    flush();
    arm();
    ask_for_bytes(input);
    read_blocks();  // Last: its answer may come at once, and arms anew.
  }
  turn_ = nullptr;
}

// A read is outstanding at any time.
void SphereV3Client::ask_for_bytes(const Input& input) {
  constexpr std::size_t kRead = std::size_t{16} * 1024;
  if (config_.asks_for_bytes &&
      (std::holds_alternative<Start>(input) || std::holds_alternative<Received>(input))) {
    turn_->add(ReadBulk{kRead});
  }
}

void SphereV3Client::flush() {
  if (!wire_.empty()) {
    turn_->add(Send{
        .bytes = std::exchange(wire_, {}), .tag = drain_, .drain = std::exchange(drain_, 0) != 0});
  }
}

void SphereV3Client::arm() {
  Time first = deadline_;
  for (const auto& deadline :
       {channel_.deadline(), serving_ ? serving_->sender.deadline() : std::nullopt}) {
    first = deadline ? std::min(first, *deadline) : first;
  }
  turn_->add(Arm{.deadline = std::max(first, turn_->now()), .reason = reason_});
}

void SphereV3Client::wait(Time limit, std::string_view reason) {
  deadline_ = turn_->now() + limit;
  reason_ = reason;
}

void SphereV3Client::begin_step(Step step) {
  if (!any_step_ || step_ != step) {
    any_step_ = true;
    step_ = step;
    turn_->begin(step);
  }
}

void SphereV3Client::set_line(std::uint32_t baud, bool purge) {
  turn_->add(SetLine{.settings = {.baud = baud,
                                  .flow = transport::FlowControl::rts_cts,
                                  .event_character = std::byte{0}},
                     .purge_input = purge});
}

// --- Sessions. ---

void SphereV3Client::enter() {
  ++enter_tries_;
  begin_step(Step::enter);
  phase_ = Phase::greeting;
  set_line(kSlowBaud, false);
  turn_->add(RunLines{.steps = transport::recovery_lines()});
  wait(config_.enter_limit, "waiting for the board's recovery loader");
}

// Begins a new session; the board goes on where it was.
void SphereV3Client::restart(std::string_view why) {
  if (++restarts_ > kRestarts) {
    run_.fail(*turn_, Errc::unavailable, fmt::format("{}, {} times", why, restarts_));
    return;
  }
  turn_->emit(Retry{.what = "session with the board",
                    .attempt = restarts_,
                    .of = kRestarts,
                    .why = std::string{why}});
  channel_.reset();
  serving_.reset();
  decoder_.reset();
  wire_.clear();
  drain_ = 0;
  phase_ = Phase::greeting;
  enter_tries_ = 1;
  set_line(kSlowBaud, true);
  wait(config_.enter_limit, "waiting for the board's recovery loader");
}

void SphereV3Client::greeting_limit() {
  if (enter_tries_ < kEnterTries) {
    turn_->emit(Retry{.what = "enter recovery",
                      .attempt = enter_tries_ + 1,
                      .of = kEnterTries,
                      .why = "the recovery loader said nothing"});
    enter();
    return;
  }
  run_.fail(*turn_, Errc::unavailable, "the board's recovery loader is silent");
}

void SphereV3Client::on(const Received& received) {
  decoder_.decode(received.bytes, [this](std::span<const std::byte> bytes) {
    take_frame(bytes);
    return !run_.is_over();
  });
}

void SphereV3Client::take_frame(std::span<const std::byte> bytes) {
  if (phase_ != Phase::greeting) {
    if (const auto frame = v3::parse_frame(bytes)) {
      take_v3(*frame);
      return;
    }
  }
  const auto message = v2::parse_message(bytes);
  if (message && static_cast<v2::Type>(message->type) == v2::Type::initialization) {
    take_greeting(message->data);
  }
}

void SphereV3Client::take_greeting(std::span<const std::byte> data) {
  const auto version = v3::greeting_version(data);
  if (version && *version != v3::kVersion) {
    run_.fail(*turn_, Error{Errc::unsupported,
                            fmt::format("the board speaks recovery version {}, this set is for "
                                        "version {}",
                                        *version, v3::kVersion),
                            {.reason = "recovery.no-loader",
                             .next = "choose another protocol with --protocol"}});
    return;
  }
  const auto greeting = v3::parse_greeting(data);
  if (!greeting) {
    malformed("greeting", data);
    return;
  }
  if (phase_ == Phase::rebooting) {
    return;
  }
  const bool again = phase_ != Phase::greeting && greeting->nonce == greeting_.nonce;
  if (phase_ == Phase::session && !again) {
    restart("the board has started anew");
    if (run_.is_over()) {
      return;
    }
  }
  if (suits(*greeting)) {
    answer(*greeting);
  }
}

// What can be told before anything is sent. False: the run is over.
bool SphereV3Client::suits(const v3::Greeting& greeting) {
  const auto refuse = [&](std::string why) {
    run_.fail(*turn_, Error{Errc::invalid_argument,
                            std::move(why),
                            {.reason = "recovery.image-refused",
                             .value = greeting.board_id,
                             .next = "take the set that was made for this board"}});
    return false;
  };
  const ManifestV4& manifest = config_.manifest;
  if (!greeting.board_id.empty() && greeting.board_id != manifest.board_id) {
    return refuse(fmt::format("the set is for board {}, this one is {}", manifest.board_id,
                              escape_control(greeting.board_id)));
  }
  if (greeting.floor && manifest.security_version < *greeting.floor) {
    return refuse(fmt::format("the set has security version {}, the board takes {} or higher",
                              manifest.security_version, *greeting.floor));
  }
  if (greeting.flash_size && manifest.total_size() > *greeting.flash_size) {
    return refuse(fmt::format("the set has {} bytes, the board's flash {}", manifest.total_size(),
                              *greeting.flash_size));
  }
  return true;
}

void SphereV3Client::answer(const v3::Greeting& greeting) {
  constexpr std::uint16_t kBlock = 4096;
  constexpr std::uint16_t kSlowBlock = 1024;
  greeting_ = greeting;
  if (!std::exchange(identified_, true)) {
    begin_step(Step::identify);
    turn_->emit(Identified{.board_id = greeting.board_id,
                           .device_id = greeting.device_id,
                           .lifecycle = std::string{lifecycle_text(greeting.lifecycle)}});
  }
  choice_ = {.nonce = greeting.nonce, .log_level = config_.log_level};
  std::uint32_t rate = 0;
  for (const std::uint32_t offered : greeting.rates) {
    rate = offered <= fastest_ ? std::max(rate, offered) : rate;
  }
  if (greeting.rates.empty()) {  // No UART: there is no line that could be clogged.
    choice_.block = greeting.block;
    choice_.window = greeting.window;
  } else {
    choice_.rate = rate == 0 ? kSlowBaud : rate;
    choice_.block = std::min(greeting.block, *choice_.rate > kSlowBaud ? kBlock : kSlowBlock);
    choice_.window = window_for(*choice_.rate, choice_.block, greeting.window);
  }
  channel_.reset();
  serving_.reset();
  transfer_ = 0;
  last_request_.clear();
  v2::append_message(v2::Type::initialization_ack, v3::write_choice(choice_), wire_);
  drain_ = kSwitchTag;
  phase_ = Phase::switching;
  wait(kBeginLimit, "waiting for the board to begin");
}

void SphereV3Client::on(const Sent& sent) {
  if (sent.tag == kSwitchTag && phase_ == Phase::switching && choice_.rate &&
      *choice_.rate != kSlowBaud) {
    set_line(*choice_.rate, true);
    decoder_.reset();
  }
}

void SphereV3Client::take_v3(const v3::Frame& frame) {
  if (phase_ == Phase::switching) {
    phase_ = Phase::session;
    promise_ = {};
    wait(kSilence, "waiting for the board's next message");
  }
  // Every frame shows that the board lives.
  deadline_ = std::max(deadline_, turn_->now() + std::max(kSilence, 2 * promise_));
  switch (frame.kind) {
    case v3::Kind::message:
      if (const auto message = channel_.take(frame, wire_)) {
        take_message(*message);
      }
      break;
    case v3::Kind::message_ack:
      channel_.take_ack(frame, turn_->now(), wire_);
      if (phase_ == Phase::rebooting && channel_.is_idle()) {
        finish();
      }
      break;
    case v3::Kind::data_ack:
      if (const auto ack = v3::parse_data_ack(frame); ack && serving_) {
        serving_->sender.take(*ack, turn_->now());
        tell_progress(serving_->sender.is_done());
      }
      break;
    case v3::Kind::data:
      break;
  }
}

// --- Files. ---

void SphereV3Client::read_blocks() {
  if (!serving_ || serving_->asked || (!serving_->started && !channel_.is_idle())) {
    return;
  }
  serving_->started = true;
  const auto run = serving_->sender.wanted(kBlocksAtOnce);
  if (!run) {
    return;
  }
  std::uint64_t length = 0;
  for (std::uint32_t i = 0; i < run->count; ++i) {
    length += serving_->sender.size_of(run->first + i);
  }
  serving_->asked = run;
  serving_->tag = ++file_tag_;
  turn_->need(serving_->name, serving_->offset + serving_->sender.offset_of(run->first), length,
              serving_->tag);
}

void SphereV3Client::on(const FileData& data) {
  if (!serving_ || !serving_->asked || data.tag != serving_->tag) {
    return;
  }
  const auto run = *std::exchange(serving_->asked, std::nullopt);
  auto bytes = data.bytes;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const std::size_t size = std::min(bytes.size(), serving_->sender.size_of(run.first + i));
    v3::append_data(transfer_, run.first + i, bytes.first(size), wire_);
    bytes = bytes.subspan(size);
  }
  serving_->sender.sent(run, turn_->now());
}

void SphereV3Client::on(const FileFailed& failed) {
  if (serving_ && failed.tag == serving_->tag) {
    Error error = failed.error;
    run_.fail(*turn_, std::move(error));
  }
}

void SphereV3Client::tell_progress(bool force) {
  if (!serving_ || !serving_->image) {
    return;
  }
  const std::uint64_t sent = serving_->sender.acknowledged();
  if (!force && sent - serving_->told < kProgressStep) {
    return;
  }
  sent_bytes_ += sent - serving_->told;
  serving_->told = sent;
  turn_->emit(Progress{.step = Step::write,
                       .image = serving_->name,
                       .image_index = static_cast<std::uint32_t>(begun_images_.size()),
                       .images = static_cast<std::uint32_t>(config_.manifest.entries.size()),
                       .bytes_done = std::min(sent_bytes_, total_bytes_),
                       .bytes_total = total_bytes_});
}

// --- Ends. ---

void SphereV3Client::on(const TimerFired& /*timer*/) {
  const Time now = turn_->now();
  channel_.timer(now, wire_);
  if (serving_) {
    serving_->sender.timer(now);
  }
  if (phase_ == Phase::rebooting) {
    if (channel_.has_failed() || now >= deadline_) {
      finish();
    }
    return;
  }
  if (channel_.has_failed() || (serving_ && serving_->sender.has_failed())) {
    restart("the board does not acknowledge what it gets");
    return;
  }
  if (now < deadline_) {
    return;
  }
  if (phase_ == Phase::greeting) {
    greeting_limit();
    return;
  }
  if (phase_ == Phase::switching) {
    const std::uint32_t rate = choice_.rate.value_or(kSlowBaud);
    fastest_ = rate > kSlowBaud ? rate - 1 : kSlowBaud;
    restart(fmt::format("the board did not begin at {} baud", with_thousands(rate)));
    return;
  }
  restart("the board has fallen silent");
}

// Before the erase a board is left as it was; afterwards only at the second time.
void SphereV3Client::on(const Cancelled& /*cancelled*/) {
  const bool ends = !run_.outcome.flash_touched || std::exchange(cancel_asked_, true);
  if (ends && phase_ == Phase::session) {
    post(v3::Type::abort_recovery, std::vector<std::byte>(3));  // Code 0, no text.
    flush();
  }
  if (ends) {
    turn_->add(RunLines{.steps = transport::reset_lines()});
  }
  run_.cancel(*turn_, step_);
}

void SphereV3Client::finish() {
  turn_->add(RunLines{.steps = transport::reset_lines()});
  run_.finish(*turn_);
}

std::unique_ptr<Driver> make_sphere_v3(SphereV3Config config) {
  return std::make_unique<SphereV3Client>(std::move(config));
}

}  // namespace sphere::recovery
