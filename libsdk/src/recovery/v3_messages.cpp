// SPDX-License-Identifier: MIT
#include "sphere/recovery/v3_messages.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/crc.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery::v3 {

namespace {

constexpr std::byte kFrameVersion{3};
constexpr std::size_t kHead = 8;
constexpr std::size_t kErrorText = 96;
constexpr std::string_view kCompletionName = "sphere-recovery-v3";

template <typename Field>
void put(Writer& writer, const Field& field) {
  if constexpr (std::is_enum_v<Field>) {
    writer.little_endian(static_cast<std::underlying_type_t<Field>>(field));
  } else if constexpr (std::is_integral_v<Field>) {
    writer.little_endian(field);
  } else {
    writer.bytes(field);
  }
}
template <typename... Fields>
std::vector<std::byte> write_fields(const Fields&... fields) {
  Writer writer;
  (put(writer, fields), ...);
  return std::move(writer).take();
}

template <typename Field>
bool get(Reader& reader, Field& field) {
  if constexpr (std::is_integral_v<Field>) {
    const auto value = reader.little_endian<Field>();
    field = value.value_or(Field{});
    return value.has_value();
  } else {
    const auto bytes = reader.bytes(field.size());
    if (bytes) {
      std::ranges::copy(*bytes, field.begin());
    }
    return bytes.has_value();
  }
}
template <typename... Fields>
bool read_fields(Reader& reader, Fields&... fields) {
  return (get(reader, fields) && ...);
}
// All of `data`, no more and no less.
template <typename... Fields>
bool read_all(std::span<const std::byte> data, Fields&... fields) {
  Reader reader{data};
  return read_fields(reader, fields...) && reader.left() == 0;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  const void* const start = bytes.data();
  return {static_cast<const char*>(start), bytes.size()};
}

// A text with its NUL, which is the last byte and the only one.
std::optional<std::string_view> read_text(Reader& reader) {
  const auto bytes = reader.bytes(reader.left());
  if (!bytes || bytes->empty()) {
    return std::nullopt;
  }
  const auto text = text_of(bytes->first(bytes->size() - 1));
  const bool good = bytes->back() == std::byte{0} && text.find('\0') == std::string_view::npos;
  return good ? std::optional{text} : std::nullopt;
}

bool is_block(std::uint16_t block) {
  return block >= kBlockStep && block <= kBlockLimit && block % kBlockStep == 0;
}
bool is_window(std::uint16_t window) { return window >= 1 && window <= kWindowLimit; }

}  // namespace

// --- Frames. ---

void append_frame(const Frame& frame, std::vector<std::byte>& wire) {
  Writer writer;
  writer.little_endian(std::to_integer<std::uint8_t>(kFrameVersion))
      .little_endian(static_cast<std::uint8_t>(frame.kind))
      .little_endian(static_cast<std::uint16_t>(frame.payload.size()))
      .little_endian(frame.sequence)
      .bytes(frame.payload);
  writer.little_endian(crc32c(writer.data()));
  append_cobs(writer.data(), wire);
}

std::optional<Frame> parse_frame(std::span<const std::byte> bytes) {
  constexpr std::size_t kMessagePayload = 4 + kMessageLimit;
  constexpr std::size_t kDataPayload = 4 + std::size_t{kBlockLimit};
  Reader reader{bytes};
  std::uint8_t version = 0;
  std::uint8_t kind = 0;
  std::uint16_t length = 0;
  Frame frame;
  if (!read_fields(reader, version, kind, length, frame.sequence) ||
      std::byte{version} != kFrameVersion || kind < 1 || kind > 4 ||
      length > (kind == 2 ? kDataPayload : kMessagePayload)) {
    return std::nullopt;
  }
  const auto payload = reader.bytes(length);
  const auto crc = payload ? reader.little_endian<std::uint32_t>() : std::nullopt;
  if (!crc || reader.left() != 0 || *crc != crc32c(bytes.first(kHead + length))) {
    return std::nullopt;
  }
  frame.kind = static_cast<Kind>(kind);
  frame.payload = *payload;
  return frame;
}

