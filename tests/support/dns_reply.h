// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/sandbox/dns_message.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/text.h"

namespace sphere::test {

// A DNS reply written byte by byte, independent of the agent's own writer.
class DnsReply {
 public:
  DnsReply(const agent::DnsQuery& query, int code) {
    number(query.id, 2);
    number(0x8180U | static_cast<unsigned>(code), 2);
    number(1, 2);
    number(0, 2);
    number(0, 4);
    name(query.question.name);
    number(query.question.type, 2);
    number(1, 2);
  }
  DnsReply& address(std::string_view owner, std::string_view address, unsigned ttl = 60) {
    const auto parsed = agent::parse_address(address).value();
    record(owner, parsed.v6 ? 28 : 1, ttl);
    const std::size_t size = parsed.v6 ? 16 : 4;
    number(size, 2);
    for (std::size_t i = 0; i < size; ++i) {
      number(parsed.bytes[i], 1);
    }
    return *this;
  }
  DnsReply& alias(std::string_view owner, std::string_view target) {
    record(owner, 5, 60);
    number(target.size() + 2, 2);
    name(target);
    return *this;
  }
  DnsReply& service(std::string_view owner, std::string_view target) {
    record(owner, 33, 60);
    number(target.size() + 8, 2);
    number(0, 6);
    name(target);
    return *this;
  }
  [[nodiscard]] std::vector<std::byte> bytes() const {
    auto copy = bytes_;
    copy[7] = static_cast<std::byte>(records_);
    return copy;
  }

 private:
  void number(std::uint64_t value, std::size_t size) {
    for (std::size_t i = size; i-- > 0;) {
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFFU));
    }
  }
  void name(std::string_view text) {
    for (const auto& label : split(text, '.')) {
      number(label.size(), 1);
      for (const char character : label) {
        bytes_.push_back(static_cast<std::byte>(character));
      }
    }
    number(0, 1);
  }
  void record(std::string_view owner, unsigned type, unsigned ttl) {
    ++records_;
    name(owner);
    number(type, 2);
    number(1, 2);
    number(ttl, 4);
  }

  std::vector<std::byte> bytes_;
  unsigned records_ = 0;
};

}  // namespace sphere::test
