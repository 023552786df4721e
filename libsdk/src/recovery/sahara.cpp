// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/sahara.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/firehose_xml.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;
using Attribute = std::pair<std::string_view, std::string>;

constexpr std::uint32_t kHello = 0x01;
constexpr std::uint32_t kHelloResponse = 0x02;
constexpr std::uint32_t kReadData = 0x03;
constexpr std::uint32_t kEndOfImage = 0x04;
constexpr std::uint32_t kDone = 0x05;
constexpr std::uint32_t kDoneResponse = 0x06;
constexpr std::uint32_t kReset = 0x07;
constexpr std::uint32_t kReadData64 = 0x12;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kMostPacket = 1024;
constexpr std::size_t kRead = 4096;  // Of one IN transfer.
constexpr std::uint64_t kMostData = std::uint64_t{1} << 20U;
constexpr std::uint64_t kReadsAgain = 4;  // How often a ROM may read the loader.
constexpr std::uint32_t kPayload = 1U << 20U;
constexpr std::size_t kPacket = 512;  // Of high-speed bulk pipes.
constexpr Time kHelloLimit = 1s;
constexpr Time kAnswerLimit = 10s;
constexpr Time kWriteLimit = 120s;
constexpr Time kHashLimit = 60s;
constexpr std::uint64_t kHashPart = 64U << 20U;
constexpr Time kLogs = 100ms;
constexpr Tag kFileTag = 1;

// The last run of exactly 64 hexadecimal digits; empty: there is none.
std::string digest_in(std::string_view text) {
  constexpr std::size_t kDigits = 64;
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  std::string found;
  for (std::size_t at = 0; at < text.size();) {
    at = std::min(text.find_first_of(kHex, at), text.size());
    const auto end = std::min(text.find_first_not_of(kHex, at), text.size());
    if (end - at == kDigits) {
      found = text.substr(at, kDigits);
    }
    at = end;
  }
  return found;
}

