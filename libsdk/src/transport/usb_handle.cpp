// SPDX-License-Identifier: MIT
#include "libsdk/src/transport/usb_handle.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <libusb-1.0/libusb.h>
#include <tl/expected.hpp>

#include "libsdk/src/transport/descriptor_stream.h"
#include "libsdk/src/transport/ftdi_requests.h"
#include "libsdk/src/transport/holder.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

namespace {

constexpr unsigned kRequestLimitMilliseconds = 1000;
// A device node appears before udev has set its permission.
constexpr int kPermissionTries = 10;
constexpr std::chrono::milliseconds kPermissionPause{200};

struct ListDeleter {
  void operator()(libusb_device** list) const { libusb_free_device_list(list, 1); }
};
struct PollListDeleter {
  void operator()(const libusb_pollfd** list) const { libusb_free_pollfds(list); }
};
struct ConfigurationDeleter {
  void operator()(libusb_config_descriptor* descriptor) const {
    libusb_free_config_descriptor(descriptor);
  }
};

Error usb_error(int code, std::string_view action) {
  return Error{Errc::io, fmt::format("USB: cannot {}: {}", action, libusb_error_name(code)),
               Hint{.reason = "link.no-answer", .value = libusb_error_name(code)}};
}

std::string node_of(libusb_device* device) {
  return fmt::format("/dev/bus/usb/{:03}/{:03}", libusb_get_bus_number(device),
                     libusb_get_device_address(device));
}

}  // namespace

Result<UsbContext> make_usb_context() {
  libusb_context* context = nullptr;
  const int code = libusb_init(&context);
  if (code != LIBUSB_SUCCESS) {
    return tl::make_unexpected(usb_error(code, "start libusb"));
  }
  return UsbContext{context};
}

std::string location_of(libusb_device* device) {
  constexpr int kDeepest = 7;  // Of hubs, by the USB standard.
  std::array<std::uint8_t, kDeepest> ports = {};
  const int count = libusb_get_port_numbers(device, ports.data(), kDeepest);
  std::string location = std::to_string(libusb_get_bus_number(device));
  for (int i = 0; i < count; ++i) {
    location += (i == 0 ? '-' : '.');
    location += std::to_string(ports.at(static_cast<std::size_t>(i)));
  }
  return location;
}

std::string usb_attribute(const std::string& location, std::string_view name) {
  constexpr std::size_t kLongest = 512;
  const auto text =
      read_text_file(std::filesystem::path{"/sys/bus/usb/devices"} / location / name, kLongest);
  return text ? escape_control(trim(*text)) : std::string{};
}

std::vector<pollfd> polls_of(libusb_context* context) {
  std::vector<pollfd> polls;
  const std::unique_ptr<const libusb_pollfd*, PollListDeleter> list{libusb_get_pollfds(context)};
  // NOLINTNEXTLINE(*-pointer-arithmetic): the list ends with a null pointer
  for (const libusb_pollfd** entry = list.get(); entry != nullptr && *entry != nullptr; ++entry) {
    polls.push_back({.fd = (*entry)->fd, .events = (*entry)->events, .revents = 0});
  }
  return polls;
}

Result<void> visit_devices(libusb_context* context,
                           const std::function<bool(libusb_device*)>& visit) {
  libusb_device** raw = nullptr;
  const ssize_t count = libusb_get_device_list(context, &raw);
  if (count < 0) {
    return tl::make_unexpected(usb_error(static_cast<int>(count), "list devices"));
  }
  const std::unique_ptr<libusb_device*, ListDeleter> list{raw};
  for (libusb_device* const device : std::span{raw, static_cast<std::size_t>(count)}) {
    if (visit(device)) {
      break;
    }
  }
  return {};
}

Error FtdiHandle::error_for(int code) const {
  const std::string path = connection_path({.kind = PlaceKind::usb, .target = location_});
  switch (code) {
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
      return unplugged("USB port " + path);
    case LIBUSB_ERROR_ACCESS:
      return Error{
          Errc::permission, fmt::format("this user may not open the board at USB port {}", path),
          Hint{.reason = "link.permission",
               .value = fmt::format("{:04x}:{:04x} at {}", kBoardVendor, kBoardProduct, path),
               .next = "install the udev rule: sphere doctor --install-udev (to see it: "
                       "sphere doctor --print-udev)"}};
    case LIBUSB_ERROR_BUSY: {
      const std::string holder = holder_of(node_of(libusb_get_device(handle_.get())));
      return Error{Errc::busy,
                   fmt::format("the board at USB port {} is in use by {}", path, holder),
                   Hint{.reason = "link.busy",
                        .value = holder,
                        .next = "end it, or share the board: sphere link serve"}};
    }
    default:
      return usb_error(code, "use the board at USB port " + path);
  }
}

