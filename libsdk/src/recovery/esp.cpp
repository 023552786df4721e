// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/esp.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/esp_names.h"
#include "libsdk/src/recovery/turn.h"
#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/crc.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/slip/codec.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

constexpr std::uint32_t kBaud = 115200;
constexpr std::size_t kFrameLimit = 1024;  // Of an answer; the largest real one has 52 bytes.
constexpr std::size_t kTextLimit = 2048;   // Of the boot message.
constexpr std::uint32_t kBlock = 0x400;
constexpr std::uint32_t kSector = 0x1000;
constexpr std::uint32_t kMostFlash = 16U << 20U;
constexpr std::uint32_t kLeastFlash = 4U << 20U;
constexpr std::uint32_t kMagicRegister = 0x40001000;
constexpr Time kAnswerLimit = 3s;
constexpr Time kSyncLimit = 100ms;
constexpr Time kQuiet = 200ms;
constexpr Time kQuietLimit = 2s;
constexpr Time kEraseLimit = 40s;  // A MiB.
constexpr Time kHashLimit = 8s;
constexpr unsigned kResets = 7;
constexpr unsigned kSyncs = 5;
constexpr unsigned kTries = 3;
constexpr Tag kFileTag = 1;
constexpr std::byte kAnswer{0x01};
constexpr std::uint8_t kSumStart = 0xEF;

constexpr std::uint8_t kFlashBegin = 0x02;
constexpr std::uint8_t kFlashData = 0x03;
constexpr std::uint8_t kFlashEnd = 0x04;
constexpr std::uint8_t kSync = 0x08;
constexpr std::uint8_t kReadRegister = 0x0A;
constexpr std::uint8_t kSpiSize = 0x0B;
constexpr std::uint8_t kSpiAttach = 0x0D;
constexpr std::uint8_t kFlashMd5 = 0x13;
constexpr std::uint8_t kSecurity = 0x14;

// For `bytes` at so much a MiB.
Time scaled(Time for_mib, std::uint64_t bytes) {
  return std::max(kAnswerLimit, for_mib * static_cast<std::int64_t>(bytes >> 10U) / 1024);
}

struct Command {
  std::uint8_t code = 0;
  Bytes data = {};
  std::uint32_t sum = 0;
  Time limit = kAnswerLimit;
  std::string reason = {};
};

struct Reply {
  std::uint32_t value = 0;
  std::span<const std::byte> data;  // The status bytes at its end.
};

// How DTR and RTS reset the chip, as on most boards: RTS alone holds reset, DTR alone the strap.
struct ResetStep {
  bool dtr;
  bool rts;
  Time wait;
  Time wait_longer;  // In every other try.
};
constexpr auto kIntoLoader =
    std::to_array<ResetStep>({{.dtr = false, .rts = true, .wait = 100ms, .wait_longer = 100ms},
                              {.dtr = true, .rts = false, .wait = 50ms, .wait_longer = 550ms},
                              {.dtr = false, .rts = false, .wait = 1ms, .wait_longer = 1ms}});

