// SPDX-License-Identifier: MIT
#include "tests/support/usb-skin/board_usb.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <glib-object.h>
#include <linux/usbdevice_fs.h>
#include <optional>
#include <span>
#include <string>
#include <sys/ioctl.h>
#include <umockdev.h>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "sphere/recovery/driver.h"

namespace sphere::test {

namespace {

namespace device = virtual_board::device;

constexpr const char* kNode = "/dev/bus/usb/001/002";
constexpr std::size_t kSetup = 8;
constexpr unsigned kIn = 0x80;
constexpr unsigned kStandard = 0x60;  // No bit of these: a request of the USB standard.

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += fmt::format("{:02X}", std::to_integer<unsigned>(byte));
  }
  return text;
}

// Device descriptor, then one configuration with what the board has.
std::vector<std::byte> descriptors(const UsbIdentity& identity) {
  const auto low = [](std::size_t value) { return static_cast<std::byte>(value & 0xFFU); };
  const auto high = [](std::size_t value) { return static_cast<std::byte>(value >> 8U & 0xFFU); };
  const std::size_t total = 9 + identity.configuration.size();
  std::vector<std::byte> bytes = {
      std::byte{0x12}, std::byte{1}, std::byte{0}, std::byte{2}, std::byte{0}, std::byte{0},
      std::byte{0}, std::byte{0x40}, low(identity.vendor), high(identity.vendor),
      low(identity.product), high(identity.product), std::byte{0}, std::byte{2}, std::byte{1},
      std::byte{2}, std::byte{3}, std::byte{1},
      // The configuration.
      std::byte{9}, std::byte{2}, low(total), high(total), std::byte{1}, std::byte{1}, std::byte{0},
      std::byte{0x80}, std::byte{0xFA}};
  bytes.insert(bytes.end(), identity.configuration.begin(), identity.configuration.end());
  return bytes;
}

std::string record(const UsbIdentity& identity) {
  const auto text = hexadecimal(descriptors(identity));
  const auto name = [&](std::size_t number) {
    return number <= identity.strings.size() ? identity.strings[number - 1] : std::string{};
  };
  return fmt::format(
      "P: /devices/usb1\nN: bus/usb/001/001\nE: DEVNAME=/dev/bus/usb/001/001\n"
      "E: DEVTYPE=usb_device\nE: BUSNUM=001\nE: DEVNUM=001\nE: SUBSYSTEM=usb\nE: MAJOR=189\n"
      "E: MINOR=0\nA: bConfigurationValue=1\\n\nA: busnum=1\\n\nA: devnum=1\\n\nA: speed=480\\n\n"
      "A: devpath=0\\n\nA: idVendor=1d6b\\n\nA: idProduct=0002\\n\nA: bNumConfigurations=1\\n\n"
      "H: descriptors=12010002090001406B1D020004060302010109021900010100E000"
      "0904000001090000000705810304000C\n\n"
      // libusb reads the descriptors in sysfs, others read the node.
      "P: /devices/usb1/1-1\nN: bus/usb/001/002={0}\nE: DEVNAME=/dev/bus/usb/001/002\n"
      "E: DEVTYPE=usb_device\nE: DRIVER=usb\nE: BUSNUM=001\nE: DEVNUM=002\nE: SUBSYSTEM=usb\n"
      "E: MAJOR=189\nE: MINOR=1\nE: PRODUCT={1:x}/{2:x}/200\nA: bConfigurationValue=1\\n\n"
      "A: busnum=1\\n\nA: devnum=2\\n\nA: devpath=1\\n\nA: speed=480\\n\nA: version= 2.00\\n\n"
      "A: bNumConfigurations=1\\n\nA: idVendor={1:04x}\\n\nA: idProduct={2:04x}\\n\n"
      "A: manufacturer={3}\\n\nA: product={4}\\n\nA: serial={5}\\n\nH: descriptors={0}\n",
      text, identity.vendor, identity.product, name(1), name(2), name(3));
}

template <typename Struct>
Struct& fields(UMockdevIoctlData* data) {
  void* const bytes = data->data;
  return *static_cast<Struct*>(bytes);
}

