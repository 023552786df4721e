// SPDX-License-Identifier: MIT
#include "libsdk/src/transport/ftdi_requests.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

namespace {

constexpr std::uint16_t kResetAll = 0;
constexpr std::uint16_t kPurgeInput = 1;
constexpr std::uint16_t kPurgeOutput = 2;
constexpr std::uint16_t kLatencyMilliseconds = 1;  // The chip's own is 16.
constexpr std::uint16_t kEightDataBits = 8;
constexpr unsigned kParityShift = 8;
constexpr std::uint16_t kEnableCharacter = 0x0100;
constexpr std::uint16_t kRtsCts = 0x0100;  // In wIndex.
constexpr std::uint16_t kDtrMask = 0x0100;
constexpr std::uint16_t kRtsMask = 0x0200;
constexpr std::uint16_t kDtrOn = 0x0001;
constexpr std::uint16_t kRtsOn = 0x0002;
constexpr std::uint16_t kAsynchronousBitBang = 0x0100;

constexpr std::uint16_t index_of(FtdiPort port) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(port) + 1);
}

}  // namespace

std::uint32_t ftdi_divisor(std::uint32_t baud) {
  constexpr std::uint64_t kClock = 120'000'000;
  constexpr std::uint64_t kPerBit = 10;
  constexpr std::array<std::uint32_t, 8> kEighths = {0, 3, 2, 4, 1, 5, 6, 7};
  constexpr std::uint32_t kHighSpeed = 1U << 17U;
  const std::uint64_t rate = std::max<std::uint32_t>(baud, 1);
  const auto eighths =
      static_cast<std::uint32_t>((8 * kClock + kPerBit * rate / 2) / (kPerBit * rate));
  std::uint32_t divisor = eighths >> 3U | kEighths.at(eighths & 7U) << 14U;
  if (divisor == 1) {
    divisor = 0;  // 12 Mbaud
  } else if (divisor == (1U | 1U << 14U)) {
    divisor = 1;  // 8 Mbaud, 1.5
  }
  return divisor | kHighSpeed;
}

std::vector<FtdiSetup> line_requests(FtdiPort port, const LineSettings& settings) {
  const std::uint16_t index = index_of(port);
  const auto parity =
      static_cast<std::uint16_t>(static_cast<unsigned>(settings.parity) << kParityShift);
  const std::uint32_t divisor = ftdi_divisor(settings.baud);
  const auto character =
      settings.event_character
          ? static_cast<std::uint16_t>(std::to_integer<unsigned>(*settings.event_character) |
                                       kEnableCharacter)
          : std::uint16_t{0};
  const bool rts_cts = settings.flow == FlowControl::rts_cts;
  return {
      {.request = FtdiRequest::latency_timer, .value = kLatencyMilliseconds, .index = index},
      {.request = FtdiRequest::event_character, .value = character, .index = index},
      {.request = FtdiRequest::line,
       .value = static_cast<std::uint16_t>(kEightDataBits | parity),
       .index = index},
      {.request = FtdiRequest::flow_control,
       .value = 0,
       .index = static_cast<std::uint16_t>(index | (rts_cts ? kRtsCts : 0U))},
      {.request = FtdiRequest::baud_rate,
       .value = static_cast<std::uint16_t>(divisor & 0xFFFFU),
       .index = static_cast<std::uint16_t>(index | divisor >> 16U << 8U)},
  };
}

std::vector<FtdiSetup> opening_requests(FtdiPort port, const LineSettings& settings) {
  const std::uint16_t index = index_of(port);
  std::vector<FtdiSetup> requests = {
      {.request = FtdiRequest::reset, .value = kResetAll, .index = index},
      purge_input_request(port),
      {.request = FtdiRequest::reset, .value = kPurgeOutput, .index = index}};
  const auto line = line_requests(port, settings);
  requests.insert(requests.end(), line.begin(), line.end());
  const auto lines = modem_requests(port, true, true);
  requests.insert(requests.end(), lines.begin(), lines.end());
  return requests;
}

FtdiSetup purge_input_request(FtdiPort port) {
  return {.request = FtdiRequest::reset, .value = kPurgeInput, .index = index_of(port)};
}

std::array<FtdiSetup, 2> modem_requests(FtdiPort port, bool dtr, bool rts) {
  return {FtdiSetup{.request = FtdiRequest::modem_control,
                    .value = static_cast<std::uint16_t>(kDtrMask | (dtr ? kDtrOn : 0U)),
                    .index = index_of(port)},
          FtdiSetup{.request = FtdiRequest::modem_control,
                    .value = static_cast<std::uint16_t>(kRtsMask | (rts ? kRtsOn : 0U)),
                    .index = index_of(port)}};
}

FtdiSetup bit_mode_request(FtdiPort port, std::uint8_t outputs) {
  const unsigned mode = outputs == 0 ? 0U : kAsynchronousBitBang;
  return {.request = FtdiRequest::bit_mode,
          .value = static_cast<std::uint16_t>(outputs | mode),
          .index = index_of(port)};
}

FtdiStatus split_packets(std::span<const std::byte> transfer, std::size_t packet_size,
                         FtdiStatus before,
                         const std::function<void(FtdiStatus, std::span<const std::byte>)>& data) {
  constexpr std::size_t kStatusBytes = 2;
  FtdiStatus status = before;
  while (transfer.size() >= kStatusBytes && packet_size > kStatusBytes) {
    const auto packet = transfer.first(std::min(packet_size, transfer.size()));
    status = {.modem = std::to_integer<std::uint8_t>(packet[0]),
              .line = std::to_integer<std::uint8_t>(packet[1])};
    if (packet.size() > kStatusBytes) {
      data(status, packet.subspan(kStatusBytes));
    }
    transfer = transfer.subspan(packet.size());
  }
  return status;
}

}  // namespace sphere::transport
