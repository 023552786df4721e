// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/sphere_v2_client.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/text.h"
#include "sphere/recovery/device_errors.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/transport/usb.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSlowBaud = 115200;
constexpr std::uint32_t kFastBaud = 3000000;
constexpr std::uint32_t kEnterTries = 3;
constexpr std::size_t kChipDigits = 32;
constexpr std::size_t kHeardLimit = 200;
constexpr std::uint64_t kProgressStep = 16 * 1024;
constexpr Tag kSwitchTag = 1;    // The answer that begins the fast line has left.
constexpr Tag kFlowTag = 2;      // The one that keeps the speed.
constexpr Time kTextLimit = 5s;  // For each of the loader's lines, and its first message.
constexpr Time kSwitchLimit = 3s;
constexpr std::string_view kBoot = "[1BL] BOOT:";

bool is_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

void SphereV2Client::take(const Input& input, Time now, Actions& actions) {
  if (phase_ == Phase::ended) {
    return;
  }
  now_ = now;
  actions_ = &actions;
  std::visit([this](const auto& what) { on(what); }, input);
  if (phase_ != Phase::ended) {
    const bool sending = file_.has_value();
    const Time deadline = sending ? file_->xmodem().deadline() : deadline_;
    actions.emplace_back(
        Arm{.deadline = deadline,
            .reason = sending ? fmt::format("sending {}", file_->part().name) : reason_});
  }
  actions_ = nullptr;
}

void SphereV2Client::wait(Time limit, std::string reason) {
  deadline_ = now_ + limit;
  reason_ = std::move(reason);
}

void SphereV2Client::begin_step(Step step) {
  if (step_ != step) {
    step_ = step;
    emit(StepBegun{.step = step});
  }
}

void SphereV2Client::set_line(std::uint32_t baud, bool flow, bool purge) {
  using transport::FlowControl;
  actions_->emplace_back(
      SetLine{.settings = {.baud = baud,
                           .flow = flow ? FlowControl::rts_cts : FlowControl::none,
                           .event_character = std::byte{0}},
              .purge_input = purge});
}

void SphereV2Client::send(v2::Type type, std::span<const std::byte> data, Tag drain_tag) {
  std::vector<std::byte> wire;
  v2::append_message(type, data, wire);
  actions_->emplace_back(Send{.bytes = std::move(wire), .tag = drain_tag, .drain = drain_tag != 0});
}

// --- Entering: reset with the strap, then the lines of ROM and first loader. ---

void SphereV2Client::on(const Start& /*start*/) { enter(); }

void SphereV2Client::enter() {
  ++enter_tries_;
  phase_ = Phase::rom;
  text_.reset();
  begin_step(Step::enter);
  set_line(kSlowBaud, false, false);
  actions_->emplace_back(RunLines{.steps = transport::recovery_lines()});
  wait(config_.enter_limit, "waiting for the board's boot ROM");
}

bool SphereV2Client::is_text() const {
  return phase_ == Phase::rom || phase_ == Phase::good || phase_ == Phase::boot;
}

std::size_t SphereV2Client::take_text(std::span<const std::byte> bytes) {
  const Phase phase = phase_;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (phase == Phase::rom && text_.at_line_start() && bytes[i] == xmodem::kReady) {
      emit(Identified{.chip = chip_, .banner = saw_banner_ ? "RECOVERY" : ""});
      begin_step(Step::loader);
      const std::string name{v2::kLoaderFile};
      const SetFile* const file = find_file(name);
      begin_file(name, 0, file == nullptr ? 0 : file->size, file == nullptr ? 0 : file->size);
      return i;  // The file's sender wants this `C`.
    }
    if (const auto line = text_.take(bytes[i])) {
      phase == Phase::rom ? take_rom_line(*line) : take_loader_line(*line);
      if (phase_ != phase) {
        return i + 1;
      }
    }
  }
  return bytes.size();
}

void SphereV2Client::take_rom_line(const std::string& line) {
  if (line == "RECOVERY") {
    saw_banner_ = true;
    begin_step(Step::identify);
  } else if (line.size() == kChipDigits && is_hexadecimal(line)) {
    chip_ = line;
  } else if (!line.empty()) {
    heard_ = cut_utf8(line, kHeardLimit);
    emit(DeviceLog{.level = 0, .text = line});
  }
}