std::span<std::byte> bytes_of(const UMockdevIoctlData* data) {
  if (data == nullptr) {
    return {};
  }
  void* const bytes = data->data;
  return {static_cast<std::byte*>(bytes), static_cast<std::size_t>(data->data_len)};
}

recovery::Time now() {
  return std::chrono::duration_cast<recovery::Time>(
      std::chrono::steady_clock::now().time_since_epoch());
}

unsigned word(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) | std::to_integer<unsigned>(bytes[at + 1]) << 8U;
}

}  // namespace

BoardUsb::BoardUsb(virtual_board::DeviceSide& device, UsbIdentity identity)
    : device_{&device},
      identity_{std::move(identity)},
      testbed_{umockdev_testbed_new()},
      handler_{umockdev_ioctl_base_new()} {
  give(device::PowerOn{});
  GError* error = nullptr;
  g_signal_connect(handler_, "handle-ioctl", G_CALLBACK(&BoardUsb::on_ioctl), this);
  if (!umockdev_testbed_add_from_string(testbed_, record(identity_).c_str(), &error) ||
      !umockdev_testbed_attach_ioctl(testbed_, kNode, handler_, &error)) {
    g_error("umockdev: %s", error->message);
  }
}

BoardUsb::~BoardUsb() {
  umockdev_testbed_detach_ioctl(testbed_, kNode, nullptr);
  g_object_unref(handler_);
  g_object_unref(testbed_);
}

unsigned BoardUsb::boots() {
  const std::scoped_lock lock{mutex_};
  return boots_;
}

void BoardUsb::give(const device::Input& input) {
  device::Actions actions;
  device_->take(input, now(), actions);
  for (const auto& action : actions) {
    if (const auto* const send = std::get_if<device::Send>(&action)) {
      in_.push_back(send->bytes);
    } else if (const auto* const report = std::get_if<device::ReportIn>(&action)) {
      in_.push_back({std::byte{report->id}});
      in_.back().insert(in_.back().end(), report->bytes.begin(), report->bytes.end());
    } else if (const auto* const control = std::get_if<device::ControlAnswer>(&action)) {
      answer_ = *control;
    } else if (const auto* const arm = std::get_if<device::Arm>(&action)) {
      deadline_ = arm->deadline;
    } else if (std::holds_alternative<device::Disarm>(action)) {
      deadline_.reset();
    } else if (std::holds_alternative<device::Boot>(action)) {
      ++boots_;
    }
  }
}

void BoardUsb::fire_timer() {
  if (deadline_ && now() >= *deadline_) {
    deadline_.reset();
    give(device::TimerFired{});
  }
}

gboolean BoardUsb::on_ioctl(UMockdevIoctlBase* /*handler*/, UMockdevIoctlClient* client,
                            gpointer self) {
  static_cast<BoardUsb*>(self)->answer(client);
  return TRUE;
}

void BoardUsb::answer(UMockdevIoctlClient* client) {
  const std::scoped_lock lock{mutex_};
  fire_timer();
  int result = 0;
  const int error =
      run(umockdev_ioctl_client_get_request(client), umockdev_ioctl_client_get_arg(client), result);
  umockdev_ioctl_client_complete(client, error == 0 ? result : -1, error);
}

int BoardUsb::run(unsigned long request, UMockdevIoctlData* argument, int& result) {
  switch (request) {
    case USBDEVFS_GET_CAPABILITIES: {
      UMockdevIoctlData* const value =
          umockdev_ioctl_data_resolve(argument, 0, sizeof(std::uint32_t), nullptr);
      const std::uint32_t capabilities = USBDEVFS_CAP_BULK_CONTINUATION | USBDEVFS_CAP_ZERO_PACKET |
                                         USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                         USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
      std::memcpy(value->data, &capabilities, sizeof(capabilities));
      g_object_unref(value);
      return 0;
    }
    case USBDEVFS_CLAIMINTERFACE:
    case USBDEVFS_RELEASEINTERFACE:
    case USBDEVFS_CLEAR_HALT:
    case USBDEVFS_RESET:
    case USBDEVFS_RESETEP:
    case USBDEVFS_SETCONFIGURATION:
    case USBDEVFS_SETINTERFACE:
    case USBDEVFS_DISCONNECT_CLAIM:
      return 0;
    case USBDEVFS_GETDRIVER:
    case USBDEVFS_IOCTL:
      return ENODATA;
    case USBDEVFS_SUBMITURB:
      return submit(argument);
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
      return reap(argument) ? 0 : EAGAIN;
    case USBDEVFS_DISCARDURB:
      return discard(argument);
    case USBDEVFS_BULK:
      return bulk(argument, result);
    default:
      return ENOTTY;
  }
}