class Firehose final : public Driver {
 public:
  explicit Firehose(FirehosePlan plan)
      : plan_{std::move(plan)}, wrong_(plan_.images.size(), false) {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Stage : std::uint8_t {
    hello,
    hello_unasked,
    images,
    done,
    configure,
    inventory,
    program,
    data,
    data_end,
    verify,
    power,
  };

  // Sahara.
  void take_packets(Turn& turn);
  void take_packet(Turn& turn, std::uint32_t command, Reader& reader);
  void say_hello(Turn& turn);
  void take_read(Turn& turn, std::uint64_t offset, std::uint64_t length);
  void take_end(Turn& turn, std::uint32_t status);
  void send_packet(Turn& turn, std::uint32_t command, std::span<const std::uint32_t> words);

  // Firehose.
  void begin_firehose(Turn& turn);
  void take_documents(Turn& turn);
  void take_document(Turn& turn, std::string_view text);
  void take_response(Turn& turn, const XmlElement& response);
  void command(Turn& turn, std::string text, Time limit, std::string reason);
  void configure(Turn& turn);
  void configured(Turn& turn, const XmlElement& response, bool good);
  void begin_hashes(Turn& turn, Stage stage);
  void hash(Turn& turn);
  void hashed(Turn& turn, const XmlElement& response, bool good);
  void inventory_done(Turn& turn);
  void program(Turn& turn);
  void next_data(Turn& turn);
  void send_data(Turn& turn, std::span<const std::byte> bytes);
  void written(Turn& turn);
  void end(Turn& turn);

  void take_file(Turn& turn, const FileData& file);
  void timed_out(Turn& turn);
  [[nodiscard]] Step step() const;
  [[nodiscard]] const FirehoseImage& image() const { return plan_.images[image_]; }
  [[nodiscard]] std::uint64_t sectors() const {
    return (image().size + plan_.sector_size - 1) / plan_.sector_size;
  }
  [[nodiscard]] std::vector<Attribute> range() const;
  [[nodiscard]] std::uint64_t next_size() const;

  FirehosePlan plan_;
  Run run_;
  Stage stage_ = Stage::hello;
  Bytes in_;
  std::uint64_t read_ = 0;  // Of the loader, by the ROM.
  std::uint64_t need_ = 0;  // Bytes of the file that is asked for.

  std::string pending_;  // A command that waits for the last logs.
  Time pending_limit_ = {};
  std::string reason_;
  bool waits_for_logs_ = false;
  bool waits_for_response_ = false;
  unsigned configures_ = 0;
  std::uint32_t payload_ = kPayload;
  std::string digest_;  // Of a log.
  bool tells_hashes_ = true;

  std::size_t image_ = 0;
  std::uint64_t offset_ = 0;
  std::vector<bool> wrong_;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_total_ = 0;
};

void Firehose::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  std::visit(Overloaded{[&](const Start&) {
                          turn.begin(Step::identify);
                          turn.add(ReadBulk{kRead});
                          turn.arm(kHelloLimit, "waiting for the chip's emergency download mode");
                        },
                        [&](const Received& received) {
                          turn.add(ReadBulk{kRead});
                          in_.insert(in_.end(), received.bytes.begin(), received.bytes.end());
                          stage_ < Stage::configure ? take_packets(turn) : take_documents(turn);
                        },
                        [&](const FileData& file) { take_file(turn, file); },
                        [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                        [&](const TimerFired&) { timed_out(turn); },
                        [&](const LinkLost&) {
                          stage_ == Stage::power ? run_.finish(turn) : run_.lose(turn, step());
                        },
                        [&](const Cancelled&) { run_.cancel(turn, step()); }, [](const auto&) {}},
             input);
}

Step Firehose::step() const {
  switch (stage_) {
    case Stage::hello:
    case Stage::hello_unasked:
      return Step::identify;
    case Stage::inventory:
      return Step::inventory;
    case Stage::program:
    case Stage::data:
    case Stage::data_end:
      return Step::write;
    case Stage::verify:
      return Step::verify;
    case Stage::power:
      return Step::reboot;
    default:
      return Step::loader;
  }
}

// --- Sahara. ---

void Firehose::take_packets(Turn& turn) {
  constexpr std::string_view kXml = "<?xml";
  const auto xml = std::as_bytes(std::span{kXml});
  if (in_.size() >= xml.size() && std::equal(xml.begin(), xml.end(), in_.begin())) {
    begin_firehose(turn);  // A loader runs already.
    take_documents(turn);
    return;
  }
  while (!run_.is_over() && stage_ < Stage::configure && in_.size() >= kHeader) {
    Reader reader{in_};
    const auto command = reader.little_endian<std::uint32_t>();
    const auto length = reader.little_endian<std::uint32_t>();
    if (*length < kHeader || *length > kMostPacket) {
      run_.fail(turn, Errc::corrupt, "the chip says no Sahara packet: " + show_bytes(in_));
      return;
    }
    if (in_.size() < *length) {
      return;
    }
    const Bytes packet{in_.begin(), in_.begin() + *length};
    in_.erase(in_.begin(), in_.begin() + *length);
    Reader body{std::span{packet}.subspan(kHeader)};
    take_packet(turn, *command, body);
  }
  if (!run_.is_over() && stage_ >= Stage::configure && !in_.empty()) {
    take_documents(turn);
  }
}

void Firehose::take_packet(Turn& turn, std::uint32_t command, Reader& reader) {
  const auto word = [&] { return reader.little_endian<std::uint32_t>().value_or(0); };
  const auto wide = [&] { return reader.little_endian<std::uint64_t>().value_or(0); };
  switch (command) {
    case kHello:
      if (reader.left() < 4 * sizeof(std::uint32_t)) {
        run_.fail(turn, Errc::corrupt, "the chip's HELLO is too short");
        return;
      }
      say_hello(turn);
      stage_ = Stage::images;
      break;
    case kReadData: {
      std::ignore = word();
      const auto offset = word();
      take_read(turn, offset, word());
      break;
    }
    case kReadData64: {
      std::ignore = wide();
      const auto offset = wide();
      take_read(turn, offset, wide());
      break;
    }
    case kEndOfImage:
      std::ignore = word();
      take_end(turn, word());
      break;
    case kDoneResponse:
      if (stage_ == Stage::done) {
        // Some chips say that more images are to come although there was one only.
        begin_firehose(turn);
      }
      break;
    default:
      run_.fail(turn, Errc::corrupt, fmt::format("the chip sends Sahara packet {:02X}", command));
      break;
  }
}

void Firehose::send_packet(Turn& turn, std::uint32_t command,
                           std::span<const std::uint32_t> words) {
  Writer packet;
  packet.little_endian(command);
  packet.little_endian(static_cast<std::uint32_t>(kHeader + 4 * words.size()));
  for (const std::uint32_t word : words) {
    packet.little_endian(word);
  }
  turn.send(packet.data());
}

void Firehose::say_hello(Turn& turn) {
  send_packet(turn, kHelloResponse, std::array<std::uint32_t, 10>{2, 1, 0, 0});
  turn.arm(kAnswerLimit, "waiting for the chip to ask for its loader");
}

void Firehose::take_read(Turn& turn, std::uint64_t offset, std::uint64_t length) {
  if (stage_ == Stage::hello || stage_ == Stage::hello_unasked) {
    stage_ = Stage::images;
    turn.begin(Step::loader);
  }
  read_ += std::min(length, kMostData);
  if (stage_ != Stage::images || need_ != 0 || length == 0 || length > kMostData ||
      offset > plan_.programmer_size || length > plan_.programmer_size - offset ||
      read_ > kReadsAgain * plan_.programmer_size + kMostData) {
    send_packet(turn, kReset, {});
    run_.fail(turn, Errc::corrupt,
              fmt::format("the chip asks for {} bytes at {} of a loader of {}", length, offset,
                          plan_.programmer_size));
    return;
  }
  need_ = length;
  turn.need(plan_.programmer, offset, length, kFileTag);
  turn.arm(kAnswerLimit, "waiting for " + plan_.programmer);
}

void Firehose::take_end(Turn& turn, std::uint32_t status) {
  if (status != 0 || stage_ != Stage::images) {
    run_.fail(
        turn, Errc::io,
        fmt::format("the chip refuses the loader: {} ({:02X})", sahara_status(status), status),
        "recovery.image-refused");
    return;
  }
  stage_ = Stage::done;
  send_packet(turn, kDone, {});
  turn.arm(kAnswerLimit, "waiting for the loader to start");
}

// --- Firehose: exchange. ---

void Firehose::begin_firehose(Turn& turn) {
  turn.emit(Identified{.chip = "Qualcomm"});
  stage_ = Stage::configure;
  configure(turn);
}

// Sent once the device has been silent for a moment: a log that nobody reads blocks its pipe.
void Firehose::command(Turn& turn, std::string text, Time limit, std::string reason) {
  pending_ = std::move(text);
  pending_limit_ = limit;
  reason_ = std::move(reason);
  digest_.clear();
  waits_for_logs_ = true;
  waits_for_response_ = false;
  turn.arm(kLogs, "reading what the loader has said");
}

void Firehose::take_documents(Turn& turn) {
  while (!run_.is_over()) {
    const auto begin = std::find(in_.begin(), in_.end(), std::byte{'<'});
    in_.erase(in_.begin(), begin);
    const auto size = firehose_document_size(in_);
    if (!size) {
      break;
    }
    if (*size <= kXmlLimit) {
      std::string text;
      std::transform(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(*size),
                     std::back_inserter(text),
                     [](std::byte byte) { return static_cast<char>(byte); });
      in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(*size));
      take_document(turn, text);
    } else {
      in_.resize(kXmlLimit + 1);
      break;
    }
  }
  if (!run_.is_over() && in_.size() > kXmlLimit) {
    run_.fail(turn, Errc::corrupt, "the loader says no XML: " + show_bytes(in_));
  }
}

