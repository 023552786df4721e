// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/stm32.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/result.h"
#include "sphere/recovery/crc.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::byte kAck{0x79};
constexpr std::byte kNack{0x1F};
constexpr std::byte kSync{0x7F};
constexpr std::uint32_t kBlock = 256;
constexpr std::uint32_t kWord = 4;
constexpr Time kAnswerLimit = 1s;
constexpr Time kEraseLimit = 40s;
constexpr Time kSilence = 100ms;
constexpr unsigned kGreetings = 5;
constexpr unsigned kTries = 3;
// Pairs FF 00 to a chip that waits for bytes: one, then rows that end the longest message.
constexpr std::size_t kNudgePairs = 64;
constexpr unsigned kNudges = 12;
constexpr std::size_t kMostNudgeBytes = 4096;
constexpr std::size_t kPagesAtOnce = 64;
constexpr Tag kFileTag = 1;

constexpr std::uint8_t kGet = 0x00;
constexpr std::uint8_t kGetId = 0x02;
constexpr std::uint8_t kRead = 0x11;
constexpr std::uint8_t kGo = 0x21;
constexpr std::uint8_t kWrite = 0x31;
constexpr std::uint8_t kErase = 0x43;
constexpr std::uint8_t kExtendedErase = 0x44;
constexpr std::uint8_t kReadUnprotect = 0x92;

using Bytes = std::vector<std::byte>;

Bytes command_bytes(std::uint8_t command) { return {std::byte{command}, ~std::byte{command}}; }

void append_big_endian(Bytes& bytes, std::uint32_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    bytes.push_back(static_cast<std::byte>((value >> (8 * (width - 1 - i))) & 0xFFU));
  }
}

void append_sum(Bytes& bytes) { bytes.push_back(std::byte{xor_sum(bytes)}); }

Bytes address_bytes(std::uint32_t address) {
  Bytes bytes;
  append_big_endian(bytes, address, 4);
  append_sum(bytes);
  return bytes;
}

// One part of a command: what is sent and, behind the ACK, what comes.
struct Part {
  Bytes bytes;
  std::size_t follows = 0;  // Bytes behind the ACK.
  bool has_count = false;   // They are a count n, n + 1 bytes and an ACK.
  Time limit = kAnswerLimit;
};

class Stm32 final : public Driver {
 public:
  explicit Stm32(Stm32Plan plan) : plan_{std::move(plan)} {
    for (const auto& image : plan_.images) {
      bytes_total_ += image.size;
    }
  }

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Stage : std::uint8_t {
    greet,
    get,
    id,
    inventory,
    unprotect,
    erase,
    write,
    verify,
    go,
  };

  void greet(Turn& turn);
  void take_bytes(Turn& turn, std::span<const std::byte> bytes);
  void run(Turn& turn, std::deque<Part> parts, std::string reason);
  void send_part(Turn& turn);
  void take_answer(Turn& turn);
  [[nodiscard]] bool is_whole() const;
  void part_done(Turn& turn);
  void done(Turn& turn, std::span<const std::byte> data);
  void refused(Turn& turn);
  void timed_out(Turn& turn);
  void try_again(Turn& turn, std::string_view why);
  void nudge(Turn& turn);
  void repeat(Turn& turn);