Result<void> FtdiHandle::open_device() {
  int code = LIBUSB_ERROR_NOT_FOUND;
  bool found = false;
  SPHERE_TRY(visit_devices(context_.get(), [&](libusb_device* device) {
    found = location_of(device) == location_;
    if (found) {
      libusb_device_handle* handle = nullptr;
      code = libusb_open(device, &handle);
      handle_.reset(handle);
    }
    return found;
  }));
  if (!found) {
    return fail(Errc::not_found,
                fmt::format("there is no board at USB port {}",
                            connection_path({.kind = PlaceKind::usb, .target = location_})),
                {.reason = "link.no-board",
                 .value = location_,
                 .next = "plug the board in, or name another: sphere link list"});
  }
  return code == LIBUSB_SUCCESS ? Result<void>{} : tl::make_unexpected(error_for(code));
}

// Takes the interface and reads its pipes from the descriptors.
Result<void> FtdiHandle::claim() {
  const auto number = static_cast<int>(port_);
  libusb_set_auto_detach_kernel_driver(handle_.get(), 1);
  if (const int code = libusb_claim_interface(handle_.get(), number); code != LIBUSB_SUCCESS) {
    return tl::make_unexpected(error_for(code));
  }
  claimed_ = true;
  libusb_config_descriptor* raw = nullptr;
  if (const int code = libusb_get_active_config_descriptor(libusb_get_device(handle_.get()), &raw);
      code != LIBUSB_SUCCESS) {
    return tl::make_unexpected(error_for(code));
  }
  const std::unique_ptr<libusb_config_descriptor, ConfigurationDeleter> configuration{raw};
  for (const auto& interface : std::span{raw->interface, raw->bNumInterfaces}) {
    if (interface.num_altsetting < 1 || interface.altsetting->bInterfaceNumber != number) {
      continue;
    }
    for (const auto& endpoint :
         std::span{interface.altsetting->endpoint, interface.altsetting->bNumEndpoints}) {
      const bool is_in = (endpoint.bEndpointAddress & LIBUSB_ENDPOINT_IN) != 0;
      (is_in ? in_ : out_) = endpoint.bEndpointAddress;
      packet_size_ = is_in ? endpoint.wMaxPacketSize : packet_size_;
    }
  }
  if (in_ == 0 || out_ == 0 || packet_size_ == 0) {
    return fail(Errc::corrupt, fmt::format("USB interface {} has no data pipes", number),
                {.reason = "link.no-answer", .value = location_});
  }
  return {};
}

Result<FtdiHandle> FtdiHandle::open(const std::string& location, FtdiPort port) {
  SPHERE_TRY_ASSIGN(auto context, make_usb_context());
  FtdiHandle handle{std::move(context), location, port};
  auto opened = handle.open_device();
  for (int tries = 1;
       !opened && opened.error().code() == Errc::permission && tries < kPermissionTries; ++tries) {
    std::this_thread::sleep_for(kPermissionPause);
    opened = handle.open_device();
  }
  SPHERE_TRY(std::move(opened));
  SPHERE_TRY(handle.claim());
  return handle;
}

FtdiHandle::~FtdiHandle() {
  if (handle_ && claimed_) {
    libusb_release_interface(handle_.get(), static_cast<int>(port_));
  }
}

Result<void> FtdiHandle::send(const FtdiSetup& setup) {
  constexpr std::uint8_t kVendorOut = 0x40;
  const int code =
      libusb_control_transfer(handle_.get(), kVendorOut, static_cast<std::uint8_t>(setup.request),
                              setup.value, setup.index, nullptr, 0, kRequestLimitMilliseconds);
  return code >= 0 ? Result<void>{} : tl::make_unexpected(error_for(code));
}

Result<void> FtdiHandle::write_byte(std::byte byte) {
  auto data = std::to_integer<unsigned char>(byte);
  int written = 0;
  const int code =
      libusb_bulk_transfer(handle_.get(), out_, &data, 1, &written, kRequestLimitMilliseconds);
  return code == LIBUSB_SUCCESS ? Result<void>{} : tl::make_unexpected(error_for(code));
}

}  // namespace sphere::transport
