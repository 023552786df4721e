// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/ip_address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sphere::agent {
namespace {

struct Range {
  std::array<std::uint8_t, 16> start;
  unsigned bits;
};

// NOLINTBEGIN(modernize-use-designated-initializers): rows of tables
constexpr std::array kClosed4 = {
    Range{{0}, 8},
    Range{{10}, 8},
    Range{{100, 64}, 10},
    Range{{127}, 8},
    Range{{169, 254}, 16},
    Range{{172, 16}, 12},
    Range{{192, 0, 0}, 24},
    Range{{192, 0, 2}, 24},
    Range{{192, 168}, 16},
    Range{{198, 18}, 15},
    Range{{198, 51, 100}, 24},
    Range{{203, 0, 113}, 24},
    Range{{224}, 4},
    Range{{240}, 4},
};
constexpr std::array kClosed6 = {
    Range{{0}, 96},  // Unspecified, loopback and IPv4-compatible.
    Range{{0x01}, 64},       Range{{0x20, 0x01, 0x0d, 0xb8}, 32},
    Range{{0xfc}, 7},        Range{{0xfe, 0x80}, 10},
    Range{{0xfe, 0xc0}, 10}, Range{{0xff}, 8},
};
// IPv4 addresses inside of IPv6: ::ffff:a.b.c.d, 64:ff9b::a.b.c.d, 2002:abcd::
constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<std::uint8_t, 12> kTranslated = {0, 0x64, 0xff, 0x9b};
// NOLINTEND(modernize-use-designated-initializers)

bool lies_in(std::span<const std::uint8_t> address, const Range& range) {
  for (unsigned bit = 0; bit < range.bits; ++bit) {
    const unsigned mask = 0x80U >> bit % 8;
    if (((address[bit / 8] ^ range.start[bit / 8]) & mask) != 0) {
      return false;
    }
  }
  return true;
}

bool is_public4(std::span<const std::uint8_t> address) {
  return std::ranges::none_of(kClosed4,
                              [&](const Range& range) { return lies_in(address, range); });
}

}  // namespace

std::optional<IpAddress> parse_address(std::string_view text) {
  const std::string whole{text};
  IpAddress address;
  if (::inet_pton(AF_INET, whole.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  address.v6 = true;
  if (::inet_pton(AF_INET6, whole.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

std::string to_text(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  const int family = address.v6 ? AF_INET6 : AF_INET;
  const auto* written = ::inet_ntop(family, address.bytes.data(), text.data(), text.size());
  return written == nullptr ? std::string{} : std::string{written};
}

bool is_public(const IpAddress& address) {
  const std::span<const std::uint8_t> bytes{address.bytes};
  if (!address.v6) {
    return is_public4(bytes);
  }
  if (std::ranges::equal(bytes.first(12), kMapped) ||
      std::ranges::equal(bytes.first(12), kTranslated)) {
    return is_public4(bytes.subspan(12));
  }
  if (bytes[0] == 0x20 && bytes[1] == 0x02) {
    return is_public4(bytes.subspan(2, 4));
  }
  return std::ranges::none_of(kClosed6, [&](const Range& range) { return lies_in(bytes, range); });
}

}  // namespace sphere::agent