  void take_get(Turn& turn, std::span<const std::byte> data);
  void take_id(Turn& turn, std::span<const std::byte> data);
  void begin_blocks(Turn& turn, Stage stage);
  void next_block(Turn& turn);
  void use_block(Turn& turn);
  void read_block(Turn& turn);
  [[nodiscard]] bool is_block(std::span<const std::byte> data) const {
    return std::equal(data.begin(), data.end(), block_.begin(), block_.end());
  }
  void compare(Turn& turn, std::span<const std::byte> data);
  void block_done(Turn& turn);
  void all_blocks_done(Turn& turn);
  void protected_chip(Turn& turn);
  void begin_erase(Turn& turn);
  void erase_next(Turn& turn);
  void end(Turn& turn);
  [[nodiscard]] const Stm32Image& image() const { return plan_.images[image_]; }
  [[nodiscard]] std::uint32_t address() const {
    return image().address + static_cast<std::uint32_t>(offset_);
  }
  [[nodiscard]] std::size_t block_size() const {
    return static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, image().size - offset_));
  }
  [[nodiscard]] Step step() const;

  Stm32Plan plan_;
  Run run_;
  Stage stage_ = Stage::greet;
  unsigned greetings_ = 0;
  bool unprotected_ = false;
  bool knows_extended_ = false;

  std::deque<Part> parts_;
  std::string reason_;
  Bytes in_;
  unsigned tries_ = 0;
  unsigned nudges_ = 0;  // In a row, of a chip that may wait for bytes.
  bool ready_ = false;   // The last was one pair, behind others.

  std::size_t image_ = 0;
  std::uint64_t offset_ = 0;
  Bytes block_;  // Of the file.
  bool differs_ = false;
  bool looking_ = false;  // Reads a block to see whether it is written.
  std::vector<std::uint32_t> pages_;
  std::size_t pages_sent_ = 0;
  std::uint64_t bytes_total_ = 0;
  std::uint64_t bytes_done_ = 0;
};

void Stm32::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  std::visit(Overloaded{[&](const Start&) {
                          turn.begin(Step::identify);
                          turn.add(SetLine{.settings = {.baud = 115200,
                                                        .parity = plan_.parity,
                                                        .flow = transport::FlowControl::none},
                                           .purge_input = true});
                          greet(turn);
                        },
                        [&](const Received& received) { take_bytes(turn, received.bytes); },
                        [&](const FileData& file) {
                          if (file.tag == kFileTag && file.bytes.size() == block_size()) {
                            block_.assign(file.bytes.begin(), file.bytes.end());
                            use_block(turn);
                          } else {
                            run_.fail(turn, Errc::io, "reading gave a wrong number of bytes");
                          }
                        },
                        [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                        [&](const TimerFired&) { timed_out(turn); },
                        [&](const LinkLost&) { run_.lose(turn, step()); },
                        [&](const Cancelled&) { run_.cancel(turn, step()); }, [](const auto&) {}},
             input);
}

Step Stm32::step() const {
  switch (stage_) {
    case Stage::inventory:
      return Step::inventory;
    case Stage::unprotect:
    case Stage::erase:
      return Step::erase;
    case Stage::write:
      return Step::write;
    case Stage::verify:
      return Step::verify;
    case Stage::go:
      return Step::reboot;
    default:
      return Step::identify;
  }
}

// --- Exchange of bytes. ---

void Stm32::greet(Turn& turn) {
  stage_ = Stage::greet;
  ++greetings_;
  in_.clear();
  turn.send(std::span{&kSync, 1});
  turn.arm(kAnswerLimit, "waiting for the chip's boot ROM: hold BOOT0 high and reset the board");
}

void Stm32::run(Turn& turn, std::deque<Part> parts, std::string reason) {
  parts_ = std::move(parts);
  reason_ = std::move(reason);
  send_part(turn);
}

void Stm32::send_part(Turn& turn) {
  in_.clear();
  turn.send(parts_.front().bytes);
  turn.arm(parts_.front().limit, reason_);
}

void Stm32::take_bytes(Turn& turn, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    if (run_.is_over()) {
      return;
    }
    if (stage_ == Stage::greet) {
      // A chip that was greeted before takes 7F for a wrong command.
      if (byte == kAck || byte == kNack) {
        stage_ = Stage::get;
        reason_ = "asking the chip what it knows";
        if (byte == kAck) {
          repeat(turn);
        } else {
          ready_ = false;
          nudge(turn);
        }
      }
    } else if (nudges_ > 0) {
      in_.push_back(byte);
      turn.arm(kSilence, "waiting for the chip to be ready again");
      if (in_.size() > kMostNudgeBytes) {
        run_.fail(turn, Errc::corrupt, "the chip answers without end: " + show_bytes(in_));
      }
    } else if (!parts_.empty()) {
      in_.push_back(byte);
      take_answer(turn);
    }
  }
}