void SphereV2Client::take_loader_line(const std::string& line) {
  if (!line.empty()) {
    emit(DeviceLog{.level = 0, .text = line});
  }
  if (phase_ == Phase::good && line.ends_with("+GOOD")) {
    phase_ = Phase::boot;
    wait(kTextLimit, "waiting for the first loader to start");
  } else if (line.find(kBoot) != std::string::npos) {
    phase_ = Phase::greeting;
    decoder_.reset();
    wait(kTextLimit, "waiting for the first loader's greeting");
  }
}

// --- Bytes. ---

void SphereV2Client::on(const Received& received) {
  auto bytes = received.bytes;
  if (!bytes.empty() && !file_ && phase_ == Phase::erasing) {
    alive();
  }
  while (!bytes.empty() && phase_ != Phase::ended) {
    std::size_t taken = 0;
    if (file_) {
      taken = take_for_file(bytes);
    } else if (is_text()) {
      taken = take_text(bytes);
    } else {
      taken = take_frames(bytes);
    }
    bytes = bytes.subspan(taken);
  }
}

void SphereV2Client::begin_file(const std::string& name, std::uint64_t offset, std::uint64_t length,
                                std::uint64_t size) {
  file_.emplace(FileSender::Part{.name = name,
                                 .offset = offset,
                                 .length = length,
                                 .size = size,
                                 .large_blocks = config_.large_blocks});
  file_->start(now_);
  told_bytes_ = 0;
}

// While the board is not ready for a file, it may ask for it again: its last answer was lost.
std::size_t SphereV2Client::take_for_file(std::span<const std::byte> bytes) {
  if (!file_->xmodem().is_waiting_for_ready() || phase_ == Phase::rom) {
    const std::size_t taken = file_->receive(bytes, now_, *actions_);
    after_file_step();
    return taken;
  }
  const bool for_frames = decoder_.in_frame() || bytes.front() != xmodem::kReady;
  if (for_frames) {
    const auto end = std::ranges::find(bytes, std::byte{0});
    const auto length =
        static_cast<std::size_t>(end - bytes.begin()) + (end != bytes.end() ? 1 : 0);
    std::ignore = take_frames(bytes.first(length));
    if (file_ && phase_ != Phase::ended) {
      // Perhaps it was no frame but a damaged `C` in front of good ones.
      file_->receive(bytes.first(length), now_, *actions_);
    }
    return length;
  }
  file_->receive(bytes.first(1), now_, *actions_);
  return 1;
}

void SphereV2Client::on(const Sent& sent) {
  if (sent.tag == kSwitchTag) {
    set_line(kFastBaud, true, true);
    decoder_.reset();
    phase_ = Phase::switching;
    wait(kSwitchLimit, "waiting for the board at 3,000,000 baud");
  } else if (sent.tag == kFlowTag) {
    set_line(kSlowBaud, true, false);
  }
}

void SphereV2Client::on(const FileData& data) {
  if (file_) {
    file_->file_data(data, now_, *actions_);
    after_file_step();
  }
}

void SphereV2Client::on(const FileFailed& failed) {
  if (file_) {
    refuse_request(kUnknownServerError, failed.error.message());
  }
}

void SphereV2Client::after_file_step() {
  if (!file_) {
    return;
  }
  if (file_->has_failed()) {
    const std::string name = file_->part().name;
    const std::string why = file_->xmodem().why();
    file_.reset();
    fail_with(Errc::unavailable, failure_reason(), fmt::format("sending {}: {}", name, why),
              again());
  } else if (file_->is_done()) {
    file_sent();
  } else {
    tell_progress(false);
  }
}

void SphereV2Client::tell_progress(bool force) {
  const auto& part = file_->part();
  const std::uint64_t sent = file_->xmodem().acknowledged();
  if (!force && sent - told_bytes_ < kProgressStep) {
    return;
  }
  told_bytes_ = sent;
  const bool image = is_image(part.name);
  emit(Progress{.step = image ? Step::write : Step::loader,
                .image = part.name,
                .image_index = image ? static_cast<std::uint32_t>(begun_images_.size()) : 0,
                .images = config_.images,
                .bytes_done = image ? sent_bytes_ + sent : part.offset + sent,
                .bytes_total = image ? config_.image_bytes : part.size});
}

