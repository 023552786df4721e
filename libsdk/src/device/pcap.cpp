// SPDX-License-Identifier: MIT
#include "libsdk/src/device/pcap.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sphere::device {

namespace {

void put(std::string& text, std::uint32_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    text += static_cast<char>(number >> (8U * static_cast<unsigned>(i)) & 0xFFU);
  }
}

}  // namespace

std::string pcap_header() {
  constexpr std::uint32_t kMagic = 0xA1B2C3D4;
  constexpr std::uint32_t kLongest = 65535;
  constexpr std::uint32_t kRawIp = 101;
  std::string text;
  put(text, kMagic, 4);
  put(text, 2, 2);
  put(text, 4, 2);
  put(text, 0, 4);
  put(text, 0, 4);
  put(text, kLongest, 4);
  put(text, kRawIp, 4);
  return text;
}

std::string pcap_record(std::span<const std::byte> packet) {
  using namespace std::chrono;
  const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  std::string text;
  put(text, static_cast<std::uint32_t>(now / 1'000'000), 4);
  put(text, static_cast<std::uint32_t>(now % 1'000'000), 4);
  put(text, static_cast<std::uint32_t>(packet.size()), 4);
  put(text, static_cast<std::uint32_t>(packet.size()), 4);
  for (const std::byte byte : packet) {
    text += static_cast<char>(byte);
  }
  return text;
}

}  // namespace sphere::device