bool Stm32::is_whole() const {
  const Part& part = parts_.front();
  if (!part.has_count) {
    return in_.size() >= 1 + part.follows;
  }
  return in_.size() >= 2 && in_.size() >= std::to_integer<std::size_t>(in_[1]) + 4;
}

void Stm32::take_answer(Turn& turn) {
  if (in_.front() == kNack) {
    refused(turn);
  } else if (in_.front() != kAck) {
    try_again(turn, "it answers " + show_bytes(in_));
  } else if (is_whole()) {
    part_done(turn);
  }
}

void Stm32::part_done(Turn& turn) {
  parts_.pop_front();
  if (!parts_.empty()) {
    send_part(turn);
    return;
  }
  const Bytes data{in_.begin() + 1, in_.end()};
  in_.clear();
  done(turn, data);
}

void Stm32::done(Turn& turn, std::span<const std::byte> data) {
  switch (stage_) {
    case Stage::get:
      take_get(turn, data);
      break;
    case Stage::id:
      take_id(turn, data);
      break;
    case Stage::inventory:
    case Stage::verify:
      compare(turn, data);
      break;
    case Stage::unprotect:
      if (data.front() != kAck) {
        run_.fail(turn, Errc::io, "the chip could not be erased");
        return;
      }
      // The chip starts anew and is greeted again.
      greetings_ = 0;
      unprotected_ = true;
      greet(turn);
      break;
    case Stage::erase:
      erase_next(turn);
      break;
    case Stage::write:
      if (!std::exchange(looking_, false) || is_block(data)) {
        block_done(turn);
      } else {
        use_block(turn);
      }
      break;
    case Stage::go:
      run_.finish(turn);
      break;
    default:
      break;
  }
}

void Stm32::refused(Turn& turn) {
  const bool first_read = stage_ == Stage::inventory && image_ == 0 && offset_ == 0;
  constexpr std::size_t kReadParts = 3;
  // A spoilt command is refused, too: only a chip that insists is protected.
  if (first_read && parts_.size() == kReadParts && tries_ + 1 == kTries) {
    protected_chip(turn);
  } else if (stage_ == Stage::write || stage_ == Stage::inventory || stage_ == Stage::verify ||
             stage_ == Stage::get || stage_ == Stage::id) {
    try_again(turn, "it refuses");
  } else {
    run_.fail(turn, Errc::io, fmt::format("the chip refuses at step {}", to_text(step())));
  }
}

void Stm32::timed_out(Turn& turn) {
  if (stage_ == Stage::greet) {
    if (greetings_ < kGreetings) {
      greet(turn);
      return;
    }
    run_.fail(turn, Errc::timeout, "the chip's boot ROM does not answer");
  } else if (nudges_ > 0) {
    nudge(turn);
  } else if (parts_.empty() || stage_ == Stage::erase || stage_ == Stage::unprotect) {
    // What an erase that lost a byte would take from the bytes of nudge() is not for chance.
    run_.fail(turn, Errc::timeout,
              fmt::format("no answer at step {} ({})", to_text(step()), reason_));
  } else if (stage_ == Stage::go) {
    turn.emit(Warning{.code = "recovery.boot",
                      .text = "the chip did not acknowledge the start of what was written",
                      .next = "reset the board with BOOT0 low"});
    run_.finish(turn);
  } else {
    try_again(turn, "it was silent");
  }
}

