// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/dns_message.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kLabelBytes = 63;
constexpr std::size_t kNameBytes = 253;
constexpr std::size_t kMostRecords = 128;  // Of a message of kDnsMessageBytes; each has 11 bytes.
constexpr std::uint16_t kInternet = 1;
constexpr std::uint16_t kIsReply = 0x8000;
constexpr std::uint16_t kOperation = 0x7800;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;
constexpr std::uint16_t kCode = 0x000F;

bool is_name_character(char character) {
  return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
         character == '-' || character == '_';
}

// Reads big-endian integers and names; remembers its first failure.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> message) : message_{message} {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t position() const { return position_; }

  std::uint16_t number16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t number32() { return static_cast<std::uint32_t>(number(4)); }

  std::span<const std::byte> bytes(std::size_t count) {
    if (!ok_ || count > message_.size() - position_) {
      ok_ = false;
      return {};
    }
    const auto found = message_.subspan(position_, count);
    position_ += count;
    return found;
  }

  // Pointers lead backward only, so that every turn gets nearer to the start.
  std::string name() {
    std::string text;
    std::size_t at = position_;
    std::size_t limit = position_;  // Where the next pointer must lead before.
    bool jumped = false;
    while (ok_) {
      const auto length = byte_at(at);
      if ((length & 0xC0U) == 0xC0U) {
        const auto target = (std::size_t{length & 0x3FU} << 8U) | byte_at(at + 1);
        leave(jumped, at + 2);
        ok_ = ok_ && target < limit;
        limit = target;
        at = target;
        continue;
      }
      if (length == 0) {
        leave(jumped, at + 1);
        return text;
      }
      append_label(text, at + 1, length);
      at += 1 + std::size_t{length};
    }
    return {};
  }

 private:
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const auto byte : bytes(size)) {
      value = value << 8U | std::to_integer<std::uint64_t>(byte);
    }
    return value;
  }

  unsigned byte_at(std::size_t at) {
    if (at >= message_.size()) {
      ok_ = false;
      return 0;
    }
    return std::to_integer<unsigned>(message_[at]);
  }

  void leave(bool& jumped, std::size_t position) {
    if (!jumped) {
      position_ = std::min(position, message_.size());
    }
    jumped = true;
  }

  void append_label(std::string& text, std::size_t at, std::size_t length) {
    if (length > kLabelBytes || at > message_.size() || length > message_.size() - at ||
        text.size() + length + 1 > kNameBytes + 1) {
      ok_ = false;
      return;
    }
    if (!text.empty()) {
      text.push_back('.');
    }
    for (const auto byte : message_.subspan(at, length)) {
      auto character = std::to_integer<char>(byte);
      if (character >= 'A' && character <= 'Z') {
        character = static_cast<char>(character - 'A' + 'a');
      }
      ok_ = ok_ && is_name_character(character);
      text.push_back(character);
    }
  }

  std::span<const std::byte> message_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

struct Header {
  std::uint16_t id = 0, flags = 0, questions = 0, answers = 0;
};

std::optional<Header> read_header(Cursor& cursor) {
  Header header;
  header.id = cursor.number16();
  header.flags = cursor.number16();
  header.questions = cursor.number16();
  header.answers = cursor.number16();
  // Authority and additional records are not looked at.
  cursor.bytes(4);
  return cursor.ok() && header.questions == 1 ? std::optional{header} : std::nullopt;
}

std::optional<DnsQuestion> read_question(Cursor& cursor) {
  DnsQuestion question{.name = cursor.name()};
  question.type = cursor.number16();
  const auto type_class = cursor.number16();
  return cursor.ok() && type_class == kInternet && !question.name.empty() ? std::optional{question}
                                                                          : std::nullopt;
}

struct Records {
  std::map<std::string, std::string> aliases;
  std::vector<std::pair<std::string, DnsAddress>> addresses;
  std::vector<std::string> targets;
};