void SphereV2Client::file_sent() {
  tell_progress(true);
  const auto part = file_->part();
  file_.reset();
  decoder_.reset();
  if (is_image(part.name)) {
    sent_bytes_ += part.length;
    if (part.offset + part.length == part.size) {
      sent_images_.insert(part.name);
    }
  }
  if (phase_ == Phase::rom) {
    phase_ = Phase::good;
    text_.reset();
    wait(kTextLimit, "waiting for the boot ROM's verdict on the first loader");
    return;
  }
  last_request_.clear();
  alive();
}

const SetFile* SphereV2Client::find_file(std::string_view name) const {
  const auto found = std::ranges::find(config_.files, name, &SetFile::name);
  return found == config_.files.end() ? nullptr : &*found;
}

bool SphereV2Client::is_image(std::string_view name) const {
  return name != v2::kLoaderFile && name != v2::kRuntimeFile && name != v2::kManifestFile &&
         name != kCapabilityFile;
}

// --- Ends. ---

void SphereV2Client::on(const TimerFired& /*timer*/) {
  if (file_) {
    file_->timer(now_, *actions_);
    after_file_step();
  } else if (now_ >= deadline_) {
    limit_passed();
  }
}

void SphereV2Client::on(const LinkLost& /*lost*/) {
  fail_with(Errc::unavailable, "link.unplugged",
            fmt::format("the board was unplugged in step {}", to_text(step_.value_or(Step::find))),
            again());
}

void SphereV2Client::on(const Cancelled& /*cancelled*/) {
  if (touched_ && !std::exchange(cancel_asked_, true)) {
    emit(Warning{.code = "recovery.erased",
                 .text = "the board's flash is erased: it works only once all images are written",
                 .next = "let it finish, or press Ctrl-C again to stop"});
    return;
  }
  if (!is_text()) {
    send(v2::Type::abort_recovery, {});
  }
  actions_->emplace_back(RunLines{.steps = transport::reset_lines()});
  fail_with(Errc::cancelled, touched_ ? "recovery.write" : "", "stopped by the user", again());
}

void SphereV2Client::limit_passed() {
  switch (phase_) {
    case Phase::rom:
      if (enter_tries_ < kEnterTries) {
        emit(Retry{.what = "enter recovery",
                   .attempt = enter_tries_ + 1,
                   .of = kEnterTries,
                   .why = "the boot ROM said nothing"});
        enter();
        return;
      }
      fail_with(Errc::unavailable, "recovery.no-loader",
                heard_.empty()
                    ? std::string{"the board did not enter recovery mode: its boot ROM is silent"}
                    : fmt::format("the board did not enter recovery mode: it said \"{}\"",
                                  escape_control(heard_)),
                "hold DEBUG_RTS at 3.3 V, press reset, run: sphere device recover --manual");
      return;
    case Phase::switching:
      emit(Retry{.what = "talk at 115,200 baud",
                 .attempt = 1,
                 .of = 1,
                 .why = "silence at 3,000,000 baud"});
      set_line(kSlowBaud, true, true);
      decoder_.reset();
      phase_ = Phase::fallback;
      wait(kSwitchLimit, "waiting for the board at 115,200 baud");
      return;
    default:
      fail_with(Errc::timeout, failure_reason(), fmt::format("{}: nothing came in time", reason_),
                again());
  }
}

std::string_view SphereV2Client::failure_reason() const {
  if (touched_) {
    return "recovery.write";
  }
  return "recovery.no-loader";
}

std::string SphereV2Client::again() const {
  if (!touched_) {
    return "check cable and power, then run again; the board is unchanged";
  }
  return sent_images_.empty()
             ? "keep the board connected and run again; its flash is erased"
             : fmt::format("keep the board connected and run again; {} of {} images were written",
                           sent_images_.size(), config_.images);
}

void SphereV2Client::fail_with(Errc code, std::string_view reason, std::string message,
                               std::string next) {
  finish({.error = Error{code, std::move(message), {.reason = reason, .next = std::move(next)}}});
}

void SphereV2Client::finish(Outcome outcome) {
  outcome.flash_touched = touched_;
  outcome.images_written = static_cast<std::uint32_t>(sent_images_.size());
  outcome.bytes_written = sent_bytes_;
  file_.reset();
  phase_ = Phase::ended;
  actions_->emplace_back(Finish{.outcome = std::move(outcome)});
}

std::unique_ptr<Driver> make_sphere_v2(SphereV2Config config) {
  return std::make_unique<SphereV2Client>(std::move(config));
}

}  // namespace sphere::recovery
