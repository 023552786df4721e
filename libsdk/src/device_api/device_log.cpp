// SPDX-License-Identifier: MIT
#include "sphere/device_api/device_log.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

namespace sphere::device_api {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kEntriesEnd = 4092;  // Where the bank's counter stands.
constexpr std::size_t kLastStart = 4080;   // No entry starts here or later.
constexpr std::uint16_t kNoEntry = 0xFFFF;
constexpr std::uint16_t kLastCounter = 0xFFFE;
constexpr std::size_t kLongestText = 200;

std::uint16_t read_u16(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) |
                                    std::to_integer<unsigned>(bytes[at + 1]) << 8U);
}

void write_u16(std::span<std::byte> bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::byte>(value & 0xFFU);
  bytes[at + 1] = static_cast<std::byte>(value >> 8U);
}

std::span<const std::byte> bank_of(std::span<const std::byte> bytes, std::size_t index) {
  return bytes.subspan(index * kLogBankBytes, kLogBankBytes);
}

Result<void> read_bank(std::span<const std::byte> bank, std::vector<LogEntry>& entries) {
  for (std::size_t at = 0; at < kLastStart;) {
    const auto length = read_u16(bank, at);
    if (length == kNoEntry) {
      break;
    }
    if (length < kHeader || at + length > kEntriesEnd) {
      return fail(Errc::corrupt,
                  "the device's log has an entry of length " + std::to_string(length),
                  {.reason = "device.error", .value = std::to_string(length)});
    }
    Reader reader{bank.subspan(at, length)};
    static_cast<void>(reader.bytes(3));
    LogEntry entry;
    const auto priority = *reader.little_endian<std::uint8_t>();
    entry.priority = priority <= 6 ? static_cast<LogPriority>(priority) : LogPriority::none;
    entry.category = *reader.little_endian<std::uint16_t>();
    entry.id = *reader.little_endian<std::uint16_t>();
    entry.milliseconds = *reader.little_endian<std::uint32_t>();
    const auto parameters = *reader.bytes(length - kHeader);
    entry.parameters.assign(parameters.begin(), parameters.end());
    entries.push_back(std::move(entry));
    at += length;
  }
  return {};
}

// The next parameter as JSON and as text; nothing when the bytes are at their end.
std::optional<json::Value> take_parameter(Reader& reader, LogParameterType type) {
  switch (type) {
    case LogParameterType::integer:
    case LogParameterType::common_error: {
      const auto value = reader.little_endian<std::uint32_t>();
      return value ? std::optional{json::Value{
                         static_cast<std::int64_t>(static_cast<std::int32_t>(*value))}}
                   : std::nullopt;
    }
    case LogParameterType::unsigned_integer: {
      const auto value = reader.little_endian<std::uint32_t>();
      return value ? std::optional{json::Value{static_cast<std::int64_t>(*value)}} : std::nullopt;
    }
    case LogParameterType::ip_address: {
      const auto raw = reader.bytes(4);
      if (!raw) {
        return std::nullopt;
      }
      std::string text;
      for (const auto byte : *raw) {
        text += (text.empty() ? "" : ".") + std::to_string(std::to_integer<int>(byte));
      }
      return json::Value{text};
    }
    case LogParameterType::unique_id: {
      const auto raw = reader.bytes(Guid::kSize);
      return raw ? std::optional{json::Value{Guid::from_stored(raw->first<Guid::kSize>()).text()}}
                 : std::nullopt;
    }
    case LogParameterType::string: {
      std::string text;
      for (auto byte = reader.little_endian<std::uint8_t>(); byte && *byte != 0;
           byte = reader.little_endian<std::uint8_t>()) {
        text.push_back(static_cast<char>(*byte));
      }
      return json::Value{is_valid_utf8(text) ? text : escape_control(text)};
    }
  }
  return std::nullopt;
}