class Esp final : public Driver {
 public:
  explicit Esp(EspPlan plan) : plan_{std::move(plan)}, wrong_(plan_.images.size(), false) {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Stage : std::uint8_t {
    reset,
    sync,
    security,
    magic,
    attach,
    size,
    inventory,
    erase,
    write,
    verify,
    end,
    restart,
  };

  void take_bytes(Turn& turn, std::span<const std::byte> bytes);
  void take_frame(Turn& turn, std::span<const std::byte> frame);
  void take_file(Turn& turn, const FileData& file);
  void timed_out(Turn& turn);

  void enter(Turn& turn);
  void reset_step(Turn& turn);
  void sync(Turn& turn);

  void run(Turn& turn, Command command);
  void settle(Turn& turn);
  void transmit(Turn& turn);
  void take_reply(Turn& turn, const Reply& reply);
  void done(Turn& turn, const Reply& reply);
  void try_again(Turn& turn, const std::string& why);

  void take_security(Turn& turn, const Reply& reply);
  void identified(Turn& turn, std::uint32_t chip);
  void ask_magic(Turn& turn);
  void begin_hashes(Turn& turn, Stage stage);
  void hash_image(Turn& turn);
  void take_hash(Turn& turn, std::span<const std::byte> data);
  void next_hash(Turn& turn);
  void inventory_done(Turn& turn);
  void begin_image(Turn& turn);
  void next_block(Turn& turn);
  void block_done(Turn& turn);
  void image_done(Turn& turn);
  void write_anew(Turn& turn, const std::string& why);
  void end(Turn& turn);
  void restart(Turn& turn);

  [[nodiscard]] const EspImage& image() const { return plan_.images[image_]; }
  [[nodiscard]] std::size_t block_size() const {
    return static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, image().size - offset_));
  }
  [[nodiscard]] std::uint32_t flash_size() const;
  [[nodiscard]] Step step() const;

  EspPlan plan_;
  Run run_;
  Stage stage_ = Stage::reset;
  slip::Decoder decoder_{kFrameLimit};
  std::string text_;  // What the chip said before it was in step.
  unsigned resets_ = 0;
  std::size_t reset_at_ = 0;
  unsigned syncs_ = 0;
  bool is_stub_ = false;
  std::uint32_t chip_ = 0;

  Command command_;
  unsigned tries_ = 0;
  bool waiting_ = false;   // For the answer to command_.
  bool noisy_ = false;     // More answers than one may come.
  bool settling_ = false;  // Until they have.
  Time settled_by_ = {};

  std::size_t image_ = 0;
  std::uint64_t offset_ = 0;
  std::vector<bool> wrong_;  // Of each image: to be written, or to be verified.
  unsigned hashes_ = 0;      // Of this image that did not match.
  unsigned anew_ = 0;
  bool released_ = false;  // From the last reset.
  std::uint64_t bytes_total_ = 0;
  std::uint64_t bytes_done_ = 0;
};

void Esp::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  std::visit(Overloaded{[&](const Start&) {
                          turn.begin(Step::enter);
                          turn.add(SetLine{.settings = {.baud = kBaud,
                                                        .flow = transport::FlowControl::none,
                                                        .event_character = slip::kEnd},
                                           .purge_input = true});
                          enter(turn);
                        },
                        [&](const Received& received) { take_bytes(turn, received.bytes); },
                        [&](const FileData& file) { take_file(turn, file); },
                        [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                        [&](const TimerFired&) { timed_out(turn); },
                        [&](const LinkLost&) {
                          if (stage_ == Stage::end || stage_ == Stage::restart) {
                            run_.finish(turn);  // A chip that starts may leave.
                          } else {
                            run_.lose(turn, step());
                          }
                        },
                        [&](const Cancelled&) { run_.cancel(turn, step()); }, [](const auto&) {}},
             input);
}

Step Esp::step() const {
  switch (stage_) {
    case Stage::reset:
    case Stage::sync:
      return Step::enter;
    case Stage::inventory:
      return Step::inventory;
    case Stage::erase:
      return Step::erase;
    case Stage::write:
      return Step::write;
    case Stage::verify:
      return Step::verify;
    case Stage::end:
    case Stage::restart:
      return Step::reboot;
    default:
      return Step::identify;
  }
}

// --- Into the loader. ---

void Esp::enter(Turn& turn) {
  stage_ = Stage::reset;
  ++resets_;
  reset_at_ = 0;
  syncs_ = 0;
  decoder_.reset();
  text_.clear();
  reset_step(turn);
}

void Esp::reset_step(Turn& turn) {
  const ResetStep& next = kIntoLoader.at(reset_at_++);
  turn.add(SetModemLines{.dtr = next.dtr, .rts = next.rts});
  turn.arm(resets_ % 2 == 1 ? next.wait : next.wait_longer, "resetting the chip into its loader");
}

void Esp::sync(Turn& turn) {
  stage_ = Stage::sync;
  ++syncs_;
  constexpr auto kGreeting = std::to_array<unsigned char>({0x07, 0x07, 0x12, 0x20});
  constexpr std::size_t kFives = 32;
  Writer data;
  data.bytes(std::as_bytes(std::span{kGreeting}));
  data.bytes(Bytes(kFives, std::byte{0x55}));
  command_ = {.code = kSync,
              .data = std::move(data).take(),
              .limit = kSyncLimit,
              .reason = "waiting for the chip's loader: hold BOOT (GPIO0, or GPIO9) low and reset"};
  transmit(turn);
}

// --- Exchange. ---