void Firehose::take_document(Turn& turn, std::string_view text) {
  const auto elements = parse_firehose_xml(text);
  if (!elements) {
    run_.fail(
        turn, Errc::corrupt,
        fmt::format("the loader says no XML that can be read: {}", elements.error().message()));
    return;
  }
  for (const XmlElement& element : *elements) {
    const std::string* const value = element.find("value");
    if (element.name == "log" && value != nullptr) {
      turn.emit(DeviceLog{.level = 1, .text = show_text(std::as_bytes(std::span{*value}))});
      const auto digest = digest_in(*value);
      digest_ = digest.empty() ? digest_ : digest;
    } else if (element.name == "response" && value != nullptr && waits_for_response_) {
      take_response(turn, element);
    }
    if (run_.is_over()) {
      return;
    }
  }
}

void Firehose::take_response(Turn& turn, const XmlElement& response) {
  const bool good = *response.find("value") == "ACK";
  const std::string* const raw = response.find("rawmode");
  const bool is_raw = raw != nullptr && *raw == "true";
  waits_for_response_ = false;
  switch (stage_) {
    case Stage::configure:
      configured(turn, response, good);
      break;
    case Stage::inventory:
    case Stage::verify:
      hashed(turn, response, good);
      break;
    case Stage::program:
    case Stage::data_end:
      if (!good || is_raw != (stage_ == Stage::program)) {
        run_.fail(turn, Errc::io, fmt::format("the loader refuses to write {}", image().file));
      } else if (stage_ == Stage::program) {
        stage_ = Stage::data;
        next_data(turn);
      } else {
        written(turn);
      }
      break;
    default:
      run_.finish(turn);
      break;
  }
}