std::vector<std::string> parameter_texts(const LogEntry& entry, const LogMessage& message) {
  std::vector<std::string> texts;
  Reader reader{entry.parameters};
  for (const auto& parameter : message.parameters) {
    const auto value = take_parameter(reader, parameter.type);
    if (!value) {
      break;
    }
    auto text = value->string() != nullptr ? *value->string() : value->number_text();
    if (parameter.type == LogParameterType::common_error) {
      const auto code = static_cast<ErrorCode>(value->integer().value_or(0));
      const auto* row = find_error(code);
      text += " (" + (row != nullptr ? std::string{row->name} : error_name(code)) + ")";
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace

std::string_view to_text(LogPriority priority) {
  constexpr std::array<std::string_view, 7> kNames = {"None", "Fatal", "Error", "Warning",
                                                      "Info", "Debug", "Trace"};
  return kNames.at(static_cast<std::size_t>(priority));
}

std::optional<LogPriority> parse_log_priority(std::string_view text) {
  for (std::uint8_t number = 0; number <= 6; ++number) {
    const auto priority = static_cast<LogPriority>(number);
    if (to_lower(text) == to_lower(to_text(priority))) {
      return priority;
    }
  }
  return std::nullopt;
}

std::string_view to_text(LogParameterType type) {
  constexpr std::array<std::string_view, 6> kNames = {"integer",   "unsignedInteger", "commonError",
                                                      "ipAddress", "uniqueId",        "string"};
  return kNames.at(static_cast<std::size_t>(type));
}

LogParameters& LogParameters::integer(std::int32_t value) {
  return unsigned_integer(static_cast<std::uint32_t>(value));
}

LogParameters& LogParameters::unsigned_integer(std::uint32_t value) {
  Writer writer;
  writer.little_endian(value);
  bytes_.insert(bytes_.end(), writer.data().begin(), writer.data().end());
  return *this;
}

LogParameters& LogParameters::text(std::string_view value) {
  for (const char character : cut_utf8(value, kLongestText)) {
    const bool control = static_cast<unsigned char>(character) < ' ' || character == '\x7f';
    bytes_.push_back(static_cast<std::byte>(control ? '?' : character));
  }
  bytes_.push_back(std::byte{0});
  return *this;
}

LogRing::LogRing(std::size_t banks)
    : banks_{std::clamp<std::size_t>(banks, 1, 256)},
      bytes_(banks_ * kLogBankBytes, std::byte{0xFF}) {
  current_ = banks_ - 1;
  used_ = kLastStart;  // The first entry begins bank 0.
}

std::span<std::byte> LogRing::bank(std::size_t index) {
  return std::span{bytes_}.subspan(index * kLogBankBytes, kLogBankBytes);
}

void LogRing::begin_bank() {
  if (counter_ > kLastCounter) {
    // The reader knows no roll-over: the banks are numbered anew in their order.
    counter_ = 0;
    for (std::size_t step = 1; step <= banks_; ++step) {
      auto other = bank((current_ + step) % banks_);
      if (read_u16(other, kEntriesEnd) != kNoEntry) {
        write_u16(other, kEntriesEnd, counter_++);
      }
    }
  }
  current_ = (current_ + 1) % banks_;
  used_ = 0;
  std::ranges::fill(bank(current_), std::byte{0xFF});
  write_u16(bank(current_), kEntriesEnd, counter_++);
  write_u16(bank(current_), kEntriesEnd + 2, 0);
}

void LogRing::add(const LogEntry& entry) {
  const bool fits = entry.parameters.size() <= kEntriesEnd - kHeader;
  const auto length = kHeader + (fits ? entry.parameters.size() : 0);
  if (used_ >= kLastStart || used_ + length > kEntriesEnd) {
    begin_bank();
  }
  Writer writer;
  writer.little_endian(static_cast<std::uint16_t>(length))
      .little_endian(std::uint8_t{0})
      .little_endian(static_cast<std::uint8_t>(entry.priority))
      .little_endian(entry.category)
      .little_endian(entry.id)
      .little_endian(entry.milliseconds);
  if (fits) {
    writer.bytes(entry.parameters);
  }
  std::ranges::copy(writer.data(), bank(current_).subspan(used_).begin());
  used_ += length;
}

Result<std::vector<LogEntry>> read_log(std::span<const std::byte> bytes) {
  const auto banks = bytes.size() / kLogBankBytes;
  if (bytes.size() % kLogBankBytes != 0 || banks == 0 || banks > 256) {
    return fail(Errc::corrupt,
                "the device's log is no number of whole banks: " + std::to_string(bytes.size()),
                {.reason = "device.error", .value = std::to_string(bytes.size())});
  }
  std::size_t oldest = 0;
  std::uint16_t smallest = kNoEntry;
  for (std::size_t index = 0; index < banks; ++index) {
    const auto counter = read_u16(bank_of(bytes, index), kEntriesEnd);
    if (counter < smallest) {
      smallest = counter;
      oldest = index;
    }
  }
  std::vector<LogEntry> entries;
  for (std::size_t step = 0; step < banks; ++step) {
    SPHERE_TRY(read_bank(bank_of(bytes, (oldest + step) % banks), entries));
  }
  return entries;
}

json::Value log_parameters(const LogEntry& entry) {
  json::Value values{json::Object{}};
  const auto* message = find_log_message(entry.category, entry.id);
  if (message == nullptr) {
    return values;
  }
  Reader reader{entry.parameters};
  for (const auto& parameter : message->parameters) {
    auto value = take_parameter(reader, parameter.type);
    if (!value) {
      break;
    }
    values.set(std::string{parameter.name}, *std::move(value));
  }
  return values;
}

std::string log_text(const LogEntry& entry) {
  const auto* message = find_log_message(entry.category, entry.id);
  if (message == nullptr) {
    return "message " + std::to_string(entry.id) + " of category " + std::to_string(entry.category);
  }
  const auto texts = parameter_texts(entry, *message);
  std::string text;
  for (std::size_t at = 0; at < message->text.size(); ++at) {
    const bool place =
        message->text[at] == '{' && at + 2 < message->text.size() && message->text[at + 2] == '}';
    if (!place) {
      text.push_back(message->text[at]);
      continue;
    }
    const auto index = static_cast<std::size_t>(message->text[at + 1] - '0');
    text += index < texts.size() ? texts[index] : "?";
    at += 2;
  }
  return text;
}

std::string log_line(const LogEntry& entry) {
  const auto seconds = std::to_string(entry.milliseconds / 1000);
  const auto rest = std::to_string(1000 + entry.milliseconds % 1000).substr(1);
  const auto name = log_category_name(entry.category);
  return "[" + seconds + "." + rest + "] " + std::string{to_text(entry.priority)} + " " +
         (name.empty() ? std::to_string(entry.category) : std::string{name}) + "(" +
         std::to_string(entry.id) + "): " + log_text(entry);
}

json::Value log_manifest(std::uint16_t category) {
  json::Value messages{json::Array{}};
  for (const auto& message : log_messages()) {
    if (message.category != category) {
      continue;
    }
    json::Value row;
    row.set("msgName", message.name)
        .set("msgId", static_cast<std::int64_t>(message.id))
        .set("msgString", message.text)
        .set("msgPriority", to_text(message.priority));
    json::Value parameters{json::Array{}};
    for (const auto& parameter : message.parameters) {
      parameters.push(
          json::Value{}.set("paramName", parameter.name).set("paramType", to_text(parameter.type)));
    }
    if (!message.parameters.empty()) {
      row.set("params", std::move(parameters));
    }
    messages.push(std::move(row));
  }
  if (messages.items().empty()) {
    return {};
  }
  return json::Value{}
      .set("version", "1.0")
      .set("categoryId", static_cast<std::int64_t>(category))
      .set("categoryName", log_category_name(category))
      .set("msgIds", std::move(messages));
}

std::vector<std::uint16_t> log_categories() {
  std::vector<std::uint16_t> categories;
  for (const auto& message : log_messages()) {
    categories.push_back(message.category);
  }
  std::ranges::sort(categories);
  const auto repeated = std::ranges::unique(categories);
  categories.erase(repeated.begin(), repeated.end());
  return categories;
}

}  // namespace sphere::device_api
