// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/fastboot.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/packet_stream.h"
#include "sphere/recovery/sparse.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxCommand = 64;
constexpr std::size_t kMaxReply = 256;
constexpr std::size_t kCode = 4;  // OKAY, FAIL, INFO, DATA
constexpr std::string_view kHello = "FB01";
constexpr std::size_t kPiece = std::size_t{256} * 1024;
// Bytes handed to the transport and not yet on the wire.
constexpr std::uint64_t kAhead = 3U * kPiece;
constexpr Time kAnswerLimit = 5s;
constexpr Time kDataLimit = 30s;
constexpr Time kFlashLimit = 60s;
constexpr Time kPerMebibyte = 1s;
constexpr Time kLongest = 15min;
constexpr Time kBetweenProgress = 100ms;
constexpr Tag kFileTag = 1;
constexpr Tag kFirstDataTag = 2;  // Each part has its own.

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string_view text_of(std::span<const std::byte> bytes) {
  const void* const start = bytes.data();
  return {static_cast<const char*>(start), bytes.size()};
}

// A number as loaders write it: 0x and hexadecimal digits, or decimal ones.
std::optional<std::uint64_t> number_in(std::string_view text, bool hexadecimal = false) {
  text = trim(text);
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    hexadecimal = true;
  }
  std::uint64_t value = 0;
  const char* const end = std::to_address(text.end());
  const auto [stop, error] =
      std::from_chars(std::to_address(text.begin()), end, value, hexadecimal ? 16 : 10);
  return error == std::errc{} && stop == end ? std::optional{value} : std::nullopt;
}

bool is_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool is_partition_name(std::string_view text) {
  constexpr std::size_t kLongestName = 36;
  return !text.empty() && text.size() <= kLongestName &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string_view::npos;
}

std::string hash_question(const FastbootPlan& plan, const FastbootImage& image) {
  return fmt::format("{} {} {}", plan.hash_command, image.partition, image.size);
}

class Fastboot final : public Driver {
 public:
  explicit Fastboot(FastbootPlan plan) : plan_{std::move(plan)}, equal_(plan_.images.size()) {
    for (const auto& image : plan_.images) {
      bytes_total_ += image.size;
    }
  }

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Stage : std::uint8_t {
    connect,
    version,
    product,
    serial,
    limit,
    room,
    inventory,
    download,
    data,
    flash,
    hash,
    reboot,
  };

