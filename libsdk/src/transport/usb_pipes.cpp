// SPDX-License-Identifier: MIT
#include "sphere/transport/usb_pipes.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <libusb-1.0/libusb.h>
#include <tl/expected.hpp>

#include "libsdk/src/transport/descriptor_stream.h"
#include "libsdk/src/transport/holder.h"
#include "libsdk/src/transport/usb_handle.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

namespace {

constexpr unsigned kTransferLimitMilliseconds = 30'000;
constexpr std::size_t kReportReads = 4;
constexpr std::size_t kReportLimit = 4096;
constexpr int kPermissionTries = 10;
constexpr std::chrono::milliseconds kPermissionPause{200};
constexpr int kCancelRounds = 100;

struct ConfigurationDeleter {
  void operator()(libusb_config_descriptor* descriptor) const {
    libusb_free_config_descriptor(descriptor);
  }
};
using Configuration = std::unique_ptr<libusb_config_descriptor, ConfigurationDeleter>;

void note_endpoint(UsbInterfaceInfo& info, const libusb_endpoint_descriptor& endpoint) {
  const unsigned type = endpoint.bmAttributes & LIBUSB_TRANSFER_TYPE_MASK;
  const bool is_in = (endpoint.bEndpointAddress & LIBUSB_ENDPOINT_IN) != 0;
  if (type == LIBUSB_TRANSFER_TYPE_BULK) {
    (is_in ? info.bulk_in : info.bulk_out) = endpoint.bEndpointAddress;
  } else if (type == LIBUSB_TRANSFER_TYPE_INTERRUPT) {
    (is_in ? info.interrupt_in : info.interrupt_out) = endpoint.bEndpointAddress;
    info.report_size = is_in ? endpoint.wMaxPacketSize : info.report_size;
  }
}

UsbInterfaceInfo describe(const libusb_interface_descriptor& descriptor) {
  UsbInterfaceInfo info{.number = descriptor.bInterfaceNumber,
                        .alternate = descriptor.bAlternateSetting,
                        .interface_class = descriptor.bInterfaceClass,
                        .subclass = descriptor.bInterfaceSubClass,
                        .protocol = descriptor.bInterfaceProtocol,
                        .text_index = descriptor.iInterface};
  for (const auto& endpoint : std::span{descriptor.endpoint, descriptor.bNumEndpoints}) {
    note_endpoint(info, endpoint);
  }
  const auto extra = std::as_bytes(
      std::span{descriptor.extra, static_cast<std::size_t>(std::max(descriptor.extra_length, 0))});
  info.extra.assign(extra.begin(), extra.end());
  return info;
}

UsbDeviceInfo describe(libusb_device* device, const libusb_device_descriptor& descriptor) {
  UsbDeviceInfo info{.location = location_of(device),
                     .vendor = descriptor.idVendor,
                     .product = descriptor.idProduct,
                     .version = descriptor.bcdDevice,
                     .address = libusb_get_device_address(device)};
  info.product_text = usb_attribute(info.location, "product");
  info.serial = usb_attribute(info.location, "serial");
  info.node = fmt::format("/dev/bus/usb/{:03}/{:03}", libusb_get_bus_number(device), info.address);
  info.access =
      ::access(info.node.c_str(), R_OK | W_OK) == 0 ? UsbAccess::allowed : UsbAccess::denied;
  libusb_config_descriptor* raw = nullptr;
  if (libusb_get_active_config_descriptor(device, &raw) == LIBUSB_SUCCESS) {
    const Configuration configuration{raw};
    for (const auto& interface : std::span{raw->interface, raw->bNumInterfaces}) {
      for (const auto& setting :
           std::span{interface.altsetting, static_cast<std::size_t>(interface.num_altsetting)}) {
        info.interfaces.push_back(describe(setting));
      }
    }
  }
  return info;
}

Error open_error(int code, const UsbDeviceInfo& device) {
  const std::string path = connection_path({.kind = PlaceKind::usb, .target = device.location});
  switch (code) {
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
      return unplugged("USB port " + path);
    case LIBUSB_ERROR_ACCESS:
      return Error{
          Errc::permission, fmt::format("this user may not open the board at USB port {}", path),
          Hint{.reason = "link.permission",
               .value = fmt::format("{:04x}:{:04x} at {}", device.vendor, device.product, path),
               .next = "install the udev rule: sphere doctor --install-udev (to see it: "
                       "sphere doctor --print-udev)"}};
    case LIBUSB_ERROR_BUSY:
      return Error{
          Errc::busy,
          fmt::format("the board at USB port {} is in use by {}", path, holder_of(device.node)),
          Hint{.reason = "link.busy", .value = path, .next = "end that program"}};
    default:
      return Error{
          Errc::io,
          fmt::format("USB: cannot use the board at port {}: {}", path, libusb_error_name(code)),
          Hint{.reason = "link.no-answer", .value = libusb_error_name(code)}};
  }
}

UsbStatus status_of(libusb_transfer_status status) {
  switch (status) {
    case LIBUSB_TRANSFER_COMPLETED:
      return UsbStatus::ok;
    case LIBUSB_TRANSFER_STALL:
    case LIBUSB_TRANSFER_OVERFLOW:
      return UsbStatus::stall;
    case LIBUSB_TRANSFER_TIMED_OUT:
      return UsbStatus::timeout;
    default:
      return UsbStatus::gone;
  }
}

class LibusbPipes final : public UsbPipes {
 public:
  explicit LibusbPipes(UsbContext context) : context_{std::move(context)} {}
  LibusbPipes(const LibusbPipes&) = delete;
  LibusbPipes& operator=(const LibusbPipes&) = delete;
  LibusbPipes(LibusbPipes&&) = delete;
  LibusbPipes& operator=(LibusbPipes&&) = delete;
  ~LibusbPipes() override;