void append_message(std::uint32_t sequence, Type type, std::span<const std::byte> data,
                    std::vector<std::byte>& wire) {
  Writer payload;
  payload.little_endian(static_cast<std::uint16_t>(type))
      .little_endian(static_cast<std::uint16_t>(data.size()))
      .bytes(data);
  append_frame({.kind = Kind::message, .sequence = sequence, .payload = payload.data()}, wire);
}

std::optional<Message> parse_message(std::span<const std::byte> payload) {
  Reader reader{payload};
  Message message;
  std::uint16_t length = 0;
  if (!read_fields(reader, message.type, length) || length != reader.left()) {
    return std::nullopt;
  }
  message.data = reader.bytes(length).value_or(std::span<const std::byte>{});
  return message;
}

void append_data(std::uint32_t transfer, std::uint32_t block, std::span<const std::byte> bytes,
                 std::vector<std::byte>& wire) {
  append_frame({.kind = Kind::data, .sequence = block, .payload = write_fields(transfer, bytes)},
               wire);
}

void append_data_ack(const DataAck& ack, std::vector<std::byte>& wire) {
  append_frame({.kind = Kind::data_ack,
                .sequence = ack.next,
                .payload = write_fields(ack.transfer, ack.credit, std::uint16_t{0}, ack.bitmap)},
               wire);
}

std::optional<DataAck> parse_data_ack(const Frame& frame) {
  DataAck ack{.next = frame.sequence};
  std::uint16_t reserved = 0;
  const bool read = read_all(frame.payload, ack.transfer, ack.credit, reserved, ack.bitmap);
  return read ? std::optional{ack} : std::nullopt;
}

// --- The start of a session. ---