// Brings a chip that may wait for the rest of a message to where it waits for a command, and then
// repeats what failed. FF 00 is no command: a chip that waits for one says NACK. One that has half
// a pair takes the 00 with the next FF for Get, and answers that.
void Stm32::nudge(Turn& turn) {
  static constexpr std::array kPair = {std::byte{0xFF}, std::byte{0x00}};
  if (++nudges_ > kNudges) {
    run_.fail(turn, Errc::timeout,
              fmt::format("no answer at step {} ({})", to_text(step()), reason_));
    return;
  }
  const bool refused_all =
      std::all_of(in_.begin(), in_.end(), [](std::byte byte) { return byte == kNack; });
  Bytes bytes{kPair.begin(), kPair.end()};
  if (in_.empty() && nudges_ > 1) {
    for (std::size_t i = 1; i < kNudgePairs; ++i) {
      bytes.insert(bytes.end(), kPair.begin(), kPair.end());
    }
  } else if (in_.size() == 1 && refused_all && ready_) {
    nudges_ = 0;
    repeat(turn);
    return;
  } else if (!in_.empty() && !refused_all) {
    bytes = {std::byte{0x00}};
  }
  ready_ = bytes.size() == kPair.size() && nudges_ > 1;
  in_.clear();
  turn.send(bytes);
  turn.arm(kSilence, "waiting for the chip to be ready again");
}

void Stm32::try_again(Turn& turn, std::string_view why) {
  if (++tries_ >= kTries) {
    run_.fail(turn, Errc::io,
              fmt::format("step {} failed {} times: {}", to_text(step()), kTries, why));
    return;
  }
  turn.emit(Retry{.what = std::string{to_text(step())},
                  .attempt = tries_,
                  .of = kTries,
                  .why = std::string{why}});
  in_.clear();
  ready_ = false;
  nudges_ = 0;
  nudge(turn);
}

void Stm32::repeat(Turn& turn) {
  if (stage_ == Stage::get) {
    run(turn, {{.bytes = command_bytes(kGet), .has_count = true}}, reason_);
  } else if (stage_ == Stage::id) {
    run(turn, {{.bytes = command_bytes(kGetId), .has_count = true}}, reason_);
  } else if (stage_ == Stage::write) {
    // It may be written, with the answer lost; a second time would be refused.
    looking_ = true;
    read_block(turn);
  } else {
    use_block(turn);
  }
}

// --- What the chip is. ---

void Stm32::take_get(Turn& turn, std::span<const std::byte> data) {
  // Count, version, commands, ACK: is_whole() has counted them.
  const auto commands = data.subspan(2, data.size() - 3);
  knows_extended_ =
      std::find(commands.begin(), commands.end(), std::byte{kExtendedErase}) != commands.end();
  tries_ = 0;
  stage_ = Stage::id;
  run(turn, {{.bytes = command_bytes(kGetId), .has_count = true}}, "asking the chip what it is");
}

void Stm32::take_id(Turn& turn, std::span<const std::byte> data) {
  Identified identified;
  identified.chip = "STM32 " + show_bytes(data.subspan(1, data.size() - 2));
  turn.emit(identified);
  tries_ = 0;
  if (unprotected_) {
    // Erased as a whole, so there is nothing to compare or to erase.
    begin_blocks(turn, Stage::write);
  } else {
    begin_blocks(turn, Stage::inventory);
  }
}

// --- Blocks. ---

void Stm32::begin_blocks(Turn& turn, Stage stage) {
  stage_ = stage;
  image_ = 0;
  offset_ = 0;
  bytes_done_ = 0;
  differs_ = false;
  turn.begin(step());
  next_block(turn);
}

void Stm32::next_block(Turn& turn) {
  tries_ = 0;
  looking_ = false;
  parts_.clear();
  turn.need(image().file, offset_, block_size(), kFileTag);
  turn.arm(kEraseLimit, "waiting for " + image().file);
}

