// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

// An alternate setting of an interface, as the descriptors tell it. Pipes that it does not have are
// 0.
struct UsbInterfaceInfo {
  std::uint8_t number = 0;
  std::uint8_t alternate = 0;
  std::uint8_t interface_class = 0;
  std::uint8_t subclass = 0;
  std::uint8_t protocol = 0;
  std::uint8_t text_index = 0;  // Of its string descriptor.
  std::uint8_t bulk_in = 0;
  std::uint8_t bulk_out = 0;
  std::uint8_t interrupt_in = 0;
  std::uint8_t interrupt_out = 0;
  std::uint16_t report_size = 0;      // Bytes of a packet of interrupt_in.
  std::vector<std::byte> extra = {};  // Descriptors of its class.
};

// A device on the bus; nothing is opened for it.
struct UsbDeviceInfo {
  std::string location = {};  // "1-2.4.3": bus, then ports. Stays when a device comes back.
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
  std::uint16_t version = 0;      // bcdDevice
  std::uint8_t address = 0;       // Another one each time it comes to the bus.
  std::string product_text = {};  // Escaped.
  std::string serial = {};
  std::string node = {};  // /dev/bus/usb/BUS/DEVICE
  UsbAccess access = UsbAccess::allowed;
  std::vector<UsbInterfaceInfo> interfaces = {};
};

// All devices but hubs. Errors: io (libusb).
[[nodiscard]] Result<std::vector<UsbDeviceInfo>> list_usb_devices();

enum class UsbStatus : std::uint8_t { ok, stall, timeout, gone };

// One claimed interface and the control pipe of its device. Nothing blocks: transfers are queued,
// and take_done() gives those that have ended. For one thread.
class UsbPipes {
 public:
  struct Setup {
    std::uint8_t request_type = 0;
    std::uint8_t request = 0;
    std::uint16_t value = 0;
    std::uint16_t index = 0;
    std::uint16_t length = 0;
  };
  enum class Kind : std::uint8_t { control, write, read, report };
  struct Done {
    Kind kind = Kind::control;
    std::uint32_t tag = 0;  // Of control transfers and writes.
    UsbStatus status = UsbStatus::ok;
    std::vector<std::byte> bytes = {};  // What came in. Of reports: the first is the id.
  };

  // Errors: as open_ftdi(); unsupported (no such interface).
  [[nodiscard]] static Result<std::unique_ptr<UsbPipes>> open(const std::string& location,
                                                              std::uint8_t interface,
                                                              std::uint8_t alternate);
  virtual ~UsbPipes() = default;

  [[nodiscard]] virtual const UsbDeviceInfo& device() const = 0;
  [[nodiscard]] virtual const UsbInterfaceInfo& interface() const = 0;
  // A string descriptor, escaped; blocks up to a second. Empty: there is none.
  [[nodiscard]] virtual std::string text(std::uint8_t index) = 0;

  // `bytes` of OUT transfers; 30 s at most.
  virtual void control(const Setup& setup, std::span<const std::byte> bytes, std::uint32_t tag) = 0;
  // A bulk OUT transfer; none is a packet without bytes.
  virtual void write(std::span<const std::byte> bytes, std::uint32_t tag) = 0;
  // A bulk IN transfer of up to so many bytes.
  virtual void read(std::size_t length) = 0;
  // Gets reports from the interrupt pipe from now on.
  virtual void read_reports() = 0;
  // A report by the interrupt OUT pipe when there is one, else by SET_REPORT.
  virtual void send_report(std::uint8_t id, std::span<const std::byte> bytes,
                           std::uint32_t tag) = 0;
  // Resets the device's port. False: it comes back as another device and must be opened anew.
  [[nodiscard]] virtual bool reset() = 0;

  // Wait for these, and then call take_done().
  [[nodiscard]] virtual std::vector<pollfd> polls() const = 0;
  [[nodiscard]] virtual std::vector<Done> take_done() = 0;
};

}  // namespace sphere::transport