void Firehose::timed_out(Turn& turn) {
  if (waits_for_logs_) {
    waits_for_logs_ = false;
    waits_for_response_ = true;
    turn.send(std::as_bytes(std::span{pending_}));
    turn.arm(pending_limit_, reason_);
    return;
  }
  switch (stage_) {
    case Stage::hello:
      // It may have said HELLO before anybody listened.
      stage_ = Stage::hello_unasked;
      say_hello(turn);
      turn.arm(kHelloLimit, "waiting for the chip's emergency download mode");
      break;
    case Stage::hello_unasked:
      begin_firehose(turn);  // Silent, as a loader is that has said all it had to say.
      break;
    case Stage::configure:
      run_.fail(turn, Errc::timeout, "neither the chip's ROM nor a loader answers");
      break;
    case Stage::power:
      run_.finish(turn);
      break;
    default:
      run_.fail(turn, Errc::timeout, fmt::format("no answer at step {}", to_text(step())));
      break;
  }
}

// --- Firehose: steps. ---

void Firehose::configure(Turn& turn) {
  ++configures_;
  const auto attributes =
      std::to_array<Attribute>({{"MemoryName", plan_.memory},
                                {"MaxPayloadSizeToTargetInBytes", std::to_string(payload_)},
                                {"Verbose", "0"},
                                {"ZlpAwareHost", "1"},
                                {"SkipStorageInit", "0"}});
  command(turn, firehose_document("configure", attributes), kAnswerLimit,
          "waiting for the loader to take its settings");
}

void Firehose::configured(Turn& turn, const XmlElement& response, bool good) {
  const std::string* const named = response.find(good ? "MaxPayloadSizeToTargetInBytesSupported"
                                                      : "MaxPayloadSizeToTargetInBytes");
  std::uint32_t size = good ? payload_ : 0;
  if (named != nullptr) {
    std::from_chars(named->data(), named->data() + named->size(), size);
  }
  size = std::min(size, kPayload) / plan_.sector_size * plan_.sector_size;
  if (size == 0) {
    run_.fail(turn, Errc::io, "the loader refuses its settings");
  } else if (!good && configures_ == 1) {
    payload_ = size;
    configure(turn);
  } else if (!good) {
    run_.fail(turn, Errc::io, "the loader refuses the size that it proposed");
  } else {
    payload_ = std::min(payload_, size);
    begin_hashes(turn, Stage::inventory);
  }
}

std::vector<Attribute> Firehose::range() const {
  return {{"SECTOR_SIZE_IN_BYTES", std::to_string(plan_.sector_size)},
          {"num_partition_sectors", std::to_string(sectors())},
          {"physical_partition_number", std::to_string(image().partition)},
          {"start_sector", image().start_sector}};
}

void Firehose::begin_hashes(Turn& turn, Stage stage) {
  stage_ = stage;
  image_ = 0;
  turn.begin(step());
  hash(turn);
}

void Firehose::hash(Turn& turn) {
  auto& outcome = run_.outcome;
  while (stage_ == Stage::verify && image_ < wrong_.size() && !wrong_[image_]) {
    ++image_;
  }
  if (image_ == plan_.images.size() && stage_ == Stage::inventory) {
    inventory_done(turn);
  } else if (image_ == plan_.images.size()) {
    outcome.verified = Verdict::yes;
    end(turn);
  } else {
    const auto parts = static_cast<std::int64_t>(1 + image().size / kHashPart);
    command(turn, firehose_document("getsha256digest", range()), kHashLimit * parts,
            "waiting for the hash of " + image().file);
  }
}

void Firehose::hashed(Turn& turn, const XmlElement& response, bool good) {
  for (const std::string_view name : {"Digest", "SHA256", "sha256"}) {
    if (const std::string* const value = response.find(name)) {
      digest_ = *value;
    }
  }
  const auto digest = from_hex(digest_);
  const bool told = good && digest && digest->size() == image().sha256.size();
  const bool right = told && std::ranges::equal(*digest, image().sha256);
  tells_hashes_ = tells_hashes_ && told;
  if (stage_ == Stage::inventory) {
    wrong_[image_] = !right || plan_.write_all;
    if (told && !right && plan_.verify_only) {
      run_.fail(turn, Errc::unverified, image().file + " differs from what the board holds",
                "recovery.verify");
      return;
    }
    image_ = told ? image_ + 1 : plan_.images.size();
    if (!told) {
      std::fill(wrong_.begin(), wrong_.end(), true);
    }
    hash(turn);
  } else if (right) {
    ++image_;
    hash(turn);
  } else {
    run_.fail(turn, Errc::unverified, image().file + " differs from what was written",
              "recovery.verify");
  }
}

