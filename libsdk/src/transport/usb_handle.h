// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <vector>

#include <libusb-1.0/libusb.h>

#include "libsdk/src/transport/ftdi_requests.h"
#include "sphere/core/result.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

struct ContextDeleter {
  void operator()(libusb_context* context) const { libusb_exit(context); }
};
struct HandleDeleter {
  void operator()(libusb_device_handle* handle) const { libusb_close(handle); }
};
using UsbContext = std::unique_ptr<libusb_context, ContextDeleter>;

[[nodiscard]] Result<UsbContext> make_usb_context();

// "1-2.4.3".
[[nodiscard]] std::string location_of(libusb_device* device);

// A text of the device as the kernel has read it, escaped: no need to open the device.
[[nodiscard]] std::string usb_attribute(const std::string& location, std::string_view name);

// What to wait for before libusb's events are handled.
[[nodiscard]] std::vector<pollfd> polls_of(libusb_context* context);

// Calls `visit` for each device on the bus until it returns true. Errors: io.
[[nodiscard]] Result<void> visit_devices(libusb_context* context,
                                         const std::function<bool(libusb_device*)>& visit);

// One claimed port of an FT4232H. For one thread.
class FtdiHandle {
 public:
  // Errors: as open_ftdi().
  [[nodiscard]] static Result<FtdiHandle> open(const std::string& location, FtdiPort port);
  FtdiHandle(FtdiHandle&&) = default;
  FtdiHandle& operator=(FtdiHandle&&) = delete;
  FtdiHandle(const FtdiHandle&) = delete;
  FtdiHandle& operator=(const FtdiHandle&) = delete;
  ~FtdiHandle();

  // Errors: unavailable (link.unplugged), io.
  [[nodiscard]] Result<void> send(const FtdiSetup& setup);
  // Writes one byte to the port's data pipe.
  [[nodiscard]] Result<void> write_byte(std::byte byte);

  [[nodiscard]] libusb_context* context() const { return context_.get(); }
  [[nodiscard]] libusb_device_handle* get() const { return handle_.get(); }
  [[nodiscard]] std::uint8_t in_endpoint() const { return in_; }
  [[nodiscard]] std::uint8_t out_endpoint() const { return out_; }
  [[nodiscard]] std::size_t packet_size() const { return packet_size_; }

 private:
  FtdiHandle(UsbContext context, std::string location, FtdiPort port)
      : context_{std::move(context)}, location_{std::move(location)}, port_{port} {}
  [[nodiscard]] Result<void> open_device();
  [[nodiscard]] Result<void> claim();
  [[nodiscard]] Error error_for(int code) const;

  UsbContext context_;
  std::string location_;
  FtdiPort port_;
  std::unique_ptr<libusb_device_handle, HandleDeleter> handle_ = {};
  bool claimed_ = false;
  std::uint8_t in_ = 0;
  std::uint8_t out_ = 0;
  std::size_t packet_size_ = 0;
};

}  // namespace sphere::transport