  [[nodiscard]] Result<void> attach(const std::string& location, std::uint8_t interface,
                                    std::uint8_t alternate);

  [[nodiscard]] const UsbDeviceInfo& device() const override { return device_; }
  [[nodiscard]] const UsbInterfaceInfo& interface() const override { return interface_; }
  [[nodiscard]] std::string text(std::uint8_t index) override;
  void control(const Setup& setup, std::span<const std::byte> bytes, std::uint32_t tag) override;
  void write(std::span<const std::byte> bytes, std::uint32_t tag) override;
  void read(std::size_t length) override;
  void read_reports() override;
  void send_report(std::uint8_t id, std::span<const std::byte> bytes, std::uint32_t tag) override;
  [[nodiscard]] bool reset() override;
  [[nodiscard]] std::vector<pollfd> polls() const override { return polls_of(context_.get()); }
  [[nodiscard]] std::vector<Done> take_done() override;

 private:
  // Deleted once its transfer has come back.
  struct Slot {
    LibusbPipes* pipes = nullptr;
    libusb_transfer* transfer = nullptr;
    Kind kind = Kind::control;
    std::uint32_t tag = 0;
    bool is_in = false;
    std::vector<unsigned char> buffer;
  };

  [[nodiscard]] Result<void> open_device(const std::string& location);
  [[nodiscard]] Result<void> claim(std::uint8_t interface, std::uint8_t alternate);
  Slot& add(Kind kind, std::uint32_t tag, std::size_t size);
  void fill_bulk(Slot& slot, std::uint8_t endpoint, unsigned limit);
  void submit(Slot& slot);
  void finish(Slot& slot, UsbStatus status, std::span<const unsigned char> bytes);
  static void on_done(libusb_transfer* transfer);