void Stm32::use_block(Turn& turn) {
  if (stage_ == Stage::write) {
    Bytes data = block_;
    // The ROM writes whole words.
    data.resize((data.size() + kWord - 1) / kWord * kWord, std::byte{0xFF});
    Bytes message = {static_cast<std::byte>(data.size() - 1)};
    message.insert(message.end(), data.begin(), data.end());
    append_sum(message);
    run_.outcome.flash_touched = true;
    run(turn,
        {{.bytes = command_bytes(kWrite)},
         {.bytes = address_bytes(address())},
         {.bytes = std::move(message)}},
        "waiting for the flash");
    return;
  }
  read_block(turn);
}

void Stm32::read_block(Turn& turn) {
  const auto count = static_cast<std::byte>(block_.size() - 1);
  run(turn,
      {{.bytes = command_bytes(kRead)},
       {.bytes = address_bytes(address())},
       {.bytes = {count, ~count}, .follows = block_.size()}},
      "reading back");
}

void Stm32::compare(Turn& turn, std::span<const std::byte> data) {
  if (is_block(data)) {
    block_done(turn);
    return;
  }
  if (stage_ == Stage::inventory) {
    differs_ = true;
    all_blocks_done(turn);
    return;
  }
  // The wire may have spoilt what was read: it carries no check sum in this direction.
  if (++tries_ < kTries) {
    use_block(turn);
    return;
  }
  run_.fail(
      turn, Errc::unverified,
      fmt::format("{} differs from what was written at address {:08x}", image().file, address()),
      "recovery.verify");
}

void Stm32::block_done(Turn& turn) {
  bytes_done_ += block_size();
  offset_ += block_size();
  constexpr std::uint64_t kProgressEvery = 4096;
  const bool image_done = offset_ == image().size;
  if (image_done || offset_ % kProgressEvery == 0) {
    turn.emit(Progress{.step = step(),
                       .image = image().file,
                       .image_index = static_cast<std::uint32_t>(image_ + 1),
                       .images = static_cast<std::uint32_t>(plan_.images.size()),
                       .bytes_done = bytes_done_,
                       .bytes_total = bytes_total_});
  }
  if (image_done) {
    ++image_;
    offset_ = 0;
  }
  if (image_ == plan_.images.size()) {
    all_blocks_done(turn);
  } else {
    next_block(turn);
  }
}

void Stm32::all_blocks_done(Turn& turn) {
  auto& outcome = run_.outcome;
  const auto images = static_cast<std::uint32_t>(plan_.images.size());
  if (stage_ == Stage::write) {
    outcome.written = Verdict::yes;
    outcome.images_written = images;
    outcome.bytes_written = bytes_total_;
    begin_blocks(turn, Stage::verify);
  } else if (stage_ == Stage::verify) {
    outcome.verified = Verdict::yes;
    end(turn);
  } else if (plan_.verify_only && differs_) {
    run_.fail(turn, Errc::unverified, image().file + " differs from what the chip holds",
              "recovery.verify");
  } else if (plan_.verify_only || (!differs_ && !plan_.write_all)) {
    outcome.written = Verdict::yes;
    outcome.verified = Verdict::yes;
    outcome.images_skipped = images;
    end(turn);
  } else {
    begin_erase(turn);
  }
}

void Stm32::protected_chip(Turn& turn) {
  if (plan_.verify_only) {
    run_.outcome.written = Verdict::unknown;
    run_.outcome.verified = Verdict::unknown;
    run_.outcome.not_verified = "the chip is protected against reading";
    run_.finish(turn);
    return;
  }
  if (!plan_.allow_mass_erase) {
    run_.fail(turn, Error{Errc::permission,
                          "the chip is protected against reading; removing that erases all of it",
                          {.reason = "recovery.image-refused",
                           .next = "sphere device recover --allow-mass-erase"}});
    return;
  }
  stage_ = Stage::unprotect;
  turn.begin(Step::erase);
  run_.outcome.flash_touched = true;
  // The second ACK comes when all is erased.
  run(turn, {{.bytes = command_bytes(kReadUnprotect), .follows = 1, .limit = kEraseLimit}},
      "waiting for the flash to be erased");
}