void Esp::take_bytes(Turn& turn, std::span<const std::byte> bytes) {
  if (settling_) {
    const Time left = settled_by_ - turn.now();
    turn.arm(std::clamp(left, Time{0}, kQuiet), command_.reason);
    return;
  }
  if (stage_ == Stage::reset || stage_ == Stage::sync) {
    const auto part = bytes.first(std::min(bytes.size(), kTextLimit - text_.size()));
    std::ranges::transform(part, std::back_inserter(text_),
                           [](std::byte byte) { return static_cast<char>(byte); });
  }
  decoder_.decode(bytes, [&](std::span<const std::byte> frame) {
    if (!run_.is_over() && waiting_ && !settling_) {
      take_frame(turn, frame);
    }
  });
}

void Esp::take_frame(Turn& turn, std::span<const std::byte> frame) {
  Reader reader{frame};
  const auto kind = reader.bytes(1);
  const auto code = reader.little_endian<std::uint8_t>();
  const auto size = reader.little_endian<std::uint16_t>();
  const auto value = reader.little_endian<std::uint32_t>();
  if (!kind || !code || !size || !value || kind->front() != kAnswer || *size != reader.left()) {
    return;  // A late or spoilt one; if ours was meant, the time runs out.
  }
  // A ROM answers what it does not know with another number.
  if (*code == command_.code || stage_ == Stage::security) {
    take_reply(turn, {.value = *value, .data = *reader.bytes(reader.left())});
  }
}

// What comes next waits for silence first, if more answers than one may come.
void Esp::run(Turn& turn, Command command) {
  command_ = std::move(command);
  tries_ = 0;
  if (std::exchange(noisy_, false)) {
    settle(turn);
  } else {
    transmit(turn);
  }
}

void Esp::settle(Turn& turn) {
  settling_ = true;
  waiting_ = false;
  settled_by_ = turn.now() + kQuietLimit;
  turn.arm(kQuiet, command_.reason);
}

void Esp::transmit(Turn& turn) {
  Writer frame;
  frame.little_endian(std::uint8_t{0});
  frame.little_endian(command_.code);
  frame.little_endian(static_cast<std::uint16_t>(command_.data.size()));
  frame.little_endian(command_.sum);
  frame.bytes(command_.data);
  Bytes wire;
  slip::append_encoded(frame.data(), wire);
  waiting_ = true;
  decoder_.reset();
  turn.send(wire);
  turn.arm(command_.limit, command_.reason);
}

void Esp::take_reply(Turn& turn, const Reply& reply) {
  // Status and reason stand behind the data, or alone.
  std::size_t expected = 0;
  if (command_.code == kFlashMd5) {
    expected =
        is_stub_ ? std::tuple_size_v<crypto::Md5Digest> : 2 * std::tuple_size_v<crypto::Md5Digest>;
  } else if (command_.code == kSecurity && reply.data.size() >= 14) {
    expected = reply.data.size() >= 22 ? 20 : 12;
  }
  const std::size_t at = reply.data.size() >= expected + 2 ? expected : 0;
  if (reply.data.size() < at + 2) {
    return;
  }
  waiting_ = false;
  const auto status = reply.data.subspan(at, 2);
  if (status[0] != std::byte{0}) {
    noisy_ = true;
    if (stage_ == Stage::security) {
      ask_magic(turn);
    } else {
      try_again(turn, esp_reason(std::to_integer<std::uint8_t>(status[1])));
    }
  } else if (at != expected) {
    try_again(turn, "it answers " + show_bytes(reply.data));
  } else {
    noisy_ = noisy_ || tries_ > 0;
    done(turn, reply);
  }
}

void Esp::try_again(Turn& turn, const std::string& why) {
  if (stage_ == Stage::sync) {
    return;  // The time runs on.
  }
  if (++tries_ >= kTries) {
    if (stage_ == Stage::erase || stage_ == Stage::write) {
      write_anew(turn, why);
    } else if (stage_ == Stage::end) {
      restart(turn);
    } else {
      run_.fail(turn, Errc::io,
                fmt::format("step {} failed {} times: {}", to_text(step()), kTries, why));
    }
    return;
  }
  turn.emit(
      Retry{.what = std::string{to_text(step())}, .attempt = tries_, .of = kTries, .why = why});
  settle(turn);
}