  UsbContext context_;
  UsbDeviceInfo device_;
  UsbInterfaceInfo interface_;
  std::unique_ptr<libusb_device_handle, HandleDeleter> handle_;
  bool claimed_ = false;
  bool closing_ = false;
  std::list<Slot> slots_;
  std::vector<Done> done_;
};

Result<void> LibusbPipes::open_device(const std::string& location) {
  int code = LIBUSB_ERROR_NOT_FOUND;
  bool found = false;
  SPHERE_TRY(visit_devices(context_.get(), [&](libusb_device* device) {
    libusb_device_descriptor descriptor = {};
    found = location_of(device) == location &&
            libusb_get_device_descriptor(device, &descriptor) == LIBUSB_SUCCESS;
    if (found) {
      device_ = describe(device, descriptor);
      libusb_device_handle* handle = nullptr;
      code = libusb_open(device, &handle);
      handle_.reset(handle);
    }
    return found;
  }));
  if (!found) {
    return fail(Errc::not_found,
                fmt::format("there is no board at USB port {}",
                            connection_path({.kind = PlaceKind::usb, .target = location})),
                {.reason = "link.no-board", .value = location, .next = "plug the board in"});
  }
  return code == LIBUSB_SUCCESS ? Result<void>{} : tl::make_unexpected(open_error(code, device_));
}

Result<void> LibusbPipes::claim(std::uint8_t interface, std::uint8_t alternate) {
  const auto found = std::ranges::find_if(device_.interfaces, [&](const UsbInterfaceInfo& info) {
    return info.number == interface && info.alternate == alternate;
  });
  if (found == device_.interfaces.end()) {
    return fail(Errc::unsupported,
                fmt::format("the board has no USB interface {} with alternate setting {}",
                            interface, alternate),
                {.reason = "link.no-board", .value = device_.location});
  }
  interface_ = *found;
  libusb_set_auto_detach_kernel_driver(handle_.get(), 1);
  if (const int code = libusb_claim_interface(handle_.get(), interface); code != LIBUSB_SUCCESS) {
    return tl::make_unexpected(open_error(code, device_));
  }
  claimed_ = true;
  // Many a boot ROM does not know the request: it is made only where it says something.
  if (alternate != 0) {
    if (const int code = libusb_set_interface_alt_setting(handle_.get(), interface, alternate);
        code != LIBUSB_SUCCESS) {
      return tl::make_unexpected(open_error(code, device_));
    }
  }
  return {};
}

Result<void> LibusbPipes::attach(const std::string& location, std::uint8_t interface,
                                 std::uint8_t alternate) {
  // A device appears before udev has set its permission.
  auto opened = open_device(location);
  for (int tries = 1;
       !opened && opened.error().code() == Errc::permission && tries < kPermissionTries; ++tries) {
    std::this_thread::sleep_for(kPermissionPause);
    opened = open_device(location);
  }
  SPHERE_TRY(std::move(opened));
  return claim(interface, alternate);
}

LibusbPipes::~LibusbPipes() {
  closing_ = true;
  for (const Slot& slot : slots_) {
    libusb_cancel_transfer(slot.transfer);
  }
  for (int round = 0; round < kCancelRounds && !slots_.empty(); ++round) {
    constexpr suseconds_t kPause = 10'000;
    timeval limit{.tv_sec = 0, .tv_usec = kPause};
    libusb_handle_events_timeout_completed(context_.get(), &limit, nullptr);
  }
  if (claimed_) {
    libusb_release_interface(handle_.get(), interface_.number);
  }
}

std::string LibusbPipes::text(std::uint8_t index) {
  if (index == 0) {
    return {};
  }
  std::array<unsigned char, 256> text = {};
  const int length = libusb_get_string_descriptor_ascii(handle_.get(), index, text.data(),
                                                        static_cast<int>(text.size()));
  const void* const start = text.data();
  return length <= 0
             ? std::string{}
             : escape_control({static_cast<const char*>(start), static_cast<std::size_t>(length)});
}

LibusbPipes::Slot& LibusbPipes::add(Kind kind, std::uint32_t tag, std::size_t size) {
  Slot& slot = slots_.emplace_back();
  slot.pipes = this;
  slot.transfer = libusb_alloc_transfer(0);
  slot.kind = kind;
  slot.tag = tag;
  slot.buffer.resize(std::max<std::size_t>(size, 1));
  return slot;
}

void LibusbPipes::fill_bulk(Slot& slot, std::uint8_t endpoint, unsigned limit) {
  libusb_fill_bulk_transfer(slot.transfer, handle_.get(), endpoint, slot.buffer.data(),
                            static_cast<int>(slot.buffer.size()), &LibusbPipes::on_done, &slot,
                            limit);
}

void LibusbPipes::submit(Slot& slot) {
  const int code = libusb_submit_transfer(slot.transfer);
  if (code != LIBUSB_SUCCESS) {
    finish(slot, UsbStatus::gone, {});
  }
}

void LibusbPipes::finish(Slot& slot, UsbStatus status, std::span<const unsigned char> bytes) {
  const auto data = std::as_bytes(bytes);
  if (!closing_) {
    done_.push_back({.kind = slot.kind,
                     .tag = slot.tag,
                     .status = status,
                     .bytes = {data.begin(), data.end()}});
  }
  libusb_free_transfer(slot.transfer);
  slots_.remove_if([&](const Slot& each) { return &each == &slot; });
}

void LibusbPipes::on_done(libusb_transfer* transfer) {
  Slot& slot = *static_cast<Slot*>(transfer->user_data);
  LibusbPipes& pipes = *slot.pipes;
  const auto status = status_of(transfer->status);
  const bool has_setup = transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL;
  const std::size_t skipped = has_setup ? LIBUSB_CONTROL_SETUP_SIZE : 0;
  const auto length = slot.is_in
                          ? std::min(static_cast<std::size_t>(std::max(transfer->actual_length, 0)),
                                     slot.buffer.size() - skipped)
                          : 0;
  const bool is_report = slot.kind == Kind::report && slot.is_in;
  pipes.finish(slot, status, std::span{slot.buffer}.subspan(skipped, length));
  if (is_report && status == UsbStatus::ok && !pipes.closing_) {
    pipes.read_reports();
  }
}

void LibusbPipes::control(const Setup& setup, std::span<const std::byte> bytes, std::uint32_t tag) {
  const bool is_in = (setup.request_type & LIBUSB_ENDPOINT_IN) != 0;
  const std::size_t length = is_in ? setup.length : bytes.size();
  Slot& slot = add(Kind::control, tag, LIBUSB_CONTROL_SETUP_SIZE + length);
  slot.is_in = is_in;
  libusb_fill_control_setup(slot.buffer.data(), setup.request_type, setup.request, setup.value,
                            setup.index, static_cast<std::uint16_t>(length));
  if (!is_in) {
    std::ranges::transform(bytes, slot.buffer.begin() + LIBUSB_CONTROL_SETUP_SIZE,
                           [](std::byte byte) { return std::to_integer<unsigned char>(byte); });
  }
  libusb_fill_control_transfer(slot.transfer, handle_.get(), slot.buffer.data(),
                               &LibusbPipes::on_done, &slot, kTransferLimitMilliseconds);
  submit(slot);
}

void LibusbPipes::write(std::span<const std::byte> bytes, std::uint32_t tag) {
  Slot& slot = add(Kind::write, tag, bytes.size());
  std::ranges::transform(bytes, slot.buffer.begin(),
                         [](std::byte byte) { return std::to_integer<unsigned char>(byte); });
  fill_bulk(slot, interface_.bulk_out, kTransferLimitMilliseconds);
  slot.transfer->length = static_cast<int>(bytes.size());
  submit(slot);
}

void LibusbPipes::read(std::size_t length) {
  Slot& slot = add(Kind::read, 0, length);
  slot.is_in = true;
  fill_bulk(slot, interface_.bulk_in, 0);
  submit(slot);
}

void LibusbPipes::read_reports() {
  const auto in_flight = static_cast<std::size_t>(std::ranges::count_if(
      slots_, [](const Slot& slot) { return slot.kind == Kind::report && slot.is_in; }));
  for (std::size_t i = in_flight; i < kReportReads && interface_.interrupt_in != 0; ++i) {
    Slot& slot = add(Kind::report, 0, std::max<std::size_t>(interface_.report_size, kReportLimit));
    slot.is_in = true;
    libusb_fill_interrupt_transfer(slot.transfer, handle_.get(), interface_.interrupt_in,
                                   slot.buffer.data(), static_cast<int>(slot.buffer.size()),
                                   &LibusbPipes::on_done, &slot, 0);
    submit(slot);
  }
}

void LibusbPipes::send_report(std::uint8_t id, std::span<const std::byte> bytes,
                              std::uint32_t tag) {
  std::vector<std::byte> report = {std::byte{id}};
  report.insert(report.end(), bytes.begin(), bytes.end());
  if (interface_.interrupt_out == 0) {
    constexpr std::uint8_t kSetReport = 9;
    constexpr std::uint8_t kClassOut = 0x21;
    constexpr unsigned kOutput = 0x0200;
    control({.request_type = kClassOut,
             .request = kSetReport,
             .value = static_cast<std::uint16_t>(kOutput | id),
             .index = interface_.number},
            report, tag);
    return;
  }
  Slot& slot = add(Kind::control, tag, report.size());
  std::ranges::transform(report, slot.buffer.begin(),
                         [](std::byte byte) { return std::to_integer<unsigned char>(byte); });
  libusb_fill_interrupt_transfer(slot.transfer, handle_.get(), interface_.interrupt_out,
                                 slot.buffer.data(), static_cast<int>(slot.buffer.size()),
                                 &LibusbPipes::on_done, &slot, kTransferLimitMilliseconds);
  submit(slot);
}

bool LibusbPipes::reset() { return libusb_reset_device(handle_.get()) == LIBUSB_SUCCESS; }

std::vector<UsbPipes::Done> LibusbPipes::take_done() {
  timeval now = {};
  libusb_handle_events_timeout_completed(context_.get(), &now, nullptr);
  return std::exchange(done_, {});
}

}  // namespace

Result<std::vector<UsbDeviceInfo>> list_usb_devices() {
  SPHERE_TRY_ASSIGN(const auto context, make_usb_context());
  std::vector<UsbDeviceInfo> devices;
  SPHERE_TRY(visit_devices(context.get(), [&](libusb_device* device) {
    libusb_device_descriptor descriptor = {};
    if (libusb_get_device_descriptor(device, &descriptor) == LIBUSB_SUCCESS &&
        descriptor.bDeviceClass != LIBUSB_CLASS_HUB) {
      devices.push_back(describe(device, descriptor));
    }
    return false;
  }));
  return devices;
}

Result<std::unique_ptr<UsbPipes>> UsbPipes::open(const std::string& location,
                                                 std::uint8_t interface, std::uint8_t alternate) {
  SPHERE_TRY_ASSIGN(auto context, make_usb_context());
  auto pipes = std::make_unique<LibusbPipes>(std::move(context));
  SPHERE_TRY(pipes->attach(location, interface, alternate));
  return pipes;
}

}  // namespace sphere::transport