int BoardUsb::submit(UMockdevIoctlData* argument) {
  Urb urb{.data = umockdev_ioctl_data_resolve(argument, 0, sizeof(usbdevfs_urb), nullptr)};
  const auto& request = fields<usbdevfs_urb>(urb.data);
  if (request.buffer_length > 0) {
    urb.buffer = umockdev_ioctl_data_resolve(urb.data, offsetof(usbdevfs_urb, buffer),
                                             static_cast<gsize>(request.buffer_length), nullptr);
  }
  if (request.type == USBDEVFS_URB_TYPE_CONTROL) {
    const int length = control(urb);
    finish(urb, std::min(length, 0), static_cast<std::size_t>(std::max(length, 0)));
  } else if ((request.endpoint & kIn) == 0) {
    take_out(bytes_of(urb.buffer));
    finish(urb, 0, bytes_of(urb.buffer).size());
  } else {
    waiting_.push_back(urb);
  }
  return 0;
}

// Returns the length of the data, or a negative error.
int BoardUsb::control(Urb& urb) {
  const auto all = bytes_of(urb.buffer);
  if (all.size() < kSetup) {
    return -EPIPE;
  }
  const auto setup = all.first(kSetup);
  const auto data = all.subspan(kSetup);
  const auto type = std::to_integer<std::uint8_t>(setup[0]);
  const bool in = (type & kIn) != 0;
  std::optional<std::vector<std::byte>> reply;
  if ((type & kStandard) == 0) {
    reply = standard_request(setup);
  } else {
    reply = class_request(setup, data);
  }
  if (!reply) {
    return -EPIPE;
  }
  if (!in) {
    return static_cast<int>(data.size());
  }
  const std::size_t length = std::min(reply->size(), data.size());
  std::copy_n(reply->begin(), length, data.begin());
  return static_cast<int>(length);
}

void BoardUsb::take_out(std::span<const std::byte> bytes) {
  if (identity_.report_descriptor.empty()) {
    give(device::Received{bytes});
  } else if (!bytes.empty()) {
    give(device::ReportOut{.id = std::to_integer<std::uint8_t>(bytes.front()),
                           .bytes = bytes.subspan(1)});
  }
}

std::optional<std::vector<std::byte>> BoardUsb::class_request(std::span<const std::byte> setup,
                                                              std::span<const std::byte> data) {
  constexpr unsigned kSetReport = 9;
  constexpr unsigned kSetIdle = 10;
  const auto type = std::to_integer<std::uint8_t>(setup[0]);
  const auto request = std::to_integer<std::uint8_t>(setup[1]);
  const bool in = (type & kIn) != 0;
  if (!identity_.report_descriptor.empty() && !in &&
      (request == kSetReport || request == kSetIdle)) {
    if (request == kSetReport) {
      take_out(data);
    }
    return std::vector<std::byte>{};
  }
  answer_.reset();
  give(device::ControlRequest{.setup = {.request_type = type,
                                        .request = request,
                                        .value = static_cast<std::uint16_t>(word(setup, 2)),
                                        .index = static_cast<std::uint16_t>(word(setup, 4)),
                                        .length = static_cast<std::uint16_t>(word(setup, 6))},
                              .bytes = in ? std::span<const std::byte>{} : data,
                              .tag = 1});
  return answer_ && answer_->result == recovery::UsbResult::ok ? std::optional{answer_->bytes}
                                                               : std::nullopt;
}

