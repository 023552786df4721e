// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace sphere::recovery::v2 {

// Messages of recovery v2. A frame is COBS with 00 at its end; inside, little-endian:
//
//   0      2  length of what follows, without the CRC
//   2      2  type
//   4      2  length of the data, n
//   6      n  data
//   6 + n  2  CRC-16/XMODEM of all before
inline constexpr std::size_t kFrameLimit = 2048;  // Decoded.
inline constexpr std::size_t kNameLimit = 63;     // Of a file.

enum class Type : std::uint16_t {
  // The device's.
  request_unknown = 0x00,
  initialization = 0x01,  // u32 version, 128 hex digits, NUL
  status_request = 0x02,
  baudrate_switch_query = 0x03,
  image_request_capability = 0x04,    // u32 offset, u32 most
  image_request_manifest = 0x05,      // The same.
  image_request_recovery_app = 0x06,  // The same.
  image_request_by_filename = 0x07,   // u32 offset, u32 most, name, NUL
  progress_update = 0x08,
  log_config_query = 0x09,
  log_entry = 0x0A,
  recovery_event = 0x0B,  // u8 event
  recovery_error = 0x0C,
  recovery_complete = 0x0D,
  // The host's.
  initialization_ack = 0xA0,
  server_ready = 0xA1,
  status_busy = 0xA2,
  simple_query_ack = 0xA3,   // u8 answer
  image_request_ack = 0xA4,  // u32 offset, u32 bytes to come, u32 size of the file
  image_request_error = 0xA5,
  abort_recovery = 0xA6,
};

// Events. Those from `manifest_processed` on have numbers that no public source gives.
enum class EventCode : std::uint8_t {
  initialized = 1,
  capability_received = 2,
  capability_loaded = 3,
  runtime_booted = 6,
  erase_started = 7,
  erase_complete = 8,
  manifest_received = 9,
  manifest_processed = 10,
  complete = 11,
};

inline constexpr std::string_view kLoaderFile = "recovery-1bl-rtm.bin";
inline constexpr std::string_view kRuntimeFile = "recovery-runtime.bin";
inline constexpr std::string_view kManifestFile = "recovery.imagemanifest";

struct Message {
  std::uint16_t type = 0;
  std::span<const std::byte> data;
};

// Appends the message's frame to `wire`. `data` must fit into a frame.
void append_message(Type type, std::span<const std::byte> data, std::vector<std::byte>& wire);

// Reads a frame that COBS gave. Nothing: a wrong length or CRC.
[[nodiscard]] std::optional<Message> parse_message(std::span<const std::byte> frame);

struct FileRequest {
  std::uint32_t offset = 0;
  std::uint32_t most = 0xFFFFFFFF;
  std::string_view name = {};  // Points into the data.

  [[nodiscard]] bool operator==(const FileRequest&) const = default;
};
// Reads the data of an image request; `with_name` for one by file name. Nothing: it is cut, or the
// name is empty, longer than kNameLimit, without its NUL, or not of [A-Za-z0-9._-] with no dot in
// front.
[[nodiscard]] std::optional<FileRequest> parse_file_request(std::span<const std::byte> data,
                                                            bool with_name);
void append_file_request(const FileRequest& request, std::vector<std::byte>& wire);

struct FileAnswer {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t size = 0;
};
[[nodiscard]] std::optional<FileAnswer> parse_file_answer(std::span<const std::byte> data);
void append_file_answer(const FileAnswer& answer, std::vector<std::byte>& wire);

// Whether `name` may be a file of a recovery set.
[[nodiscard]] bool is_file_name(std::string_view name);

}  // namespace sphere::recovery::v2
