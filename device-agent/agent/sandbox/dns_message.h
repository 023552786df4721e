// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/sandbox/ip_address.h"

namespace sphere::agent {

// DNS messages (RFC 1035) as the stub of an app reads and writes them. All integers big-endian:
//
//   0   2      4        6        8          10          12
//   +---+------+--------+--------+----------+-----------+---------------- -
//   |id |flags |questions|answers|authority |additional |questions, records
//   +---+------+--------+--------+----------+-----------+---------------- -
//
// A name is labels of a length byte and 1 to 63 bytes, ended by 0, or by a pointer (two bytes,
// 0xC000 + offset) to an earlier place. Names are compared in lower case without the last dot.
inline constexpr std::size_t kDnsMessageBytes = 1232;  // What the stub asks for, and takes.
inline constexpr std::size_t kDnsReplyBytes = 512;     // What every client takes.
inline constexpr std::size_t kMostAliases = 8;

// NOLINTNEXTLINE(performance-enum-size): the size of the field
enum class DnsType : std::uint16_t { a = 1, cname = 5, ptr = 12, txt = 16, aaaa = 28, srv = 33 };
enum class DnsCode : std::uint8_t {
  no_error = 0,
  malformed = 1,
  failure = 2,
  no_such_name = 3,
  not_implemented = 4,
  refused = 5,
};

struct DnsQuestion {
  std::string name;  // Lower case, no dot at the end.
  std::uint16_t type = 0;
  friend bool operator==(const DnsQuestion&, const DnsQuestion&) = default;
};

struct DnsQuery {
  std::uint16_t id = 0;
  DnsQuestion question;
};

struct DnsAddress {
  IpAddress address;
  std::uint32_t ttl = 0;  // Seconds.
};

struct DnsAnswer {
  std::uint16_t id = 0;
  DnsCode code = DnsCode::no_error;
  DnsQuestion question;
  // Of the name that the aliases end at, of the type asked for.
  std::vector<DnsAddress> addresses;
  // The name that the aliases end at, when it is not that of the question.
  std::string alias;
  std::size_t aliases = 0;           // How many there were.
  std::vector<std::string> targets;  // Of SRV records.
};

// Lower case, without the last dot. Nothing when it is no name: empty, longer than 253 bytes, or
// with a label that is empty, longer than 63 bytes or has another character than a letter, digit,
// hyphen or underscore.
[[nodiscard]] std::optional<std::string> normalise_name(std::string_view name);

// A query of one question in class IN; nothing for anything else.
[[nodiscard]] std::optional<DnsQuery> read_query(std::span<const std::byte> message);

// A reply to one question. Nothing when it is malformed anywhere, or has more than kMostAliases.
[[nodiscard]] std::optional<DnsAnswer> read_answer(std::span<const std::byte> message);

[[nodiscard]] std::vector<std::byte> write_query(const DnsQuery& query);

// A reply of at most kDnsReplyBytes; addresses that do not fit are left out.
[[nodiscard]] std::vector<std::byte> write_reply(const DnsQuery& query, DnsCode code,
                                                 std::span<const DnsAddress> addresses);

}  // namespace sphere::agent