void Esp::timed_out(Turn& turn) {
  if (std::exchange(settling_, false)) {
    transmit(turn);
    return;
  }
  switch (stage_) {
    case Stage::reset:
      reset_at_ < kIntoLoader.size() ? reset_step(turn) : sync(turn);
      break;
    case Stage::sync:
      if (syncs_ < kSyncs) {
        sync(turn);
      } else if (resets_ < kResets) {
        turn.emit(Retry{.what = "enter", .attempt = resets_, .of = kResets, .why = "no answer"});
        enter(turn);
      } else {
        run_.fail(turn, Errc::timeout, esp_why_no_loader(text_));
      }
      break;
    case Stage::restart:
      if (std::exchange(released_, true)) {
        run_.finish(turn);
      } else {
        turn.add(SetModemLines{});
        turn.arm(50ms, "letting the chip start");
      }
      break;
    default:
      if (waiting_) {
        try_again(turn, "it was silent");
      } else {
        run_.fail(turn, Errc::timeout, "reading " + image().file + " takes too long");
      }
      break;
  }
}

void Esp::done(Turn& turn, const Reply& reply) {
  switch (stage_) {
    case Stage::sync:
      is_stub_ = reply.value == 0;
      noisy_ = true;
      stage_ = Stage::security;
      turn.begin(Step::identify);
      run(turn, {.code = kSecurity, .reason = "asking the chip what it is"});
      break;
    case Stage::security:
      take_security(turn, reply);
      break;
    case Stage::magic: {
      if (const auto known = esp_chip_of_magic(reply.value)) {
        identified(turn, *known);
      } else {
        run_.fail(turn, Errc::unsupported,
                  reply.value == kEsp8266Magic
                      ? std::string{"an ESP8266 cannot tell what its flash holds"}
                      : fmt::format("an unknown chip: register {:08x} holds {:08x}", kMagicRegister,
                                    reply.value));
      }
      break;
    }
    case Stage::attach: {
      stage_ = Stage::size;
      Writer data;
      constexpr std::uint32_t kEraseBlock = 0x10000;
      constexpr std::uint32_t kPage = 0x100;
      constexpr std::uint32_t kStatusMask = 0xFFFF;
      for (const std::uint32_t word :
           {0U, flash_size(), kEraseBlock, kSector, kPage, kStatusMask}) {
        data.little_endian(word);
      }
      run(turn, {.code = kSpiSize,
                 .data = std::move(data).take(),
                 .reason = "telling the chip the size of its flash"});
      break;
    }
    case Stage::size:
      begin_hashes(turn, Stage::inventory);
      break;
    case Stage::inventory:
    case Stage::verify:
      take_hash(turn, reply.data);
      break;
    case Stage::erase:
      stage_ = Stage::write;
      turn.begin(Step::write);
      next_block(turn);
      break;
    case Stage::write:
      block_done(turn);
      break;
    default:
      restart(turn);
      break;
  }
}

// --- What the chip is. ---

void Esp::take_security(Turn& turn, const Reply& reply) {
  constexpr std::size_t kChipAt = 12;
  Reader reader{reply.data};
  if (reply.data.size() < kChipAt + 8) {
    ask_magic(turn);  // An ESP32-S2 tells no chip id.
    return;
  }
  std::ignore = reader.bytes(kChipAt);
  identified(turn, *reader.little_endian<std::uint32_t>());
}

void Esp::ask_magic(Turn& turn) {
  stage_ = Stage::magic;
  Writer data;
  data.little_endian(kMagicRegister);
  run(turn, {.code = kReadRegister,
             .data = std::move(data).take(),
             .reason = "asking the chip what it is"});
}

void Esp::identified(Turn& turn, std::uint32_t chip) {
  chip_ = chip;
  turn.emit(Identified{.chip = esp_chip_name(chip)});
  if (plan_.chip && *plan_.chip != chip) {
    run_.fail(turn, Errc::invalid_argument,
              fmt::format("the images are for {}, the board has {}", esp_chip_name(*plan_.chip),
                          esp_chip_name(chip)),
              "recovery.image-refused");
    return;
  }
  stage_ = Stage::attach;
  Writer data;
  data.little_endian(std::uint32_t{0});
  if (!is_stub_) {
    data.little_endian(std::uint32_t{0});
  }
  run(turn, {.code = kSpiAttach,
             .data = std::move(data).take(),
             .reason = "connecting the chip's flash"});
}