void Stm32::begin_erase(Turn& turn) {
  stage_ = Stage::erase;
  turn.begin(Step::erase);
  pages_.clear();
  pages_sent_ = 0;
  std::set<std::uint32_t> pages;
  if (plan_.page_size) {
    for (const auto& image : plan_.images) {
      const std::uint64_t from = image.address - plan_.flash_address;
      for (std::uint64_t page = from / *plan_.page_size;
           page <= (from + image.size - 1) / *plan_.page_size; ++page) {
        pages.insert(static_cast<std::uint32_t>(page));
      }
    }
  }
  pages_.assign(pages.begin(), pages.end());
  constexpr std::uint32_t kNarrow = 255;
  if (!knows_extended_ && !pages_.empty() && pages_.back() > kNarrow) {
    run_.fail(turn, Errc::unsupported, "the chip cannot erase pages behind page 255",
              "recovery.image-refused");
    return;
  }
  run_.outcome.flash_touched = true;
  if (!pages_.empty()) {
    erase_next(turn);
    return;
  }
  const std::uint8_t command = knows_extended_ ? kExtendedErase : kErase;
  const Bytes all = knows_extended_ ? Bytes{std::byte{0xFF}, std::byte{0xFF}, std::byte{0x00}}
                                    : Bytes{std::byte{0xFF}, std::byte{0x00}};
  run(turn, {{.bytes = command_bytes(command)}, {.bytes = all, .limit = kEraseLimit}},
      "waiting for the flash to be erased");
}

void Stm32::erase_next(Turn& turn) {
  if (pages_sent_ == pages_.size()) {
    begin_blocks(turn, Stage::write);
    return;
  }
  const std::size_t count = std::min(kPagesAtOnce, pages_.size() - pages_sent_);
  const std::size_t width = knows_extended_ ? 2 : 1;
  Bytes message;
  append_big_endian(message, static_cast<std::uint32_t>(count - 1), width);
  for (std::size_t i = 0; i < count; ++i) {
    append_big_endian(message, pages_[pages_sent_ + i], width);
  }
  append_sum(message);
  pages_sent_ += count;
  const std::uint8_t command = knows_extended_ ? kExtendedErase : kErase;
  run(turn,
      {{.bytes = command_bytes(command)}, {.bytes = std::move(message), .limit = kEraseLimit}},
      "waiting for the flash to be erased");
}

void Stm32::end(Turn& turn) {
  if (!plan_.go || plan_.verify_only) {
    run_.finish(turn);
    return;
  }
  stage_ = Stage::go;
  turn.begin(Step::reboot);
  run(turn, {{.bytes = command_bytes(kGo)}, {.bytes = address_bytes(*plan_.go)}},
      "starting what was written");
}

Result<void> check(const Stm32Plan& plan) {
  if (plan.images.empty()) {
    return fail(Errc::invalid_argument, "no image to write", {.reason = "recovery.image-missing"});
  }
  constexpr std::uint64_t kEnd = std::uint64_t{1} << 32U;
  constexpr std::uint64_t kMostPages = 65'536;
  for (const auto& image : plan.images) {
    if (image.size == 0 || image.address % kWord != 0 || image.address < plan.flash_address ||
        image.size > kEnd - image.address) {
      return fail(Errc::invalid_argument,
                  fmt::format("no bytes for flash: {} bytes at {:08x}", image.size, image.address),
                  {.reason = "recovery.image-refused", .value = image.file});
    }
    if (plan.page_size &&
        (*plan.page_size == 0 ||
         (image.address - plan.flash_address + image.size) / *plan.page_size >= kMostPages)) {
      return fail(Errc::invalid_argument, "the page size is too small",
                  {.reason = "recovery.image-refused", .value = std::to_string(*plan.page_size)});
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Driver>> make_stm32(Stm32Plan plan) {
  SPHERE_TRY(check(plan));
  return std::make_unique<Stm32>(std::move(plan));
}

}  // namespace sphere::recovery
