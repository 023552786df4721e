// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

namespace sphere::recovery::v3 {

// What Sphere recovery v3 puts on the wire (docs/protocols/recovery-v3.md). A frame is COBS with 00
// at its end; inside, little-endian:
//
//   0      1  03
//   1      1  kind: 1 message, 2 data, 3 answer to a message, 4 answer to data
//   2      2  bytes of the payload, n
//   4      4  sequence number
//   8      n  payload
//   8 + n  4  CRC-32C of all before
//
// What has a wrong length, version, kind or CRC is dropped. A message's payload is u16 type, u16
// length, data. The first messages of a session, Initialization and its answer, are in the framing
// of v2 (v2_messages.h), so that both sides can tell which version the other speaks.
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::size_t kMessageLimit = 2048;  // Data of a message.
inline constexpr std::uint16_t kBlockStep = 512;    // Block sizes are multiples of this.
inline constexpr std::uint16_t kBlockLimit = 16384;
inline constexpr std::uint16_t kWindowLimit = 64;
inline constexpr std::size_t kFrameLimit = 8 + 4 + kBlockLimit + 4;  // Decoded.
inline constexpr std::size_t kIdDigits = 128;
inline constexpr std::uint8_t kRaw = 1;  // Encoding of bulk data; the only one that is spoken here.
inline constexpr std::uint64_t kToEnd = ~std::uint64_t{0};
inline constexpr std::string_view kManifestFile = "sphere.recoverymanifest";

using Nonce = std::array<std::byte, 16>;

enum class Kind : std::uint8_t { message = 1, data = 2, message_ack = 3, data_ack = 4 };

struct Frame {
  Kind kind = Kind::message;
  std::uint32_t sequence = 0;
  std::span<const std::byte> payload = {};
};
void append_frame(const Frame& frame, std::vector<std::byte>& wire);
// Reads what COBS gave. Nothing: it is no frame of v3.
[[nodiscard]] std::optional<Frame> parse_frame(std::span<const std::byte> bytes);

enum class Type : std::uint16_t {  // NOLINT(performance-enum-size): as wide as on the wire.
  // The device's.
  status_request = 0x02,
  image_request_capability = 0x04,   // Request
  image_request_manifest = 0x05,     // Request
  image_request_by_filename = 0x07,  // Request with a name
  progress_update = 0x08,            // ProgressNote
  log_entry = 0x0A,                  // u8 level, UTF-8
  recovery_event = 0x0B,             // u8 event, perhaps u16 index of an image
  recovery_error = 0x0C,             // ErrorNote
  recovery_complete = 0x0D,          // Completion
  inventory = 0x20,                  // Inventory
  image_verified = 0x21,             // ImageVerified
  // The host's.
  server_ready = 0xA1,
  status_busy = 0xA2,          // u32 ms
  image_request_ack = 0xA4,    // FileAnswer
  image_request_error = 0xA5,  // RequestError
  abort_recovery = 0xA6,       // u16 code, text, NUL
  proceed = 0xB0,              // Proceed
  reboot = 0xB1,               // u8: 0 normal, 1 recovery
};

enum class EventCode : std::uint8_t {
  erase_started = 7,
  erase_complete = 8,
  manifest_received = 9,
  manifest_accepted = 10,
  images_verified = 11,
  boot_record_written = 12,
};

struct Message {
  std::uint16_t type = 0;
  std::span<const std::byte> data;
};
// `data` has at most kMessageLimit bytes.
void append_message(std::uint32_t sequence, Type type, std::span<const std::byte> data,
                    std::vector<std::byte>& wire);
[[nodiscard]] std::optional<Message> parse_message(std::span<const std::byte> payload);

// A block of a file: u32 transfer, bytes; the sequence number is the block's index.
void append_data(std::uint32_t transfer, std::uint32_t block, std::span<const std::byte> bytes,
                 std::vector<std::byte>& wire);

// The answer to data: all blocks before `next` are there, and next + 1 + i where bit i is set.
struct DataAck {
  std::uint32_t transfer = 0;
  std::uint32_t next = 0;    // The frame's sequence number.
  std::uint16_t credit = 0;  // Blocks from `next` on that the device can take now.
  std::uint64_t bitmap = 0;

  [[nodiscard]] bool operator==(const DataAck&) const = default;
};
void append_data_ack(const DataAck& ack, std::vector<std::byte>& wire);
[[nodiscard]] std::optional<DataAck> parse_data_ack(const Frame& frame);

// --- The start of a session. Tags that are not known are skipped. ---

// What is left of an earlier session.
struct JournalNote {
  crypto::Sha256Digest manifest = {};
  std::uint16_t verified = 0;
  std::uint16_t images = 0;

  [[nodiscard]] bool operator==(const JournalNote&) const = default;
};

// Initialization: u32 version, 128 hex digits, NUL, then {u8 tag, u8 length, value}.
struct Greeting {
  std::string device_id = std::string(kIdDigits, '0');
  Nonce nonce = {};                                   // 01, mandatory
  std::uint16_t block = kBlockStep;                   // 02, the largest
  std::uint16_t window = 1;                           // 03, the largest, in blocks
  std::uint8_t encodings = kRaw;                      // 04
  std::vector<std::uint32_t> rates = {};              // 05, 1 to 8 of them; UART only
  std::string board_id = {};                          // 07, at most 32 bytes
  std::optional<std::uint32_t> loader_version = {};   // 08
  std::optional<std::uint32_t> floor = {};            // 09, least security version
  std::optional<std::uint64_t> flash_size = {};       // 0A
  std::vector<crypto::Sha256Digest> owner_keys = {};  // 0B, at most four times
  std::optional<std::uint8_t> lifecycle = {};         // 0C: 0 blank, 1 owned, 2 locked
  std::optional<JournalNote> journal = {};            // 0D
  std::optional<std::uint16_t> last_error = {};       // 0E

