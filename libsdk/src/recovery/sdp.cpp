// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/sdp.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;
using Word = std::array<std::byte, 4>;

constexpr std::uint32_t kBaud = 115200;
constexpr std::size_t kReport = 1024;
constexpr std::size_t kChunk = 16 * kReport;  // Of the file, asked for at once.
constexpr std::uint64_t kMostAtOnce = 2U << 20U;
constexpr std::size_t kDcdField = 12;  // Offset in the table.
constexpr std::uint8_t kCommandReport = 1;
constexpr std::uint8_t kDataReport = 2;
constexpr std::uint8_t kStateReport = 3;
constexpr std::uint8_t kAnswerReport = 4;
constexpr Time kAnswerLimit = 5s;
constexpr Time kDataLimit = 10s;
constexpr Time kJumpSilence = 1s;
constexpr Time kAssociateLimit = 500ms;
constexpr Time kAssociatePause = 1s;
constexpr unsigned kAssociations = 10;
constexpr Tag kFileTag = 1;
constexpr Tag kFirstReportTag = 2;

constexpr std::uint16_t kWriteFile = 0x0404;
constexpr std::uint16_t kErrorStatus = 0x0505;
constexpr std::uint16_t kWriteDcd = 0x0A0A;
constexpr std::uint16_t kJump = 0x0B0B;
constexpr std::uint16_t kSkipDcd = 0x0C0C;

constexpr Word word(std::uint32_t value) {
  return {static_cast<std::byte>(value >> 24U), static_cast<std::byte>(value >> 16U & 0xFFU),
          static_cast<std::byte>(value >> 8U & 0xFFU), static_cast<std::byte>(value & 0xFFU)};
}
constexpr Word kGreeting = word(0x23454523);
constexpr Word kOpen = word(0x56787856);
constexpr Word kClosed = word(0x12343412);
constexpr Word kNoError = word(0xF0F0F0F0);
constexpr Word kWritten = word(0x88888888);
constexpr Word kDcdDone = word(0x128A8A12);
// Other sources have it the other way round.
constexpr Word kSkipped = word(0x09D00D90);
constexpr Word kSkippedReversed = word(0x900DD009);