void Firehose::inventory_done(Turn& turn) {
  auto& outcome = run_.outcome;
  if (plan_.verify_only) {
    outcome.written = tells_hashes_ ? Verdict::yes : Verdict::unknown;
    outcome.verified = outcome.written;
    outcome.not_verified = tells_hashes_ ? "" : "the loader tells no hashes";
    outcome.images_skipped = static_cast<std::uint32_t>(plan_.images.size());
    end(turn);
    return;
  }
  for (std::size_t i = 0; i < wrong_.size(); ++i) {
    outcome.images_written += wrong_[i] ? 1 : 0;
    outcome.images_skipped += wrong_[i] ? 0 : 1;
    bytes_total_ += wrong_[i] ? plan_.images[i].size : 0;
  }
  image_ = 0;
  program(turn);
}

void Firehose::program(Turn& turn) {
  auto& outcome = run_.outcome;
  while (image_ < wrong_.size() && !wrong_[image_]) {
    ++image_;
  }
  if (image_ == wrong_.size()) {
    outcome.written = Verdict::yes;
    outcome.bytes_written = bytes_total_;
    if (tells_hashes_) {
      begin_hashes(turn, Stage::verify);
    } else {
      outcome.verified = Verdict::unknown;
      outcome.not_verified = "the loader tells no hashes";
      end(turn);
    }
    return;
  }
  stage_ = Stage::program;
  offset_ = 0;
  turn.begin(Step::write);
  outcome.flash_touched = true;
  auto attributes = range();
  attributes.emplace_back("filename", image().file);
  command(turn, firehose_document("program", attributes), kAnswerLimit,
          "waiting for the loader to take " + image().file);
}

std::uint64_t Firehose::next_size() const {
  return std::min<std::uint64_t>(payload_, image().size - offset_);
}

void Firehose::next_data(Turn& turn) {
  need_ = next_size();
  turn.need(image().file, offset_, need_, kFileTag);
  turn.arm(kAnswerLimit, "waiting for " + image().file);
}

void Firehose::take_file(Turn& turn, const FileData& file) {
  if (file.tag != kFileTag || need_ == 0 || file.bytes.size() != need_) {
    run_.fail(turn, Errc::io, "reading gave a wrong number of bytes");
    return;
  }
  need_ = 0;
  if (stage_ == Stage::images) {
    turn.send(file.bytes);
    turn.arm(kAnswerLimit, "waiting for the chip to ask for its loader");
  } else {
    send_data(turn, file.bytes);
  }
}

void Firehose::send_data(Turn& turn, std::span<const std::byte> bytes) {
  Bytes data{bytes.begin(), bytes.end()};
  offset_ += data.size();
  bytes_done_ += data.size();
  data.resize((data.size() + plan_.sector_size - 1) / plan_.sector_size * plan_.sector_size);
  const bool whole_packets = data.size() % kPacket == 0;
  turn.send(data);
  if (whole_packets) {
    turn.send({});
  }
  turn.emit(Progress{.step = Step::write,
                     .image = image().file,
                     .image_index = static_cast<std::uint32_t>(image_ + 1),
                     .images = static_cast<std::uint32_t>(plan_.images.size()),
                     .bytes_done = bytes_done_,
                     .bytes_total = bytes_total_});
  if (offset_ < image().size) {
    next_data(turn);
    return;
  }
  stage_ = Stage::data_end;
  waits_for_response_ = true;
  turn.arm(kWriteLimit, "waiting for the flash");
}

void Firehose::written(Turn& turn) {
  ++image_;
  program(turn);
}

void Firehose::end(Turn& turn) {
  stage_ = Stage::power;
  turn.begin(Step::reboot);
  command(turn, firehose_document("power", std::to_array<Attribute>({{"value", "reset"}})), 3s,
          "restarting the board");
}

Result<void> check(const FirehosePlan& plan) {
  if (plan.images.empty() || plan.programmer_size == 0 ||
      plan.programmer_size > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Errc::invalid_argument, "no image to write, or no loader",
                {.reason = "recovery.image-missing"});
  }
  if (plan.sector_size != 512 && plan.sector_size != 4096) {
    return fail(Errc::invalid_argument, "sectors have 512 or 4096 bytes",
                {.reason = "recovery.image-refused", .value = std::to_string(plan.sector_size)});
  }
  for (const auto& image : plan.images) {
    if (image.size == 0 || image.start_sector.empty()) {
      return fail(Errc::invalid_argument, "an image without bytes, or without a place",
                  {.reason = "recovery.image-refused", .value = image.file});
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Driver>> make_firehose(FirehosePlan plan) {
  SPHERE_TRY(check(plan));
  return std::make_unique<Firehose>(std::move(plan));
}

}  // namespace sphere::recovery
