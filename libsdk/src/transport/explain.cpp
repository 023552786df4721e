// SPDX-License-Identifier: MIT
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

namespace {

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", std::to_integer<unsigned>(byte));
  }
  return text;
}

std::uint64_t bad_frames(const LinkReport& report) {
  std::uint64_t bad = report.frames.bad_escapes + report.frames.too_long + report.frames.outside;
  for (const std::uint64_t count : report.filter.dropped) {
    bad += count;
  }
  return bad;
}

Error no_answer(std::string_view name) {
  return Error{Errc::timeout, fmt::format("no byte came from the board at {}", name),
               Hint{.reason = "link.no-answer",
                    .value = std::string{name},
                    .next = "see whether the board has power and its cable fits, then press its "
                            "reset button"}};
}

Error not_slip(const LinkReport& report, std::string_view name) {
  return Error{
      Errc::corrupt,
      fmt::format("what comes from {} at {} baud is no SLIP: {} bytes, {} bad frames, {} framing "
                  "errors; it begins with {}",
                  name, kServiceLine.baud, report.bytes_in, bad_frames(report),
                  report.line.framing_errors, hexadecimal(report.first_bytes)),
      Hint{.reason = "link.not-slip",
           .value = hexadecimal(report.first_bytes),
           .next = "press the board's reset button; if nothing changes, see whether this is the "
                   "service port"}};
}

}  // namespace

std::optional<Error> explain(const LinkReport& report, std::string_view name) {
  if (report.state != LinkState::open) {
    return report.failure;
  }
  switch (report.connections.last) {
    case slip::Attempt::refused:
      return Error{Errc::unavailable,
                   fmt::format("the board at {} runs, but its device API does not", name),
                   Hint{.reason = "device.refused",
                        .value = std::string{name},
                        .next = "wait until the device has started, then try again"}};
    case slip::Attempt::silent:
      if (report.first_bytes.empty()) {
        return no_answer(name);
      }
      if (report.filter.passed == 0) {
        return not_slip(report, name);
      }
      return Error{Errc::timeout,
                   fmt::format("the board at {} sends packets but answers no connection", name),
                   Hint{.reason = "link.no-answer",
                        .value = std::string{name},
                        .next = "press the board's reset button"}};
    case slip::Attempt::none:
    case slip::Attempt::connected:
      break;
  }
  return std::nullopt;
}

}  // namespace sphere::transport
