// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

// The diagnostic log (GET /log): a ring of banks of 4096 bytes, little-endian.
//
//   bank    0      entries; the unused rest is 0xFF
//        4092   2  counter; the bank with the smallest one is the oldest
//        4094   2  status, 0
//   An empty bank is 4096 bytes of 0xFF.
//
//   entry   0   2  length with this header, at least 12; 0xFFFF: no more in this bank
//           2   1  0
//           3   1  priority
//           4   2  category
//           6   2  message id
//           8   4  milliseconds since start
//          12      parameters, in the order of the message
//
// No entry reaches byte 4092, and none starts at or after 4080: the public reader goes on to the
// next bank there.
namespace sphere::device_api {

enum class LogPriority : std::uint8_t {
  none = 0,
  fatal = 1,
  error = 2,
  warning = 3,
  info = 4,
  debug = 5,
  trace = 6,
};
[[nodiscard]] std::string_view to_text(LogPriority priority);                        // "Info"
[[nodiscard]] std::optional<LogPriority> parse_log_priority(std::string_view text);  // Any case.

enum class LogParameterType : std::uint8_t {
  integer,           // 4 bytes, signed.
  unsigned_integer,  // 4 bytes.
  common_error,      // 4 bytes: an ErrorCode.
  ip_address,        // 4 bytes in reading order.
  unique_id,         // 16 bytes, a GUID in stored order.
  string,            // UTF-8 with a NUL.
};
[[nodiscard]] std::string_view to_text(LogParameterType type);  // "unsignedInteger"

struct LogParameter {
  std::string_view name;
  LogParameterType type;
};

// One row of the table of messages.
struct LogMessage {
  std::uint16_t category;
  std::uint16_t id;
  LogPriority priority;
  std::string_view name;
  std::string_view text;  // "{0}" is the first parameter.
  std::span<const LogParameter> parameters;
};
[[nodiscard]] std::span<const LogMessage> log_messages();
[[nodiscard]] const LogMessage* find_log_message(std::uint16_t category, std::uint16_t id);
[[nodiscard]] std::string_view log_category_name(std::uint16_t category);  // "" when unknown.

// The messages of our own parts, by name. Category and id are those of the table.
struct LogMessageId {
  std::uint16_t category;
  std::uint16_t id;
};
inline constexpr LogMessageId kLogBoot{.category = 3, .id = 1};
inline constexpr LogMessageId kLogRequest{.category = 6, .id = 1};
inline constexpr LogMessageId kLogRefusal{.category = 6, .id = 2};
inline constexpr LogMessageId kLogRestart{.category = 20, .id = 1};
inline constexpr LogMessageId kLogEvent{.category = 7, .id = 1};
inline constexpr LogMessageId kLogInterface{.category = 22, .id = 1};
inline constexpr LogMessageId kLogProxy{.category = 22, .id = 2};
inline constexpr LogMessageId kLogCertificate{.category = 30, .id = 1};
inline constexpr LogMessageId kLogWifi{.category = 34, .id = 1};
inline constexpr LogMessageId kLogManufacturing{.category = 3, .id = 2};
inline constexpr LogMessageId kLogCapability{.category = 262, .id = 1};

struct LogEntry {
  std::uint32_t milliseconds = 0;
  LogPriority priority = LogPriority::info;
  std::uint16_t category = 0;
  std::uint16_t id = 0;
  std::vector<std::byte> parameters = {};
};

// Builds the parameters of an entry. A string is cut at 200 bytes on a character boundary; its
// control characters become '?'.
class LogParameters {
 public:
  LogParameters& integer(std::int32_t value);
  LogParameters& unsigned_integer(std::uint32_t value);
  LogParameters& text(std::string_view value);
  [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

inline constexpr std::size_t kLogBankBytes = 4096;
inline constexpr std::size_t kLogBanks = 8;

// The writer. Not for several threads at once.
class LogRing {
 public:
  explicit LogRing(std::size_t banks = kLogBanks);  // 1 to 256.
  // Entries longer than a bank are cut to their header.
  void add(const LogEntry& entry);
  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }
  // For tests: the number that the next bank gets.
  void set_counter(std::uint16_t counter) noexcept { counter_ = counter; }

 private:
  void begin_bank();
  [[nodiscard]] std::span<std::byte> bank(std::size_t index);
  std::size_t banks_;
  std::size_t current_ = 0;
  std::size_t used_ = 0;
  std::uint16_t counter_ = 0;
  std::vector<std::byte> bytes_;
};

// All entries, oldest first. Errors: corrupt (a length that is no number of whole banks, an entry
// that leaves its bank).
[[nodiscard]] Result<std::vector<LogEntry>> read_log(std::span<const std::byte> bytes);

// The parameters of `entry` by their names, as its message in the table tells; bytes that do not
// fit it are left out.
[[nodiscard]] json::Value log_parameters(const LogEntry& entry);
// The text of the message with its parameters; "message 7 of category 6" for an unknown one.
[[nodiscard]] std::string log_text(const LogEntry& entry);
// "[1.234] Info gatewayd(1): text"
[[nodiscard]] std::string log_line(const LogEntry& entry);

// The manifest of one category, as public parsers of the log read it; null without messages.
[[nodiscard]] json::Value log_manifest(std::uint16_t category);
[[nodiscard]] std::vector<std::uint16_t> log_categories();  // Those with messages.

}  // namespace sphere::device_api
