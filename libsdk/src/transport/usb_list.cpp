// SPDX-License-Identifier: MIT
#include <array>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <libusb-1.0/libusb.h>

#include "libsdk/src/transport/ftdi_requests.h"
#include "libsdk/src/transport/usb_handle.h"
#include "sphere/core/result.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

namespace {

UsbDevice describe(libusb_device* device) {
  UsbDevice result{.location = location_of(device), .product = {}, .serial = {}, .node = {}};
  result.product = usb_attribute(result.location, "product");
  result.serial = usb_attribute(result.location, "serial");
  result.node = fmt::format("/dev/bus/usb/{:03}/{:03}", libusb_get_bus_number(device),
                            libusb_get_device_address(device));
  result.access =
      ::access(result.node.c_str(), R_OK | W_OK) == 0 ? UsbAccess::allowed : UsbAccess::denied;
  result.is_board = result.product == kBoardProductText;
  return result;
}

}  // namespace

Result<std::vector<UsbDevice>> list_usb() {
  SPHERE_TRY_ASSIGN(const auto context, make_usb_context());
  std::vector<UsbDevice> devices;
  SPHERE_TRY(visit_devices(context.get(), [&](libusb_device* device) {
    libusb_device_descriptor descriptor = {};
    if (libusb_get_device_descriptor(device, &descriptor) == LIBUSB_SUCCESS &&
        descriptor.idVendor == kBoardVendor && descriptor.idProduct == kBoardProduct) {
      devices.push_back(describe(device));
    }
    return false;
  }));
  return devices;
}

std::string_view udev_rules() {
  return R"(# SPDX-License-Identifier: MIT
# Lets the people at this machine and the group sphere open boards on USB.
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="0403", ATTR{idProduct}=="6011", ATTR{product}=="MSFT MT3620 Std Interface", MODE="0660", GROUP="sphere", TAG+="uaccess"
# Their serial ports answer at once, where the kernel's driver is used.
ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6011", ATTRS{product}=="MSFT MT3620 Std Interface", ATTR{latency_timer}="1"
SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6011", ATTRS{product}=="MSFT MT3620 Std Interface", MODE="0660", GROUP="sphere", TAG+="uaccess"
)";
}

std::span<const LineStep> recovery_lines() {
  using namespace std::chrono_literals;
  // RECOVERY stays high across the reset. Reset is driven high first: that wakes a board that has
  // powered down.
  static constexpr std::array kSteps = {
      LineStep{.wait = 0ms, .pins = 0x61}, LineStep{.wait = 10ms, .pins = 0x21},
      LineStep{.wait = 100ms, .pins = 0x61}, LineStep{.wait = 100ms, .pins = 0x61}};
  return kSteps;
}

std::span<const LineStep> reset_lines() {
  using namespace std::chrono_literals;
  static constexpr std::array kSteps = {LineStep{.wait = 0ms, .pins = 0x41},
                                        LineStep{.wait = 10ms, .pins = 0x01},
                                        LineStep{.wait = 100ms, .pins = 0x41}};
  return kSteps;
}

Result<void> run_lines(const std::string& location, std::span<const LineStep> steps) {
  SPHERE_TRY_ASSIGN(auto port, FtdiHandle::open(location, FtdiPort::recovery));
  SPHERE_TRY(port.send(bit_mode_request(FtdiPort::recovery, kLineOutputs)));
  Result<void> done;
  for (const LineStep& step : steps) {
    std::this_thread::sleep_for(step.wait);
    done = port.write_byte(std::byte{step.pins});
    if (!done) {
      break;
    }
  }
  // Also after a failure: no line stays driven.
  auto released = port.send(bit_mode_request(FtdiPort::recovery, 0));
  auto purged = port.send(purge_input_request(FtdiPort::recovery));
  SPHERE_TRY(std::move(done));
  SPHERE_TRY(std::move(released));
  return purged;
}

}  // namespace sphere::transport