std::optional<std::vector<std::byte>> BoardUsb::standard_request(
    std::span<const std::byte> setup) const {
  constexpr unsigned kGetDescriptor = 6;
  constexpr unsigned kStringType = 3;
  constexpr unsigned kReportType = 0x22;
  const auto number = std::to_integer<std::size_t>(setup[2]);
  if (std::to_integer<unsigned>(setup[1]) == kGetDescriptor &&
      std::to_integer<unsigned>(setup[3]) == kReportType && !identity_.report_descriptor.empty()) {
    return identity_.report_descriptor;
  }
  if (std::to_integer<unsigned>(setup[1]) != kGetDescriptor ||
      std::to_integer<unsigned>(setup[3]) != kStringType || number > identity_.strings.size()) {
    return std::nullopt;
  }
  // Number 0 lists the languages: English.
  const std::string text = number == 0 ? std::string{"\x09"} : identity_.strings[number - 1];
  std::vector<std::byte> bytes = {static_cast<std::byte>(2 + 2 * text.size()),
                                  std::byte{kStringType}};
  for (const char character : text) {
    bytes.push_back(static_cast<std::byte>(character));
    bytes.push_back(number == 0 ? std::byte{4} : std::byte{0});
  }
  return bytes;
}

// The bytes of the next transfer to the host, as many as it has room for.
std::size_t BoardUsb::take_in(std::span<std::byte> into) {
  auto& next = in_.front();
  const std::size_t length = std::min(next.size(), into.size());
  std::copy_n(next.begin(), length, into.begin());
  next.erase(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(length));
  if (next.empty()) {
    in_.pop_front();
  }
  return length;
}

// The blocking form that some tools use.
int BoardUsb::bulk(UMockdevIoctlData* argument, int& result) {
  UMockdevIoctlData* const data =
      umockdev_ioctl_data_resolve(argument, 0, sizeof(usbdevfs_bulktransfer), nullptr);
  const auto& request = fields<usbdevfs_bulktransfer>(data);
  UMockdevIoctlData* buffer = nullptr;
  if (request.len > 0) {
    buffer = umockdev_ioctl_data_resolve(data, offsetof(usbdevfs_bulktransfer, data), request.len,
                                         nullptr);
  }
  int error = 0;
  if ((request.ep & kIn) == 0) {
    take_out(bytes_of(buffer));
    result = static_cast<int>(request.len);
  } else if (in_.empty()) {
    error = ETIMEDOUT;
  } else {
    result = static_cast<int>(take_in(bytes_of(buffer)));
  }
  if (buffer != nullptr) {
    g_object_unref(buffer);
  }
  g_object_unref(data);
  return error;
}

void BoardUsb::finish(Urb urb, int status, std::size_t length) {
  auto& request = fields<usbdevfs_urb>(urb.data);
  request.status = status;
  request.actual_length = static_cast<int>(length);
  done_.push_back(urb);
}

void BoardUsb::finish_waiting() {
  while (!waiting_.empty() && !in_.empty()) {
    const Urb urb = waiting_.front();
    waiting_.pop_front();
    finish(urb, 0, take_in(bytes_of(urb.buffer)));
  }
}

bool BoardUsb::reap(UMockdevIoctlData* argument) {
  finish_waiting();
  if (done_.empty()) {
    return false;
  }
  const Urb urb = done_.front();
  done_.pop_front();
  UMockdevIoctlData* const place = umockdev_ioctl_data_resolve(argument, 0, sizeof(void*), nullptr);
  umockdev_ioctl_data_set_ptr(place, 0, urb.data);
  g_object_unref(place);
  g_object_unref(urb.data);
  if (urb.buffer != nullptr) {
    g_object_unref(urb.buffer);
  }
  return true;
}

int BoardUsb::discard(UMockdevIoctlData* argument) {
  std::uintptr_t address = 0;
  std::memcpy(&address, argument->data, sizeof(address));
  for (auto urb = waiting_.begin(); urb != waiting_.end(); ++urb) {
    if (urb->data->client_addr == address) {
      const Urb found = *urb;
      waiting_.erase(urb);
      finish(found, -ENOENT, 0);
      return 0;
    }
  }
  return EINVAL;
}

}  // namespace sphere::test