// One record. False when it is malformed; one of another kind is passed over.
bool read_record(Cursor& cursor, const DnsQuestion& question, Records& records) {
  const auto owner = cursor.name();
  const auto type = cursor.number16();
  const auto type_class = cursor.number16();
  const auto ttl = cursor.number32();
  const auto length = cursor.number16();
  const auto end = cursor.position() + length;
  if (!cursor.ok()) {
    return false;
  }
  const auto kind = static_cast<DnsType>(type);
  const bool internet = type_class == kInternet;
  if (internet && kind == DnsType::cname) {
    records.aliases.emplace(owner, cursor.name());
  } else if (internet && kind == DnsType::srv) {
    cursor.bytes(6);  // Priority, weight, port.
    records.targets.push_back(cursor.name());
  } else if (internet && type == question.type && (kind == DnsType::a || kind == DnsType::aaaa)) {
    DnsAddress address{.address = {.v6 = kind == DnsType::aaaa}, .ttl = ttl};
    const auto bytes = cursor.bytes(kind == DnsType::aaaa ? 16 : 4);
    std::ranges::transform(bytes, address.address.bytes.begin(),
                           [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
    records.addresses.emplace_back(owner, address);
  } else {
    cursor.bytes(length);
  }
  return cursor.ok() && cursor.position() == end;
}

bool follow_aliases(const Records& records, DnsAnswer& answer) {
  auto name = answer.question.name;
  for (auto next = records.aliases.find(name); next != records.aliases.end();
       next = records.aliases.find(name)) {
    if (++answer.aliases > kMostAliases || next->second.empty()) {
      return false;
    }
    name = next->second;
  }
  for (const auto& [owner, address] : records.addresses) {
    if (owner == name) {
      answer.addresses.push_back(address);
    }
  }
  if (name != answer.question.name) {
    answer.alias = name;
  }
  return true;
}

class Composer {
 public:
  void number16(std::size_t value) {
    bytes_.push_back(static_cast<std::byte>(value >> 8U & 0xFFU));
    bytes_.push_back(static_cast<std::byte>(value & 0xFFU));
  }
  void number32(std::uint32_t value) {
    number16(value >> 16U);
    number16(value & 0xFFFFU);
  }
  void question(const DnsQuestion& question) {
    for (const auto& label : split(question.name, '.')) {
      bytes_.push_back(static_cast<std::byte>(label.size()));
      for (const char character : label) {
        bytes_.push_back(static_cast<std::byte>(character));
      }
    }
    bytes_.push_back(std::byte{0});
    number16(question.type);
    number16(kInternet);
  }
  void bytes(std::span<const std::uint8_t> data) {
    for (const auto byte : data) {
      bytes_.push_back(std::byte{byte});
    }
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

std::size_t address_bytes(const DnsAddress& address) { return address.address.v6 ? 16 : 4; }

}  // namespace

std::optional<std::string> normalise_name(std::string_view name) {
  if (name.ends_with('.')) {
    name.remove_suffix(1);
  }
  if (name.empty() || name.size() > kNameBytes) {
    return std::nullopt;
  }
  std::string text;
  for (const char character : name) {
    text.push_back(character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                                        : character);
  }
  for (const auto& label : split(text, '.')) {
    if (label.empty() || label.size() > kLabelBytes ||
        !std::ranges::all_of(label, is_name_character)) {
      return std::nullopt;
    }
  }
  return text;
}

std::optional<DnsQuery> read_query(std::span<const std::byte> message) {
  Cursor cursor{message};
  const auto header = read_header(cursor);
  if (!header || (header->flags & (kIsReply | kOperation)) != 0 || header->answers != 0) {
    return std::nullopt;
  }
  auto question = read_question(cursor);
  if (!question) {
    return std::nullopt;
  }
  return DnsQuery{.id = header->id, .question = *std::move(question)};
}

std::optional<DnsAnswer> read_answer(std::span<const std::byte> message) {
  Cursor cursor{message};
  const auto header = read_header(cursor);
  if (!header || (header->flags & kIsReply) == 0 || header->answers > kMostRecords) {
    return std::nullopt;
  }
  auto question = read_question(cursor);
  if (!question) {
    return std::nullopt;
  }
  DnsAnswer answer{.id = header->id,
                   .code = static_cast<DnsCode>(header->flags & kCode),
                   .question = *std::move(question),
                   .addresses = {},
                   .alias = {},
                   .targets = {}};
  Records records;
  for (std::size_t i = 0; i < header->answers; ++i) {
    if (!read_record(cursor, answer.question, records)) {
      return std::nullopt;
    }
  }
  answer.targets = std::move(records.targets);
  return follow_aliases(records, answer) ? std::optional{std::move(answer)} : std::nullopt;
}

std::vector<std::byte> write_query(const DnsQuery& query) {
  constexpr std::uint16_t kExtension = 41;  // EDNS(0), RFC 6891: how much the stub takes.
  Composer message;
  message.number16(query.id);
  message.number16(kRecursionDesired);
  for (const auto count : std::array<std::size_t, 4>{1, 0, 0, 1}) {
    message.number16(count);
  }
  message.question(query.question);
  message.bytes(std::array<std::uint8_t, 1>{0});
  message.number16(kExtension);
  message.number16(kDnsMessageBytes);
  message.number32(0);
  message.number16(0);
  return message.take();
}

std::vector<std::byte> write_reply(const DnsQuery& query, DnsCode code,
                                   std::span<const DnsAddress> addresses) {
  constexpr std::size_t kRecordBytes = 12;  // Pointer to the name, type, class, TTL, length.
  constexpr std::size_t kNamePointer = 0xC000 + kHeaderBytes;
  // 2 bytes a label more than its text, at most one for each dot, and type and class.
  std::size_t size = kHeaderBytes + query.question.name.size() + 2 + 4;
  std::size_t count = 0;
  while (count < addresses.size() &&
         size + kRecordBytes + address_bytes(addresses[count]) <= kDnsReplyBytes) {
    size += kRecordBytes + address_bytes(addresses[count]);
    ++count;
  }
  Composer message;
  message.number16(query.id);
  message.number16(kIsReply | kRecursionDesired | kRecursionAvailable |
                   static_cast<std::uint16_t>(code));
  for (const std::size_t number : {std::size_t{1}, count, std::size_t{0}, std::size_t{0}}) {
    message.number16(number);
  }
  message.question(query.question);
  for (const auto& address : addresses.first(count)) {
    message.number16(kNamePointer);
    message.number16(static_cast<std::uint16_t>(address.address.v6 ? DnsType::aaaa : DnsType::a));
    message.number16(kInternet);
    message.number32(address.ttl);
    message.number16(address_bytes(address));
    message.bytes(std::span{address.address.bytes}.first(address_bytes(address)));
  }
  return message.take();
}

}  // namespace sphere::agent