  // --- Wire. ---
  void command(Turn& turn, const std::string& text, Time limit, std::string_view reason);
  void data(Turn& turn, std::span<const std::byte> bytes);
  void take_stream(Turn& turn, std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> take_hello(Turn& turn, std::span<const std::byte> bytes);
  void take_reply(Turn& turn, std::span<const std::byte> reply);
  void wait(Turn& turn);

  // --- Conversation. ---
  void begin(Turn& turn, Stage stage);
  void ask(Turn& turn);
  void ask_hash(Turn& turn);
  void accept(Turn& turn, std::string_view text);
  void refuse(Turn& turn, std::span<const std::byte> text);
  void info(Turn& turn, std::span<const std::byte> text);
  void take_room(Turn& turn, std::string_view text);
  void next_room(Turn& turn);
  void take_hash(Turn& turn, std::string_view text);
  void compared(Turn& turn, bool equal);
  void next_image(Turn& turn);
  void begin_image(Turn& turn);
  void begin_part(Turn& turn);
  void begin_data(Turn& turn, std::string_view size);
  void pump(Turn& turn);
  void take_file(Turn& turn, const FileData& file);
  void take_sent(Turn& turn);
  void flashed(Turn& turn);
  void end(Turn& turn);
  void written(Turn& turn);
  void progress(Turn& turn, bool always);
  void timed_out(Turn& turn);
  [[nodiscard]] const FastbootImage& image() const { return plan_.images[image_]; }
  [[nodiscard]] bool hashes() const { return !plan_.hash_command.empty(); }
  [[nodiscard]] Step step() const;

  FastbootPlan plan_;
  Run run_;
  Stage stage_ = Stage::connect;
  std::string waiting_;  // For what, and how long.
  Time limit_ = {};
  Time latest_ = {};

  PacketStream packets_;
  std::string hello_;
  std::vector<std::byte> reply_;

  Identified identified_ = {};
  std::uint64_t max_download_ = 0xFFFFFFFF;
  std::size_t image_ = 0;
  std::vector<bool> equal_;
  std::string hash_;

  SparsePart part_;
  std::uint64_t part_index_ = 0;
  std::uint64_t parts_ = 0;
  std::uint64_t position_ = 0;  // Bytes of the part given to the transport.
  std::uint64_t on_wire_ = 0;   // Of those, the ones that have left.
  std::deque<std::uint64_t> pieces_;
  bool file_asked_ = false;
  Tag data_tag_ = kFirstDataTag;

  std::uint64_t bytes_total_ = 0;
  std::uint64_t bytes_done_ = 0;
  std::optional<Time> last_progress_;
};

void Fastboot::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  std::visit(Overloaded{[&](const Start&) {
                          turn.begin(Step::identify);
                          begin(turn, plan_.tcp ? Stage::connect : Stage::version);
                        },
                        [&](const Received& received) {
                          plan_.tcp ? take_stream(turn, received.bytes)
                                    : take_reply(turn, received.bytes);
                        },
                        [&](const Sent& sent) {
                          if (sent.tag == data_tag_ && stage_ == Stage::data) {
                            take_sent(turn);
                          }
                        },
                        [&](const FileData& file) { take_file(turn, file); },
                        [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                        [&](const TimerFired&) { timed_out(turn); },
                        [&](const LinkLost&) {
                          // A board that reboots may be gone before its answer is.
                          stage_ == Stage::reboot ? run_.finish(turn) : run_.lose(turn, step());
                        },
                        [&](const Cancelled&) { run_.cancel(turn, step()); }, [](const auto&) {}},
             input);
}

Step Fastboot::step() const {
  switch (stage_) {
    case Stage::room:
    case Stage::inventory:
      return Step::inventory;
    case Stage::download:
    case Stage::data:
    case Stage::flash:
      return Step::write;
    case Stage::hash:
      return Step::verify;
    case Stage::reboot:
      return Step::reboot;
    default:
      return Step::identify;
  }
}

// --- Wire. ---

void Fastboot::command(Turn& turn, const std::string& text, Time limit, std::string_view reason) {
  std::vector<std::byte> wire;
  if (plan_.tcp) {
    append_packet_header(text.size(), wire);
  }
  const auto bytes = bytes_of(text);
  wire.insert(wire.end(), bytes.begin(), bytes.end());
  turn.send(wire);
  waiting_ = reason;
  limit_ = limit;
  latest_ = turn.now() + kLongest;
  wait(turn);
}

// For one answer, or for the next one behind a line of INFO.
void Fastboot::wait(Turn& turn) {
  if (!plan_.tcp) {
    turn.add(ReadBulk{kMaxReply});
  }
  turn.arm(std::min(limit_, latest_ - turn.now()), waiting_);
}

void Fastboot::data(Turn& turn, std::span<const std::byte> bytes) {
  std::vector<std::byte> wire;
  wire.reserve(bytes.size() + kPacketHeader);
  if (plan_.tcp) {
    append_packet_header(bytes.size(), wire);
  }
  wire.insert(wire.end(), bytes.begin(), bytes.end());
  turn.send(wire, data_tag_, true);
  pieces_.push_back(bytes.size());
  position_ += bytes.size();
  turn.arm(kDataLimit, "waiting for the board to take data");
}

std::span<const std::byte> Fastboot::take_hello(Turn& turn, std::span<const std::byte> bytes) {
  const std::size_t count = std::min(bytes.size(), kHello.size() - hello_.size());
  hello_ += text_of(bytes.first(count));
  if (hello_.size() == kHello.size()) {
    const auto version = number_in(std::string_view{hello_}.substr(2));
    if (!hello_.starts_with("FB") || version.value_or(0) == 0) {
      run_.fail(turn, Errc::corrupt,
                fmt::format("no fastboot at the other end: it says {}", escape_control(hello_)));
      return {};
    }
    begin(turn, Stage::version);
  }
  return bytes.subspan(count);
}

void Fastboot::take_stream(Turn& turn, std::span<const std::byte> bytes) {
  if (stage_ == Stage::connect) {
    bytes = take_hello(turn, bytes);
  }
  while (!run_.is_over()) {
    const auto piece = packets_.next(bytes);
    if (!piece) {
      return;
    }
    if (packets_.size() > kMaxReply) {
      run_.fail(turn, Errc::corrupt,
                fmt::format("the board announces an answer of {} bytes; an answer has at most {}",
                            packets_.size(), kMaxReply));
      return;
    }
    reply_.insert(reply_.end(), piece->bytes.begin(), piece->bytes.end());
    if (piece->last) {
      take_reply(turn, std::exchange(reply_, {}));
    }
  }
}

void Fastboot::take_reply(Turn& turn, std::span<const std::byte> reply) {
  const auto code = text_of(reply.first(std::min(reply.size(), kCode)));
  const auto text = reply.subspan(code.size());
  if (reply.size() > kMaxReply) {
    run_.fail(
        turn, Errc::corrupt,
        fmt::format("an answer of {} bytes; an answer has at most {}", reply.size(), kMaxReply));
  } else if (code == "INFO" || code == "TEXT") {
    info(turn, text);
  } else if (code == "FAIL") {
    refuse(turn, text);
  } else if (code == "DATA" && stage_ == Stage::download) {
    begin_data(turn, text_of(text));
  } else if (code == "OKAY" && stage_ != Stage::download) {
    accept(turn, text_of(text));
  } else {
    run_.fail(turn, Errc::corrupt,
              fmt::format("unexpected answer at step {}: {}", to_text(step()), show_bytes(reply)));
  }
}

// --- Conversation. ---

void Fastboot::begin(Turn& turn, Stage stage) {
  stage_ = stage;
  ask(turn);
}

void Fastboot::ask(Turn& turn) {
  constexpr std::string_view kVariables = "asking the board what it is";
  switch (stage_) {
    case Stage::connect:
      turn.send(bytes_of(kHello));
      waiting_ = "waiting for the board's greeting";
      turn.arm(kAnswerLimit, waiting_);
      break;
    case Stage::version:
      command(turn, "getvar:version", kAnswerLimit, kVariables);
      break;
    case Stage::product:
      command(turn, "getvar:product", kAnswerLimit, kVariables);
      break;
    case Stage::serial:
      command(turn, "getvar:serialno", kAnswerLimit, kVariables);
      break;
    case Stage::limit:
      command(turn, "getvar:max-download-size", kAnswerLimit, kVariables);
      break;
    case Stage::room:
      command(turn, "getvar:partition-size:" + image().partition, kAnswerLimit,
              "asking for the size of " + image().partition);
      break;
    case Stage::reboot:
      command(turn, "reboot", kAnswerLimit, "waiting for the board to take the restart");
      break;
    default:
      break;
  }
}

void Fastboot::ask_hash(Turn& turn) {
  hash_.clear();
  const Time limit = kFlashLimit + kPerMebibyte * static_cast<long>(image().size >> 20U);
  command(turn, hash_question(plan_, image()), limit,
          "waiting for the hash of " + image().partition);
}

void Fastboot::accept(Turn& turn, std::string_view text) {
  switch (stage_) {
    case Stage::version:
      if (!text.empty() && text != "0.4") {
        turn.emit(Warning{
            .code = "recovery.no-loader",
            .text = "the board speaks fastboot " + escape_control(text) + ", which is not 0.4"});
      }
      begin(turn, Stage::product);
      break;
    case Stage::product:
      identified_.chip = text;
      begin(turn, Stage::serial);
      break;
    case Stage::serial:
      identified_.device_id = text;
      turn.emit(identified_);
      begin(turn, Stage::limit);
      break;
    case Stage::limit:
      // Loaders without the variable take a download of any size.
      if (!trim(text).empty()) {
        max_download_ = std::min<std::uint64_t>(max_download_, number_in(text).value_or(0));
      }
      next_room(turn);
      break;
    case Stage::room:
      take_room(turn, text);
      break;
    case Stage::inventory:
    case Stage::hash:
      take_hash(turn, text);
      break;
    case Stage::data:
      if (position_ < part_.sent()) {
        run_.fail(turn, Errc::corrupt, "the board acknowledged data that it was not yet sent");
        return;
      }
      stage_ = Stage::flash;
      run_.outcome.flash_touched = true;
      command(turn, "flash:" + image().partition,
              kFlashLimit + kPerMebibyte * static_cast<long>(part_.size >> 20U),
              "waiting for the flash to take " + image().partition);
      break;
    case Stage::flash:
      flashed(turn);
      break;
    case Stage::reboot:
      run_.finish(turn);
      break;
    default:
      run_.fail(turn, Errc::corrupt, "an answer without a question");
  }
}

void Fastboot::refuse(Turn& turn, std::span<const std::byte> text) {
  switch (stage_) {
    case Stage::version:
    case Stage::product:
    case Stage::serial:
    case Stage::limit:
    case Stage::room:
      accept(turn, {});  // A variable that this loader does not have.
      break;
    case Stage::inventory:
    case Stage::hash:
      turn.emit(Warning{.code = "recovery.verify",
                        .text = "the board has no command \"" + plan_.hash_command + "\""});
      plan_.hash_command.clear();
      stage_ == Stage::hash ? end(turn) : begin_image(turn);
      break;
    case Stage::reboot:
      turn.emit(Warning{.code = "recovery.boot",
                        .text = "the board refuses to restart: " + show_text(text),
                        .next = "disconnect its power and connect it again"});
      run_.finish(turn);
      break;
    default:
      run_.fail(turn, Errc::io,
                fmt::format("the board refuses {} for {}: {}", to_text(step()), image().partition,
                            show_text(text)));
  }
}

void Fastboot::info(Turn& turn, std::span<const std::byte> text) {
  // While there is data to send, the wait is for that.
  if (stage_ != Stage::data || on_wire_ == part_.sent()) {
    wait(turn);
  }
  if (stage_ == Stage::inventory || stage_ == Stage::hash) {
    constexpr std::size_t kDigits = 64;
    if (is_hexadecimal(text_of(text)) && hash_.size() <= kDigits) {
      hash_ += text_of(text);
    }
    return;
  }
  turn.emit(DeviceLog{.level = 2, .text = std::string{text_of(text)}});
}

void Fastboot::next_room(Turn& turn) {
  constexpr std::uint64_t kSmallest = 8192;
  const auto wanted =
      std::max_element(plan_.images.begin(), plan_.images.end(),
                       [](const auto& one, const auto& other) { return one.size < other.size; });
  if (wanted->size > max_download_ && max_download_ < kSmallest) {
    run_.fail(turn, Errc::unsupported,
              fmt::format("the board takes downloads of at most {} bytes", max_download_),
              "recovery.image-refused");
    return;
  }
  turn.begin(Step::inventory);
  begin(turn, Stage::room);
}

void Fastboot::take_room(Turn& turn, std::string_view text) {
  // Loaders write hexadecimal digits with and without 0x.
  const auto room = number_in(text, true);
  if (room && image().size > *room) {
    run_.fail(turn, Errc::too_large,
              fmt::format("{} has {} bytes and partition {} room for {}", image().file,
                          image().size, image().partition, *room),
              "recovery.image-refused");
    return;
  }
  if (++image_ < plan_.images.size()) {
    ask(turn);
    return;
  }
  image_ = 0;
  if (hashes() && (plan_.verify_only || !plan_.write_all)) {
    stage_ = Stage::inventory;
    ask_hash(turn);
  } else {
    begin_image(turn);
  }
}

void Fastboot::take_hash(Turn& turn, std::string_view text) {
  if (is_hexadecimal(text)) {
    hash_ += text;
  }
  compared(turn, to_lower(hash_) == image().sha256);
}

void Fastboot::compared(Turn& turn, bool equal) {
  if (stage_ == Stage::hash && !equal) {
    run_.fail(turn, Errc::unverified,
              fmt::format("partition {} has another hash than {} after writing", image().partition,
                          image().file),
              "recovery.verify");
    return;
  }
  equal_[image_] = equal;
  if (++image_ < plan_.images.size()) {
    ask_hash(turn);
  } else if (stage_ == Stage::hash) {
    end(turn);
  } else {
    image_ = 0;
    begin_image(turn);
  }
}

void Fastboot::begin_image(Turn& turn) {
  if (plan_.verify_only) {
    end(turn);
    return;
  }
  turn.begin(Step::write);
  image_ = 0;
  next_image(turn);
}

// Goes on with the image that is next, from image_, to be written.
void Fastboot::next_image(Turn& turn) {
  while (image_ < plan_.images.size() && equal_[image_] && !plan_.write_all) {
    ++run_.outcome.images_skipped;
    bytes_done_ += image().size;
    ++image_;
  }
  if (image_ == plan_.images.size()) {
    written(turn);
    return;
  }
  part_index_ = 0;
  parts_ = image().size > max_download_ ? sparse_parts(image().size, max_download_) : 0;
  begin_part(turn);
}

void Fastboot::begin_part(Turn& turn) {
  part_ = parts_ == 0 ? SparsePart{.head = {}, .size = image().size, .tail = {}}
                      : sparse_part(image().size, max_download_, part_index_);
  position_ = 0;
  on_wire_ = 0;
  pieces_.clear();
  ++data_tag_;
  stage_ = Stage::download;
  command(turn, fmt::format("download:{:08x}", part_.sent()), kDataLimit,
          "waiting for the board to take data");
}

void Fastboot::begin_data(Turn& turn, std::string_view size) {
  const auto taken = number_in(size, true);
  if (taken != part_.sent()) {
    run_.fail(turn, Errc::corrupt,
              fmt::format("the board wants {} of {} bytes of {}", escape_control(size),
                          part_.sent(), image().file));
    return;
  }
  stage_ = Stage::data;
  pump(turn);
}

// Gives the transport what comes next, as far as it may be ahead of the wire.
void Fastboot::pump(Turn& turn) {
  const std::uint64_t file_from = part_.head.size();
  const std::uint64_t file_to = file_from + part_.size;
  if (position_ < file_from) {
    data(turn, part_.head);
  }
  if (position_ < file_to) {
    if (!file_asked_ && position_ - on_wire_ <= kAhead) {
      file_asked_ = true;
      turn.need(image().file, part_.offset + position_ - file_from,
                std::min<std::uint64_t>(kPiece, file_to - position_), kFileTag);
      turn.arm(kDataLimit, "waiting for " + image().file);
    }
    return;
  }
  if (position_ < file_to + part_.padding) {
    data(turn, std::vector<std::byte>(part_.padding));
  }
  if (position_ < part_.sent()) {
    data(turn, part_.tail);
  }
}

void Fastboot::take_file(Turn& turn, const FileData& file) {
  if (stage_ != Stage::data || file.tag != kFileTag || !std::exchange(file_asked_, false)) {
    return;
  }
  const std::uint64_t left = part_.head.size() + part_.size - position_;
  if (file.bytes.empty() || file.bytes.size() > left) {
    run_.fail(turn, Errc::io, "reading " + image().file + " gave a wrong number of bytes");
    return;
  }
  data(turn, file.bytes);
  bytes_done_ += file.bytes.size();
  progress(turn, false);
  pump(turn);
}

void Fastboot::take_sent(Turn& turn) {
  if (pieces_.empty()) {
    return;
  }
  on_wire_ += pieces_.front();
  pieces_.pop_front();
  if (on_wire_ < part_.sent()) {
    turn.arm(kDataLimit, "waiting for the board to take data");
    pump(turn);
    return;
  }
  waiting_ = "waiting for the board to acknowledge data";
  limit_ = kDataLimit;
  latest_ = turn.now() + kLongest;
  wait(turn);
}

void Fastboot::flashed(Turn& turn) {
  if (++part_index_ < parts_) {
    begin_part(turn);
    return;
  }
  ++run_.outcome.images_written;
  run_.outcome.bytes_written += image().size;
  progress(turn, true);
  ++image_;
  next_image(turn);
}

void Fastboot::written(Turn& turn) {
  run_.outcome.written = Verdict::yes;
  if (!hashes()) {
    end(turn);
    return;
  }
  turn.begin(Step::verify);
  stage_ = Stage::hash;
  image_ = 0;
  ask_hash(turn);
}

void Fastboot::end(Turn& turn) {
  auto& outcome = run_.outcome;
  if (!hashes()) {
    outcome.verified = Verdict::unknown;
    outcome.not_verified = "fastboot has no command that reads back";
  } else if (std::find(equal_.begin(), equal_.end(), false) == equal_.end()) {
    outcome.verified = Verdict::yes;
    outcome.written = Verdict::yes;
  } else {
    const auto wrong = std::find(equal_.begin(), equal_.end(), false) - equal_.begin();
    run_.fail(turn, Errc::unverified,
              fmt::format("partition {} has another hash than {}",
                          plan_.images[static_cast<std::size_t>(wrong)].partition,
                          plan_.images[static_cast<std::size_t>(wrong)].file),
              "recovery.verify");
    return;
  }
  if (plan_.verify_only && !hashes()) {
    outcome.written = Verdict::unknown;
  }
  if (!plan_.reboot || plan_.verify_only) {
    run_.finish(turn);
    return;
  }
  turn.begin(Step::reboot);
  begin(turn, Stage::reboot);
}

void Fastboot::progress(Turn& turn, bool always) {
  if (!always && last_progress_ && turn.now() - *last_progress_ < kBetweenProgress) {
    return;
  }
  last_progress_ = turn.now();
  turn.emit(Progress{.step = Step::write,
                     .image = image().file,
                     .image_index = static_cast<std::uint32_t>(image_ + 1),
                     .images = static_cast<std::uint32_t>(plan_.images.size()),
                     .bytes_done = bytes_done_,
                     .bytes_total = bytes_total_});
}

void Fastboot::timed_out(Turn& turn) {
  if (stage_ == Stage::reboot) {
    turn.emit(Warning{.code = "recovery.boot",
                      .text = "the board did not acknowledge the restart",
                      .next = "disconnect its power and connect it again"});
    run_.finish(turn);
    return;
  }
  run_.fail(turn, Errc::timeout,
            fmt::format("the board does not answer at step {} ({})", to_text(step()), waiting_));
}

Result<void> check(const FastbootPlan& plan) {
  if (plan.images.empty()) {
    return fail(Errc::invalid_argument, "no image to write", {.reason = "recovery.image-missing"});
  }
  for (const auto& image : plan.images) {
    constexpr std::size_t kDigits = 64;
    const bool hash_is_right = plan.hash_command.empty() ||
                               (image.sha256.size() == kDigits && is_hexadecimal(image.sha256) &&
                                to_lower(image.sha256) == image.sha256);
    if (!is_partition_name(image.partition) || image.size == 0 || !hash_is_right) {
      return fail(Errc::invalid_argument,
                  "no partition name, no bytes, or no SHA-256 for " + image.file,
                  {.reason = "recovery.image-refused", .value = image.partition});
    }
    if (hash_question(plan, image).size() > kMaxCommand) {
      return fail(Errc::invalid_argument, "the hash command is longer than 64 characters",
                  {.reason = "recovery.image-refused", .value = hash_question(plan, image)});
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Driver>> make_fastboot(FastbootPlan plan) {
  SPHERE_TRY(check(plan));
  return std::make_unique<Fastboot>(std::move(plan));
}

}  // namespace sphere::recovery
