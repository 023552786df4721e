// SPDX-License-Identifier: MIT
#include "libsdk/src/transport/ftdi_requests.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {
namespace {

using Bytes = std::vector<std::byte>;

TEST_CASE("the divisors of the FT4232H are those of the published table") {
  struct Case {
    std::uint32_t baud;
    std::uint32_t divisor;
  };
  const auto test = GENERATE(values<Case>({{115200, 0x2C068},
                                           {230400, 0x2C034},
                                           {460800, 0x2001A},
                                           {921600, 0x2000D},
                                           {2000000, 0x20006},
                                           {3000000, 0x20004},
                                           {4000000, 0x20003},
                                           {6000000, 0x20002},
                                           {8000000, 0x20001},
                                           {12000000, 0x20000}}));
  INFO(test.baud);
  CHECK(ftdi_divisor(test.baud) == test.divisor);
}

TEST_CASE("the service port is opened with the golden requests") {
  const std::vector<FtdiSetup> expected = {
      {FtdiRequest::reset, 0x0000, 0x0003},           {FtdiRequest::reset, 0x0001, 0x0003},
      {FtdiRequest::reset, 0x0002, 0x0003},           {FtdiRequest::latency_timer, 0x0001, 0x0003},
      {FtdiRequest::event_character, 0x01C0, 0x0003}, {FtdiRequest::line, 0x0008, 0x0003},
      {FtdiRequest::flow_control, 0x0000, 0x0103},    {FtdiRequest::baud_rate, 0x000D, 0x0203},
      {FtdiRequest::modem_control, 0x0101, 0x0003},   {FtdiRequest::modem_control, 0x0202, 0x0003},
  };
  CHECK(opening_requests(FtdiPort::service, kServiceLine) == expected);
}

TEST_CASE("a recovery port at 115,200 without flow control and with parity") {
  const LineSettings settings{.baud = 115200, .parity = Parity::even, .flow = FlowControl::none};
  const std::vector<FtdiSetup> expected = {
      {FtdiRequest::latency_timer, 0x0001, 0x0004}, {FtdiRequest::event_character, 0x0000, 0x0004},
      {FtdiRequest::line, 0x0208, 0x0004},          {FtdiRequest::flow_control, 0x0000, 0x0004},
      {FtdiRequest::baud_rate, 0xC068, 0x0204},
  };
  CHECK(line_requests(FtdiPort::recovery, settings) == expected);
}

TEST_CASE("lines and bit mode have the golden requests") {
  CHECK(modem_requests(FtdiPort::recovery, false, true) ==
        std::array{FtdiSetup{FtdiRequest::modem_control, 0x0100, 0x0004},
                   FtdiSetup{FtdiRequest::modem_control, 0x0202, 0x0004}});
  CHECK(bit_mode_request(FtdiPort::recovery, kLineOutputs) ==
        FtdiSetup{FtdiRequest::bit_mode, 0x0171, 0x0004});
  CHECK(bit_mode_request(FtdiPort::recovery, 0) ==
        FtdiSetup{FtdiRequest::bit_mode, 0x0000, 0x0004});
}

TEST_CASE("each packet of a transfer loses its two status bytes") {
  Bytes transfer(512 + 512 + 7, std::byte{0xAA});
  for (const std::size_t at : {std::size_t{0}, std::size_t{512}, std::size_t{1024}}) {
    transfer[at] = std::byte{0x10};
    transfer[at + 1] = static_cast<std::byte>(at / 512);
  }
  std::vector<std::size_t> sizes;
  std::vector<unsigned> lines;
  const auto last =
      split_packets(transfer, 512, {}, [&](FtdiStatus status, std::span<const std::byte> data) {
        sizes.push_back(data.size());
        lines.push_back(status.line);
        CHECK(data.front() == std::byte{0xAA});
      });
  CHECK(sizes == std::vector<std::size_t>{510, 510, 5});
  CHECK(lines == std::vector<unsigned>{0, 1, 2});
  CHECK(last.modem == 0x10);
}

TEST_CASE("an idle tick, half a status and nothing give no data") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    INFO(size);
    bool called = false;
    const Bytes transfer(size, std::byte{0x60});
    const auto last = split_packets(transfer, 512, {.modem = 1, .line = 2},
                                    [&](FtdiStatus, std::span<const std::byte>) { called = true; });
    CHECK_FALSE(called);
    CHECK(last.modem == (size < 2 ? 1 : 0x60));
  }
}

TEST_CASE("the recovery strap is held over the reset, and the plain reset has none") {
  CHECK(recovery_lines().size() == 4);
  for (const LineStep& step : recovery_lines()) {
    CHECK((step.pins & 0x21) == 0x21);
  }
  for (const LineStep& step : reset_lines()) {
    CHECK((step.pins & 0x21) == 0x01);
  }
  CHECK((recovery_lines()[1].pins & 0x40) == 0);
  CHECK((reset_lines()[1].pins & 0x40) == 0);
}

}  // namespace
}  // namespace sphere::transport