namespace {

// Tags.
constexpr std::uint8_t kNonce = 0x01;
constexpr std::uint8_t kBlock = 0x02;
constexpr std::uint8_t kWindow = 0x03;
constexpr std::uint8_t kEncodings = 0x04;
constexpr std::uint8_t kRates = 0x05;
constexpr std::uint8_t kLogLevel = 0x06;
constexpr std::uint8_t kBoardId = 0x07;
constexpr std::uint8_t kLoader = 0x08;
constexpr std::uint8_t kFloor = 0x09;
constexpr std::uint8_t kFlash = 0x0A;
constexpr std::uint8_t kOwnerKey = 0x0B;
constexpr std::uint8_t kLifecycle = 0x0C;
constexpr std::uint8_t kJournal = 0x0D;
constexpr std::uint8_t kLastError = 0x0E;
constexpr std::size_t kOwnerKeys = 4;
constexpr std::size_t kRateLimit = 8;
constexpr std::size_t kBoardIdLimit = 32;

void put_tag(Writer& writer, std::uint8_t tag, std::span<const std::byte> value) {
  writer.little_endian(tag).little_endian(static_cast<std::uint8_t>(value.size())).bytes(value);
}

// Gives each tag and its value to `take`. False: one is cut, comes twice, or `take` says no.
template <typename Take>
bool read_tags(Reader& reader, const Take& take) {
  std::array<std::size_t, 256> seen = {};
  while (reader.left() != 0) {
    std::uint8_t tag = 0;
    std::uint8_t length = 0;
    if (!read_fields(reader, tag, length)) {
      return false;
    }
    const auto value = reader.bytes(length);
    if (!value || ++seen.at(tag) > (tag == kOwnerKey ? kOwnerKeys : 1) || !take(tag, *value)) {
      return false;
    }
  }
  return true;
}

template <typename Int>
bool read_optional(std::span<const std::byte> value, std::optional<Int>& field) {
  Int number{};
  const bool read = read_all(value, number);
  field = number;
  return read;
}

bool read_rates(std::span<const std::byte> value, std::vector<std::uint32_t>& rates) {
  Reader reader{value};
  while (reader.left() != 0 && rates.size() <= kRateLimit) {
    std::uint32_t rate = 0;
    if (!read_fields(reader, rate) || rate == 0) {
      return false;
    }
    rates.push_back(rate);
  }
  return !rates.empty() && rates.size() <= kRateLimit;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7F'; });
}

bool take_state_tag(std::uint8_t tag, std::span<const std::byte> value, Greeting& greeting) {
  switch (tag) {
    case kLoader:
      return read_optional(value, greeting.loader_version);
    case kFloor:
      return read_optional(value, greeting.floor);
    case kFlash:
      return read_optional(value, greeting.flash_size);
    case kOwnerKey: {
      crypto::Sha256Digest key{};
      const bool read = read_all(value, key);
      greeting.owner_keys.push_back(key);
      return read;
    }
    case kLifecycle:
      return read_optional(value, greeting.lifecycle);
    case kJournal: {
      auto& journal = greeting.journal.emplace();
      return read_all(value, journal.manifest, journal.verified, journal.images);
    }
    case kLastError:
      return read_optional(value, greeting.last_error);
    default:
      return true;
  }
}

bool take_greeting_tag(std::uint8_t tag, std::span<const std::byte> value, Greeting& greeting,
                       bool& has_nonce) {
  switch (tag) {
    case kNonce:
      has_nonce = true;
      return read_all(value, greeting.nonce);
    case kBlock:
      return read_all(value, greeting.block) && is_block(greeting.block);
    case kWindow:
      return read_all(value, greeting.window) && is_window(greeting.window);
    case kEncodings:
      return read_all(value, greeting.encodings) && (greeting.encodings & kRaw) != 0;
    case kRates:
      return read_rates(value, greeting.rates);
    case kBoardId:
      greeting.board_id = text_of(value);
      return value.size() <= kBoardIdLimit && is_printable(greeting.board_id);
    default:
      return take_state_tag(tag, value, greeting);
  }
}

bool is_device_id(std::string_view id) {
  return id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::vector<std::byte> write_greeting(const Greeting& greeting) {
  Writer writer;
  writer.little_endian(kVersion).text(greeting.device_id).zeros(1);
  put_tag(writer, kNonce, greeting.nonce);
  put_tag(writer, kBlock, write_fields(greeting.block));
  put_tag(writer, kWindow, write_fields(greeting.window));
  put_tag(writer, kEncodings, write_fields(greeting.encodings));
  if (!greeting.rates.empty()) {
    Writer rates;
    for (const std::uint32_t rate : greeting.rates) {
      rates.little_endian(rate);
    }
    put_tag(writer, kRates, rates.data());
  }
  if (!greeting.board_id.empty()) {
    put_tag(writer, kBoardId, std::as_bytes(std::span{greeting.board_id}));
  }
  const auto put_optional = [&](std::uint8_t tag, const auto& field) {
    if (field) {
      put_tag(writer, tag, write_fields(*field));
    }
  };
  put_optional(kLoader, greeting.loader_version);
  put_optional(kFloor, greeting.floor);
  put_optional(kFlash, greeting.flash_size);
  for (const auto& key : greeting.owner_keys) {
    put_tag(writer, kOwnerKey, key);
  }
  put_optional(kLifecycle, greeting.lifecycle);
  if (const auto& journal = greeting.journal) {
    put_tag(writer, kJournal, write_fields(journal->manifest, journal->verified, journal->images));
  }
  put_optional(kLastError, greeting.last_error);
  return std::move(writer).take();
}

std::optional<std::uint32_t> greeting_version(std::span<const std::byte> data) {
  return Reader{data}.little_endian<std::uint32_t>();
}

std::optional<Greeting> parse_greeting(std::span<const std::byte> data) {
  Reader reader{data};
  const auto version = reader.little_endian<std::uint32_t>();
  const auto id = reader.bytes(kIdDigits);
  const auto end = reader.little_endian<std::uint8_t>();
  if (!version || *version != kVersion || !id || end != std::uint8_t{0} ||
      !is_device_id(text_of(*id))) {
    return std::nullopt;
  }
  Greeting greeting;
  greeting.device_id = text_of(*id);
  bool has_nonce = false;
  const bool read = read_tags(reader, [&](std::uint8_t tag, std::span<const std::byte> value) {
    return take_greeting_tag(tag, value, greeting, has_nonce);
  });
  return read && has_nonce ? std::optional{std::move(greeting)} : std::nullopt;
}

std::vector<std::byte> write_choice(const Choice& choice) {
  Writer writer;
  writer.little_endian(kVersion);
  put_tag(writer, kNonce, choice.nonce);
  put_tag(writer, kBlock, write_fields(choice.block));
  put_tag(writer, kWindow, write_fields(choice.window));
  put_tag(writer, kEncodings, write_fields(choice.encoding));
  if (choice.rate) {
    put_tag(writer, kRates, write_fields(*choice.rate));
  }
  put_tag(writer, kLogLevel, write_fields(choice.log_level));
  return std::move(writer).take();
}

std::optional<Choice> parse_choice(std::span<const std::byte> data) {
  Reader reader{data};
  if (reader.little_endian<std::uint32_t>() != kVersion) {
    return std::nullopt;
  }
  Choice choice;
  bool has_nonce = false;
  const bool read = read_tags(reader, [&](std::uint8_t tag, std::span<const std::byte> value) {
    switch (tag) {
      case kNonce:
        has_nonce = true;
        return read_all(value, choice.nonce);
      case kBlock:
        return read_all(value, choice.block) && is_block(choice.block);
      case kWindow:
        return read_all(value, choice.window) && is_window(choice.window);
      case kEncodings:
        return read_all(value, choice.encoding) && choice.encoding == kRaw;
      case kRates:
        return read_optional(value, choice.rate);
      case kLogLevel:
        return read_all(value, choice.log_level);
      default:
        return true;
    }
  });
  return read && has_nonce ? std::optional{choice} : std::nullopt;
}

// --- Data of messages. ---

std::vector<std::byte> write_request(const Request& request, bool with_name) {
  auto data = write_fields(request.transfer, request.offset, request.most, request.block,
                           request.window, request.encodings);
  if (with_name) {
    const auto name = std::as_bytes(std::span{request.name});
    data.insert(data.end(), name.begin(), name.end());
    data.push_back(std::byte{0});
  }
  return data;
}

std::optional<Request> parse_request(std::span<const std::byte> data, bool with_name) {
  Reader reader{data};
  Request request;
  if (!read_fields(reader, request.transfer, request.offset, request.most, request.block,
                   request.window, request.encodings) ||
      !is_block(request.block) || !is_window(request.window) || (request.encodings & kRaw) == 0) {
    return std::nullopt;
  }
  if (!with_name) {
    return reader.left() == 0 ? std::optional{request} : std::nullopt;
  }
  const auto name = read_text(reader);
  if (!name || !v2::is_file_name(*name)) {
    return std::nullopt;
  }
  request.name = *name;
  return request;
}

std::vector<std::byte> write_file_answer(const FileAnswer& answer) {
  constexpr std::array<std::byte, 3> kReserved = {};
  return write_fields(answer.transfer, answer.offset, answer.length, answer.size,
                      answer.wire_length, answer.block, answer.window, answer.encoding, kReserved,
                      answer.sha256);
}

std::optional<FileAnswer> parse_file_answer(std::span<const std::byte> data) {
  FileAnswer answer;
  std::array<std::byte, 3> reserved = {};
  const bool read =
      read_all(data, answer.transfer, answer.offset, answer.length, answer.size, answer.wire_length,
               answer.block, answer.window, answer.encoding, reserved, answer.sha256);
  return read && is_block(answer.block) && is_window(answer.window) ? std::optional{answer}
                                                                    : std::nullopt;
}

std::vector<std::byte> write_request_error(const RequestError& error) {
  return write_fields(error.transfer, error.code, std::uint16_t{0});
}

std::optional<RequestError> parse_request_error(std::span<const std::byte> data) {
  RequestError error;
  std::uint16_t reserved = 0;
  return read_all(data, error.transfer, error.code, reserved) ? std::optional{error} : std::nullopt;
}

std::vector<std::byte> write_progress(const ProgressNote& note) {
  return write_fields(note.phase, std::uint8_t{0}, note.images_left, note.images, std::uint16_t{0},
                      note.bytes_left, note.bytes, note.next_within_ms);
}

std::optional<ProgressNote> parse_progress(std::span<const std::byte> data) {
  constexpr std::uint32_t kLongest = 10'000;
  ProgressNote note;
  std::uint8_t phase = 0;
  std::uint8_t reserved = 0;
  std::uint16_t more_reserved = 0;
  if (!read_all(data, phase, reserved, note.images_left, note.images, more_reserved,
                note.bytes_left, note.bytes, note.next_within_ms) ||
      phase < 1 || phase > 4 || note.next_within_ms > kLongest) {
    return std::nullopt;
  }
  note.phase = static_cast<Phase>(phase);
  return note;
}

std::vector<std::byte> write_error(const ErrorNote& note) {
  const std::string_view text = std::string_view{note.text}.substr(0, kErrorText);
  return write_fields(note.category, note.code, note.detail, std::as_bytes(std::span{text}),
                      std::uint8_t{0});
}

std::optional<ErrorNote> parse_error(std::span<const std::byte> data) {
  Reader reader{data};
  ErrorNote note;
  if (!read_fields(reader, note.category, note.code, note.detail)) {
    return std::nullopt;
  }
  const auto text = read_text(reader);
  if (!text || text->size() > kErrorText) {
    return std::nullopt;
  }
  note.text = *text;
  return note;
}

std::vector<std::byte> write_completion(const Completion& completion) {
  return write_fields(completion.manifest, completion.written, completion.skipped, completion.bytes,
                      completion.signature);
}

std::optional<Completion> parse_completion(std::span<const std::byte> data) {
  Completion completion;
  const bool read = read_all(data, completion.manifest, completion.written, completion.skipped,
                             completion.bytes, completion.signature);
  return read ? std::optional{completion} : std::nullopt;
}

crypto::Sha256Digest completion_digest(const Nonce& nonce, const Completion& completion) {
  return crypto::sha256(write_fields(std::as_bytes(std::span{kCompletionName}), nonce,
                                     completion.manifest, completion.written, completion.skipped));
}

std::vector<std::byte> write_inventory(std::span<const InventoryEntry> entries) {
  Writer writer;
  writer.little_endian(static_cast<std::uint16_t>(entries.size()));
  for (const InventoryEntry& entry : entries) {
    writer.bytes(write_fields(entry.state, std::uint8_t{0}, entry.index, entry.resume));
  }
  return std::move(writer).take();
}

std::optional<std::vector<InventoryEntry>> parse_inventory(std::span<const std::byte> data) {
  Reader reader{data};
  std::uint16_t count = 0;
  if (!read_fields(reader, count)) {
    return std::nullopt;
  }
  std::vector<InventoryEntry> entries;
  while (reader.left() != 0) {
    InventoryEntry entry;
    std::uint8_t state = 0;
    std::uint8_t reserved = 0;
    if (!read_fields(reader, state, reserved, entry.index, entry.resume) || state > 3) {
      return std::nullopt;
    }
    entry.state = static_cast<ImageState>(state);
    entries.push_back(entry);
  }
  return entries.size() == count ? std::optional{std::move(entries)} : std::nullopt;
}

std::vector<std::byte> write_image_verified(const ImageVerified& verified) {
  return write_fields(verified.index, verified.result, std::uint8_t{0}, verified.sha256);
}

std::optional<ImageVerified> parse_image_verified(std::span<const std::byte> data) {
  ImageVerified verified;
  std::uint8_t reserved = 0;
  const bool read = read_all(data, verified.index, verified.result, reserved, verified.sha256);
  return read && verified.result <= 2 ? std::optional{verified} : std::nullopt;
}

std::vector<std::byte> write_proceed(const Proceed& proceed) {
  return write_fields(proceed.mode, static_cast<std::uint8_t>(proceed.keep_data ? 1 : 0),
                      std::uint16_t{0}, proceed.manifest);
}

std::optional<Proceed> parse_proceed(std::span<const std::byte> data) {
  std::uint8_t mode = 0;
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  Proceed proceed;
  if (!read_all(data, mode, flags, reserved, proceed.manifest) || mode > 2 || flags > 1) {
    return std::nullopt;
  }
  proceed.mode = static_cast<Mode>(mode);
  proceed.keep_data = (flags & 1U) != 0;
  return proceed;
}

}  // namespace sphere::recovery::v3