  [[nodiscard]] bool operator==(const Greeting&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_greeting(const Greeting& greeting);
// Nothing: another version, a value outside its range, a tag twice, or one that is cut.
[[nodiscard]] std::optional<Greeting> parse_greeting(std::span<const std::byte> data);
// Of any Initialization, v2 included.
[[nodiscard]] std::optional<std::uint32_t> greeting_version(std::span<const std::byte> data);

// InitializationAck: u32 version, then the tags of the greeting with what was chosen.
struct Choice {
  Nonce nonce = {};
  std::uint16_t block = kBlockStep;
  std::uint16_t window = 1;
  std::uint8_t encoding = kRaw;
  std::optional<std::uint32_t> rate = {};
  std::uint8_t log_level = 0;  // 06

  [[nodiscard]] bool operator==(const Choice&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_choice(const Choice& choice);
[[nodiscard]] std::optional<Choice> parse_choice(std::span<const std::byte> data);

// --- Data of messages. parse_*(): nothing when a length or value is wrong. ---

struct Request {
  std::uint32_t transfer = 0;  // New for each request, from 1.
  std::uint64_t offset = 0;
  std::uint64_t most = kToEnd;
  std::uint16_t block = kBlockStep;
  std::uint16_t window = 1;
  std::uint8_t encodings = kRaw;
  std::string_view name = {};  // Points into the data.

  [[nodiscard]] bool operator==(const Request&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_request(const Request& request, bool with_name);
[[nodiscard]] std::optional<Request> parse_request(std::span<const std::byte> data, bool with_name);

struct FileAnswer {
  std::uint32_t transfer = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;       // Decoded bytes to come.
  std::uint64_t size = 0;         // Of the whole file.
  std::uint64_t wire_length = 0;  // Bytes to come as they are sent.
  std::uint16_t block = kBlockStep;
  std::uint16_t window = 1;
  std::uint8_t encoding = kRaw;
  crypto::Sha256Digest sha256 = {};  // Of the whole file.

  [[nodiscard]] bool operator==(const FileAnswer&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_file_answer(const FileAnswer& answer);
[[nodiscard]] std::optional<FileAnswer> parse_file_answer(std::span<const std::byte> data);

struct RequestError {
  std::uint32_t transfer = 0;
  std::uint16_t code = 0;
};
[[nodiscard]] std::vector<std::byte> write_request_error(const RequestError& error);
[[nodiscard]] std::optional<RequestError> parse_request_error(std::span<const std::byte> data);

enum class Phase : std::uint8_t { erase = 1, write = 2, verify = 3, commit = 4 };
struct ProgressNote {
  Phase phase = Phase::erase;
  std::uint16_t images_left = 0;
  std::uint16_t images = 0;
  std::uint64_t bytes_left = 0;
  std::uint64_t bytes = 0;
  std::uint32_t next_within_ms = 0;  // At most 10,000: when the next message comes.

  [[nodiscard]] bool operator==(const ProgressNote&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_progress(const ProgressNote& note);
[[nodiscard]] std::optional<ProgressNote> parse_progress(std::span<const std::byte> data);

struct ErrorNote {
  std::uint16_t category = 0;
  std::uint16_t code = 0;
  std::uint32_t detail = 0;
  std::string text = {};  // At most 96 bytes.

  [[nodiscard]] bool operator==(const ErrorNote&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_error(const ErrorNote& note);
[[nodiscard]] std::optional<ErrorNote> parse_error(std::span<const std::byte> data);

struct Completion {
  crypto::Sha256Digest manifest = {};
  std::uint32_t written = 0;
  std::uint32_t skipped = 0;
  std::uint64_t bytes = 0;
  crypto::Signature signature = {};  // Zeros of a device without a key.

  [[nodiscard]] bool operator==(const Completion&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_completion(const Completion& completion);
[[nodiscard]] std::optional<Completion> parse_completion(std::span<const std::byte> data);
// What the signature is over: "sphere-recovery-v3", nonce, manifest, written, skipped.
[[nodiscard]] crypto::Sha256Digest completion_digest(const Nonce& nonce,
                                                     const Completion& completion);

enum class ImageState : std::uint8_t { missing = 0, verified = 1, wrong = 2, partly = 3 };
struct InventoryEntry {
  ImageState state = ImageState::missing;
  std::uint16_t index = 0;
  std::uint64_t resume = 0;  // Of state `partly`: where the next byte goes.

  [[nodiscard]] bool operator==(const InventoryEntry&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_inventory(std::span<const InventoryEntry> entries);
[[nodiscard]] std::optional<std::vector<InventoryEntry>> parse_inventory(
    std::span<const std::byte> data);

struct ImageVerified {
  std::uint16_t index = 0;
  std::uint8_t result = 0;  // 0 good, 1 another hash, 2 not readable
  crypto::Sha256Digest sha256 = {};

  [[nodiscard]] bool operator==(const ImageVerified&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_image_verified(const ImageVerified& verified);
[[nodiscard]] std::optional<ImageVerified> parse_image_verified(std::span<const std::byte> data);

enum class Mode : std::uint8_t { verify_only = 0, write_changed = 1, write_all = 2 };
struct Proceed {
  Mode mode = Mode::write_changed;
  bool keep_data = false;
  crypto::Sha256Digest manifest = {};

  [[nodiscard]] bool operator==(const Proceed&) const = default;
};
[[nodiscard]] std::vector<std::byte> write_proceed(const Proceed& proceed);
[[nodiscard]] std::optional<Proceed> parse_proceed(std::span<const std::byte> data);

}  // namespace sphere::recovery::v3