std::uint32_t Esp::flash_size() const {
  if (plan_.flash_size != 0) {
    return plan_.flash_size;
  }
  std::uint64_t end = kLeastFlash;
  for (const auto& one : plan_.images) {
    end = std::max(end, one.offset + one.size);
  }
  return std::bit_ceil(static_cast<std::uint32_t>(end));
}

// --- Hashes. ---

void Esp::begin_hashes(Turn& turn, Stage stage) {
  stage_ = stage;
  image_ = 0;
  hashes_ = 0;
  turn.begin(step());
  hash_image(turn);
}

void Esp::hash_image(Turn& turn) {
  while (stage_ == Stage::verify && image_ < plan_.images.size() && !wrong_[image_]) {
    ++image_;
  }
  if (image_ == plan_.images.size()) {
    run_.outcome.verified = Verdict::yes;
    end(turn);
    return;
  }
  Writer data;
  data.little_endian(image().offset);
  data.little_endian(static_cast<std::uint32_t>(image().size));
  data.zeros(8);
  run(turn, {.code = kFlashMd5,
             .data = std::move(data).take(),
             .limit = scaled(kHashLimit, image().size),
             .reason = "waiting for the hash of " + image().file});
}

void Esp::take_hash(Turn& turn, std::span<const std::byte> data) {
  bool good = false;
  if (is_stub_) {
    good = std::equal(image().md5.begin(), image().md5.end(), data.begin());
  } else {
    const auto digits = to_hex(image().md5);
    good = std::equal(digits.begin(), digits.end(), data.begin(), [](char digit, std::byte byte) {
      return digit == std::tolower(std::to_integer<int>(byte));
    });
  }
  if (stage_ == Stage::inventory) {
    wrong_[image_] = !good || plan_.write_all;
    if (!good && plan_.verify_only) {
      run_.fail(turn, Errc::unverified, image().file + " differs from what the flash holds",
                "recovery.verify");
      return;
    }
    next_hash(turn);
  } else if (good) {
    next_hash(turn);
  } else if (hashes_++ == 0) {
    hash_image(turn);  // The wire may have spoilt it.
  } else {
    write_anew(turn, "its hash differs");
  }
}

void Esp::next_hash(Turn& turn) {
  hashes_ = 0;
  ++image_;
  if (stage_ == Stage::inventory && image_ == plan_.images.size()) {
    inventory_done(turn);
  } else {
    hash_image(turn);
  }
}

void Esp::inventory_done(Turn& turn) {
  auto& outcome = run_.outcome;
  for (std::size_t i = 0; i < wrong_.size(); ++i) {
    const bool writes = wrong_[i] && !plan_.verify_only;
    outcome.images_written += writes ? 1 : 0;
    outcome.images_skipped += writes ? 0 : 1;
    bytes_total_ += writes ? plan_.images[i].size : 0;
  }
  image_ = 0;
  if (plan_.verify_only || bytes_total_ == 0) {
    outcome.written = Verdict::yes;
    outcome.verified = Verdict::yes;
    restart(turn);
    return;
  }
  begin_image(turn);
}

// --- Writing. ---

void Esp::begin_image(Turn& turn) {
  while (image_ < plan_.images.size() && !wrong_[image_]) {
    ++image_;
  }
  if (image_ == plan_.images.size()) {
    run_.outcome.written = Verdict::yes;
    run_.outcome.bytes_written = bytes_total_;
    begin_hashes(turn, Stage::verify);
    return;
  }
  stage_ = Stage::erase;
  offset_ = 0;
  turn.begin(Step::erase);
  run_.outcome.flash_touched = true;
  const auto size = static_cast<std::uint32_t>(image().size);
  Writer data;
  data.little_endian((size + kSector - 1) / kSector * kSector);
  data.little_endian((size + kBlock - 1) / kBlock);
  data.little_endian(kBlock);
  data.little_endian(image().offset);
  if (chip_ != 0 && !is_stub_) {
    data.little_endian(std::uint32_t{0});
  }
  run(turn, {.code = kFlashBegin,
             .data = std::move(data).take(),
             .limit = scaled(kEraseLimit, size),
             .reason = "waiting for the flash to be erased"});
}

void Esp::next_block(Turn& turn) {
  waiting_ = false;
  turn.need(image().file, offset_, block_size(), kFileTag);
  turn.arm(kAnswerLimit, "waiting for " + image().file);
}