void append(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

std::string lifecycle_of(const Word& state) {
  if (state == kOpen) {
    return "open";
  }
  return state == kClosed ? "closed" : show_bytes(state);
}

class Sdp final : public Driver {
 public:
  explicit Sdp(SdpPlan plan) : plan_{std::move(plan)} {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Stage : std::uint8_t { associate, pause, status, dcd, write, skip, jump };

  void start(Turn& turn);
  void associate(Turn& turn);
  void take_bytes(Turn& turn, std::span<const std::byte> bytes);
  void take_report(Turn& turn, const ReportIn& report);
  void take_sent(Turn& turn, const ControlReply& reply);
  void take_file(Turn& turn, const FileData& file);
  void timed_out(Turn& turn);
  void lost(Turn& turn);

  void command(Turn& turn, std::uint16_t code, std::uint32_t address, std::uint64_t count);
  void next_data(Turn& turn);
  void send_data(Turn& turn);
  void wait_for_answer(Turn& turn);
  void take_state(Turn& turn, const Word& state);
  void take_answer(Turn& turn, const Word& answer);
  void write_piece(Turn& turn);
  void write_dcd(Turn& turn);
  void jump(Turn& turn);
  void end(Turn& turn);
  void refused(Turn& turn, const Word& answer);
  [[nodiscard]] Step step() const;
  [[nodiscard]] bool all_given() const { return left_ == 0 && chunk_sent_ == chunk_.size(); }
  [[nodiscard]] bool has_data() const { return stage_ == Stage::dcd || stage_ == Stage::write; }

  SdpPlan plan_;
  Run run_;
  Stage stage_ = Stage::status;
  unsigned associations_ = 0;
  Bytes in_;  // UART only.
  bool state_seen_ = false;
  bool identified_ = false;
  bool waits_ = false;         // For the answer alone.
  bool command_sent_ = false;  // The report of the command.

  // What goes out as data of the command: a range of the file.
  std::uint64_t from_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t piece_ = 0;    // Of the image, in this command.
  std::uint64_t written_ = 0;  // Of the image, in those before.
  Bytes chunk_;
  std::size_t chunk_sent_ = 0;
  Tag tag_ = kFirstReportTag;
};

void Sdp::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  std::visit(
      Overloaded{[&](const Start&) { start(turn); },
                 [&](const Received& received) { take_bytes(turn, received.bytes); },
                 [&](const ReportIn& report) { take_report(turn, report); },
                 [&](const ControlReply& reply) { take_sent(turn, reply); },
                 [&](const Sent& sent) { take_sent(turn, {.tag = sent.tag, .bytes = {}}); },
                 [&](const FileData& file) { take_file(turn, file); },
                 [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                 [&](const TimerFired&) { timed_out(turn); }, [&](const LinkLost&) { lost(turn); },
                 [&](const Cancelled&) { run_.cancel(turn, step()); }, [](const auto&) {}},
      input);
}

Step Sdp::step() const {
  switch (stage_) {
    case Stage::associate:
    case Stage::pause:
      return Step::enter;
    case Stage::status:
      return Step::identify;
    case Stage::jump:
      return Step::reboot;
    default:
      return Step::loader;
  }
}

void Sdp::start(Turn& turn) {
  if (plan_.uart) {
    turn.begin(Step::enter);
    turn.add(SetLine{.settings = {.baud = kBaud, .flow = transport::FlowControl::none},
                     .purge_input = true});
    associate(turn);
    return;
  }
  turn.begin(Step::identify);
  stage_ = Stage::status;
  command(turn, kErrorStatus, 0, 0);
}

void Sdp::associate(Turn& turn) {
  stage_ = Stage::associate;
  ++associations_;
  in_.clear();
  turn.send(kGreeting);
  turn.arm(kAssociateLimit, "waiting for the chip's ROM to answer");
}

void Sdp::lost(Turn& turn) {
  if (stage_ == Stage::jump) {
    end(turn);  // What was started takes the port.
  } else {
    run_.lose(turn, step());
  }
}

// --- Exchange. ---

void Sdp::command(Turn& turn, std::uint16_t code, std::uint32_t address, std::uint64_t count) {
  Bytes bytes{static_cast<std::byte>(code >> 8U), static_cast<std::byte>(code & 0xFFU)};
  append(bytes, word(address));
  bytes.push_back(std::byte{0});
  append(bytes, word(static_cast<std::uint32_t>(count)));
  bytes.resize(16);
  state_seen_ = false;
  waits_ = false;
  chunk_.clear();
  chunk_sent_ = 0;
  command_sent_ = false;
  in_.clear();
  if (plan_.uart) {
    turn.send(bytes, ++tag_, true);
  } else {
    turn.add(SetReport{.id = kCommandReport, .bytes = std::move(bytes), .tag = ++tag_});
  }
  turn.arm(kAnswerLimit, "sending a command to the chip's ROM");
}

void Sdp::take_sent(Turn& turn, const ControlReply& reply) {
  // An answer may overtake the news that what it answers was sent.
  if (reply.tag != tag_ || stage_ == Stage::associate || stage_ == Stage::pause) {
    return;
  }
  if (reply.result == UsbResult::gone) {
    lost(turn);
  } else if (reply.result != UsbResult::ok) {
    run_.fail(turn, Errc::io,
              fmt::format("the chip's ROM takes no report at step {}", to_text(step())));
  } else if (!std::exchange(command_sent_, true)) {
    has_data() ? next_data(turn) : wait_for_answer(turn);
  } else if (chunk_sent_ < chunk_.size()) {
    send_data(turn);
  } else if (!waits_) {
    next_data(turn);
  }
}

void Sdp::next_data(Turn& turn) {
  chunk_.clear();
  chunk_sent_ = 0;
  if (left_ == 0) {
    wait_for_answer(turn);
    return;
  }
  turn.need(plan_.file, from_, std::min<std::uint64_t>(left_, kChunk), kFileTag);
  turn.arm(kAnswerLimit, "waiting for " + plan_.file);
}

void Sdp::take_file(Turn& turn, const FileData& file) {
  if (file.tag != kFileTag || file.bytes.size() != std::min<std::uint64_t>(left_, kChunk)) {
    run_.fail(turn, Errc::io, "reading gave a wrong number of bytes");
    return;
  }
  chunk_.assign(file.bytes.begin(), file.bytes.end());
  if (stage_ == Stage::write && plan_.image.dcd_size > 0 && !plan_.chip.skips_dcd) {
    // It was carried out; the table that is started must not name it again.
    for (std::size_t i = 0; i < sizeof(std::uint32_t); ++i) {
      const std::uint64_t at = plan_.image.offset + kDcdField + i;
      if (at >= from_ && at - from_ < chunk_.size()) {
        chunk_[static_cast<std::size_t>(at - from_)] = std::byte{0};
      }
    }
  }
  from_ += chunk_.size();
  left_ -= chunk_.size();
  send_data(turn);
}

void Sdp::send_data(Turn& turn) {
  const auto rest = std::span{chunk_}.subspan(chunk_sent_);
  const auto part = rest.first(std::min(rest.size(), kReport));
  chunk_sent_ += part.size();
  if (plan_.uart) {
    turn.send(part, ++tag_, true);
  } else {
    Bytes bytes{part.begin(), part.end()};
    bytes.resize(kReport);
    turn.add(SetReport{.id = kDataReport, .bytes = std::move(bytes), .tag = ++tag_});
  }
  turn.arm(kAnswerLimit, "sending the image to the chip");
}

void Sdp::wait_for_answer(Turn& turn) {
  waits_ = true;
  if (stage_ == Stage::jump) {
    turn.arm(kJumpSilence, "waiting whether the chip refuses the image");
  } else {
    turn.arm(has_data() ? kDataLimit : kAnswerLimit, "waiting for the answer of the chip's ROM");
  }
}

void Sdp::take_bytes(Turn& turn, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    if (run_.is_over() || !plan_.uart || stage_ == Stage::pause) {
      return;
    }
    in_.push_back(byte);
    if (in_.size() < kGreeting.size()) {
      continue;
    }
    Word got = {};
    std::copy_n(in_.begin(), got.size(), got.begin());
    if (stage_ == Stage::associate) {
      if (got == kGreeting) {
        stage_ = Stage::status;
        turn.begin(Step::identify);
        command(turn, kErrorStatus, 0, 0);
      } else {
        in_.erase(in_.begin());
      }
      continue;
    }
    in_.clear();
    state_seen_ ? take_answer(turn, got) : take_state(turn, got);
  }
}

void Sdp::take_report(Turn& turn, const ReportIn& report) {
  Word got = {};
  if (plan_.uart || report.bytes.size() < got.size()) {
    return;
  }
  std::copy_n(report.bytes.begin(), got.size(), got.begin());
  if (report.id == kStateReport) {
    take_state(turn, got);
  } else if (report.id == kAnswerReport) {
    take_answer(turn, got);
  }
}

void Sdp::take_state(Turn& turn, const Word& state) {
  state_seen_ = true;
  if (!std::exchange(identified_, true)) {
    turn.emit(Identified{.chip = std::string{plan_.chip.name}, .lifecycle = lifecycle_of(state)});
  }
}

void Sdp::take_answer(Turn& turn, const Word& answer) {
  state_seen_ = false;
  switch (stage_) {
    case Stage::status:
      if (answer != kNoError) {
        turn.emit(DeviceLog{.level = 1, .text = "the chip's last start: " + hab_text(answer)});
      }
      plan_.image.dcd_size > 0 ? write_dcd(turn) : write_piece(turn);
      break;
    case Stage::dcd:
      answer == kDcdDone&& all_given() ? write_piece(turn) : refused(turn, answer);
      break;
    case Stage::write:
      if (answer != kWritten || !all_given()) {
        refused(turn, answer);
        return;
      }
      written_ += piece_;
      turn.emit(Progress{.step = Step::loader,
                         .image = plan_.file,
                         .image_index = 1,
                         .images = 1,
                         .bytes_done = written_,
                         .bytes_total = plan_.size - plan_.image.offset});
      write_piece(turn);
      break;
    case Stage::skip:
      answer == kSkipped || answer == kSkippedReversed ? jump(turn) : refused(turn, answer);
      break;
    case Stage::jump:
      refused(turn, answer);
      break;
    default:
      break;
  }
}

void Sdp::refused(Turn& turn, const Word& answer) {
  run_.fail(turn, Errc::io,
            fmt::format("the chip's ROM refuses step {}: {}", to_text(step()), hab_text(answer)));
}

void Sdp::timed_out(Turn& turn) {
  if (stage_ == Stage::associate) {
    if (associations_ == kAssociations) {
      run_.fail(turn, Errc::timeout, "the chip's ROM does not answer");
      return;
    }
    stage_ = Stage::pause;
    turn.arm(kAssociatePause - kAssociateLimit, "waiting for the chip's ROM to answer");
  } else if (stage_ == Stage::pause) {
    associate(turn);
  } else if (stage_ == Stage::jump && waits_) {
    end(turn);
  } else {
    run_.fail(turn, Errc::timeout,
              fmt::format("the chip's ROM does not answer at step {}", to_text(step())));
  }
}

// --- Steps. ---

void Sdp::write_dcd(Turn& turn) {
  stage_ = Stage::dcd;
  turn.begin(Step::loader);
  from_ = plan_.image.dcd_offset;
  left_ = plan_.image.dcd_size;
  command(turn, kWriteDcd, plan_.chip.free_address, left_);
}

void Sdp::write_piece(Turn& turn) {
  if (stage_ == Stage::status) {
    turn.begin(Step::loader);
  }
  stage_ = Stage::write;
  const std::uint64_t rest = plan_.size - plan_.image.offset - written_;
  if (rest == 0) {
    run_.outcome.written = Verdict::yes;
    run_.outcome.images_written = 1;
    run_.outcome.bytes_written = written_;
    if (plan_.image.dcd_size > 0 && plan_.chip.skips_dcd) {
      stage_ = Stage::skip;
      command(turn, kSkipDcd, 0, 0);
    } else {
      jump(turn);
    }
    return;
  }
  piece_ = std::min(rest, kMostAtOnce);
  from_ = plan_.image.offset + written_;
  left_ = piece_;
  command(turn, kWriteFile, plan_.image.address + static_cast<std::uint32_t>(written_), piece_);
}

void Sdp::jump(Turn& turn) {
  stage_ = Stage::jump;
  turn.begin(Step::reboot);
  command(turn, kJump, plan_.image.address, 0);
}

void Sdp::end(Turn& turn) {
  run_.outcome.verified = Verdict::unknown;
  run_.outcome.not_verified = "the chip's ROM takes an image into RAM and tells no hash of it";
  run_.finish(turn);
}

}  // namespace

Result<std::unique_ptr<Driver>> make_sdp(SdpPlan plan) {
  if (plan.size <= plan.image.offset || plan.image.dcd_offset > plan.size ||
      plan.image.dcd_size > plan.size - plan.image.dcd_offset) {
    return fail(Errc::invalid_argument, "no image to start",
                {.reason = "recovery.image-missing", .value = plan.file});
  }
  if (plan.image.dcd_size > 0 && plan.chip.free_address == 0) {
    return fail(
        Errc::invalid_argument,
        fmt::format("the image has a DCD, and there is no place for one in {}", plan.chip.name),
        {.reason = "recovery.image-refused", .value = plan.file});
  }
  return std::make_unique<Sdp>(std::move(plan));
}

}  // namespace sphere::recovery
