// SPDX-License-Identifier: MIT
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <utility>

#include <tl/expected.hpp>

#include "libsdk/src/transport/descriptor_stream.h"
#include "libsdk/src/transport/ftdi_pump.h"
#include "libsdk/src/transport/ftdi_requests.h"
#include "libsdk/src/transport/usb_handle.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

namespace {

class FtdiStream final : public DescriptorStream, public SerialPort {
 public:
  FtdiStream(Descriptor near, std::string name, FtdiPort port, std::unique_ptr<FtdiPump> pump)
      : DescriptorStream{std::move(near), std::move(name)}, port_{port}, pump_{std::move(pump)} {}

  [[nodiscard]] SerialPort* serial() override { return this; }
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> bytes) override {
    SPHERE_TRY_ASSIGN(const std::size_t count, DescriptorStream::write(bytes));
    written_ += count;
    return count;
  }
  [[nodiscard]] Result<void> configure(const LineSettings& settings) override {
    return send_all(line_requests(port_, settings));
  }
  [[nodiscard]] Result<void> purge_input() override {
    SPHERE_TRY(send_all(std::array{purge_input_request(port_)}));
    std::array<std::byte, 4096> dropped = {};
    while (true) {
      SPHERE_TRY_ASSIGN(const std::size_t count, read(dropped));
      if (count == 0) {
        return {};
      }
    }
  }
  [[nodiscard]] Result<void> set_lines(bool dtr, bool rts) override {
    return send_all(modem_requests(port_, dtr, rts));
  }
  [[nodiscard]] Result<LineStatus> status() override { return pump_->status(written_); }

 private:
  template <typename Requests>
  [[nodiscard]] Result<void> send_all(const Requests& requests) {
    return pump_->run([&requests](FtdiHandle& handle) -> Result<void> {
      for (const FtdiSetup& request : requests) {
        SPHERE_TRY(handle.send(request));
      }
      return {};
    });
  }

  FtdiPort port_;
  std::unique_ptr<FtdiPump> pump_;
  std::uint64_t written_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> open_ftdi(const std::string& location, FtdiPort port,
                                              const LineSettings& settings) {
  SPHERE_TRY_ASSIGN(auto handle, FtdiHandle::open(location, port));
  for (const FtdiSetup& request : opening_requests(port, settings)) {
    SPHERE_TRY(handle.send(request));
  }
  std::array<int, 2> ends = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return tl::make_unexpected(system_error("create", "socket pair", errno));
  }
  Descriptor near{ends[0]};
  Descriptor far{ends[1]};
  // Little waits here: what has left the stack should be near the wire.
  constexpr int kSendBuffer = 4096;
  ::setsockopt(near.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
  Descriptor wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake) {
    return tl::make_unexpected(system_error("create", "event descriptor", errno));
  }
  auto pump = std::make_unique<FtdiPump>(std::move(handle), std::move(far), std::move(wake));
  return std::make_unique<FtdiStream>(
      std::move(near), "USB port " + connection_path({.kind = PlaceKind::usb, .target = location}),
      port, std::move(pump));
}

Result<std::string> listen_for_recovery(const std::string& location,
                                        std::chrono::milliseconds limit) {
  constexpr std::uint32_t kBaud = 115200;
  constexpr std::size_t kEnough = 256;
  SPHERE_TRY_ASSIGN(const auto stream, open_ftdi(location, FtdiPort::recovery,
                                                 {.baud = kBaud, .flow = FlowControl::none}));
  const auto until = std::chrono::steady_clock::now() + limit;
  std::string heard;
  while (heard.size() < kEnough) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    std::array<std::byte, kEnough> bytes = {};
    const auto count = left.count() > 0 ? read_some(*stream, bytes, left) : 0;
    if (!count || *count == 0) {
      break;
    }
    const void* const text = bytes.data();
    heard.append(static_cast<const char*>(text), *count);
  }
  return escape_control(heard);
}

}  // namespace sphere::transport