void Esp::take_file(Turn& turn, const FileData& file) {
  if (file.tag != kFileTag || stage_ != Stage::write || file.bytes.size() != block_size()) {
    run_.fail(turn, Errc::io, "reading gave a wrong number of bytes");
    return;
  }
  Bytes block{file.bytes.begin(), file.bytes.end()};
  block.resize(kBlock, std::byte{0xFF});
  Writer data;
  data.little_endian(kBlock);
  data.little_endian(static_cast<std::uint32_t>(offset_ / kBlock));
  data.zeros(8);
  data.bytes(block);
  run(turn, {.code = kFlashData,
             .data = std::move(data).take(),
             .sum = xor_sum(block, kSumStart),
             .reason = "waiting for the flash"});
}

void Esp::block_done(Turn& turn) {
  const auto size = block_size();
  offset_ += size;
  bytes_done_ = std::min(bytes_done_ + size, bytes_total_);
  constexpr std::uint64_t kProgressEvery = std::uint64_t{16} * kBlock;
  const bool whole = offset_ == image().size;
  if (whole || offset_ % kProgressEvery == 0) {
    turn.emit(Progress{.step = Step::write,
                       .image = image().file,
                       .image_index = static_cast<std::uint32_t>(image_ + 1),
                       .images = static_cast<std::uint32_t>(plan_.images.size()),
                       .bytes_done = bytes_done_,
                       .bytes_total = bytes_total_});
  }
  if (whole) {
    ++image_;
    begin_image(turn);
  } else {
    next_block(turn);
  }
}

// From the first block of the image, and of those behind it that were written too.
void Esp::write_anew(Turn& turn, const std::string& why) {
  constexpr unsigned kAnew = 2;
  const bool verifying = stage_ == Stage::verify;
  if (anew_ == kAnew) {
    run_.fail(turn, verifying ? Errc::unverified : Errc::io,
              fmt::format("{} could not be written: {}", image().file, why),
              verifying ? "recovery.verify" : "recovery.write");
    return;
  }
  ++anew_;
  noisy_ = true;
  run_.outcome.written = Verdict::no;
  turn.emit(Retry{.what = image().file, .attempt = anew_, .of = kAnew, .why = why});
  if (verifying) {
    // Those in front were found right.
    std::fill_n(wrong_.begin(), image_, false);
  }
  bytes_done_ -= std::min(bytes_done_, offset_);
  begin_image(turn);
}

// --- The end. ---

void Esp::end(Turn& turn) {
  stage_ = Stage::end;
  turn.begin(Step::reboot);
  Writer data;
  data.little_endian(std::uint32_t{0});
  run(turn, {.code = kFlashEnd,
             .data = std::move(data).take(),
             .limit = 500ms,
             .reason = "starting what was written"});
}

void Esp::restart(Turn& turn) {
  stage_ = Stage::restart;
  settling_ = false;
  turn.add(SetModemLines{.dtr = false, .rts = true});
  turn.arm(100ms, "resetting the chip");
}

Result<void> check(const EspPlan& plan) {
  if (plan.images.empty()) {
    return fail(Errc::invalid_argument, "no image to write", {.reason = "recovery.image-missing"});
  }
  const std::uint64_t limit = plan.flash_size == 0 ? kMostFlash : plan.flash_size;
  if (limit > kMostFlash) {
    return fail(Errc::invalid_argument, "flash of more than 16 MiB is not supported",
                {.reason = "recovery.image-refused", .value = std::to_string(limit)});
  }
  auto images = plan.images;
  std::ranges::sort(images,
                    [](const auto& one, const auto& other) { return one.offset < other.offset; });
  std::uint64_t free_from = 0;
  for (const auto& image : images) {
    // Sectors are erased, and blocks written, as a whole.
    const std::uint64_t whole = (image.size + kSector - 1) / kSector * kSector;
    if (image.size == 0 || image.offset % kSector != 0 || image.offset < free_from ||
        image.offset > limit || image.size > limit || whole > limit - image.offset) {
      return fail(Errc::invalid_argument,
                  fmt::format("no place in flash: {} bytes at {:#x}", image.size, image.offset),
                  {.reason = "recovery.image-refused", .value = image.file});
    }
    free_from = image.offset + whole;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Driver>> make_esp(EspPlan plan) {
  SPHERE_TRY(check(plan));
  return std::make_unique<Esp>(std::move(plan));
}

}  // namespace sphere::recovery
